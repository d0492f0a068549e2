"""What kind of workload the pods of a cluster are, from what their labels and owners say. The first rule that holds.

1. a namespace of the cluster's own → platform
2. a label of KServe, or a serving metric of the pod → inference endpoint
3. a Kubeflow notebook or a JupyterHub server → notebook
4. a label of a pipeline or workflow run → pipeline step
5. a training operator's label, or a Job, JobSet, TrainJob, PyTorchJob and the like as owner → training job
6. else → other

Label keys are as kube-state-metrics shows them: everything but letters, digits and `_` became `_`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.measures import WorkloadKind

if TYPE_CHECKING:
    from collections.abc import Mapping

PLATFORM = frozenset(
    {"kube-system", "kube-public", "kube-node-lease", "monitoring", "gpu-operator", "ingress-nginx", "cert-manager"}
    | {"istio-system", "knative-serving", "kserve", "logging", "calico-system", "kube-flannel", "prometheus"}
)
"""Namespaces of what runs for all."""
KSERVE = "serving_kserve_io_inferenceservice"
"""Label with the name of the InferenceService."""
TRAINJOB_STEP = "trainer_kubeflow_org_trainjob_ancestor_step"
"""Label of the pods of a TrainJob, which makes a JobSet of its own name."""
TRAINERS = frozenset(
    {"Job", "JobSet", "TrainJob", "PyTorchJob", "TFJob", "MPIJob", "JAXJob", "XGBoostJob", "PaddleJob", "RayJob"}
)
"""Owners that train."""
_TRAINING = (
    "training_kubeflow_org_job_name",
    "trainer_kubeflow_org_trainjob_ancestor_step",
    "jobset_sigs_k8s_io_jobset_name",
)
_PIPELINE = ("pipeline_runid", "workflows_argoproj_io_workflow")
_NOTEBOOK = ("notebook_name",)


def kind_of(*, namespace: str, owner: str, labels: Mapping[str, str], serves: bool) -> WorkloadKind:
    """The kind; `owner` is the kind of the pods' owner, `serves` whether a serving metric came from its pods."""
    if namespace in PLATFORM:
        return WorkloadKind.PLATFORM
    if labels.get(KSERVE) or serves:
        return WorkloadKind.INFERENCE_ENDPOINT
    if owner == "Notebook" or _any(labels, _NOTEBOOK) or labels.get("component") == "singleuser-server":
        return WorkloadKind.NOTEBOOK
    if _any(labels, _PIPELINE):
        return WorkloadKind.PIPELINE_STEP
    if owner in TRAINERS or _any(labels, _TRAINING):
        return WorkloadKind.TRAINING_JOB
    return WorkloadKind.OTHER


def _any(labels: Mapping[str, str], keys: tuple[str, ...]) -> bool:
    return any(labels.get(key) for key in keys)
