"""Ingest: bring bills in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.progress import Progress, silent
from apportion.errors import NoData, UnknownName
from apportion.sources.intake.ingest import IngestResult
from apportion.sources.intake.ingest import ingest as bring_in

if TYPE_CHECKING:
    from apportion.app.project import Project
    from apportion.core.config import SourceConfig


def ingest(
    project: Project, *, source: str | None = None, paths: tuple[str, ...] = (), progress: Progress = silent
) -> tuple[IngestResult, ...]:
    """Bring in the bills of one configured source (by id) or of all; `paths` replace the configured ones of `source`.

    Each source is all or nothing; unchanged files cost nothing. Raises `Busy` where another process writes, `NoData`
    where no source is configured, `UnknownName` for an unknown source, and whatever makes a delivery unreadable.
    """
    chosen = _chosen(project.config.sources, source)
    if paths and len(chosen) != 1:
        raise NoData("Paths belong to one source.", "Name the source too: 'apportion ingest SOURCE PATHS'.")
    with project.store.writing():
        return tuple(
            bring_in(config, store=project.store, paths=paths or None, progress=progress, base=project.folder)
            for config in chosen
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
