"""What a newer delivery of a month changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.sources.intake.sql_text import filled
from apportion.store.records import Restatement, RestatementLine, Snapshot

if TYPE_CHECKING:
    from apportion.engine.duck import DuckDb

_TEAM_TAG = "team"

_SUMS = """
SELECT coalesce(ServiceName, '') AS x_Service, coalesce(SubAccountId, '') AS x_SubAccount,
    coalesce(Tags[$$team], '') AS x_Tag, BillingCurrency AS x_Currency, sum(BilledCost) AS x_Cost
FROM read_parquet($$${name}_charges) JOIN read_parquet($$${name}_attributes) USING (x_AttributeNo)
GROUP BY ALL
"""

_DIFFERENCES = """
WITH before_sums AS (${before}),
after_sums AS (${after}),
differences AS (
    SELECT x_Service, x_SubAccount, x_Tag, x_Currency,
        coalesce(before_sums.x_Cost, 0)::DECIMAL(38,18) AS x_Before,
        coalesce(after_sums.x_Cost, 0)::DECIMAL(38,18) AS x_After
    FROM before_sums FULL JOIN after_sums USING (x_Service, x_SubAccount, x_Tag, x_Currency)
)
SELECT x_Service, x_SubAccount, x_Tag, x_Currency, x_Before, x_After
FROM differences WHERE x_Before <> x_After
ORDER BY abs(x_After - x_Before) DESC, x_Service, x_SubAccount, x_Tag, x_Currency
"""


def compare(db: DuckDb, old: Snapshot, new: Snapshot) -> Restatement:
    """The lines whose BilledCost changed between two snapshots of a scope, the largest change first.

    A line is one service, sub account, value of the tag `team` ('' where there is none) and currency.
    """
    paths = {"before": old, "after": new}
    bound: dict[str, str] = {"team": _TEAM_TAG}
    for name, snapshot in paths.items():
        bound |= {f"{name}_charges": str(snapshot.charges), f"{name}_attributes": str(snapshot.attributes)}
    sql = filled(_DIFFERENCES, before=filled(_SUMS, name="before"), after=filled(_SUMS, name="after"))
    lines = tuple(RestatementLine(*row) for row in db.rows(sql, bound))
    return Restatement(new.scope, old.id, new.id, None, lines)
