"""`apportion doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from apportion import app
from apportion.cli.options import CHECK_FAILED, output, show
from apportion.cli.sheet import Column, Section, Sheet

if TYPE_CHECKING:
    from apportion.cli.main import Settings


@click.command("doctor", short_help="Check the project.")
@output
@click.pass_obj
def command(settings: Settings, form: str | None, *, as_json: bool) -> int:
    """Check configuration, sources, months and what is up to date; changes nothing.

    Exits with 3 if a check failed.

    \b
    Example:
      apportion doctor --json
    """
    checks = app.doctor(settings.project)
    columns = (
        Column("check", "Check"),
        Column("state", "State"),
        Column("detail", "Detail"),
        Column("fix", "What to do"),
    )
    rows = [(check.name, str(check.state), check.detail, check.fix or None) for check in checks]
    show(Sheet("doctor", f"Project {settings.project.resolve()}", (Section(columns, rows),)), form, as_json=as_json)
    return CHECK_FAILED if any(check.state == "fail" for check in checks) else 0
