"""Ingest: bring bills and the readings of meters in."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from apportion.core.config import ASKED
from apportion.core.progress import Progress, silent
from apportion.errors import (
    ApportionError,
    DoubleDelivery,
    MeterUnreachable,
    MissingExtra,
    NoData,
    SourcesFailed,
    UnknownName,
    UnknownShape,
    UnreadableFile,
)
from apportion.sources import SOCKET
from apportion.sources.intake.ingest import IngestResult
from apportion.sources.intake.ingest import ingest as bring_in_bills
from apportion.sources.readings.contract import MeterSource

if TYPE_CHECKING:
    from apportion.app.project import Project
    from apportion.core.config import SourceConfig

_OF_ONE_SOURCE = (DoubleDelivery, MeterUnreachable, MissingExtra, UnknownShape, UnreadableFile)
"""Failures that say nothing of the other sources."""


def ingest(
    project: Project, *, source: str | None = None, paths: tuple[str, ...] = (), progress: Progress = silent
) -> tuple[IngestResult, ...]:
    """Bring in the bills or readings of one configured source (by id) or of all; `paths` replace those configured.

    Each source is all or nothing; unchanged files cost nothing. Of several sources one that cannot be read or reached
    does not keep back the others: every one is tried, and `SourcesFailed` says which came in and which did not. Any
    other failure (a fault of the configuration, a full disk) ends it at once, and it says which were not tried.

    Raises `Busy` where another process writes, `NoData` where no source is configured, `UnknownName` for an unknown
    source, and whatever makes the delivery of a single source unreadable.
    """
    chosen = _chosen(project.config.sources, source)
    if paths and len(chosen) != 1:
        raise NoData("Paths belong to one source.", "Name the source too: 'apportion ingest SOURCE PATHS'.")
    with project.store.writing():
        if len(chosen) == 1:
            return (_bring_in(project, chosen[0], paths, progress),)
        return _bring_in_all(project, chosen, progress)


def _bring_in_all(project: Project, chosen: tuple[SourceConfig, ...], progress: Progress) -> tuple[IngestResult, ...]:
    came: list[tuple[str, IngestResult]] = []
    failures: list[tuple[str, ApportionError]] = []
    waiting = deque(chosen)
    while waiting:
        config = waiting.popleft()
        try:
            came.append((config.id, _bring_in(project, config, (), progress)))
        except _OF_ONE_SOURCE as error:
            failures.append((config.id, error))
        except OSError as error:
            failures.append((config.id, _unreadable(error)))
        except ApportionError as error:
            if not came and not failures:
                raise
            failures.append((config.id, error))
            break
    if failures:
        untried = [config.id for config in waiting]
        raise SourcesFailed(brought_in=came, failures=failures, untried=untried) from failures[0][1]
    return tuple(result for _, result in came)


def _unreadable(error: OSError) -> UnreadableFile:
    file, what = str(error.filename or "A file"), str(error.strerror or error)
    return UnreadableFile(file=file, what=f"{what}.", fix="Check the path and its permissions.")


def _bring_in(project: Project, config: SourceConfig, paths: tuple[str, ...], progress: Progress) -> IngestResult:
    source = SOCKET.load(config.kind)
    if not isinstance(source, MeterSource):
        return bring_in_bills(config, store=project.store, paths=paths or None, progress=progress, base=project.folder)
    from apportion.sources.readings.ingest import ingest as bring_in_readings
    from apportion.sources.readings.pulling import pull

    wanted = list(paths or config.paths)
    if not paths and ASKED & config.options.keys():
        folder = project.store.state / "pulled" / config.id
        now = datetime.now(UTC).replace(tzinfo=None)
        wanted += [str(path) for path in pull(source, config, folder=folder, now=now, progress=progress)]
    return bring_in_readings(
        config,
        store=project.store,
        paths=tuple(wanted),
        base=project.folder,
        progress=progress,
        whole=not paths,
    )


def _chosen(sources: tuple[SourceConfig, ...], wanted: str | None) -> tuple[SourceConfig, ...]:
    if not sources:
        raise NoData("No source of bills is configured.", "Add a [[sources]] entry to apportion.toml.")
    if wanted is None:
        return sources
    found = tuple(config for config in sources if config.id == wanted)
    if not found:
        raise UnknownName("source", wanted, (config.id for config in sources))
    return found
