"""Export: the result as data for the tools people have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.app.asking import current_run
from apportion.core.period import Period
from apportion.core.progress import Progress, silent
from apportion.ledger.lenses import Lens
from apportion.reports.focus_dataset import FocusExport
from apportion.reports.focus_dataset import export_focus as write_focus

if TYPE_CHECKING:
    from pathlib import Path

    from apportion.app.project import Project


def export_focus(
    project: Project,
    *,
    to: Path,
    period: Period | None = None,
    version: str = "1.3",
    form: str = "parquet",
    lens: Lens = Lens.AFTER,
    force: bool = False,
    progress: Progress = silent,
) -> FocusExport:
    """The current run as a complete FOCUS dataset in the folder `to`, all its months unless `period` says which.

    `version` is 1.3 or 1.4, `form` is parquet or csv; files that are there already are replaced only with `force`. The
    lens `before` shows costs with whom tags, rules and meters give them to, as if there were no pools.
    """
    run = current_run(project)
    months = [part.period for part in run.parts]
    return write_focus(
        project.store,
        run,
        period=period or Period(min(months), max(months)),
        version=version,
        form=form,
        lens=lens,
        to=to,
        force=force,
        progress=progress,
    )
