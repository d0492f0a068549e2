"""Azure Machine Learning: the resource id names the workspace and, where Azure says so, the endpoint, compute or job.

Rows carry the workspace or what lies below it (MEMORY, not verified on a real export). A workspace alone says neither
whether it trained nor whether it served, so it is a workload of the kind `other`. The meter names the size without
`Standard_` ("NC24ads A100 v4").
"""

from __future__ import annotations

import re

from apportion.core.measures import WorkloadKind
from apportion.metering.identity import Billed, BilledIdentity, BilledRow

KINDS = {
    "onlineendpoints": WorkloadKind.INFERENCE_ENDPOINT,
    "serverlessendpoints": WorkloadKind.INFERENCE_ENDPOINT,
    "batchendpoints": WorkloadKind.BATCH_INFERENCE,
    "jobs": WorkloadKind.TRAINING_JOB,
    "computes": WorkloadKind.OTHER,
}
"""Collection below a workspace, in small letters -> what it is here."""

_ID = re.compile(
    r"(?i)(.*/providers/Microsoft\.MachineLearningServices/workspaces/([^/]+))(?:/([^/]+)/([^/]+))?(?:/.*)?"
)
_SIZE = re.compile(r"([A-Z]{1,3}\d+[a-z]*(?: [A-Z0-9]+)?(?: v\d+)?)(?:/.*)?(?: Low Priority| Spot)?")


def recognise(row: BilledRow) -> Billed | None:
    """The endpoint, job, compute or workspace of an Azure Machine Learning row; None for anything else.

    Ids are in small letters, because Azure writes the same id in different ones. What lies in a workspace has it as its
    parent.
    """
    found = _ID.fullmatch(row.resource_id)
    if found is None:
        return None
    workspace, name, collection, member = found.groups()
    size = _SIZE.fullmatch(row.sku_meter)
    return Billed(
        id=f"{workspace}/{collection}/{member}".lower() if member else workspace.lower(),
        kind=KINDS.get(collection.lower(), WorkloadKind.OTHER) if collection else WorkloadKind.OTHER,
        name=member or name,
        parent=workspace.lower() if member else None,
        instance_type=f"Standard_{size[1].replace(' ', '_')}" if size else None,
    )


IDENTITY = BilledIdentity("azureml", "Azure Machine Learning", recognise)
