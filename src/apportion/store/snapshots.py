"""Snapshots, deliveries and restatements in the catalogue: what is read and written inside one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, func, insert, select

from apportion.store.catalogue import (
    CURRENT_SNAPSHOTS,
    DELIVERIES,
    RESTATEMENT_LINES,
    RESTATEMENTS,
    SNAPSHOT_FILES,
    SNAPSHOT_STORED,
    SNAPSHOTS,
)
from apportion.store.records import Restatement, RestatementLine, Scope, Snapshot, SourceFile, StoredFile

if TYPE_CHECKING:
    from datetime import datetime

    from apportion.core.period import Period
    from apportion.store.manifest import Manifest

Folder = Callable[[str], Path]
"""Snapshot or part id -> the folder it is stored in."""

_SCOPE = ("source_id", "billing_account_id", "period", "part")


def current(
    connection: Connection, folder: Folder, *, period: Period | None = None, source_id: str | None = None
) -> tuple[Snapshot, ...]:
    """The snapshots readers see, sorted by scope, of these months and this source (None: all)."""
    wanted = select(CURRENT_SNAPSHOTS.c.snapshot_id).where(*_within(CURRENT_SNAPSHOTS, period, source_id))
    return tuple(sorted(_records(connection, folder, wanted).values(), key=lambda snapshot: snapshot.scope))


def by_ids(connection: Connection, folder: Folder, ids: Sequence[str]) -> Mapping[str, Snapshot]:
    """Id -> the stored snapshot, current or not, of those ids that are stored."""
    return _records(connection, folder, select(SNAPSHOTS.c.id).where(SNAPSHOTS.c.id.in_(ids)))


def history(connection: Connection, folder: Folder, scope: Scope) -> tuple[Snapshot, ...]:
    """Every snapshot the scope had, in the order in which each last became current: the current one is last."""
    last = func.max(DELIVERIES.c.no)
    wanted = (
        select(DELIVERIES.c.snapshot_id)
        .join(SNAPSHOTS, SNAPSHOTS.c.id == DELIVERIES.c.snapshot_id)
        .where(_is(SNAPSHOTS, scope))
        .group_by(DELIVERIES.c.snapshot_id)
        .order_by(last)
    )
    order = list(connection.scalars(wanted))
    records = _records(connection, folder, select(SNAPSHOTS.c.id).where(_is(SNAPSHOTS, scope)))
    return tuple(records[snapshot_id] for snapshot_id in order)


def current_id(connection: Connection, scope: Scope) -> str | None:
    """The id of the snapshot readers see for the scope."""
    return connection.scalar(select(CURRENT_SNAPSHOTS.c.snapshot_id).where(_is(CURRENT_SNAPSHOTS, scope)))


def known_files(connection: Connection, source_id: str) -> Mapping[str, frozenset[Scope]]:
    """SHA-256 of each delivered file -> the scopes whose current snapshot it fed."""
    query = (
        select(SNAPSHOT_FILES.c.sha256, *(CURRENT_SNAPSHOTS.c[name] for name in _SCOPE))
        .join(CURRENT_SNAPSHOTS, CURRENT_SNAPSHOTS.c.snapshot_id == SNAPSHOT_FILES.c.snapshot_id)
        .where(CURRENT_SNAPSHOTS.c.source_id == source_id)
    )
    scopes: dict[str, set[Scope]] = defaultdict(set)
    for sha256, *scope in connection.execute(query):
        scopes[sha256].add(Scope(*scope))
    return {sha256: frozenset(fed) for sha256, fed in scopes.items()}


def add(connection: Connection, snapshot: Snapshot, content: Manifest, *, at: datetime) -> None:
    """The snapshot has its rows; nobody sees it before `point`."""
    connection.execute(
        insert(SNAPSHOTS),
        {
            "id": snapshot.id,
            **_scope_values(snapshot.scope),
            "kind": snapshot.kind,
            "form": snapshot.form,
            "rows": snapshot.rows,
            "rejected": snapshot.rejected,
            "totals": snapshot.totals,
            "manifest_sha256": content.sha256,
            "created_at": snapshot.created_at or at,
        },
    )
    owner = {"snapshot_id": snapshot.id}
    insert_rows(connection, SNAPSHOT_FILES, [{**owner, **asdict(file)} for file in snapshot.files])
    insert_rows(connection, SNAPSHOT_STORED, [{**owner, **asdict(file)} for file in content.stored])


def point(connection: Connection, snapshot: Snapshot, *, at: datetime) -> None:
    """The stored snapshot is the current one of its scope."""
    values = {**_scope_values(snapshot.scope), "snapshot_id": snapshot.id}
    connection.execute(CURRENT_SNAPSHOTS.delete().where(_is(CURRENT_SNAPSHOTS, snapshot.scope)))
    connection.execute(insert(CURRENT_SNAPSHOTS), values)
    connection.execute(insert(DELIVERIES), {"snapshot_id": snapshot.id, "at": at})


def add_restatement(connection: Connection, restatement: Restatement, *, at: datetime) -> None:
    """The restatement is on record with its lines in their order."""
    values = {
        **_scope_values(restatement.scope),
        "old_snapshot": restatement.old_snapshot,
        "new_snapshot": restatement.new_snapshot,
        "at": restatement.at or at,
    }
    no = new_no(connection, RESTATEMENTS, values)
    lines = [{"restatement_no": no, "no": n, **asdict(line)} for n, line in enumerate(restatement.lines, 1)]
    insert_rows(connection, RESTATEMENT_LINES, lines)


def restatements(connection: Connection, period: Period | None) -> tuple[Restatement, ...]:
    """The restatements of these months (None: all), in the order they were recorded."""
    table, line = RESTATEMENTS.c, RESTATEMENT_LINES.c
    within = _within(RESTATEMENTS, period, None)
    lines: dict[int, list[RestatementLine]] = defaultdict(list)
    fields = (line.service, line.sub_account, line.tag, line.currency, line.before, line.after)
    wanted = line.restatement_no.in_(select(table.no).where(*within))
    for no, *values in connection.execute(
        select(line.restatement_no, *fields).where(wanted).order_by(line.restatement_no, line.no)
    ):
        lines[no].append(RestatementLine(*values))
    return tuple(
        Restatement(_scope(row), row.old_snapshot, row.new_snapshot, row.at, tuple(lines[row.no]))
        for row in connection.execute(select(RESTATEMENTS).where(*within).order_by(table.no))
    )


def new_no(connection: Connection, table: Table, row: Mapping[str, Any]) -> int:
    """The number the database gave the inserted row."""
    return int(connection.execute(insert(table).returning(table.c.no), row).scalar_one())


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """All rows in one statement; none is fine (SQLAlchemy would insert one of defaults)."""
    if rows:
        connection.execute(insert(table), list(rows))


def stored_by_owner(connection: Connection, table: Table, owners: Select[Any]) -> dict[str, tuple[StoredFile, ...]]:
    """Owner id -> its stored files, sorted by name; `table` has the owner in its first column."""
    owner = next(iter(table.c))
    found: dict[str, list[StoredFile]] = defaultdict(list)
    for row in connection.execute(select(table).where(owner.in_(owners)).order_by(owner, table.c.name)):
        found[row[0]].append(StoredFile(*row[1:]))
    return {owner_id: tuple(files) for owner_id, files in found.items()}


def _records(connection: Connection, folder: Folder, wanted: Select[Any]) -> dict[str, Snapshot]:
    stored = stored_by_owner(connection, SNAPSHOT_STORED, wanted)
    files: dict[str, list[SourceFile]] = defaultdict(list)
    file = SNAPSHOT_FILES.c
    query = select(SNAPSHOT_FILES).where(file.snapshot_id.in_(wanted)).order_by(file.snapshot_id, file.no)
    for snapshot_id, *values in connection.execute(query):
        files[snapshot_id].append(SourceFile(*values))
    rows = connection.execute(select(SNAPSHOTS).where(SNAPSHOTS.c.id.in_(wanted)))
    return {
        row.id: Snapshot(
            id=row.id,
            scope=_scope(row),
            kind=row.kind,
            form=row.form,
            rows=row.rows,
            rejected=row.rejected,
            totals=row.totals,
            files=tuple(files[row.id]),
            folder=folder(row.id),
            stored=stored.get(row.id, ()),
            created_at=row.created_at,
        )
        for row in rows
    }


def _scope(row: Row[Any]) -> Scope:
    return Scope(*(getattr(row, name) for name in _SCOPE))


def _scope_values(scope: Scope) -> dict[str, Any]:
    return {name: getattr(scope, name) for name in _SCOPE}


def _is(table: Table, scope: Scope) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in _scope_values(scope).items()))


def _within(table: Table, period: Period | None, source_id: str | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if period is not None:
        conditions.append(table.c.period.between(period.first, period.last))
    if source_id is not None:
        conditions.append(table.c.source_id == source_id)
    return conditions
