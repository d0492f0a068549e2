"""Vertex AI rows, as the example company's export delivers them and with full resource names."""

import pytest
from tests.metering.billed_rows import row

from apportion.core.measures import WorkloadKind
from apportion.metering.billed.vertex import IDENTITY, RUN
from apportion.metering.machines import machine_of

PROJECT = "//aiplatform.googleapis.com/projects/acme-assistant/"


@pytest.mark.parametrize(
    ("name", "sku", "kind", "machine"),
    [
        ("assist-llm-endpoint", "Online Prediction g2-standard-12", "inference_endpoint", "g2-standard-12"),
        ("assist-llm-tune-20261007-dc09", "Custom Training a2-highgpu-8g", "training_job", "a2-highgpu-8g"),
        ("assist-chat", "Gemini Pro Text Input", "api_key", None),
        ("nightly", "Batch Prediction n1-standard-8", "batch_inference", "n1-standard-8"),
    ],
)
def test_where_the_name_says_no_kind_the_sku_does(name, sku, kind, machine):
    found = IDENTITY.recognise(row(resource_id=PROJECT + name, resource_name=name, sku_meter=sku))
    assert (found.id, found.kind, found.name) == (PROJECT + name, WorkloadKind(kind), name)
    assert found.instance_type == machine
    assert machine is None or machine_of(machine) is not None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("locations/us-central1/customJobs/1", "training_job"),
        ("locations/us-central1/endpoints/2", "inference_endpoint"),
        ("locations/us-central1/batchPredictionJobs/3", "batch_inference"),
        ("locations/us-central1/notebookRuntimes/4", "notebook"),
    ],
)
def test_a_full_resource_name_says_the_kind(path, kind):
    found = IDENTITY.recognise(row(resource_id=PROJECT + path, sku_meter="Training Gemini"))
    assert (found.kind, found.name) == (WorkloadKind(kind), path[-1])


def test_a_job_of_a_pipeline_has_the_run_as_its_parent():
    given = row(resource_id=f"{PROJECT}locations/x/customJobs/1", tags={RUN: "77"})
    assert IDENTITY.recognise(given).parent == "vertex:pipeline/77"


def test_a_row_without_a_resource_is_its_pipeline_run():
    found = IDENTITY.recognise(row(service="Compute Engine", tags={RUN: "77"}))
    assert (found.id, found.kind, found.name) == ("vertex:pipeline/77", WorkloadKind.PIPELINE_STEP, "77")


def test_a_workbench_instance_is_a_notebook():
    found = IDENTITY.recognise(row(resource_id="//notebooks.googleapis.com/projects/p/locations/l/instances/nb"))
    assert (found.kind, found.name) == (WorkloadKind.NOTEBOOK, "nb")


@pytest.mark.parametrize(
    "resource",
    ["", "//compute.googleapis.com/projects/p/doc-ocr", f"{PROJECT}thing", f"{PROJECT}locations/l/models/1", "assist"],
)
def test_other_rows_are_no_workload(resource):
    assert IDENTITY.recognise(row(resource_id=resource, service="Vertex AI", sku_meter="Vector storage")) is None
