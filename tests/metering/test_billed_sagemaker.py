"""SageMaker rows, in the form in which the example company's CUR delivers them."""

import pytest
from tests.metering.billed_rows import row

from apportion.core.measures import WorkloadKind
from apportion.metering.billed import SOCKET
from apportion.metering.billed.sagemaker import IDENTITY
from apportion.metering.machines import machine_of

ARN = "arn:aws:sagemaker:us-east-1:012345678901:"


@pytest.mark.parametrize(
    ("resource", "meter", "kind", "name", "instance"),
    [
        (
            "training-job/fraud-bert-20261001-5c7a",
            "USE1-Train:ml.p4d.24xlarge",
            "training_job",
            None,
            "ml.p4d.24xlarge",
        ),
        ("endpoint/doc-ocr-prod", "USE1-Host:ml.g5.2xlarge", "inference_endpoint", None, "ml.g5.2xlarge"),
        ("notebook-instance/nb-risk-anna", "USE1-Notebk:ml.g4dn.xlarge", "notebook", None, "ml.g4dn.xlarge"),
        ("processing-job/prepare", "USE1-Processing:ml.m5.4xlarge", "data", None, "ml.m5.4xlarge"),
        ("transform-job/score", "USE1-Tsform:ml.c5.9xlarge", "batch_inference", None, "ml.c5.9xlarge"),
        ("training-job/fraud-bert", "USE1-Train:VolumeUsage.gp2", "training_job", None, None),
    ],
)
def test_an_arn_is_the_job_and_the_usage_type_the_machine(resource, meter, kind, name, instance):
    found = IDENTITY.recognise(row(resource_id=ARN + resource, sku_meter=meter))
    assert (found.id, found.kind, found.name) == (ARN + resource, WorkloadKind(kind), resource.split("/")[1])
    assert found.instance_type == instance
    assert found.user is None
    assert instance is None or machine_of(instance) is not None


@pytest.mark.parametrize("field", ["sku_meter", "sku_id", "description"])
def test_the_machine_may_stand_in_any_text_of_the_row(field):
    found = IDENTITY.recognise(row(resource_id=f"{ARN}endpoint/x", **{field: "$7.09 per Hrs ml.g5.12xlarge hosting"}))
    assert found.instance_type == "ml.g5.12xlarge"


def test_a_studio_app_belongs_to_its_user_profile():
    found = IDENTITY.recognise(row(resource_id=f"{ARN}app/d-abc/anna/JupyterLab/default"))
    assert (found.kind, found.name, found.user) == (WorkloadKind.NOTEBOOK, "anna/JupyterLab/default", "anna")


@pytest.mark.parametrize(
    "resource", ["", "fraud", ARN + "cluster/abc", ARN + "endpoint/", "arn:aws:ec2:us-east-1:1:instance/i-1", "x" + ARN]
)
def test_other_rows_and_shared_clusters_are_no_workload(resource):
    assert IDENTITY.recognise(row(resource_id=resource, service="Amazon SageMaker")) is None


def test_other_partitions_of_aws_are_known():
    assert IDENTITY.recognise(row(resource_id="arn:aws-cn:sagemaker:cn-north-1:1:endpoint/x")).name == "x"


def test_the_socket_has_all_five_services():
    assert {"azureml", "bedrock", "databricks", "sagemaker", "vertex"} <= set(SOCKET.names())
    assert all(SOCKET.load(name).name == name for name in SOCKET.names())
