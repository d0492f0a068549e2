"""A run as an experiment tracker knows it, and the samples it gives: shared by MLflow, W&B and ClearML.

A tracker knows best what a run is, not what it used: every quantity is `Basis.ESTIMATED`.
`run_seconds` is there for every run; `gpu_seconds` = GPUs seen × duration, and these are the GPUs of the whole host
where the tracker looked at all of them.

Stamps are keys that a run is given at its start, in tags, configuration or properties; they say where it ran.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.measures import Basis, Measure
from apportion.core.period import seconds
from apportion.sources.readings.contract import WHOLE, Fault, Resource, Sample, Workload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.client import Client

RESOURCE_STAMP = "apportion.resource_id"
POD_STAMP = "k8s.pod.uid"
SLURM_STAMP = "slurm.job_id"
SLURM_CLUSTER_STAMP = "slurm.cluster_name"
HOST_STAMPS = ("host.name", "k8s.node.name", "host")
"""In order of preference; the first two are OpenTelemetry's names."""

_EPOCH = datetime(1970, 1, 1)
_COVERAGE_DIGITS = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """The mean of one quantity per second over a run: `rate` in the measure's unit per second, summed over its GPUs."""

    measure: Measure
    rate: Decimal
    coverage: Decimal = WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """One run: [start, end), `end` None while it runs; `gpus` is None where the tracker did not look for any."""

    workload: Workload
    resource: Resource
    start: datetime
    end: datetime | None
    row: int
    gpus: int | None = None
    devices: tuple[str, ...] = ()
    metrics: Sequence[Metric] = ()


@dataclass(frozen=True, slots=True)
class Stamped:
    """What stamps say: where a run ran, and under which keys others know it."""

    resource: Resource
    links: tuple[str, ...]
    faults: tuple[Fault, ...] = field(default=())


def samples_of(run: TrackedRun, read_at: datetime | None) -> Iterator[Sample | Fault]:
    """The samples of a run; a fault where it ended before it began, or runs and nobody knows when that was read."""
    until = run.end if run.end is not None else read_at
    if until is None:
        yield unended(run.workload.name, run.row)
    elif until < run.start:
        yield Fault(
            code="run_ends_before_start",
            row=run.row,
            column="end_time",
            example=f"{run.start.isoformat()} to {until.isoformat()}",
            what=f"Run '{run.workload.name}' ends before it starts, so its duration is unknown.",
            fix="Put its times right in the tracker, or check the clock of the machine that wrote them.",
        )
    else:
        yield from _measured(run, seconds(until - run.start))


def _measured(run: TrackedRun, duration: Decimal) -> Iterator[Sample]:
    basic = Sample(
        resource=run.resource,
        workload=run.workload,
        measure=Measure.RUN_SECONDS,
        basis=Basis.ESTIMATED,
        quantity=duration,
        start=run.start,
        end=run.end,
        row=run.row,
        devices=run.devices,
    )
    yield basic
    if run.gpus:
        yield replace(basic, measure=Measure.GPU_SECONDS, quantity=duration * run.gpus)
    for metric in run.metrics:
        yield replace(basic, measure=metric.measure, quantity=metric.rate * duration, coverage=metric.coverage)


def unended(name: str, row: int) -> Fault:
    """What is said of a run without an end in a file of which nobody knows when it was read."""
    return Fault(
        code="run_without_end",
        row=row,
        column="end_time",
        example=name,
        what=f"Run '{name}' has no end, and the file does not say when it was read.",
        fix='Say when the file was saved: read_at = "2026-11-01T00:00:00Z" in the options of the source.',
    )


def ended_unknown(name: str, status: str, row: int) -> Fault:
    """What is said of a run that is over, but not since when."""
    return Fault(
        code="ended_run_without_end",
        row=row,
        column="end_time",
        example=f"{name}: {status}",
        what=f"Run '{name}' is {status} but has no end, so its duration is unknown.",
        fix="Set its end in the tracker; until then it counts for nothing.",
    )


def startless(name: str, row: int) -> Fault:
    """What is said of a run of which the tracker does not know when it began."""
    return Fault(
        code="run_without_start",
        row=row,
        column="start_time",
        example=name,
        what=f"Run '{name}' has no start, so its duration is unknown.",
        fix="Set its start in the tracker, or leave it: it counts for nothing.",
    )


