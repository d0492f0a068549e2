"""Usage that is known but that no meter counts, written down by hand: the push door's other half."""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.app.project import CONFIG_FILE
from apportion.app.tracking import SPOOL, spool_folder, write_lines
from apportion.core.period import seconds
from apportion.errors import NoProject, UnusableUsage
from apportion.sources.readings.contract import Fault
from apportion.sources.usage_file import sample_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from apportion.sources.readings.contract import Sample

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)?")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written: the workload, the measure and its quantity in base units, when (naive UTC), and the file."""

    workload: str
    measure: str
    quantity: Decimal
    start: datetime
    end: datetime
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One quantity of one workload, in the user's words.

    Either `gpus` × `hours` (those between `start` and `end`, if None), or a `measure` with its `quantity`: a number in
    `unit` (base units if None), or a time with its unit (`90s`, `30m`, `1.5h`, `2d`). It lasts `hours`, or as long as
    such a time, as one GPU or core would take it: from `start`, else up to `end`, else up to now. With `start` and
    `end` it lasts from one to the other; `start` and a plain number alone last until now.
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
    _refuse_unknown_words(usage)
    quantity, seconds = _counted(usage)
    start, end = _interval(usage, seconds)
    name = f"record-{uuid.uuid4()}"
    line = {
        **_words(usage),
        "key": name,
        "quantity": format(quantity, "f"),
        "start": f"{start.isoformat()}Z",
        "end": f"{end.isoformat()}Z",
        "labels": dict(usage.labels),
    }
    line = {name: value for name, value in line.items() if value}
    sample = _sample_of(line)
    path = write_lines([line], target, f"{name}.ndjson")
    return Recorded(usage.workload, sample.measure.value, sample.quantity, start, end, path)


def _words(usage: Usage) -> dict[str, str]:
    said = {
        "workload": usage.workload,
        "workload_kind": usage.kind,
        "measure": usage.measure,
        "unit": usage.unit,
        "basis": usage.basis,
    }
    return {**usage.known, **{name: value for name, value in said.items() if value}}


def _refuse_unknown_words(usage: Usage) -> None:
    """A word that is not known explains all that does not fit it, so it is named before any number is looked at."""
    _sample_of({**_words(usage), "quantity": "0", "start": "2026-10-01"})


def _sample_of(line: Mapping[str, Any]) -> Sample:
    sample = sample_of(1, line)
    if isinstance(sample, Fault):
        raise UnusableUsage(sample.what, sample.fix)
    return sample


def _target(folder: Path, spool: Path | None) -> Path:
    if spool or os.environ.get("APPORTION_SPOOL"):
        return spool_folder(spool)
    if not (folder / CONFIG_FILE).is_file():
        raise NoProject(str(folder.resolve()))
    return folder / SPOOL


def _counted(usage: Usage) -> tuple[Decimal, Decimal | None]:
    """The quantity as it will be written, and the seconds it tells of, if any."""
    hours = _hours(usage)
    if usage.quantity is None:
        return _held(usage, hours), hours
    if usage.gpus:
        raise UnusableUsage("Both --gpus and --quantity say how much.", "Give --gpus with --hours, or --quantity.")
    number, unit = _amount(usage.quantity, "--quantity")
    if unit is None:
        return number, hours
    if usage.unit or not usage.measure.endswith("_seconds") or "byte" in usage.measure:
        what = f"'{usage.quantity}' is a time, and {usage.measure} is counted in something else."
        raise UnusableUsage(what, "Give a plain number, with --unit where it is not in base units.")
    seconds = number * _SECONDS[unit]
    return seconds, seconds if hours is None else hours


def _held(usage: Usage, hours: Decimal | None) -> Decimal:
    """GPUs × the seconds they were held."""
    if usage.gpus is None or hours is None or usage.measure != "gpu_seconds":
        raise UnusableUsage(
            "There is no quantity.", "Give --quantity, or --gpus with --hours or with --start and --end."
        )
    if usage.unit:
        raise UnusableUsage("--gpus with --hours has a unit already.", "Leave --unit out, or give --quantity.")
    gpus, unit = _amount(usage.gpus, "--gpus")
    if unit:
        raise UnusableUsage(f"'{usage.gpus}' is a time, not a number of GPUs.", "Write how many, such as 4 or 0.5.")
    return gpus * hours


def _hours(usage: Usage) -> Decimal | None:
    """How many seconds `hours` are, or else those between start and end; None where nothing says it."""
    between = seconds(_utc(usage.end) - _utc(usage.start)) if usage.start and usage.end else None
    if not usage.hours:
        return between
    number, unit = _amount(usage.hours, "--hours")
    said = number * _SECONDS[unit or "h"]
    if between is not None and said != between:
        what = f"From --start to --end it is {between:f} seconds, and --hours says {said.normalize():f}."
        raise UnusableUsage(what, "Leave one of the three out; what was used within a longer time is a --quantity.")
    return said


def _amount(text: str, option: str) -> tuple[Decimal, str | None]:
    match = _AMOUNT.fullmatch(text.strip())
    if not match:
        raise UnusableUsage(f"'{text}' is no amount ({option}).", "Write a number such as 4, or a time such as 1.5h.")
    return Decimal(match[1]), match[2]


def _interval(usage: Usage, seconds: Decimal | None) -> tuple[datetime, datetime]:
    """Start and end; `seconds` lie between them where only one of them is known."""
    start = _utc(usage.start) if usage.start else None
    end = _utc(usage.end) if usage.end else None
    if start and end:
        return start, end
    now = datetime.now(UTC).replace(tzinfo=None)
    if seconds is None:
        if start is None:
            raise UnusableUsage("Nothing says when this was used.", "Give --start (and --end), or --hours.")
        return start, now
    try:
        lasted = timedelta(microseconds=int(seconds * 1_000_000))
        return (start, start + lasted) if start else ((end or now) - lasted, end or now)
    except OverflowError as error:
        raise UnusableUsage(f"{seconds} seconds are longer than time is.", "Check the unit.") from error


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
