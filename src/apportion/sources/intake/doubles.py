"""The same charges in two files of one delivery: the usual way in which a month is counted twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.tables import ATTRIBUTES, CHARGES, quoted
from apportion.errors import DoubleDelivery
from apportion.sources.intake.sql_text import filled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.engine.duck import DuckDb
    from apportion.sources.intake.scopes import Fed
    from apportion.store.records import Scope

CONTAINED = 95
"""Percent of a file's charges that must also be in another file before an import is refused."""
_SAMPLE = 200_000
"""Rows looked at per file, chosen by their content, so that the same rows are looked at in every file."""

_COUNTS = """
SELECT x_StageNo, x_Row, count(*) AS x_Rows FROM (${rows}) GROUP BY x_StageNo, x_Row
"""

_ROWS = """
SELECT ${no}::INTEGER AS x_StageNo, hash(${columns}) AS x_Row FROM ${staged}
WHERE "x$$verdict" IS NULL AND BillingAccountId = $$account AND date_trunc('month', BillingPeriodStart) = $$month
    AND hash(${columns}) % ${sparse} = 0
"""

_SHARED = """
WITH counts AS (${counts}),
shared AS (
    SELECT part.x_StageNo AS x_Part, whole.x_StageNo AS x_Whole, sum(least(part.x_Rows, whole.x_Rows)) AS x_Shared
    FROM counts AS part JOIN counts AS whole ON part.x_Row = whole.x_Row AND part.x_StageNo <> whole.x_StageNo
    GROUP BY ALL
),
sizes AS (SELECT x_StageNo, sum(x_Rows) AS x_Rows FROM counts GROUP BY x_StageNo)
SELECT x_Part, x_Whole, x_Shared::BIGINT, x_Rows::BIGINT
FROM shared JOIN sizes ON sizes.x_StageNo = shared.x_Part
WHERE x_Shared * 100 >= x_Rows * ${contained} ORDER BY x_Rows, x_Part, x_Whole LIMIT 1
"""

_COLUMNS = ", ".join(quoted(name) for name in (*CHARGES, *ATTRIBUTES) if not name.startswith("x_"))


def refuse(db: DuckDb, scope: Scope, feds: Sequence[Fed]) -> None:
    """Raises DoubleDelivery where 95 % of the charges a file brings to the scope are also in another of its files."""
    if len(feds) < 2:  # noqa: PLR2004 - a pair
        return
    sparse = max(1, max(fed.rows[scope] for fed in feds) // _SAMPLE)
    rows = " UNION ALL ".join(
        filled(_ROWS, no=str(fed.file.no), staged=fed.file.relation, columns=_COLUMNS, sparse=str(sparse))
        for fed in feds
    )
    sql = filled(_SHARED, counts=filled(_COUNTS, rows=rows), contained=str(CONTAINED))
    found = db.rows(sql, {"account": scope.billing_account_id, "month": scope.period.start})
    if not found:
        return
    part, whole, _, _ = found[0]
    paths = {fed.file.no: fed.file.file.path for fed in feds}
    raise DoubleDelivery(
        first=paths[whole],
        second=paths[part],
        what=f"brings charges of {scope.period} that are also in",
        fix='Remove the older of the two, or set delivery = "append" for the source if both are to be counted; '
        "nothing was imported.",
    )
