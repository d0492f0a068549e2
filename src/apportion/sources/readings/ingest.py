"""From a meter's files, delivered or pulled, to published snapshots of samples: all of them, or none.

Each file is a scope of its own per month: the same file with other content replaces what it said before, and files
beside it stay. What two files say of the same thing at the same time counts once (`metering.usage`).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from apportion.core.problems import Problem, Severity, ranges
from apportion.engine import duck
from apportion.errors import ConfigError
from apportion.sources import SOCKET
from apportion.sources.intake.files import DeliveredFile, collect
from apportion.sources.intake.ingest import MEMORY, IngestResult
from apportion.sources.intake.place import Place
from apportion.sources.readings import cutting
from apportion.sources.readings.answers import poorer, pulled_at
from apportion.sources.readings.columns import FileOfSamples, Subjects
from apportion.sources.readings.contract import Fault, RawFile
from apportion.store.records import Scope, Snapshot, SnapshotDraft, SourceFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from apportion.core.config import SourceConfig
    from apportion.core.period import Month
    from apportion.core.progress import Progress
    from apportion.engine.duck import DuckDb
    from apportion.sources.readings.contract import MeterSource
    from apportion.store import Store

VERSION = "2"
"""Raised when the same samples give other files than before, whatever the source."""


def ingest(
    config: SourceConfig, *, store: Store, paths: tuple[str, ...], base: Path, progress: Progress, whole: bool = False
) -> IngestResult:
    """The files at the paths as published snapshots; files that are known, word for word, are not read again.

    With `whole` the paths are all of the source: a file that was read before and is not there any more still counts,
    and is listed as a problem.

    Faults in samples are problems. Raises `UnreadableFile` or `UnknownShape` where a file cannot be read: then nothing
    is stored.
    """
    source: MeterSource = SOCKET.load(config.kind)
    work = store.stage()
    places = tuple(Place.of(path, base) for path in paths)
    delivered = collect(source, config, places=places, into=work, progress=progress)
    current = store.current_readings(source_id=config.id)
    alike = [snapshot for snapshot in current if snapshot.form == _form(source, config)]
    known = {(snapshot.files[0].sha256, snapshot.files[0].path) for snapshot in alike}
    fresh = [file for file in delivered.files if (file.sha256, file.path) not in known]
    drafts: list[SnapshotDraft] = []
    loose = _forgotten(delivered.files)
    with duck.session(memory=MEMORY, temp=work) as db:
        for done, file in enumerate(fresh):
            progress(f"reading {config.id}", done, len(fresh))
            made, problems = _drafts(db, source, config, file, store)
            drafts += made
            loose += problems
    gone = _emptied(current, drafts, fresh)
    published = store.publish_snapshots([*drafts, *(_empty(snapshot, store, source, config) for snapshot in gone)])
    if whole:
        loose += _gone(current, {file.path for file in delivered.files})
    store.save_problems(config.id, (*delivered.repeated, *loose))
    return IngestResult(
        source_id=config.id,
        published=published,
        unchanged=tuple(sorted(s.scope for s in alike if s.files[0].path not in {f.path for f in fresh})),
        restatements=(),
        problems=(*delivered.repeated, *loose, *(problem for draft in drafts for problem in draft.problems)),
        files_read=tuple(file.path for file in fresh),
        left_out=delivered.left_out,
    )


def _forgotten(delivered: Sequence[DeliveredFile]) -> list[Problem]:
    """The days of which the API, asked again, gave less than is kept: told for as long as that is so."""
    told = [(file, pulled_at(poorer(file.local))) for file in delivered if poorer(file.local).exists()]
    return [
        Problem(
            code="day_forgotten",
            severity=Severity.WARNING,
            file=file.path,
            rows="all",
            row_count=0,
            column="",
            example=f"asked again at {read_at.isoformat()}Z" if read_at else "",
            what="The meter no longer remembers all of this day: asked again, it gave less. What was kept counts.",
            fix="Nothing, if only its memory is short; to take what it says now, delete the file and pull again.",
        )
        for file, read_at in told
    ]


def _gone(current: Sequence[Snapshot], delivered: set[str]) -> list[Problem]:
    rows: dict[str, int] = defaultdict(int)
    for snapshot in current:
        if snapshot.rows and snapshot.scope.part not in delivered:
            rows[snapshot.scope.part] += snapshot.rows
    return [
        Problem(
            code="file_gone",
            severity=Severity.WARNING,
            file=path,
            rows="all",
            row_count=count,
            column="",
            example="",
            what="The file is not there any more, and what it said of use still counts.",
            fix="Nothing, if it was only moved away; to take it back, deliver it again without rows.",
        )
        for path, count in sorted(rows.items())
    ]


def _drafts(
    db: DuckDb, source: MeterSource, config: SourceConfig, file: DeliveredFile, store: Store
) -> tuple[list[SnapshotDraft], list[Problem]]:
    read_at = pulled_at(file.local) or _told(config)
    raw = RawFile(file.local, file.path, read_at)
    taken = FileOfSamples(Subjects()).take(source.read(raw, config), read_at=read_at)
    db.register("raw_samples", taken.table)
    db.register("all_subjects", taken.subjects.table)
    months = cutting.months(db)
    faults = [*taken.faults, *_overlaps(db)]
    problems = [_problem(file.path, group) for group in _grouped(faults)]
    rejected = sum(fault.rejected for fault in faults)
    drafts = []
    for month in months:
        folder = store.stage()
        rows = cutting.write(db, month, folder)
        first = month == months[0]
        snapshot = _snapshot(source, config, file, month, folder=folder, rows=rows, rejected=rejected if first else 0)
        drafts.append(SnapshotDraft(snapshot, tuple(problems) if first else ()))
    return drafts, [] if drafts else problems


def _form(source: MeterSource, config: SourceConfig) -> str:
    """How a file is read, in one word that changes when it would be read otherwise."""
    options = json.dumps(dict(config.options), sort_keys=True, default=str)
    words = f"{source.name}\n{source.version}\n{VERSION}\n{options}"
    return f"{source.title} ({hashlib.sha256(words.encode()).hexdigest()[:8]})"


def _snapshot(
    source: MeterSource,
    config: SourceConfig,
    file: DeliveredFile,
    month: Month,
    *,
    folder: Path,
    rows: int,
    rejected: int,
) -> Snapshot:
    scope = Scope(config.id, "", month, file.path)
    words = (config.id, str(month), file.path, file.sha256, _form(source, config), str(rows))
    return Snapshot(
        id=hashlib.sha256("\n".join(words).encode()).hexdigest()[:16],
        scope=scope,
        kind=source.name,
        form=_form(source, config),
        rows=rows,
        rejected=rejected,
        totals={},
        files=(SourceFile(1, file.path, file.sha256, file.size, rows),),
        folder=folder,
    )


def _emptied(
    current: Sequence[Snapshot], drafts: Sequence[SnapshotDraft], fresh: Sequence[DeliveredFile]
) -> list[Snapshot]:
    """Snapshots of files that came again and say nothing more of that month: their old samples must not stay."""
    read = {file.path for file in fresh}
    made = {draft.snapshot.scope for draft in drafts}
    return [s for s in current if s.scope.part in read and s.scope not in made]


def _empty(before: Snapshot, store: Store, source: MeterSource, config: SourceConfig) -> SnapshotDraft:
    folder = store.stage()
    cutting.write_nothing(folder)
    old = before.files[0]
    file = DeliveredFile(old.path, folder, "emptied", 0)
    snapshot = _snapshot(source, config, file, before.scope.period, folder=folder, rows=0, rejected=0)
    return SnapshotDraft(snapshot)


def _told(config: SourceConfig) -> datetime | None:
    """When delivered files were read, as the option `read_at` says; raises `ConfigError` for what is no moment."""
    text = config.options.get("read_at")
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise ConfigError.of_option(
            config.id,
            "read_at",
            what=f"'{text}' is no moment.",
            fix='Write it like "2026-11-01T00:00:00Z".',
        ) from error
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def _overlaps(db: DuckDb) -> list[Fault]:
    return [
        Fault(
            code="overlap",
            row=row,
            column="start",
            example="",
            what="A later sample of the same thing covers part of this time; it counts from there on.",
            fix="Nothing, if the file was exported twice; else check what tells the samples apart.",
            rejected=False,
        )
        for (row,) in db.rows(cutting.OVERLAPS)
    ]


def _grouped(faults: Sequence[Fault]) -> list[list[Fault]]:
    groups: dict[tuple[str, str, str, bool], list[Fault]] = defaultdict(list)
    for fault in faults:
        groups[fault.code, fault.column, fault.what, fault.rejected].append(fault)
    return list(groups.values())


def _problem(path: str, group: Sequence[Fault]) -> Problem:
    first = group[0]
    rows = sorted({fault.row for fault in group})
    return Problem(
        code=first.code,
        severity=Severity.REJECTED if first.rejected else Severity.WARNING,
        file=path,
        rows=ranges(rows),
        row_count=len(group),
        column=first.column,
        example=first.example[:200],
        what=first.what,
        fix=first.fix,
    )
