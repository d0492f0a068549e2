"""The checks' bits counted: one problem per file, code, column and currency of a scope, with its ranges of rows.

Row numbers become ranges in SQL (gaps and islands), so a fault in ten million rows stays one line. A row that became
several charges is one row.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apportion.core.problems import Problem, Severity, spans_text
from apportion.core.tables import quoted
from apportion.sources.intake import tags_of_rows
from apportion.sources.intake.checks import WORDS, Check, place, words_for
from apportion.sources.intake.sql_text import filled
from apportion.store.records import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from apportion.engine.duck import DuckDb
    from apportion.sources.intake.scopes import Fed

Found = tuple[Scope | None, Problem]
"""A problem and the scope it belongs to; None where no row of the file is a charge."""

_SHOWN = 40
_EXAMPLE = 200

_ISLANDS = """
WITH flagged AS (${flagged}),
numbered AS (
    SELECT *, x_RowNo - dense_rank() OVER (PARTITION BY x_ScopeNo, BillingCurrency ORDER BY x_RowNo) AS x_Island
    FROM flagged
),
islands AS (
    SELECT x_ScopeNo, BillingCurrency, x_Island, min(x_RowNo) AS x_First, max(x_RowNo) AS x_Last,
        max(x_RowNo) - min(x_RowNo) + 1 AS x_Rows, sum(BilledCost) AS x_Amount, arg_min(x_Example, x_RowNo) AS x_Example
    FROM numbered GROUP BY x_ScopeNo, BillingCurrency, x_Island
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY x_ScopeNo, BillingCurrency ORDER BY x_First) AS x_Rank FROM islands
)
SELECT x_ScopeNo, BillingCurrency, sum(x_Rows)::BIGINT, sum(x_Amount), arg_min(x_Example, x_First),
    list([x_First, x_Last] ORDER BY x_First) FILTER (x_Rank <= $$shown),
    coalesce(sum(x_Rows) FILTER (x_Rank > $$shown), 0)::BIGINT
FROM ranked GROUP BY x_ScopeNo, BillingCurrency ORDER BY x_ScopeNo NULLS FIRST, BillingCurrency NULLS FIRST
"""

_CHARGES_WHERE = """
SELECT charge.x_RowNo, scope.x_ScopeNo, charge.BillingCurrency, charge.BilledCost,
    CAST(${example} AS VARCHAR) AS x_Example
FROM ${staged} AS charge
JOIN fed_scopes AS scope ON scope.x_StageNo = ${no} AND scope.x_Account = charge.BillingAccountId
    AND scope.x_Month = date_trunc('month', charge.BillingPeriodStart)
${join}
WHERE charge."x$$verdict" IS NULL AND ${when}
"""

_TAG_FAULT = "JOIN tag_texts AS tag ON tag.x_Text = charge.Tags AND tag.x_Fault & {bit} <> 0"

_EXCLUDED_WHERE = """
SELECT x_RowNo, x_ScopeNo, BillingCurrency, BilledCost, coalesce(x_Value, '') AS x_Example
FROM excluded_rows WHERE x_StageNo = ${no} AND x_Code = $$code AND x_Column = $$column
"""

_EXCLUDED_KINDS = """
SELECT DISTINCT x_Code, x_Column FROM excluded_rows WHERE x_StageNo = $no ORDER BY x_Code, x_Column
"""

_CURRENCIES = """
SELECT scope.x_ScopeNo, charge.BillingCurrency, count(*)
FROM ${staged} AS charge
JOIN fed_scopes AS scope ON scope.x_StageNo = ${no} AND scope.x_Account = charge.BillingAccountId
    AND scope.x_Month = date_trunc('month', charge.BillingPeriodStart)
