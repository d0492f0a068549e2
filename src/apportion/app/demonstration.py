"""Demo: a year of the example company and a real sample bill, from files to exact tables in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.app.asking import problems, report
from apportion.app.billing import ingest
from apportion.app.checking import verify
from apportion.app.posting import run
from apportion.app.project import open_project
from apportion.core.progress import Progress, silent
from apportion.demo import RESTATED, write_company, write_sample

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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


def demo(
    folder: Path, *, engine: str = "duckdb", engine_url: str | None = None, progress: Progress = silent
) -> Demonstration:
    """Write both projects into the folder, bring their bills in (one month of acme is restated), allocate and verify.

    Writing is repeatable: the same files come out, and a second call finds nothing new to ingest.
    """
    company, sample = folder / "acme", folder / "focus-sample"
    progress("writing the example company", 0, 1)
    write_company(company)
    write_sample(sample)
    return Demonstration(
        company=_shown(
            company, ("team", "model", "evidence"), later=RESTATED, engine=engine, url=engine_url, progress=progress
        ),
        sample=_shown(sample, ("evidence",), later={}, engine=engine, url=engine_url, progress=progress),
    )


def _shown(
    folder: Path,
    reports: tuple[str, ...],
    *,
    later: Mapping[str, tuple[str, ...]],
    engine: str,
    url: str | None,
    progress: Progress,
) -> Shown:
    with open_project(folder) as project:
        ingested = list(ingest(project, progress=progress))
        for source, paths in later.items():
            ingested += ingest(project, source=source, paths=paths, progress=progress)
        posted = run(project, engine=engine, engine_url=url, progress=progress)
        return Shown(
            folder=folder,
            ingested=tuple(ingested),
            posted=posted,
            certificate=verify(project, progress=progress),
            answers=tuple(report(project, by=by) for by in reports),
            problems=problems(project),
        )
