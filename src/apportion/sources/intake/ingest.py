"""From delivered files to published snapshots: all of them, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.core.progress import Progress, silent
from apportion.engine import duck
from apportion.sources import SOCKET
from apportion.sources.intake import doubles, problems_of_rows, rejects, restatement, snapshots
from apportion.sources.intake.files import DeliveredFile, DeliveredFiles, collect
from apportion.sources.intake.place import Place
from apportion.sources.intake.scopes import (
    APPEND,
    Fed,
    Rebuild,
    by_scope,
    fed_by,
    files_feeding,
    to_rebuild,
    with_emptied,
)
from apportion.sources.intake.staging import stage
from apportion.sources.intake.tags_of_rows import parse_tags
from apportion.store.records import Restatement, Scope, Snapshot, SnapshotDraft

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from apportion.core.config import SourceConfig
    from apportion.core.problems import Problem
    from apportion.engine.duck import DuckDb
    from apportion.sources.intake.contract import BillSource
    from apportion.sources.intake.problems_of_rows import Found
    from apportion.store import Store

MEMORY = "1400MB"
"""What DuckDB may use; ten million rows then stay below 2 GB in all."""


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What an import did.

    `unchanged` scopes were delivered as they are; `left_out` are files that are not current, each with the reason;
    `files_read` are those that were looked into.
    """

    source_id: str
    published: tuple[Snapshot, ...]
    unchanged: tuple[Scope, ...]
    restatements: tuple[Restatement, ...]
    problems: tuple[Problem, ...]
    files_read: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]


def ingest(
    config: SourceConfig,
    *,
    store: Store,
    paths: tuple[str, ...] | None = None,
    progress: Progress | None = None,
    base: Path,
    memory: str = MEMORY,
    threads: int | None = None,
) -> IngestResult:
    """The files of a source (or only those at `paths`) as published snapshots; relative paths start at `base`.

    Months whose files are known are left as they are; a month that changed gets a new snapshot and a restatement.
    Faults in rows are problems. Raises UnreadableFile, UnknownShape or DoubleDelivery where the files cannot be
    imported: then nothing is stored. Hold `store.writing()` around it where others may import the same source.
    """
    source: BillSource = SOCKET.load(config.kind)
    places = tuple(Place.of(path, base) for path in paths or config.paths)
    work = store.stage()
    told = progress or silent
    delivered = collect(source, config, places=places, into=work, progress=told)
    with duck.session(memory=memory, threads=threads, temp=work) as db:
        job = _Job(db, source, config, store, work, told)
        return job.run(delivered)


@dataclass(frozen=True, slots=True)
class _Job:
    """One import."""

    db: DuckDb
    source: BillSource
    config: SourceConfig
    store: Store
    work: Path
    progress: Progress

    def run(self, delivered: DeliveredFiles) -> IngestResult:
        """The import, published."""
        current = self.store.current_snapshots(source_id=self.config.id)
        plan = self._plan(delivered.files, current)
        feds = self._staged(plan.unread)
        stale = plan.stale | {scope for fed in feds for scope in fed.rows}
        feds = with_emptied(self._with_known(feds, stale, delivered.files, current), current)
        standing = {snapshot.scope for snapshot in current} - stale
        stale |= {scope for fed in feds for scope, rows in fed.rows.items() if scope not in standing or not rows}
        drafts, loose = self._built(feds, stale) if feds else ([], [])
        restated = self._restatements(drafts, current)
        published = self.store.publish_snapshots(drafts, restated)
        self.store.save_problems(self.config.id, (*delivered.repeated, *loose))
        found = (*delivered.repeated, *loose, *(problem for draft in drafts for problem in draft.problems))
        return IngestResult(
            source_id=self.config.id,
            published=tuple(published),
            unchanged=tuple(sorted(plan.unchanged - stale)),
            restatements=restated,
            problems=found,
            files_read=tuple(fed.file.file.path for fed in feds),
            left_out=delivered.left_out,
        )

    def _plan(self, files: Sequence[DeliveredFile], current: Sequence[Snapshot]) -> Rebuild:
        expected = {
            snapshot.scope: snapshots.snapshot_id(
                snapshot.scope,
                source=self.source,
                config=self.config,
                hashes=[file.sha256 for file in snapshot.files],
            )
            for snapshot in current
        }
        return to_rebuild(files, current, expected=expected, append=self.config.delivery == APPEND)

    def _with_known(
        self, feds: list[Fed], stale: frozenset[Scope], files: Sequence[DeliveredFile], current: Sequence[Snapshot]
    ) -> list[Fed]:
        """The staged files and all known ones that feed a stale scope, in delivery order."""
        read = {fed.file.file.sha256 for fed in feds}
        known = [file for file in files_feeding(stale, files, current) if file.sha256 not in read]
        order = {file.sha256: place for place, file in enumerate(files)}
        return sorted([*feds, *self._staged(known, after=len(feds))], key=lambda fed: order[fed.file.file.sha256])

    def _staged(self, files: Sequence[DeliveredFile], *, after: int = 0) -> list[Fed]:
        feds = []
        for done, file in enumerate(files):
            self.progress("reading files", done, len(files))
            staged = stage(self.db, self.source, self.config, file=file, no=after + done + 1, into=self.work)
            feds.append(fed_by(self.db, staged, self.config))
        return feds

    def _built(self, feds: list[Fed], stale: frozenset[Scope]) -> tuple[list[SnapshotDraft], list[Problem]]:
        """Drafts of the stale scopes, and the problems of files that feed none."""
        parse_tags(self.db, [fed.file for fed in feds])
        numbers = rejects.number_scopes(self.db, feds)
        rejects.exclude(self.db, feds)
        found = problems_of_rows.problems(self.db, feds, list(numbers))
        wanted = {scope: fed for scope, fed in by_scope(feds).items() if scope in stale}
        for scope, feeding in wanted.items():
            doubles.refuse(self.db, scope, feeding)
        drafts = []
        for done, (scope, feeding) in enumerate(wanted.items()):
            self.progress("writing snapshots", done, len(wanted))
            drafts.append(self._draft(scope, feeding, scope_no=numbers[scope], found=found))
        return drafts, [problem for scope, problem in found if scope is None]

    def _draft(self, scope: Scope, feds: list[Fed], *, scope_no: int, found: Sequence[Found]) -> SnapshotDraft:
        folder = self.store.stage()
        rejected = rejects.rejected_rows(self.db, scope_no)
        snapshots.write(self.db, scope, feds, folder)
        snapshot = snapshots.record(
            scope,
            feds,
            source=self.source,
            config=self.config,
            folder=folder,
            totals_by_currency=snapshots.totals(self.db, folder),
            rejected=rejected,
        )
        mine = [problem for owner, problem in found if owner == scope]
        return SnapshotDraft(snapshot, (*mine, *snapshots.money_left_out(self.db, snapshot, self.source)))

    def _restatements(self, drafts: Sequence[SnapshotDraft], current: Sequence[Snapshot]) -> tuple[Restatement, ...]:
        before = {snapshot.scope: snapshot for snapshot in current}
        return tuple(
            restatement.compare(self.db, before[draft.snapshot.scope], draft.snapshot)
            for draft in drafts
            if draft.snapshot.scope in before and before[draft.snapshot.scope].id != draft.snapshot.id
        )
