"""What each pool is, what it took, what it gave to whom, and what it could not give.

`taken` and what came `from_pools` is what a pool had to give; `to_owners` and `to_pools` are what it gave. `left_over`
are rows that it matched and did not take, for nobody weighed anything: they stay whose they are. Filters by owner mean
whose a cost was for what was taken and left, and who got it for what was given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from apportion.core.config_file import parse_config
from apportion.core.tables import quoted
from apportion.ledger.filters import condition
from apportion.reports.reading.amounts import rounded_text
from apportion.reports.reading.change import Amount, added, ratio
from apportion.reports.reading.contract import RATIO, Answer, Asked, Column, Kind, Report, Row, Section
from apportion.reports.reading.leftover import open_leftover
from apportion.reports.reading.remarks import bounds, missing_metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from apportion.core.config import Pool

_MONTH = "date_trunc('month', BillingPeriodStart) BETWEEN $first AND $last"

TAKEN = f"""
SELECT BillingCurrency, x_PoolId, count(*), SUM({{metric}})
FROM taken_rows WHERE {{chosen}} AND {_MONTH}
GROUP BY ALL ORDER BY ALL
"""

LEFT = f"""
SELECT BillingCurrency, x_PoolId, count(*), SUM({{metric}})
FROM left_rows WHERE {{chosen}} AND {_MONTH}
GROUP BY ALL ORDER BY ALL
"""

# A path such as `net > platform > ads`: each pool of it but the first got the amount, each but the last gave it on.
GIVEN = f"""
WITH gone AS (
    SELECT BillingCurrency, string_split(x_Path, ' > ') AS path, SUM({{metric}}) AS amount
    FROM shared WHERE {{chosen}} AND {_MONTH}
    GROUP BY ALL
),
steps AS (
    SELECT BillingCurrency, unnest(path) AS pool, unnest(generate_series(1, len(path))) AS place,
           len(path) AS length, amount
    FROM gone
)
SELECT BillingCurrency, pool, SUM(amount) FILTER (WHERE place > 1), SUM(amount) FILTER (WHERE place = length),
       SUM(amount) FILTER (WHERE place < length)
FROM steps
GROUP BY ALL ORDER BY BillingCurrency, pool
"""

CELLS = """
SELECT c.BillingCurrency, p.x_PoolId, count(DISTINCT (c.x_Month, c.x_CellNo)),
       count(DISTINCT (r.x_BusinessUnit, r.x_Team, r.x_Project, r.x_Model, r.x_Environment,
                       coalesce(r.x_WorkloadKind, ''), coalesce(r.x_WorkloadId, '')))
           FILTER (WHERE w.x_ShareHigh > w.x_ShareLow AND w.x_ReceiverNo IS NOT NULL)
