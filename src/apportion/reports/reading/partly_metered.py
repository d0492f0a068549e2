"""Resources of which meters do not tell the whole: unknown sizes, more use than there is, time in which none looked."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Measure, WorkloadKind
from apportion.core.money import plain
from apportion.core.tables import quoted
from apportion.ledger.filters import condition
from apportion.reports.reading.metered import parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from apportion.reports.reading.change import Amount
    from apportion.reports.reading.contract import Asked

_BILLION = 1_000_000_000
_HOUR = 3_600_000_000
"""In microseconds."""
_WORDS = {
    Measure.GPU_SECONDS: "GPUs",
    Measure.CPU_CORE_SECONDS: "cores",
    Measure.MEMORY_BYTE_SECONDS: "memory",
}

# What resources cost, without or with the time in which no meter looked: both together are all of it.
_COSTS = f"""
SELECT c.BillingCurrency, p.resource_key, min(p.x_ResourceNo) AS x_ResourceNo,
       string_agg(DISTINCT c.ServiceName, ', ' ORDER BY c.ServiceName) AS services, SUM(c.{{metric}}) AS cost
FROM (SELECT * FROM charged WHERE x_WorkloadKind {{sign}} '{WorkloadKind.UNMETERED}' AND {{chosen}}) AS c
JOIN places AS p ON p.x_PartNo = c.x_PartNo AND p.x_AttributeNo = c.x_AttributeNo AND p.candidates = 1
GROUP BY c.BillingCurrency, p.resource_key
"""

UNSIZED = f"""
WITH costs AS ({_COSTS}),
held AS (
    SELECT h.x_ResourceNo, count(DISTINCT w.x_WorkloadId) AS workloads, count(DISTINCT h.x_Hour) AS hours,
           sum(h.quantity) FILTER (WHERE h.x_Measure = '{Measure.GPU_SECONDS}') AS gpu,
           sum(h.quantity) FILTER (WHERE h.x_Measure = '{Measure.CPU_CORE_SECONDS}') AS cpu
    FROM work_hours AS h
    JOIN workloads AS w ON w.x_WorkloadNo = h.x_WorkloadNo
    GROUP BY h.x_ResourceNo
)
SELECT c.BillingCurrency, coalesce(r.x_Node, r.x_MeteredId, r.x_Account), r.x_MeteredId, c.services, r.x_Account,
       h.workloads, h.hours, h.gpu, h.cpu, c.cost, u.x_InstanceType, u.measures
FROM costs AS c
JOIN unsized AS u ON u.resource_key = c.resource_key
JOIN resources AS r ON r.x_ResourceNo = u.x_ResourceNo
LEFT JOIN held AS h ON h.x_ResourceNo = u.x_ResourceNo
ORDER BY c.BillingCurrency, c.cost DESC NULLS LAST, c.resource_key
"""

# One in a hundred is clocks and roundings. What a machine has is what a meter said of the hour, else its size.
OVERUSED = f"""
WITH costs AS ({_COSTS}),
held AS (
    SELECT x_ResourceNo, x_Hour, x_Measure, sum(quantity) AS quantity, count(DISTINCT x_WorkloadNo) AS workloads
    FROM work_hours
    WHERE x_Measure IN ('{Measure.GPU_SECONDS}', '{Measure.CPU_CORE_SECONDS}')
    GROUP BY ALL
),
had AS (
    SELECT x_ResourceNo, x_Hour, x_Measure, max(x_Quantity) AS quantity
    FROM usage
    WHERE x_WorkloadNo IS NULL
    GROUP BY ALL
),
sized AS (
    SELECT h.*, coalesce(c.quantity, z.size * 3600) AS most
    FROM held AS h
    LEFT JOIN had AS c ON c.x_ResourceNo = h.x_ResourceNo AND c.x_Hour = h.x_Hour AND c.x_Measure = h.x_Measure
    LEFT JOIN machine_sizes AS z ON z.x_ResourceNo = h.x_ResourceNo AND z.x_Measure = h.x_Measure
),
beyond AS (
    SELECT x_ResourceNo, max(workloads) AS workloads, count(DISTINCT x_Hour) AS hours,
           sum(quantity) FILTER (WHERE x_Measure = '{Measure.GPU_SECONDS}') AS gpu,
           sum(quantity) FILTER (WHERE x_Measure = '{Measure.CPU_CORE_SECONDS}') AS cpu,
           arg_max({{{{'measure': x_Measure, 'held': quantity, 'most': most}}}}, quantity / most) AS worst
    FROM sized
    WHERE most > 0 AND quantity * 100 > most * 101
    GROUP BY x_ResourceNo
)
SELECT c.BillingCurrency, coalesce(r.x_Node, r.x_MeteredId, r.x_Account), r.x_MeteredId, c.services, r.x_Account,
       b.workloads, b.hours, b.gpu, b.cpu, c.cost, b.worst
