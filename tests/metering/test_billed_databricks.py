"""Databricks rows: of its own bill (keys of usage_metadata), and of VMs in a cloud's bill (default tags)."""

import pytest
from tests.metering.billed_rows import row

from apportion.core.measures import WorkloadKind
from apportion.metering.billed.databricks import IDENTITY


def recognised(**tags):
    return IDENTITY.recognise(row(provider="Databricks", tags=tags))


def test_a_job_run_has_its_job_as_its_parent():
    found = recognised(
        workspace_id="7", job_id="12", job_run_id="99", cluster_id="c-1", job_name="retrain", run_as="anna"
    )
    assert (found.id, found.parent) == ("databricks:7/job/12/run/99", "databricks:7/job/12")
    assert (found.kind, found.name, found.user) == (WorkloadKind.OTHER, "retrain", "anna")


@pytest.mark.parametrize(
    ("tags", "identity", "kind"),
    [
        ({"endpoint_name": "scores"}, "endpoint/scores", WorkloadKind.INFERENCE_ENDPOINT),
        ({"endpoint_id": "e1", "endpoint_name": "scores"}, "endpoint/e1", WorkloadKind.INFERENCE_ENDPOINT),
        ({"warehouse_id": "w"}, "warehouse/w", WorkloadKind.DATA),
        ({"dlt_pipeline_id": "d", "cluster_id": "c"}, "pipeline/d", WorkloadKind.DATA),
        ({"notebook_id": "n", "cluster_id": "c"}, "notebook/n", WorkloadKind.NOTEBOOK),
        ({"cluster_id": "c", "job_id": ""}, "cluster/c", WorkloadKind.NOTEBOOK),
    ],
)
@pytest.mark.parametrize("prefix", ["", "usage_metadata."])
def test_the_most_exact_key_names_the_workload(tags, identity, kind, prefix):
    found = recognised(**{prefix + key: value for key, value in tags.items()})
    assert (found.id, found.kind, found.parent) == (f"databricks:{identity}", kind, None)


def test_a_vm_in_a_clouds_bill_is_known_by_its_default_tags():
    tags = {
        "Vendor": "Databricks",
        "ClusterId": "c-1",
        "ClusterName": "etl",
        "Creator": "anna@acme.example",
        "JobId": "12",
    }
    found = IDENTITY.recognise(row(provider="AWS", service="Amazon EC2", tags=tags))
    assert (found.id, found.user) == ("databricks:job/12", "anna@acme.example")


def test_a_job_of_a_training_sku_is_a_training_job():
    given = row(
        service="Azure Databricks",
        sku_meter="Premium Model Training DBU",
        tags={"job_id": "1", "node_type": "p4d.24xlarge"},
    )
    found = IDENTITY.recognise(given)
    assert (found.kind, found.instance_type) == (WorkloadKind.TRAINING_JOB, "p4d.24xlarge")


def test_the_same_tags_on_another_bill_are_no_workload():
    assert IDENTITY.recognise(row(provider="AWS", tags={"job_id": "12"})) is None


def test_a_databricks_row_without_keys_is_no_workload():
    assert recognised(team="fraud") is None
