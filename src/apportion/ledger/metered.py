"""The metering of a run: the usage of each month, calculated once, and the shares of bills with metered resources."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from apportion.core import tables
from apportion.core.config import version_of
from apportion.core.period import Month
from apportion.engine import duck
from apportion.metering import machines
from apportion.metering import shares as metered_shares
from apportion.metering.billed_rows import BILLED_VERSION, NAMED, billed
from apportion.metering.usage import RESOURCE_KEY, USAGE_VERSION, Readings, usage_of
from apportion.metering.workload_rows import ROWS_VERSION, write_rows
from apportion.sources import SOCKET
from apportion.store.records import Part
from apportion.tagging.resolve import RESOLVE_VERSION, resolve

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from apportion.core.config import Config
    from apportion.core.progress import Progress
    from apportion.engine.duck import DuckDb
    from apportion.store import Store
    from apportion.store.records import Run, Snapshot

_MEASURED = ("usage", "hours", "workloads", "resources", "meters")
_FILES = (*_MEASURED, "held")
_HALF = 16
"""Digits of each half of a usage part's id."""


@dataclass(frozen=True, slots=True)
class Metered:
    """The usage of every metered month, and the staging folders of those that are new."""

    parts: Mapping[Month, Part]
    staged: Mapping[str, Path]

    def of(self, store: Store, snapshot: Snapshot) -> tuple[Part, ...]:
        """The usage of the months that the snapshot's charges are of, oldest first."""
        if not self.parts:
            return ()
        months = months_of(store.checked(snapshot.charges))
        return tuple(self.parts[month] for month in sorted(self.parts) if month in months)


def version(config: Config, usages: Sequence[Part]) -> str:
    """What, beside bill and rules, decides the shares of a snapshot."""
    words = [BILLED_VERSION, machines.VERSION, config.metering_version]
    if usages:
        words += [metered_shares.SHARES_VERSION, metered_shares.settings_version(config.metering)]
        words += [*(part.id for part in usages)]
    return " ".join(words)


def metered(
    store: Store, config: Config, *, memory: str, progress: Progress, months: Collection[Month] | None = None
) -> Metered:
    """The usage of each month that meters know anything of; what was calculated before is reused.

    `months`: of these only (None: of all there are).
    """
    by_month = _readings_of(store, months)
    before = store.current_run()
    measured = {_measured_of(part.id): part for part in before.usages} if before else {}
    parts: dict[Month, Part] = {}
    staged: dict[str, Path] = {}
    for done, month in enumerate(sorted(by_month)):
        progress(f"metering {month}", done, len(by_month))
        readings = by_month[month]
        part_id = _part_id(month, readings, config)
        part = store.part(part_id)
        if part is None:
            folder = store.stage()
            _measure(store, config, readings, folder, measured.get(_measured_of(part_id)), memory=memory)
            _own(store, config, folder, memory=memory)
            part = Part(part_id, readings[-1].id, month, {}, folder)
            staged[part_id] = folder
        for file in part.stored:
            store.checked(part.folder / file.name)
        parts[month] = part
    return Metered(parts, staged)


def _readings_of(store: Store, months: Collection[Month] | None) -> dict[Month, list[Snapshot]]:
    """The deliveries of meters by month, in the order they came in."""
    by_month: dict[Month, list[Snapshot]] = {}
    for reading in store.current_readings():
        if months is None or reading.scope.period in months:
            by_month.setdefault(reading.scope.period, []).append(reading)
    return {m: sorted(some, key=lambda each: (each.created_at, each.scope)) for m, some in by_month.items()}


def covered(store: Store, snapshots: Sequence[Snapshot]) -> set[Month]:
    """The months whose usage the results of these bills depend on: their own, and those that their charges are of."""
    own = {snapshot.scope.period for snapshot in snapshots}
    return own.union(*(months_of(store.checked(snapshot.charges)) for snapshot in snapshots))


def measured_anew(store: Store, run: Run, config: Config, months: Collection[Month]) -> set[Month]:
    """Those of the months of which meters do not say any more, under the run's `config`, what the run measured."""
    then = {part.period: _measured_of(part.id) for part in run.usages if part.period in months}
    readings = _readings_of(store, months)
    now = {month: _measured_of(_part_id(month, of_month, config)) for month, of_month in readings.items()}
    return {month for month in {*then, *now} if then.get(month) != now.get(month)}


