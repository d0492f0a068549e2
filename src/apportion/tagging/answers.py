"""Every answer to "whose is it?", from every rung of the ladder, as one long table.

`answers(x_AttributeNo, segment, dimension, rank, value, evidence, rule_id)`: the lowest rank wins. `split_answers` has
the same for rules that split, one row per share and dimension. Tables read: `attributes`, `segments`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.core.config import Config, Owner, Rule, version_of
from apportion.core.targets import DIMENSIONS, Evidence
from apportion.tagging.conditions import where
from apportion.tagging.normalise import Vocabulary, is_system_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from apportion.engine.duck import DuckDb

OWN_TAG, PROVIDER_SPLIT, MODEL_MAP = 1_000_000, 2_000_000, 3_000_000
RULE, RESOURCE_GROUP, ACCOUNT, BILLING_ACCOUNT = 4_000_000, 5_000_000, 6_000_000, 6_000_001
"""Ranks of the rungs; a rule adds its place in the file, and a rule with `override` stands before the tags."""

PREFIX = "apportion/"

_CREATE = """
CREATE OR REPLACE TEMP TABLE {name} (
    x_AttributeNo INTEGER, segment INTEGER, {share} dimension VARCHAR, rank INTEGER, value VARCHAR,
    evidence VARCHAR, rule_id VARCHAR)
"""

_KEYS = "SELECT DISTINCT unnest(map_keys(Tags)) AS key FROM attributes ORDER BY key"

_SAID = """
CREATE OR REPLACE TEMP TABLE tag_said AS
SELECT a.x_AttributeNo, k.dimension, k.preference, k.oddness, k.key, a.Tags[k.key] AS value
FROM attributes AS a, tag_keys AS k
WHERE map_contains(a.Tags, k.key)
"""

_OWN = """
INSERT INTO answers
WITH spelled AS (
    SELECT s.x_AttributeNo, s.dimension, v.spelled,
           row_number() OVER (
               PARTITION BY s.x_AttributeNo, s.dimension ORDER BY s.preference, s.oddness, s.key
           ) AS place
    FROM tag_said AS s
    JOIN tag_values AS v ON v.dimension = s.dimension AND v.value = s.value
)
SELECT w.x_AttributeNo, g.segment, w.dimension, $rank, w.spelled, $evidence, r.rule_id
FROM spelled AS w
JOIN tag_rules AS r ON r.dimension = w.dimension
CROSS JOIN segments AS g
WHERE w.place = 1
"""

_GIVEN = """
INSERT INTO answers
SELECT a.x_AttributeNo, g.segment, m.dimension, $rank, m.value, $evidence, $rule_id
FROM attributes AS a
JOIN given AS m ON m.name = a.{column}
CROSS JOIN segments AS g
"""

_HITS = """
INSERT INTO {table}
SELECT a.x_AttributeNo, g.segment, {share} s.dimension, ?, s.value, ?, ?
FROM attributes AS a
CROSS JOIN segments AS g
CROSS JOIN rule_sets AS s
WHERE list_contains(?, g.segment) AND {condition}
"""


def collect(db: DuckDb, config: Config, segments: Mapping[int, tuple[object, object]]) -> None:
    """Fill `answers` and `split_answers`; `segments` maps each segment to the days [from, until) it covers."""
    db.run(_CREATE.format(name="answers", share=""))
    db.run(_CREATE.format(name="split_answers", share="share INTEGER,"))
    vocabulary = Vocabulary.of(config)
    _own_tags(db, vocabulary)
    _provider_split(db, vocabulary)
    maps = config.maps
    _map(db, maps.resource_groups, column="x_ResourceGroup", rank=RESOURCE_GROUP, name="resource-group-map")
    _map(db, maps.accounts, column="SubAccountId", rank=ACCOUNT, name="account-map")
    _map(db, maps.accounts, column="BillingAccountId", rank=BILLING_ACCOUNT, name="account-map")
    for place, rule in enumerate(config.rules):
        _rule(db, rule, place, [n for n, days in segments.items() if _holds(rule, *days)])


def _own_tags(db: DuckDb, vocabulary: Vocabulary) -> None:
    ignore = vocabulary.tags.policy.ignore
    keys = [
        {"key": key, "dimension": d, "preference": p, "oddness": vocabulary.oddness(d, p, key)}
        for (key,) in db.rows(_KEYS)
        if not is_system_key(key, ignore)
        for d, p in vocabulary.answers(key)
    ]
    _register(db, "tag_keys", keys, key="", dimension="", preference=0, oddness=0)
    db.run(_SAID)
    said = db.rows("SELECT DISTINCT dimension, value FROM tag_said WHERE value IS NOT NULL ORDER BY ALL")
    values = [
        {"dimension": d, "value": v, "spelled": spelled} for d, v in said if (spelled := vocabulary.spelled(d, v))
    ]
    _register(db, "tag_values", values, dimension="", value="", spelled="")
    rules = [{"dimension": d, "rule_id": f"tag:{d}@{vocabulary.version(d)}"} for d in DIMENSIONS]
    _register(db, "tag_rules", rules, dimension="", rule_id="")
    db.run(_OWN, {"rank": OWN_TAG, "evidence": str(Evidence.DIRECT)})


def _provider_split(db: DuckDb, vocabulary: Vocabulary) -> None:
    """What the provider says of its own split (FOCUS 1.3 AllocatedTags), Apportion's own exports among them."""
    texts = db.rows("SELECT DISTINCT AllocatedTags FROM attributes WHERE AllocatedTags IS NOT NULL ORDER BY ALL")
    given = []
    for (text,) in texts:
        tags = {key.removeprefix(PREFIX): str(value) for key, value in _object(text).items()}
        given += [{"name": text, "dimension": d, "value": v} for d, v in vocabulary.of_tags(tags).items()]
    _give(db, given, column="AllocatedTags", rank=PROVIDER_SPLIT, evidence=Evidence.METERED, rule_id="provider-split")


