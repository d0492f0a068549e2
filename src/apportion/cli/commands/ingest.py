"""`apportion ingest`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from apportion import app
from apportion.cli.options import output, show
from apportion.cli.sheet import Cell, Column, Kind, Section, Sheet
from apportion.cli.telling import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.cli.main import Settings
    from apportion.sources.intake.ingest import IngestResult

COLUMNS = (
    Column("source", "Source"),
    Column("account", "Billing account"),
    Column("period", "Month"),
    Column("outcome", "Outcome"),
    Column("charges", "Charges", Kind.COUNT),
    Column("rejected", "Rejected", Kind.COUNT),
    Column("currency", "Currency"),
    Column("billed", "BilledCost", Kind.MONEY),
    Column("snapshot", "Snapshot", detail=True),
)


@click.command("ingest", short_help="Bring in bills.")
@click.argument("source", required=False)
@click.argument("paths", nargs=-1)
@output
@click.pass_obj
def command(settings: Settings, source: str | None, paths: tuple[str, ...], form: str | None, *, as_json: bool) -> None:
    """Bring in the bills of SOURCE (its id in apportion.toml), or of all sources; PATHS replace its configured ones.

    A month that was delivered again in another form gets a new snapshot; unchanged files cost nothing. What was put
    right or kept out is listed by 'apportion problems'.

    \b
    Examples:
      apportion ingest
      apportion ingest aws downloads/2026-10.csv
    """
    with app.open_project(settings.project) as project, progress(quiet=settings.quiet) as told:
        results = app.ingest(project, source=source, paths=paths, progress=told)
    show(sheet(results), form, as_json=as_json)


def sheet(results: Sequence[IngestResult]) -> Sheet:
    """What came in, one row per source, account, month and currency."""
    rows: list[tuple[Cell, ...]] = []
    for result in results:
        restated = {each.new_snapshot: "restated" if each.lines else "same money" for each in result.restatements}
        for snapshot in result.published:
            scope, outcome = snapshot.scope, restated.get(snapshot.id, "new")
            rows += [
                (
                    result.source_id,
                    scope.billing_account_id,
                    str(scope.period),
                    outcome,
                    # the charges of all currencies together, so once
                    snapshot.rows if place == 0 else None,
                    snapshot.rejected if place == 0 else None,
                    currency,
                    amounts.get("BilledCost"),
                    snapshot.id,
                )
                for place, (currency, amounts) in enumerate((snapshot.totals or {"": {}}).items())
            ]
        rows += [
            (result.source_id, scope.billing_account_id, str(scope.period), "unchanged", *[None] * 5)
            for scope in result.unchanged
        ]
    return Sheet("ingest", "Bills brought in", (Section(COLUMNS, rows),), notes=_notes(results))


def _notes(results: Sequence[IngestResult]) -> tuple[str, ...]:
    faults = [problem for result in results for problem in result.problems]
    kinds = {severity: sum(p.severity == severity for p in faults) for severity in ("repaired", "warning", "rejected")}
    left_out = [(path, why) for result in results for path, why in result.left_out]
    notes = []
    if faults:
        counted = ", ".join(f"{count} {severity}" for severity, count in kinds.items() if count)
        notes.append(f"Problems: {counted}. See 'apportion problems'.")
    notes += [f"Left out: {path} ({why})" for path, why in left_out]
    return tuple(notes)