def _part_id(month: Month, readings: Sequence[Snapshot], config: Config) -> str:
    """Its first half says what was measured, its second who owns the workloads: a new rule does not measure anew."""
    ids = [reading.id for reading in readings]
    nodes = version_of(dict(config.metering.nodes))
    whole = [name for name, complete in sorted(_complete(config, readings).items()) if complete]
    halves = (str(month), *ids, nodes, *whole, USAGE_VERSION), (ROWS_VERSION, RESOLVE_VERSION, config.ownership_version)
    return "".join(hashlib.sha256("\n".join(words).encode()).hexdigest()[:_HALF] for words in halves)


def _measured_of(part_id: str) -> str:
    return part_id[:_HALF]


def _measure(
    store: Store, config: Config, readings: Sequence[Snapshot], folder: Path, same: Part | None, *, memory: str
) -> None:
    """Write what was used into the folder: taken over from a part in which the same was measured, else calculated."""
    if same is not None:
        for name in _MEASURED:
            shutil.copyfile(store.checked(same.folder / f"{name}.parquet"), folder / f"{name}.parquet")
        return
    with duck.session(memory=memory, temp=store.stage()) as db:
        complete = _complete(config, readings)
        found = [_reading(store, each, complete) for each in readings]
        usage_of(db, found, folder, nodes=config.metering.nodes)


def _own(store: Store, config: Config, folder: Path, *, memory: str) -> None:
    """Write whom tags and rules name for each of the folder's workloads."""
    work = store.stage()
    with duck.session(memory=memory, temp=work) as db:
        rows = work / "workloads.parquet"
        write_rows(db, folder / "workloads.parquet", config.tags.keys, rows)
        held = resolve(db, rows, config)
    pq.write_table(held, folder / "held.parquet", compression="zstd")


def _complete(config: Config, readings: Sequence[Snapshot]) -> dict[str, bool]:
    """Source id -> whether its files name all that ran: as its kind says or, where it is configured, its option."""
    configured = {each.id: each for each in config.sources}
    found: dict[str, bool] = {}
    for reading in readings:
        source, given = SOCKET.load(reading.kind), configured.get(reading.scope.source_id)
        found[reading.scope.source_id] = source.is_complete(given) if given else source.complete
    return found


def _reading(store: Store, snapshot: Snapshot, complete: Mapping[str, bool]) -> Readings:
    assert snapshot.samples is not None  # noqa: S101 - only readings come here
    source = SOCKET.load(snapshot.kind)
    return Readings(
        snapshot.scope.source_id,
        source.rank,
        complete[snapshot.scope.source_id],
        store.checked(snapshot.samples),
        store.checked(snapshot.subjects),
    )


def months_of(charges: Path) -> set[Month]:
    """The months from the first charge's start to the last one's end, from the statistics of the file."""
    metadata = pq.read_metadata(charges)
    said: dict[str, list[datetime]] = {"ChargePeriodStart": [], "ChargePeriodEnd": []}
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            column = metadata.row_group(group).column(place)
            if column.path_in_schema in said and column.statistics is not None:
                said[column.path_in_schema] += [column.statistics.min, column.statistics.max]
    starts, ends = said.values()
    if not starts:
        return set()
    # the end is the first moment that is not part of the charge
    first, last = min(starts), max([*starts, *(end - timedelta(microseconds=1) for end in ends)])
    months, month = set(), Month(first.year, first.month)
    while month.start <= last:
        months.add(month)
        month = month.plus(1)
    return months


UNDIVIDED = "SELECT * FROM base WHERE x_AttributeNo NOT IN (SELECT x_AttributeNo FROM spans)"


def share_out(db: DuckDb, config: Config, resolved: pa.Table, usages: Sequence[Part], folder: Path) -> None:
    """Make `resolved`, `metered_shares` and `candidates` for `allocation.owners.write`, and write `billed.parquet`.

    Reads the session's `charges` and `attributes`; `resolved` are the shares that tags and rules give. The files of
    usages must have been checked.
    """
    found = billed(db, config.metering)
    pq.write_table(found, folder / "billed.parquet", compression="zstd")
    db.register("billed", found)
    db.register("base", resolved)
    named = db.table(NAMED).select(list(tables.RESOLVED))
    if not usages:
        from apportion.allocation.owners import without_metering

        without_metering(db, named)
        return
    db.register("base", named)
    open_usages(db, usages)
    metered_shares.weave(db, config.metering)
    db.register("resolved", db.table(UNDIVIDED))


