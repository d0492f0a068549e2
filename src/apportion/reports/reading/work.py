"""Jobs and endpoints with what they held and what they cost: the rows of the metered reports.

A quantity of a workload is what the meters say; only where no meter counted that measure, the quantity of the machine
time that the bill itself names for it. Never both. Quantities are the workload's own, whatever filters choose of its
cost, and are shown in every currency in which it was charged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from apportion.core.measures import Measure, WorkloadKind
from apportion.core.period import Month
from apportion.core.tables import quoted
from apportion.core.targets import COLUMNS as TARGETS
from apportion.core.targets import UNALLOCATED
from apportion.ledger.filters import condition
from apportion.ledger.lenses import CostKind
from apportion.reports.reading.change import Amount, added, rounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from apportion.reports.reading.contract import Asked

HOUR, GIB = 3600, 2**30
ENDPOINTS = frozenset({WorkloadKind.INFERENCE_ENDPOINT, WorkloadKind.API_KEY})
"""What `cost_by_endpoint` lists; every other workload is in `cost_by_job`."""
NOBODY = (WorkloadKind.IDLE, WorkloadKind.UNMETERED)
"""The kinds of pieces that no workload holds."""

_NOBODY = ", ".join(f"'{kind}'" for kind in NOBODY)

FACTS = """
SELECT x_WorkloadId, x_WorkloadKind, x_WorkloadName, x_ParentId, x_Experiment, x_User, x_Status, x_RunIds
FROM known_work
ORDER BY x_WorkloadId
"""

QUANTITIES = """
SELECT w.x_WorkloadId, h.x_Measure, date_trunc('month', h.x_Hour) AS month, SUM(h.quantity)
FROM work_hours AS h
JOIN workloads AS w ON w.x_WorkloadNo = h.x_WorkloadNo
GROUP BY ALL
ORDER BY w.x_WorkloadId, h.x_Measure, month
"""

# Utilisation is known of the hours only in which a meter saw the cards.
BUSY = f"""
SELECT w.x_WorkloadId, SUM(b.quantity), SUM(h.quantity)
FROM work_hours AS b
JOIN work_hours AS h ON h.x_WorkloadNo = b.x_WorkloadNo AND h.x_ResourceNo IS NOT DISTINCT FROM b.x_ResourceNo
 AND h.x_Hour = b.x_Hour AND h.x_Measure = '{Measure.GPU_SECONDS}'
JOIN workloads AS w ON w.x_WorkloadNo = b.x_WorkloadNo
WHERE b.x_Measure = '{Measure.GPU_BUSY_SECONDS}'
GROUP BY w.x_WorkloadId
ORDER BY w.x_WorkloadId
"""

NAMED_USE = """
SELECT b.x_WorkloadId, b.x_UnitSeconds, b.x_Gpus, b.x_CpuCores, b.x_MemoryBytes, SUM(c.ConsumedQuantity)
FROM charged AS c
JOIN billed_rows AS b ON b.x_PartNo = c.x_PartNo AND b.x_AttributeNo = c.x_AttributeNo
WHERE c.ChargeCategory = 'Usage' AND b.x_UnitSeconds IS NOT NULL AND c.ConsumedQuantity IS NOT NULL
  AND c.x_WorkloadId = b.x_WorkloadId
GROUP BY ALL
ORDER BY ALL
"""

COSTS = f"""
SELECT BillingCurrency, x_WorkloadId, min(x_WorkloadKind), SUM({{metric}}),
       SUM({{metric}}) FILTER (WHERE {{chosen}}), bool_or({{chosen}}),
       [{", ".join(f"SUM({{metric}}) FILTER (WHERE {{chosen}} AND x_CostKind = '{kind}')" for kind in CostKind)}],
       {", ".join(f"list_sort(list_distinct(list({name}) FILTER (WHERE {{chosen}})))" for name in TARGETS.values())}
