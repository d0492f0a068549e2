"""What a run of the product gave one case, read through the lens that reports read: after pools gave shared cost on."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb

from apportion.core.period import Period
from apportion.reports.reading.opening import open_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date
    from pathlib import Path

    from apportion.store import Store
    from apportion.store.records import Run


@dataclass(frozen=True)
class Piece:
    """A sum of pieces of one case: of one resource, to one owner, with what the run knows of the workload.

    What a pool gave has no resource; `pool` is the name of the one that took it, `last` of the one that gave it, and
    `origin` is `idle` where it was capacity that nobody used.
    """

    resource: str
    workload: str
    kind: str
    owner: Mapping[str, str]
    labels: Mapping[str, str]
    tags: Mapping[str, str]
    namespace: str
    account: str
    category: str
    pool: str
    last: str
    origin: str
    cost: Decimal
    list_cost: Decimal
    contracted: Decimal


@dataclass
class Seen:
    """What a run gave one case. Names are the case's own again."""

    pieces: list[Piece] = field(default_factory=list)
    quantities: dict[tuple[str, str, str], Decimal] = field(default_factory=dict)
    """(workload, measure, basis) -> quantity of the run's usage."""
    days: dict[tuple[str, str, date], Decimal] = field(default_factory=dict)
    """(resource, charge category, first day) -> effective cost of the charges."""
    faults: list[str] = field(default_factory=list)

    def cost(self, **wanted: str) -> Decimal:
        """The effective cost of the pieces with these values (`workload`, `resource`, `kind`, `category`, `pool`)."""
        return self.sum("cost", **wanted)

    def sum(self, what: str, **wanted: str) -> Decimal:
        """The sum of one amount of the pieces."""
        found = (p for p in self.pieces if all(getattr(p, name) == value for name, value in wanted.items()))
        return sum((getattr(piece, what) for piece in found), Decimal(0))


_PIECES = """
SELECT coalesce(t.ChargeDescription, s.x_PoolId), t.ResourceId, s.SubAccountId, t.Tags, s.ChargeCategory,
       s.x_WorkloadId, s.x_WorkloadKind, s.x_PoolId, s.x_LastPoolId, s.x_OriginKind,
       s.x_Team, s.x_Project, s.x_Model, s.x_Environment, s.EffectiveCost, s.ListCost, s.ContractedCost
FROM allocations AS s
LEFT JOIN texts AS t ON t.x_AttributeNo = s.x_AttributeNo AND t.BillingPeriodStart = s.BillingPeriodStart
 AND t.ServiceProviderName = s.ServiceProviderName
ORDER BY ALL
"""
_DIMENSIONS = ("team", "project", "model", "environment")


def pieces_of(store: Store, run: Run, names: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, Piece]]:
    """The pieces of all cases, each with the prefix of its case. `names`: prefix -> id -> name in the case."""
    works: dict[str, tuple[dict[str, str], str]] = {}
    for usage in run.usages:
        sql = "SELECT x_WorkloadId, x_Labels, x_Namespace FROM read_parquet($1)"
        for work, labels, namespace in duckdb.execute(sql, [str(usage.folder / "workloads.parquet")]).fetchall():
            works[work] = (dict(labels or {}), namespace or "")
    months = sorted(part.period for part in run.parts)
    with open_run(store, run, Period(months[0], months[-1]), metric="EffectiveCost") as asked:
        asked.db.read_parquet("texts", [store.snapshot(part.snapshot_id).attributes for part in run.parts])
        rows = asked.db.rows(_PIECES)
    for of, resource, account, tags, category, work, kind, pool, last, origin, *rest in rows:
        prefix = of[:5]
        named = names[prefix]
        labels, namespace = works.get(work or "", ({}, ""))
        yield (
            prefix,
            Piece(
                resource=named.get(resource or "", ""),
                workload=(work or "").removeprefix(f"{prefix}/"),
                kind=kind or "",
                owner=dict(zip(_DIMENSIONS, rest, strict=False)),
                labels=labels,
                tags=dict(tags or {}),
                namespace=namespace,
                account=named.get(account or "", ""),
                category=category,
                pool=named.get(pool or "", ""),
                last=named.get(last or "", ""),
                origin=origin or "",
                cost=rest[-3],
                list_cost=rest[-2],
                contracted=rest[-1],
            ),
        )


_DAILY = """
SELECT t.ChargeDescription, t.ResourceId, t.ChargeCategory, CAST(c.ChargePeriodStart AS DATE), SUM(c.EffectiveCost)
FROM read_parquet($charges) AS c JOIN read_parquet($texts) AS t ON t.x_AttributeNo = c.x_AttributeNo
GROUP BY ALL ORDER BY ALL
"""


def days_of(
    store: Store, run: Run, names: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, tuple[str, str, date], Decimal]]:
    """What charges cost by the day they begin on, each with the prefix of its case."""
    for part in run.parts:
        snapshot = store.snapshot(part.snapshot_id)
        files = {"charges": str(snapshot.charges), "texts": str(snapshot.attributes)}
        for of, resource, category, day, cost in duckdb.execute(_DAILY, files).fetchall():
            yield of[:5], (names[of[:5]].get(resource or "", ""), category, day), cost


_QUANTITIES = """
SELECT w.x_WorkloadId, u.x_Measure, u.x_Basis, sum(u.x_Quantity)
FROM read_parquet($usage) AS u JOIN read_parquet($workloads) AS w ON w.x_WorkloadNo = u.x_WorkloadNo
GROUP BY ALL ORDER BY ALL
"""


def quantities_of(folder: Path) -> Iterator[tuple[str, tuple[str, str, str], Decimal]]:
    """What workloads used in a month, each with the prefix of its case and (workload, measure, basis)."""
    files = {name: str(folder / f"{name}.parquet") for name in ("usage", "workloads")}
    for work, measure, basis, quantity in duckdb.execute(_QUANTITIES, files).fetchall():
        prefix, _, name = work.partition("/")
        yield prefix, (name, measure, basis), quantity
