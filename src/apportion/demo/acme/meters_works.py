"""The jobs, endpoints, notebooks and model profiles that acme's clouds bill by name: when they ran, and on what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.measures import WorkloadKind
from apportion.demo.acme import aws_plan, azure, gcp
from apportion.demo.acme.aws_prices import PRICES
from apportion.demo.acme.meters_machines import MACHINES, Machine
from apportion.demo.acme.usage import Plan, Resource, chance, digest, uses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apportion.core.period import Month

_JOB, _ENDPOINT = WorkloadKind.TRAINING_JOB, WorkloadKind.INFERENCE_ENDPOINT
_NOTEBOOK, _BATCH = WorkloadKind.NOTEBOOK, WorkloadKind.BATCH_INFERENCE
_AZURE = dict.fromkeys(
    ("credit-xgb-online", "income-llm-online", "cash-forecast-online", "demand-tft-online"), _ENDPOINT
)
_AZURE |= {"income-llm-train": _JOB, "credit-xgb-train": _JOB, "churn-scoring": _BATCH, "nb-lending": _NOTEBOOK}
_GCP = {resource.name: _ENDPOINT for resource in gcp.RESOURCES if resource.sku == "predict"}
_GCP |= {"assist-llm-tune": _JOB, "voice-asr-train": _JOB, "doc-ocr-batch": _BATCH}
_COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)
"""How many machines a job may run on: each divides 3,600 milliseconds, a thousandth of an hour."""
LATE = "sweep-box-late"
"""The runs of a training box whose charges come with the second delivery only."""
_LATE_DAYS, _LATE_HOURS = (26, 27, 28), Decimal("3.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one bill row of a job, endpoint, notebook or batch job stands for: [start, end) on `count` machines.

    `count` times the length of the interval is the billed quantity, exactly.
    """

    resource: Resource
    kind: WorkloadKind
    name: str
    resource_id: str
    machine: Machine
    count: int
    start: datetime
    end: datetime


def seconds_between(start: datetime, end: datetime) -> Decimal:
    """The length of an interval, exact to the millisecond."""
    return Decimal((end - start) // timedelta(milliseconds=1)).scaleb(-3)


def works(plan: Plan, month: Month) -> Iterator[Work]:
    """All works of a month, in the order of the bills: AWS, Azure, Google Cloud."""
    yield from _aws(plan, month)
    for resource in plan.scaled(azure.RESOURCES):
        if kind := _kind(resource, _AZURE):
            provider = azure.METERS[resource.sku].provider
            place = f"/subscriptions/{azure.SUBSCRIPTION}/resourceGroups/{resource.place}/providers/{provider}/"
            for day, quantity, name in uses(resource, month, plan):
                yield _work(resource, kind, month, day, name=name, quantity=quantity, resource_id=place + name)
    for resource in plan.scaled(gcp.RESOURCES):
        if kind := _kind(resource, _GCP):
            host = "compute" if resource.sku == "n2" else "aiplatform"
            place = f"//{host}.googleapis.com/projects/{resource.place}/"
            for day, quantity, name in uses(resource, month, plan):
                yield _work(
                    resource, kind, month, day, name=name, quantity=quantity, resource_id=place + name, hours=(8, 20)
                )


def _aws(plan: Plan, month: Month) -> Iterator[Work]:
    drift = tuple(resource for resource in aws_plan.SHARED_SERVICES if resource.sku.startswith("host"))
    kinds = ((aws_plan.ENDPOINTS + drift, _ENDPOINT), (aws_plan.TRAINING, _JOB), (aws_plan.NOTEBOOKS, _NOTEBOOK))
    for resources, kind in kinds:
        for resource in plan.scaled(resources):
            for day, quantity, name in uses(resource, month, plan):
                yield _work(resource, kind, month, day, name=name, quantity=quantity, resource_id=arn(resource, name))
    if month == plan.last.plus(-1):
        box = next(resource for resource in aws_plan.TRAINING if resource.name == "sweep-box")
        for day in _LATE_DAYS:
            yield _work(box, _JOB, month, day, name=LATE, quantity=_LATE_HOURS, resource_id=arn(box, LATE))


def arn(resource: Resource, name: str) -> str:
    """The resource id on AWS's bill."""
    return PRICES[resource.sku].arn.format(account=resource.place, name=name, hex=digest(name, "aws"))


def _kind(resource: Resource, kinds: dict[str, WorkloadKind]) -> WorkloadKind | None:
    return next((kind for name, kind in kinds.items() if resource.name == name or _copy(resource.name, name)), None)


def _copy(name: str, original: str) -> bool:
    return name.startswith(f"{original}-") and name.removeprefix(f"{original}-").isdecimal()


def _work(
    resource: Resource,
    kind: WorkloadKind,
    month: Month,
    day: int,
    *,
    name: str,
    quantity: Decimal,
    resource_id: str,
    hours: tuple[int, int] = (0, 24),
) -> Work:
    """Endpoints and batch machines run for all `hours` of the row, jobs and notebooks for some time within them."""
    opens, closes = (datetime(month.year, month.month, day) + timedelta(hours=hour) for hour in hours)
    billed = int(quantity * 1000) * timedelta(milliseconds=3600)
    if kind in {_ENDPOINT, _BATCH}:
        count, start, end = int(billed / (closes - opens)), opens, closes
    else:
        longest = min(closes - opens, timedelta(hours=20))
        count = next(count for count in _COUNTS if billed / count <= longest)
        slack = (closes - opens - billed / count) // timedelta(minutes=1)
        start = opens + timedelta(minutes=chance(slack + 1, "start", resource.name, name, day))
        end = start + billed / count
    return Work(
        resource=resource,
        kind=kind,
        name=name,
        resource_id=resource_id,
        machine=MACHINES[resource.sku],
        count=count,
        start=start,
        end=end,
    )
