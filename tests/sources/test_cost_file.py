from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.cost_files import CONFIG, lines, said, taken

from apportion.core.money import from_quanta, quanta
from apportion.errors import ConfigError
from apportion.sources._cost_charges import Line, Per, charges_of
from apportion.sources.cost_file import COLUMNS, SOURCE
from apportion.sources.intake.ingest import ingest
from apportion.store import open_store

COSTS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
PERIOD = ("ChargePeriodStart", "ChargePeriodEnd")
AMOUNTS = st.integers(-(10**33) + 1, 10**33 - 1).map(from_quanta)
DAYS = st.dates(date(2023, 11, 1), date(2025, 4, 30))


def added(amounts):
    """The exact sum in quanta, whatever the context's precision."""
    return sum(quanta(amount) for amount in amounts)


def day(year, month, number):
    return datetime(year, month, number)


# -- what a line stands for


def test_the_golden_file_of_a_platform_team(tmp_path):
    text = (
        "id,amount,currency,per,start,end,paid,billed,service,tag:team\n"
        "salary,9300,EUR,month,2026-01-16,,,,Platform team,platform\n"
        "support,365,EUR,term,2026-02-01,2027-02-01,2026-01-20,,Support,\n"
        "dgx,1096,EUR,term,2026-01-30,2029-01-30,,amortised,On-premises,research\n"
        "rebate,-12.50,EUR,once,2026-02-14,,,,Support,platform\n"
    )
    columns = ("SkuId", "ChargePeriodStart", "ChargeCategory", "ChargeFrequency", "BilledCost", "EffectiveCost")
    result, rows = taken(tmp_path, text, *columns, until="2026-02")
    january = [
        ("salary", day(2026, 1, 16), "Purchase", "Recurring", 4800, 4800),
        ("support", day(2026, 1, 20), "Purchase", "One-Time", 365, 0),
        ("dgx", day(2026, 1, 30), "Usage", "Usage-Based", 1, 1),
        ("dgx", day(2026, 1, 31), "Usage", "Usage-Based", 1, 1),
    ]
    assert rows[:4] == january
    assert rows[4] == ("salary", day(2026, 2, 1), "Purchase", "Recurring", 9300, 9300)
    assert rows[5:33] == [("support", day(2026, 2, n), "Usage", "Usage-Based", 0, 1) for n in range(1, 29)]
    assert rows[33:61] == [("dgx", day(2026, 2, n), "Usage", "Usage-Based", 1, 1) for n in range(1, 29)]
    assert rows[61:] == [("rebate", day(2026, 2, 14), "Credit", "One-Time", Decimal("-12.5"), Decimal("-12.5"))]
    assert [(str(s.scope.period), s.rows, s.scope.billing_account_id) for s in result.published] == [
        ("2026-01", 4, "own"),
        ("2026-02", 58, "own"),
    ]
    assert not result.problems


def test_a_cost_that_comes_once_is_one_charge_of_its_day(tmp_path):
    _, rows = taken(tmp_path, lines("a,0.10,EUR,once,2026-02-28"), *PERIOD, *COSTS)
    assert rows == [(day(2026, 2, 28), day(2026, 3, 1), *[Decimal("0.10")] * 4)]


def test_months_that_are_not_whole_are_charged_by_their_days_in_leap_years_too(tmp_path):
    text = lines("a,2900,EUR,month,2028-02-16,2028-04-11,,,8,Seats")
    _, rows = taken(tmp_path, text, *PERIOD, "BilledCost", "PricingQuantity", "PricingUnit", "ConsumedQuantity")
    third = Decimal("966.666666666666666666")
    assert rows == [
        (day(2028, 2, 16), day(2028, 3, 1), 1400, Decimal("3.862068965517241380"), "Seats", None),
        (day(2028, 3, 1), day(2028, 4, 1), 2900, 8, "Seats", None),
        (day(2028, 4, 1), day(2028, 4, 11), third, Decimal("2.666666666666666666"), "Seats", None),
    ]


def test_a_price_per_day_is_charged_each_day(tmp_path):
    _, rows = taken(tmp_path, lines("a,0.1,EUR,day,2026-12-31,2027-01-02"), *PERIOD, "BilledCost")
    assert rows == [
        (day(2026, 12, 31), day(2027, 1, 1), Decimal("0.1")),
        (day(2027, 1, 1), day(2027, 1, 2), Decimal("0.1")),
    ]