_MONTHS_APART = 100_000_000
"""So far apart are the numbers of workloads, resources and sources of two months, before they are made one."""

_MOVED = {
    "usage": "* REPLACE (x_WorkloadNo + {moved} AS x_WorkloadNo, x_ResourceNo + {moved} AS x_ResourceNo,"
    " x_SourceNo + {moved} AS x_SourceNo)",
    "hours": "* REPLACE (x_ResourceNo + {moved} AS x_ResourceNo)",
    "workloads": "* REPLACE (x_WorkloadNo + {moved} AS x_WorkloadNo, x_SourceNo + {moved} AS x_SourceNo)",
    "resources": "* REPLACE (x_ResourceNo + {moved} AS x_ResourceNo)",
    "meters": "* REPLACE (x_SourceNo + {moved} AS x_SourceNo)",
    "held": "* REPLACE (CAST(x_AttributeNo AS BIGINT) + {moved} AS x_AttributeNo)",
}

_SAME_RESOURCES = f"""
SELECT x_ResourceNo AS old, min(x_ResourceNo) OVER (PARTITION BY {RESOURCE_KEY}) AS no FROM monthly_resources
"""

# A resource and a meter are the same in every month; a workload is told anew by each.
_ONE = {
    "resources": f"""
        SELECT * REPLACE (min(x_ResourceNo) OVER (PARTITION BY {RESOURCE_KEY}) AS x_ResourceNo,
                          min(x_Family) OVER (PARTITION BY {RESOURCE_KEY}) AS x_Family)
        FROM monthly_resources
        QUALIFY row_number() OVER (PARTITION BY {RESOURCE_KEY} ORDER BY monthly_resources.x_ResourceNo DESC) = 1
    """,
    "meters": """
        SELECT * REPLACE (min(x_SourceNo) OVER (PARTITION BY x_SourceId) AS x_SourceNo) FROM monthly_meters
        QUALIFY row_number() OVER (PARTITION BY x_SourceId ORDER BY monthly_meters.x_SourceNo DESC) = 1
    """,
    "usage": f"""
        WITH same_resources AS ({_SAME_RESOURCES}),
        same_meters AS (
            SELECT x_SourceNo AS old, min(x_SourceNo) OVER (PARTITION BY x_SourceId) AS no FROM monthly_meters
        )
        SELECT u.* REPLACE (r.no AS x_ResourceNo, m.no AS x_SourceNo)
        FROM monthly_usage AS u
        LEFT JOIN same_resources AS r ON r.old = u.x_ResourceNo
        JOIN same_meters AS m ON m.old = u.x_SourceNo
    """,
    "hours": f"""
        WITH same_resources AS ({_SAME_RESOURCES})
        SELECT h.* REPLACE (r.no AS x_ResourceNo)
        FROM monthly_hours AS h
        JOIN same_resources AS r ON r.old = h.x_ResourceNo
    """,
}


def open_usages(db: DuckDb, usages: Sequence[Part]) -> None:
    """The views `usage`, `hours`, `workloads`, `resources`, `meters` and `held` over several months."""
    for name in _FILES:
        selects = []
        for place, part in enumerate(usages):
            one = f"{name}_of_{place}"
            _open(db, one, part.folder / f"{name}.parquet", f"usage_of_{place}")
            moved = _MOVED[name].format(moved=place * _MONTHS_APART) if len(usages) > 1 else "*"
            selects.append(f"SELECT {moved} FROM {one}")
        view = f"monthly_{name}" if name in _ONE and len(usages) > 1 else name
        db.run(f"CREATE OR REPLACE TEMP VIEW {view} AS {' UNION ALL '.join(selects)}")
    if len(usages) > 1:
        for name, sql in _ONE.items():
            db.run(f"CREATE OR REPLACE TEMP VIEW {name} AS {sql}")


def _open(db: DuckDb, name: str, path: Path, usage: str) -> None:
    """One file of a month; results from before there was `hours` have it, each hour its own twin."""
    if path.exists():
        db.read_parquet(name, [path])
        return
    db.run(f"CREATE OR REPLACE TEMP VIEW {name} AS {OWN_TWINS.format(usage=usage)}")


OWN_TWINS = """
SELECT DISTINCT x_ResourceNo, x_Hour, x_Hour AS x_Twin FROM {usage} WHERE x_ResourceNo IS NOT NULL
"""
