"""Google Vertex AI: the resource name of a row is the job or endpoint; the SKU may name the machine.

In the detailed export ResourceId is `resource.global_name`; pipelines add the label in `RUN` (both MEMORY, not verified
on a real export). Where the name does not say the kind (`…/projects/p/my-endpoint`), the words of the SKU do: "Online
Prediction", "Batch Prediction", "Training", or "Gemini" for calls of such a model.
"""

from __future__ import annotations

import re

from apportion.core.measures import WorkloadKind
from apportion.metering.identity import Billed, BilledIdentity, BilledRow

KINDS = {
    "customJobs": WorkloadKind.TRAINING_JOB,
    "trainingPipelines": WorkloadKind.TRAINING_JOB,
    "hyperparameterTuningJobs": WorkloadKind.TRAINING_JOB,
    "tuningJobs": WorkloadKind.TRAINING_JOB,
    "persistentResources": WorkloadKind.OTHER,
    "endpoints": WorkloadKind.INFERENCE_ENDPOINT,
    "deploymentResourcePools": WorkloadKind.INFERENCE_ENDPOINT,
    "batchPredictionJobs": WorkloadKind.BATCH_INFERENCE,
    "pipelineJobs": WorkloadKind.PIPELINE_STEP,
    "notebookRuntimes": WorkloadKind.NOTEBOOK,
    "instances": WorkloadKind.NOTEBOOK,
    "featurestores": WorkloadKind.DATA,
    "indexEndpoints": WorkloadKind.INFERENCE_ENDPOINT,
}
"""Collection in the resource name -> what it is here; `instances` are those of Workbench."""

BY_SKU = (
    ("online prediction", WorkloadKind.INFERENCE_ENDPOINT),
    ("batch prediction", WorkloadKind.BATCH_INFERENCE),
    ("training", WorkloadKind.TRAINING_JOB),
    ("gemini", WorkloadKind.API_KEY),
)
"""Words of an SKU, in small letters, in this order -> what the resource is."""

RUN = "vertex-ai-pipelines-run-billing-id"
_NAME = re.compile(
    r"//(?:aiplatform|notebooks)\.googleapis\.com/projects/[^/]+/(?:locations/[^/]+/)?(?:([^/]+)/)?([^/]+)"
)
_MACHINE = re.compile(
    r"\b[a-z]\d[a-z]?-(?:custom|standard|highmem|highcpu|(?:high|mega|ultra|edge)gpu)-[0-9][0-9a-z-]*\b"
)


def recognise(row: BilledRow) -> Billed | None:
    """The job, endpoint or notebook of a Vertex AI row, or the pipeline run of its label; None for anything else."""
    run = f"vertex:pipeline/{row.tags[RUN]}" if row.tags.get(RUN) else None
    found = _NAME.fullmatch(row.resource_id)
    kind = _kind(found[1], row) if found else None
    if found is None or kind is None:
        return Billed(id=run, kind=WorkloadKind.PIPELINE_STEP, name=row.tags[RUN]) if run else None
    machine = _MACHINE.search(row.sku_meter) or _MACHINE.search(row.description)
    return Billed(
        id=row.resource_id,
        kind=kind,
        name=row.resource_name or found[2],
        parent=run,
        instance_type=machine[0] if machine else None,
    )


def _kind(collection: str | None, row: BilledRow) -> WorkloadKind | None:
    if collection:
        return KINDS.get(collection)
    sku = f"{row.sku_meter} {row.description}".lower()
    return next((kind for words, kind in BY_SKU if words in sku), None)


IDENTITY = BilledIdentity("vertex", "Google Vertex AI", recognise)
