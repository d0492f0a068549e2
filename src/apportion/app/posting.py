"""Run: allocate what was ingested."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.progress import Progress, silent
from apportion.engine.select import engine as open_engine
from apportion.ledger.post import Posted, post

if TYPE_CHECKING:
    from apportion.app.project import Project


def run(
    project: Project, *, engine: str = "duckdb", engine_url: str | None = None, progress: Progress = silent
) -> Posted:
    """Allocate every ingested charge under the rules as they are now and make the result the current run.

    Months that did not change under rules that did not change are reused. `engine` is `duckdb` or `spark`
    (`engine_url` then is `sc://host:port`). Raises `NoData`, `NotConserved`, `EngineFailed`, `MissingExtra`.
    """
    with open_engine(engine, url=engine_url, memory=project.memory, temp=project.store.stage()) as worker:
        return post(
            project.store,
            project.config,
            config_text=project.config_text,
            engine=worker,
            memory=project.memory,
            progress=progress,
        )