FROM cells AS c
JOIN pools AS p ON p.x_Month = c.x_Month AND p.x_PoolNo = c.x_PoolNo
JOIN weights AS w ON w.x_Month = c.x_Month AND w.x_CellNo = c.x_CellNo
LEFT JOIN receivers AS r ON r.x_Month = w.x_Month AND r.x_ReceiverNo = w.x_ReceiverNo
WHERE c.x_Month BETWEEN $first AND $last
GROUP BY ALL ORDER BY ALL
"""


@dataclass(slots=True)
class _Given:
    """What a pool did in one currency; amounts are None where there are none."""

    rows: int = 0
    taken: Amount = None
    from_pools: Amount = None
    to_owners: Amount = None
    to_pools: Amount = None
    left_rows: int = 0
    left: Amount = None
    cells: int = 0
    receivers: int = 0

    @property
    def figures(self) -> Row:
        """The cells of a row behind what the pool is."""
        share = ratio(self.taken, added([self.taken, self.left]))
        gone = (self.taken, self.from_pools, self.to_owners, self.to_pools, self.left_rows, self.left, share)
        return (self.rows, self.cells, self.receivers, *gone)


@dataclass(slots=True)
class _Found:
    """Currency -> pool -> what it did."""

    by_currency: dict[str, dict[str, _Given]] = field(default_factory=dict)

    def of(self, currency: str, pool: str) -> _Given:
        return self.by_currency.setdefault(currency, {}).setdefault(pool, _Given())


def _answer(asked: Asked) -> Answer:
    pools = parse_config(asked.run.config).pools if asked.run.config else ()
    if not pools:
        words = "This run has no pools: docs/how-to/share-costs.md says how to write one."
        return Answer(REPORT.title, asked.period, asked.metric, (), (words,))
    open_leftover(asked)
    found = _found(asked)
    ordered = sorted(found.by_currency, key=lambda currency: (currency != asked.currency, currency))
    listed = sorted(pools, key=lambda pool: (pool.stage, pool.id))
    sections = tuple(_section(currency, listed, found.by_currency[currency]) for currency in ordered)
    notes = (*_notes(asked, listed, found), *missing_metric(asked))
    return Answer(REPORT.title, asked.period, asked.metric, sections, notes)


def _found(asked: Asked) -> _Found:
    found = _Found()
    chosen, values = condition(asked.filters)
    words, bound = {"metric": quoted(asked.metric), "chosen": chosen}, {**values, **bounds(asked)}
    for currency, pool, rows, amount in asked.db.rows(TAKEN.format(**words), bound):
        each = found.of(currency, pool)
        each.rows, each.taken = rows, amount
    for currency, pool, rows, amount in asked.db.rows(LEFT.format(**words), bound):
        each = found.of(currency, pool)
        each.left_rows, each.left = rows, amount
    for currency, pool, from_pools, to_owners, to_pools in asked.db.rows(GIVEN.format(**words), bound):
        each = found.of(currency, pool)
        each.from_pools, each.to_owners, each.to_pools = from_pools, to_owners, to_pools
    for currency, pool, cells, receivers in asked.db.rows(CELLS, bounds(asked)):
        if pool in found.by_currency.get(currency, {}):
            each = found.of(currency, pool)
            each.cells, each.receivers = cells, receivers
    return found


def _section(currency: str, pools: Sequence[Pool], found: dict[str, _Given]) -> Section:
    rows = tuple((*_told(pool), *found[pool.id].figures) for pool in pools if pool.id in found)
    given = list(found.values())
    total = _Given(
        rows=sum(each.rows for each in given),
        taken=added([each.taken for each in given]),
        from_pools=added([each.from_pools for each in given]),
        to_owners=added([each.to_owners for each in given]),
        to_pools=added([each.to_pools for each in given]),
        left_rows=sum(each.left_rows for each in given),
        left=added([each.left for each in given]),
        cells=sum(each.cells for each in given),
    )
    figures = list(total.figures)
    figures[2] = None  # one owner may take part in several pools
    return Section(currency, _columns(currency, total), rows, ("Total", *[None] * 10, *figures))


def _told(pool: Pool) -> Row:
    owner = ", ".join(f"{name} {value}" for name, value in pool.leftover_owner.items())
    return (
        pool.id,
        pool.stage,
        pool.method,
        pool.basis or None,
        ", ".join(pool.within) or None,
        pool.time,
        pool.grain,
        ", ".join(each.pool for each in pool.to_pools) or None,
        owner or pool.leftover,
        "yes" if pool.reciprocal else "no",
        pool.version,
    )


def _columns(currency: str, total: _Given) -> tuple[Column, ...]:
    alone = total.to_pools is None
    return (
        Column("pool", "Pool", Kind.TEXT),
        Column("stage", "Stage", Kind.COUNT),
        Column("method", "Method", Kind.TEXT),
        Column("basis", "Basis", Kind.TEXT),
        Column("within", "Within", Kind.TEXT, detail=True),
        Column("time", "Time", Kind.TEXT, detail=True),
        Column("grain", "Grain", Kind.TEXT, detail=True),
        Column("gives_to_pools", "Gives to pools", Kind.TEXT, detail=True),
        Column("leftover", "If nobody weighs", Kind.TEXT, detail=True),
        Column("reciprocal", "Reciprocal", Kind.TEXT, detail=True),
        Column("version", "Version", Kind.TEXT, detail=True),
        Column("rows", "Rows", Kind.COUNT, detail=True),
        Column("cells", "Cells", Kind.COUNT, detail=True),
        Column("receivers", "Receivers", Kind.COUNT),
        Column("taken", "Taken", Kind.MONEY, currency),
        Column("from_pools", "From pools", Kind.MONEY, currency, detail=alone),
        Column("to_owners", "To owners", Kind.MONEY, currency),
        Column("to_pools", "To pools", Kind.MONEY, currency, detail=alone),
        Column("left_rows", "Rows left", Kind.COUNT, detail=True),
        Column("left_over", "Left over", Kind.MONEY, currency),
        Column("share", "Share given", Kind.SHARE, RATIO),
    )


def _notes(asked: Asked, pools: Sequence[Pool], found: _Found) -> Iterator[str]:
    for currency in sorted(found.by_currency):
        left = added([each.left for each in found.by_currency[currency].values()])
        if left is not None:
            told = rounded_text(left, currency)
            yield (
                f"Left over: {told} {currency} stays whose it was, for nobody weighed anything within reach: "
                "another 'within', 'basis' or 'leftover' gives it on."
            )
    if idle := [pool.id for pool in pools if not any(pool.id in each for each in found.by_currency.values())]:
        what = "matches these filters" if asked.filters else f"of {asked.period} matches"
        yield f"No cost {what}: {', '.join(idle)}."


REPORT = Report("pools", "Pools of shared cost", _answer)
