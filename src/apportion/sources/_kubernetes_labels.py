"""What the labels of a pod say about the job, endpoint, notebook or pipeline it belongs to.

Facts: KServe `pkg/constants/constants.go` (`serving.kserve.io/inferenceservice`, `component`); Kubeflow Trainer, whose
TrainJob makes a JobSet of the same name (`jobset.sigs.k8s.io/jobset-name`) and labels its steps
(`trainer.kubeflow.org/trainjob-ancestor-step`); the older training operator (`training.kubeflow.org/job-name`);
Kubeflow Pipelines (`pipeline/runid`) and Notebooks (`notebook-name`); KubeRay (`ray.io/cluster`); Kubernetes
(`batch.kubernetes.io/job-name`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.core.measures import WorkloadKind

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN_LABEL = "pipeline/runid"
EXPERIMENT_LABEL = "katib.kubeflow.org/experiment"
SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})
"""Namespaces that Kubernetes makes for itself."""

TRAINERS = frozenset({"TrainJob", "PyTorchJob", "TFJob", "MPIJob", "XGBoostJob", "PaddleJob", "JAXJob", "MXJob"})
"""Kinds of objects that are training jobs."""


@dataclass(frozen=True, slots=True)
class Named:
    """The object that a pod belongs to, by its labels; `object_kind` is empty where labels tell the name only."""

    object_kind: str
    name: str
    kind: WorkloadKind


@dataclass(frozen=True, slots=True)
class _Label:
    key: str
    object_kind: str
    kind: WorkloadKind


_LABELS = (
    _Label("serving.kserve.io/inferenceservice", "InferenceService", WorkloadKind.INFERENCE_ENDPOINT),
    _Label("training.kubeflow.org/job-name", "", WorkloadKind.TRAINING_JOB),
    _Label("notebook-name", "Notebook", WorkloadKind.NOTEBOOK),
    _Label("ray.io/cluster", "RayCluster", WorkloadKind.OTHER),
    _Label("batch.kubernetes.io/job-name", "Job", WorkloadKind.OTHER),
    _Label("job-name", "Job", WorkloadKind.OTHER),
)
"""In the order in which they are asked: the first that a pod carries names its owner."""

_JOB_SET = "jobset.sigs.k8s.io/jobset-name"
_STEP = "trainer.kubeflow.org/trainjob-ancestor-step"


def label(labels: Mapping[str, str], key: str) -> str:
    """The value of a label, `` where it is not there; also as metrics spell its key (`ray_io_cluster`).

    >>> label({"ray_io_cluster": "a"}, "ray.io/cluster")
    'a'
    """
    return labels.get(key) or labels.get(re.sub(r"[^A-Za-z0-9_]", "_", key)) or ""


def named(labels: Mapping[str, str]) -> Named | None:
    """The object that labels name, None where they name none.

    A JobSet is a training job where its pods carry the label of a TrainJob's step; its kind stays open otherwise.
    """
    job_set = label(labels, _JOB_SET)
    if job_set:
        if label(labels, _STEP):
            return Named("TrainJob", job_set, WorkloadKind.TRAINING_JOB)
        return Named("JobSet", job_set, WorkloadKind.OTHER)
    for known in _LABELS:
        name = label(labels, known.key)
        if name:
            return Named(known.object_kind, name, known.kind)
    return None
