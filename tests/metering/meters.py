"""Small clusters and bills for the tests of metering: samples and charges in, shares and their owners out."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
from tests.tagging.bills import config as tag_config
from tests.tagging.bills import row as attribute_row
from tests.tagging.bills import write as write_attributes

from apportion.allocation import owners
from apportion.core import tables
from apportion.core.arrow import schema
from apportion.core.config import MeteringConfig
from apportion.core.measures import Basis, Measure, Rank, WorkloadKind
from apportion.core.period import Month
from apportion.engine import duck
from apportion.ledger.metered import share_out
from apportion.metering.usage import Readings, usage_of
from apportion.metering.workload_rows import write_rows
from apportion.sources.readings import cutting
from apportion.sources.readings.columns import FileOfSamples, Subjects
from apportion.sources.readings.contract import Resource, Sample, Workload
from apportion.store.records import Part
from apportion.tagging.resolve import resolve

START = datetime(2026, 10, 1)
HOUR = timedelta(hours=1)
NODE = Resource(id="i-0abc", node="node-1", cluster="east")
KIND = WorkloadKind.TRAINING_JOB


def at(hour, day=1, minute=0):
    """A moment of October 2026, naive UTC; hours and days may run on."""
    return START + timedelta(days=day - 1, hours=hour, minutes=minute)


def job(work_id, **known):
    """A workload of that id."""
    return Workload(**{"id": work_id, "kind": KIND, "name": work_id} | known)


def used(work, start, end, quantity, measure=Measure.GPU_SECONDS, **given):
    """A sample of a job (by id or whole) on `NODE`, requested unless said otherwise."""
    work = job(work) if isinstance(work, str) else work
    parts = {"resource": NODE, "basis": Basis.REQUESTED, "row": 1} | given
    return Sample(workload=work, measure=measure, quantity=Decimal(quantity), start=start, end=end, **parts)


def capacity(start, end, quantity, measure=Measure.GPU_SECONDS, **given):
    """What `NODE` had to give."""
    return used(None, start, end, quantity, measure, basis=Basis.CAPACITY, **given)


def gpus(work, start, end, count, **given):
    """So many GPUs held from start to end."""
    return used(work, start, end, Decimal(count) * Decimal((end - start).total_seconds()), **given)


def has_gpus(start, end, count, **given):
    """So many GPUs there were."""
    return capacity(start, end, Decimal(count) * Decimal((end - start).total_seconds()), **given)


@dataclass(frozen=True)
class Meter:
    """One delivered file of one source."""

    samples: list[Sample]
    source_id: str = "meter"
    rank: Rank = Rank.CLUSTER
    complete: bool = False
    read_at: datetime | None = None


@dataclass(frozen=True)
class Charges:
    """One attribute row and the times (start, end) of its charges; `columns` are more of the row."""

    times: list[tuple[datetime, datetime]]
    resource: str | None = "i-0abc"
    tags: dict = field(default_factory=dict)
    columns: dict = field(default_factory=dict)


def hourly(start, end, **given):
    """A charge for each hour."""
    hours = int((end - start) / HOUR)
    return Charges([(start + no * HOUR, start + (no + 1) * HOUR) for no in range(hours)], **given)


def whole(start, end, **given):
    """One charge."""
    return Charges([(start, end)], **given)


@contextmanager
def session(threads=1):
    """A small session of the engine."""
    with duck.session(memory="500MB", threads=threads) as db:
        yield db


def readings(db, meters, folder):
    """Month -> what each meter's file says of it, cut as the intake does."""
    found = {}
    for no, meter in enumerate(meters):
        taken = FileOfSamples(Subjects()).take(meter.samples, read_at=meter.read_at)
        assert not taken.faults
        db.register("raw_samples", taken.table)
        db.register("all_subjects", taken.subjects.table)
        for month in cutting.months(db):
            place = folder / f"read-{no}-{month}"
            place.mkdir(parents=True)
            cutting.write(db, month, place)
            files = place / "samples.parquet", place / "subjects.parquet"
            found.setdefault(month, []).append(Readings(meter.source_id, meter.rank, meter.complete, *files))
        db.connection.unregister("all_subjects")
    return found


def usage_parts(meters, folder, settings=None, threads=1):
    """The usage of every month that the meters know, as the ledger keeps it; whose it is only with settings."""
    parts = []
    with session(threads) as db:
        for month, several in sorted(readings(db, meters, folder).items()):
            place = folder / f"usage-{month}"
            place.mkdir()
            made = usage_of(db, several, place, nodes=settings.metering.nodes if settings else {})
            if settings is not None:
                write_rows(db, made.workloads, settings.tags.keys, place / "rows.parquet")
                pq.write_table(resolve(db, place / "rows.parquet", settings), place / "held.parquet")
            parts.append(Part(f"part-{month}", "none", month, {}, place))
    return parts


