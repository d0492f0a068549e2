"""`apportion sensitivity`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from apportion import app
from apportion.cli import options
from apportion.cli.sheet import Cell, Column, Kind, Section, Sheet
from apportion.cli.telling import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.cli.main import Settings
    from apportion.ledger.sensitivity import OwnerRange, Sensitivity

DIMENSIONS = ("team", "project", "model", "environment", "business-unit")


@click.command("sensitivity", short_help="Compare weight sets.")
@click.option("--by", type=click.Choice(DIMENSIONS), default="team", show_default=True, help="Whose amounts.")
@options.period
@options.metric
@options.output
@click.pass_obj
def command(
    settings: Settings,
    /,
    by: str,
    period: str | None,
    metric: str,
    form: str | None,
    *,
    as_json: bool,
) -> None:
    """Show the least and the most that each owner gets under the named weight sets, beside the current amount.

    The weights say what a GPU-hour, a core-hour and a GiB-hour of a machine count against each other. Everything is
    calculated again under each set; nothing is stored.

    \b
    Examples:
      apportion sensitivity
      apportion sensitivity --by model --period 2026-10 --json
    """
    with app.open_project(settings.project) as project, progress(quiet=settings.quiet) as told:
        found = app.sensitivity(project, by=by, period=options.parsed_period(period), metric=metric, progress=told)
    options.show(sheet(found), form, as_json=as_json)


def sheet(found: Sensitivity) -> Sheet:
    """Per currency one row per owner: the current amount, the least and the most, and the amount of every set."""
    columns = (
        Column(found.dimension.replace("-", "_"), found.dimension.replace("-", " ").capitalize()),
        Column("current", "Current", Kind.MONEY),
        Column("lowest", "Least", Kind.MONEY),
        Column("lowest_sets", "With"),
        Column("highest", "Most", Kind.MONEY),
        Column("highest_sets", "With"),
        Column("spread", "Apart", Kind.MONEY),
        *(Column(f"set_{name}", name, Kind.MONEY, detail=True) for name in found.sets),
    )
    currencies = dict.fromkeys(each.currency for each in found.owners)
    sections = tuple(
        Section(
            columns,
            [_row(each, found.sets) for each in found.owners if each.currency == currency],
            title=currency,
            label_key="currency",
            label=currency,
        )
        for currency in currencies
    )
    facts: dict[str, Cell] = {"run": found.run_id, "metric": found.metric, "current_set": found.current}
    return Sheet("sensitivity", "What other weights would give", sections, facts=facts, notes=_notes(found))


def _row(each: OwnerRange, sets: Sequence[str]) -> tuple[Cell, ...]:
    lowest, highest = each.lowest, each.highest
    return (
        each.owner,
        each.current,
        lowest,
        ", ".join(each.sets(lowest)) if each.spread else None,
        highest,
        ", ".join(each.sets(highest)) if each.spread else None,
        each.spread,
        *(each.by_set[name] for name in sets),
    )


def _notes(found: Sensitivity) -> tuple[str, ...]:
    notes = [f"Calculated anew under each of the sets {', '.join(found.sets)}; nothing was stored."]
    if not found.matters:
        notes.append("No set changes anybody's amount by more than a billionth of it.")
    if found.fixed:
        notes.append(f"Machines with weights of their own are not changed by a set: {', '.join(found.fixed)}.")
    return tuple(notes)
