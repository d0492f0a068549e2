"""Databricks: tags name the job run, endpoint, warehouse, pipeline or cluster, in its own bill and on the cloud's VMs.

A bill made of `system.billing.usage` has the keys of `usage_metadata` (`job_id`, `job_run_id`, `endpoint_name`,
`warehouse_id`, `dlt_pipeline_id`, `notebook_id`, `cluster_id`), with or without that prefix; VMs and disks in the bill
of the cloud have the default tags `JobId`, `SqlWarehouseId`, `ClusterId`, `Creator` beside `Vendor = Databricks`. Both
lists are from MEMORY. A job may do anything, so it is `other` unless its SKU says that it trains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.measures import WorkloadKind
from apportion.metering.identity import Billed, BilledIdentity, BilledRow

if TYPE_CHECKING:
    from collections.abc import Mapping

LADDER = (
    ("job", WorkloadKind.OTHER, ("job_id", "jobid")),
    ("endpoint", WorkloadKind.INFERENCE_ENDPOINT, ("endpoint_id", "endpoint_name")),
    ("warehouse", WorkloadKind.DATA, ("warehouse_id", "sqlwarehouseid")),
    ("pipeline", WorkloadKind.DATA, ("dlt_pipeline_id",)),
    ("notebook", WorkloadKind.NOTEBOOK, ("notebook_id",)),
    ("cluster", WorkloadKind.NOTEBOOK, ("cluster_id", "clusterid")),
)
"""What a row can be for, the most exact first: word of the id, kind, keys that hold the id."""

_RUN = ("job_run_id",)
_NAMES = {"job": ("job_name", "runname"), "endpoint": ("endpoint_name",), "cluster": ("clustername", "cluster_name")}
_USER = ("identity_metadata.run_as", "run_as", "creator")
_PREFIX = "usage_metadata."


def recognise(row: BilledRow) -> Billed | None:
    """The job, job run, endpoint, warehouse, pipeline, notebook or cluster of a Databricks row; None for anything else.

    A run has its job as its parent.
    """
    tags = {key.lower().removeprefix(_PREFIX): value for key, value in row.tags.items() if value}
    if not _is_databricks(row, tags):
        return None
    for word, kind, keys in LADDER:
        if identity := _first(tags, keys):
            return _billed(row, tags, word, identity, kind=kind)
    return None


def _billed(row: BilledRow, tags: Mapping[str, str], word: str, identity: str, *, kind: WorkloadKind) -> Billed:
    scope = f"{tags['workspace_id']}/" if "workspace_id" in tags else ""
    known, run = f"databricks:{scope}{word}/{identity}", _first(tags, _RUN) if word == "job" else None
    trains = word == "job" and "training" in f"{row.sku_id} {row.sku_meter}".lower()
    return Billed(
        id=f"{known}/run/{run}" if run else known,
        kind=WorkloadKind.TRAINING_JOB if trains else kind,
        name=_first(tags, _NAMES.get(word, ())) or identity,
        parent=known if run else None,
        user=_first(tags, _USER),
        instance_type=_first(tags, ("node_type",)),
    )


def _is_databricks(row: BilledRow, tags: Mapping[str, str]) -> bool:
    told = f"{row.provider} {row.service}".lower()
    return "databricks" in told or tags.get("vendor", "").lower() == "databricks"


def _first(tags: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    return next((tags[key] for key in keys if key in tags), None)


IDENTITY = BilledIdentity("databricks", "Databricks", recognise)
