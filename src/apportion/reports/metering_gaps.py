"""Where bill and meters do not meet: usage without a charge, charges without usage, and charges that fit several.

- Usage without a charge: a resource that a workload used and that no charge of the asked months is for; or usage that
  names no resource, of workloads that have no charge either.
- A charge without usage: a usage charge of a resource that no meter knows, where its like is metered, or of a machine
  type with GPUs. What the bill itself names as a job or endpoint is not one. The like of a charge is metered where
  - a charge of the same provider, service and type of resource met a meter; or
  - meters know a resource without a charge whose id begins as this one's does (`i-…`, `vol-…`); or
  - meters know a machine without a charge, the charge is of ServiceCategory Compute, and no such charge of its provider
    met a meter. A machine is of the provider that its meter names; of any where bills have no Compute of that name.
  By the last two a whole class that no longer meets its meter is listed with its money, not only with its hours.
- An ambiguous charge: it fits several metered resources equally well, so it was divided by none.
- Size unknown: a machine of which neither a capacity sample nor its instance type says how much there is, so that those
  who used it pay for all of it. Its money is without unmetered time.
- More used than there is: a machine of which workloads held more GPUs or cores in an hour than it has.
- Unmetered time: of a metered resource, the charged time in which no meter looked.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.core.measures import Measure
from apportion.core.tables import quoted
from apportion.ledger.filters import condition
from apportion.metering.machines import machine_of
from apportion.metering.usage import RESOURCE_KEY
from apportion.reports.reading.change import added, rounded
from apportion.reports.reading.contract import Answer, Asked, Column, Kind, Report, Row, Section
from apportion.reports.reading.metered import open_metered, parts_of
from apportion.reports.reading.partly_metered import PartlyMetered, overused, unmetered, unsized
from apportion.reports.reading.places import open_places
from apportion.reports.reading.remarks import NO_METER, missing_metric
from apportion.reports.reading.sizes import open_sizes
from apportion.reports.reading.work import in_hours

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from apportion.core.config import MeteringConfig

USAGE_GAP, CHARGE_GAP, AMBIGUOUS = "usage without a charge", "charge without usage", "ambiguous charge"
UNSIZED, OVERUSED, UNMETERED = "size unknown", "more used than there is", "unmetered time"

NOTHING = "Every metered resource has a charge, and no charge of its like is without usage."

_TEXTS = (
    *("ResourceId", "ResourceName", "ResourceType", "SkuMeter", "ChargeDescription", "ChargeCategory"),
    *("ServiceProviderName", "ServiceName", "ServiceCategory", "SubAccountId"),
)
# How the last part of an AWS id begins: i-, vol-, nat-. It says what kind of resource it is where the bill does not.
_PREFIX = "regexp_extract(lower({column}), '(?:^|[/:])([a-z-]+)-[0-9a-f]{{8,}}$', 1)"
_BILLED_PREFIX, _METERED_PREFIX = (_PREFIX.format(column=column) for column in ("ResourceId", "x_MeteredId"))

CHARGES = f"""
CREATE OR REPLACE TEMP TABLE charge_places AS
SELECT t.*, coalesce(lower(ResourceType), {_BILLED_PREFIX}, '') AS resource_type, {_BILLED_PREFIX} AS id_prefix,
       p.candidates, p.resource_key
