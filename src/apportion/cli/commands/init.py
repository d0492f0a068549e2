"""`apportion init`."""

from __future__ import annotations

from pathlib import Path

import click

from apportion import app


@click.command("init", short_help="Create a project folder.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option("--force", is_flag=True, help="Replace an apportion.toml that is there.")
def command(folder: Path, *, force: bool) -> None:
    """Create FOLDER with a commented apportion.toml to start from.

    \b
    Example:
      apportion init bills-2026
    """
    written = app.init(folder, force=force)
    click.echo(f"Wrote {written}")
    click.echo(f"Next: put a FOCUS bill into {written.parent / 'bills'}, then: apportion ingest && apportion run")
