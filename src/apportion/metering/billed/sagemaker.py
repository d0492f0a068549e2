"""Amazon SageMaker: the ARN of a row is the job, endpoint or notebook, its usage type names the instance.

`lineItem/ResourceId` is the ARN (MEMORY, as the whole shape of these rows; the kinds of resources are those of AWS's
service authorization reference). A HyperPod cluster is shared by many jobs and therefore is no workload.
"""

from __future__ import annotations

import re

from apportion.core.measures import WorkloadKind
from apportion.metering.identity import Billed, BilledIdentity, BilledRow

KINDS = {
    "training-job": WorkloadKind.TRAINING_JOB,
    "hyper-parameter-tuning-job": WorkloadKind.TRAINING_JOB,
    "automl-job": WorkloadKind.TRAINING_JOB,
    "endpoint": WorkloadKind.INFERENCE_ENDPOINT,
    "inference-component": WorkloadKind.INFERENCE_ENDPOINT,
    "transform-job": WorkloadKind.BATCH_INFERENCE,
    "processing-job": WorkloadKind.DATA,
    "labeling-job": WorkloadKind.DATA,
    "feature-group": WorkloadKind.DATA,
    "notebook-instance": WorkloadKind.NOTEBOOK,
    "app": WorkloadKind.NOTEBOOK,
    "space": WorkloadKind.NOTEBOOK,
    "mlflow-tracking-server": WorkloadKind.PLATFORM,
}
"""Kind of resource in the ARN -> what it is here."""

_ARN = re.compile(r"arn:[^:]+:sagemaker:[^:]*:[^:]*:([a-z-]+)/(.+)")
_INSTANCE = re.compile(r"\bml\.[a-z0-9-]+\.[a-z0-9]+\b")
_USER_OF_APP = 1
"""`app/<domain>/<user profile>/<type>/<name>`: the part after the domain."""


def recognise(row: BilledRow) -> Billed | None:
    """The job, endpoint, notebook or app of a SageMaker row, by its ARN; None for anything else.

    Rows about storage or data name no instance. The user of a Studio app is its user profile.
    """
    found = _ARN.fullmatch(row.resource_id)
    kind = KINDS.get(found[1]) if found else None
    if found is None or kind is None:
        return None
    parts = found[2].split("/")
    return Billed(
        id=row.resource_id,
        kind=kind,
        name="/".join(parts[_USER_OF_APP:]) if found[1] in {"app", "space"} and len(parts) > 1 else found[2],
        user=parts[_USER_OF_APP] if found[1] == "app" and len(parts) > 1 else None,
        instance_type=_instance(row),
    )


def _instance(row: BilledRow) -> str | None:
    texts = (row.sku_meter, row.sku_id, row.description)
    return next((found[0] for text in texts if (found := _INSTANCE.search(text))), None)


IDENTITY = BilledIdentity("sagemaker", "Amazon SageMaker", recognise)
