"""Demo: a year of the example company and a real sample bill, from files to exact tables in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.app.asking import problems, report
from apportion.app.billing import ingest
from apportion.app.checking import verify
from apportion.app.posting import run
from apportion.app.project import CONFIG_FILE, open_project
from apportion.core.period import Month, Period
from apportion.core.progress import Progress, silent
from apportion.demo import RESTATED, company_configuration, sample_configuration, write_company, write_sample
from apportion.errors import WouldOverwrite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from apportion.app.project import Project
    from apportion.ledger.post import Posted
    from apportion.ledger.verify import Certificate
    from apportion.reports.reading.contract import Answer
    from apportion.sources.intake.ingest import IngestResult
    from apportion.store.records import StoredProblem


@dataclass(frozen=True, slots=True)
class Shown:
    """What the demo did in one project: deliveries brought in, the run, its certificate, what is worth seeing."""

    folder: Path
    ingested: tuple[IngestResult, ...]
    posted: Posted
    certificate: Certificate
    answers: tuple[Answer, ...]
    problems: tuple[StoredProblem, ...]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """The example company (`acme`, invented) and the FOCUS Foundation's anonymised sample bill."""

    company: Shown
    sample: Shown


SAMPLE_MONTHS = Period(Month(2024, 9), Month(2024, 10))
"""What the sample bill covers: one row is of October."""


def demo(
    folder: Path, *, engine: str = "duckdb", engine_url: str | None = None, progress: Progress = silent
) -> Demonstration:
    """Write both projects into the folder, bring their bills in (one month of acme is restated), allocate and verify.

    Writing is repeatable: the same files come out. A project that was allocated before is not ingested again. Raises
    `WouldOverwrite` where the folder holds another configuration than the demo's own.
    """
    company, sample = folder / "acme", folder / "focus-sample"
    _refuse_foreign(company, company_configuration())
    _refuse_foreign(sample, sample_configuration())
    progress("writing the example company", 0, 1)
    write_company(company)
    write_sample(sample)
    with open_project(company) as project:
        deliveries = _delivered(project, RESTATED, progress=progress)
        posted = run(project, engine=engine, engine_url=engine_url, progress=progress)
        answers = tuple(report(project, by=by) for by in ("team", "model", "evidence"))
        shown = _shown(project, deliveries, posted, answers, progress=progress)
    with open_project(sample) as project:
        deliveries = _delivered(project, {}, progress=progress)
        posted = run(project, engine=engine, engine_url=engine_url, progress=progress)
        answers = (report(project, by="evidence", period=SAMPLE_MONTHS),)
        return Demonstration(shown, _shown(project, deliveries, posted, answers, progress=progress))


def _refuse_foreign(folder: Path, ours: str) -> None:
    """Raise `WouldOverwrite` where the folder holds another project's configuration, or one that was edited."""
    path = folder / CONFIG_FILE
    if path.exists() and path.read_text(encoding="utf-8") != ours:
        raise WouldOverwrite(str(path))


def _delivered(
    project: Project, later: Mapping[str, tuple[str, ...]], *, progress: Progress
) -> tuple[IngestResult, ...]:
    if project.store.current_run() is not None:
        return ()
    first = ingest(project, progress=progress)
    again = [ingest(project, source=source, paths=paths, progress=progress) for source, paths in later.items()]
    return (*first, *(result for results in again for result in results))


def _shown(
    project: Project,
    deliveries: tuple[IngestResult, ...],
    posted: Posted,
    answers: tuple[Answer, ...],
    *,
    progress: Progress,
) -> Shown:
    return Shown(
        folder=project.folder,
        ingested=deliveries,
        posted=posted,
        certificate=verify(project, progress=progress),
        answers=answers,
        problems=problems(project),
    )
