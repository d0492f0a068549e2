"""Google Cloud usage cost export: rows in the documented shape, small enough to add up by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.ingested import extras, ingested
from tests.sources.mapped import mapped

from apportion.core.config import SourceConfig
from apportion.core.focus import BY_NAME, SERVICE_CATEGORIES
from apportion.core.tables import ATTRIBUTES, CHARGES
from apportion.engine import duck
from apportion.errors import ConfigError, UnknownShape
from apportion.sources import _gcp_services
from apportion.sources._json_text import number_at, text_at, with_numbers_as_text
from apportion.sources.gcp_billing import NEEDED, SOURCE
from apportion.sources.intake.place import Place

CONFIG = SourceConfig("gcp", "gcp_billing", ("bills",))

ROW = {
    "billing_account_id": "01A2B3-C4D5E6-F70819",
    "invoice": '{"month":"202610","publisher_type":"GOOGLE"}',
    "cost_type": "regular",
    "service": '{"id":"6F81-5844-456A","description":"Compute Engine"}',
    "sku": '{"id":"2E27-4F75-95CD","description":"A100 GPU running in Americas"}',
    "usage_start_time": "2026-10-05 10:00:00",
    "usage_end_time": "2026-10-05 11:00:00",
    "project": json.dumps(
        {
            "id": "vision-prod",
            "number": "123456789012",
            "name": "Vision production",
            "ancestry_numbers": "/111111111111/222222222222/",
            "ancestors": [
                {"resource_name": "projects/123456789012", "display_name": "Vision production"},
                {"resource_name": "folders/222222222222", "display_name": "research"},
                {"resource_name": "organizations/111111111111", "display_name": "acme.example"},
            ],
            "labels": [{"key": "team", "value": "platform"}, {"key": "cost-center", "value": "42"}],
        }
    ),
    "labels": '[{"key":"team","value":"vision"},{"key":"model","value":"resnet"}]',
    "system_labels": '[{"key":"compute.googleapis.com/machine_spec","value":"a2-highgpu-1g"}]',
    "location": '{"location":"us-central1-a","country":"US","region":"us-central1","zone":"us-central1-a"}',
    "resource": '{"name":"trainer-1","global_name":"//compute.googleapis.com/projects/p/zones/z/instance/77"}',
    "tags": '[{"key":"env","value":"prod","inherited":true,"namespace":"111"},{"key":"team","value":"late"}]',
    "cost": "10.5",
    "cost_at_list": "12",
    "currency": "USD",
    "currency_conversion_rate": "1.0",
    "usage": '{"amount":3600.0,"unit":"seconds","amount_in_pricing_units":1.0,"pricing_unit":"hour"}',
    "credits": "[]",
    "price": '{"list_price":"12","effective_price":"10.5","tier_start_amount":"0","unit":"hour"}',
    "adjustment_info": None,
    "subscription": None,
    "seller_name": None,
}


def charge(**changes):
    row = {**ROW, **changes}
    (found,) = mapped(SOURCE.mapping(tuple(row), CONFIG), [row])
    return found


def billed(cost, credits_json):
    return charge(cost=cost, credits=credits_json)["BilledCost"]


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


decimals = st.decimals(min_value=-(10**9), max_value=10**9, places=18)


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


def test_times_are_utc_whatever_offset_they_are_written_with():
    found = charge(usage_start_time="2026-10-05 10:00:00 UTC", usage_end_time="2026-10-05T13:00:00+02:00")
    assert found["ChargePeriodStart"] == "2026-10-05T10:00:00.000000Z"
    assert found["ChargePeriodEnd"] == "2026-10-05T11:00:00.000000Z"
    assert charge(usage_start_time="yesterday")["ChargePeriodStart"] == "yesterday"


def test_an_invoice_month_that_is_none_is_shown_as_it_stands():
    found = charge(invoice='{"month":"October"}')
    assert (found["BillingPeriodStart"], found["BillingPeriodEnd"]) == ("October", None)


def test_project_labels_count_where_the_resource_has_no_such_label():
    assert charge(labels="[]", tags=None)["Tags"] == '{"team":"platform","cost-center":"42"}'
    assert charge(labels=None, tags=None, project='{"id":"p"}')["Tags"] is None


def test_odd_labels_stay_readable_and_double_keys_stay_visible():
    labels = '[{"key":"a","value":"x\\"y"},{"key":"a","value":"2"},{"key":"b","value":null},{"key":null,"value":"z"}]'
    found = charge(labels=labels, tags="[]", project="{}")["Tags"]
    assert found == '{"a":"x\\"y","a":"2","b":null}'
    assert json.loads(found) == {"a": "2", "b": None}


def test_the_nearest_folder_is_the_resource_group_by_name_or_by_number():
    by_number = '{"id":"p","ancestry_numbers":"/111/222/333/"}'
    assert charge(project=by_number)["x_ResourceGroup"] == "333"
    assert charge(project='{"id":"p","ancestry_numbers":"/111/"}')["x_ResourceGroup"] is None
    unnamed = '{"id":"p","ancestors":[{"resource_name":"folders/9"},{"resource_name":"organizations/1"}]}'
    assert charge(project=unnamed)["x_ResourceGroup"] == "folders/9"


def test_a_row_without_project_and_resource_keeps_its_money():
    found = charge(project=None, resource=None, location=None, labels="[]", tags="[]", cost_type="tax")
    assert found["BilledCost"] == "10.5"
    assert {found[name] for name in ("SubAccountId", "SubAccountType", "ResourceId", "RegionId", "Tags")} == {None}


def test_a_resource_without_global_name_and_a_multi_region_have_what_there_is():
    found = charge(resource='{"name":"bucket-1"}', location='{"location":"us"}', seller_name="Acme Models Ltd")
    assert (found["ResourceId"], found["ResourceType"], found["RegionId"]) == ("bucket-1", None, "us")
    assert (found["PublisherName"], found["ProviderName"]) == ("Acme Models Ltd", "Google Cloud")


@pytest.mark.parametrize("kept", [(), ("labels",), ("project",), ("credits", "tags")])
def test_an_export_with_few_columns_still_has_its_money(kept):
    row = {name: text for name, text in ROW.items() if name in {*NEEDED, *kept}}
    (found,) = mapped(SOURCE.mapping(tuple(row), CONFIG), [row])
    assert (found["BilledCost"], found["ChargeCategory"], found["BillingPeriodStart"]) == (
        "10.5",
        "Usage",
        "2026-10-01T00:00:00Z",
    )
    assert (found["Tags"] is None) == (not {"labels", "project", "tags"} & set(kept))
    assert "ListCost" not in found


def test_a_nested_column_that_is_no_json_gives_null_and_stops_nothing():
    found = charge(usage="3600 seconds", location="{", labels="team:vision", tags=None, project="x")
    assert found["ConsumedQuantity"] is None
    assert (found["Tags"], found["BilledCost"]) == (None, "10.5")


def test_long_quantities_and_prices_keep_their_digits():
    found = charge(
        usage='{"amount":0.1234567890123456789,"unit":"seconds"}', price='{"list_price":0.00000001234567890123}'
    )
    assert (found["ConsumedQuantity"], found["ListUnitPrice"]) == ("0.1234567890123456789", "0.00000001234567890123")


@pytest.mark.parametrize(
    ("service", "category"),
    [
        ("Vertex AI", "AI and Machine Learning"),
        ("Kubernetes Engine", "Compute"),
        ("BigQuery", "Analytics"),
        ("Cloud Storage", "Storage"),
        ("Something new", "Other"),
    ],
)
def test_services_have_the_category_focus_gives_them(service, category):
    assert charge(service=json.dumps({"description": service}))["ServiceCategory"] == category


def test_every_category_in_the_table_is_one_of_focus():
    assert set(_gcp_services.CATEGORIES.values()) <= set(SERVICE_CATEGORIES)


def test_all_bills_of_a_folder_are_current_and_other_files_are_left_out(tmp_path):
    for name in ("b.jsonl", "a.parquet", "readme.md"):
        (tmp_path / name).write_text("x")
    found = SOURCE.find(Place.of(str(tmp_path), tmp_path), CONFIG)
    assert found.files == (f"{tmp_path}/a.parquet", f"{tmp_path}/b.jsonl")
    assert found.left_out == ((f"{tmp_path}/readme.md", "its name is not that of a bill"),)
    assert SOURCE.control(tuple(ROW), CONFIG) is None


def test_a_table_needs_a_local_folder():
    config = SourceConfig("gcp", "gcp_billing", ("gs://b/x",), options={"table": "acme-billing.costs.export"})
    with pytest.raises(ConfigError) as caught:
        SOURCE.find(Place("gs://b/x", "gs://b/x"), config)
    assert str(caught.value) == (
        "apportion.toml: sources.gcp.paths: gs://b/x is no local folder that a BigQuery table can be fetched into. "
        "Name a local folder as the path of a source with a table."
    )


# Facts about DuckDB that the mapping stands on.


def _one(sql, json_text):
    with duck.session() as db:
        return db.rows(f"SELECT {sql} FROM (SELECT $1 AS j)", [json_text])[0][0]


def test_duckdb_reads_json_numbers_as_floats_but_strings_and_quoted_numbers_as_they_are():
    exact = '{"a":0.1234567890123456789}'
    assert _one("json_extract_string(j, '$.a')", exact) == "0.12345678901234568"
    assert _one(text_at("j", "$.a"), '{"a":"0.1234567890123456789"}') == "0.1234567890123456789"
    assert _one(number_at("j", "$.a"), exact) == "0.1234567890123456789"


def test_digits_inside_strings_and_escaped_quotes_are_left_alone():
    odd = '{"note":"a: 0.1234567890123456789, \\" 7: 1","x":[1e-7,-0.12345678901234567,true,null],"y":": 5"}'
    quoted_ = _one(with_numbers_as_text("j"), odd)
    assert json.loads(quoted_) == {
        "note": 'a: 0.1234567890123456789, " 7: 1',
        "x": ["1e-7", "-0.12345678901234567", True, None],
        "y": ": 5",
    }


@settings(max_examples=60, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=22))
def test_any_decimal_comes_out_of_json_with_its_value(amount):
    assert Decimal(_one(number_at("j", "$.a.b"), f'{{"a":{{"b":{amount:f}}}}}')) == amount
    assert Decimal(_one(number_at("j", "$.a.b"), f'{{"a":{{"b":{amount:e}}}}}')) == amount


def test_a_struct_with_decimals_becomes_json_with_all_its_digits():
    with duck.session() as db:
        sql = "SELECT CAST(to_json([{'amount': -0.1234567890123456789::DECIMAL(38,19)}]) AS VARCHAR)"
        assert db.rows(sql) == [('[{"amount":-0.1234567890123456789}]',)]


# Through the whole intake.

NESTED = ("invoice", "service", "sku", "project", "labels", "system_labels", "location", "resource", "tags", "usage")


def _line(**changes):
    """A row as BigQuery writes it to JSON lines: nested columns are objects, amounts are numbers."""
    row = {**ROW, **changes}
    parts = []
    for name, text in row.items():
        nested = name in {*NESTED, "credits", "price", "adjustment_info", "subscription"}
        number = name in {"cost", "cost_at_list", "currency_conversion_rate"}
        parts.append(f'"{name}":' + ("null" if text is None else text if nested or number else json.dumps(text)))
    return "{" + ",".join(parts) + "}\n"


def test_json_lines_come_through_with_every_digit_of_cost_and_credits(tmp_path):
    credits_json = '[{"name":"CUD","amount":-0.123456789012345678,"type":"COMMITTED_USAGE_DISCOUNT"}]'
    lines = [
        _line(cost="1.123456789012345678", credits=credits_json),
        _line(cost="1e-9"),
        _line(cost="-3.25", adjustment_info='{"id":"a","mode":"PARTIAL_CORRECTION"}', invoice='{"month":"202611"}'),
        _line(cost="0.42", cost_type="tax", project=None, labels="[]", resource=None, cost_at_list=None),
        _line(cost="5", credits='[{"amount":"lots"}]'),
    ]
    (tmp_path / "bills").mkdir()
    (tmp_path / "bills/export.jsonl").write_text("".join(lines))
    result, rows = ingested(CONFIG, tmp_path, "BilledCost", "ContractedCost", "ChargeCategory", "ChargeClass")
    assert rows == [
        (Decimal(1), Decimal("1.123456789012345678"), "Usage", None),
        (Decimal("1e-9"), Decimal("1e-9"), "Usage", None),
        (Decimal("0.42"), Decimal("0.42"), "Tax", None),
        (Decimal("-3.25"), Decimal("-3.25"), "Usage", "Correction"),
    ]
    assert [(str(each.scope.period), each.rows, each.rejected) for each in result.published] == [
        ("2026-10", 3, 1),
        ("2026-11", 1, 0),
    ]
    assert {problem.code for problem in result.problems} == {"cost_unreadable"}
    (refused,) = (problem for problem in result.problems if problem.code == "cost_unreadable")
    assert refused.example == 'cost 5 with credits [{"amount":"lots"}]'
    assert extras(result.published[0])[0]["credits"] == credits_json


def test_parquet_with_nested_lists_of_structs_comes_through_exactly(tmp_path):
    pairs = pa.list_(pa.struct({"key": pa.string(), "value": pa.string()}))
    amount = pa.decimal128(38, 18)
    nested = {name: _struct_of(json.loads(ROW[name])) for name in ("invoice", "service", "sku", "location", "resource")}
    columns = {
        **{name: pa.array([value, value]) for name, value in nested.items()},
        "billing_account_id": pa.array([ROW["billing_account_id"]] * 2),
        "currency": pa.array(["USD", "USD"]),
        "cost_type": pa.array(["regular", "regular"]),
        "usage_start_time": pa.array([datetime(2026, 10, 5, 10, tzinfo=UTC)] * 2, pa.timestamp("us", tz="UTC")),
        "usage_end_time": pa.array([datetime(2026, 10, 5, 11, tzinfo=UTC)] * 2, pa.timestamp("us", tz="UTC")),
        "cost": pa.array([0.1, 1e-9], pa.float64()),
        "project": pa.array([{"id": "p-1", "name": "P", "labels": [{"key": "team", "value": "ads"}]}] * 2),
        "labels": pa.array([[{"key": "model", "value": "bert"}], []], pairs),
        "credits": pa.array(
            [[{"name": "a", "amount": Decimal("-0.03")}, {"name": "b", "amount": Decimal("-0.07")}], []],
            pa.list_(pa.struct({"name": pa.string(), "amount": amount})),
        ),
        "usage": pa.array([{"amount": 3600.0, "unit": "seconds"}] * 2),
    }
    (tmp_path / "bills").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "bills/export.parquet")
    result, rows = ingested(CONFIG, tmp_path, "BilledCost", "ConsumedQuantity", "Tags", "ChargePeriodStart")
    start = datetime(2026, 10, 5, 10)
    assert rows == [
        (Decimal(0), Decimal(3600), {"model": "bert", "team": "ads"}, start),
        (Decimal("1e-9"), Decimal(3600), {"team": "ads"}, start),
    ]
    assert {problem.code for problem in result.problems} == {"missing_column"}
    assert [problem.column for problem in result.problems] == ["ListCost"]


def _struct_of(value):
    return {name: text for name, text in value.items() if isinstance(text, str)}
