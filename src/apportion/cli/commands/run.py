"""`apportion run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from apportion import app
from apportion.cli.options import output, show
from apportion.cli.sheet import Cell, Column, Kind, Section, Sheet
from apportion.cli.telling import progress

if TYPE_CHECKING:
    from apportion.cli.main import Settings
    from apportion.ledger.post import Posted


@click.command("run", short_help="Allocate every charge.")
@click.option(
    "--engine", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True, help="What calculates."
)
@click.option("--engine-url", help="Spark Connect server, sc://host:port.")
@output
@click.pass_obj
def command(settings: Settings, engine: str, engine_url: str | None, form: str | None, *, as_json: bool) -> None:
    """Allocate every ingested charge to its owners under the rules as they are now.

    Months and rules that did not change are reused. Money in equals money out, to the last digit and for every
    metric, or nothing is published.

    \b
    Examples:
      apportion run
      apportion run --engine spark --engine-url sc://127.0.0.1:50051
    """
    with app.open_project(settings.project) as project, progress(quiet=settings.quiet) as told:
        posted = app.run(project, engine=engine, engine_url=engine_url, progress=told)
        kept_out = app.kept_out(project).sentence()
    show(sheet(posted, kept_out), form, as_json=as_json)


def sheet(posted: Posted, kept_out: str) -> Sheet:
    """Totals in and out per currency and metric, every digit."""
    run = posted.run
    columns = (Column("metric", "Metric"), Column("in", "In", Kind.EXACT), Column("out", "Out", Kind.EXACT))
    sections = tuple(
        Section(
            columns,
            [(metric, amount, run.totals_out[currency][metric]) for metric, amount in metrics.items()],
            title=currency,
            label_key="currency",
            label=currency,
        )
        for currency, metrics in run.totals_in.items()
    )
    state = "is up to date" if posted.unchanged else f"calculated {_parts(posted.fresh)}, reused {posted.reused}"
    facts: dict[str, Cell] = {"run": run.id, "engine": run.engine, "fresh": posted.fresh, "reused": posted.reused}
    return Sheet(
        "run",
        f"Run {run.id} {state}: totals in = totals out",
        sections,
        facts=facts,
        notes=(kept_out,) if kept_out else (),
    )


def _parts(count: int) -> str:
    return "1 part" if count == 1 else f"{count} parts"
