"""A run of Weights & Biases, whether a file or the API tells of it, as a workload and its samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.core.measures import WorkloadKind
from apportion.sources._tracked_runs import (
    POD_STAMP,
    SLURM_CLUSTER_STAMP,
    SLURM_STAMP,
    TrackedRun,
    labels_of_tags,
    samples_of,
    stamped,
    startless,
)
from apportion.sources.readings.contract import Fault, Resource, Sample, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from apportion.core.config import SourceConfig
    from apportion.sources._tracked_runs import Metric

_OWN = "_wandb"
"""The key of a configuration under which wandb keeps its own notes."""
_SLURM_NAMES = {"job_id": SLURM_STAMP, "cluster_name": SLURM_CLUSTER_STAMP}
"""wandb keeps the variables SLURM_* of a job, in lower case and without their beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a run; `metrics` needs its duration, so it comes with the interval."""

    run_id: str
    row: int
    start: datetime | None
    end: datetime | None
    entity: str = ""
    project: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    sweep: str = ""
    host: str = ""
    user: str = ""
    status: str = ""
    tags: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Configuration: key -> value."""
    slurm: Mapping[str, str] = field(default_factory=dict)
    gpus: int | None = None
    devices: tuple[str, ...] = ()
    metrics: Sequence[Metric] = ()


def samples_of_facts(facts: Facts, config: SourceConfig, read_at: datetime | None) -> Iterator[Sample | Fault]:
    """The samples of a run, and the doubts about it."""
    workload, resource, faults = described(facts, config)
    yield from faults
    if facts.start is None:
        yield startless(workload.name, facts.row)
        return
    run = TrackedRun(
        workload=workload,
        resource=resource,
        start=facts.start,
        end=facts.end,
        row=facts.row,
        gpus=facts.gpus,
        devices=facts.devices,
        metrics=facts.metrics,
    )
    yield from samples_of(run, read_at)


def described(facts: Facts, config: SourceConfig) -> tuple[Workload, Resource, tuple[Fault, ...]]:
    """Who a run is and where it ran. Ids of runs, sweeps and groups are unique in a project only."""
    name = facts.name or facts.run_id
    labels = labels_of(facts)
    stamps = stamped(_with_seen(labels, facts), config, name=name, row=facts.row)
    place = "/".join(part for part in (facts.entity, facts.project) if part)
    workload = Workload(
        id=f"wandb:{place}/{facts.run_id}",
        kind=WorkloadKind.TRAINING_JOB,
        name=name,
        namespace=facts.entity or None,
        parent=_parent(facts, place),
        experiment=facts.project or None,
        user=facts.user or None,
        status=facts.status or None,
        labels=labels,
        links=(f"wandb:{facts.run_id}", *stamps.links, *(f"gpu:{device}" for device in facts.devices)),
    )
    return workload, stamps.resource, stamps.faults


def labels_of(facts: Facts) -> dict[str, str]:
    """Tags, group, kind of job and the words of the configuration; numbers and nested values of it are no labels."""
    words = {str(key): value for key, value in facts.settings.items() if isinstance(value, str)}
    own = {"group": facts.group, "job_type": facts.job_type}
    stamps = {key: str(facts.settings[key]) for key in (SLURM_STAMP, POD_STAMP) if key in facts.settings}
    return labels_of_tags(facts.tags) | {key: value for key, value in own.items() if value} | words | stamps


def plain_settings(found: object) -> dict[str, Any]:
    """The configuration as the API gives it, `{"key": {"value": …}}`, as key -> value without wandb's own notes."""
    pairs = found.items() if isinstance(found, Mapping) else ()
    return {
        str(key): value["value"] if isinstance(value, Mapping) and "value" in value else value
        for key, value in pairs
        if key != _OWN
    }


def mean(values: Sequence[Decimal]) -> Decimal:
    """The mean of at least one number."""
    return sum(values, Decimal(0)) / len(values)


def _with_seen(labels: Mapping[str, str], facts: Facts) -> dict[str, str]:
    """The labels, and below them what wandb saw by itself: the host and the Slurm job."""
    seen = {stamp: facts.slurm[name] for name, stamp in _SLURM_NAMES.items() if facts.slurm.get(name)}
    return ({"host": facts.host} if facts.host else {}) | seen | dict(labels)


def _parent(facts: Facts, place: str) -> str | None:
    if facts.sweep:
        return f"wandb:{place}/sweeps/{facts.sweep}"
    return f"wandb:{place}/groups/{facts.group}" if facts.group else None