WHERE charge."x$$verdict" IS NULL GROUP BY ALL
"""


@dataclass(frozen=True, slots=True)
class _Said:
    """What is said of a group of rows, whatever they are."""

    code: str
    severity: Severity
    column: str
    what: str
    fix: str


def problems(db: DuckDb, feds: Sequence[Fed], scopes: Sequence[Scope]) -> list[Found]:
    """All problems of the staged files, in the order of files and checks; `scopes` are in the order of their numbers.

    Needs the tables `fed_scopes`, `excluded_rows` and `tag_texts`.
    """
    found: list[Found] = []
    usual = _usual_currencies(db, feds)
    for fed in feds:
        found += _excluded(db, fed, scopes)
        found += _flagged(db, fed, scopes)
        found += _tag_faults(db, fed, scopes)
        found += _mixed(db, fed, scopes, usual)
        found += _missing(fed)
        if not fed.file.rows and not any(problem.file == fed.file.file.path for _, problem in found):
            found.append((None, _whole_file(fed, "no_rows", "", 0)))
    return found


def _flagged(db: DuckDb, fed: Fed, scopes: Sequence[Scope]) -> Iterator[Found]:
    words = ", ".join(f"bit_or(k{word})" for word in range(WORDS))
    present = db.rows(f'SELECT {words} FROM {fed.file.relation} WHERE "x$verdict" IS NULL')[0]
    groups: dict[tuple[str, str], list[tuple[int, Check]]] = defaultdict(list)
    for number, check in enumerate(fed.file.plan.checks):
        word, bit = place(number)
        if not check.excludes and (present[word] or 0) & bit:
            groups[check.code, "" if check.together else check.column].append((number, check))
    for members in groups.values():
        check = members[0][1]
        columns = ", ".join(dict.fromkeys(member.column for _, member in members))
        said = _Said(check.code, check.severity, columns, check.what, check.fix)
        example = f"charge.{quoted(check.example)}" if check.example else "''"
        yield from _counted(db, fed, scopes, said, _where(fed, example, _any_bit(number for number, _ in members)))


def _any_bit(numbers: Iterator[int]) -> str:
    masks: dict[int, int] = defaultdict(int)
    for number in numbers:
        word, bit = place(number)
        masks[word] |= bit
    return "(" + " OR ".join(f"charge.k{word} & {mask} <> 0" for word, mask in masks.items()) + ")"


def _where(fed: Fed, example: str, when: str, join: str = "") -> str:
    return filled(_CHARGES_WHERE, staged=fed.file.relation, no=str(fed.file.no), example=example, when=when, join=join)


def _tag_faults(db: DuckDb, fed: Fed, scopes: Sequence[Scope]) -> Iterator[Found]:
    for code, bit in (("tags_unreadable", tags_of_rows.UNREADABLE), ("duplicate_tag_key", tags_of_rows.DUPLICATE)):
        if db.rows("SELECT 1 FROM tag_texts WHERE x_Fault & $bit <> 0 LIMIT 1", {"bit": bit}):
            flagged = _where(fed, "charge.Tags", "true", _TAG_FAULT.format(bit=bit))
            yield from _counted(db, fed, scopes, _said(code, "Tags"), flagged)


def _excluded(db: DuckDb, fed: Fed, scopes: Sequence[Scope]) -> Iterator[Found]:
    own = {(check.code, check.column): check for check in fed.file.plan.checks if check.excludes}
    for code, column in db.rows(_EXCLUDED_KINDS, {"no": fed.file.no}):
        check = own.get((code, column))
        said = _Said(code, check.severity, column, check.what, check.fix) if check else _said(code, column)
        flagged = filled(_EXCLUDED_WHERE, no=str(fed.file.no))
        yield from _counted(db, fed, scopes, said, flagged, code=code, column=column)


def _usual_currencies(db: DuckDb, feds: Sequence[Fed]) -> dict[int, str]:
    """Scope number -> its most frequent currency (ties: alphabetical), for scopes with several."""
    counts: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for fed in feds:
        for scope, currency, rows in db.rows(filled(_CURRENCIES, staged=fed.file.relation, no=str(fed.file.no))):
            counts[scope][currency] += rows
    several = {scope: found for scope, found in counts.items() if len(found) > 1}
    return {scope: min(found, key=lambda currency: (-found[currency], currency)) for scope, found in several.items()}


def _mixed(db: DuckDb, fed: Fed, scopes: Sequence[Scope], usual: dict[int, str]) -> Iterator[Found]:
    for number, currency in usual.items():
        flagged = _where(
            fed, "charge.BillingCurrency", f"scope.x_ScopeNo = {number} AND charge.BillingCurrency <> $currency"
        )
        yield from _counted(db, fed, scopes, "mixed_currency", flagged, currency=currency)


def _missing(fed: Fed) -> Iterator[Found]:
    for name in fed.file.plan.missing:
        for scope, rows in fed.rows.items():
            yield scope, _whole_file(fed, "missing_column", name, rows)


def _whole_file(fed: Fed, code: str, column: str, rows: int) -> Problem:
    severity, what, fix = words_for(code, column=column)
    return Problem(
        code=code,
        severity=severity,
        file=fed.file.file.path,
        rows="all",
        row_count=rows,
        column=column,
        example="",
        what=what,
        fix=fix,
    )


def _said(code: str, column: str) -> _Said:
    severity, what, fix = words_for(code, column=column)
    return _Said(code, severity, column, what, fix)


def _counted(
    db: DuckDb,
    fed: Fed,
    scopes: Sequence[Scope],
    said: _Said | str,
    flagged: str,
    **bound: Any,  # noqa: ANN401 - bound values
) -> Iterator[Found]:
    rows = db.rows(filled(_ISLANDS, flagged=flagged), {**bound, "shown": _SHOWN})
    for scope, currency, count, amount, example, spans, more in rows:
        if isinstance(said, str):
            severity, what, fix = words_for(said, example=currency)
            own = _Said(said, severity, "BillingCurrency", what, fix)
        else:
            own = said
        problem = Problem(
            code=own.code,
            severity=own.severity,
            file=fed.file.file.path,
            rows=spans_text([(first, last) for first, last in spans], more=more),
            row_count=count,
            column=own.column,
            example=_short(example or ""),
            what=own.what,
            fix=own.fix,
            amount=amount,
            currency=currency if amount is not None else None,
        )
        yield (scopes[scope - 1] if scope else None), problem


def _short(text: str) -> str:
    return text if len(text) <= _EXAMPLE else text[: _EXAMPLE - 1] + "…"
