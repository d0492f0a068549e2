"""Amazon Bedrock: an application inference profile is the application that calls; jobs and own models have ARNs.

Source: AWS, application inference profiles with cost-allocation tags. That the ARN is the resource id of the row, and
the kinds of the other resources, are from MEMORY. A maker's model (`foundation-model`, `inference-profile`) is called
by everybody and is no workload.
"""

from __future__ import annotations

import re

from apportion.core.measures import WorkloadKind
from apportion.metering.identity import Billed, BilledIdentity, BilledRow

KINDS = {
    "application-inference-profile": WorkloadKind.API_KEY,
    "provisioned-model": WorkloadKind.INFERENCE_ENDPOINT,
    "imported-model": WorkloadKind.INFERENCE_ENDPOINT,
    "custom-model-deployment": WorkloadKind.INFERENCE_ENDPOINT,
    "model-customization-job": WorkloadKind.TRAINING_JOB,
    "model-invocation-job": WorkloadKind.BATCH_INFERENCE,
}
"""Kind of resource in the ARN -> what it is here."""

_ARN = re.compile(r"arn:[^:]+:bedrock:[^:]*:[^:]*:([a-z-]+)/(.+)")


def recognise(row: BilledRow) -> Billed | None:
    """The inference profile, job or own model of a Bedrock row, by its ARN; None for anything else.

    Models of other makers are billed as Marketplace products, so the service is not asked for.
    """
    found = _ARN.fullmatch(row.resource_id)
    kind = KINDS.get(found[1]) if found else None
    return Billed(id=row.resource_id, kind=kind, name=found[2]) if found and kind else None


IDENTITY = BilledIdentity("bedrock", "Amazon Bedrock", recognise)
