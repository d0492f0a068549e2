"""What in the bill breaks the tag policy: missing tags and values outside the allowed ones, with their money.

A value outside the allowed ones *counts*: the charge stays with it, and it is listed here. Money is never moved to
`unallocated` because of a spelling, and never merged into a team that merely looks the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from apportion.core.config import PolicyCase
from apportion.core.targets import DIMENSIONS
from apportion.tagging.lookalikes import skeleton
from apportion.tagging.normalise import Vocabulary, plain
from apportion.tagging.own_tags import answer_tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from apportion.core.config import Config, TagPolicy
    from apportion.engine.duck import DuckDb


@dataclass(frozen=True, slots=True)
class Breach:
    """One way in which part of the bill breaks the policy.

    `code` is `missing`, `not-allowed` or `look-alike`; `value` is empty for `missing`. `resources` counts distinct
    ones, `size` is the sum of absolute BilledCost in `currency`, `amount` the plain sum.
    """

    code: str
    dimension: str
    value: str
    currency: str
    resources: int
    charges: int
    size: Decimal
    amount: Decimal
    what: str
    fix: str


_OWN = ", ".join(f"coalesce(t.split_{d}, t.tag_{d}) AS {d}" for d in DIMENSIONS)
OWN = f"""
CREATE OR REPLACE TEMP TABLE tag_owned AS
WITH sized AS (
    SELECT x_AttributeNo, BillingCurrency AS currency, SUM(abs(BilledCost)) AS size, SUM(BilledCost) AS amount,
           SUM(x_ChargeCount)::BIGINT AS charges
    FROM money
    GROUP BY x_AttributeNo, BillingCurrency
)
SELECT s.currency, s.size, s.amount, s.charges, {_OWN},
       CASE WHEN a.ResourceId IS NOT NULL
            THEN struct_pack(account := coalesce(a.SubAccountId, a.BillingAccountId), id := a.ResourceId)
       END AS resource
FROM sized AS s
JOIN attributes AS a ON a.x_AttributeNo = s.x_AttributeNo
LEFT JOIN tag_answers AS t ON t.x_AttributeNo = a.x_AttributeNo
"""
_FIGURES = "COUNT(DISTINCT resource), SUM(charges)::BIGINT, SUM(size), SUM(amount)"
_VALUES = f"""
SELECT {{dimension}} AS value, currency, {_FIGURES}
FROM tag_owned
WHERE {{dimension}} IS NOT NULL
GROUP BY ALL
ORDER BY ALL
"""
_MISSING = f"""
SELECT '' AS value, currency, {_FIGURES}
FROM tag_owned
WHERE {{dimension}} IS NULL AND resource IS NOT NULL AND {{when}}
GROUP BY ALL
ORDER BY ALL
"""


def policy_breaches(db: DuckDb, config: Config) -> tuple[Breach, ...]:
    """Everything in the bill that breaks the tag policy, per dimension and currency.

    Only what tags say is looked at, not what rules and maps add; a tag can be missing on resources only. Reads the
    session's `attributes` and `money`, as `find_variants` does, and takes its names `tag_…`.
    """
    vocabulary = Vocabulary.of(config)
    answer_tags(db, vocabulary)
    db.run(OWN)
    found = (*_missing(db, config.tags.policy, vocabulary), *_not_allowed(db, config.tags.policy, vocabulary))
    db.run("DROP TABLE tag_owned")
    db.run("DROP TABLE tag_answers")
    return found


def required_in(policy: TagPolicy) -> tuple[PolicyCase, ...]:
    """What the policy requires as cases, the one without condition first."""
    always = (PolicyCase({}, policy.required),) if policy.required else ()
    return (*always, *policy.cases)


def spelled_case(case: PolicyCase, vocabulary: Vocabulary) -> dict[str, list[str]]:
    """The case's condition with its values as the bill spells them."""
    return {d: [vocabulary.spelled(d, value) or value for value in values] for d, values in case.when.items()}


def told_case(case: PolicyCase) -> str:
    """The case's condition in words: empty, or ` where environment is prod or staging`."""
    said = " and ".join(f"{d} is {' or '.join(values)}" for d, values in case.when.items())
    return f" where {said}" if said else ""


def _missing(db: DuckDb, policy: TagPolicy, vocabulary: Vocabulary) -> Iterator[Breach]:
    for case in required_in(policy):
        when = spelled_case(case, vocabulary)
        asked = " AND ".join(f"list_contains(${d}, {d})" for d in when) or "true"
        for dimension in case.required:
            what = f"no tag tells the {dimension}{told_case(case)}"
            fix = f"Tag them with {vocabulary.tags.keys[dimension][0]}, or write a rule."
            for value, currency, *figures in db.rows(_MISSING.format(dimension=dimension, when=asked), when):
                yield _breach(("missing", dimension, value, currency), figures, (what, fix))


def _not_allowed(db: DuckDb, policy: TagPolicy, vocabulary: Vocabulary) -> Iterator[Breach]:
    for dimension in (d for d in DIMENSIONS if d in policy.allowed):
        for value, currency, *figures in db.rows(_VALUES.format(dimension=dimension)):
            judged = judge_value(dimension, value, policy.allowed[dimension], vocabulary)
            if judged is not None:
                code, what, fix = judged
                yield _breach((code, dimension, value, currency), figures, (what, fix))


def _breach(head: tuple[str, str, str, str], figures: Sequence[Any], words: tuple[str, str]) -> Breach:
    resources, charges, size, amount = figures
    return Breach(*head, resources, charges, size, amount, *words)


def judge_value(
    dimension: str, value: str, allowed: Sequence[str], vocabulary: Vocabulary
) -> tuple[str, str, str] | None:
    """Code, what and fix of a spelled value that is not allowed; None for one that is."""
    spelled = [vocabulary.spelled(dimension, name) or name for name in allowed]
    if value in spelled:
        return None
    alike = [name for name in spelled if skeleton(name) == skeleton(plain(value))]
    if alike:
        what = f"{dimension} {value!a} looks like '{alike[0]}' but has other letters"
        return "look-alike", what, f"Check who set it; if it is a slip, tag with '{alike[0]}'."
    near = get_close_matches(value, spelled, n=1)
    guess = f"Did you mean '{near[0]}'? " if near else ""
    return "not-allowed", f"'{value}' is no allowed {dimension}", f"{guess}Allowed: {', '.join(spelled)}."