FROM shown
WHERE x_WorkloadKind NOT IN ({_NOBODY}) AND x_WorkloadId IS NOT NULL
GROUP BY BillingCurrency, x_WorkloadId
ORDER BY BillingCurrency, x_WorkloadId
"""

NOBODYS_COST = f"""
SELECT BillingCurrency, x_WorkloadKind, SUM({{metric}})
FROM shown
WHERE x_WorkloadKind IN ({_NOBODY}) AND {{chosen}}
GROUP BY ALL
ORDER BY BillingCurrency, x_WorkloadKind
"""

HELD_BY = f"""
SELECT w.x_WorkloadId, {", ".join(f"list_sort(list_distinct(list(h.{name})))" for name in TARGETS.values())}
FROM held AS h
JOIN workloads AS w ON w.x_WorkloadNo = h.x_AttributeNo
WHERE {{chosen}}
GROUP BY w.x_WorkloadId
ORDER BY w.x_WorkloadId
"""


@dataclass(slots=True)
class Cost:
    """What a workload cost in one currency: what filters chose of it, that by kind, and all of it.

    `kinds` are in the order of `ledger.lenses.CostKind`.
    """

    chosen: Amount
    whole: Amount
    kinds: tuple[Amount, ...] = (None,) * len(CostKind)


@dataclass(slots=True)
class Work:
    """One workload: what it is, whom it is for, what it held (`Measure` -> base units) and what it cost by currency.

    `storage` is in GiB-months: GiB × the part of the calendar month. `busy` is the part of its GPU time in which the
    GPUs were busy, of the hours in which a meter saw that. `runs` are the tracker runs that are the same work.
    `owners`: dimension -> values. What is not known is None or absent.
    """

    id: str
    kind: str
    name: str
    parent: str | None = None
    experiment: str | None = None
    user: str | None = None
    status: str | None = None
    runs: tuple[str, ...] = ()
    owners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    held: dict[str, Fraction] = field(default_factory=dict)
    storage: Fraction | None = None
    busy: Decimal | None = None
    costs: dict[str, Cost] = field(default_factory=dict)

    def hours(self, measure: Measure, *, per: int = 1) -> Decimal | None:
        """Hours of a measure in seconds; `per` bytes count as one of a measure in byte-seconds."""
        return in_hours(self.held.get(measure), per=per)

    @property
    def is_frame(self) -> bool:
        """Whether it only lasted: a sweep or parent run whose children did the work."""
        return not self.costs and not self.held.keys() - {Measure.RUN_SECONDS}

    def named(self, dimension: str) -> str | None:
        """The values of a dimension as one text; None where nothing is known."""
        return ", ".join(self.owners.get(dimension, ())) or None


def in_hours(seconds: Fraction | None, *, per: int = 1) -> Decimal | None:
    """Seconds as hours, at 18 digits.

    >>> in_hours(Fraction(5400))
    Decimal('1.500000000000000000')
    """
    return None if seconds is None else rounded(seconds / (HOUR * per))


def works(asked: Asked) -> dict[str, Work]:
    """Id -> workload, of all that were charged in the chosen pieces, and those that have usage and no charge at all.

    A parent that only lasted while its children worked is none. Where cores were counted and no GPU, there was none.

    `open_metered` must have been called.
    """
    found = {
        name: Work(name, kind, title or name, parent, experiment, user, status, tuple(runs))
        for name, kind, title, parent, experiment, user, status, runs in asked.db.rows(FACTS)
    }
    shown = _costs(asked, found) | _uncharged(asked, found)
    _quantities(asked, found)
    parents = {work.parent for work in found.values()}
    return {name: work for name, work in found.items() if name in shown and not (name in parents and work.is_frame)}


def nobodys(asked: Asked) -> dict[str, dict[str, Amount]]:
    """Currency -> `idle` and `unmetered` -> what the chosen pieces of that kind cost."""
    chosen, values = condition(asked.filters)
    sql = NOBODYS_COST.format(metric=quoted(asked.metric), chosen=chosen)
    found: dict[str, dict[str, Amount]] = {}
    for currency, kind, cost in asked.db.rows(sql, values or None):
        found.setdefault(currency, {})[kind] = cost
    return found


def currencies(asked: Asked, works: Iterable[Work], nobodys: Iterable[str] = ()) -> list[str]:
    """The currencies of these costs, the one asked for first; it alone where nothing was charged."""
    found = {currency for work in works for currency in work.costs} | set(nobodys)
    return sorted(found or {asked.currency}, key=lambda currency: (currency != asked.currency, currency))


def total_held(works: Iterable[Work], measure: Measure) -> Fraction | None:
    """The sum of what they held; None where nothing of it is known."""
    known = [work.held[measure] for work in works if measure in work.held]
    return sum(known, Fraction(0)) if known else None


def total_cost(works: Iterable[Work], currency: str) -> Amount:
    """The sum of the chosen pieces of these workloads in one currency."""
    return added([work.costs[currency].chosen for work in works if currency in work.costs])


def total_kinds(works: Iterable[Work], currency: str) -> tuple[Amount, ...]:
    """The same by kind, in the order of `ledger.lenses.CostKind`."""
    found = [work.costs[currency].kinds for work in works if currency in work.costs]
    return tuple(added([kinds[place] for kinds in found]) for place in range(len(CostKind)))


def _costs(asked: Asked, found: dict[str, Work]) -> set[str]:
    chosen, values = condition(asked.filters)
    sql = COSTS.format(metric=quoted(asked.metric), chosen=chosen)
    shown: set[str] = set()
    for currency, name, kind, whole, part, is_chosen, kinds, *owners in asked.db.rows(sql, values or None):
        if not is_chosen:
            continue
        work = found.setdefault(name, Work(name, kind, name))
        work.costs[currency] = Cost(part, whole, tuple(kinds))
        work.owners = _merged(work.owners, owners)
        shown.add(name)
    return shown


def _uncharged(asked: Asked, found: Mapping[str, Work]) -> set[str]:
    """The workloads that meters know and no charge has; with filters only those whose owner is chosen."""
    if not asked.filters.keys() <= TARGETS.keys():
        return set()
    charged = {name for (name,) in asked.db.rows("SELECT DISTINCT x_WorkloadId FROM charged")}
    chosen, values = condition(asked.filters)
    shown = set()
    for name, *owners in asked.db.rows(HELD_BY.format(chosen=chosen), values or None):
        if name not in charged:
            found[name].owners = _merged({}, owners)
            shown.add(name)
    return shown


def _merged(before: Mapping[str, tuple[str, ...]], owners: list[list[str] | None]) -> dict[str, tuple[str, ...]]:
    """Each dimension's values in order, what is unknown last."""
    return {
        dimension: tuple(sorted({*before.get(dimension, ()), *(values or ())}, key=lambda v: (v == UNALLOCATED, v)))
        for dimension, values in zip(TARGETS, owners, strict=True)
    }


