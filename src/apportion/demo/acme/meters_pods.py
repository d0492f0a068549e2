"""The pods of the cluster acme-ml: how they are called, and the labels that people gave them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.core.measures import WorkloadKind
from apportion.demo.acme.meters_labels import labels_of
from apportion.demo.acme.meters_machines import GIB
from apportion.demo.acme.usage import chance, digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apportion.core.period import Month
    from apportion.demo.acme.company import Owner

_STEPS = {"ng-p4d": "finetune", "ng-p5": "pretrain"}


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod: a replica of an endpoint (KServe), or a worker of a training job (Kubeflow)."""

    owner: Owner
    kind: WorkloadKind
    namespace: str
    controller: str
    controller_kind: str
    name: str
    container: str
    volume: str
    volume_bytes: int
    labels: Mapping[str, str]

    def workload(self, cluster: str) -> str:
        """What the pods of one endpoint or job have in common: cluster, namespace, kind and name of what owns them."""
        if self.kind is WorkloadKind.INFERENCE_ENDPOINT:
            return f"k8s:{cluster}/{self.namespace}/InferenceService/{self.owner.model}"
        return f"k8s:{cluster}/{self.namespace}/{self.controller_kind}/{self.controller}"


def pod_of(owner: Owner, *, group: str, node: str, month: Month, day: int) -> Pod:
    """The pod of that owner's model on the node: endpoints get a new one each month, training jobs each day."""
    model = owner.model or ""
    if owner.environment == "prod":
        controller, born = f"{model}-predictor", digest(model, node, month)
        own = {"serving_kserve_io_inferenceservice": model, "component": "predictor", "app": f"isvc.{controller}"}
        kind, controller_kind, container = WorkloadKind.INFERENCE_ENDPOINT, "deployment", "kserve-container"
    else:
        controller = f"{model}-{_STEPS[group]}-{month.year:04d}{month.month:02d}{day:02d}"
        born = digest(controller, node)
        own = {"training_kubeflow_org_job_name": controller, "training_kubeflow_org_replica_type": "worker"}
        kind, controller_kind, container = WorkloadKind.TRAINING_JOB, "job", "pytorch"
    return Pod(
        owner=owner,
        kind=kind,
        namespace=f"{owner.team}-{owner.environment}",
        controller=controller,
        controller_kind=controller_kind,
        name=f"{controller}-{born[:10]}-{born[-5:]}",
        container=container,
        volume=f"pvc-{digest('volume', model, node)}",
        volume_bytes=(50 + 10 * chance(40, "volume", model, group)) * GIB,
        # OpenCost shows keys as Prometheus spells them
        labels={**own, **{key.replace("-", "_"): value for key, value in labels_of(owner).items()}},
    )
