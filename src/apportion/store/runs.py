"""Runs and their parts in the catalogue: what is read and written inside one transaction."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Select, insert, select

from apportion.store import problems
from apportion.store.catalogue import CURRENT_RUN, PART_STORED, PARTS, RUN_PARTS, RUN_PROBLEMS, RUNS
from apportion.store.records import Part, Run
from apportion.store.snapshots import Folder, insert_rows, new_no, stored_by_owner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from apportion.core.problems import Problem
    from apportion.store.manifest import Manifest


def parts(connection: Connection, folder: Folder, ids: Sequence[str]) -> Mapping[str, Part]:
    """Id -> the stored part, of those ids that are stored."""
    return _parts(connection, folder, select(PARTS.c.id).where(PARTS.c.id.in_(ids)))


def current(connection: Connection, folder: Folder) -> Run | None:
    """The run whose result is shown, with parts, configuration and problems."""
    run_id = connection.scalar(select(RUNS.c.id).join(CURRENT_RUN, CURRENT_RUN.c.run_no == RUNS.c.no))
    return None if run_id is None else by_id(connection, folder, run_id)


def is_known(connection: Connection, run_id: str) -> bool:
    """Whether a run of exactly that id is stored."""
    return connection.scalar(select(RUNS.c.no).where(RUNS.c.id == run_id)) is not None


def by_id(connection: Connection, folder: Folder, run_id: str) -> Run:
    """The stored run of exactly that id, with parts, configuration and problems."""
    row = connection.execute(select(RUNS).where(RUNS.c.id == run_id)).one()
    used = _parts_by_run(connection, folder, select(RUNS.c.no).where(RUNS.c.id == run_id))
    found = select(RUN_PROBLEMS).where(RUN_PROBLEMS.c.run_no == row.no).order_by(RUN_PROBLEMS.c.no)
    faults = tuple(problems.record(each) for each in connection.execute(found).mappings())
    return _run(row, used.get(row.no, ()), config=row.config, faults=faults)


def newest_first(connection: Connection, folder: Folder) -> tuple[Run, ...]:
    """All runs with their parts, without configuration and problems."""
    kept = [column for column in RUNS.c if column.name != "config"]
    used = _parts_by_run(connection, folder, select(RUNS.c.no))
    rows = connection.execute(select(*kept).order_by(RUNS.c.no.desc()))
    return tuple(_run(row, used.get(row.no, ()), config="", faults=()) for row in rows)


def add_part(connection: Connection, new: Part, content: Manifest, *, at: datetime) -> None:
    """The part has its rows."""
    values = {
        "id": new.id,
        "snapshot_id": new.snapshot_id,
        "period": new.period,
        "totals": new.totals,
        "manifest_sha256": content.sha256,
        "created_at": at,
    }
    connection.execute(insert(PARTS), values)
    insert_rows(connection, PART_STORED, [{"part_id": new.id, **asdict(file)} for file in content.stored])


def add(connection: Connection, run: Run, *, at: datetime) -> None:
    """The run has its rows; its parts must have theirs."""
    values = {
        "id": run.id,
        "engine": run.engine,
        "app_version": run.app_version,
        "ownership_version": run.ownership_version,
        "config": run.config,
        "totals_in": run.totals_in,
        "totals_out": run.totals_out,
        "created_at": run.created_at or at,
    }
    no = new_no(connection, RUNS, values)
    used = [{"run_no": no, "no": n, "part_id": each.id} for n, each in enumerate(run.stored_parts, 1)]
    insert_rows(connection, RUN_PARTS, used)
    faults = [{"run_no": no, "no": n, **problems.values(each)} for n, each in enumerate(run.problems, 1)]
    insert_rows(connection, RUN_PROBLEMS, faults)


def point(connection: Connection, run_id: str) -> None:
    """The run is the one whose result is shown."""
    no = connection.execute(select(RUNS.c.no).where(RUNS.c.id == run_id)).scalar_one()
    connection.execute(CURRENT_RUN.delete())
    connection.execute(insert(CURRENT_RUN), {"one": 1, "run_no": no})


def _parts_by_run(connection: Connection, folder: Folder, runs: Select[Any]) -> dict[int, tuple[Part, ...]]:
    used = RUN_PARTS.c
    records = _parts(connection, folder, select(used.part_id).where(used.run_no.in_(runs)))
    query = select(used.run_no, used.part_id).where(used.run_no.in_(runs)).order_by(used.run_no, used.no)
    by_run: dict[int, list[Part]] = defaultdict(list)
    for run_no, part_id in connection.execute(query):
        by_run[run_no].append(records[part_id])
    return {run_no: tuple(found) for run_no, found in by_run.items()}


def _parts(connection: Connection, folder: Folder, wanted: Select[Any]) -> Mapping[str, Part]:
    stored = stored_by_owner(connection, PART_STORED, wanted)
    rows = connection.execute(select(PARTS).where(PARTS.c.id.in_(wanted)))
    return {
        row.id: Part(
            id=row.id,
            snapshot_id=row.snapshot_id,
            period=row.period,
            totals=row.totals,
            folder=folder(row.id),
            stored=stored.get(row.id, ()),
        )
        for row in rows
    }


def _run(row: Row[Any], parts: tuple[Part, ...], *, config: str, faults: tuple[Problem, ...]) -> Run:
    return Run(
        id=row.id,
        engine=row.engine,
        app_version=row.app_version,
        ownership_version=row.ownership_version,
        config=config,
        parts=tuple(part for part in parts if not (part.is_usage or part.is_sharing)),
        usages=tuple(part for part in parts if part.is_usage),
        sharings=tuple(part for part in parts if part.is_sharing),
        totals_in=row.totals_in,
        totals_out=row.totals_out,
        created_at=row.created_at,
        problems=faults,
    )
