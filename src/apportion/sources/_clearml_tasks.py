"""A task of ClearML, whether a file or the API tells of it, as a workload and its samples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.core.measures import WorkloadKind
from apportion.sources._tracked_runs import labels_of_tags, stamped
from apportion.sources.readings.contract import Fault, Resource, Workload

if TYPE_CHECKING:
    from apportion.core.config import SourceConfig

KINDS = {
    "training": WorkloadKind.TRAINING_JOB,
    "optimizer": WorkloadKind.TRAINING_JOB,
    "testing": WorkloadKind.TRAINING_JOB,
    "inference": WorkloadKind.BATCH_INFERENCE,
    "data_processing": WorkloadKind.DATA,
    "import": WorkloadKind.DATA,
    "annotation": WorkloadKind.DATA,
    "controller": WorkloadKind.PIPELINE_STEP,
    "monitor": WorkloadKind.PLATFORM,
}
"""Type of a task -> what it is; the others (service, application, qc, custom) may be anything."""

_RANKED = re.compile(r":monitor:gpu(?::rank(?P<rank>\d+))?")
_READING = re.compile(r"gpu_(?P<index>\d+)_(?P<name>\w+)")
_BY_RANK = re.compile(r":monitor:gpu_(?P<index>\d+)_(?P<name>\w+)")
_RANK = re.compile(r"rank (?P<rank>\d+)")
_WORKER = re.compile(r"(?P<host>[^:]+)(?::gpu(?P<gpus>\d+(?:,\d+)*))?(?::.*)?")


def gpu_reading(metric: str, variant: str) -> tuple[tuple[int, int], str] | None:
    """Which GPU (node's rank, index) and which reading of it a scalar is; None for any other scalar.

    >>> gpu_reading(":monitor:gpu", "gpu_1_utilization")
    ((0, 1), 'utilization')
    >>> gpu_reading(":monitor:gpu:rank2", "gpu_0_power_draw")
    ((2, 0), 'power_draw')
    >>> gpu_reading(":monitor:gpu_3_utilization", "rank 1")
    ((1, 3), 'utilization')
    """
    title, series = _RANKED.fullmatch(metric), _READING.fullmatch(variant)
    if title and series:
        return (int(title["rank"] or 0), int(series["index"])), series["name"]
    title, series = _BY_RANK.fullmatch(metric), _RANK.fullmatch(variant)
    if title and series:
        return (int(series["rank"]), int(title["index"])), title["name"]
    return None


def host_and_gpus(worker: str) -> tuple[str | None, int | None]:
    """The host of a worker's name, and how many GPUs the name lists.

    >>> host_and_gpus("train-1:gpu0,1"), host_and_gpus("train-1:cpu:0"), host_and_gpus("")
    (('train-1', 2), ('train-1', None), (None, None))
    """
    found = _WORKER.fullmatch(worker)
    if found is None:
        return None, None
    return found["host"], len(found["gpus"].split(",")) if found["gpus"] else None


def described(
    task: Mapping[str, Any], config: SourceConfig, *, experiment: str | None, worker: str, row: int
) -> tuple[Workload, Resource, tuple[Fault, ...]]:
    """Who a task is and where it ran. Its user properties are labels; an id of an offline task is unique too."""
    name, labels = str(task.get("name") or task["id"]), labels_of(task)
    host, _ = host_and_gpus(worker)
    stamps = stamped(({"host": host} if host else {}) | labels, config, name=name, row=row)
    parent, user = task.get("parent"), task.get("user")
    kind = KINDS.get(str(task.get("type") or "").lower(), WorkloadKind.OTHER)
    workload = Workload(
        id=f"clearml:{task['id']}",
        kind=kind,
        name=name,
        parent=f"clearml:{_named(parent, 'id')}" if parent else None,
        experiment=experiment,
        user=_named(user, "name") if user else None,
        status=str(task["status"]) if task.get("status") else None,
        labels=labels,
        links=(f"clearml:{task['id']}", *stamps.links),
    )
    return workload, stamps.resource, stamps.faults


def labels_of(task: Mapping[str, Any]) -> dict[str, str]:
    """Tags and user properties."""
    sections = task.get("hyperparams")
    properties = sections.get("properties") if isinstance(sections, Mapping) else None
    found = properties.items() if isinstance(properties, Mapping) else ()
    said = {str(key): str(one["value"]) for key, one in found if isinstance(one, Mapping) and one.get("value")}
    return labels_of_tags(map(str, task.get("tags") or ())) | said


def decimal_of(value: object) -> Decimal | None:
    """A reading as an exact number; None where it is none, or negative."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and value >= 0:
        return Decimal(value)
    return None


def _named(found: object, key: str) -> str:
    """An id, or the named field where the server put the whole object in its place."""
    return str(found.get(key) or found.get("id")) if isinstance(found, Mapping) else str(found)
