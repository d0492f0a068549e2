"""Azure Machine Learning rows, as the example company's export delivers them and with what lies below a workspace."""

import pytest
from tests.metering.billed_rows import row

from apportion.core.measures import WorkloadKind
from apportion.metering.billed.azureml import IDENTITY
from apportion.metering.machines import machine_of

GROUP = "/subscriptions/7d1e/resourceGroups/rg-Lending/providers/"
WORKSPACE = f"{GROUP}Microsoft.MachineLearningServices/workspaces/Credit-Online"


@pytest.mark.parametrize(
    "meter", ["NC4as T4 v3", "NC24ads A100 v4", "NC24ads A100 v4 Low Priority", "D8s v5", "D8 v5/D8s v5"]
)
def test_the_meter_names_the_machine(meter):
    found = IDENTITY.recognise(row(resource_id=WORKSPACE, sku_meter=meter))
    assert machine_of(found.instance_type) is not None


@pytest.mark.parametrize("meter", ["", "Standard Managed Disk Operations", "Hot LRS Data Stored"])
def test_a_meter_that_is_no_machine_names_none(meter):
    assert IDENTITY.recognise(row(resource_id=WORKSPACE, sku_meter=meter)).instance_type is None


def test_a_workspace_alone_is_of_no_certain_kind():
    found = IDENTITY.recognise(row(resource_id=WORKSPACE))
    assert (found.id, found.kind, found.name) == (WORKSPACE.lower(), WorkloadKind.OTHER, "Credit-Online")
    assert found.parent is None


@pytest.mark.parametrize(
    ("below", "kind"),
    [
        ("onlineEndpoints/scores/deployments/blue", WorkloadKind.INFERENCE_ENDPOINT),
        ("batchEndpoints/scores", WorkloadKind.BATCH_INFERENCE),
        ("jobs/scores", WorkloadKind.TRAINING_JOB),
        ("computes/scores", WorkloadKind.OTHER),
        ("somethingNew/scores", WorkloadKind.OTHER),
    ],
)
def test_what_lies_in_a_workspace_has_it_as_its_parent(below, kind):
    found = IDENTITY.recognise(row(resource_id=f"{WORKSPACE}/{below}"))
    member = "/".join(below.split("/")[:2]).lower()
    assert (found.id, found.kind) == (f"{WORKSPACE.lower()}/{member}", kind)
    assert (found.name, found.parent) == ("scores", WORKSPACE.lower())


@pytest.mark.parametrize("resource", ["", f"{GROUP}Microsoft.Compute/virtualMachines/x", f"{GROUP}Microsoft.Storage/y"])
def test_other_rows_are_no_workload(resource):
    assert IDENTITY.recognise(row(resource_id=resource, sku_meter="D8s v5")) is None
