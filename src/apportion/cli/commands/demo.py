"""`apportion demo`."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from apportion import app
from apportion.cli import figures, options, render
from apportion.cli.commands import report as reporting
from apportion.cli.commands.ingest import sheet as ingest_sheet
from apportion.cli.commands.run import sheet as run_sheet
from apportion.cli.sheet import Sheet
from apportion.cli.telling import progress
from apportion.core.targets import RESERVED

if TYPE_CHECKING:
    from apportion.app.demonstration import Demonstration, Shown
    from apportion.cli.main import Settings


@click.command("demo", short_help="See it work.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("apportion-demo"))
@click.option(
    "--engine", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True, help="Calculates."
)
@click.option("--engine-url", help="Spark Connect server, sc://host:port.")
@options.output
@click.pass_obj
def command(
    settings: Settings, folder: Path, engine: str, engine_url: str | None, form: str | None, *, as_json: bool
) -> int:
    """Allocate a year of an example company, and a real sample bill, in FOLDER.

    The company acme is invented: three clouds, a Kubernetes cluster, LLM APIs, six teams, some twenty models, and tags
    as untidy as they are. The sample is the FOCUS Foundation's anonymised data (CC BY 4.0).

    \b
    Example:
      apportion demo /tmp/apportion-demo
    """
    with progress(quiet=settings.quiet) as told:
        shown = app.demo(folder, engine=engine, engine_url=engine_url, progress=told)
    if render.form_for(form or "table", as_json=as_json) == "json":
        click.echo(document(shown))
    else:
        for sheet in sheets(shown):
            options.show(sheet, form or "table", as_json=False)
        click.echo(closing(shown), err=form in {"csv", "md"})
    return 0 if shown.company.certificate.passed and shown.sample.certificate.passed else options.CHECK_FAILED


def document(shown: Demonstration) -> str:
    """All that the demo shows as one JSON document."""
    projects = [
        {
            "folder": str(project.folder),
            "charges": project.certificate.charges,
            "holds": project.certificate.passed,
            "certificate_sha256": project.certificate.sha256,
            "run": json.loads(render.as_json(run_sheet(project.posted, ""))),
            "reports": [json.loads(render.as_json(reporting.sheet(answer))) for answer in project.answers],
        }
        for project in (shown.sample, shown.company)
    ]
    return json.dumps({"schema": "apportion.demo/1", "projects": projects}, ensure_ascii=False, indent=2)


def sheets(shown: Demonstration) -> list[Sheet]:
    """What came in and what it became, for the company and for the sample."""
    found = []
    for project in (shown.sample, shown.company):
        found.append(_brought_in(project))
        found += [reporting.sheet(answer) for answer in project.answers]
    return found


def _brought_in(project: Shown) -> Sheet:
    if not project.ingested:
        return Sheet("demo", f"Project {project.folder}", (), notes=("Its bills were brought in before.",))
    by_source: dict[str, int] = {}
    for result in project.ingested:
        by_source[result.source_id] = by_source.get(result.source_id, 0) + sum(s.rows for s in result.published)
    restated = sum(len(result.restatements) for result in project.ingested)
    counts = ", ".join(f"{source} {rows:,}" for source, rows in by_source.items())
    notes = (
        f"Charges brought in: {counts}. Months restated by a later delivery: {restated}.",
        *ingest_sheet(project.ingested).notes[:1],
    )
    return Sheet("demo", f"Project {project.folder}", (), notes=notes)


def _coverage(project: Shown) -> str:
    """The share of the last month's money that has a team, from the report by team."""
    (section,) = project.answers[0].sections
    place = next(i for i, column in enumerate(section.columns) if column.key == "share")
    known = [row[place] for row in section.rows if row[0] not in RESERVED]
    covered = sum((share for share in known if isinstance(share, Decimal)), Decimal(0))
    return f"{figures.percent(covered)} of BilledCost {project.answers[0].period} has a team"


def closing(shown: Demonstration) -> str:
    """How much has an owner, totals in = totals out, whether the certificate holds, and what to try next."""
    lines = [f"\nCoverage: {_coverage(shown.company)}"]
    for project in (shown.sample, shown.company):
        run = project.posted.run
        verdict = "holds" if project.certificate.passed else "DOES NOT HOLD"
        lines.append(f"\n{project.folder}: {project.certificate.charges:,} charges, certificate {verdict}")
        for currency, metrics in run.totals_in.items():
            came, went = metrics["BilledCost"], run.totals_out[currency]["BilledCost"]
            sign, how = ("=", ", to the last digit") if came == went else ("≠", "")
            lines.append(f"  {currency} BilledCost in {figures.exact(came)} {sign} out {figures.exact(went)}{how}")
    company = shown.company.folder
    lines += [
        "\nNext:",
        f"  apportion --project {company} explain --team risk",
        f"  apportion --project {company} report --by waterfall --team platform",
        f"  apportion --project {company} tags worklist",
        f"  apportion --project {company} export focus --to {company}/out",
    ]
    return "\n".join(lines)
