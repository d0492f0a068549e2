"""Bedrock rows, in the form in which the example company's CUR delivers them."""

import pytest
from tests.metering.billed_rows import row

from apportion.core.measures import WorkloadKind
from apportion.metering.billed.bedrock import IDENTITY

ARN = "arn:aws:bedrock:us-east-1:111122223333:"


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        ("application-inference-profile/doc-ocr-extract", WorkloadKind.API_KEY),
        ("provisioned-model/abc", WorkloadKind.INFERENCE_ENDPOINT),
        ("model-customization-job/amazon.nova/tune", WorkloadKind.TRAINING_JOB),
        ("model-invocation-job/nightly", WorkloadKind.BATCH_INFERENCE),
    ],
)
def test_an_arn_of_the_customers_own_is_the_workload(resource, kind):
    found = IDENTITY.recognise(row(resource_id=ARN + resource, service="a marketplace product"))
    assert (found.id, found.kind, found.name) == (ARN + resource, kind, resource.partition("/")[2])


@pytest.mark.parametrize(
    "resource",
    [
        "",
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro",
        ARN + "inference-profile/us.nova",
        ARN + "guardrail/x",
    ],
)
def test_a_makers_model_is_no_workload(resource):
    assert IDENTITY.recognise(row(resource_id=resource, service="Amazon Bedrock")) is None
