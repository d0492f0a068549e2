"""Usage that is known but that no meter counts, written down by hand: the push door's other half."""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.app.project import CONFIG_FILE
from apportion.app.tracking import SPOOL, spool_folder, write_lines
from apportion.errors import NoProject, UnusableUsage
from apportion.sources.readings.contract import Fault
from apportion.sources.usage_file import sample_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)?")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written: the workload, the measure and its quantity in base units, and the file."""

    workload: str
    measure: str
    quantity: Decimal
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One quantity of one workload, in the user's words.

    Either `gpus` × `hours`, or a `measure` with its `quantity`: a number in `unit` (base units if None), or a time with
    its unit (`90s`, `30m`, `1.5h`, `2d`). It ends at `end` (now, if None). It starts at `start`, or `hours` before the
    end, or, for a time, that long before the end, as one GPU or core would take it.
    """

    workload: str
    kind: str = "training_job"
    measure: str = "gpu_seconds"
    quantity: str | None = None
    unit: str | None = None
    gpus: str | None = None
    hours: str | None = None
    basis: str = "used"
    start: datetime | None = None
    end: datetime | None = None
    known: Mapping[str, str] = field(default_factory=dict)
    """Other columns of a usage file: team, model, project, environment, node, resource_id …"""
    labels: Mapping[str, str] = field(default_factory=dict)


def record(folder: Path, usage: Usage, *, spool: Path | None = None) -> Recorded:
    """One line for the source `usage_file` in the spool folder; says what was counted.

    The folder is `spool`, else `$APPORTION_SPOOL`, else `.apportion-usage` of the project. Raises `UnusableUsage` for
    usage that the source would refuse, and `NoProject` where the project is asked for and there is none.
    """
    target = _target(folder, spool)
    quantity, seconds = _counted(usage)
    end = _utc(usage.end) if usage.end else datetime.now(UTC).replace(tzinfo=None)
    name = f"record-{uuid.uuid4()}"
    line = {
        **usage.known,
        "key": name,
        "workload": usage.workload,
        "workload_kind": usage.kind,
        "measure": usage.measure,
        "quantity": format(quantity, "f"),
        "unit": usage.unit,
        "basis": usage.basis,
        "start": f"{_start(usage, end, seconds).isoformat()}Z",
        "end": f"{end.isoformat()}Z",
        "labels": dict(usage.labels),
    }
    line = {name: value for name, value in line.items() if value}
    sample = sample_of(1, line)
    if isinstance(sample, Fault):
        raise UnusableUsage(sample.what, sample.fix)
    path = write_lines([line], target, f"{name}.ndjson")
    return Recorded(usage.workload, sample.measure.value, sample.quantity, path)


def _target(folder: Path, spool: Path | None) -> Path:
    if spool or os.environ.get("APPORTION_SPOOL"):
        return spool_folder(spool)
    if not (folder / CONFIG_FILE).is_file():
        raise NoProject(str(folder.resolve()))
    return folder / SPOOL


def _counted(usage: Usage) -> tuple[Decimal, Decimal | None]:
    """The quantity as it will be written, and the seconds it tells of, if any."""
    hours = _amount(usage.hours, "--hours")[0] * 3600 if usage.hours else None
    gpus = _amount(usage.gpus, "--gpus")[0] if usage.gpus else None
    if usage.quantity is None:
        if gpus is None or hours is None or usage.measure != "gpu_seconds":
            raise UnusableUsage("There is no quantity.", "Give --quantity, or --gpus with --hours.")
        return gpus * hours, hours
    if gpus is not None:
        raise UnusableUsage("Both --gpus and --quantity say how much.", "Give --gpus with --hours, or --quantity.")
    number, unit = _amount(usage.quantity, "--quantity")
    if unit is None:
        return number, hours
    if usage.unit or not usage.measure.endswith("_seconds") or "byte" in usage.measure:
        what = f"'{usage.quantity}' is a time, and {usage.measure} is counted in something else."
        raise UnusableUsage(what, "Give a plain number, with --unit where it is not in base units.")
    seconds = number * _SECONDS[unit]
    return seconds, seconds if hours is None else hours


def _amount(text: str, option: str) -> tuple[Decimal, str | None]:
    match = _AMOUNT.fullmatch(text.strip())
    if not match:
        raise UnusableUsage(f"'{text}' is no amount ({option}).", "Write a number such as 4, or a time such as 1.5h.")
    return Decimal(match[1]), match[2]


def _start(usage: Usage, end: datetime, seconds: Decimal | None) -> datetime:
    if usage.start:
        return _utc(usage.start)
    if seconds is None:
        raise UnusableUsage("Nothing says when this was used.", "Give --start (and --end), or --hours.")
    try:
        return end - timedelta(microseconds=int(seconds * 1_000_000))
    except OverflowError as error:
        raise UnusableUsage(f"{seconds} seconds are longer than time is.", "Check the unit.") from error


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
