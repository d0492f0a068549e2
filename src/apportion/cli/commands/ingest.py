"""`apportion ingest`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from apportion import app
from apportion.cli.options import output, show
from apportion.cli.render import form_for
from apportion.cli.sheet import Cell, Column, Kind, Section, Sheet
from apportion.cli.telling import progress
from apportion.errors import SourcesFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    right or kept out is listed by 'apportion problems'. Of several sources every one is tried: what came in is kept
    and listed, and if one failed the exit code is not 0.

    \b
    Examples:
      apportion ingest
      apportion ingest aws downloads/2026-10.csv
    """
    failed: SourcesFailed | None = None
    with app.open_project(settings.project) as project, progress(quiet=settings.quiet) as told:
        try:
            results = app.ingest(project, source=source, paths=paths, progress=told)
        except SourcesFailed as error:
            results, failed = error.brought_in, error
    # the error itself goes to stderr, where CSV has its notes too
    said = failed is not None and form_for(form, as_json=as_json) != "csv"
    show(sheet(results, failed if said else None), form, as_json=as_json)
    if failed is not None:
        raise failed


def sheet(results: Sequence[IngestResult], failed: SourcesFailed | None = None) -> Sheet:
    """What came in, one row per source, account, month and currency; `failed`: what did not, told in the notes."""
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
    return Sheet("ingest", "Bills brought in", (Section(COLUMNS, rows),), notes=(*_notes(results), *_failures(failed)))


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


def _failures(failed: SourcesFailed | None) -> Iterator[str]:
    if failed is None:
        return
    yield from (f"Not brought in: {source} ({error.what})" for source, error in failed.failures)
    yield from (f"Not tried: {source}" for source in failed.untried)
