"""What was paid for and used by nobody: on which machine or resource, how much, and whose it is.

Capacity is what the meters say a resource had to give, else the size of its machine in the hours in which a meter saw
it. Idle hours are counted hour by hour: an hour in which more was held than there is does not make up for an idle one.
What was held is as `[metering] basis` says. The money is that of the pieces of kind `idle`, so it adds up exactly.

A filter by team means the host team here: whose machine it is, by tags and rules, for nobody held what was idle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.core.tables import quoted
from apportion.ledger.filters import condition
from apportion.ledger.lenses import CostKind
from apportion.metering.statements import EFFECTIVE
from apportion.reports.reading.amounts import rounded_text
from apportion.reports.reading.change import Amount, added, ratio
from apportion.reports.reading.contract import RATIO, Answer, Asked, Column, Kind, Report, Row, Section
from apportion.reports.reading.metered import open_metered
from apportion.reports.reading.places import open_places
from apportion.reports.reading.remarks import NO_METER, bounds, missing_metric
from apportion.reports.reading.sizes import open_sizes
from apportion.reports.reading.work import in_hours

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from apportion.core.config import MeteringConfig

_COUNTED = (Measure.GPU_SECONDS, Measure.CPU_CORE_SECONDS)
_LISTED = ", ".join(f"'{measure}'" for measure in _COUNTED)

HOURS = f"""
WITH bases AS (
    SELECT x_ResourceNo, x_WorkloadNo, x_Hour, x_Measure,
           sum(x_Quantity) FILTER (WHERE x_Basis = '{Basis.REQUESTED}') AS requested,
           sum(x_Quantity) FILTER (WHERE x_Basis = '{Basis.USED}') AS used,
           sum(x_Quantity) FILTER (WHERE x_Basis = '{Basis.ESTIMATED}') AS estimated
    FROM usage
    WHERE x_WorkloadNo IS NOT NULL AND x_ResourceNo IS NOT NULL AND x_Measure IN ({_LISTED})
    GROUP BY ALL
),
held AS (
    SELECT x_ResourceNo, x_Hour, x_Measure, sum({EFFECTIVE}) AS quantity FROM bases GROUP BY ALL
),
said AS (
    SELECT x_ResourceNo, x_Hour, x_Measure, max(x_Quantity) AS quantity
    FROM usage
    WHERE x_WorkloadNo IS NULL AND x_ResourceNo IS NOT NULL AND x_Measure IN ({_LISTED})
    GROUP BY ALL
),
seen AS (
    SELECT x_ResourceNo, x_Hour, max(x_Coverage) AS coverage
    FROM usage WHERE x_ResourceNo IS NOT NULL GROUP BY ALL
),
sized AS (
    SELECT s.x_ResourceNo, s.x_Hour, z.x_Measure, CAST(z.size * 3600 * s.coverage AS DECIMAL(38,9)) AS quantity
    FROM seen AS s
    JOIN machine_sizes AS z ON z.x_ResourceNo = s.x_ResourceNo AND z.x_Measure IN ({_LISTED})
),
capacity AS (
    SELECT x_ResourceNo, x_Hour, x_Measure, coalesce(d.quantity, z.quantity) AS quantity
    FROM said AS d
    FULL JOIN sized AS z USING (x_ResourceNo, x_Hour, x_Measure)
)
SELECT c.x_ResourceNo, c.x_Measure, sum(c.quantity), sum(greatest(c.quantity - coalesce(h.quantity, 0), 0))
FROM capacity AS c
LEFT JOIN held AS h ON h.x_ResourceNo = c.x_ResourceNo AND h.x_Hour = c.x_Hour AND h.x_Measure = c.x_Measure
GROUP BY c.x_ResourceNo, c.x_Measure
ORDER BY c.x_ResourceNo, c.x_Measure
"""

COSTS = f"""
SELECT c.BillingCurrency, p.resource_key, p.x_ResourceNo, list_sort(list_distinct(list(c.x_HostTeam))),
       SUM(c.{{metric}}) FILTER (WHERE c.x_WorkloadKind = '{WorkloadKind.IDLE}'), SUM(c.{{metric}})
