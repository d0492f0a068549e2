"""Runs and stored artifacts of MLflow as workloads and samples."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.core.period import seconds
from apportion.sources._tracked_runs import (
    Metric,
    TrackedRun,
    coverage_of,
    ended_unknown,
    moment_of_ms,
    samples_of,
    stamped,
    startless,
    time_read,
)
from apportion.sources.readings.contract import Fault, Resource, Sample, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from apportion.core.config import SourceConfig
    from apportion.sources._mlflow_answers import Gathered, Point

GPU_METRIC = re.compile(r"system/(?:(?P<node>.+)/)?gpu_(?P<index>\d+)_[a-z_]+")
"""`system/gpu_0_utilization_percentage`, or with the node's id where several write into one run."""
UTILISATION = re.compile(r"system/(?:.+/)?gpu_\d+_utilization_percentage")

_ALIVE = frozenset({"RUNNING", "SCHEDULED"})
_CLUSTER_TAG = "mlflow.databricks.cluster.id"
_OWN = "mlflow."
_EVERY = Decimal(10)
"""Seconds between two system metrics unless the run says otherwise: MLflow's default."""
_PERCENT = Decimal(100)


def run_samples(run_id: str, found: Gathered, config: SourceConfig) -> Iterator[Sample | Fault]:
    """The samples of one run, and of what it stored, or why there are none."""
    entry = found.runs[run_id]
    workload, resource, faults = described(run_id, found, config)
    yield from faults
    start, end = moment_of_ms(entry.about.get("start_time")), moment_of_ms(entry.about.get("end_time"))
    status = str(entry.about.get("status", ""))
    if start is None:
        yield startless(workload.name, entry.row)
    elif end is None and status not in _ALIVE:
        yield ended_unknown(workload.name, status, entry.row)
    else:
        if found.window is None or end is None or end >= found.window[0]:
            read_at = time_read(entry.read_at, config)
            bare = TrackedRun(workload=workload, resource=resource, start=start, end=end, row=entry.row)
            yield from samples_of(_measured(run_id, found, bare, read_at), read_at)
        if end is not None:
            yield from stored(str(entry.about.get("artifact_uri")), end, workload, found, config)


def described(run_id: str, found: Gathered, config: SourceConfig) -> tuple[Workload, Resource, tuple[Fault, ...]]:
    """Who a run is and where it ran, as its tags say, with the doubts about that."""
    entry = found.runs[run_id]
    about, tags = entry.about, entry.tags
    name = str(about.get("run_name") or tags.get("mlflow.runName") or run_id)
    stamps = stamped(tags, config, name=name, row=entry.row)
    model, version, doubts = registered(run_id, name, found)
    parent, experiment = tags.get("mlflow.parentRunId"), str(about.get("experiment_id", ""))
    workload = Workload(
        id=f"mlflow:{run_id}",
        kind=WorkloadKind.TRAINING_JOB,
        name=name,
        parent=f"mlflow:{parent}" if parent else None,
        experiment=found.experiments.get(experiment) or experiment or None,
        model=model,
        model_version=version,
        user=tags.get("mlflow.user") or about.get("user_id") or None,
        status=str(about["status"]) if about.get("status") else None,
        labels={key: value for key, value in tags.items() if not key.startswith(_OWN)},
        links=(f"mlflow:{run_id}", *stamps.links),
    )
    resource = stamps.resource
    if resource.id is None and (cluster := tags.get(_CLUSTER_TAG)):
        resource = Resource(id=cluster, node=resource.node, provider="Databricks")
    return workload, resource, (*stamps.faults, *doubts)


def registered(run_id: str, name: str, found: Gathered) -> tuple[str | None, str | None, tuple[Fault, ...]]:
    """The registered model of a run and its version; no version where there are several, no model of several names."""
    logged = (key for key, entry in found.logged_models.items() if entry.about.get("source_run_id") == run_id)
    versions = set(chain.from_iterable(found.versions.get(key, ()) for key in (run_id, *logged)))
    names = sorted({model for model, _ in versions})
    if len(names) <= 1:
        only = next(iter(versions))[1] if len(versions) == 1 else None
        return (names[0] if names else None), only, ()
    doubt = Fault(
        code="run_with_several_models",
        row=found.runs[run_id].row,
        column="model_versions",
        example=", ".join(names),
        what=f"Run '{name}' is registered under {len(names)} models, so its model is left open.",
        fix="Tag the run with its model, or set its model by a rule.",
        rejected=False,
    )
    return None, None, (doubt,)


