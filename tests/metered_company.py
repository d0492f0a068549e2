"""A metered company small enough to check by hand: two nodes, a volume, a model API, and what does not fit together."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONFIG = """
[project]
name = "metered"
currency = "USD"

[[sources]]
id = "bill"
kind = "focus"
paths = ["bills"]

[[sources]]
id = "meter"
kind = "usage_file"
paths = ["meters"]

[[sources]]
id = "patchy"
kind = "usage_file"
paths = ["patchy"]
"""

BILL = {
    "BillingAccountId": "A-1",
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-10-01T00:00:00Z",
    "BillingPeriodEnd": "2026-11-01T00:00:00Z",
    "ChargeCategory": "Usage",
    "ServiceName": "EC2",
    "ServiceCategory": "Compute",
    "ServiceProviderName": "AWS",
}
MONTH = ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
DAY = ("2026-10-01T00:00:00Z", "2026-10-01T20:00:00Z")
"""The nodes were there for 20 hours."""
EVENING = ("2026-10-01T10:00:00Z", "2026-10-01T20:00:00Z")
FIFTH = ("2026-10-05T00:00:00Z", "2026-10-05T10:00:00Z")

NODE_1, NODE_2, NODE_3, NODE_9 = (f"i-0000000000000000{no}" for no in (1, 2, 3, 9))
VOLUME = "vol-00000000000000001"
TUNING = "arn:aws:sagemaker:us-east-1:111122223333:training-job/tuning"


def charge(cost: str, span: tuple[str, str], resource: str | None, *, team: str = "", **said: str) -> dict[str, str]:
    """A row of the bill, all four costs alike."""
    costs = dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), cost)
    start, end = span
    times = {"ChargePeriodStart": start, "ChargePeriodEnd": end}
    tags = json.dumps({"team": team}) if team else ""
    return BILL | costs | times | {"ResourceId": resource or "", "Tags": tags} | said


def use(span: tuple[str, str], workload: str, measure: str, quantity: object, **said: object) -> dict[str, object]:
    """A row of the usage file; without workload it is capacity."""
    row = {"start": span[0], "end": span[1], "workload": workload, "measure": measure, "quantity": quantity}
    return row | {"basis": "requested" if workload else "capacity"} | said


def until(clock: str) -> tuple[str, str]:
    """From the first midnight of the month to that time of the same day."""
    return ("2026-10-01T00:00:00Z", f"2026-10-01T{clock}:00Z")


CHARGES = (
    # 5 GPUs for 20 hours at 2 USD a GPU-hour; 4 GPUs for 20 hours at 1.25 USD
    charge("200", DAY, NODE_1, team="platform", ResourceName="node-1", ResourceType="instance"),
    charge("100", DAY, NODE_2, team="serving", ResourceName="node-2", ResourceType="instance"),
    charge("10", FIFTH, NODE_3, team="platform", ResourceType="instance"),
    charge("31", MONTH, VOLUME, ServiceName="EBS", ServiceCategory="Storage", ResourceType="volume"),
    charge("12", MONTH, None, ServiceName="Model API", ServiceProviderName="OpenAI", SubAccountId="proj-1"),
    charge(
        *("9", DAY, TUNING),
        ServiceName="Amazon SageMaker",
        SkuMeter="USE1-Train:ml.p3.2xlarge",
        ConsumedQuantity="3",
        ConsumedUnit="Hours",
        team="risk",
    ),
    charge("7", DAY, "i-0000000000000000b", team="ads", ResourceType="instance"),
    charge("3", DAY, "gpu-box", ServiceName="Boxes", SkuMeter="BoxUsage:g5.xlarge"),
    charge("4", DAY, "somewhere", ResourceName="twin", ServiceName="Boxes"),
    charge("1", MONTH, "bucket", ServiceName="S3", ServiceCategory="Storage", team="data"),
)

_BERT = {"workload_kind": "training_job", "name": "bert training", "team": "risk", "model": "fraud-bert"}
_BERT |= {"environment": "prod", "experiment": "exp-a", "status": "FINISHED"}
_TRIAL = {"workload_kind": "training_job", "team": "ads", "model": "feed", "environment": "dev"}
_RANKER = {"workload_kind": "inference_endpoint", "team": "growth", "model": "ranker", "resource_id": NODE_2}
_KEY = {"workload_kind": "api_key", "team": "growth", "provider": "OpenAI", "account": "proj-1", "basis": "used"}
_ON_1 = {"resource_id": NODE_1, "unit": "gpu_hours"}
_GIB_MONTH = 2**30 * 31 * 86400

USES = (
    use(DAY, "", "gpu_seconds", 100, **_ON_1),
    use(until("06:15"), "job-1", "gpu_seconds", 25, **_ON_1, **_BERT),
    use(until("06:15"), "job-1", "gpu_busy_seconds", 10, **_ON_1, **_BERT),
    use(DAY, "job-2", "gpu_seconds", 20, **_ON_1, **_TRIAL, experiment="exp-b", parent="sweep-1"),
    use(EVENING, "nb-1", "gpu_seconds", 5, **_ON_1, workload_kind="notebook", team="risk", experiment="exp-a"),
    use(DAY, "", "gpu_seconds", 80, resource_id=NODE_2, unit="gpu_hours"),
    use(DAY, "ep-1", "gpu_seconds", 60, unit="gpu_hours", **_RANKER),
    use(DAY, "ep-1", "requests", 10000, **_RANKER),
    use(DAY, "ep-1", "tokens_input", 1500000, **_RANKER),
    use(DAY, "ep-1", "tokens_output", 500000, **_RANKER),
    use(MONTH, "ds-1", "storage_byte_seconds", 6 * _GIB_MONTH, workload_kind="data", resource_id=VOLUME),
    use(MONTH, "job-1", "storage_byte_seconds", 2 * _GIB_MONTH, resource_id=VOLUME, **_BERT),
    use(MONTH, "key-1", "tokens_input", 744000, **_KEY),
    use(MONTH, "key-1", "tokens_output", 148800, **_KEY),
    use(MONTH, "key-1", "requests", 400, **_KEY),
    use(until("02:00"), "job-4", "gpu_seconds", 2, resource_id=NODE_9, unit="gpu_hours", workload_kind="training_job"),
    use(until("01:00"), "job-5", "gpu_seconds", 1, node="twin", cluster="east", unit="gpu_hours"),
    use(until("01:00"), "job-6", "gpu_seconds", 1, node="twin", cluster="west", unit="gpu_hours"),
    use(until("03:00"), "job-7", "run_seconds", 10800, workload_kind="training_job"),
)

# a meter that did not look half of the time; what it saw was held by job-3
_SEEN = {"resource_id": NODE_3, "unit": "gpu_hours", "coverage": "0.5"}
PATCHY_USES = (
    use(FIFTH, "", "gpu_seconds", 5, **_SEEN),
    use(FIFTH, "job-3", "gpu_seconds", 5, **_SEEN, parent="job-2", **_TRIAL),
)

# 1 GPU and 10 cores for 10 hours: one job has the GPU, the other the cores
MIXED_CHARGES = (charge("100", FIFTH, NODE_1), charge("5", FIFTH, "elsewhere", team="data"))
MIXED_USES = (
    use(FIFTH, "", "gpu_seconds", 10, **_ON_1),
    use(FIFTH, "", "cpu_core_seconds", 100, resource_id=NODE_1, unit="cpu_hours"),
    use(FIFTH, "on-gpu", "gpu_seconds", 10, **_ON_1, team="risk"),
    use(FIFTH, "on-cores", "cpu_core_seconds", 100, resource_id=NODE_1, unit="cpu_hours", team="ads"),
)


def write_company(
    folder: Path,
    charges: Sequence[dict[str, str]] = CHARGES,
    uses: Sequence[dict[str, object]] = USES,
    *,
    patchy: Sequence[dict[str, object]] = PATCHY_USES,
    config: str = CONFIG,
) -> Path:
    """The project folder with bill and usage; nothing is ingested."""
    files = {"bills/2026-10.csv": charges, "meters/october.csv": uses, "patchy/october.csv": patchy}
    for name, rows in files.items():
        path = folder / name
        path.parent.mkdir(parents=True)
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(rows)
    (folder / "apportion.toml").write_text(config)
    return folder
