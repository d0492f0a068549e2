"""Kubeflow: training jobs, notebooks and pipeline steps, and jobs of Kubernetes and Ray beside them.

A TrainJob owns a JobSet of its name, that owns Jobs, those own pods; the pods carry the JobSet's name. PyTorchJob,
TFJob, MPIJob and their like are named by `training.kubeflow.org/job-name`. A pod of a pipeline (`pipeline/runid`) that
belongs to no job is a step of its own; the run is its parent (`kfp:<run id>`), as it is of the jobs that a step
starts. The experiment is Katib's or the pipeline's. Queues of Kueue and all other labels are kept as labels.

A plain Job or a Ray cluster is of kind `other`: nothing in it says that it trains a model.

Quantities are what pods ask for × the time they ran (`Basis.REQUESTED`), and `run_seconds`. The source ranks as
NESTED, below a cluster meter: where Prometheus or OpenCost saw the same node in the same hour, theirs count, and this
source says whose pods they were (`pod:<uid>`). It gives no capacity: it sees the pods of jobs and notebooks only.

The API knows what exists now, and each pull is kept: pull daily or more often, or deliver `kubectl get … -o json` files
with `read_at`.

Source: Kubeflow Trainer `docs/legacy-v1` and `pkg/apis/trainer/v1alpha1`; Kubeflow Pipelines API v2beta1 (runs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.measures import Rank, WorkloadKind
from apportion.sources._kubernetes import PIPELINE_RUN, things
from apportion.sources._kubernetes_api import lists
from apportion.sources._kubernetes_labels import RUN_LABEL, TRAINERS, Named, label, named
from apportion.sources._kubernetes_works import work_samples, works
from apportion.sources.kserve import SERVICE
from apportion.sources.readings.contract import MeterSource
from apportion.sources.readings.pulling import Present

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from apportion.core.config import SourceConfig
    from apportion.sources._kubernetes import Thing, Things
    from apportion.sources.readings.client import Client
    from apportion.sources.readings.contract import Fault, RawFile, Sample, Window

_KINDS = {
    **dict.fromkeys(sorted(TRAINERS), WorkloadKind.TRAINING_JOB),
    "JobSet": WorkloadKind.OTHER,
    "Job": WorkloadKind.OTHER,
    "Notebook": WorkloadKind.NOTEBOOK,
    "RayCluster": WorkloadKind.OTHER,
    "Workflow": WorkloadKind.OTHER,
    PIPELINE_RUN: WorkloadKind.OTHER,
}
_PARTS = {"JobSet": frozenset({"TrainJob"}), "Job": TRAINERS | {"JobSet"}}
"""Kind -> kinds whose parts objects of it may be."""
_ASKED = {
    "trainer.kubeflow.org": frozenset({"trainjobs"}),
    "kubeflow.org": frozenset(
        {"pytorchjobs", "tfjobs", "mpijobs", "xgboostjobs", "paddlejobs", "jaxjobs", "mxjobs", "notebooks"}
    ),
    "jobset.x-k8s.io": frozenset({"jobsets"}),
    "batch": frozenset({"jobs"}),
    "argoproj.io": frozenset({"workflows"}),
    "ray.io": frozenset({"rayclusters"}),
}
_TRAINS = WorkloadKind.TRAINING_JOB


def read(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    """What the jobs, notebooks and pipeline steps of a file of Kubernetes objects held; endpoints are KServe's."""
    known = things(file, config)
    own = [(one, Named(kind, one.name, _KINDS[kind])) for kind in _KINDS for one in known.of(kind) if not _part(one)]
    yield from work_samples(known, works(known, lambda pod: _owner(pod, known), own), lambda _: None)


def pull(client: Client, window: Window, config: SourceConfig) -> Iterable[object]:  # noqa: ARG001 - lists have no past
    """Lists pods, nodes, claims, volumes, and the jobs, notebooks and workflows that the cluster knows, as they are."""
    return lists(client, config, _ASKED)


def _owner(pod: Thing, known: Things) -> Named | None:
    found = named(pod.labels)
    if found and found.object_kind == SERVICE:
        return None
    if found and found.object_kind == "JobSet" and known.find("TrainJob", found.name, pod.namespace):
        return Named("TrainJob", found.name, _TRAINS)
    if found and not found.object_kind:
        return Named(_trainer(pod, found.name, known), found.name, _TRAINS)
    if label(pod.labels, RUN_LABEL) and (found is None or found.kind is WorkloadKind.OTHER):
        return Named("Pod", pod.name, WorkloadKind.PIPELINE_STEP)
    if found is None and pod.owned_by()[0] == "Job":
        return Named("Job", pod.owned_by()[1], WorkloadKind.OTHER)
    return found


def _trainer(pod: Thing, name: str, known: Things) -> str:
    kind, owner, _ = pod.owned_by()
    if (kind in TRAINERS) and owner == name:
        return kind
    return next((one for one in sorted(TRAINERS) if known.find(one, name, pod.namespace)), "TrainingJob")


def _part(thing: Thing) -> bool:
    return thing.owned_by()[0] in _PARTS.get(thing.kind, ())


SOURCE = MeterSource(
    name="kubeflow",
    title="Kubeflow jobs, notebooks and pipelines",
    read=read,
    pull=Present(pull),
    rank=Rank.NESTED,
    options=frozenset({"context"}),
)
