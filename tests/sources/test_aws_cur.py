"""AWS reports in the documented schema; every figure can be added up by hand."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.sources.ingested import extras, ingested
from tests.sources.mapped import mapped

from apportion.core.config import SourceConfig
from apportion.errors import UnknownShape, UnreadableFile
from apportion.sources.aws_cur import SOURCE
from apportion.sources.intake.place import Place

SAMPLE = Path(__file__).parents[1] / "data" / "focus" / "aws_cur_sample_focus_converters.csv"
MAP = pa.map_(pa.string(), pa.string())
SHAPE = {
    "bill_billing_period_start_date": pa.timestamp("ms"),
    "bill_billing_period_end_date": pa.timestamp("ms"),
    "bill_bill_type": pa.string(),
    "bill_payer_account_id": pa.string(),
    "bill_invoicing_entity": pa.string(),
    "line_item_usage_account_id": pa.string(),
    "line_item_line_item_type": pa.string(),
    "line_item_usage_start_date": pa.timestamp("ms"),
    "line_item_usage_end_date": pa.timestamp("ms"),
    "line_item_product_code": pa.string(),
    "line_item_usage_type": pa.string(),
    "line_item_usage_amount": pa.float64(),
    "line_item_currency_code": pa.string(),
    "line_item_unblended_cost": pa.float64(),
    "line_item_resource_id": pa.string(),
    "line_item_line_item_description": pa.string(),
    "pricing_public_on_demand_cost": pa.float64(),
    "pricing_unit": pa.string(),
    "product": MAP,
    "resource_tags": MAP,
    "savings_plan_savings_plan_a_r_n": pa.string(),
    "savings_plan_savings_plan_effective_cost": pa.float64(),
    "savings_plan_total_commitment_to_date": pa.float64(),
    "savings_plan_used_commitment": pa.float64(),
    "reservation_reservation_a_r_n": pa.string(),
    "reservation_effective_cost": pa.float64(),
    "reservation_unused_recurring_fee": pa.float64(),
    "split_line_item_parent_resource_id": pa.string(),
    "split_line_item_split_cost": pa.float64(),
}
START, END = datetime(2026, 10, 1), datetime(2026, 11, 1)
PLAN = "arn:aws:savingsplans::1:savingsplan/p"


def item(kind: str, cost: float, **more: object) -> dict:
    return {
        "bill_billing_period_start_date": START,
        "bill_billing_period_end_date": END,
        "bill_payer_account_id": "012345678901",
        "bill_invoicing_entity": "Amazon Web Services, Inc.",
        "line_item_usage_account_id": "111122223333",
        "line_item_line_item_type": kind,
        "line_item_usage_start_date": START,
        "line_item_usage_end_date": END,
        "line_item_product_code": "AmazonEC2",
        "line_item_usage_type": "BoxUsage:p4d.24xlarge",
        "line_item_usage_amount": 1.0,
        "line_item_currency_code": "USD",
        "line_item_unblended_cost": cost,
        "pricing_unit": "Hrs",
    } | more


ITEMS = [
    item("Usage", 32.7726, line_item_resource_id="i-1", pricing_public_on_demand_cost=32.7726,
         product={"product_name": "Amazon Elastic Compute Cloud", "instance_type": "p4d.24xlarge"},
         resource_tags={"user_team": "risk", "user_note": 'say ,"user_x"', "aws_createdBy": "me"}),
    item("SavingsPlanCoveredUsage", 10.0, savings_plan_savings_plan_a_r_n=PLAN, pricing_public_on_demand_cost=10.0,
         savings_plan_savings_plan_effective_cost=6.5, resource_tags={"user_team": "growth"}),
    item("SavingsPlanNegation", -10.0, savings_plan_savings_plan_a_r_n=PLAN),
    item("SavingsPlanRecurringFee", 8.0, savings_plan_savings_plan_a_r_n=PLAN,
         savings_plan_total_commitment_to_date=8.0, savings_plan_used_commitment=6.5),
    item("DiscountedUsage", 0.0, reservation_reservation_a_r_n="arn:ri", reservation_effective_cost=2.25),
    item("RIFee", 3.0, reservation_reservation_a_r_n="arn:ri", reservation_unused_recurring_fee=0.75),
    item("Usage", 0.0, split_line_item_parent_resource_id="i-1", split_line_item_split_cost=4.0,
         line_item_resource_id="arn:aws:eks:us-east-1:1:pod/c/ns/p", resource_tags={"user_team": "risk"}),
    item("Tax", 4.1, line_item_usage_type=""),
    item("Credit", -5.0),
    item("Refund", -0.3, bill_bill_type="Refund"),
    item("Usage", 7e-10),
]  # fmt: skip


def write(path: Path, items: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({name: pa.array([each.get(name) for each in items], kind) for name, kind in SHAPE.items()})
    pq.write_table(table, path)
    return path


def config(*paths: Path) -> SourceConfig:
    return SourceConfig("aws", "aws_cur", tuple(map(str, paths)))


def test_the_sample_report_adds_up_to_the_last_digit(tmp_path):
    result, _ = ingested(config(SAMPLE), tmp_path, "BilledCost")
    (snapshot,) = result.published
    assert (snapshot.rows, snapshot.rejected, snapshot.form) == (1281, 0, "CUR legacy")
    assert snapshot.totals["USD"]["BilledCost"] == Decimal("1.6823086974")


def test_billed_and_effective_cost_of_every_kind_of_line_item(tmp_path):
    path = write(tmp_path / "cur.parquet", ITEMS)
    _, rows = ingested(config(path), tmp_path, "BilledCost", "EffectiveCost", "ChargeCategory")
    assert [(str(b.normalize()), str(e.normalize()), c) for b, e, c in rows] == [
        ("32.7726", "32.7726", "Usage"),
        ("0", "6.5", "Usage"),
        ("0", "0", "Usage"),
        ("8", "1.5", "Purchase"),
        ("0", "2.25", "Usage"),
        ("3", "0.75", "Purchase"),
        ("0", "0", "Usage"),
        ("4.1", "4.1", "Tax"),
        ("-5", "-5", "Credit"),
        ("-0.3", "-0.3", "Adjustment"),
        ("7E-10", "7E-10", "Usage"),
    ]
    delivered = sum(Decimal(repr(each["line_item_unblended_cost"])) for each in ITEMS)
    assert sum(billed for billed, _, _ in rows) == delivered


def test_user_tags_lose_their_prefix_and_values_keep_theirs(tmp_path):
    path = write(tmp_path / "cur.parquet", ITEMS[:1])
    _, rows = ingested(config(path), tmp_path, "Tags", "ServiceName", "ServiceCategory", "SkuPriceDetails")
    ((tags, service, category, details),) = rows
    assert tags == {"team": "risk", "note": 'say ,"user_x"', "aws_createdBy": "me"}
    assert (service, category) == ("Amazon Elastic Compute Cloud", "Compute")
    assert json.loads(details) == {"InstanceType": "p4d.24xlarge"}


def test_legacy_tag_columns_become_one_map():
    columns = ("lineItem/UnblendedCost", "lineItem/LineItemType", "lineItem/CurrencyCode",
               "bill/BillingPeriodStartDate", "resourceTags/user:team", "resourceTags/aws:createdBy")  # fmt: skip
    row = dict.fromkeys(columns, "x") | {"resourceTags/user:team": "risk", "resourceTags/aws:createdBy": ""}
    (found,) = mapped(SOURCE.mapping(columns, config()), [row])
    assert json.loads(found["Tags"]) == {"team": "risk"}


def test_split_rows_keep_what_metering_needs(tmp_path):
    path = write(tmp_path / "cur.parquet", ITEMS)
    result, _ = ingested(config(path), tmp_path, "BilledCost")
    kept = [row["split_line_item_split_cost"] for row in extras(result.published[0])]
    assert [value for value in kept if value] == ["4.0"]
    assert "split_cost_allocation_row" in {problem.code for problem in result.problems}


def test_a_refund_of_a_closed_bill_is_a_correction(tmp_path):
    path = write(tmp_path / "cur.parquet", ITEMS)
    _, rows = ingested(config(path), tmp_path, "ChargeClass")
    assert [row for (row,) in rows if row] == ["Correction"]


def test_only_what_the_manifest_names_is_read(tmp_path):
    export = tmp_path / "export"
    name = "data/BILLING_PERIOD=2026-10/new.snappy.parquet"
    write(export / name, ITEMS[:1])
    write(export / "data/BILLING_PERIOD=2026-10/old.snappy.parquet", ITEMS)
    (export / "data/BILLING_PERIOD=2026-10/empty.snappy.parquet").touch()
    manifest = export / "metadata/BILLING_PERIOD=2026-10/acme-Manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"dataFiles": [f"s3://bucket/prefix/acme/{name}"]}))
    result, rows = ingested(config(export), tmp_path, "BilledCost")
    assert [str(row[0].normalize()) for row in rows] == ["32.7726"]
    assert {Path(path).name for path, _ in result.left_out} >= {"old.snappy.parquet", "empty.snappy.parquet"}


def test_a_folder_without_manifest_is_refused(tmp_path):
    write(tmp_path / "export" / "cur.parquet", ITEMS)
    with pytest.raises(UnreadableFile, match="the folder holds no manifest"):
        SOURCE.find(Place.of("export", tmp_path), config())


def test_a_file_that_is_no_report_is_refused_by_name():
    with pytest.raises(UnknownShape, match="is no AWS cost and usage report: line_item_unblended_cost,"):
        SOURCE.mapping(("a", "b"), config())


def test_the_control_column_is_given_only_where_it_must_equal_the_bill():
    plain = ("lineItem/UnblendedCost", "lineItem/LineItemType")
    assert SOURCE.control(plain, config()) == "lineItem/UnblendedCost"
    assert SOURCE.control((*plain, "savingsPlan/SavingsPlanARN"), config()) is None


ROW = {
    "line_item_unblended_cost": "100",
    "line_item_line_item_type": "Usage",
    "line_item_currency_code": "USD",
    "bill_billing_period_start_date": "2026-10-01 00:00:00",
    "bill_payer_account_id": "012345678901",
}


def charge(**changes):
    row = {**ROW, **changes}
    (found,) = mapped(SOURCE.mapping(tuple(row), config()), [row])
    return found


def test_where_discounts_are_columns_the_net_cost_is_billed():
    discounted = charge(line_item_net_unblended_cost="90", discount='{"edp_discount":-10.0}')
    assert (discounted["BilledCost"], discounted["EffectiveCost"]) == ("90", "90")
    assert charge(line_item_net_unblended_cost=None)["BilledCost"] == "100"
    assert SOURCE.control((*ROW, "line_item_net_unblended_cost"), config()) is None


def test_amortised_costs_are_net_where_a_row_has_net_ones():
    assert charge(line_item_line_item_type="DiscountedUsage", reservation_effective_cost="2",
                  reservation_net_effective_cost="1.8")["EffectiveCost"] == "1.8"  # fmt: skip
    assert charge(line_item_line_item_type="SavingsPlanCoveredUsage", savings_plan_savings_plan_effective_cost="3",
                  savings_plan_net_savings_plan_effective_cost="2.7")["EffectiveCost"] == "2.7"  # fmt: skip


@pytest.mark.parametrize("kind", ["EdpDiscount", "BundledDiscount", "PrivateRateDiscount", "SppDiscount", "Discount"])
def test_every_discount_is_a_credit_without_list_cost(kind):
    found = charge(line_item_line_item_type=kind, line_item_unblended_cost="-10")
    assert [found[name] for name in ("ChargeCategory", "BilledCost", "ListCost")] == ["Credit", "-10", "0"]


def test_an_amount_that_cannot_be_read_does_not_become_another_amount():
    plan = {"line_item_line_item_type": "SavingsPlanRecurringFee", "savings_plan_total_commitment_to_date": "8"}
    assert charge(**plan, savings_plan_used_commitment="6,5")["EffectiveCost"] == "8 and 6,5"
    assert charge(**plan)["EffectiveCost"] == "8.000000000000000000000000"
    assert charge(line_item_line_item_type="RIFee")["EffectiveCost"] is None
    assert charge(line_item_line_item_type="SavingsPlanNegation", line_item_unblended_cost="x")["BilledCost"] == "x"


def test_an_unused_commitment_is_exact_for_every_double():
    found = charge(line_item_line_item_type="RIFee", reservation_unused_recurring_fee="1.2345678901234567e-05",
                   reservation_unused_amortized_upfront_fee_for_billing_period="0.1")  # fmt: skip
    assert found["EffectiveCost"] == "0.100012345678901234567000"


def test_a_split_row_that_brings_a_cost_is_not_counted_and_is_told(tmp_path):
    costly = item("Usage", 4.0, split_line_item_parent_resource_id="i-1")
    path = write(tmp_path / "cur.parquet", [*ITEMS, costly])
    result, rows = ingested(config(path), tmp_path, "BilledCost")
    assert rows[-1] == (Decimal(0),)
    (problem,) = [each for each in result.problems if each.code == "split_row_with_cost"]
    assert (problem.row_count, problem.severity) == (1, "warning")
    assert problem.what == (
        "A split cost allocation row brings a cost of its own, which no such row should; it was not counted."
    )


def test_the_column_tags_of_cur_2_tells_resource_tags_from_others():
    given = '{"resourceTags/team":"risk","resourceTags/user:env":"prod","accountTag/team":"infra"}'
    found = charge(tags=given, resource_tags='{"user_team":"late"}')
    assert json.loads(found["Tags"]) == {"team": "risk", "env": "prod", "accountTag/team": "infra"}
    assert json.loads(charge(tags="{}", resource_tags='{"user_team":"risk"}')["Tags"]) == {"team": "risk"}


def test_two_tag_columns_of_one_key_are_no_error():
    same = charge(**{"resource_tags_user_team": "a", "resourceTags/user:team": "b"})
    assert same["Tags"] == '{"team":"a","team":"b"}'
    assert charge(**{'resourceTags/user:it"s': 'say "x"'})["Tags"] == '{"it\\"s":"say \\"x\\""}'


def test_tag_columns_that_differ_in_case_only_are_both_kept(tmp_path):
    # SQL sees `Team_1`: its names do not differ in case
    tags = {"resourceTags/user:team": "a", "resourceTags/user:Team": "b"}
    path = tmp_path / "cur.csv"
    path.write_text("\n".join(",".join(each) for each in ((*ROW, *tags), (*ROW.values(), *tags.values()))))
    _, rows = ingested(config(path), tmp_path, "Tags")
    assert rows == [({"Team_1": "b", "team": "a"},)]


def test_tags_of_aws_keep_their_prefix_as_delivered():
    assert json.loads(charge(resource_tags_aws_eks_cluster_name="c")["Tags"]) == {"aws_eks_cluster_name": "c"}


def test_models_of_other_makers_on_bedrock_are_machine_learning():
    model = {"line_item_product_code": "6ck2w2m3x", "line_item_operation": "InvokeModelInference"}
    assert charge(**model)["ServiceCategory"] == "AI and Machine Learning"
    assert charge(line_item_product_code="6ck2w2m3x")["ServiceCategory"] == "Other"


def test_the_machine_says_how_many_gpus_and_cores_it_has():
    product = '{"product_name":"Amazon SageMaker","instance_type":"ml.p4d.24xlarge","vcpu":"96","gpu":"8"}'
    details = charge(product=product)["SkuPriceDetails"]
    assert json.loads(details) == {"InstanceType": "ml.p4d.24xlarge", "CoreCount": 96, "GpuCount": 8}
    assert charge(product='{"gpu":"NA"}')["SkuPriceDetails"] is None


def test_what_no_focus_column_carries_in_full_stays_beside_the_charge():
    given = (*ROW, "line_item_usage_amount", "pricing_public_on_demand_cost", "discount", "split_line_item_split_cost")
    assert not SOURCE.mapping(given, config()).used & set(given[5:])


def test_a_zip_of_the_report_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "r-1.csv.zip").write_bytes(b"PK\x03\x04rest")
    with pytest.raises(UnreadableFile, match="is a ZIP archive or an Excel file"):
        ingested(config(tmp_path / "r-1.csv.zip"), tmp_path, "BilledCost")


def test_the_case_of_a_line_item_type_does_not_matter(tmp_path):
    path = write(tmp_path / "cur.parquet", [item("savingsplannegation", -7.0, savings_plan_savings_plan_a_r_n=PLAN)])
    _, rows = ingested(config(path), tmp_path, "BilledCost")
    assert rows == [(Decimal(0),)]


@pytest.mark.parametrize(("negated", "left"), [(-10.0, None), (-12.0, Decimal(-2))])
def test_covered_usage_that_its_negation_does_not_cancel_is_said(tmp_path, negated, left):
    items = [
        item("SavingsPlanCoveredUsage", 5.0, savings_plan_savings_plan_a_r_n=PLAN),
        item("SavingsPlanCoveredUsage", 5.0, savings_plan_savings_plan_a_r_n=PLAN),
        item("SavingsPlanNegation", negated, savings_plan_savings_plan_a_r_n=PLAN),
    ]
    result, _ = ingested(config(write(tmp_path / "cur.parquet", items)), tmp_path, "BilledCost")
    said = [problem.amount for problem in result.problems if problem.code == "money_left_out"]
    assert said == ([] if left is None else [left])
