"""What the rows of a bill name by themselves: the table `billed`, and whose shares they are."""

from __future__ import annotations

import pytest
from tests.metering.meters import Meter, at, divided, holder, hourly, job, parts_of, rounded, session, used, whole
from tests.tagging.bills import row as attribute_row
from tests.tagging.bills import write

from apportion.core.config import MachineSize, MeteringConfig
from apportion.core.measures import Basis, Measure
from apportion.metering.billed_rows import billed
from apportion.sources.readings.contract import Resource

ARN = "arn:aws:sagemaker:us-east-1:012345678901:"
ENDPOINT, TRAINING = f"{ARN}endpoint/ocr", f"{ARN}training-job/bert"
HOSTED = {"ServiceName": "Amazon SageMaker", "SkuMeter": "USE1-Host:ml.p4d.24xlarge", "ConsumedUnit": "Hrs"}


def found(folder, *rows, config=MeteringConfig()):  # noqa: B008
    with session() as db:
        db.read_parquet("attributes", [write(folder, rows)])
        return billed(db, config).to_pylist()


def test_only_rows_of_managed_work_are_in_the_table(tmp_path):
    rows = [attribute_row(ResourceId="i-0abc"), attribute_row(ResourceId=ENDPOINT, **HOSTED), attribute_row()]
    (one,) = found(tmp_path, *rows)
    assert (one["x_AttributeNo"], one["x_WorkloadId"], one["x_WorkloadKind"], one["x_WorkloadName"]) == (
        2, ENDPOINT, "inference_endpoint", "ocr",
    )  # fmt: skip


def test_the_machine_of_a_row_is_told_with_its_size(tmp_path):
    (one,) = found(tmp_path, attribute_row(ResourceId=ENDPOINT, **HOSTED))
    assert (one["x_InstanceType"], one["x_Gpus"], one["x_CpuCores"], one["x_MemoryBytes"]) == (
        "ml.p4d.24xlarge", 8, 96, 1152 * 2**30,
    )  # fmt: skip


def test_a_configured_size_stands_before_the_known_one(tmp_path):
    config = MeteringConfig(machines={"ml.p4d.24xlarge": MachineSize(4, 2, 1)})
    (one,) = found(tmp_path, attribute_row(ResourceId=ENDPOINT, **HOSTED), config=config)
    assert (one["x_Gpus"], one["x_CpuCores"], one["x_MemoryBytes"]) == (4, 2, 1)


@pytest.mark.parametrize("meter", ["USE1-Host:ml.nobody.knows", "USE1-Train:VolumeUsage.gp2"])
def test_a_machine_that_is_unknown_or_none_has_no_size(tmp_path, meter):
    (one,) = found(tmp_path, attribute_row(ResourceId=ENDPOINT, **HOSTED | {"SkuMeter": meter}))
    assert (one["x_Gpus"], one["x_CpuCores"], one["x_MemoryBytes"]) == (None, None, None)


@pytest.mark.parametrize(
    ("unit", "seconds"), [("Hrs", 3600), (" hours ", 3600), ("Minutes", 60), ("s", 1), ("GB", None), (None, None)]
)
def test_the_unit_says_how_long_one_of_it_is(tmp_path, unit, seconds):
    (one,) = found(tmp_path, attribute_row(ResourceId=ENDPOINT, **HOSTED | {"ConsumedUnit": unit}))
    assert one["x_UnitSeconds"] == seconds


def test_the_share_of_a_row_is_the_works_that_the_bill_names(tmp_path):
    charges = [
        whole(at(0), at(1), resource=TRAINING, tags={"team": "risk"}, columns=HOSTED),
        whole(at(0), at(1), resource="vol-1", tags={"team": "x"}),
    ]
    shares = divided(tmp_path, [], charges)
    (one,), (other,) = shares.values()
    assert (one["x_WorkloadId"], one["x_WorkloadKind"], one["x_Team"]) == (TRAINING, "training_job", "risk")
    assert (one["x_TeamEvidence"], holder(other)) == ("T1", "team:x")


def test_a_meter_divides_an_endpoint_among_its_callers_and_leaves_it_the_rest_of_its_time(tmp_path):
    calls = Meter(
        [
            used(job(name), at(1), at(2), count, Measure.REQUESTS, basis=Basis.USED, resource=Resource(id="ocr"))
            for name, count in (("caller-1", 3), ("caller-2", 1))
        ]
    )
    shares = divided(tmp_path, calls, hourly(at(0), at(2), resource=ENDPOINT, columns=HOSTED))
    assert [rounded(parts_of(each)) for each in shares.values()] == [
        {ENDPOINT: 1}, {"caller-1": 0.75, "caller-2": 0.25},
    ]  # fmt: skip
    assert shares[1][0]["x_WorkloadKind"] == "inference_endpoint"