def _quantities(asked: Asked, found: Mapping[str, Work]) -> None:
    for name, measure, month, quantity in asked.db.rows(QUANTITIES):
        work = found[name]
        work.held[measure] = work.held.get(measure, Fraction(0)) + Fraction(quantity)
        if measure == Measure.STORAGE_BYTE_SECONDS:
            gib_months = Fraction(quantity) / (GIB * _seconds(Month(month.year, month.month)))
            work.storage = (work.storage or Fraction(0)) + gib_months
    for name, busy, held in asked.db.rows(BUSY):
        found[name].busy = rounded(Fraction(busy) / Fraction(held)) if held else None
    _named_use(asked, found)


def _named_use(asked: Asked, found: Mapping[str, Work]) -> None:
    named: dict[str, dict[str, Fraction]] = {}
    for name, unit, gpus, cores, memory, quantity in asked.db.rows(NAMED_USE):
        seconds = Fraction(quantity) * unit
        sizes = {Measure.GPU_SECONDS: gpus, Measure.CPU_CORE_SECONDS: cores, Measure.MEMORY_BYTE_SECONDS: memory}
        for measure, size in sizes.items():
            if size is not None:
                held = named.setdefault(name, {})
                held[measure] = held.get(measure, Fraction(0)) + seconds * size
    for name, held in named.items():
        if name in found:
            found[name].held = held | found[name].held
    for work in found.values():
        if Measure.CPU_CORE_SECONDS in work.held:
            work.held.setdefault(Measure.GPU_SECONDS, Fraction(0))


def _seconds(month: Month) -> int:
    return int((month.end - month.start).total_seconds())