def test_an_hour_of_a_rate_card_is_charged_24_times_a_day(tmp_path):
    text = lines("a,12.345,EUR,hour,2026-03-29,2026-03-30", "b,2,EUR,Hour,2026-03-29,2026-03-30,,,8,GPU Hours")
    columns = ("BilledCost", "PricingQuantity", "PricingUnit", "ConsumedQuantity", "ConsumedUnit", "ChargeCategory")
    _, rows = taken(tmp_path, text, *columns)
    assert rows == [
        (Decimal("296.28"), 24, "Hours", 24, "Hours", "Usage"),
        (48, 192, "GPU Hours", 192, "GPU Hours", "Usage"),
    ]


def test_a_term_paid_upfront_is_a_purchase_and_its_days(tmp_path):
    text = lines("a,365,EUR,term,2026-03-01,2027-03-01,2026-02-10,,730,Hours")
    result, rows = taken(tmp_path, text, "ChargeCategory", "ChargePeriodStart", *COSTS, "ConsumedQuantity")
    assert rows[0] == ("Purchase", day(2026, 2, 10), 365, 0, 0, 0, None)
    assert rows[1:] == [("Usage", day(2026, 3, 1) + n * timedelta(1), 0, 1, 1, 1, 2) for n in range(365)]
    for metric in (*COSTS, "PricingQuantity"):
        total = sum(snapshot.totals["EUR"].get(metric, 0) for snapshot in result.published)
        assert total == (730 if metric == "PricingQuantity" else 365)


def test_a_term_without_paid_is_paid_on_its_first_day(tmp_path):
    _, rows = taken(tmp_path, lines("a,1,EUR,term,2026-03-01,2026-03-02"), "ChargePeriodStart", "BilledCost")
    assert rows == [(day(2026, 3, 1), 1), (day(2026, 3, 1), 0)]


def test_the_write_off_of_a_machine_is_billed_day_by_day(tmp_path):
    text = lines("a,10,EUR,term,2027-12-01,2028-03-01,,amortised")
    result, rows = taken(tmp_path, text, *COSTS)
    assert len(rows) == 31 + 31 + 29
    assert all(len(set(row)) == 1 for row in rows)
    assert sum(row[0] for row in rows) == 10
    assert [snapshot.rows for snapshot in result.published] == [31, 31, 29]


@settings(deadline=None)
@given(amount=AMOUNTS, start=DAYS, days=st.integers(1, 800), upfront=st.booleans())
def test_the_days_of_a_term_add_up_to_its_amount(amount, start, days, upfront):
    line = Line(Per.TERM, amount, amount, start, start + timedelta(days), start if upfront else None)
    found = list(charges_of(line))
    assert added(charge.billed for charge in found) == added(charge.used for charge in found) == quanta(amount)
    assert added(charge.quantity for charge in found if charge.quantity is not None) == quanta(amount)
    assert len(found) == days + upfront


@settings(deadline=None)
@given(amount=AMOUNTS, days=st.lists(DAYS, min_size=3, max_size=3, unique=True))
def test_a_line_may_be_cut_in_two_at_any_day(amount, days):
    start, cut, end = sorted(days)
    for per in (Per.MONTH, Per.DAY, Per.HOUR):
        whole, first, second = (
            added(charge.billed for charge in charges_of(Line(per, amount, None, low, high)))
            for low, high in ((start, end), (start, cut), (cut, end))
        )
        assert whole == first + second


@settings(deadline=None)
@given(amount=AMOUNTS, start=DAYS, months=st.integers(1, 30))
def test_charges_follow_one_another_and_fill_the_line(amount, start, months):
    end = start + timedelta(30 * months)
    for per in (Per.MONTH, Per.DAY, Per.HOUR):
        found = list(charges_of(Line(per, amount, None, start, end)))
        assert [charge.start for charge in found] == [start, *(charge.end for charge in found[:-1])]
        assert found[-1].end == end
        assert per is not Per.MONTH or all(
            c.start.replace(day=1) == (c.end - timedelta(1)).replace(day=1) for c in found
        )


