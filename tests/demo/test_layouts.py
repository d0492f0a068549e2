"""Each written bill has the shape its provider documents: names, types, folders, manifests."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from apportion.core import focus
from apportion.demo import write_company

if TYPE_CHECKING:
    from pathlib import Path

# AWS Data Exports user guide, table dictionary CUR 2.0
CUR_GROUPS = {
    "bill",
    "cost",
    "discount",
    "identity",
    "line",
    "pricing",
    "product",
    "reservation",
    "resource",
    "savings",
}
CUR_DOUBLES = {
    *("discount_bundled_discount", "discount_total_discount", "line_item_blended_cost"),
    *("line_item_net_unblended_cost", "line_item_normalization_factor", "line_item_normalized_usage_amount"),
    *("line_item_unblended_cost", "line_item_usage_amount", "pricing_public_on_demand_cost"),
    *("reservation_effective_cost", "reservation_unused_quantity", "reservation_unused_recurring_fee"),
    *("savings_plan_amortized_upfront_commitment_for_billing_period", "savings_plan_savings_plan_effective_cost"),
    *("savings_plan_recurring_commitment_for_billing_period", "savings_plan_savings_plan_rate"),
    *("savings_plan_total_commitment_to_date", "savings_plan_used_commitment"),
}
CUR_TIMES = {
    *("bill_billing_period_start_date", "bill_billing_period_end_date"),
    *("line_item_usage_start_date", "line_item_usage_end_date"),
}
CUR_MAPS = {"cost_category", "discount", "product", "resource_tags"}

# Cloud Billing documentation, structure of the detailed usage cost export
GCP_FIELDS = {
    "billing_account_id": None,
    "invoice": {"month", "publisher_type"},
    "cost_type": None,
    "service": {"id", "description"},
    "sku": {"id", "description"},
    "usage_start_time": None,
    "usage_end_time": None,
    "project": {"id", "number", "name", "ancestry_numbers", "ancestors", "labels"},
    "labels": {"key", "value"},
    "system_labels": {"key", "value"},
    "tags": {"key", "value", "inherited", "namespace"},
    "location": {"location", "country", "region", "zone"},
    "cost": None,
    "currency": None,
    "currency_conversion_rate": None,
    "usage": {"amount", "unit", "amount_in_pricing_units", "pricing_unit"},
    "credits": {"name", "amount", "full_name", "id", "type"},
    "adjustment_info": {"id", "description", "mode", "type"},
    "export_time": None,
    "cost_at_list": None,
    "transaction_type": None,
    "seller_name": None,
    "resource": {"name", "global_name"},
    "price": {"effective_price", "tier_start_amount", "unit", "pricing_unit_quantity"},
    "subscription": {"instance_id"},
}

# Microsoft Learn, cost and usage details of a Microsoft Customer Agreement; the spelling is that of real headers
AZURE_HEADER = (
    "invoiceId previousInvoiceId billingAccountId billingAccountName billingProfileId billingProfileName "
    "invoiceSectionId invoiceSectionName resellerName resellerMpnId costCenter billingPeriodEndDate "
    "billingPeriodStartDate servicePeriodEndDate servicePeriodStartDate date serviceFamily productOrderId "
    "productOrderName consumedService meterId meterName meterCategory meterSubCategory meterRegion ProductId "
    "ProductName SubscriptionId subscriptionName publisherType publisherId publisherName resourceGroupName ResourceId "
    "resourceLocation location effectivePrice quantity unitOfMeasure chargeType billingCurrency pricingCurrency "
    "costInBillingCurrency costInPricingCurrency costInUsd paygCostInBillingCurrency paygCostInUsd "
    "exchangeRatePricingToBilling exchangeRateDate isAzureCreditEligible serviceInfo1 serviceInfo2 additionalInfo "
    "tags PayGPrice frequency term reservationId reservationName pricingModel unitPrice costAllocationRuleName "
    "benefitId benefitName provider"
)


@pytest.fixture(scope="module")
def bills(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("layouts") / "acme"
    write_company(folder, months=1)
    return folder / "bills"


def header(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as stream:
        return next(csv.reader(stream))


def test_the_aws_export_has_the_columns_and_types_of_cur_2(bills):
    for file in (bills / "aws").rglob("*.parquet"):
        types = {field.name: str(field.type) for field in pq.ParquetFile(file).schema_arrow}
        assert {name.split("_")[0] for name in types} == CUR_GROUPS
        assert {name for name, kind in types.items() if kind == "double"} == CUR_DOUBLES
        assert {name for name, kind in types.items() if kind == "timestamp[ms]"} == CUR_TIMES
        assert {name for name, kind in types.items() if kind.startswith("map<string, ")} == CUR_MAPS
        others = set(types) - CUR_DOUBLES - CUR_TIMES - CUR_MAPS
        assert {types[name] for name in others} == {"string"}


def test_the_aws_manifest_names_exactly_the_files_that_are_there(bills):
    (manifest,) = (bills / "aws" / "metadata").rglob("*.json")
    assert manifest.relative_to(bills).as_posix() == "aws/metadata/BILLING_PERIOD=2026-10/acme-Manifest.json"
    named = json.loads(manifest.read_text())["dataFiles"]
    there = [file.relative_to(bills / "aws").as_posix() for file in sorted((bills / "aws").rglob("*.parquet"))]
    assert [name.removeprefix("s3://acme-billing/exports/acme/") for name in named] == there
    assert len(there) == 2


def test_an_aws_line_item_id_is_unique_within_its_file(bills):
    for file in (bills / "aws").rglob("*.parquet"):
        ids = pq.ParquetFile(file).read(columns=["identity_line_item_id"])["identity_line_item_id"]
        assert len(ids.unique()) == len(ids)


def test_the_google_cloud_export_has_the_fields_of_the_detailed_usage_cost_table(bills):
    (file,) = (bills / "gcp").glob("*.jsonl")
    for line in file.read_text().splitlines():
        for name, value in json.loads(line).items():
            within = [value] if isinstance(value, dict) else value if isinstance(value, list) else []
            assert all(set(each) <= (GCP_FIELDS[name] or set()) for each in within)


def test_google_cloud_labels_are_such_as_google_cloud_allows(bills):
    (file,) = (bills / "gcp").glob("*.jsonl")
    labels = [label for line in file.read_text().splitlines() for label in json.loads(line)["labels"]]
    assert labels
    for text in (text for label in labels for text in label.values()):
        assert text == text.lower()
        assert all(letter.isalnum() or letter in "-_" for letter in text)


def test_the_azure_export_has_the_columns_of_cost_details_and_a_manifest_that_counts_its_rows(bills):
    (file,) = (bills / "azure").rglob("*.csv")
    assert set(header(file)) <= set(AZURE_HEADER.split())
    manifest = json.loads((file.parent / "manifest.json").read_text())
    (blob,) = manifest["blobs"]
    assert (bills / "azure" / blob["blobName"]) == file
    assert blob["byteCount"] == file.stat().st_size
    with file.open(encoding="utf-8", newline="") as stream:
        assert blob["dataRowCount"] == sum(1 for _ in csv.DictReader(stream))


def test_the_llm_bill_is_focus_1_2_and_its_periods_are_half_open(bills):
    (file,) = (bills / "llm").glob("*.csv")
    known = {column.name: column for column in focus.columns_of("1.2")}
    columns = header(file)
    assert set(columns) <= known.keys()
    assert {name for name, column in known.items() if column.level is focus.Level.MANDATORY} <= set(columns)
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["ChargePeriodEnd"] for row in rows if row["ChargePeriodStart"].startswith("2026-10-31")} == {
        "2026-11-01T00:00:00Z"
    }
    assert all(json.loads(row["Tags"]) is not None for row in rows)