def _object(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _map(db: DuckDb, owners: Mapping[str, Owner], *, column: str, rank: int, name: str) -> None:
    given = [{"name": key, "dimension": d, "value": v} for key, owner in owners.items() for d, v in owner.items()]
    rule_id = f"{name}@{version_of({key: dict(owner) for key, owner in owners.items()})}"
    _give(db, given, column=column, rank=rank, evidence=Evidence.INFERRED, rule_id=rule_id)


def _give(db: DuckDb, given: list[dict[str, str]], *, column: str, rank: int, evidence: Evidence, rule_id: str) -> None:
    if not given:
        return
    _register(db, "given", given, name="", dimension="", value="")
    db.run(_GIVEN.format(column=f'"{column}"'), {"rank": rank, "evidence": str(evidence), "rule_id": rule_id})


def _rule(db: DuckDb, rule: Rule, place: int, segments: list[int]) -> None:
    split = len(rule.shares) > 1
    sets = [
        {"share": number, "dimension": d, "value": value}
        for number, share in enumerate(rule.shares)
        for d, value in share.owner.items()
    ]
    _register(db, "rule_sets", sets, share=0, dimension="", value="")
    condition, values = where(rule.when)
    table, share = ("split_answers", "s.share,") if split else ("answers", "")
    bound = [rank_of(rule, place), str(Evidence.INFERRED), rule_id(rule), segments, *values]
    db.run(_HITS.format(table=table, share=share, condition=condition), bound)


def rank_of(rule: Rule, place: int) -> int:
    """The rank of a rule at that place in the file."""
    return place if rule.override else RULE + place


def rule_id(rule: Rule) -> str:
    """The rule's id with its version, as it stands on every piece."""
    return f"rule:{rule.id}@{rule.version}"


def _holds(rule: Rule, start: object, end: object) -> bool:
    after = rule.valid_from is None or (start is not None and rule.valid_from <= start)  # type: ignore[operator]
    return after and (rule.valid_until is None or (end is not None and end <= rule.valid_until))  # type: ignore[operator]


def _register(db: DuckDb, name: str, rows: Iterable[Mapping[str, object]], /, **columns: object) -> None:
    """Rows as a table; the keyword values show each column's type (text or whole number)."""
    fields = [(column, pa.string() if isinstance(like, str) else pa.int32()) for column, like in columns.items()]
    db.register(name, pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(fields)))
