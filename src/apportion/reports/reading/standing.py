"""What every owner of one dimension pays in the opened months of a run, to set two runs side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.core.money import quanta
from apportion.core.tables import quoted
from apportion.core.targets import COLUMNS, UNALLOCATED
from apportion.errors import UnknownName
from apportion.reports.reading.remarks import bounds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from apportion.reports.reading.contract import Asked

OWNERS = """
SELECT BillingCurrency, {column} AS owner, SUM({metric})
FROM allocations
WHERE {metric} IS NOT NULL AND date_trunc('month', BillingPeriodStart) BETWEEN $first AND $last
GROUP BY ALL
ORDER BY BillingCurrency, owner
"""

NOBODYS = """
SELECT BillingCurrency, coalesce(ServiceName, 'no service') AS service, SUM({metric}) AS cost
FROM allocations
WHERE {column} = $nobody AND {metric} IS NOT NULL
  AND date_trunc('month', BillingPeriodStart) BETWEEN $first AND $last
GROUP BY ALL
HAVING cost <> 0
ORDER BY BillingCurrency, abs(cost) DESC, service
"""

POOLS = """
SELECT p.x_PoolId, any_value(p.x_PoolVersion), count(t.x_PoolNo) > 0
FROM pools AS p
LEFT JOIN (SELECT DISTINCT x_Month, x_PoolNo FROM taken) AS t ON t.x_Month = p.x_Month AND t.x_PoolNo = p.x_PoolNo
WHERE p.x_Month BETWEEN $first AND $last
GROUP BY p.x_PoolId
ORDER BY p.x_PoolId
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """`amounts`: currency and owner -> quanta; `nobodys`: currency -> service -> cost that is unallocated, most first.

    `pools`: id -> version; `unused`: the pools that took nothing.
    """

    amounts: dict[tuple[str, str], int]
    nobodys: Mapping[str, Mapping[str, Decimal]]
    pools: Mapping[str, str]
    unused: tuple[str, ...]


def standing(asked: Asked, dimension: str) -> Standing:
    """What the owners of that dimension (`core.targets.COLUMNS`) pay in the period asked for."""
    words = {"column": quoted(COLUMNS[dimension]), "metric": quoted(asked.metric)}
    rows = asked.db.rows(OWNERS.format(**words), bounds(asked))
    nobodys: dict[str, dict[str, Decimal]] = {}
    for currency, service, cost in asked.db.rows(NOBODYS.format(**words), {**bounds(asked), "nobody": UNALLOCATED}):
        nobodys.setdefault(currency, {})[service] = cost
    pools = asked.db.rows(POOLS, bounds(asked))
    return Standing(
        {(currency, owner): quanta(amount) for currency, owner, amount in rows},
        nobodys,
        {name: version for name, version, _ in pools},
        tuple(name for name, _, took in pools if not took),
    )


def known_dimension(by: str) -> str:
    """The dimension that a user names, such as `business-unit`; raises `UnknownName`."""
    name = by.replace("-", "_")
    if name not in COLUMNS:
        raise UnknownName("dimension", by, [known.replace("_", "-") for known in COLUMNS])
    return name