FROM texts AS t
LEFT JOIN places AS p ON p.x_PartNo = t.x_PartNo AND p.x_AttributeNo = t.x_AttributeNo
"""

METERED_LIKE = """
CREATE OR REPLACE TEMP TABLE metered_like AS
SELECT DISTINCT ServiceProviderName, ServiceName, resource_type FROM charge_places WHERE candidates = 1
"""

UNCHARGED = f"""
CREATE OR REPLACE TEMP TABLE uncharged AS
WITH keys AS (
    SELECT *, {RESOURCE_KEY} AS resource_key, {_METERED_PREFIX} AS id_prefix
    FROM resources
    WHERE x_Family IS NOT NULL
)
SELECT * FROM keys WHERE resource_key NOT IN (SELECT resource_key FROM places WHERE resource_key IS NOT NULL)
"""

# A family of 1 is a machine's.
UNJOINED_COMPUTE = """
CREATE OR REPLACE TEMP TABLE unjoined_compute AS
WITH compute AS (
    SELECT ServiceProviderName, coalesce(bool_or(candidates = 1), false) AS joined
    FROM charge_places
    WHERE ServiceCategory = 'Compute'
    GROUP BY ServiceProviderName
),
machines AS (
    SELECT DISTINCT c.ServiceProviderName
    FROM uncharged AS u
    LEFT JOIN compute AS c ON lower(c.ServiceProviderName) = lower(u.x_Provider)
    WHERE u.x_Family = 1
)
SELECT c.ServiceProviderName
FROM compute AS c
JOIN machines AS m ON m.ServiceProviderName IS NULL OR m.ServiceProviderName = c.ServiceProviderName
WHERE NOT c.joined
"""

MACHINE_TEXTS = "SELECT DISTINCT SkuMeter, ChargeDescription FROM charge_places WHERE candidates IS NULL ORDER BY ALL"

CHARGE_GAPS = f"""
SELECT c.BillingCurrency,
       CASE WHEN a.candidates > 1 THEN '{AMBIGUOUS}' ELSE '{CHARGE_GAP}' END AS gap,
       coalesce(a.ResourceName, a.ResourceId, a.SubAccountId) AS resource, a.ResourceId, a.ServiceName, a.SubAccountId,
       max(a.candidates), bool_or(g.SkuMeter IS NOT NULL OR g.ChargeDescription IS NOT NULL),
       bool_or(l.ServiceName IS NOT NULL), SUM(c.{{metric}}) AS cost
FROM (SELECT * FROM charged WHERE {{chosen}}) AS c
JOIN charge_places AS a ON a.x_PartNo = c.x_PartNo AND a.x_AttributeNo = c.x_AttributeNo
LEFT JOIN metered_like AS l ON l.ServiceProviderName IS NOT DISTINCT FROM a.ServiceProviderName
 AND l.ServiceName = a.ServiceName AND l.resource_type = a.resource_type
LEFT JOIN gpu_texts AS g ON g.SkuMeter IS NOT DISTINCT FROM a.SkuMeter
 AND g.ChargeDescription IS NOT DISTINCT FROM a.ChargeDescription
WHERE a.candidates > 1 OR (
    a.candidates IS NULL AND c.x_WorkloadKind IS NULL AND a.ChargeCategory = 'Usage' AND a.ResourceId IS NOT NULL
    AND (l.ServiceName IS NOT NULL OR g.SkuMeter IS NOT NULL OR g.ChargeDescription IS NOT NULL
         OR a.id_prefix IN (SELECT id_prefix FROM uncharged WHERE id_prefix <> '')
         OR (a.ServiceCategory = 'Compute' AND coalesce(a.ServiceProviderName, '') IN (
                SELECT coalesce(ServiceProviderName, '') FROM unjoined_compute))))
GROUP BY ALL
ORDER BY c.BillingCurrency, gap, cost DESC NULLS LAST, resource, a.ResourceId, a.ServiceName, a.SubAccountId
"""

USAGE_GAPS = f"""
SELECT coalesce(a.x_Node, a.x_MeteredId, a.x_Account) AS resource, a.x_MeteredId, a.x_Account,
       count(DISTINCT w.x_WorkloadId), count(DISTINCT h.x_Hour),
       sum(h.quantity) FILTER (WHERE h.x_Measure = '{Measure.GPU_SECONDS}'),
       sum(h.quantity) FILTER (WHERE h.x_Measure = '{Measure.CPU_CORE_SECONDS}')
