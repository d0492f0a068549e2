"""FOCUS files: the official sample to the last digit, every version's names, and what providers do differently."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from decimal import Decimal

import pytest
from tests.sources.focus_bills import (
    DATA,
    SAMPLE,
    billed,
    charges,
    config,
    csv_text,
    found,
    ingest_into,
    only,
    put,
    row,
    said,
    table,
    take,
)
from tests.sources.mapped import mapped

from apportion.core import focus as columns
from apportion.core.config import SourceConfig
from apportion.core.period import Month
from apportion.errors import UnknownShape
from apportion.sources._focus_names import version
from apportion.sources.focus import SOURCE

CONFIG = SourceConfig("cloud", "focus", ("bills",))
SPEC = sorted((DATA / "spec_csv").glob("*.csv"))


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return ingest_into(tmp_path_factory.mktemp("sample") / "state", config(SAMPLE))


@pytest.fixture(scope="module")
def sample_charges(sample):
    return [charge for snapshot in sample.published for charge in charges(snapshot)]


def test_the_official_sample_is_taken_in_to_the_last_digit(sample):
    assert billed(sample) == Decimal("20.52022672899")
    assert sum(snapshot.rows for snapshot in sample.published) == 1000
    assert {snapshot.form for snapshot in sample.published} == {"FOCUS 1.0"}
    assert [snapshot.rejected for snapshot in sample.published] == [0, 0, 0, 0]


def test_the_sample_has_a_snapshot_per_account_and_month(sample):
    assert {(s.scope.billing_account_id, s.scope.period): s.totals["USD"]["BilledCost"] for s in sample.published} == {
        ("/providers/Microsoft.Billing/billingAccounts/8611537", Month(2024, 9)): Decimal("1.97651418586"),
        ("1234567890123", Month(2024, 9)): Decimal("18.0066386184"),
        ("20209880", Month(2024, 9)): Decimal("0.29707392473"),
        ("20209880", Month(2024, 10)): Decimal("0.24"),
    }


def test_the_51_shifted_azure_rows_are_put_right_and_listed(sample, sample_charges):
    (problem,) = found(sample, "azure_shifted_availability_zone")
    assert (problem.row_count, problem.rows) == (51, "948, 951, 953-1001")
    assert problem.amount == Decimal("1.97651418586")
    microsoft = [charge for charge in sample_charges if charge["ProviderName"] == "Microsoft"]
    assert len(microsoft) == 51
    assert {charge["AvailabilityZone"] for charge in microsoft} == {None}
    zones = {charge["AvailabilityZone"] for charge in sample_charges} - {None}
    assert "us-west-2b" in zones
    assert "bzBe:US-SANJOSE-1-AD-1" in zones


def test_every_row_of_the_sample_had_its_dates_and_null_words_put_right(sample):
    counts = Counter()
    for problem in sample.problems:
        counts[problem.code, problem.column.split(",")[0]] += problem.row_count
    times = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
    assert {name: counts["date_form", name] for name in times} == dict.fromkeys(times, 1000)
    assert counts["null_word", "AvailabilityZone"] == 1000
    assert counts["enum_spelling", "ChargeFrequency"] == 7
    assert counts["leading_zero_lost", "SubAccountId"] == 942
    assert {code for code, _ in counts} == {
        "azure_shifted_availability_zone",
        "date_form",
        "enum_spelling",
        "leading_zero_lost",
        "missing_value",
        "null_word",
    }


def test_row_numbers_of_the_sample_are_those_of_the_file(sample_charges):
    assert sorted(charge["x_RowNo"] for charge in sample_charges) == list(range(2, 1002))


def test_the_charge_of_september_in_the_october_bill_keeps_both_periods(sample_charges):
    (charge,) = [charge for charge in sample_charges if charge["BillingPeriodStart"] == datetime(2024, 10, 1)]
    assert charge["ChargePeriodStart"] == datetime(2024, 9, 30, 22)


def test_tag_keys_of_the_sample_stay_as_they_are(sample_charges):
    keys = Counter(key for charge in sample_charges for key, _ in charge["Tags"])
    assert (keys[" org"], keys["org"]) == (23, 42)


NO_ACCOUNT = "nothing says BillingCurrency, BillingAccountId"


@pytest.mark.parametrize("path", SPEC, ids=lambda path: path.stem)
def test_the_specifications_own_examples_are_read_or_refused_with_the_reason(tmp_path, path):
    text = path.read_text("utf-8-sig")
    if "BillingAccountId" not in text:
        with pytest.raises(UnknownShape, match=NO_ACCOUNT):
            ingest_into(tmp_path / "refused", config(path))
    options = {"billing_account_id": "spec", "billing_currency": "USD", "date_order": "mdy"}
    result = ingest_into(tmp_path / "state", config(path, **options))
    rows = [line for line in text.splitlines() if line][1:]
    assert sum(snapshot.rows for snapshot in result.published) == len(rows)
    assert not [problem for problem in result.problems if problem.severity == "rejected"]


def test_the_specifications_dollar_amounts_are_numbers(tmp_path):
    path = DATA / "spec_csv" / "simple_saas_agreements_a1.csv"
    result = ingest_into(tmp_path / "state", config(path, date_order="mdy"))
    assert billed(result) == 10_000
    assert ("number_form", "BilledCost", "2", "$10,000.00 ") in said(result)


def test_an_impossible_end_in_the_specifications_example_is_left_empty(tmp_path):
    path = DATA / "spec_csv" / "commitment_discount_purchase_scenario_2.csv"
    result = ingest_into(tmp_path / "state", config(path, billing_account_id="a", billing_currency="USD"))
    (problem,) = found(result, "date_unreadable")
    assert (problem.column, problem.rows, problem.example) == ("ChargePeriodEnd", "4", "2023-02-01T30:00:00Z")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["BilledCost", "ChargePeriodStart", "ChargeSubcategory", "UsageQuantity", "Region"], "1.0-preview"),
        (["BilledCost", "ContractedCost", "ProviderName"], "1.0"),
        (["BilledCost", "ContractedCost", "ProviderName", "SubAccountType"], "1.0"),
        (["BilledCost", "SkuMeter", "ProviderName"], "1.1"),
        (["BilledCost", "InvoiceId", "ProviderName"], "1.2"),
        (["BilledCost", "AllocatedMethodId", "ProviderName"], "1.3"),
        (["BilledCost", "InvoiceDetailId", "ServiceProviderName"], "1.4"),
        (["BilledCost", "ServiceProviderName"], "1.4"),
    ],
)
def test_the_version_is_told_by_the_columns(names, expected):
    assert version(names) == expected


@pytest.mark.parametrize("of", columns.VERSIONS[1:])
def test_all_columns_of_a_version_are_carried(of):
    names = tuple(column.name for column in columns.columns_of(of))
    mapping = SOURCE.mapping(names, CONFIG)
    assert mapping.form == f"FOCUS {of}"
    assert mapping.used == set(names)
    assert set(names) <= set(mapping.expressions)


def one(**values):
    """The mapped texts of one row."""
    return mapped(SOURCE.mapping(tuple(values), CONFIG), [values])[0]


BASE = {"BilledCost": "1", "ChargePeriodStart": "2026-10-01T00:00:00Z"}


def test_names_and_values_of_the_preview_become_those_of_today():
    preview = {
        **BASE,
        "AmortizedCost": "2",
        "UsageQuantity": "3",
        "UsageUnit": "Hours",
        "Region": "eastus",
        "Provider": "Microsoft",
        "Publisher": "Acme",
        "InvoiceIssuer": "Microsoft",
        "PricingCategory": "On-Demand",
        "ChargeSubcategory": "Unused Commitment",
    }
    texts = one(**preview)
    assert {name: texts[name] for name in texts if texts[name]} | {} == {
        "BilledCost": "1",
        "ChargePeriodStart": "2026-10-01T00:00:00Z",
        "EffectiveCost": "2",
        "ConsumedQuantity": "3",
        "ConsumedUnit": "Hours",
        "RegionId": "eastus",
        "RegionName": "eastus",
        "ProviderName": "Microsoft",
        "ServiceProviderName": "Microsoft",
        "HostProviderName": "Microsoft",
        "PublisherName": "Acme",
        "InvoiceIssuerName": "Microsoft",
        "PricingCategory": "Standard",
        "CommitmentDiscountStatus": "Unused",
    }
    assert one(**{**preview, "ChargeSubcategory": "Refund"})["ChargeClass"] == "Correction"
    assert one(**{**preview, "PricingCategory": "Commitment-Based"})["PricingCategory"] == "Committed"
    assert SOURCE.mapping(tuple(preview), CONFIG).form == "FOCUS 1.0-preview"


def test_oracles_lower_case_names_are_known():
    texts = one(**BASE, provider="Oracle", publisher="Oracle", invoiceissuer="Oracle", region="us-sanjose-1")
    assert [texts[name] for name in ("ProviderName", "PublisherName", "InvoiceIssuerName", "RegionId")] == [
        "Oracle",
        "Oracle",
        "Oracle",
        "us-sanjose-1",
    ]


def test_the_provider_is_filled_in_both_ways():
    old = one(**BASE, ProviderName="AWS")
    assert (old["ServiceProviderName"], old["HostProviderName"]) == ("AWS", "AWS")
    new = one(**BASE, ServiceProviderName="Snowflake", HostProviderName="AWS")
    assert (new["ProviderName"], new["HostProviderName"]) == ("Snowflake", "AWS")


AZURE = {**BASE, "ProviderName": "Microsoft"}


@pytest.mark.parametrize(
    ("zone", "price", "kept", "code"),
    [
        ("9.28", "9.28", None, ["azure_shifted_availability_zone"]),
        ("9.28", None, None, ["azure_shifted_availability_zone"]),
        ("12", "12", None, ["azure_shifted_availability_zone"]),
        ("1", "1", "1", []),
        ("2", "5", "2", []),
        ("eastus-az1", "5", "eastus-az1", []),
    ],
)
def test_a_price_in_the_zone_of_azure_goes_where_it_belongs(zone, price, kept, code):
    texts = one(**AZURE, AvailabilityZone=zone, ListUnitPrice=price)
    assert (texts["AvailabilityZone"], texts["ListUnitPrice"], texts["repairs"]) == (kept, price or zone, code)


def test_a_number_in_the_zone_of_another_provider_stays():
    texts = one(**{**AZURE, "ProviderName": "Other"}, AvailabilityZone="9.28", ListUnitPrice="9.28")
    assert (texts["AvailabilityZone"], texts["repairs"]) == ("9.28", [])


@pytest.mark.parametrize("name", ["ListUnitPrice", "ContractedUnitPrice", "ListCost", "ContractedCost"])
def test_azures_zero_for_an_unknown_price_is_no_price(name):
    texts = one(**AZURE, **{name: "0.00"})
    assert (texts[name], texts["repairs"]) == (None, ["azure_zero_for_missing"])
    free = one(**{**AZURE, "BilledCost": "0"}, **{name: "0"})
    assert (free[name], free["repairs"]) == ("0", [])
    other = one(**{**AZURE, "ProviderName": "AWS"}, **{name: "0"})
    assert (other[name], other["repairs"]) == ("0", [])


def test_the_purchase_of_a_savings_plan_costs_nothing_effectively():
    plan = {**AZURE, "CommitmentDiscountType": "Savings Plan", "EffectiveCost": "12.5"}
    texts = one(**plan, ChargeCategory="Purchase")
    assert (texts["EffectiveCost"], texts["repairs"]) == ("0", ["azure_savings_plan_purchase"])
    usage = one(**plan, ChargeCategory="Usage")
    assert (usage["EffectiveCost"], usage["repairs"]) == ("12.5", [])


def test_googles_rows_are_put_right_by_form(tmp_path):
    google = row(
        ProviderName="Google Cloud",
        ChargeCategory="usage",
        ServiceCategory='["Compute","Storage"]',
        BillingPeriodStart="2026-10-01T07:00:00Z",
        BillingPeriodEnd="2026-10-31",
        Tags='[{"key":"team","value":"ads","x_type":"label"}]',
    )
    result = take(tmp_path, csv_text([google]))
    (charge,) = only(result)
    assert (charge["ChargeCategory"], charge["ServiceCategory"]) == ("Usage", "Compute")
    assert charge["BillingPeriodEnd"] == datetime(2026, 11, 1)
    assert dict(charge["Tags"]) == {"team": "ads"}
    assert charge["x_Repairs"] == "date_form,enum_spelling,inclusive_period_end,service_category_list"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"x_ResourceGroupName": "rg-a", "ResourceId": "/subscriptions/s/resourcegroups/rg-b/x"}, "rg-a"),
        ({"ResourceId": "/subscriptions/s/resourceGroups/RG-ML/providers/p"}, "RG-ML"),
        ({"ResourceId": "arn:aws:ec2:i-1"}, None),
    ],
)
def test_the_resource_group_is_read_from_its_column_or_the_resource_id(given, expected):
    assert one(**BASE, **given)["x_ResourceGroup"] == expected


def test_a_currency_in_the_options_fills_only_what_is_empty(tmp_path):
    result = take(tmp_path, csv_text([row(BillingCurrency=""), row(BillingCurrency="EUR")]), billing_currency="CHF")
    assert [charge["BillingCurrency"] for charge in only(result)] == ["CHF", "EUR"]
    assert found(result, "no_currency") == []


def test_only_a_file_with_cost_and_period_is_focus():
    assert SOURCE.recognises(frozenset({"billedcost", "ChargePeriodStart"}))
    assert not SOURCE.recognises(frozenset({"BilledCost"}))
    assert not SOURCE.recognises(frozenset({"lineItem/UnblendedCost", "ChargePeriodStart"}))


def test_the_control_column_is_the_delivered_cost():
    assert SOURCE.control(("billedCost", "x"), CONFIG) == "billedCost"


def test_azure_export_manifests_are_followed(tmp_path):
    folder = "bills/export/20261001-20261031/202610050000/a1"
    put(tmp_path, f"{folder}/part_0.csv", csv_text([row()]))
    put(
        tmp_path,
        f"{folder}/manifest.json",
        '{"exportConfig":{"type":"FocusCost"},"blobs":[{"blobName":"x/part_0.csv"}]}',
    )
    put(tmp_path, "bills/export/20261001-20261031/202610040000/a0/part_0.csv", csv_text([row(BilledCost="5")]))
    result = ingest_into(tmp_path / "state", config(tmp_path / "bills"))
    assert billed(result) == Decimal("1.25")
    assert [reason for _, reason in result.left_out] == ["no manifest lists it"]


def test_extras_of_the_sample_are_kept(sample):
    snapshot = next(s for s in sample.published if s.rows == 942)
    assert set(table(snapshot.extras)[0]) == {"x_ChargeNo", "Id"}