@settings(deadline=None)
@given(amount=AMOUNTS, start=DAYS, days=st.integers(1, 100), per=st.sampled_from(Per))
def test_a_credit_mirrors_a_charge(amount, start, days, per):
    paid = start if per is Per.TERM else None
    line = Line(per, amount.copy_abs(), None, start, start + timedelta(days), paid)
    mirrored = charges_of(replace(line, amount=amount.copy_abs().copy_negate()))
    for charge, credit in zip(charges_of(line), mirrored, strict=True):
        assert (added([credit.billed, charge.billed]), added([credit.used, charge.used])) == (0, 0)
        assert credit.category == ("Credit" if amount else charge.category)


# -- what a line says beside its money


def test_a_line_names_its_service_owner_and_resource(tmp_path):
    text = (
        "ID; Amount;currency;per;start;end;service;service_category;description;provider;account;region;resource_id;"
        "resource_type;tag:team;TAG:Cost Centre\n"
        " m1 ;1;eur;once;2026-01-01;;GPU;Compute;Two nodes;Dell;lab;eu;node-1;server;research;\n"
        "m2;1;EUR;once;2026-01-01;;;;;;;;;;;40\n"
    )
    columns = ("SkuId", "ResourceId", "ServiceName", "ServiceCategory", "ChargeDescription", "ServiceProviderName",
               "InvoiceIssuerName", "SubAccountId", "RegionId", "ResourceType", "Tags", "BillingCurrency")  # fmt: skip
    result, rows = taken(tmp_path, text, *columns)
    assert rows == [
        (
            "m1",
            "node-1",
            "GPU",
            "Compute",
            "Two nodes",
            "Dell",
            "Dell",
            "lab",
            "eu",
            "server",
            {"team": "research"},
            "EUR",
        ),
        ("m2", "own/m2", None, "Other", None, "own", "own", None, None, None, {"Cost Centre": "40"}, "EUR"),
    ]
    assert said(result) == [("enum_spelling", "BillingCurrency", "2")]
    assert result.published[0].extras is None


def test_options_name_the_provider_and_the_account(tmp_path):
    options = {"provider": "Acme", "billing_account_id": "books"}
    result, rows = taken(tmp_path, lines("a,1,EUR,once,2026-01-01"), "ProviderName", "BillingAccountId", **options)
    assert rows == [("Acme", "books")]
    assert result.published[0].scope.billing_account_id == "books"


def test_charges_keep_the_row_of_their_line_across_empty_lines(tmp_path):
    text = lines("a,3,EUR,term,2026-01-01,2026-01-04", "", "b,1,EUR,day,2026-01-01,2026-01-03").replace(
        ",,,,,,,,,,\n", "\n"
    )
    _, rows = taken(tmp_path, text, "x_FileNo", "x_RowNo", "ChargePeriodStart", "BilledCost")
    assert [row[:2] for row in rows] == [(1, 2)] * 4 + [(1, 4)] * 2
    assert [(row[2].day, row[3]) for row in rows] == [(1, 3), (1, 0), (2, 0), (3, 0), (1, 1), (2, 1)]


def test_dates_with_slashes_are_read_where_the_options_say_how(tmp_path):
    text = lines("a,1,EUR,term,1/2/2026,3/2/2026,31/1/2026")
    _, rows = taken(tmp_path, text, "ChargePeriodStart", date_order="dmy")
    assert rows == [(day(2026, 1, 31),), (day(2026, 2, 1),), (day(2026, 2, 2),)]


def test_lines_of_more_charges_than_are_written_at_once_keep_their_order(tmp_path):
    text = lines(*(f"{n},{n},EUR,day,2026-01-01" for n in range(700)))
    result, rows = taken(tmp_path, text, "x_RowNo", "ChargePeriodStart", "BilledCost", until="2026-01")
    assert rows == [(n + 2, day(2026, 1, d), n) for n in range(700) for d in range(1, 32)]
    assert len(rows) > 20_000
    assert not result.problems


# -- up to which month


