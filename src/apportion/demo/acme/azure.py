"""acme's Azure bill: the actual-cost export of one subscription with an Azure ML workspace, a run per month."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.demo.acme.company import model_owner as model
from apportion.demo.acme.company import pool
from apportion.demo.acme.company import project_owner as project
from apportion.demo.acme.habits import tags_of
from apportion.demo.acme.truth import Caused, Delivered, Truth, alone
from apportion.demo.acme.usage import Pattern, Plan, Resource, days_of, digest, uses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from apportion.core.period import Month

SUBSCRIPTION = "7d1e6f0a-3b52-4c8e-9a1d-ac3e00000001"
PROD, DEV, SHARED = "rg-lending-prod", "rg-lending-dev", "rg-shared"
_M, _W, _B = Pattern.MACHINES, Pattern.WORKDAYS, Pattern.BURST
_DIGITS = Decimal("0.0000001")

COLUMNS = (
    *("invoiceId", "billingAccountId", "billingAccountName", "billingPeriodStartDate", "billingPeriodEndDate"),
    *("SubscriptionId", "subscriptionName", "date", "ProductName", "meterCategory", "meterSubCategory", "meterId"),
    *("meterName", "unitOfMeasure", "quantity", "effectivePrice", "unitPrice", "costInBillingCurrency"),
    *(
        "billingCurrency",
        "resourceGroupName",
        "ResourceId",
        "resourceLocation",
        "consumedService",
        "tags",
        "chargeType",
    ),
    *("frequency", "pricingModel", "publisherName", "paygCostInBillingCurrency", "pricingCurrency", "PayGPrice"),
)
"""Columns of "cost and usage details (actual)" of a Microsoft Customer Agreement, in Azure's own mix of cases."""


@dataclass(frozen=True, slots=True)
class Meter:
    """What Azure sells; `provider` is the resource provider in resource ids."""

    category: str
    name: str
    unit: str
    price: Decimal
    provider: str


_ML, _VM = "Microsoft.MachineLearningServices/workspaces", "Microsoft.Compute/virtualMachines"
_AI, _ACCOUNTS = "Microsoft.CognitiveServices/accounts", "Microsoft.Storage/storageAccounts"
_ADDRESSES, _INSIGHTS = "Microsoft.Network/publicIPAddresses", "Microsoft.OperationalInsights/workspaces"
METERS = {
    "nc24": Meter("Azure Machine Learning", "NC24ads A100 v4", "1 Hour", Decimal("3.673"), _ML),
    "endpoint": Meter("Azure Machine Learning", "NC4as T4 v3", "1 Hour", Decimal("0.526"), _ML),
    "openai": Meter("Azure OpenAI", "gpt-4o-mini-inp-glbl Tokens", "1K", Decimal("0.00015"), _AI),
    "d8": Meter("Virtual Machines", "D8s v5", "1 Hour", Decimal("0.384"), _VM),
    "blob": Meter("Storage", "Hot LRS Data Stored", "1 GB/Month", Decimal("0.0208"), _ACCOUNTS),
    "ip": Meter("Virtual Network", "Standard IPv4 Static Public IP", "1 Hour", Decimal("0.005"), _ADDRESSES),
    "monitor": Meter("Azure Monitor", "Analytics Logs Data Ingestion", "1 GB", Decimal("2.76"), _INSIGHTS),
}
RESOURCES = (
    Resource("credit-xgb-online", "endpoint", PROD, model("credit-xgb", "prod"), "clean", 4_000, _M),
    Resource("income-llm-online", "endpoint", PROD, model("income-llm", "prod"), "capital", 8_000, _M),
    Resource("cash-forecast-online", "endpoint", PROD, model("cash-forecast", "prod"), "look-alike", 2_000, _M),
    Resource("demand-tft-online", "endpoint", PROD, model("demand-tft", "prod"), "suffixed", 3_000, _M),
    Resource("income-llm-train", "nc24", DEV, model("income-llm", "dev"), "clean", 90_000, _B),
    Resource("credit-xgb-train", "d8", DEV, model("credit-xgb", "dev"), "short", 48_000, _B),
    Resource("income-letters", "openai", PROD, model("income-llm", "prod"), "model", 160_000_000),
    Resource("churn-scoring", "d8", PROD, model("merchant-churn", "prod"), "none", 3_000, _M),
    Resource("lendinglake", "blob", PROD, project("credit-scoring", "prod"), "clean", 1_500_000),
    Resource("nb-lending", "d8", DEV, project("collections", "dev"), "empty", 16_000, _W),
    Resource("gateway-ip", "ip", SHARED, pool("network"), "none", 4_000, _M),
    Resource("acme-logs", "monitor", SHARED, pool("monitoring"), "none", 24_000),
)