FROM costs AS c
JOIN beyond AS b ON b.x_ResourceNo = c.x_ResourceNo
JOIN resources AS r ON r.x_ResourceNo = b.x_ResourceNo
ORDER BY c.BillingCurrency, c.cost DESC NULLS LAST, c.resource_key
"""

NO_HOURS = """
CREATE OR REPLACE TEMP TABLE unmetered_spans
    (resource_key VARCHAR, began TIMESTAMP, ended TIMESTAMP, part HUGEINT)
"""

# Which part of each charge's time is unmetered, in billionths. A charge without duration is one hour, as in the run.
ADD_HOURS = f"""
INSERT INTO unmetered_spans
WITH unseen AS (
    SELECT s.x_AttributeNo, s.x_ValidFrom, s.x_ValidUntil,
           sum(CAST(s.x_ShareHigh - s.x_ShareLow AS HUGEINT)) * {_BILLION} // any_value(s.x_ShareWhole) AS part
    FROM shares_of AS s
    JOIN owners_of AS o ON o.x_OwnerNo = s.x_OwnerNo AND o.x_WorkloadKind = '{WorkloadKind.UNMETERED}'
    GROUP BY s.x_AttributeNo, s.x_ValidFrom, s.x_ValidUntil
)
SELECT DISTINCT p.resource_key, c.ChargePeriodStart,
       CASE WHEN c.ChargePeriodEnd > c.ChargePeriodStart THEN c.ChargePeriodEnd
            ELSE c.ChargePeriodStart + INTERVAL 1 HOUR END, u.part
FROM charges_of AS c
JOIN unseen AS u ON u.x_AttributeNo = c.x_AttributeNo
 AND c.ChargePeriodStart >= u.x_ValidFrom AND c.ChargePeriodStart < u.x_ValidUntil
JOIN places AS p ON p.x_PartNo = $part AND p.x_AttributeNo = c.x_AttributeNo AND p.candidates = 1
"""

# Several charges of one hour (a machine, its licence) are one hour: the one of which most is unmetered.
UNMETERED = f"""
WITH costs AS ({_COSTS}),
hours AS (
    SELECT *, unnest(generate_series(date_trunc('hour', began), date_trunc('hour', ended - INTERVAL 1 MICROSECOND),
                                     INTERVAL 1 HOUR)) AS x_Hour
    FROM unmetered_spans
),
longest AS (
    SELECT resource_key, x_Hour,
           max(part * (epoch_us(least(ended, x_Hour + INTERVAL 1 HOUR)) - epoch_us(greatest(began, x_Hour)))) AS unseen
    FROM hours
    GROUP BY resource_key, x_Hour
),
times AS (
    SELECT resource_key, sum(unseen) AS unseen FROM longest GROUP BY resource_key
)
SELECT c.BillingCurrency, coalesce(r.x_Node, r.x_MeteredId, r.x_Account, c.resource_key), r.x_MeteredId, c.services,
       r.x_Account, t.unseen, c.cost