def stored(
    address: str, since: datetime, workload: Workload, found: Gathered, config: SourceConfig
) -> Iterator[Sample | Fault]:
    """Bytes × time of the artifacts below an address, which are there from `since` on.

    Within the window that was pulled, else until the answer was read.
    """
    size = sum(found.sizes.get(address, {}).values())
    if not size:
        return
    row, answered = found.listed[address]
    read_at = time_read(answered, config)
    start = max(since, found.window[0]) if found.window else since
    until = found.window[1] if found.window else read_at
    if until is None:
        yield _undated(address, row)
    elif start < until:
        yield Sample(
            resource=Resource(id=bucket(address, config)),
            workload=workload,
            measure=Measure.STORAGE_BYTE_SECONDS,
            basis=Basis.ESTIMATED,
            quantity=size * seconds(until - start),
            start=start,
            end=until if found.window else None,
            row=row,
        )


def model_samples(model_id: str, found: Gathered, config: SourceConfig) -> Iterator[Sample | Fault]:
    """Bytes × time of a logged model from its creation on; it belongs to the run that made it, where that is known."""
    entry = found.logged_models[model_id]
    about = entry.about
    created, run_id = moment_of_ms(about.get("creation_timestamp_ms")), str(about.get("source_run_id") or "")
    if created is None:
        yield startless(str(about.get("name", model_id)), entry.row)
        return
    owner = described(run_id, found, config)[0] if run_id in found.runs else _alone(model_id, run_id, found)
    yield from stored(str(about.get("artifact_uri")), created, owner, found, config)


def _alone(model_id: str, run_id: str, found: Gathered) -> Workload:
    entry = found.logged_models[model_id]
    names = sorted(found.versions.get(model_id, ()))
    model, version = names[0] if len(names) == 1 else (None, None)
    experiment = str(entry.about.get("experiment_id", ""))
    return Workload(
        id=f"mlflow:{model_id}",
        kind=WorkloadKind.DATA,
        name=str(entry.about.get("name", model_id)),
        parent=f"mlflow:{run_id}" if run_id else None,
        experiment=found.experiments.get(experiment) or experiment or None,
        model=model,
        model_version=version,
        labels={key: value for key, value in entry.tags.items() if not key.startswith(_OWN)},
    )


def bucket(address: str, config: SourceConfig) -> str:
    """What a bill calls the place of artifacts: bucket or storage account; the root of the address where it names none.

    The option `artifact_store` says what lies behind a server that passes artifacts on (`mlflow-artifacts:`).
    """
    store = config.options.get("artifact_store")
    parts = urlsplit(str(store) if store and address.startswith("mlflow-artifacts:") else address)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme in {"wasb", "wasbs", "abfs", "abfss"}:
        return host.split(".")[0]
    return host or f"{parts.scheme or 'file'}:{'/' if parts.scheme else parts.path}"


def _undated(address: str, row: int) -> Fault:
    return Fault(
        code="artifacts_at_no_time",
        row=row,
        column="root_uri",
        example=address,
        what="This list of artifacts does not say when it was read, so it is not known how long they were stored.",
        fix='Say when the file was saved: read_at = "2026-11-01T00:00:00Z" in the options of the source.',
    )


def _measured(run_id: str, found: Gathered, run: TrackedRun, read_at: datetime | None) -> TrackedRun:
    seen = {(one["node"], one["index"]) for key in found.runs[run_id].metrics if (one := GPU_METRIC.fullmatch(key))}
    until = run.end or read_at
    busy = {key: points for key, points in found.history.get(run_id, {}).items() if UTILISATION.fullmatch(key)}
    metrics = (_busy(list(busy.values()), seconds(until - run.start)),) if busy and until else ()
    return replace(run, gpus=len(seen), metrics=metrics)


def _busy(gpus: list[set[Point]], duration: Decimal) -> Metric:
    rate = sum((_mean([value for _, value in points]) for points in gpus), Decimal(0)) / _PERCENT
    times = [when for points in gpus for when, _ in points]
    share = coverage_of(sorted(set(times)), duration, every=_EVERY)
    return Metric(measure=Measure.GPU_BUSY_SECONDS, rate=rate, coverage=share)


def _mean(values: list[Decimal]) -> Decimal:
    """The mean of percentages; a value no percentage can have (a GPU that does not report) counts as none."""
    shown = [value for value in values if 0 <= value <= _PERCENT]
    return sum(shown, Decimal(0)) / len(shown) if shown else Decimal(0)
