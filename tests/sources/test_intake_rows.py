"""Faulty rows: each fault is one problem that names the file, the rows and the column, and nothing is lost."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

import pytest
from tests.sources.focus_bills import billed, charges, csv_text, found, only, row, said, table, take

from apportion.core.problems import Severity

STRUCTURE = [
    ("too_many_fields", "1,2,3" + ",4" * 20, "The record has more fields than the header"),
    ("too_few_fields", "1,2,3", "The record has fewer fields than the header"),
    ("bad_quotes", '"1"x,2', "A quote in the record is not closed"),
]


@pytest.mark.parametrize(("code", "line", "what"), STRUCTURE)
def test_a_record_that_does_not_fit_the_header_is_kept_whole(tmp_path, code, line, what):
    result = take(tmp_path, csv_text([row(), row(BilledCost="2")]).replace("\n2", f"\n{line}\n2"))
    (problem,) = result.problems
    assert (problem.code, problem.severity, problem.rows) == (code, Severity.REJECTED, "3")
    assert problem.what.startswith(what)
    assert problem.fix.endswith("ingest again.")
    assert [charge["x_RowNo"] for charge in only(result)] == [2, 4]
    (reject,) = table(result.published[0].rejects)
    assert (reject["x_FileNo"], reject["x_RowNo"], reject["x_Code"], reject["x_Raw"]) == (1, 3, code, line)
    assert result.published[0].rejected == 1


def test_an_open_quote_swallows_no_other_record(tmp_path):
    text = csv_text([row(Tags=""), row(Tags="", BilledCost="2"), row(Tags="", BilledCost="4")]).replace("\n2,", '\n"2,')
    result = take(tmp_path, text)
    assert said(result) == [("bad_quotes", "", "3", "")]
    assert billed(result) == Decimal("5.25")
    assert table(result.published[0].rejects)[0]["x_Raw"] == text.splitlines()[2]


def test_bytes_that_are_no_utf_8_are_kept_byte_by_byte(tmp_path):
    text = csv_text([row(), row(ServiceName="Gerät"), row(BilledCost="2")])
    result = take(tmp_path, text.encode("latin-1"))
    (problem,) = result.problems
    assert (problem.code, problem.rows) == ("bad_encoding", "3")
    assert 'encoding = "latin-1"' in problem.fix
    assert table(result.published[0].rejects)[0]["x_Raw"] == text.splitlines()[2].replace("ä", "\\xe4")
    assert billed(result) == Decimal("3.25")


def test_latin_1_is_read_where_the_source_says_so(tmp_path):
    result = take(tmp_path, csv_text([row(ServiceName="Gerät")]).encode("latin-1"), encoding="latin-1")
    assert only(result)[0]["ServiceName"] == "Gerät"
    assert not result.problems


@pytest.mark.parametrize(
    ("change", "code", "column", "example"),
    [
        ({"BilledCost": "1_000"}, "cost_unreadable", "BilledCost", "1_000"),
        ({"BilledCost": "1e18"}, "cost_unreadable", "BilledCost", "1e18"),
        ({"BilledCost": ""}, "no_billed_cost", "BilledCost", ""),
        ({"BillingCurrency": ""}, "no_currency", "BillingCurrency", ""),
        ({"BillingAccountId": "NULL"}, "no_billing_account", "BillingAccountId", ""),
        ({"BillingPeriodStart": "x", "ChargePeriodStart": "y"}, "no_billing_period", "BillingPeriodStart", "x"),
    ],
)
def test_a_row_without_money_currency_account_or_month_is_kept_out_and_kept(tmp_path, change, code, column, example):
    bad = row(**change)
    result = take(tmp_path, csv_text([row(), bad, row(BilledCost="2")]))
    (problem,) = result.problems
    assert (problem.code, problem.column, problem.rows, problem.example) == (code, column, "3", example)
    assert "kept out of the money" in problem.what
    assert billed(result) == Decimal("3.25")
    (reject,) = table(result.published[0].rejects)
    assert json.loads(reject["x_Raw"]) == {name: value or None for name, value in bad.items()}
    assert [charge["x_RowNo"] for charge in only(result)] == [2, 4]


def test_the_amount_at_stake_is_said_with_its_currency(tmp_path):
    rows = [row(), row(ChargeCategory="error"), row(ChargeCategory="error", BillingCurrency="EUR", BilledCost="7")]
    problems = found(take(tmp_path, csv_text(rows)), "enum_unknown")
    assert [(p.rows, p.amount, p.currency) for p in problems] == [
        ("4", Decimal(7), "EUR"),
        ("3", Decimal("1.25"), "USD"),
    ]


def test_rows_are_said_as_ranges_of_a_spreadsheet(tmp_path):
    costs = ["$1", "$1", "1", "$1"] + ["1", "$1"] * 60
    (problem,) = found(take(tmp_path, csv_text([row(BilledCost=cost) for cost in costs])), "number_form")
    assert problem.rows.startswith("2-3, 5, 7, 9, 11,")
    assert problem.rows.endswith("81 and 22 more"), problem.rows
    assert problem.row_count == 63


def test_other_metrics_that_are_no_numbers_are_left_empty(tmp_path):
    result = take(tmp_path, csv_text([row(ListCost="n.a."), row(ListCost="")]))
    assert [(p.code, p.severity, p.rows, p.example) for p in result.problems] == [
        ("number_unreadable", Severity.WARNING, "2", "n.a."),
        ("missing_value", Severity.WARNING, "3", ""),
    ]
    assert [charge["ListCost"] for charge in only(result)] == [None, None]


def test_a_missing_cost_column_is_said_once_and_stays_empty(tmp_path):
    result = take(tmp_path, csv_text([row(EffectiveCost=None)] * 3))
    (problem,) = result.problems
    assert (problem.code, problem.column, problem.rows, problem.row_count) == (
        "missing_column",
        "EffectiveCost",
        "all",
        3,
    )
    assert problem.what == "The file has no column for EffectiveCost; reports of this metric leave its rows out."
    assert {charge["EffectiveCost"] for charge in only(result)} == {None}


def test_repairs_are_listed_on_the_charge(tmp_path):
    first, second = only(take(tmp_path, csv_text([row(BilledCost="$1", ChargeFrequency="usage"), row()])))
    assert (first["x_Repairs"], second["x_Repairs"]) == ("enum_spelling,number_form", None)
    assert (first["ChargeFrequency"], first["BilledCost"]) == ("Usage-Based", Decimal(1))


def test_what_is_finer_than_a_quantum_is_rounded_with_a_mark(tmp_path):
    result = take(tmp_path, csv_text([row(BilledCost="1.1764705882352942e-05")]))
    (problem,) = result.problems
    assert (problem.code, problem.example) == ("finer_than_quantum", "1.1764705882352942e-05")
    assert only(result)[0]["BilledCost"] == Decimal("0.000011764705882353")  # 18th digit: …52942 rounds to …53


def test_words_for_nothing_are_nothing(tmp_path):
    result = take(tmp_path, csv_text([row(ResourceId="NULL", ServiceName="N/A"), row(ResourceId="")]))
    assert said(result) == [("null_word", "ServiceName, ResourceId", "2", "N/A")]
    assert [(charge["ResourceId"], charge["ServiceName"]) for charge in only(result)] == [
        (None, None),
        (None, "Amazon EC2"),
    ]


def test_unknown_values_are_kept_and_said(tmp_path):
    result = take(tmp_path, csv_text([row(ChargeCategory="error"), row(BillingCurrency="Credits")]))
    assert {charge["ChargeCategory"] for charge in only(result)} == {"error", "Usage"}
    assert said(result)[0] == ("enum_unknown", "ChargeCategory", "2", "error")
    assert [p.what for p in found(result, "currency_unknown")] == [
        "BillingCurrency is no ISO 4217 currency code; it was kept as it stands and is never added to another currency."
    ]


def test_currencies_are_never_added(tmp_path):
    result = take(tmp_path, csv_text([row(), row(), row(BillingCurrency="eur", BilledCost="5")]))
    assert {currency: each["BilledCost"] for currency, each in result.published[0].totals.items()} == {
        "EUR": Decimal(5),
        "USD": Decimal("2.5"),
    }
    (mixed,) = found(result, "mixed_currency")
    assert (mixed.rows, mixed.amount, mixed.currency) == ("4", Decimal(5), "EUR")
    assert mixed.what.startswith("These charges are in EUR, most of the month is in another currency")
    assert found(result, "enum_spelling")[0].example == "eur"


def test_an_account_id_that_lost_its_leading_zero_is_said(tmp_path):
    result = take(
        tmp_path, csv_text([row(SubAccountId="51738928782"), row(SubAccountId="51738928782", ProviderName="X")])
    )
    assert said(result) == [("leading_zero_lost", "SubAccountId", "2", "51738928782")]
    assert only(result)[0]["SubAccountId"] == "51738928782"


def test_times_are_put_in_utc_and_every_other_form_is_said(tmp_path):
    changed = row(ChargePeriodStart="2026-10-05T10:00:00+02:00", ChargePeriodEnd="2026-10-05 10:30")
    result = take(tmp_path, csv_text([changed, row()]))
    charge = only(result)[0]
    assert charge["ChargePeriodStart"] == datetime(2026, 10, 5, 8)
    assert charge["ChargePeriodEnd"] == datetime(2026, 10, 5, 10, 30)
    assert said(result) == [
        ("date_form", "ChargePeriodStart", "2", "2026-10-05T10:00:00+02:00"),
        ("date_form", "ChargePeriodEnd", "2", "2026-10-05 10:30"),
    ]


def test_an_unreadable_end_is_left_empty(tmp_path):
    result = take(tmp_path, csv_text([row(ChargePeriodEnd="2026-10-05T30:00:00Z")]))
    assert said(result) == [("date_unreadable", "ChargePeriodEnd", "2", "2026-10-05T30:00:00Z")]
    assert only(result)[0]["ChargePeriodEnd"] is None


@pytest.mark.parametrize("end", ["2026-10-31T00:00:00Z", "2026-10-31T23:59:59Z"])
def test_the_last_day_as_end_of_a_period_is_made_exclusive(tmp_path, end):
    result = take(tmp_path, csv_text([row(BillingPeriodEnd=end)]))
    assert only(result)[0]["BillingPeriodEnd"] == datetime(2026, 11, 1)
    assert said(result) == [("inclusive_period_end", "BillingPeriodEnd", "2", end)]


def test_missing_periods_are_taken_from_the_one_that_is_there(tmp_path):
    rows = [
        row(BillingPeriodStart="", BillingPeriodEnd="", ChargePeriodStart="2026-10-05T10:00:00Z"),
        row(ChargePeriodStart=""),
    ]
    result = take(tmp_path, csv_text(rows))
    first, second = only(result)
    assert (first["BillingPeriodStart"], first["BillingPeriodEnd"]) == (datetime(2026, 10, 1), datetime(2026, 11, 1))
    assert second["ChargePeriodStart"] == datetime(2026, 10, 1)
    assert [code for code, *_ in said(result)] == [
        "billing_period_from_charge",
        "billing_period_end_assumed",
        "charge_period_from_billing",
    ]


def test_dates_with_slashes_are_refused_without_their_order_and_read_with_it(tmp_path):
    text = csv_text([row(BillingPeriodStart="10/1/26", BillingPeriodEnd="11/1/26", ChargePeriodStart="10/2/2026")])
    refused = take(tmp_path / "refused", text)
    assert not refused.published
    assert [(p.code, p.example) for p in refused.problems] == [("no_billing_period", "10/1/26")]
    assert 'date_order = "mdy" or "dmy"' in refused.problems[0].fix
    result = take(tmp_path / "read", text, date_order="mdy")
    assert only(result)[0]["ChargePeriodStart"] == datetime(2026, 10, 2)


def test_tags_that_cannot_be_read_are_none_and_said(tmp_path):
    rows = [row(Tags="nope"), row(Tags='{"team":"a","team":"b"}'), row(Tags=""), row(Tags='"team": "c","x": "1"')]
    result = take(tmp_path, csv_text(rows))
    assert [dict(charge["Tags"]) for charge in only(result)] == [{}, {"team": "a"}, {}, {"team": "c", "x": "1"}]
    assert said(result) == [
        ("tags_unreadable", "Tags", "2", "nope"),
        ("duplicate_tag_key", "Tags", "3", '{"team":"a","team":"b"}'),
    ]


def test_a_rejected_row_without_scope_goes_with_the_first_scope_of_its_file(tmp_path):
    rows = [
        row(BillingPeriodStart="2026-11-01T00:00:00Z", BillingPeriodEnd="2026-12-01T00:00:00Z"),
        row(),
        row(BillingAccountId="", BilledCost="9"),
        row(BilledCost="", BillingPeriodStart="2026-10-01T00:00:00Z"),
    ]
    result = take(tmp_path, csv_text(rows))
    rejects = {str(s.scope.period): [r["x_RowNo"] for r in table(s.rejects)] for s in result.published}
    assert rejects == {"2026-11": [4], "2026-10": [5]}


def test_a_file_without_any_charge_leaves_its_problems_and_no_snapshot(tmp_path):
    result = take(tmp_path, csv_text([row(BilledCost="ten"), row(BillingCurrency="")]))
    assert not result.published
    assert [(p.code, p.rows) for p in result.problems] == [("cost_unreadable", "2"), ("no_currency", "3")]


def test_a_name_of_a_column_cannot_reach_into_ours(tmp_path):
    hostile = 'd$BilledCost"; DROP TABLE x; --'
    result = take(tmp_path, csv_text([row() | {hostile: "5", "x_ChargeNo": "7"}]))
    (charge,) = only(result)
    assert charge["BilledCost"] == Decimal("1.25")
    (extra,) = table(result.published[0].extras)
    assert extra == {"x_ChargeNo": 1, hostile: "5", "x_ChargeNo_delivered": "7"}


def test_charges_of_the_same_text_share_one_attribute_row(tmp_path):
    result = take(
        tmp_path, csv_text([row(), row(ResourceId="i-0"), row(BilledCost="2"), row(Tags='{"team": "search"}')])
    )
    snapshot = result.published[0]
    assert len(table(snapshot.attributes)) == 2
    assert [charge["x_AttributeNo"] for charge in charges(snapshot)] == [2, 1, 2, 2]