def usage(folder, *meters):
    """The rows of `usage` with the workload's id, the resource's key and the source's id beside them."""
    found = []
    for part in usage_parts(meters, folder):
        read = {name: pq.read_table(part.folder / f"{name}.parquet").to_pylist() for name in _TABLES}
        works = {row["x_WorkloadNo"]: row["x_WorkloadId"] for row in read["workloads"]}
        sources = {row["x_SourceNo"]: row["x_SourceId"] for row in read["meters"]}
        found += [
            row | {"work": works.get(row["x_WorkloadNo"]), "source": sources[row["x_SourceNo"]]}
            for row in read["usage"]
        ]
    return found


_TABLES = ("usage", "workloads", "meters")


def told(folder, *meters, table="workloads"):
    """The rows of `workloads` or `resources` of October."""
    (part,) = usage_parts(meters, folder)
    return pq.read_table(part.folder / f"{table}.parquet").to_pylist()


@contextmanager
def woven(folder, meters, charges, *, metering=MeteringConfig(), settings=None, threads=1):  # noqa: B008
    """A session after the shares are made: `charges`, `shares` and `owners` (one row per share), `matches`."""
    settings = settings or tag_config()
    config = type(settings)(**{name: getattr(settings, name) for name in settings.__slots__} | {"metering": metering})
    folder.mkdir(parents=True, exist_ok=True)
    parts = usage_parts(meters, folder, config, threads)
    with session(threads) as db:
        rows = [attribute_row(one.tags, ResourceId=one.resource, **one.columns) for one in charges]
        attributes = write_attributes(folder, rows)
        db.read_parquet("attributes", [attributes])
        db.register("charges", _charges(charges))
        share_out(db, config, resolve(db, attributes, config), parts, folder)
        owners.write(db, shares=folder / "shares.parquet", owners=folder / "owners.parquet")
        db.read_parquet("stored_shares", [folder / "shares.parquet"])
        db.read_parquet("stored_owners", [folder / "owners.parquet"])
        yield db


def _charges(charges):
    made = [
        {"x_AttributeNo": number, "ChargePeriodStart": start, "ChargePeriodEnd": end}
        for number, one in enumerate(charges, 1)
        for start, end in one.times
    ]
    numbered = [{"x_ChargeNo": no} | each for no, each in enumerate(made, 1)]
    return pa.Table.from_pylist(numbered, schema=schema(tables.CHARGES))


_DIVIDED = """
SELECT c.x_ChargeNo, s.x_ShareLow, s.x_ShareHigh, s.x_ShareWhole, o.* EXCLUDE (x_OwnerNo)
FROM charges AS c
JOIN stored_shares AS s ON s.x_AttributeNo = c.x_AttributeNo
 AND c.ChargePeriodStart >= s.x_ValidFrom AND c.ChargePeriodStart < s.x_ValidUntil
JOIN stored_owners AS o ON o.x_OwnerNo = s.x_OwnerNo
ORDER BY c.x_ChargeNo, s.x_ShareLow
"""


def divided(folder, meters, charges, **given):
    """Charge number (from 1, in order) -> its shares as dicts, by place; they must tile the charge's whole."""
    meters, charges = (each if isinstance(each, list) else [each] for each in (meters, charges))
    with woven(folder, meters, charges, **given) as db:
        rows = db.table(_DIVIDED).to_pylist()
    count = sum(len(each.times) for each in charges)
    found = {number: [row for row in rows if row["x_ChargeNo"] == number] for number in range(1, count + 1)}
    for shares in found.values():
        assert shares[0]["x_ShareLow"] == 0
        assert all(one["x_ShareHigh"] == two["x_ShareLow"] for one, two in pairwise(shares))
        assert shares[-1]["x_ShareHigh"] == shares[-1]["x_ShareWhole"]
    return found


def holder(share):
    """Who a share is of: the workload's id, `idle`, `unmetered`, or `team:…` where nothing was metered."""
    if share["x_WorkloadKind"] is None:
        return f"team:{share['x_Team']}"
    return share["x_WorkloadId"] or share["x_WorkloadKind"]


def parts_of(shares):
    """Holder -> the part of the whole, as a fraction."""
    found = {}
    for share in shares:
        size = Fraction(share["x_ShareHigh"] - share["x_ShareLow"], share["x_ShareWhole"])
        found[holder(share)] = found.get(holder(share), 0) + size
    return found


def only_parts(folder, meters, charges, **given):
    """Holder -> part of the one charge, as rounded decimals that a person can read."""
    (shares,) = divided(folder, meters, charges, **given).values()
    return rounded(parts_of(shares))


def side_by_side(folder, cases, **given):
    """Name of a case -> holder -> part of one hour's charge, for samples that each case makes for a node of its own."""
    nodes = {name: Resource(id=f"i-{no}", node=f"n-{no}", cluster="east") for no, name in enumerate(cases)}
    samples = [replace(one, resource=nodes[name]) for name, several in cases.items() for one in several]
    bills = [whole(at(0), at(1), resource=node.id) for node in nodes.values()]
    found = divided(folder, Meter(samples), bills, **given).values()
    return {name: rounded(parts_of(shares)) for name, shares in zip(cases, found, strict=True)}


def rounded(parts):
    """Fractions as floats with eleven digits."""
    return {name: round(float(part), 11) for name, part in parts.items()}


def utc(text):
    """Naive UTC of an ISO moment with a zone."""
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)


OCTOBER = Month(2026, 10)