FROM costs AS c
LEFT JOIN times AS t ON t.resource_key = c.resource_key
LEFT JOIN resources AS r ON r.x_ResourceNo = c.x_ResourceNo
ORDER BY c.BillingCurrency, c.cost DESC NULLS LAST, c.resource_key
"""


@dataclass(frozen=True, slots=True)
class PartlyMetered:
    """A resource of which meters do not tell the whole, and the money that this concerns.

    `hours` are those in which a machine of unknown size was used, those in which more was used than there is, or the
    charged ones in which no meter looked; `gpu` and `cpu` are seconds that workloads held in them. What does not apply
    is None.
    """

    currency: str
    name: str
    id: str | None
    services: str | None
    account: str | None
    cost: Amount
    hours: Fraction | None
    why: str
    workloads: int | None = None
    gpu: Decimal | None = None
    cpu: Decimal | None = None


def unsized(asked: Asked) -> Iterator[PartlyMetered]:
    """Machines of unknown size with what those that used them pay for: all but the unmetered time, the costliest first.

    `open_sizes` must have been called.
    """
    for currency, name, key, services, account, workloads, hours, gpu, cpu, cost, kind, measures in _rows(
        asked, UNSIZED, "<>"
    ):
        seen = None if hours is None else Fraction(hours)
        why = _size_wanted(kind, [_WORDS[Measure(each)] for each in measures])
        yield PartlyMetered(currency, name, key, services, account, cost, seen, why, workloads, gpu, cpu)


def _size_wanted(instance_type: str | None, of: list[str]) -> str:
    """What is not known, what follows from it, and what to do."""
    what = f"Nobody says how much there is of its {' and '.join(sorted(of))}, so none of that counts as idle"
    if instance_type:
        return f'{what}: say it in [metering.machines."{instance_type}"], or read capacity samples.'
    return f"{what}: let its meter name the instance type, for [metering.machines], or read capacity samples."


def overused(asked: Asked) -> Iterator[PartlyMetered]:
    """Machines of which more was held than they have, with what those that used them pay for, the costliest first.

    `open_sizes` must have been called.
    """
    for currency, name, key, services, account, workloads, hours, gpu, cpu, cost, worst in _rows(asked, OVERUSED, "<>"):
        held, most = (plain(round(worst[which] / 3600, 2)) for which in ("held", "most"))
        why = (
            f"Up to {held} {_WORDS[Measure(worst['measure'])]} of {most} were held in an hour, so the parts were scaled"
            " down: look at quantities and units, and at the size of the machine."
        )
        yield PartlyMetered(currency, name, key, services, account, cost, Fraction(hours), why, workloads, gpu, cpu)


def unmetered(asked: Asked) -> Iterator[PartlyMetered]:
    """Resources with time in which no meter looked, and what that time cost, the costliest first."""
    _open_hours(asked)
    why = "No meter looked then: that time belongs to whom tags and rules name for it."
    for currency, name, key, services, account, unseen, cost in _rows(asked, UNMETERED, "="):
        hours = None if unseen is None else Fraction(int(unseen), _BILLION * _HOUR)
        yield PartlyMetered(currency, name, key, services, account, cost, hours, why)


def _rows(asked: Asked, sql: str, sign: str) -> Iterator[tuple[Any, ...]]:
    chosen, values = condition(asked.filters)
    yield from asked.db.rows(sql.format(metric=quoted(asked.metric), sign=sign, chosen=chosen), values or None)


def _open_hours(asked: Asked) -> None:
    asked.db.run(NO_HOURS)
    for place, part in enumerate(parts_of(asked), 1):
        charges = asked.store.snapshot(part.snapshot_id).charges
        paths = {"charges_of": charges, "shares_of": part.shares, "owners_of": part.owners}
        for name, path in paths.items():
            asked.db.read_parquet(name, [asked.store.checked(path)])
        asked.db.run(ADD_HOURS, {"part": place})
