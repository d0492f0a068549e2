"""Ingest: bring bills and the readings of meters in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from apportion.core.config import ASKED
from apportion.core.progress import Progress, silent
from apportion.errors import NoData, UnknownName
from apportion.sources import SOCKET
from apportion.sources.intake.ingest import IngestResult
from apportion.sources.intake.ingest import ingest as bring_in_bills
from apportion.sources.readings.contract import MeterSource

if TYPE_CHECKING:
    from apportion.app.project import Project
    from apportion.core.config import SourceConfig


def ingest(
    project: Project, *, source: str | None = None, paths: tuple[str, ...] = (), progress: Progress = silent
) -> tuple[IngestResult, ...]:
    """Bring in the bills or readings of one configured source (by id) or of all; `paths` replace those configured.

    Each source is all or nothing; unchanged files cost nothing. Raises `Busy` where another process writes, `NoData`
    where no source is configured, `UnknownName` for an unknown source, and whatever makes a delivery unreadable.
    """
    chosen = _chosen(project.config.sources, source)
    if paths and len(chosen) != 1:
        raise NoData("Paths belong to one source.", "Name the source too: 'apportion ingest SOURCE PATHS'.")
    with project.store.writing():
        return tuple(_bring_in(project, config, paths, progress) for config in chosen)


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
