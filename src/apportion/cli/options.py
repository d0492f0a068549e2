"""Options that several commands share, and the one way to print."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from apportion.cli.render import FORMS, form_for, rendered

if TYPE_CHECKING:
    from apportion.cli.sheet import Sheet

Command = TypeVar("Command", bound=Callable[..., Any])

CHECK_FAILED = 3
"""The exit code of a check that failed."""

FILTERS = ("team", "project", "model", "environment", "business-unit", "service", "account", "provider", "job")


def output(command: Command) -> Command:
    """Add `--format` and `--json`."""
    form = click.option("--format", "form", type=click.Choice(FORMS), help="Default: table, or csv in a pipe.")
    as_json = click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
    return form(as_json(command))


def filters(command: Command) -> Command:
    """Add one option per field that selects pieces; each can be given several times."""
    for name in reversed(FILTERS):
        what = "job, endpoint or API key, by name or id" if name == "job" else name
        add = click.option(f"--{name}", name.replace("-", "_"), multiple=True, help=f"Only this {what} (repeatable).")
        command = add(command)
    return command


def chosen(given: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The filters among a command's options."""
    names = [name.replace("-", "_") for name in FILTERS]
    return {name: tuple(given[name]) for name in names if given.get(name)}


def period(command: Command) -> Command:
    """Add `--period`."""
    words = "A month (2026-10) or a range with both ends (2026-01..2026-10)."
    return click.option("--period", "-p", help=words)(command)


def parsed_period(text: str | None) -> Any:  # noqa: ANN401 - Period, imported late
    """The period, or None where none was given; raises `BadPeriod`."""
    from apportion.core.period import Period

    return Period.parse(text) if text else None


def metric(command: Command) -> Command:
    """Add `--metric`."""
    costs = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
    words = "FOCUS cost metric."
    return click.option("--metric", type=click.Choice(costs), default=costs[0], show_default=True, help=words)(command)


def show(sheet: Sheet, form: str | None, *, as_json: bool) -> None:
    """Print the sheet in the form asked for; CSV has no place for notes, so they go to stderr."""
    chosen_form = form_for(form, as_json=as_json)
    click.echo(rendered(sheet, chosen_form), nl=False)
    if chosen_form == "csv" and not click.get_current_context().obj.quiet:
        for note in sheet.notes:
            click.echo(note, err=True)
