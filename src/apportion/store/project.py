"""The state of one project: what the other rooms see of the store.

    <state>/catalogue.db     what is current, what was, who was told what; SQLite by default
    <state>/lake/snapshots   <id>/{charges,attributes,…}.parquet and manifest.json, never changed
    <state>/lake/parts       <id>/{shares,owners,allocations}.parquet and manifest.json, never changed
    <state>/tmp              staging folders
    <state>/write.lock       held by the one writer

A folder is durable in the lake before the one transaction that makes the catalogue point to it, so a reader sees the
old state or the new one, whole, whatever happens in between.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import get_ident
from typing import TYPE_CHECKING, Self

from sqlalchemy import Connection, select

from apportion.errors import Busy, NotConserved, NotStored
from apportion.store import durable, locks, lookup, manifest, problems, runs, schema, snapshots
from apportion.store.catalogue import PARTS, RUNS, SNAPSHOTS
from apportion.store.connection import Catalogue
from apportion.store.lake import Lake
from apportion.store.staging import Staging

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from apportion.core.period import Period
    from apportion.core.problems import Problem
    from apportion.store.manifest import Manifest
    from apportion.store.records import (
        Part,
        Restatement,
        Run,
        Scope,
        Snapshot,
        SnapshotDraft,
        StoredFile,
        StoredProblem,
    )

DAY = 86_400.0


def open_store(state: Path) -> Store:
    """The store in that folder, made or migrated if need be, and cleared of what dead processes left in staging.

    Raises `NewerState` where a newer Apportion wrote it, `DamagedFile` where the catalogue cannot be read, `NotStored`
    where the folder cannot be written, `Busy` where another process keeps writing while the schema must change.
    """
    state = state.absolute()
    with _disk_errors():
        durable.make_folder(state)
        # Bills are confidential: also where somebody made the folder beforehand.
        if state.stat().st_mode & 0o077:
            state.chmod(durable.PRIVATE)
    catalogue = Catalogue(state / "catalogue.db")
    schema.ensure(catalogue, lock=state / "write.lock")
    store = Store(state, catalogue)
    with _disk_errors():
        store.sweep()
    return store


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise NotStored(f"{where}{error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class _Placed:
    """A draft whose folder is in the lake; `content` is None where the snapshot was stored before."""

    snapshot: Snapshot
    content: Manifest | None
    problems: tuple[Problem, ...]


class Store:
    """An open project (`open_store`); a context manager. Any number of processes may read at any time; one writes."""

    def __init__(self, state: Path, catalogue: Catalogue) -> None:
        self.state = state
        self._catalogue = catalogue
        self._staging = Staging(state / "tmp")
        self._lake = Lake(state, self._manifest_of)
        self._writer: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Connections are closed and this store's staging folders are gone."""
        self._staging.close()
        self._catalogue.close()

    # Writing

    def stage(self) -> Path:
        """A fresh empty folder to write the files of one snapshot or part in; gone when the store is closed."""
        with _disk_errors():
            return self._staging.folder()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The time in which nobody else writes to the project; raises `Busy`, naming the pid, if somebody does.

        Publishing takes the lock by itself; hold it over several steps that must see the same state.
        """
        with locks.writer_lock(self.state / "write.lock"):
            self._writer = get_ident()
            try:
                yield
            finally:
                self._writer = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._writer == get_ident():
            yield
            return
        with self.writing():
            yield

    def publish_snapshots(
        self, drafts: Sequence[SnapshotDraft], restatements: Sequence[Restatement] = ()
    ) -> tuple[Snapshot, ...]:
        """All drafts stored and current for their scopes, in their order, or none: then the old state stands.

        A draft whose id is current already changes nothing and its restatement is not recorded. Problems without
        snapshot of the drafts' sources are forgotten, so call `save_problems` afterwards. The staging folders are used
        up, also after an error. Raises `NotStored`, `Busy`; ValueError for two drafts of one scope, for a
        restatement that is of none of the drafts, for a folder that is in the lake already.
        """
        _refuse_unclear(drafts, restatements)
        self._refuse_stored(draft.snapshot.folder for draft in drafts)
        ids = [draft.snapshot.id for draft in drafts]
        with self._alone():
            with self._catalogue.reading() as connection:
                before = {d.snapshot.scope: snapshots.current_id(connection, d.snapshot.scope) for d in drafts}
                stored = snapshots.by_ids(connection, self._snapshot_folder, ids)
            with _disk_errors():
                placed = [self._placed(draft, stored.get(draft.snapshot.id)) for draft in drafts]
            with self._catalogue.writing() as connection:
                _make_current(connection, placed, before, restatements)
        for draft in drafts:
            durable.discard(draft.snapshot.folder)
        with self._catalogue.reading() as connection:
            found = snapshots.by_ids(connection, self._snapshot_folder, ids)
        return tuple(found[snapshot_id] for snapshot_id in ids)

    def publish_run(self, run: Run, staged: Mapping[str, Path]) -> Run:
        """The run stored with its parts and made the current one, or nothing changed.

        `staged` holds the staging folder of each part that is not stored yet; one that is, is reused. A run whose id is
        known only becomes current again. Raises `NotConserved` unless its totals agree, `NotStored`, `Busy`; ValueError
        for a part that is neither stored nor staged.
        """
        if run.totals_in != run.totals_out:
            raise NotConserved(f"the run would take in {run.totals_in} and give out {run.totals_out}")
        self._refuse_stored(staged.values())
        with self._alone():
            with self._catalogue.reading() as connection:
                known = runs.parts(connection, self._part_folder, [part.id for part in run.stored_parts])
            fresh = {part.id: part for part in run.stored_parts if part.id not in known}
            if missing := sorted(set(fresh) - set(staged)):
                raise ValueError(f"parts neither stored nor staged: {missing}")
            with _disk_errors():
                placed = [(part, self._put_part(part, staged[part.id])) for part in fresh.values()]
            with self._catalogue.writing() as connection:
                _make_run_current(connection, run, placed)
        for folder in staged.values():
            durable.discard(folder)
        return self.run(run.id)

    def save_problems(self, source_id: str, found: Iterable[Problem]) -> None:
        """The problems of the source's files that never became a snapshot: these, and no longer those of before."""
        with self._alone(), self._catalogue.writing() as connection:
            problems.forget_loose(connection, [source_id])
            problems.add(connection, found, source_id=source_id)

    def collect(self, *, grace: float = DAY) -> tuple[Path, ...]:
        """The removed folders: unknown to the catalogue and older than `grace` seconds, or staging of dead processes.

        What the catalogue knows, current or not, always stays.
        """
        with self._alone(), _disk_errors():
            return self._lake.collect(grace=grace) + self._staging.sweep()

    def sweep(self) -> None:
        """The staging folders of processes that are no more are gone."""
        self._staging.sweep()

    def _placed(self, draft: SnapshotDraft, stored: Snapshot | None) -> _Placed:
        if stored is not None:
            return _Placed(stored, None, ())
        staged = draft.snapshot.folder
        content = manifest.of_snapshot(draft.snapshot, manifest.stored_files(staged))
        self._lake.put(staged, self._snapshot_folder(draft.snapshot.id), content)
        return _Placed(draft.snapshot, content, draft.problems)

    def _refuse_stored(self, folders: Iterable[Path]) -> None:
        # Staging folders are removed after use: one in the lake would take stored files with it.
        for folder in folders:
            if self.state / "lake" in folder.absolute().parents:
                raise ValueError(f"{folder} is no staging folder")

    def _put_part(self, part: Part, staged: Path) -> Manifest:
        content = manifest.of_part(part, manifest.stored_files(staged))
        self._lake.put(staged, self._part_folder(part.id), content)
        return content

    # Reading

    def current_snapshots(self, *, period: Period | None = None, source_id: str | None = None) -> tuple[Snapshot, ...]:
        """The bills to be read, sorted by scope, of these months and this source (None: all)."""
        return tuple(s for s in self._current(period=period, source_id=source_id) if s.samples is None)

    def current_readings(self, *, period: Period | None = None, source_id: str | None = None) -> tuple[Snapshot, ...]:
        """The meters' deliveries to be read, sorted by scope, of these months and this source (None: all)."""
        return tuple(s for s in self._current(period=period, source_id=source_id) if s.samples is not None)

    def _current(self, *, period: Period | None, source_id: str | None) -> tuple[Snapshot, ...]:
        with self._catalogue.reading() as connection:
            return snapshots.current(connection, self._snapshot_folder, period=period, source_id=source_id)

    def snapshot(self, id_or_prefix: str) -> Snapshot:
        """The snapshot, current or not, whose id begins so; raises `NoData` if there is none or more than one."""
        with self._catalogue.reading() as connection:
            found = lookup.id_of(connection, SNAPSHOTS, id_or_prefix, noun="snapshot")
            return snapshots.by_ids(connection, self._snapshot_folder, [found])[found]

    def snapshots(self, scope: Scope) -> tuple[Snapshot, ...]:
        """Every snapshot the scope ever had, in the order in which each last became current: the newest is last."""
        with self._catalogue.reading() as connection:
            return snapshots.history(connection, self._snapshot_folder, scope)

    def known_files(self, source_id: str) -> Mapping[str, frozenset[Scope]]:
        """SHA-256 of each delivered file -> the scopes whose current snapshot it fed."""
        with self._catalogue.reading() as connection:
            return snapshots.known_files(connection, source_id)

    def restatements(self, *, period: Period | None = None) -> tuple[Restatement, ...]:
        """What replaced what in these months (None: all), in the order it happened."""
        with self._catalogue.reading() as connection:
            return snapshots.restatements(connection, period)

    def problems(
        self, *, period: Period | None = None, source_id: str | None = None, snapshot_id: str | None = None
    ) -> tuple[StoredProblem, ...]:
        """The problems of current snapshots, and of files that never became one.

        The latter belong to no month and are listed with every `period`; they come first.
        """
        with self._catalogue.reading() as connection:
            return problems.listed(connection, period=period, source_id=source_id, snapshot_id=snapshot_id)

    def part(self, part_id: str) -> Part | None:
        """The stored part of exactly that id."""
        with self._catalogue.reading() as connection:
            return runs.parts(connection, self._part_folder, [part_id]).get(part_id)

    def current_run(self) -> Run | None:
        """The run whose result is shown; None before the first."""
        with self._catalogue.reading() as connection:
            return runs.current(connection, self._part_folder)

    def run(self, id_or_prefix: str) -> Run:
        """The run whose id begins so; raises `NoData` if there is none or more than one."""
        with self._catalogue.reading() as connection:
            found = lookup.id_of(connection, RUNS, id_or_prefix, noun="run")
            return runs.by_id(connection, self._part_folder, found)

    def runs(self) -> tuple[Run, ...]:
        """All runs, newest first, with their parts but without configuration (empty) and problems."""
        with self._catalogue.reading() as connection:
            return runs.newest_first(connection, self._part_folder)

    def check(self, folder: Path, stored: Sequence[StoredFile]) -> None:
        """Every stored file is in the folder, unchanged; raises `DamagedFile` naming the first that is not."""
        self._lake.check(folder, stored)

    def checked(self, path: Path) -> Path:
        """The path of a file in the lake, once its SHA-256 is known to be the stored one; raises `DamagedFile`.

        A file is read whole the first time in a process, and again only if its size or time of change differs. What
        lies in a staging folder of this open store is its own, so a run that is not published is read like any other.
        """
        return path if self._staging.holds(path) else self._lake.checked(path)

    def _snapshot_folder(self, snapshot_id: str) -> Path:
        return self._lake.folder("snapshots", snapshot_id)

    def _part_folder(self, part_id: str) -> Path:
        return self._lake.folder("parts", part_id)

    def _manifest_of(self, kind: str, name: str) -> str | None:
        table = {"snapshots": SNAPSHOTS, "parts": PARTS}.get(kind)
        if table is None:
            return None
        with self._catalogue.reading() as connection:
            return connection.scalar(select(table.c.manifest_sha256).where(table.c.id == name))


