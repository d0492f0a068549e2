"""Google Cloud usage cost export: rows in the documented shape, small enough to add up by hand."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.gcp_bills import CONFIG, ROW, billed, charge, decimals
from tests.sources.mapped import mapped

from apportion.core.focus import BY_NAME
from apportion.core.tables import ATTRIBUTES, CHARGES
from apportion.errors import UnknownShape
from apportion.sources.gcp_billing import SOURCE


def test_an_export_is_recognised_by_its_columns_detailed_or_standard():
    assert SOURCE.recognises(frozenset(ROW))
    assert SOURCE.recognises(frozenset(ROW) - {"resource", "price"})
    assert not SOURCE.recognises(frozenset(ROW) - {"invoice"})


def test_the_form_says_whether_resources_are_named():
    assert SOURCE.mapping(tuple(ROW), CONFIG).form == "Google Cloud detailed usage cost"
    standard = tuple(name for name in ROW if name != "resource")
    assert SOURCE.mapping(standard, CONFIG).form == "Google Cloud standard usage cost"


def test_a_file_without_the_invoice_month_is_refused_by_name():
    with pytest.raises(UnknownShape) as caught:
        SOURCE.mapping(tuple(name for name in ROW if name not in {"invoice", "cost"}), CONFIG)
    assert str(caught.value) == (
        "gcp: is no Google Cloud usage cost export: cost, invoice is missing. "
        "Export the table gcp_billing_export_resource_v1_… with all its columns."
    )


def test_every_mapped_name_is_a_column_of_a_charge():
    known = set(CHARGES) | set(ATTRIBUTES)
    assert set(SOURCE.mapping(tuple(ROW), CONFIG).expressions) <= known


def test_the_golden_row_says_who_used_what_where_and_when():
    found = charge()
    del found["repairs"]
    assert {name: text for name, text in found.items() if text is not None} == {
        "AvailabilityZone": "us-central1-a",
        "BilledCost": "10.5",
        "BillingAccountId": "01A2B3-C4D5E6-F70819",
        "BillingAccountType": "Billing Account",
        "BillingCurrency": "USD",
        "BillingPeriodEnd": "2026-11-01T00:00:00Z",
        "BillingPeriodStart": "2026-10-01T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeDescription": "A100 GPU running in Americas",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": "2026-10-05T11:00:00.000000Z",
        "ChargePeriodStart": "2026-10-05T10:00:00.000000Z",
        "ConsumedQuantity": "3600.0",
        "ConsumedUnit": "seconds",
        "ContractedCost": "10.5",
        "ContractedUnitPrice": "10.5",
        "EffectiveCost": "10.5",
        "HostProviderName": "Google Cloud",
        "InvoiceIssuerName": "Google Cloud",
        "ListCost": "12",
        "ListUnitPrice": "12",
        "PricingQuantity": "1.0",
        "PricingUnit": "hour",
        "ProviderName": "Google Cloud",
        "PublisherName": "Google Cloud",
        "RegionId": "us-central1",
        "ResourceId": "//compute.googleapis.com/projects/p/zones/z/instance/77",
        "ResourceName": "trainer-1",
        "ResourceType": "instance",
        "ServiceCategory": "Compute",
        "ServiceName": "Compute Engine",
        "ServiceProviderName": "Google Cloud",
        "SkuId": "2E27-4F75-95CD",
        "SkuMeter": "A100 GPU running in Americas",
        "SkuPriceDetails": '{"InstanceType":"a2-highgpu-1g"}',
        "SubAccountId": "vision-prod",
        "SubAccountName": "Vision production",
        "SubAccountType": "Project",
        "Tags": '{"team":"vision","model":"resnet","env":"prod","cost-center":"42"}',
        "x_ResourceGroup": "research",
    }


def test_the_bill_is_the_cost_and_all_its_credits():
    credits_json = (
        '[{"name":"Sustained","amount":-0.3,"type":"SUSTAINED_USAGE_DISCOUNT"},{"name":"Free","amount":-0.2,"id":"x"}]'
    )
    found = charge(cost="10.5", credits=credits_json)
    assert (found["BilledCost"], found["EffectiveCost"], found["ContractedCost"]) == ("10", "10", "10.5")


def test_digits_that_no_float_holds_survive_in_cost_and_credits():
    credits_json = '[{"amount":-0.1234567890123456789},{"amount":-1e-9},{"amount":"-1E-7"}]'
    assert billed("1.1234567890123456789", credits_json) == "0.999999899"


def test_a_credit_larger_than_its_cost_leaves_a_negative_charge():
    assert billed("0.5", '[{"amount":-2}]') == "-1.5"
    assert billed("5.64902E-05", '[{"amount":-5.64902E-05}]') == "0"


def test_a_cost_without_credits_is_passed_on_verbatim():
    for nothing in ("[]", "[ ]", "null", "", None):
        assert billed("1e-9", nothing) == "1e-9"
    assert billed(None, "[]") is None


@pytest.mark.parametrize(
    "credits_json", ["[{]", "7", '{"amount":-1}', '[{"name":"x"}]', '[{"amount":"lots"}]', "[-1]", '[{"amount":1e300}]']
)
def test_credits_that_cannot_be_read_make_the_cost_unreadable_instead_of_too_high(credits_json):
    assert billed("10", credits_json) == f"cost 10 with credits {credits_json}"


def test_a_cost_that_cannot_be_read_stays_unreadable_beside_its_credits():
    assert billed("ten", '[{"amount":-1}]') == 'cost ten with credits [{"amount":-1}]'
    assert billed(None, '[{"amount":-1}]') == 'cost none with credits [{"amount":-1}]'


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(decimals, st.lists(decimals, max_size=4)), min_size=1, max_size=20))
def test_the_bill_of_any_rows_is_the_sum_of_costs_and_credits(rows):
    raw = [
        {**ROW, "cost": f"{cost:f}", "credits": "[" + ",".join(f'{{"amount":{credit:f}}}' for credit in given_) + "]"}
        for cost, given_ in rows
    ]
    found = mapped(SOURCE.mapping(tuple(ROW), CONFIG), raw)
    assert [Decimal(row["BilledCost"]) for row in found] == [cost + sum(given_) for cost, given_ in rows]


def test_credits_stay_beside_the_charge_whole():
    used = SOURCE.mapping(tuple(ROW), CONFIG).used
    assert "cost" in used
    assert not used & {"credits", "labels", "system_labels", "adjustment_info", "price", "usage", "cost_type"}


@pytest.mark.parametrize(
    ("kind", "category"),
    [
        ("regular", "Usage"),
        ("tax", "Tax"),
        ("adjustment", "Adjustment"),
        ("rounding_error", "Adjustment"),
        (None, "Usage"),
    ],
)
def test_the_cost_type_decides_the_category(kind, category):
    found = charge(cost_type=kind)
    assert found["ChargeCategory"] == category
    assert found["ChargeCategory"] in BY_NAME["ChargeCategory"].allowed
    assert found["ChargeFrequency"] in BY_NAME["ChargeFrequency"].allowed


def test_an_unknown_cost_type_is_passed_on_for_the_intake_to_list():
    assert charge(cost_type="donation")["ChargeCategory"] == "donation"


def test_tax_has_the_list_cost_of_itself_and_usage_without_one_has_none():
    assert charge(cost_type="tax", cost="2.1", cost_at_list=None)["ListCost"] == "2.1"
    assert charge(cost_at_list=None)["ListCost"] is None


def test_the_fee_of_a_commitment_is_a_purchase_net_of_what_was_used():
    found = charge(
        sku='{"id":"A","description":"Commitment v1: A100 GPU in Americas for 1 Year"}',
        subscription='{"instance_id":"sub-1"}',
        cost="100",
        credits='[{"amount":-97.5,"type":"FEE_UTILIZATION_OFFSET"}]',
    )
    assert (found["ChargeCategory"], found["ChargeFrequency"], found["BilledCost"]) == ("Purchase", "Recurring", "2.5")
    assert (found["CommitmentDiscountId"], found["CommitmentDiscountStatus"]) == ("sub-1", None)


def test_an_unused_capacity_reservation_is_marked():
    labels = [
        {"key": "compute.googleapis.com/is_unused_reservation", "value": "true"},
        {"key": "compute.googleapis.com/reservation_name", "value": "gpu-pool"},
    ]
    found = charge(system_labels=json.dumps(labels))
    assert (found["CapacityReservationId"], found["CapacityReservationStatus"]) == ("gpu-pool", "Unused")
    labels[0]["value"] = "false"
    assert charge(system_labels=json.dumps(labels))["CapacityReservationStatus"] == "Used"


@pytest.mark.parametrize(
    ("month", "start", "expected"),
    [
        ("202611", "2026-10-31 23:00:00", "Correction"),
        ("202611", "2026-11-01 06:59:00", "Correction"),  # still October in Pacific daylight time
        ("202611", "2026-11-01 07:00:00", None),
        ("202612", "2026-12-01 07:59:00", "Correction"),  # still November in Pacific standard time
        ("202612", "2026-12-01 08:00:00", None),
        ("202610", "2026-10-05T10:00:00Z", None),
        ("202611", "2026-10-31 20:00:00 UTC", "Correction"),
    ],
)
def test_an_adjustment_to_an_earlier_invoice_is_a_correction(month, start, expected):
    info = '{"id":"adj-1","description":"Price fixed","mode":"PARTIAL_CORRECTION","type":"PRICE_CORRECTION"}'
    found = charge(invoice=f'{{"month":"{month}"}}', usage_start_time=start, adjustment_info=info)
    assert found["ChargeClass"] == expected
    assert found["ChargeDescription"] == "Price fixed"
    assert found["ChargeCategory"] == "Usage"


def test_late_usage_that_was_never_invoiced_is_no_correction():
    found = charge(invoice='{"month":"202611"}', adjustment_info='{"id":"","mode":""}')
    assert found["ChargeClass"] is None
    assert found["BillingPeriodStart"] == "2026-11-01T00:00:00Z"
