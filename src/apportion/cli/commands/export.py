"""`apportion export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from apportion import app
from apportion.cli import options
from apportion.cli.sheet import Column, Kind, Section, Sheet
from apportion.cli.telling import progress

if TYPE_CHECKING:
    from apportion.cli.main import Settings


@click.group("export", short_help="Write the result for other tools.")
def command() -> None:
    """Write the result of the current run for other tools."""


@command.command("focus")
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write to.")
@options.period
@click.option(
    "--focus-version", type=click.Choice(["1.3", "1.4"]), default="1.3", show_default=True, help="FOCUS version."
)
@click.option(
    "--form", "files", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True, help="File form."
)
@click.option(
    "--lens",
    type=click.Choice(["after", "before"]),
    default="after",
    show_default=True,
    help="After or before pools share.",
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@options.output
@click.pass_obj
def focus(  # noqa: PLR0913 - an export has that many choices
    settings: Settings,
    to: Path,
    period: str | None,
    focus_version: str,
    files: str,
    lens: str,
    form: str | None,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Write a complete FOCUS Cost and Usage dataset: split charges are replaced by their pieces, exact in every metric.

    What pools took is replaced by what they gave to owners; --lens before leaves it with those who had it.

    \b
    Examples:
      apportion export focus --to out
      apportion export focus --to out --form csv --period 2026-10 --focus-version 1.4
    """
    from apportion.ledger.lenses import Lens

    with app.open_project(settings.project) as project, progress(quiet=settings.quiet) as told:
        written = app.export_focus(
            project,
            to=to,
            period=options.parsed_period(period),
            version=focus_version,
            form=files,
            lens=Lens(lens),
            force=force,
            progress=told,
        )
        kept_out = app.kept_out(project, period=options.parsed_period(period)).sentence()
    files_written = Section(
        (Column("month", "Month"), Column("file", "File"), Column("rows", "Rows", Kind.COUNT)),
        [(str(file.month), str(file.path), file.rows) for file in written.files],
    )
    totals = Section(
        (Column("currency", "Currency"), Column("metric", "Metric"), Column("amount", "Amount", Kind.EXACT)),
        [(c, m, amount) for c, metrics in written.totals.items() for m, amount in metrics.items()],
        title="Totals",
    )
    sheet = Sheet(
        "export-focus",
        f"FOCUS {focus_version}: {written.rows:,} rows",
        (files_written, totals),
        facts={"rows": written.rows},
        notes=(kept_out,) if kept_out else (),
    )
    options.show(sheet, form, as_json=as_json)
