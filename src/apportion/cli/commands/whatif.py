"""`apportion whatif`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from apportion import app
from apportion.cli import options
from apportion.cli.sheet import Cell, Column, Kind, Section, Sheet
from apportion.cli.telling import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.cli.main import Settings
    from apportion.ledger.whatif import OwnerChange, WhatIf

DIMENSIONS = ("team", "model", "project", "environment", "business-unit")
LENSES = ("after", "before")

RULES = (
    Column("kind", "What"),
    Column("id", "Id"),
    Column("fate", "Becomes"),
    Column("version_before", "Version"),
    Column("version_after", "Proposed"),
)


@click.command("whatif", short_help="Try rules on closed months.")
@click.option(
    "--rules",
    "rules",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The proposed rules: an apportion.toml, or a file with only the tables that change.",
)
@click.option("--by", type=click.Choice(DIMENSIONS), default="team", show_default=True, help="Whose amounts.")
@options.period
@options.metric
@click.option(
    "--lens", type=click.Choice(LENSES), default="after", show_default=True, help="After or before pools share."
)
@options.output
@click.pass_obj
def command(
    settings: Settings,
    /,
    rules: Path,
    by: str,
    period: str | None,
    metric: str,
    lens: str,
    **given: Any,  # noqa: ANN401 - the form
) -> None:
    """Show who would pay more and who less if proposed rules were in force in a month (the last one by default).

    What was ingested is allocated again under the proposed rules and set beside the current run; nothing is stored.
    A file with [project] is a whole apportion.toml. Any other replaces only what it sets: all rules, all pools, or a
    table such as [hierarchy.teams], [maps.accounts] or [tags.keys], each whole. Once it stands in apportion.toml,
    'apportion run' gives these amounts.

    \b
    Examples:
      apportion whatif --rules new.toml
      apportion whatif --rules new.toml --period 2026-09..2026-10 --by model --metric EffectiveCost --json
    """
    from apportion.ledger.lenses import Lens

    with app.open_project(settings.project) as project, progress(quiet=settings.quiet) as told:
        found = app.whatif(
            project,
            rules,
            by=by,
            period=options.parsed_period(period),
            metric=metric,
            lens=Lens(lens),
            progress=told,
        )
        kept_out = app.kept_out(project, period=found.period).sentence()
    options.show(sheet(found, kept_out), given["form"], as_json=given["as_json"])


def sheet(found: WhatIf, kept_out: str = "") -> Sheet:
    """Per currency one row per owner whose amount changes and one for all others; then the rules that differ."""
    columns = (
        Column(found.dimension.replace("-", "_"), found.dimension.replace("-", " ").capitalize()),
        Column("before", "Before", Kind.MONEY),
        Column("after", "After", Kind.MONEY),
        Column("change", "Change", Kind.CHANGE),
        Column("change_ratio", "Change %", Kind.CHANGE, ratio=True),
    )
    sections = []
    for currency in dict.fromkeys(each.currency for each in found.owners):
        owners = [each for each in found.owners if each.currency == currency]
        moved, still = [o for o in owners if o.change], [o for o in owners if not o.change]
        rows = [_row(each.owner, [each]) for each in moved]
        rows += [_row(f"({len(still)} unchanged)", still)] if still else []
        total = _row("Total", owners)
        label = {"label_key": "currency", "label": currency}
        sections.append(Section(columns, rows, title=currency, total=total, **label))
    if found.rules:
        rows = [(each.kind, each.id, each.fate.value, each.before, each.after) for each in found.rules]
        sections.append(Section(RULES, rows, title="What the rules change"))
    facts: dict[str, Cell] = {
        "run": found.run_id,
        "period": str(found.period),
        "metric": found.metric,
        "lens": found.lens,
    }
    return Sheet("whatif", "What the proposed rules would change", tuple(sections), facts, _notes(found, kept_out))


def _row(name: str, owners: Sequence[OwnerChange]) -> tuple[Cell, ...]:
    from apportion.reports.reading.change import added, ratio

    before, after = added([each.before for each in owners]), added([each.after for each in owners])
    change = added([each.change for each in owners])
    return name, before, after, change, ratio(change, before)


def _notes(found: WhatIf, kept_out: str) -> tuple[str, ...]:
    notes = ["Nothing was stored: before is the current run, after what 'apportion run' would give."]
    if not found.rules:
        notes.append("The proposed rules are those of the run.")
    elif not any(each.change for each in found.owners):
        notes.append("They change nobody's amount.")
    return (*notes, *found.notes, *([kept_out] if kept_out else []))
