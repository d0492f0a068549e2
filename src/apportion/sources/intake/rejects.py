"""Rows that are no charges, each with the scope it is kept with: its own, or the first one of its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.core.problems import Severity
from apportion.sources.intake.sql_text import filled, literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from apportion.engine.duck import DuckDb
    from apportion.sources.intake.scopes import Fed
    from apportion.store.records import Scope

_EXCLUDED = """
SELECT ${no}::INTEGER AS x_StageNo, x_RowNo, "x$$verdict" AS x_Check, ${code} AS x_Code, ${column} AS x_Column,
    ${example} AS x_Value, "x$$raw" AS x_Raw, BillingAccountId, date_trunc('month', BillingPeriodStart) AS x_Month,
    BillingCurrency, BilledCost
FROM ${staged} WHERE "x$$verdict" IS NOT NULL
"""

_TORN = """
SELECT x_StageNo, x_RowNo, NULL::SMALLINT, x_Code, x_Column, NULL, x_Raw, NULL, NULL, NULL, NULL FROM torn_records
"""

_EXCLUDED_ROWS = """
CREATE OR REPLACE TEMP TABLE excluded_rows AS
WITH excluded AS (${excluded}),
first_scope AS (SELECT x_StageNo, arg_min(x_ScopeNo, x_Place) AS x_ScopeNo FROM fed_scopes GROUP BY x_StageNo)
SELECT excluded.*, coalesce(own.x_ScopeNo, first_scope.x_ScopeNo) AS x_ScopeNo
FROM excluded
LEFT JOIN fed_scopes AS own ON own.x_StageNo = excluded.x_StageNo
    AND own.x_Account = excluded.BillingAccountId AND own.x_Month = excluded.x_Month
LEFT JOIN first_scope ON first_scope.x_StageNo = excluded.x_StageNo
"""

_SCOPE_REJECTS = """
CREATE OR REPLACE TEMP TABLE scope_rejects AS
SELECT scope.x_FileNo, row_.x_RowNo, row_.x_Code, row_.x_Column, row_.x_Value, row_.x_Raw
FROM excluded_rows AS row_
JOIN fed_scopes AS scope ON scope.x_StageNo = row_.x_StageNo AND scope.x_ScopeNo = row_.x_ScopeNo
WHERE row_.x_ScopeNo = $scope AND row_.x_Raw IS NOT NULL
"""


def number_scopes(db: DuckDb, feds: Sequence[Fed]) -> dict[Scope, int]:
    """Scope -> its number in this import.

    The table `fed_scopes` says which staged file feeds which scope, and the number of the file there (`x_FileNo`).
    """
    numbers = {scope: no for no, scope in enumerate(sorted({scope for fed in feds for scope in fed.rows}), 1)}
    seen = dict.fromkeys(numbers, 0)
    columns: dict[str, list[object]] = {name: [] for name in _FED_SCOPES.names}
    for fed in feds:
        for place, scope in enumerate(fed.rows):
            seen[scope] += 1
            values = (fed.file.no, numbers[scope], seen[scope], place, scope.billing_account_id, scope.period.start)
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    db.register("fed_scopes", pa.table(columns, schema=_FED_SCOPES))
    return numbers


_FED_SCOPES = pa.schema(
    [
        ("x_StageNo", pa.int32()),
        ("x_ScopeNo", pa.int32()),
        ("x_FileNo", pa.int32()),
        ("x_Place", pa.int32()),
        ("x_Account", pa.string()),
        ("x_Month", pa.timestamp("us")),
    ]
)


def exclude(db: DuckDb, feds: Sequence[Fed]) -> None:
    """The table `excluded_rows`: all rows of the staged files that are no charges; after `number_scopes`.

    Those with `x_Raw` are rejected, the others were left out by the mapping's filter. `x_ScopeNo` is null where no row
    of the file is a charge.
    """
    excluded = " UNION ALL ".join((*(_excluded(fed) for fed in feds), _TORN))
    db.run(filled(_EXCLUDED_ROWS, excluded=excluded))


def rejected_rows(db: DuckDb, scope_no: int) -> int:
    """How many rows of the scope are rejected; the table `scope_rejects` has them with the scope's file numbers."""
    db.run(_SCOPE_REJECTS, {"scope": scope_no})
    count: int = db.rows("SELECT count(*) FROM scope_rejects")[0][0]
    return count


def _excluded(fed: Fed) -> str:
    excluding = {no: each for no, each in enumerate(fed.file.plan.checks) if each.excludes}
    rejecting = {no: each for no, each in excluding.items() if each.severity is Severity.REJECTED}
    return filled(
        _EXCLUDED,
        no=str(fed.file.no),
        staged=fed.file.relation,
        code=_chosen({no: literal(each.code) for no, each in excluding.items()}),
        column=_chosen({no: literal(each.column) for no, each in excluding.items()}),
        example=_chosen({no: f'"{each.example}"' for no, each in rejecting.items() if each.example}),
    )


def _chosen(by_check: Mapping[int, str]) -> str:
    cases = " ".join(f"WHEN {no} THEN {sql}" for no, sql in by_check.items())
    return f'CASE "x$verdict" {cases} END'
