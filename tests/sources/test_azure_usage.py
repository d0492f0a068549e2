"""Azure cost details: rows in the documented shapes of MCA, EA and pay-as-you-go exports, and export folders."""

from __future__ import annotations

import pytest
from tests.sources.azure_bills import (
    ACTUAL,
    AMORTIZED,
    COVERED,
    MCA,
    PAY_AS_YOU_GO,
    PLAN,
    RESERVED,
    VM,
    charge,
    sample,
)
from tests.sources.mapped import mapped

from apportion.core.config import SourceConfig
from apportion.core.focus import BY_NAME
from apportion.core.tables import ATTRIBUTES, CHARGES
from apportion.errors import ConfigError, UnknownShape
from apportion.sources.azure_usage import SOURCE


def test_exports_of_each_agreement_are_recognised_and_focus_exports_are_not():
    assert SOURCE.recognises(frozenset(MCA))
    assert SOURCE.recognises(frozenset(sample()[0]))
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
    for columns in (tuple(MCA), tuple(sample()[0]), tuple(PAY_AS_YOU_GO)):
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
