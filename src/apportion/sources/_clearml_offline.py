"""A ClearML task that was kept offline: a zip archive, or the folder it was made of.

`task.json` says who it is, and neither when it ran nor how it ended. The times are those of what it reported: from the
first line of `metrics.jsonl` and `log.jsonl` to the last, so it counts a little less than it ran.

A folder may grow, in any of the three files, and a file is read again only when its own bytes changed. So each of the
three tells of the whole task: what several files of a source say of the same time counts once, as the file that was
read last says.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Measure
from apportion.core.period import seconds
from apportion.errors import UnknownShape, UnreadableFile
from apportion.sources._clearml_tasks import decimal_of, described, gpu_reading, host_and_gpus
from apportion.sources._tracked_runs import Metric, TrackedRun, coverage_of, moment_of_ms, samples_of
from apportion.sources.readings.answers import exact
from apportion.sources.readings.contract import Fault, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.contract import RawFile

TASK = "task.json"
LINES = ("metrics.jsonl", "log.jsonl")
PARTS = (TASK, *LINES)
"""The files of an offline task that are read; beside them lie its artifacts."""
LARGEST_PART = 512 * 1024 * 1024
"""Bytes of one file of an archive, inflated."""

_MEASURES = {
    "utilization": (Measure.GPU_BUSY_SECONDS, Decimal("0.01")),
    "mem_used_gb": (Measure.GPU_MEMORY_BYTE_SECONDS, Decimal(1024**3)),
    "power_draw": (Measure.ENERGY_JOULES, Decimal(1)),
}
"""Reading of a GPU -> its measure, and the base units per second that one unit of it is."""
_EVERY = Decimal(30)
"""Seconds that a single reading speaks for: ClearML's default between two reports."""

Gpu = tuple[int, int]


@dataclass(slots=True)
class Reported:
    """What the lines of a task say."""

    times: set[datetime] = field(default_factory=set)
    readings: dict[str, dict[Gpu, list[Decimal]]] = field(default_factory=dict)
    read_times: dict[str, set[datetime]] = field(default_factory=dict)
    gpus: set[Gpu] = field(default_factory=set)
    worker: str = ""
    faults: list[Fault] = field(default_factory=list)


def offline_folder(file: RawFile) -> Path | None:
    """The folder of the offline task that a file is a part of; None where it is of none."""
    return next((folder for folder in file.path.parents if (folder / TASK).is_file()), None)


def read_zip(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    """The samples of an archive; raises `UnreadableFile` where it is damaged, `UnknownShape` where it is another."""
    try:
        with zipfile.ZipFile(file.path) as archive:
            parts = {name: _part(file, archive, name) for name in PARTS if name in archive.namelist()}
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UnreadableFile(
            file=file.name, what="is no whole zip archive.", fix="Copy it again from the machine that wrote it."
        ) from error
    if TASK not in parts:
        raise UnknownShape(
            file=file.name,
            what=f"is a zip archive without {TASK}.",
            fix="Give the archives that ClearML writes in offline mode.",
        )
    yield from _samples(file, parts, config)


def read_folder(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    """The samples of the task whose folder a file is in, given any of `PARTS`; the faults are those of that file."""
    folder, own = file.path.parent, file.path.name
    parts = {name: (folder / name).read_text("utf-8", "replace") for name in PARTS if (folder / name).is_file()}
    for each in _samples(file, parts, config):
        if isinstance(each, Sample) or own == (each.column if each.column in LINES else TASK):
            yield each


def _part(file: RawFile, archive: zipfile.ZipFile, name: str) -> str:
    if archive.getinfo(name).file_size > LARGEST_PART:
        raise UnreadableFile(
            file=file.name,
            what=f"{name} in it has more than {LARGEST_PART // 1024**2} MiB.",
            fix="Unpack it and give the folder.",
        )
    return archive.read(name).decode("utf-8", "replace")


def _samples(file: RawFile, parts: Mapping[str, str], config: SourceConfig) -> Iterator[Sample | Fault]:
    task = _task(file, parts[TASK])
    found = Reported()
    for name in LINES:
        _report(found, name, parts.get(name, ""))
    yield from found.faults
    workload, resource, doubts = described(
        task, config, experiment=task.get("project_name") or None, worker=found.worker, row=1
    )
    yield from doubts
    if not found.times:
        yield _timeless(workload.name)
        return
    start, end = min(found.times), max(found.times)
    gpus = len(found.gpus) or host_and_gpus(found.worker)[1]
    metrics = _metrics(found, seconds(end - start))
    run = TrackedRun(workload=workload, resource=resource, start=start, end=end, row=1, gpus=gpus, metrics=metrics)
    yield from samples_of(run, None)


def _task(file: RawFile, text: str) -> Mapping[str, Any]:
    try:
        task = json.loads(text)
    except ValueError as error:
        raise UnreadableFile(
            file=file.name, what=f"{TASK} is no JSON.", fix="Copy it again from the machine that wrote it."
        ) from error
    if not isinstance(task, dict) or not task.get("id"):
        raise UnknownShape(
            file=file.name,
            what=f"{TASK} has no id, so it is no task of ClearML.",
            fix="Give the archives or folders that ClearML writes in offline mode.",
        )
    return task


def _report(found: Reported, name: str, text: str) -> None:
    """Each line holds a list of events; the last one may be cut off where the task was stopped."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            events = exact(line)
        except ValueError:
            found.faults.append(_torn(name, number, line))
            continue
        for event in events if isinstance(events, list) else [events]:
            if isinstance(event, dict):
                _event(found, event)


def _event(found: Reported, event: Mapping[str, Any]) -> None:
    when = moment_of_ms(event.get("timestamp"))
    if when is None:
        return
    found.times.add(when)
    found.worker = found.worker or str(event.get("worker") or "")
    reading = gpu_reading(str(event.get("metric")), str(event.get("variant")))
    value = decimal_of(event.get("value"))
    if reading and value is not None:
        gpu, name = reading
        found.gpus.add(gpu)
        found.readings.setdefault(name, {}).setdefault(gpu, []).append(value)
        found.read_times.setdefault(name, set()).add(when)


def _metrics(found: Reported, duration: Decimal) -> tuple[Metric, ...]:
    metrics = []
    for name, (measure, unit) in _MEASURES.items():
        if name in found.readings:
            means = (sum(values, Decimal(0)) / len(values) for values in found.readings[name].values())
            share = coverage_of(sorted(found.read_times[name]), duration, every=_EVERY)
            metrics.append(Metric(measure=measure, rate=sum(means, Decimal(0)) * unit, coverage=share))
    return tuple(metrics)


def _torn(name: str, number: int, line: str) -> Fault:
    return Fault(
        code="clearml_line_unreadable",
        row=number,
        column=name,
        example=line[:80],
        what=f"Line {number} of {name} is no JSON: the task was stopped while it wrote, or the file is not whole.",
        fix="Copy it again from the machine that wrote it; the other lines are counted.",
        rejected=False,
    )


def _timeless(name: str) -> Fault:
    return Fault(
        code="clearml_task_without_times",
        row=1,
        column="timestamp",
        example=name,
        what=f"Task '{name}' reported nothing with a time, so it is not known when it ran.",
        fix="Give the whole archive or folder, with metrics.jsonl and log.jsonl.",
    )