def _refuse_unclear(drafts: Sequence[SnapshotDraft], restatements: Sequence[Restatement]) -> None:
    if len({draft.snapshot.scope for draft in drafts}) < len(drafts):
        raise ValueError("two drafts for one scope")
    if not {r.new_snapshot for r in restatements} <= {draft.snapshot.id for draft in drafts}:
        raise ValueError("a restatement names a snapshot that is not among the drafts")


def _make_current(
    connection: Connection,
    placed: Sequence[_Placed],
    before: Mapping[Scope, str | None],
    restatements: Sequence[Restatement],
) -> None:
    now = _now()
    problems.forget_loose(connection, sorted({scope.source_id for scope in before}))
    for each in placed:
        snapshot = each.snapshot
        # The lock file cannot see a writer on another machine that shares the folder; the transaction can.
        if snapshots.current_id(connection, snapshot.scope) != before[snapshot.scope]:
            raise Busy(f"Another process replaced {snapshot.scope} meanwhile.")
        if each.content is not None:
            snapshots.add(connection, snapshot, each.content, at=now)
            problems.add(connection, each.problems, source_id=snapshot.scope.source_id, snapshot_id=snapshot.id)
        if snapshot.id != before[snapshot.scope]:
            snapshots.point(connection, snapshot, at=now)
    changed = {each.snapshot.id for each in placed if each.snapshot.id != before[each.snapshot.scope]}
    for restatement in restatements:
        if restatement.new_snapshot in changed:
            snapshots.add_restatement(connection, restatement, at=now)


def _make_run_current(connection: Connection, run: Run, placed: Sequence[tuple[Part, Manifest]]) -> None:
    now = _now()
    for part, content in placed:
        runs.add_part(connection, part, content, at=now)
    if not runs.is_known(connection, run.id):
        runs.add(connection, run, at=now)
    runs.point(connection, run.id)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