def test_no_charge_is_made_after_the_month_of_the_option(tmp_path):
    text = lines("a,31,EUR,month,2026-01-01", "b,3,EUR,term,2026-02-27,2026-03-02,,amortised", "c,9,EUR,day,2026-02-27")
    _, rows = taken(tmp_path, text, "SkuId", "ChargePeriodStart", "BilledCost", until="2026-02")
    assert [(name, start.strftime("%m-%d"), cost) for name, start, cost in rows] == [
        ("a", "01-01", 31),
        ("a", "02-01", 31),
        ("b", "02-27", 1),
        ("b", "02-28", 1),
        ("c", "02-27", 9),
        ("c", "02-28", 9),
    ]


def test_a_term_that_begins_later_may_be_paid_before(tmp_path):
    text = lines("a,1,EUR,term,2026-03-01,2027-03-01,2026-02-28")
    result, rows = taken(tmp_path, text, "ChargeCategory", until="2026-02")
    assert (rows, result.problems) == ([("Purchase",)], ())


def test_a_later_month_of_the_option_adds_to_what_was_there(tmp_path):
    text = lines("a,31,EUR,month,2026-01-01")
    first, _ = taken(tmp_path, text, until="2026-01")
    second, rows = taken(tmp_path, text, "BilledCost", until="2026-02")
    assert [str(snapshot.scope.period) for snapshot in second.published] == ["2026-01", "2026-02"]
    assert rows == [(31,), (31,)]
    assert [restated.lines for restated in second.restatements] == [()]
    assert [str(snapshot.scope.period) for snapshot in first.published] == ["2026-01"]


def test_an_earlier_month_of_the_option_takes_the_later_ones_back(tmp_path):
    text = lines("a,31,EUR,month,2026-01-01")
    taken(tmp_path, text, until="2026-02")
    result, _ = taken(tmp_path, text, until="2026-01")
    assert [(str(s.scope.period), s.rows) for s in result.published] == [("2026-01", 1), ("2026-02", 0)]


def test_the_same_file_is_unchanged(tmp_path):
    text = lines("a,31,EUR,month,2026-01-01")
    taken(tmp_path, text, until="2026-02")
    result, _ = taken(tmp_path, text, until="2026-02")
    assert (result.published, len(result.unchanged)) == ((), 2)


@pytest.mark.parametrize("until", ["2026", "2026-13", "9999-12", "December"])
def test_an_option_that_is_no_month_is_told(until):
    with pytest.raises(ConfigError) as told:
        SOURCE.mapping(("id", "amount", "currency", "per", "start"), replace(CONFIG, options={"until": until}))
    assert f"sources.own.options.until: '{until}' is no month. Write it as \"YYYY-MM\"." in str(told.value)


# -- what the page says

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "connect-bills.md").read_text("utf-8")


def test_the_page_names_every_column_and_option():
    assert (COLUMNS | set(SOURCE.options) | set(Per)) - set(re.findall(r"`([^`\n]+)`", PAGE)) == set()


def test_the_file_on_the_page_is_one_that_can_be_read(tmp_path):
    (text,) = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    (until,) = re.findall(r'until = "([0-9-]+)"', PAGE)
    result, _ = taken(tmp_path, text, until=until)
    assert not result.problems
    (billed,) = re.findall(r"bills ([0-9.,]+) EUR in October", PAGE)
    october = next(snapshot for snapshot in result.published if str(snapshot.scope.period) == "2026-10")
    assert f"{october.totals['EUR']['BilledCost']:,.2f}" == billed


# -- the same bytes


def bytes_of(folder, text, *, threads):
    folder.mkdir()
    (folder / "costs.csv").write_text(text)
    with open_store(folder / "state") as store:
        result = ingest(replace(CONFIG, options={"until": "2028-03"}), store=store, base=folder, threads=threads)
    return [
        (snapshot.id, path.name, hashlib.sha256(path.read_bytes()).hexdigest())
        for snapshot in result.published
        for path in sorted(snapshot.folder.glob("*.parquet"))
    ]


def test_the_same_file_gives_the_same_bytes_whatever_the_threads(tmp_path):
    given_lines = [f"{n},{n}.07,EUR,{per},2027-01-09" for n, per in enumerate(("month", "day", "hour") * 10)]
    text = lines(*given_lines, "t,1,EUR,term,2027-05-01,2030-05-01", "bad,1,EUR,term,2027-05-01")
    first, second = (bytes_of(tmp_path / str(threads), text, threads=threads) for threads in (1, 4))
    assert len(first) == 15 * 2 + 1
    assert first == second
