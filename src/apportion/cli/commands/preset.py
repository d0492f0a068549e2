"""`apportion preset`."""

from __future__ import annotations

import click

from apportion import app
from apportion.cli.options import output, show
from apportion.cli.sheet import Column, Section, Sheet


@click.command("preset", short_help="Print pools and rules to start from.")
@click.argument("name", required=False)
@output
def command(name: str | None, form: str | None, *, as_json: bool) -> None:
    """Print the TOML of the preset NAME, to paste into apportion.toml; without NAME, list what there is.

    \b
    Examples:
      apportion preset
      apportion preset networking >> apportion.toml
      apportion preset opencost
    """
    if name is not None:
        click.echo(app.preset(name), nl=False)
        return
    columns = (Column("preset", "Preset"), Column("what", "What it is"))
    show(Sheet("presets", "Presets", (Section(columns, list(app.presets().items())),)), form, as_json=as_json)
