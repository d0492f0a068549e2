"""A run that wandb kept in a `.wandb` file: its records, put together.

The GPUs are those with readings; without any, those the machine had. Nobody ends an offline run that was killed: it
counts to its last record with a time, and that is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Measure
from apportion.core.period import seconds
from apportion.errors import MissingExtra, UnknownShape
from apportion.sources._tracked_runs import Metric, coverage_of, time_read
from apportion.sources._wandb_log import HEADER, Damage, log_records
from apportion.sources._wandb_runs import Facts, mean, samples_of_facts
from apportion.sources.readings.answers import exact
from apportion.sources.readings.contract import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.contract import RawFile, Sample

_GPU = re.compile(r"gpu\.(\d+)\.(\w+)")
_MEASURES = {
    "gpu": (Measure.GPU_BUSY_SECONDS, Decimal(100)),
    "memoryAllocatedBytes": (Measure.GPU_MEMORY_BYTE_SECONDS, Decimal(1)),
    "powerWatts": (Measure.ENERGY_JOULES, Decimal(1)),
}
"""Reading of a GPU -> its measure, and what one unit per second of it is divided by."""
_EVERY = Decimal(15)
"""Seconds between two readings unless the run says otherwise: wandb's default."""
_EPOCH = datetime(1970, 1, 1)
_LARGEST = Decimal(10) ** 18
"""A reading beyond it is a GPU's way to say that it cannot tell."""


@dataclass(slots=True)
class Kept:
    """The records of one file so far."""

    run: Any = None
    environments: list[Any] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    readings: dict[str, dict[int, list[Decimal]]] = field(default_factory=dict)
    """Reading -> GPU -> its values."""
    times: dict[str, set[datetime]] = field(default_factory=dict)
    """Reading -> when there was one."""
    last: datetime | None = None
    runtime: int | None = None
    row: int = 0
    run_row: int = 1
    faults: list[Fault] = field(default_factory=list)