def write_azure(folder: Path, plan: Plan, month: Month, truth: Truth) -> None:
    """Write one month as a run of the export: a CSV part and the manifest that lists it."""
    lines = [*_usage(plan, month), _support(month), _rounding(month)]
    run = digest("azure", month)
    span = f"{month.start:%Y%m%d}-{month.start.replace(day=days_of(month)):%Y%m%d}"
    place = f"bills/azure/acme-actual/{span}/{run[:8]}-{run[8:12]}-4000-8000-000000000001"
    file = f"{place}/part_0_0001.csv"
    (folder / place).mkdir(parents=True, exist_ok=True)
    with (folder / file).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(row for row, _ in lines)
    size = (folder / file).stat().st_size
    (folder / place / "manifest.json").write_text(_manifest(month, file, rows=len(lines), size=size), encoding="utf-8")
    for number, (_, caused) in enumerate(lines, start=2):
        truth.add(caused, delivery=Delivered("azure", 1, month, file), row=number)


def _manifest(month: Month, file: str, *, rows: int, size: int) -> str:
    said = {
        "manifestVersion": "2024-04-01",
        "byteCount": size,
        "blobCount": 1,
        "dataRowCount": rows,
        "exportConfig": {"exportName": "acme-actual", "type": "ActualCost", "dataVersion": "2021-10-01"},
        "runInfo": {
            "runId": digest("run", month),
            "submittedTime": f"{month.end:%Y-%m-%dT03:00:00Z}",
            "startDate": f"{month.start:%Y-%m-%dT%H:%M:%S}",
            "endDate": f"{month.end:%Y-%m-%dT%H:%M:%S}",
        },
        "blobs": [{"blobName": file.removeprefix("bills/azure/"), "byteCount": size, "dataRowCount": rows}],
    }
    return json.dumps(said, indent=2) + "\n"


def _usage(plan: Plan, month: Month) -> Iterator[tuple[dict[str, str], Caused]]:
    for resource in plan.scaled(RESOURCES):
        meter = METERS[resource.sku]
        for day, quantity, name in uses(resource, month, plan):
            cost = (meter.price * quantity).quantize(_DIGITS)
            group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{resource.place}"
            row = _row(month, day, cost) | {
                "ProductName": f"{meter.category} - {meter.name}",
                "meterCategory": meter.category,
                "meterId": digest(meter.name),
                "meterName": meter.name,
                "unitOfMeasure": meter.unit,
                "quantity": f"{quantity:f}",
                "effectivePrice": str(meter.price),
                "unitPrice": str(meter.price),
                "PayGPrice": str(meter.price),
                "paygCostInBillingCurrency": f"{cost:f}",
                "resourceGroupName": resource.place,
                "ResourceId": f"{group}/providers/{meter.provider}/{name}",
                "consumedService": meter.provider.partition("/")[0],
                "tags": json.dumps(tags_of(resource.owner, resource.habit, name=name)),
            }
            yield row, Caused(f"{month}-{day:02d}", name, cost, cost, alone(resource.owner))


def _row(month: Month, day: int, cost: Decimal) -> dict[str, str]:
    return {
        "invoiceId": f"E{digest('azure invoice', month)[:8].upper()}",
        "billingAccountId": "acme-mca-001",
        "billingAccountName": "acme",
        "billingPeriodStartDate": f"{month.start:%m/%d/%Y}",
        "billingPeriodEndDate": f"{month.start.replace(day=days_of(month)):%m/%d/%Y}",
        "SubscriptionId": SUBSCRIPTION,
        "subscriptionName": "acme-lending",
        "date": f"{month.month:02d}/{day:02d}/{month.year}",
        "costInBillingCurrency": f"{cost:f}",
        "billingCurrency": "USD",
        "pricingCurrency": "USD",
        "resourceLocation": "westeurope",
        "chargeType": "Usage",
        "frequency": "UsageBased",
        "pricingModel": "OnDemand",
        "publisherName": "Microsoft",
    }


def _support(month: Month) -> tuple[dict[str, str], Caused]:
    cost = Decimal(100)
    row = _row(month, 1, cost) | {
        "ProductName": "Standard Support",
        "meterCategory": "Support",
        "meterId": digest("support"),
        "chargeType": "Purchase",
        "frequency": "Recurring",
    }
    return row, Caused(f"{month}-01", "support", cost, cost, alone(pool("support")))


def _rounding(month: Month) -> tuple[dict[str, str], Caused]:
    cost, last = Decimal("-0.0000004"), days_of(month)
    row = _row(month, last, cost) | {
        "ProductName": "Rounding adjustment",
        "meterCategory": "Rounding",
        "meterId": digest("rounding"),
        "chargeType": "RoundingAdjustment",
    }
    return row, Caused(f"{month}-{last}", "rounding", cost, cost, alone(pool("credits")))
