"""Problems in the catalogue: those of a snapshot stay with it, those of a file that never became one are replaced."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, or_, select

from apportion.core.problems import Problem, Severity
from apportion.store.catalogue import CURRENT_SNAPSHOTS, PROBLEMS
from apportion.store.records import StoredProblem
from apportion.store.snapshots import insert_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apportion.core.period import Period

FIELDS = tuple(field.name for field in fields(Problem))


def add(connection: Connection, problems: Iterable[Problem], *, source_id: str, snapshot_id: str | None = None) -> None:
    """The problems are on record for the snapshot, or for files of the source that never became one."""
    place = {"source_id": source_id, "snapshot_id": snapshot_id}
    insert_rows(connection, PROBLEMS, [{**place, **values(problem)} for problem in problems])


def forget_loose(connection: Connection, source_ids: Sequence[str]) -> None:
    """The sources' problems without a snapshot are gone: the source is being ingested anew."""
    loose = PROBLEMS.c.snapshot_id.is_(None)
    connection.execute(delete(PROBLEMS).where(loose, PROBLEMS.c.source_id.in_(source_ids)))


def listed(
    connection: Connection, *, period: Period | None, source_id: str | None, snapshot_id: str | None
) -> tuple[StoredProblem, ...]:
    """The problems that still matter, without month first, then by month, source and order of recording."""
    now = CURRENT_SNAPSHOTS.c
    known = PROBLEMS.outerjoin(CURRENT_SNAPSHOTS, now.snapshot_id == PROBLEMS.c.snapshot_id)
    matters = or_(PROBLEMS.c.snapshot_id.is_(None), now.snapshot_id.is_not(None))
    chosen = _chosen(period=period, source_id=source_id, snapshot_id=snapshot_id)
    query = (
        select(PROBLEMS, now.period)
        .select_from(known)
        .where(matters, *chosen)
        .order_by(now.period.nulls_first(), PROBLEMS.c.source_id, PROBLEMS.c.no)
    )
    return tuple(
        StoredProblem(**_fields(row), source_id=row["source_id"], period=row["period"], snapshot_id=row["snapshot_id"])
        for row in connection.execute(query).mappings()
    )


def _chosen(*, period: Period | None, source_id: str | None, snapshot_id: str | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if period is not None:
        # A file that never became a snapshot may hold any month: it is never silently left out.
        month = CURRENT_SNAPSHOTS.c.period
        conditions.append(or_(month.is_(None), month.between(period.first, period.last)))
    if source_id is not None:
        conditions.append(PROBLEMS.c.source_id == source_id)
    if snapshot_id is not None:
        conditions.append(PROBLEMS.c.snapshot_id == snapshot_id)
    return conditions


def values(problem: Problem) -> dict[str, Any]:
    """The problem as a row; what a `StoredProblem` adds is left out."""
    row = {name: value for name, value in asdict(problem).items() if name in FIELDS}
    return {**row, "severity": str(problem.severity)}


def record(row: RowMapping) -> Problem:
    """The problem of a row."""
    return Problem(**_fields(row))


def _fields(row: RowMapping) -> dict[str, Any]:
    return {**{name: row[name] for name in FIELDS}, "severity": Severity(row["severity"])}