def stamped(labels: Mapping[str, str], config: SourceConfig, *, name: str, row: int) -> Stamped:
    """What the stamps among these labels say of a run; a doubt where a Slurm job has no cluster."""
    host = next((labels[key] for key in HOST_STAMPS if labels.get(key)), None)
    links = [f"pod:{labels[POD_STAMP]}"] if labels.get(POD_STAMP) else []
    faults: tuple[Fault, ...] = ()
    if job := labels.get(SLURM_STAMP):
        if cluster := labels.get(SLURM_CLUSTER_STAMP) or config.options.get("cluster"):
            links.append(f"slurm:{cluster}/{job}")
        else:
            faults = (_clusterless(name, job, row),)
    if host:
        links.append(f"host:{host}")
    return Stamped(Resource(id=labels.get(RESOURCE_STAMP) or None, node=host), tuple(links), faults)


def _clusterless(name: str, job: str, row: int) -> Fault:
    return Fault(
        code="slurm_job_without_cluster",
        row=row,
        column=SLURM_STAMP,
        example=job,
        what=f"Run '{name}' is Slurm job {job} of a cluster that is not named, so the two cannot be joined.",
        fix=f'Stamp runs with {SLURM_CLUSTER_STAMP} too, or set cluster = "..." in the options of the source.',
        rejected=False,
    )


def labels_of_tags(tags: Iterable[str]) -> dict[str, str]:
    """Labels of a tracker whose tags are plain words: all of them under `tags`, and `key:value` or `key=value` as such.

    A key that two tags give different values has none of its own.

    >>> labels_of_tags(["nightly", "team:risk", "stage=a", "stage=b"])
    {'team': 'risk', 'tags': 'nightly,stage=a,stage=b,team:risk'}
    """
    words = sorted(set(tags))
    found: dict[str, set[str]] = {}
    for word in words:
        if pair := re.fullmatch(r"([^:=\s]+)[:=]([^:=\s]+)", word):
            found.setdefault(pair[1], set()).add(pair[2])
    labels = {key: next(iter(values)) for key, values in found.items() if len(values) == 1}
    return labels | ({"tags": ",".join(words)} if words else {})


def coverage_of(times: Sequence[datetime], duration: Decimal, *, every: Decimal) -> Decimal:
    """The part of a run its observations speak for: each for the mean gap between them, a single one for `every` s."""
    if duration <= 0:
        return WHOLE
    span = seconds(max(times) - min(times))
    gap = span / (len(times) - 1) if len(times) > 1 else every
    return min(WHOLE, (span + gap) / duration).quantize(_COVERAGE_DIGITS)


def moment_of_ms(milliseconds: object) -> datetime | None:
    """The naive UTC time of milliseconds since 1970; None for nothing, zero, or no time at all.

    >>> moment_of_ms(1795523117876)
    datetime.datetime(2026, 11, 24, 12, 25, 17, 876000)
    """
    try:
        count = int(str(milliseconds))
        return _EPOCH + timedelta(milliseconds=count) if count > 0 else None
    except (ValueError, OverflowError):
        return None


def ms_of_moment(moment: datetime) -> int:
    """Milliseconds since 1970 of a naive UTC time."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment_of_text(text: object) -> datetime | None:
    """The naive UTC time of an ISO 8601 text, which is UTC where it names no zone; None for anything else.

    >>> moment_of_text("2026-11-24T13:00:00.5+01:00")
    datetime.datetime(2026, 11, 24, 12, 0, 0, 500000)
    """
    try:
        found = datetime.fromisoformat(str(text))
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        return None


def time_read(answered: datetime | None, config: SourceConfig) -> datetime | None:
    """When an answer was read, or what the option `read_at` says."""
    return answered or moment_of_text(config.options.get("read_at"))


def authorize(client: Client, *, token: str | None = None, basic: tuple[str, str] | None = None) -> None:
    """Give a client the credentials of its own tool; the general ones of the environment still win."""
    if token:
        client.headers = {**client.headers, "Authorization": f"Bearer {token}"}
    elif basic:
        pair = base64.b64encode(":".join(basic).encode()).decode()
        client.headers = {**client.headers, "Authorization": f"Basic {pair}"}


def from_environment(name: str) -> str | None:
    """The value of an environment variable; None where it is empty or not set."""
    return os.environ.get(name) or None
