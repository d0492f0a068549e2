"""`apportion problems`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from apportion import app
from apportion.cli.options import output, parsed_period, period, show
from apportion.cli.sheet import Column, Kind, Section, Sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.cli.main import Settings
    from apportion.store.records import StoredProblem

COLUMNS = (
    Column("severity", "Severity"),
    Column("code", "Problem"),
    Column("column", "Column"),
    Column("file", "File"),
    Column("rows", "Rows"),
    Column("row_count", "Count", Kind.COUNT),
    Column("example", "Example"),
    Column("amount", "BilledCost", Kind.MONEY),
    Column("currency", "Currency"),
    Column("what", "What", detail=True),
    Column("fix", "What to do", detail=True),
    Column("source", "Source", detail=True),
    Column("period", "Month", detail=True),
)


@click.command("problems", short_help="List what was wrong in the bills.")
@period
@click.option("--source", help="Only this source.")
@click.option("--severity", type=click.Choice(["rejected", "warning", "repaired"]), help="Only these.")
@output
@click.pass_obj
def command(
    settings: Settings, period: str | None, source: str | None, severity: str | None, form: str | None, *, as_json: bool
) -> None:
    """List what was put right, doubtful or kept out of the money, with file and rows.

    Rows are counted as a spreadsheet shows them: the header is row 1. CSV and JSON say more: what is wrong, and what
    to do.

    \b
    Examples:
      apportion problems --severity rejected
      apportion problems --json
    """
    with app.open_project(settings.project) as project:
        found = app.problems(project, period=parsed_period(period), source=source)
    show(sheet([p for p in found if severity in {None, p.severity}]), form, as_json=as_json)


def sheet(found: Sequence[StoredProblem]) -> Sheet:
    """One row per kind of problem, column and file; below the table, each kind once in words."""
    rows = [
        (
            str(p.severity),
            p.code,
            p.column,
            p.file,
            p.rows,
            p.row_count,
            p.example,
            p.amount,
            p.currency,
            p.what,
            p.fix,
            p.source_id,
            str(p.period) if p.period else None,
        )
        for p in found
    ]
    notes = tuple(dict.fromkeys(f"{p.code}: {p.what} {p.fix}" for p in found))
    return Sheet("problems", f"{len(found)} problems", (Section(COLUMNS, rows),), notes=notes)
