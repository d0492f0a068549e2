"""`apportion record`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from apportion import app
from apportion.cli.options import output, show
from apportion.cli.sheet import Column, Kind, Section, Sheet

if TYPE_CHECKING:
    from apportion.app.recording import Recorded
    from apportion.cli.main import Settings

KNOWN = (
    "team", "model", "project", "environment", "experiment", "name", "node", "resource-id", "instance-type", "cluster",
    "user",
)  # fmt: skip
"""Options that are columns of a usage file."""


def _columns(command: Any) -> Any:  # noqa: ANN401 - click's own
    for name in reversed(KNOWN):
        command = click.option(f"--{name}", name.replace("-", "_"), help=f"The {name.replace('-', ' ')}.")(command)
    return command


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if value else None
    except ValueError as error:
        words = f"'{value}' is no time; write ISO 8601, such as 2026-10-01T08:30:00Z."
        raise click.BadParameter(words, ctx, param) from error


@click.command("record", short_help="Write down usage by hand.")
@click.option("--workload", required=True, help="Id of the job, endpoint or data job; equal ids are one workload.")
@click.option("--kind", default="training_job", show_default=True, help="What the workload is.")
@click.option("--gpus", help="GPUs held; with --hours, or with --start and --end.")
@click.option("--hours", help="How long, such as 2.5 or 90m: from --start, else up to --end or now.")
@click.option("--measure", default="gpu_seconds", show_default=True, help="What is counted.")
@click.option("--quantity", help="How much: a number, or a time such as 1.5h.")
@click.option("--unit", help="Unit of the number, such as gib_hours; base units if left out.")
@click.option("--basis", default="used", show_default=True, help="used, requested or estimated.")
@click.option("--start", callback=_moment, help="When it began (UTC unless a zone is said).")
@click.option("--end", callback=_moment, help="When it ended; else --start plus how long it lasted, or now.")
@_columns
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A tag (repeatable).")
@click.option(
    "--spool",
    envvar="APPORTION_SPOOL",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write to, instead of .apportion-usage of the project.",
)
@output
@click.pass_obj
def command(settings: Settings, /, form: str | None, *, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - its options
    """Write down what a job or endpoint used, where no meter counts it.

    The line is read by a source of the kind usage_file whose paths hold the folder. It lasts from --start for
    --hours, or for a quantity that is a time (1.5h is one GPU or core for that long); without --start, up to --end or
    now. The answer says from when to when.

    \b
    Examples:
      apportion record --workload retrain-17 --gpus 4 --hours 2.5 --team fraud --model fraud-detector
      apportion record --workload retrain-17 --gpus 4 --start 2026-10-01T08:00:00Z --hours 2.5
      apportion record --workload etl --measure cpu_core_seconds --quantity 90m
    """
    labels = dict(_pair(text) for text in given.pop("labels"))
    names = [name.replace("-", "_") for name in KNOWN]
    known = {name: value for name in names if (value := given.pop(name)) is not None}
    spool = given.pop("spool")
    usage = app.Usage(known=known, labels=labels, **given)
    show(sheet(app.record(settings.project, usage, spool=spool)), form, as_json=as_json)


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise click.BadParameter(f"'{text}' is no KEY=VALUE.", param_hint="--label")
    return name, value


def sheet(recorded: Recorded) -> Sheet:
    """What was counted, from when to when (UTC), and the file that says so."""
    columns = (
        Column("workload", "Workload"),
        Column("measure", "Measure"),
        Column("quantity", "Quantity", Kind.EXACT),
        Column("start", "Start"),
        Column("end", "End"),
        Column("file", "File"),
    )
    start, end = (f"{moment.isoformat()}Z" for moment in (recorded.start, recorded.end))
    row = (recorded.workload, recorded.measure, recorded.quantity, start, end, str(recorded.path))
    return Sheet("record", "Recorded", (Section(columns, [row]),))
