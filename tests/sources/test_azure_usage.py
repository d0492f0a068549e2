"""Azure cost details: rows in the documented shapes of MCA, EA and pay-as-you-go exports, and export folders."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.sources.ingested import extras, ingested
from tests.sources.mapped import mapped

from apportion.core.config import SourceConfig
from apportion.core.focus import BY_NAME, SERVICE_CATEGORIES
from apportion.core.problems import Severity
from apportion.core.tables import ATTRIBUTES, CHARGES
from apportion.errors import ConfigError, UnknownShape, UnreadableFile
from apportion.sources import _azure_services
from apportion.sources.azure_usage import SOURCE
from apportion.sources.intake.place import Place
from apportion.sources.intake.tag_text import parse

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


def test_exports_of_each_agreement_are_recognised_and_focus_exports_are_not():
    assert SOURCE.recognises(frozenset(MCA))
    assert SOURCE.recognises(frozenset(_sample()[0]))
    assert SOURCE.recognises(frozenset(PAY_AS_YOU_GO))
    assert not SOURCE.recognises(frozenset(BY_NAME))


def test_a_file_without_cost_and_date_is_refused_by_name():
    with pytest.raises(UnknownShape) as caught:
        SOURCE.mapping(("meterCategory", "meterId", "billingCurrency"), ACTUAL)
    assert str(caught.value) == (
        "azure: is no Azure cost and usage details export: costInBillingCurrency, date is missing. "
        "Export 'Cost and usage details (actual)' with all its columns."
    )


def test_only_two_kinds_of_cost_are_known():
    config = SourceConfig("azure", "azure_usage", ("bills",), options={"cost": "amortised"})
    for ask in (SOURCE.mapping, SOURCE.control):
        with pytest.raises(ConfigError) as caught:
            ask(tuple(MCA), config)
        assert str(caught.value) == (
            "apportion.toml: sources.azure.options.cost: 'amortised' is not a kind of cost. "
            'Write cost = "actual" or cost = "amortized".'
        )


def test_every_mapped_name_is_a_column_of_a_charge():
    assert set(SOURCE.mapping(tuple(MCA), ACTUAL).expressions) <= set(CHARGES) | set(ATTRIBUTES)


@pytest.mark.parametrize("config", [ACTUAL, AMORTIZED])
def test_every_repair_is_about_a_column_that_the_file_has(config):
    for columns in (tuple(MCA), tuple(_sample()[0]), tuple(PAY_AS_YOU_GO)):
        assert {each.column for each in SOURCE.mapping(columns, config).repairs} <= set(columns)


def test_the_golden_row_of_a_customer_agreement():
    found = charge()
    assert found.pop("repairs") == []
    assert {name: text for name, text in found.items() if text is not None} == {
        "BilledCost": "6.84",
        "BillingAccountId": "acc-1",
        "BillingAccountName": "Acme",
        "BillingAccountType": "Billing Account",
        "BillingCurrency": "EUR",
        "BillingPeriodEnd": "2026-11-01T00:00:00Z",
        "BillingPeriodStart": "2026-10-01T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeDescription": "VM NCads A100",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": "2026-10-06T00:00:00Z",
        "ChargePeriodStart": "2026-10-05T00:00:00Z",
        "ConsumedQuantity": "2",
        "ConsumedUnit": "1 Hour",
        "ContractedCost": "6.84",
        "EffectiveCost": "6.84",
        "HostProviderName": "Microsoft",
        "InvoiceId": "G001",
        "InvoiceIssuerName": "Microsoft",
        "ListCost": "7.6",
        "PricingCategory": "Standard",
        "PricingCurrency": "USD",
        "PricingCurrencyContractedUnitPrice": "3.6",
        "PricingCurrencyListUnitPrice": "4",
        "PricingQuantity": "2",
        "PricingUnit": "1 Hour",
        "ProviderName": "Microsoft",
        "PublisherName": "Microsoft",
        "RegionId": "eastus",
        "RegionName": "East US",
        "ResourceId": VM,
        "ResourceName": "gpu-1",
        "ResourceType": "microsoft.compute/virtualmachines",
        "ServiceCategory": "Compute",
        "ServiceName": "Virtual Machines",
        "ServiceProviderName": "Microsoft",
        "SkuId": "DZH318Z0",
        "SkuMeter": "NC24ads A100 v4",
        "SkuPriceId": "m-1",
        "SubAccountId": "s-1",
        "SubAccountName": "ml-prod",
        "SubAccountType": "Subscription",
        "Tags": '{"team": "vision"}',
        "x_ResourceGroup": "rg-ml",
    }


def test_the_case_of_column_names_does_not_matter():
    shouted = {name.upper(): text for name, text in MCA.items()}
    (found,) = mapped(SOURCE.mapping(tuple(shouted), ACTUAL), [shouted])
    assert found == charge()
    assert SOURCE.control(tuple(shouted), ACTUAL) == "COSTINBILLINGCURRENCY"


def test_prices_in_the_billing_currency_are_unit_prices():
    found = charge(billingCurrency="USD")
    assert (found["ListUnitPrice"], found["ContractedUnitPrice"]) == ("4", "3.6")


def test_what_a_focus_column_does_not_carry_whole_stays_beside_the_charge():
    used = SOURCE.mapping(tuple(MCA), ACTUAL).used
    assert {"costInBillingCurrency", "tags", "ResourceId"} - used == {"ResourceId"}
    assert not used & {
        "chargeType",
        "costAllocationRuleName",
        "pricingModel",
        "meterCategory",
        "costInPricingCurrency",
        "effectivePrice",
    }


def test_of_two_spellings_only_the_one_that_is_read_first_counts_as_carried():
    used = SOURCE.mapping((*MCA, "reservationName"), ACTUAL).used
    assert "benefitName" in used
    assert "reservationName" not in used


# ---- the kinds of charge

COVERED = {"pricingModel": "Reservation", "reservationId": "r-2", "benefitId": RESERVED, "benefitName": "gpu-res"}


@pytest.mark.parametrize(
    ("kind", "category", "status"),
    [
        ("Usage", "Usage", None),
        ("usage", "Usage", None),
        ("Purchase", "Purchase", None),
        ("Refund", "Purchase", None),
        ("UnusedReservation", "Usage", "Unused"),
        ("UnusedSavingsPlan", "Usage", "Unused"),
        ("RoundingAdjustment", "Adjustment", None),
        ("Adjustment", "Adjustment", None),
        ("Tax", "Tax", None),
        ("Credit", "Credit", None),
        (None, "Usage", None),
    ],
)
def test_the_charge_type_decides_the_category(kind, category, status):
    found = charge(chargeType=kind)
    assert (found["ChargeCategory"], found["CommitmentDiscountStatus"]) == (category, status)
    assert category in BY_NAME["ChargeCategory"].allowed
    assert (found["ConsumedQuantity"] is None) == (kind not in {"Usage", "usage", None})


def test_an_unknown_charge_type_is_passed_on_for_the_intake_to_list():
    assert charge(chargeType="Donation")["ChargeCategory"] == "Donation"


@pytest.mark.parametrize(
    ("text", "frequency"), [("OneTime", "One-Time"), ("Monthly", "Recurring"), ("Recurring", "Recurring")]
)
def test_the_frequency_is_one_of_focus(text, frequency):
    assert charge(frequency=text)["ChargeFrequency"] == frequency


@pytest.mark.parametrize(
    ("model", "category"),
    [
        ("OnDemand", "Standard"),
        ("Spot", "Dynamic"),
        ("Savings Plan", "Committed"),
        ("SavingsPlan", "Committed"),
        (None, None),
    ],
)
def test_the_pricing_model_decides_the_pricing_category(model, category):
    assert charge(pricingModel=model)["PricingCategory"] == category


def test_a_refund_of_an_earlier_invoice_is_a_correction_and_stays_negative():
    found = charge(chargeType="Refund", costInBillingCurrency="-120.50", previousInvoiceId="G000")
    assert (found["ChargeClass"], found["BilledCost"]) == ("Correction", "-120.50")
    assert charge(chargeType="Refund", date="09/30/2026")["ChargeClass"] == "Correction"
    assert charge(chargeType="Refund")["ChargeClass"] is None
    assert charge(date="09/30/2026")["ChargeClass"] is None


def test_a_reallocation_by_azure_is_kept_as_it_stands_and_marked():
    found = charge(costAllocationRuleName="share the hub", costInBillingCurrency="-6.84")
    assert found["repairs"] == ["azure_cost_allocation_rule"]
    assert found["BilledCost"] == "-6.84"


# ---- actual and amortised


def test_actual_cost_is_billed_and_effective_and_control():
    found = charge(**COVERED, costInBillingCurrency="0")
    assert (found["BilledCost"], found["EffectiveCost"], found["ContractedCost"]) == ("0", "0", None)
    assert (found["CommitmentDiscountStatus"], found["CommitmentDiscountId"]) == ("Used", RESERVED)
    assert found["repairs"] == []
    assert SOURCE.control(tuple(MCA), ACTUAL) == "costInBillingCurrency"


def test_an_amortised_export_read_as_actual_is_noticed():
    assert charge(**COVERED)["repairs"] == ["amortized_as_actual"]
    assert charge(chargeType="UnusedReservation")["repairs"] == ["amortized_as_actual"]


def test_amortised_cost_of_covered_usage_is_effective_and_was_billed_elsewhere():
    found = charge(AMORTIZED, **COVERED)
    assert (found["BilledCost"], found["EffectiveCost"]) == ("0", "6.84")
    assert found["repairs"] == ["amortized_only"]
    assert SOURCE.control(tuple(MCA), AMORTIZED) is None


def test_amortised_cost_of_other_usage_is_billed_too():
    found = charge(AMORTIZED)
    assert (found["BilledCost"], found["EffectiveCost"], found["repairs"]) == ("6.84", "6.84", [])


def test_a_commitment_bought_in_an_amortised_export_is_not_counted_twice():
    found = charge(AMORTIZED, **{**COVERED, "chargeType": "Purchase", "costInBillingCurrency": "1000"})
    assert (found["BilledCost"], found["EffectiveCost"]) == ("1000", "0")
    assert found["repairs"] == ["commitment_purchase"]
    bought = charge(AMORTIZED, chargeType="Purchase", costInBillingCurrency="1000")
    assert (bought["BilledCost"], bought["EffectiveCost"], bought["repairs"]) == ("1000", "1000", [])


def test_a_cost_that_cannot_be_read_never_becomes_a_readable_zero():
    assert charge(AMORTIZED, **COVERED, costInBillingCurrency="n.a.")["BilledCost"] == "n.a."
    assert charge(AMORTIZED, **COVERED, costInBillingCurrency=None)["BilledCost"] is None


def test_an_unused_commitment_is_its_own_resource_and_consumes_nothing():
    found = charge(
        AMORTIZED, **{**COVERED, "chargeType": "UnusedReservation", "ResourceId": None, "resourceGroupName": None}
    )
    assert (found["ResourceId"], found["ResourceName"], found["ConsumedQuantity"]) == (RESERVED, "r-2", None)
    assert (found["CommitmentDiscountType"], found["CommitmentDiscountCategory"]) == ("Reservation", "Usage")
    assert (found["BilledCost"], found["EffectiveCost"]) == ("0", "6.84")


def test_a_savings_plan_is_told_from_a_reservation():
    found = charge(pricingModel="SavingsPlan", benefitId=PLAN, benefitName="flex")
    assert (found["CommitmentDiscountType"], found["CommitmentDiscountCategory"]) == ("Savings Plan", "Spend")
    assert found["CommitmentDiscountName"] == "flex"
    assert charge()["CommitmentDiscountType"] is None


# ---- times


@pytest.mark.parametrize(
    "text", ["10/05/2026", "10/5/2026", "2026-10-05", "2026-10-05T00:00:00Z", "10/5/2026 00:00:00"]
)
def test_a_date_in_any_of_its_forms_is_one_day(text):
    found = charge(date=text)
    assert found["ChargePeriodStart"] == "2026-10-05T00:00:00Z"
    assert found["ChargePeriodEnd"] == "2026-10-06T00:00:00Z"


def test_a_date_that_is_none_is_passed_on_as_it_stands():
    for text in ("31/12/2026", "10/5/26", "soon"):
        assert charge(date=text)["ChargePeriodStart"] == text


@pytest.mark.parametrize(
    ("start", "end", "exclusive"),
    [
        ("9/1/2023", "9/30/2023", "2023-10-01T00:00:00Z"),
        ("9/1/2023", "10/1/2023", "2023-10-01T00:00:00Z"),
        ("2023-12-01", "2023-12-31", "2024-01-01T00:00:00Z"),
        ("9/15/2023", "10/14/2023", "2023-10-15T00:00:00Z"),
    ],
)
def test_the_end_of_the_billing_period_is_made_exclusive(start, end, exclusive):
    assert charge(billingPeriodStartDate=start, billingPeriodEndDate=end)["BillingPeriodEnd"] == exclusive


def test_without_a_billing_period_it_is_the_month_of_the_date():
    found = charge(billingPeriodStartDate=None, billingPeriodEndDate=None, date="12/05/2026")
    assert found["BillingPeriodStart"] == "2026-12-01T00:00:00Z"
    assert found["BillingPeriodEnd"] == "2027-01-01T00:00:00Z"


# ---- things


@pytest.mark.parametrize(
    ("changes", "service", "category"),
    [
        ({"consumedService": "Microsoft.MachineLearningServices"}, "Azure Machine Learning", "AI and Machine Learning"),
        (
            {"meterCategory": "Cognitive Services", "meterSubCategory": "Azure OpenAI"},
            "Azure OpenAI",
            "AI and Machine Learning",
        ),
        ({"meterCategory": "Azure OpenAI Service"}, "Azure OpenAI Service", "AI and Machine Learning"),
        ({"meterCategory": "Storage"}, "Storage", "Storage"),
        ({"meterCategory": "Something new"}, "Something new", "Other"),
    ],
)
def test_a_service_is_the_one_the_user_knows(changes, service, category):
    found = charge(**changes)
    assert (found["ServiceName"], found["ServiceCategory"]) == (service, category)


def test_every_category_in_the_table_is_one_of_focus():
    assert set(_azure_services.CATEGORIES.values()) <= set(SERVICE_CATEGORIES)


def test_the_resource_group_comes_from_its_column_or_from_the_path():
    assert charge(resourceGroupName=None)["x_ResourceGroup"] == "rg-ml"
    assert charge(resourceGroupName=None, ResourceId=None)["x_ResourceGroup"] is None


def test_a_region_that_is_unassigned_is_none():
    found = charge(resourceLocation="Unassigned")
    assert (found["RegionId"], found["RegionName"]) == (None, None)


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


def test_the_old_pay_as_you_go_form_is_read():
    (found,) = mapped(SOURCE.mapping(tuple(PAY_AS_YOU_GO), ACTUAL), [PAY_AS_YOU_GO])
    assert (found["BilledCost"], found["BillingCurrency"]) == ("0.000000001", "USD")
    assert (found["BillingAccountId"], found["SubAccountId"]) == ("s-9", "s-9")
    assert (found["ChargeCategory"], found["ConsumedQuantity"], found["Tags"]) == ("Usage", "24", None)
    assert "ListCost" not in found
    assert SOURCE.control(tuple(PAY_AS_YOU_GO), ACTUAL) == "PreTaxCost"


# ---- the real sample


def _sample():
    with SAMPLE.open(encoding="utf-8-sig", newline="") as stream:
        return [{name: text or None for name, text in row.items()} for row in csv.DictReader(stream)]


def test_the_real_enterprise_sample_adds_up_to_the_last_digit():
    rows = _sample()
    mapping = SOURCE.mapping(tuple(rows[0]), ACTUAL)
    found = mapped(mapping, rows)
    assert len(found) == 27
    assert sum(Decimal(row["BilledCost"]) for row in found) == Decimal("1.26136926505726")
    control = SOURCE.control(tuple(rows[0]), ACTUAL)
    assert sum(Decimal(row[control]) for row in rows) == Decimal("1.26136926505726")
    assert {row["BillingCurrency"] for row in found} == {"CAD"}
    assert {(row["BillingPeriodStart"], row["BillingPeriodEnd"]) for row in found} == {
        ("2023-09-01T00:00:00Z", "2023-10-01T00:00:00Z")
    }
    assert {row["ChargePeriodStart"] for row in found} == {"2023-09-02T00:00:00Z"}
    assert {row["x_ResourceGroup"] for row in found} == {"rg-example"}
    assert {parse(row["Tags"]).pairs for row in found} == {(("tagA", "valueA"), ("tagB", "valueB"), ("tagC", "valueC"))}


# ---- export folders


def _run(root, month, run, *, kind="ActualCost", submitted, parts=("part_0_0001.csv",), written=None):
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


def _found(root, config=ACTUAL):
    delivery = SOURCE.find(Place.of(str(root), root), config)
    short = [path.removeprefix(f"{root}/") for path in delivery.files]
    return short, {path.removeprefix(f"{root}/"): reason for path, reason in delivery.left_out}


OCTOBER, NOVEMBER = "20261001-20261031", "20261101-20261130"


def test_the_newest_run_of_each_month_is_current(tmp_path):
    _run(tmp_path, OCTOBER, "run-b", submitted="2026-10-30T06:00:00.1234567Z", parts=("part_0.csv", "part_1.csv"))
    newest = _run(tmp_path, OCTOBER, "run-a", submitted="2026-11-03T06:00:00Z")
    _run(tmp_path, NOVEMBER, "run-c", submitted="2026-11-03T06:10:00Z")
    files, left_out = _found(tmp_path)
    base = "exports/daily"
    assert files == [f"{base}/{OCTOBER}/run-a/part_0_0001.csv", f"{base}/{NOVEMBER}/run-c/part_0_0001.csv"]
    reason = f"a newer run holds: {newest}"
    assert left_out == {f"{base}/{OCTOBER}/run-b/part_{n}.csv": reason for n in (0, 1)}


def test_runs_of_the_other_kind_of_cost_are_left_out(tmp_path):
    for kind in ("ActualCost", "AmortizedCost", "FocusCost", "PriceSheet"):
        _run(tmp_path, OCTOBER, kind, kind=kind, submitted="2026-11-01T00:00:00Z")
    base = f"exports/daily/{OCTOBER}"
    files, left_out = _found(tmp_path)
    assert files == [f"{base}/ActualCost/part_0_0001.csv"]
    assert left_out == {
        f"{base}/AmortizedCost/part_0_0001.csv": 'its export holds amortised cost (cost = "amortized")',
        f"{base}/FocusCost/part_0_0001.csv": 'its export holds FOCUS columns (kind = "focus")',
        f"{base}/PriceSheet/part_0_0001.csv": "its export holds PriceSheet, no charges",
    }
    files, left_out = _found(tmp_path, AMORTIZED)
    assert files == [f"{base}/AmortizedCost/part_0_0001.csv"]
    assert left_out[f"{base}/ActualCost/part_0_0001.csv"] == 'its export holds actual cost (cost = "actual")'


def test_an_export_of_usage_only_is_actual_cost(tmp_path):
    _run(tmp_path, OCTOBER, "run", kind="Usage", submitted="2026-11-01T00:00:00Z")
    assert _found(tmp_path)[0] == [f"exports/daily/{OCTOBER}/run/part_0_0001.csv"]


def test_a_run_that_is_not_complete_does_not_replace_one_that_is(tmp_path):
    _run(tmp_path, OCTOBER, "old", submitted="2026-10-30T00:00:00Z")
    _run(tmp_path, OCTOBER, "new", submitted="2026-10-31T00:00:00Z", parts=("p0.csv", "p1.csv"), written=("p0.csv",))
    files, left_out = _found(tmp_path)
    assert files == [f"exports/daily/{OCTOBER}/old/part_0_0001.csv"]
    assert left_out == {f"exports/daily/{OCTOBER}/new/p0.csv": "its run is not complete: p1.csv is not there"}


def test_a_month_without_any_complete_run_is_refused(tmp_path):
    folder = _run(tmp_path, OCTOBER, "new", submitted="2026-10-31T00:00:00Z", written=())
    with pytest.raises(UnreadableFile) as caught:
        _found(tmp_path)
    assert str(caught.value) == (
        f"{folder}/manifest.json: lists part_0_0001.csv, which is not there, and no other run of the month is "
        "complete. Copy the whole folder of the run."
    )


def test_a_file_that_no_manifest_lists_is_left_out(tmp_path):
    folder = _run(tmp_path, OCTOBER, "run", submitted="2026-11-01T00:00:00Z")
    (folder / "stray.csv").write_text("x")
    assert _found(tmp_path)[1] == {f"exports/daily/{OCTOBER}/run/stray.csv": "no manifest lists it"}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"blobs": [{"name": "x"}]}', '{"blobs": [{"blobName": 7}]}'])
def test_a_manifest_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(UnreadableFile) as caught:
        _found(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/manifest.json: is not the manifest of an Azure export: it lists no blobs. "
        "Copy the export folder again, or name the bills themselves as paths."
    )


def test_a_manifest_outside_a_month_folder_goes_by_export_and_start(tmp_path):
    for run, day in (("one", "03"), ("two", "04")):
        _run(tmp_path, "once", run, submitted=f"2026-11-{day}T00:00:00Z")
    assert _found(tmp_path)[0] == ["exports/daily/once/two/part_0_0001.csv"]


def test_a_blob_name_cannot_reach_out_of_the_place(tmp_path):
    outside = tmp_path / "secret.csv"
    outside.write_text("x")
    inside = tmp_path / "bills"
    folder = _run(inside, OCTOBER, "run", submitted="2026-11-01T00:00:00Z")
    said = json.loads((folder / "manifest.json").read_text())
    said["blobs"] = [{"blobName": "../../../../../secret.csv"}]
    (folder / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(UnreadableFile, match=r"lists secret\.csv, which is not there"):
        _found(inside)


def test_without_manifests_all_bills_are_current(tmp_path):
    for name in ("b.csv", "a.csv.gz", "notes.md"):
        (tmp_path / name).write_text("x")
    assert _found(tmp_path) == (["a.csv.gz", "b.csv"], {"notes.md": "its name is not that of a bill"})


def test_runs_in_a_heap_are_refused_because_each_holds_the_whole_month(tmp_path):
    folder = tmp_path / "daily" / OCTOBER
    folder.mkdir(parents=True)
    names = [f"daily_{n}0000000-0000-4000-8000-000000000000.csv" for n in (1, 2)]
    (folder / names[0]).write_text("x")
    assert _found(tmp_path)[0] == [f"daily/{OCTOBER}/{names[0]}"]
    (folder / names[1]).write_text("x")
    with pytest.raises(UnreadableFile) as caught:
        _found(tmp_path)
    assert str(caught.value) == (
        f"{folder}: holds several runs of one month ({names[0]}, {names[1]}) and no manifest, and each run holds the "
        "whole month. Keep the newest file only, or turn on file partitioning in the export: it writes a manifest."
    )


# ---- through the whole intake


def _write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_the_real_enterprise_sample_comes_through_exactly(tmp_path):
    (tmp_path / "bills").mkdir()
    shutil.copyfile(SAMPLE, tmp_path / "bills/ea.csv")
    result, rows = ingested(ACTUAL, tmp_path, "BilledCost", "EffectiveCost", "Tags")
    (snapshot,) = result.published
    assert (snapshot.rows, snapshot.rejected, str(snapshot.scope.period)) == (27, 0, "2023-09")
    assert snapshot.totals["CAD"]["BilledCost"] == Decimal("1.26136926505726")
    assert sum(row[1] for row in rows) == Decimal("1.26136926505726")
    assert {tuple(row[2].items()) for row in rows} == {(("tagA", "valueA"), ("tagB", "valueB"), ("tagC", "valueC"))}
    assert {(problem.code, problem.column) for problem in result.problems} == {("missing_column", "ListCost")}


def test_a_superseded_run_does_not_count(tmp_path):
    old = _run(tmp_path / "bills", OCTOBER, "old", submitted="2026-10-30T06:00:00Z")
    new = _run(tmp_path / "bills", OCTOBER, "new", submitted="2026-10-31T06:00:00Z")
    _write(old / "part_0_0001.csv", [MCA])
    _write(new / "part_0_0001.csv", [MCA, {**MCA, "costInBillingCurrency": "-1.000000001", "chargeType": "Refund"}])
    result, rows = ingested(ACTUAL, tmp_path, "BilledCost", "ChargeCategory", "BillingPeriodEnd")
    end = datetime(2026, 11, 1)
    assert rows == [(Decimal("6.84"), "Usage", end), (Decimal("-1.000000001"), "Purchase", end)]
    assert result.left_out == ((f"{old}/part_0_0001.csv", f"a newer run holds: {new}"),)


def test_an_amortised_export_says_that_its_commitments_were_billed_elsewhere(tmp_path):
    unused = {**MCA, **COVERED, "chargeType": "UnusedReservation", "costInBillingCurrency": "2.16", "ResourceId": None}
    _write(tmp_path / "bills/amortized.csv", [MCA, {**MCA, **COVERED}, unused])
    result, rows = ingested(AMORTIZED, tmp_path, "BilledCost", "EffectiveCost", "CommitmentDiscountStatus")
    assert rows == [
        (Decimal("6.84"), Decimal("6.84"), None),
        (Decimal(0), Decimal("6.84"), "Used"),
        (Decimal(0), Decimal("2.16"), "Unused"),
    ]
    found = {problem.code: problem for problem in result.problems}
    assert (found["amortized_only"].row_count, found["amortized_only"].severity) == (2, Severity.WARNING)
    assert found["amortized_only"].what == (
        "This cost was billed when the commitment was bought, which an amortised export does not show: it is in "
        "EffectiveCost, and BilledCost is 0."
    )
    assert found["amortized_only"].fix == (
        "Use the FOCUS export of Azure, which holds both costs, if BilledCost has to match the invoice."
    )


def test_a_reallocation_and_an_amortised_file_read_as_actual_are_told_in_words(tmp_path):
    _write(tmp_path / "bills/a.csv", [{**MCA, "costAllocationRuleName": "hub"}, {**MCA, **COVERED}])
    result, _ = ingested(ACTUAL, tmp_path, "BilledCost")
    assert {(each.code, each.severity, each.what, each.fix) for each in result.problems if "azure" in each.code} == {
        (
            "azure_cost_allocation_rule",
            Severity.WARNING,
            "A cost allocation rule of Azure has already moved this cost; it was kept as it stands.",
            "Make sure that no rule here moves the same cost again.",
        )
    }
    (doubtful,) = (each for each in result.problems if each.code == "amortized_as_actual")
    assert (doubtful.what, doubtful.fix) == (
        "Usage that a commitment covers has a cost, as in an amortised export; it was taken as billed.",
        'Set cost = "amortized" in the options of the source if this is the amortised export.',
    )
    assert [each["costAllocationRuleName"] for each in extras(result.published[0])] == ["hub", None]


def test_a_purchase_in_an_amortised_export_is_told_in_words(tmp_path):
    _write(tmp_path / "bills/a.csv", [{**MCA, **COVERED, "chargeType": "Purchase"}])
    result, _ = ingested(AMORTIZED, tmp_path, "BilledCost")
    (found,) = (each for each in result.problems if each.code == "commitment_purchase")
    assert (found.what, found.fix, found.severity) == (
        "The usage that this purchase covers carries its cost already; EffectiveCost was set to 0.",
        "Nothing to do.",
        Severity.REPAIRED,
    )


def test_a_parquet_export_gives_the_same_charges_as_csv(tmp_path):
    row = {**MCA, "costInBillingCurrency": Decimal("6.84"), "quantity": Decimal(2), "date": datetime(2026, 10, 5)}
    (tmp_path / "bills").mkdir()
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "bills/part_0_0001.parquet")
    names = ("BilledCost", "PricingQuantity", "ChargePeriodStart", "ServiceName", "x_ResourceGroup", "Tags")
    _, found = ingested(ACTUAL, tmp_path, *names)
    assert found == [
        (Decimal("6.84"), Decimal(2), datetime(2026, 10, 5), "Virtual Machines", "rg-ml", {"team": "vision"})
    ]