FROM uncharged AS a
JOIN work_hours AS h ON h.x_ResourceNo = a.x_ResourceNo
JOIN workloads AS w ON w.x_WorkloadNo = h.x_WorkloadNo
GROUP BY a.resource_key, resource, a.x_MeteredId, a.x_Account
ORDER BY 6 DESC NULLS LAST, 5 DESC, resource, a.x_MeteredId, a.x_Account
"""

NOWHERE = f"""
SELECT count(DISTINCT w.x_WorkloadId), count(DISTINCT h.x_Hour),
       sum(h.quantity) FILTER (WHERE h.x_Measure = '{Measure.GPU_SECONDS}'),
       sum(h.quantity) FILTER (WHERE h.x_Measure = '{Measure.CPU_CORE_SECONDS}')
FROM work_hours AS h
JOIN workloads AS w ON w.x_WorkloadNo = h.x_WorkloadNo
WHERE h.x_ResourceNo IS NULL
  AND w.x_WorkloadId NOT IN (SELECT x_WorkloadId FROM charged WHERE x_WorkloadId IS NOT NULL)
"""


def _answer(asked: Asked) -> Answer:
    open_metered(asked)
    config = open_places(asked)
    open_sizes(asked, config)
    _open_charges(asked)
    found: dict[str, list[Row]] = {}
    for currency, row in (*_charge_gaps(asked), *_partly_metered(asked, config)):
        found.setdefault(currency, []).append(row)
    unbilled = list(_usage_gaps(asked)) if not asked.filters else []
    if unbilled:
        found.setdefault(asked.currency, [])
    ordered = sorted(found, key=lambda currency: (currency != asked.currency, currency))
    sections = tuple(
        _section(currency, [*(unbilled if place == 0 else ()), *found[currency]])
        for place, currency in enumerate(ordered)
    )
    notes = (*_unknown(asked, sections), *(missing_metric(asked) if sections else ()))
    return Answer(REPORT.title, asked.period, asked.metric, sections, notes)


def _unknown(asked: Asked, sections: Sequence[Section]) -> Iterator[str]:
    """What has to be said where no meter was read, or where there is nothing to list."""
    if not asked.run.usages:
        yield NO_METER
    elif not any(usage.period in asked.period for usage in asked.run.usages):
        yield f"No meter knows anything of {asked.period}."
    elif not sections:
        yield "No gap matches these filters." if asked.filters else NOTHING


def _partly_metered(asked: Asked, config: MeteringConfig) -> Iterator[tuple[str, Row]]:
    """Machines of unknown size, unless idle time is to be paid by workloads anyway; overused ones; unmetered time."""
    for each in unsized(asked) if config.idle != "workloads" else ():
        yield each.currency, _partly_row(UNSIZED, each)
    for each in overused(asked):
        yield each.currency, _partly_row(OVERUSED, each)
    for each in unmetered(asked):
        yield each.currency, _partly_row(UNMETERED, each)


def _partly_row(gap: str, each: PartlyMetered) -> Row:
    hours = None if each.hours is None else rounded(each.hours)
    held = (in_hours(Fraction(seconds) if seconds is not None else None) for seconds in (each.gpu, each.cpu))
    named = (each.name, each.id, each.services, each.account)
    return (gap, *named, each.workloads, hours, *held, each.cost, each.why)


def _open_charges(asked: Asked) -> None:
    """The tables that gaps are read from: the texts of charges and where they were found, what is like metered.

    These are `charge_places`, `metered_like`, `uncharged` (resources without a charge), `unjoined_compute` (providers)
    and `gpu_texts` (machines with GPUs).
    """
    selects = []
    for place, part in enumerate(parts_of(asked), 1):
        path = asked.store.checked(asked.store.snapshot(part.snapshot_id).attributes)
        asked.db.read_parquet(f"texts_of_{place}", [path])
        texts = ", ".join(_TEXTS)
        selects.append(f"SELECT {place} AS x_PartNo, x_AttributeNo, {texts} FROM texts_of_{place}")
    asked.db.run(f"CREATE OR REPLACE TEMP VIEW texts AS {' UNION ALL '.join(selects)}")
    for statement in (CHARGES, METERED_LIKE, UNCHARGED, UNJOINED_COMPUTE):
        asked.db.run(statement)
    found = [(meter, words) for meter, words in asked.db.rows(MACHINE_TEXTS) if _names_gpus(meter, words)]
    columns = [pa.array([row[at] for row in found], pa.string()) for at in (0, 1)]
    asked.db.register("gpu_texts", pa.Table.from_arrays(columns, names=["SkuMeter", "ChargeDescription"]))


def _names_gpus(*texts: str | None) -> bool:
    """Whether a word of the texts is a machine type with GPUs.

    >>> _names_gpus("BoxUsage:p4d.24xlarge", None), _names_gpus("BoxUsage:m5.large", "m5 instances")
    (True, False)
    """
    words = [word for text in texts if text for word in re.split(r"[\s:/,()]+", text) if word]
    return any(machine is not None and machine.gpus > 0 for machine in map(machine_of, words))


def _charge_gaps(asked: Asked) -> Iterator[tuple[str, Row]]:
    chosen, values = condition(asked.filters)
    sql = CHARGE_GAPS.format(metric=quoted(asked.metric), chosen=chosen)
    for currency, gap, *named, candidates, gpus, like, cost in asked.db.rows(sql, values or None):
        yield currency, (gap, *named, *[None] * 4, cost, _why(gap, candidates, gpus=gpus, like=like))


def _why(gap: str, candidates: int | None, *, gpus: bool, like: bool) -> str:
    if gap == AMBIGUOUS:
        return f"It fits {candidates} metered resources equally well: say which in [metering.nodes]."
    if gpus:
        return "It is a machine with GPUs, and no meter knows it."
    if like:
        return "Others of its kind are metered."
    return (
        "Meters know resources of its kind that no charge is for: compare their ids, or say them in [metering.nodes]."
    )


def _usage_gaps(asked: Asked) -> Iterator[Row]:
    for resource, key, account, workloads, hours, gpu, cpu in asked.db.rows(USAGE_GAPS):
        why = "No charge of these months is for it."
        yield _usage_row(resource, key, account, (workloads, hours, gpu, cpu), why)
    ((workloads, hours, gpu, cpu),) = asked.db.rows(NOWHERE)
    if workloads:
        why = "Its meter does not say which resource it used."
        yield _usage_row("no resource named", None, None, (workloads, hours, gpu, cpu), why)


def _usage_row(
    resource: str,
    key: str | None,
    account: str | None,
    figures: tuple[int, int, Decimal | None, Decimal | None],
    why: str,
) -> Row:
    workloads, hours, *seconds = figures
    held = (in_hours(Fraction(each) if each is not None else None) for each in seconds)
    return (USAGE_GAP, resource, key, None, account, workloads, Decimal(hours), *held, None, why)


def _section(currency: str, rows: Sequence[Row]) -> Section:
    columns = (
        Column("gap", "Gap", Kind.TEXT),
        Column("resource", "Resource", Kind.TEXT),
        Column("id", "Id", Kind.TEXT, detail=True),
        Column("service", "Service", Kind.TEXT),
        Column("account", "Account", Kind.TEXT, detail=True),
        Column("workloads", "Workloads", Kind.COUNT),
        Column("hours", "Hours", Kind.QUANTITY, "hours"),
        Column("gpu_hours", "GPU-hours", Kind.QUANTITY, "GPU-hours"),
        Column("cpu_hours", "CPU-hours", Kind.QUANTITY, "core-hours", detail=True),
        Column("cost", "Cost", Kind.MONEY, currency),
        Column("why", "Why", Kind.TEXT),
    )
    costs: Mapping[int, Decimal] = {at: row[9] for at, row in enumerate(rows) if isinstance(row[9], Decimal)}
    return Section(currency, columns, tuple(rows), ("Total", *[None] * 8, added(list(costs.values())), None))


REPORT = Report("metering_gaps", "Where bills and meters do not meet", _answer)