FROM (SELECT * FROM charged WHERE x_WorkloadKind IS NOT NULL AND {{chosen}}) AS c
LEFT JOIN places AS p ON p.x_PartNo = c.x_PartNo AND p.x_AttributeNo = c.x_AttributeNo AND p.candidates = 1
GROUP BY c.BillingCurrency, p.resource_key, p.x_ResourceNo
HAVING bool_or(c.x_WorkloadKind = '{WorkloadKind.IDLE}')
ORDER BY c.BillingCurrency, p.resource_key
"""

GIVEN = f"""
SELECT BillingCurrency, SUM({{metric}})
FROM taken_rows
WHERE x_CostKind = '{CostKind.IDLE}' AND date_trunc('month', BillingPeriodStart) BETWEEN $first AND $last
GROUP BY BillingCurrency
ORDER BY BillingCurrency
"""

UNSIZED_COUNT = "SELECT count(*) FROM unsized WHERE resource_key IN (SELECT resource_key FROM places)"

RESOURCES = """
SELECT x_ResourceNo, coalesce(x_Node, x_MeteredId, x_Account), x_MeteredId, x_Cluster, x_InstanceType
FROM resources
ORDER BY x_ResourceNo
"""


@dataclass(frozen=True, slots=True)
class _Place:
    """A resource as its meter names it, with its capacity and idle time by measure, in seconds."""

    name: str
    id: str | None
    cluster: str | None
    instance_type: str | None
    hours: dict[str, tuple[Fraction, Fraction]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _IdleCost:
    """What was idle of all that a resource cost, and the teams whose it is; `no` is None for an unknown resource."""

    no: int | None
    key: str | None
    teams: tuple[str, ...]
    idle: Amount
    cost: Amount


_UNKNOWN = _Place("unknown", None, None, None)


def _answer(asked: Asked) -> Answer:
    open_metered(asked)
    config = open_places(asked)
    open_sizes(asked, config)
    places = _places(asked, config)
    chosen, values = _condition(asked)
    found: dict[str, list[_IdleCost]] = {}
    sql = COSTS.format(metric=quoted(asked.metric), chosen=chosen)
    for currency, key, no, teams, idle, cost in asked.db.rows(sql, values or None):
        found.setdefault(currency, []).append(_IdleCost(no, key, tuple(teams), idle, cost))
    ordered = sorted(found, key=lambda currency: (currency != asked.currency, currency))
    sections = tuple(_section(currency, found[currency], places) for currency in ordered)
    notes = [*(missing_metric(asked) if sections else [_nothing(asked, config)])]
    notes += [*_unsized(asked, config), *_given(asked)]
    return Answer(REPORT.title, asked.period, asked.metric, sections, tuple(notes))


def _condition(asked: Asked) -> tuple[str, dict[str, list[str]]]:
    """The filters of the question, the one by team over the team of the machine."""
    chosen, values = condition({field: wanted for field, wanted in asked.filters.items() if field != "team"})
    if "team" not in asked.filters:
        return chosen, values
    return f"{chosen} AND x_HostTeam IN (SELECT unnest($host_team))", values | {"host_team": [*asked.filters["team"]]}


def _nothing(asked: Asked, config: MeteringConfig) -> str:
    if config.idle == "workloads":
        return 'Nothing is idle, for [metering] idle = "workloads" spreads it over those that used the resources.'
    if asked.filters:
        return "No idle cost matches these filters; --team is here whose machine it is."
    if not asked.run.usages:
        return NO_METER
    return "Nothing was idle on any metered resource."


def _unsized(asked: Asked, config: MeteringConfig) -> Iterator[str]:
    """A sentence where idle capacity cannot be known."""
    ((count,),) = asked.db.rows(UNSIZED_COUNT)
    if count and config.idle != "workloads":
        of = "1 metered machine is" if count == 1 else f"{count} metered machines is"
        yield f"The size of {of} not known, so not all that was idle there is seen: see --by metering-gaps."


def _given(asked: Asked) -> Iterator[str]:
    """A sentence per currency in which pools gave idle cost on; it stands here whoever has it in the end."""
    for currency, amount in asked.db.rows(GIVEN.format(metric=quoted(asked.metric)), bounds(asked)):
        told = rounded_text(amount or Decimal(0), currency)
        yield f"Pools gave {told} {currency} of all that was idle on to others: see --by flow."


def _places(asked: Asked, config: MeteringConfig) -> Mapping[int, _Place]:
    found = {no: _Place(name, key, cluster, kind) for no, name, key, cluster, kind in asked.db.rows(RESOURCES)}
    for no, measure, capacity, idle in asked.db.rows(HOURS, {"basis": config.basis}):
        found[no].hours[measure] = (Fraction(capacity), Fraction(idle))
    return found


def _section(currency: str, found: Sequence[_IdleCost], places: Mapping[int, _Place]) -> Section:
    listed = [(_UNKNOWN if each.no is None else places.get(each.no, _UNKNOWN), each) for each in found]
    rows = [_row(place, each) for place, each in sorted(listed, key=_order)]
    idle, cost = added([each.idle for each in found]), added([each.cost for each in found])
    hours = [hour for measure in _COUNTED for hour in _total_hours([place for place, _ in listed], measure)]
    total = ("Total", *[None] * 4, *hours, idle, cost, ratio(idle, cost))
    return Section(currency, _columns(currency), tuple(rows), total)


def _order(listed: tuple[_Place, _IdleCost]) -> tuple[Decimal, str, str]:
    place, each = listed
    return ((each.idle or Decimal(0)).copy_negate(), place.name, each.key or "")


def _row(place: _Place, each: _IdleCost) -> Row:
    hours = [hour for measure in _COUNTED for hour in _total_hours([place], measure)]
    return (
        place.name if place is not _UNKNOWN else each.key or place.name,
        place.id,
        place.cluster,
        place.instance_type,
        ", ".join(each.teams) or None,
        *hours,
        each.idle,
        each.cost,
        ratio(each.idle, each.cost),
    )


def _total_hours(places: Sequence[_Place], measure: Measure) -> tuple[Decimal | None, Decimal | None]:
    known = [place.hours[measure] for place in places if measure in place.hours]
    if not known:
        return None, None
    capacity, idle = (sum((each[at] for each in known), Fraction(0)) for at in (0, 1))
    return in_hours(capacity), in_hours(idle)


def _columns(currency: str) -> tuple[Column, ...]:
    return (
        Column("resource", "Node or resource", Kind.TEXT),
        Column("id", "Id", Kind.TEXT, detail=True),
        Column("cluster", "Cluster", Kind.TEXT),
        Column("instance_type", "Machine", Kind.TEXT, detail=True),
        Column("host_team", "Whose", Kind.TEXT),
        Column("gpu_capacity_hours", "GPU-hours", Kind.QUANTITY, "GPU-hours"),
        Column("gpu_idle_hours", "GPU idle", Kind.QUANTITY, "GPU-hours"),
        Column("cpu_capacity_hours", "CPU-hours", Kind.QUANTITY, "core-hours"),
        Column("cpu_idle_hours", "CPU idle", Kind.QUANTITY, "core-hours"),
        Column("idle_cost", "Idle cost", Kind.MONEY, currency),
        Column("cost", "Of", Kind.MONEY, currency),
        Column("idle_share", "Share", Kind.SHARE, RATIO),
    )


REPORT = Report("idle", "Idle capacity", _answer)
