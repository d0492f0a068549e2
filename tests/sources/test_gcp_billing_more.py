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
from tests.sources.gcp_bills import CONFIG, ROW, charge, line, one, struct_of
from tests.sources.ingested import extras, ingested
from tests.sources.mapped import mapped

from apportion.core.config import SourceConfig
from apportion.core.focus import SERVICE_CATEGORIES
from apportion.engine import duck
from apportion.errors import ConfigError
from apportion.sources import _gcp_services
from apportion.sources._json_text import number_at, text_at, with_numbers_as_text
from apportion.sources.gcp_billing import NEEDED, SOURCE
from apportion.sources.intake.place import Place


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


def test_duckdb_reads_json_numbers_as_floats_but_strings_and_quoted_numbers_as_they_are():
    exact = '{"a":0.1234567890123456789}'
    assert one("json_extract_string(j, '$.a')", exact) == "0.12345678901234568"
    assert one(text_at("j", "$.a"), '{"a":"0.1234567890123456789"}') == "0.1234567890123456789"
    assert one(number_at("j", "$.a"), exact) == "0.1234567890123456789"


def test_digits_inside_strings_and_escaped_quotes_are_left_alone():
    odd = '{"note":"a: 0.1234567890123456789, \\" 7: 1","x":[1e-7,-0.12345678901234567,true,null],"y":": 5"}'
    quoted_ = one(with_numbers_as_text("j"), odd)
    assert json.loads(quoted_) == {
        "note": 'a: 0.1234567890123456789, " 7: 1',
        "x": ["1e-7", "-0.12345678901234567", True, None],
        "y": ": 5",
    }


@settings(max_examples=60, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=22))
def test_any_decimal_comes_out_of_json_with_its_value(amount):
    assert Decimal(one(number_at("j", "$.a.b"), f'{{"a":{{"b":{amount:f}}}}}')) == amount
    assert Decimal(one(number_at("j", "$.a.b"), f'{{"a":{{"b":{amount:e}}}}}')) == amount


def test_a_struct_with_decimals_becomes_json_with_all_its_digits():
    with duck.session() as db:
        sql = "SELECT CAST(to_json([{'amount': -0.1234567890123456789::DECIMAL(38,19)}]) AS VARCHAR)"
        assert db.rows(sql) == [('[{"amount":-0.1234567890123456789}]',)]


def test_json_lines_come_through_with_every_digit_of_cost_and_credits(tmp_path):
    credits_json = '[{"name":"CUD","amount":-0.123456789012345678,"type":"COMMITTED_USAGE_DISCOUNT"}]'
    lines = [
        line(cost="1.123456789012345678", credits=credits_json),
        line(cost="1e-9"),
        line(cost="-3.25", adjustment_info='{"id":"a","mode":"PARTIAL_CORRECTION"}', invoice='{"month":"202611"}'),
        line(cost="0.42", cost_type="tax", project=None, labels="[]", resource=None, cost_at_list=None),
        line(cost="5", credits='[{"amount":"lots"}]'),
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
    nested = {name: struct_of(json.loads(ROW[name])) for name in ("invoice", "service", "sku", "location", "resource")}
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