def read_offline(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    """The samples of one run; raises `MissingExtra` without the package `wandb`, which says what its records mean."""
    kept = Kept()
    with file.path.open("rb") as stream:
        if stream.read(len(HEADER)) != HEADER:
            raise UnknownShape(
                file=file.name,
                what="does not begin like a file of wandb.",
                fix="Give the file run-….wandb of a folder offline-run-…, as wandb wrote it.",
            )
        for record in log_records(stream):
            kept.row += 1
            if isinstance(record, Damage):
                kept.faults.append(_damaged(record, kept.row))
            else:
                _take(kept, record)
    yield from kept.faults
    yield from _samples(kept, config, time_read(file.read_at, config))


def _samples(kept: Kept, config: SourceConfig, read_at: datetime | None) -> Iterator[Sample | Fault]:
    if kept.run is None:
        yield Fault(
            code="wandb_file_without_run",
            row=max(kept.row, 1),
            column="run",
            example="",
            what="This file has no record that says which run it is, so nothing can be counted.",
            fix="The run was stopped before wandb wrote anything down; leave the file out.",
        )
        return
    facts = _facts(kept)
    if kept.runtime is None and facts.end is not None:
        yield _killed(facts)
    yield from samples_of_facts(facts, config, read_at)


def _record(content: bytes) -> Any:  # noqa: ANN401 - a message of a package that may be missing
    record = _messages().Record()
    try:
        record.ParseFromString(content)
    except import_module("google.protobuf.message").DecodeError:
        return None
    return record


def _messages() -> Any:  # noqa: ANN401 - a module of a package that may be missing
    try:
        return import_module("wandb.proto.wandb_internal_pb2")
    except ImportError as error:
        raise MissingExtra("Reading an offline run of wandb", "wandb") from error


def _take(kept: Kept, content: bytes) -> None:
    record = _record(content)
    kind = record.WhichOneof("record_type") if record is not None else ""
    if kind == "run":
        kept.run, kept.run_row = record.run, kept.row
        _configure(kept, record.run.config)
    elif kind == "config":
        _configure(kept, record.config)
    elif kind == "environment":
        kept.environments.append(record.environment)
    elif kind == "exit":
        kept.runtime = record.exit.runtime
    elif kind == "stats":
        _observe(kept, record.stats)
    elif kind == "":
        kept.faults.append(_damaged(Damage.BROKEN, kept.row))


def _configure(kept: Kept, change: Any) -> None:  # noqa: ANN401 - a message of a package that may be missing
    for item in change.update:
        kept.settings[item.key or ".".join(item.nested_key)] = _value(item.value_json)
    for item in change.remove:
        kept.settings.pop(item.key, None)


def _observe(kept: Kept, stats: Any) -> None:  # noqa: ANN401 - a message of a package that may be missing
    when = _moment(stats.timestamp)
    kept.last = max(kept.last or when, when)
    for item in stats.item:
        name, value = _GPU.fullmatch(item.key), _value(item.value_json)
        if name and isinstance(value, int | Decimal) and 0 <= value < _LARGEST:
            kept.readings.setdefault(name[2], {}).setdefault(int(name[1]), []).append(Decimal(value))
            kept.times.setdefault(name[2], set()).add(when)


def _facts(kept: Kept) -> Facts:
    run = kept.run
    start = _moment(run.start_time) if run.HasField("start_time") else None
    ended = start + timedelta(seconds=kept.runtime) if start and kept.runtime is not None else None
    end = max((one for one in (ended, kept.last) if one), default=None)
    seen = {gpu for gpus in kept.readings.values() for gpu in gpus}
    devices = {gpu.uuid for one in kept.environments for gpu in one.gpu_nvidia if gpu.uuid}
    return Facts(
        run_id=run.run_id,
        row=kept.run_row,
        start=start,
        end=end,
        entity=run.entity,
        project=run.project,
        name=run.display_name,
        group=run.run_group,
        job_type=run.job_type,
        sweep=run.sweep_id,
        host=run.host or _first(kept, "host"),
        user=_first(kept, "username"),
        tags=tuple(run.tags),
        settings={key: value for key, value in kept.settings.items() if key != "_wandb"},
        slurm={key: value for one in kept.environments for key, value in one.slurm.items()},
        gpus=len(seen) or max((one.gpu_count for one in kept.environments), default=0) or None,
        devices=tuple(sorted(devices)),
        metrics=_metrics(kept, seconds(end - start)) if start and end else (),
    )


def _metrics(kept: Kept, duration: Decimal) -> tuple[Metric, ...]:
    found = []
    for name, (measure, unit) in _MEASURES.items():
        if name in kept.readings:
            rate = sum((mean(values) for values in kept.readings[name].values()), Decimal(0)) / unit
            share = coverage_of(sorted(kept.times[name]), duration, every=_EVERY)
            found.append(Metric(measure=measure, rate=rate, coverage=share))
    return tuple(found)


def _first(kept: Kept, name: str) -> str:
    """What the first record of the environment that says it says: there are several, each with a part."""
    return next((str(getattr(one, name)) for one in kept.environments if getattr(one, name)), "")


def _moment(stamp: Any) -> datetime:  # noqa: ANN401 - a message of a package that may be missing
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


def _value(text: str) -> object:
    try:
        return exact(text)
    except ValueError:
        return None


def _damaged(damage: Damage, row: int) -> Fault:
    if damage is Damage.TORN:
        return Fault(
            code="wandb_tail_torn",
            row=row,
            column="record",
            example=damage.value,
            what="The file ends in the middle of a record: wandb was stopped, or still writes it.",
            fix="Read it again when the run is over; what came before is counted.",
            rejected=False,
        )
    return Fault(
        code="wandb_record_broken",
        row=row,
        column="record",
        example=damage.value,
        what="A record's checksum does not match, so it and the rest of its block were left out.",
        fix="Copy the file again from the machine that wrote it; the other records are counted.",
        rejected=False,
    )


def _killed(facts: Facts) -> Fault:
    return Fault(
        code="run_without_exit",
        row=facts.row,
        column="exit",
        example=facts.run_id,
        what=f"Run '{facts.name or facts.run_id}' says nowhere that it ended; it counts to its last sign of life.",
        fix="Nothing, where it was killed; read it again when it is over, where it still runs.",
        rejected=False,
    )
