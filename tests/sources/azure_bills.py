"""Azure cost details: rows in the documented shapes of MCA, EA and pay-as-you-go exports, and export folders."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tests.sources.mapped import mapped

from apportion.core.config import SourceConfig
from apportion.sources.azure_usage import SOURCE
from apportion.sources.intake.place import Place

ACTUAL = SourceConfig("azure", "azure_usage", ("bills",))


AMORTIZED = SourceConfig("azure", "azure_usage", ("bills",), options={"cost": "amortized"})


SAMPLE = Path(__file__).parents[1] / "data/focus/azure_ea_sample_focus_converters.csv"


VM = "/subscriptions/s-1/resourceGroups/rg-ml/providers/Microsoft.Compute/virtualMachines/gpu-1"


PLAN = "/providers/Microsoft.BillingBenefits/savingsPlanOrders/o-1/savingsPlans/p-1"


RESERVED = "/providers/Microsoft.Capacity/reservationOrders/o-2/reservations/r-2"


MCA = {
    "invoiceId": "G001",
    "previousInvoiceId": None,
    "billingAccountId": "acc-1",
    "billingAccountName": "Acme",
    "billingProfileId": "prof-1",
    "billingPeriodStartDate": "10/01/2026",
    "billingPeriodEndDate": "10/31/2026",
    "date": "10/05/2026",
    "consumedService": "Microsoft.Compute",
    "meterId": "m-1",
    "meterName": "NC24ads A100 v4",
    "meterCategory": "Virtual Machines",
    "meterSubCategory": "NCads A100 v4 Series",
    "ProductId": "DZH318Z0",
    "ProductName": "VM NCads A100",
    "SubscriptionId": "s-1",
    "subscriptionName": "ml-prod",
    "publisherName": "Microsoft",
    "resourceGroupName": "rg-ml",
    "ResourceId": VM,
    "resourceLocation": "East US",
    "effectivePrice": "3.6",
    "quantity": "2",
    "unitOfMeasure": "1 Hour",
    "chargeType": "Usage",
    "billingCurrency": "EUR",
    "pricingCurrency": "USD",
    "costInBillingCurrency": "6.84",
    "costInPricingCurrency": "7.2",
    "paygCostInBillingCurrency": "7.6",
    "PayGPrice": "4",
    "unitPrice": "3.6",
    "frequency": "UsageBased",
    "pricingModel": "OnDemand",
    "reservationId": None,
    "benefitId": None,
    "benefitName": None,
    "costAllocationRuleName": None,
    "tags": '{"team": "vision"}',
}


def charge(config=ACTUAL, **changes):
    row = {**MCA, **changes}
    (found,) = mapped(SOURCE.mapping(tuple(row), config), [row])
    return found


COVERED = {"pricingModel": "Reservation", "reservationId": "r-2", "benefitId": RESERVED, "benefitName": "gpu-res"}


PAY_AS_YOU_GO = {
    "SubscriptionGuid": "s-9",
    "ResourceGroup": "rg",
    "ResourceLocation": "westeurope",
    "UsageDateTime": "2026-10-05T00:00:00",
    "MeterCategory": "Virtual Machines",
    "MeterSubcategory": "Dv3",
    "MeterId": "m",
    "MeterName": "D2 v3",
    "UsageQuantity": "24",
    "ResourceRate": "0.1",
    "PreTaxCost": "0.000000001",
    "Currency": "USD",
    "ConsumedService": "Microsoft.Compute",
    "InstanceId": VM,
    "Tags": "",
    "UnitOfMeasure": "1 Hour",
}


def sample():
    with SAMPLE.open(encoding="utf-8-sig", newline="") as stream:
        return [{name: text or None for name, text in row.items()} for row in csv.DictReader(stream)]


def run(root, month, run, *, kind="ActualCost", submitted, parts=("part_0_0001.csv",), written=None):
    folder = root / "exports/daily" / month / run
    folder.mkdir(parents=True)
    for name in parts if written is None else written:
        (folder / name).write_text("x")
    manifest = {
        "manifestVersion": "2024-04-01",
        "blobCount": len(parts),
        "dataRowCount": 10 * len(parts),
        "exportConfig": {"exportName": "daily", "type": kind},
        "runInfo": {"runId": run, "submittedTime": submitted, "startDate": "2026-10-01T00:00:00"},
        "blobs": [{"blobName": f"exports/daily/{month}/{run}/{name}", "dataRowCount": 10} for name in parts],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def found(root, config=ACTUAL):
    delivery = SOURCE.find(Place.of(str(root), root), config)
    short = [path.removeprefix(f"{root}/") for path in delivery.files]
    return short, {path.removeprefix(f"{root}/"): reason for path, reason in delivery.left_out}


OCTOBER, NOVEMBER = "20261001-20261031", "20261101-20261130"


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
