from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.reports.books import charge, owner, post

from apportion.core.money import quanta
from apportion.core.period import Period
from apportion.errors import DamagedFile, NoData, UnknownName
from apportion.ledger.filters import COLUMNS as FIELDS
from apportion.reports import SOCKET
from apportion.reports.reading.opening import open_run
from apportion.store import open_store

ADS = owner("Growth", team="Ads", model="bid-optimizer", environment="production")
RISK = owner("Finance", team="Risk", model="graph-risk", environment="production")
RISK_RULE = owner("Finance", tier="T3", rule="rule:nightly@ab12", team="Risk", model="graph-risk")
NOBODY = owner()
METERED = {"cost_by_endpoint", "cost_by_job"}  # not of all money: see test_metered_reports


def ask(store, run, name, period, **options):
    with open_run(store, run, Period.parse(period), **options) as asked:
        return SOCKET.load(name).answer(asked)


def table(answer, *keys, currency="USD"):
    (section,) = [each for each in answer.sections if each.currency == currency]
    places = [[column.key for column in section.columns].index(key) for key in keys]
    return [tuple(row[place] for place in places) for row in (*section.rows, section.total)]


@pytest.fixture
def books(store):
    """Three months of two teams; 30.00 of October is split 1:2 between the teams, 5.00 is nobody's."""
    return post(
        store,
        [
            charge("2026-08", "100", (1, ADS)),
            charge("2026-08", "40", (1, RISK)),
            charge("2026-09", "110", (1, ADS)),
            charge("2026-10", "120", (1, ADS)),
            charge("2026-10", "50", (1, RISK_RULE)),
            charge("2026-10", "30", (1, ADS), (2, RISK)),
            charge("2026-10", "5", (1, NOBODY)),
        ],
    )


def test_the_month_is_reported_by_team_with_change_share_and_trend(store, books):
    answer = ask(store, books, "cost_by_team", "2026-10", trend_months=3)
    assert (answer.title, answer.metric, str(answer.period)) == ("Cost by team", "BilledCost", "2026-10")
    assert table(answer, "team", "business_unit", "cost", "previous", "change", "trend") == [
        ("Ads", "Growth", Decimal(130), Decimal(110), Decimal(20), Decimal(15)),  # (130 - 100) / 2
        ("Risk", "Finance", Decimal(70), Decimal(0), Decimal(70), Decimal(15)),  # 40, 0, 70
        ("unallocated", None, Decimal(5), Decimal(0), Decimal(5), Decimal("2.5")),  # 0, 0, 5
        ("Total", None, Decimal(205), Decimal(110), Decimal(95), Decimal("32.5")),  # 140, 110, 205
    ]


def test_change_in_percent_is_missing_where_there_was_nothing(store, books):
    answer = ask(store, books, "cost_by_team", "2026-10")
    assert table(answer, "team", "change_ratio", "share") == [
        ("Ads", Decimal("0.181818181818181818"), Decimal("0.634146341463414634")),
        ("Risk", None, Decimal("0.341463414634146341")),
        ("unallocated", None, Decimal("0.024390243902439024")),
        ("Total", Decimal("0.863636363636363636"), Decimal(1)),
    ]


def test_a_row_tells_how_well_its_cost_is_known(store, books):
    answer = ask(store, books, "cost_by_team", "2026-10")
    assert table(answer, "team", "direct", "metered", "inferred", "policy", "unallocated") == [
        ("Ads", Decimal(130), None, None, None, None),
        ("Risk", Decimal(20), None, Decimal(50), None, None),
        ("unallocated", None, None, None, None, Decimal(5)),
        ("Total", Decimal(150), None, Decimal(50), None, Decimal(5)),
    ]


def test_the_months_of_the_trend_are_given_and_unknown_ones_are_none(store, books):
    answer = ask(store, books, "cost_by_team", "2026-10", trend_months=4)
    assert table(answer, "team", "months")[1] == ("Risk", (None, Decimal(40), Decimal(0), Decimal(70)))
    assert answer.notes[0] == (
        "Trend: least squares, per month over 4 months (2026-07..2026-10); empty with fewer than 3 months of bills."
    )


def test_there_is_no_change_without_a_month_before_and_no_trend_of_two_months(store, books):
    august = ask(store, books, "cost_by_team", "2026-08")
    assert table(august, "team", "cost", "previous", "change", "change_ratio", "trend") == [
        ("Ads", Decimal(100), None, None, None, None),
        ("Risk", Decimal(40), None, None, None, None),
        ("Total", Decimal(140), None, None, None, None),
    ]
    september = ask(store, books, "cost_by_team", "2026-09")
    assert table(september, "team", "cost", "change", "trend") == [
        ("Ads", Decimal(110), Decimal(10), None),
        ("Risk", Decimal(0), Decimal(-40), None),
        ("Total", Decimal(110), Decimal(-30), None),
    ]


def test_a_range_gives_each_month_and_the_sum(store, books):
    answer = ask(store, books, "cost_by_team", "2026-09..2026-10")
    assert table(answer, "team", "2026-09", "2026-10", "cost", "previous", "change") == [
        ("Ads", Decimal(110), Decimal(130), Decimal(240), None, None),  # there is no bill of July
        ("Risk", Decimal(0), Decimal(70), Decimal(70), None, None),
        ("unallocated", Decimal(0), Decimal(5), Decimal(5), None, None),
        ("Total", Decimal(110), Decimal(205), Decimal(315), None, None),
    ]


def test_a_model_is_shown_with_its_teams_the_costliest_first(store):
    both = [owner(team="Ads", model="ranker"), owner(team="Risk", model="ranker")]
    run = post(store, [charge("2026-10", "9", (1, both[0]), (2, both[1])), charge("2026-10", "1", (1, ADS))])
    answer = ask(store, run, "cost_by_model", "2026-10")
    assert table(answer, "model", "team", "cost") == [
        ("ranker", "Risk, Ads", Decimal(9)),
        ("bid-optimizer", "Ads", Decimal(1)),
        ("Total", None, Decimal(10)),
    ]


def test_unallocated_is_the_last_row_however_much_it_is(store):
    run = post(store, [charge("2026-10", "900", (1, NOBODY)), charge("2026-10", "1", (1, ADS))])
    assert [row[0] for row in table(ask(store, run, "cost_by_team", "2026-10"), "team")] == [
        "Ads",
        "unallocated",
        "Total",
    ]


def test_equal_costs_are_sorted_by_name_and_credits_come_last(store):
    teams = {"b": "5", "a": "5", "c": "-2"}
    run = post(store, [charge("2026-10", cost, (1, owner(team=team))) for team, cost in teams.items()])
    assert [row[0] for row in table(ask(store, run, "cost_by_team", "2026-10"), "team")] == ["a", "b", "c", "Total"]


@pytest.mark.parametrize("credit", ["-10", "-30"])
def test_a_total_of_zero_or_less_has_no_shares(store, credit):
    run = post(store, [charge("2026-10", "10", (1, ADS)), charge("2026-10", credit, (1, RISK))])
    answer = ask(store, run, "cost_by_team", "2026-10")
    assert table(answer, "team", "cost", "share") == [
        ("Ads", Decimal(10), None),
        ("Risk", Decimal(credit), None),
        ("Total", Decimal(10) + Decimal(credit), None),
    ]


def test_currencies_are_never_added_up_and_the_projects_own_comes_first(store):
    run = post(
        store,
        [
            charge("2026-10", "10", (1, ADS), BillingCurrency="EUR"),
            charge("2026-10", "7", (1, ADS), BillingCurrency="USD"),
        ],
    )
    answer = ask(store, run, "cost_by_team", "2026-10", currency="USD")
    assert [section.currency for section in answer.sections] == ["USD", "EUR"]
    assert table(answer, "team", "cost", currency="EUR") == [("Ads", Decimal(10)), ("Total", Decimal(10))]


def test_a_metric_that_is_missing_is_not_zero(store):
    values = {"EffectiveCost": Decimal(3)}
    run = post(store, [charge("2026-10", "10", (1, ADS)), charge("2026-10", "7", (1, RISK), **values)])
    answer = ask(store, run, "cost_by_team", "2026-10", metric="EffectiveCost")
    assert table(answer, "team", "cost") == [("Risk", Decimal(3)), ("Ads", None), ("Total", Decimal(3))]
    assert answer.notes[1:] == ("EffectiveCost is missing on at least 1 of 2 pieces in USD; it is not in the sums.",)


def test_a_bill_that_is_missing_in_a_month_is_said_and_never_taken_for_zero(store):
    cloud = {"BillingAccountId": "G-1"}
    run = post(
        store,
        [
            charge("2026-09", "10", (1, ADS)),
            charge("2026-10", "10", (1, ADS)),
            charge("2026-10", "7", (1, RISK), **cloud),
        ],
    )
    answer = ask(store, run, "cost_by_team", "2026-10")
    assert table(answer, "team", "previous", "change") == [
        ("Ads", Decimal(10), Decimal(0)),
        ("Risk", None, None),
        ("Total", Decimal(10), Decimal(7)),
    ]
    assert answer.notes[1:] == (
        "Account G-1 has no bill for 2026-09 in this run: its cost there is missing from sums.",
    )


def test_filters_select_and_never_change_an_amount(store, books):
    answer = ask(store, books, "cost_by_model", "2026-10", filters={"team": ("Risk",), "environment": ("production",)})
    assert table(answer, "model", "cost") == [("graph-risk", Decimal(20)), ("Total", Decimal(20))]


def test_an_account_filter_takes_sub_accounts_and_billing_accounts(store):
    run = post(
        store,
        [charge("2026-10", "1", (1, ADS), SubAccountId="S-1"), charge("2026-10", "2", (1, RISK), SubAccountId="S-2")],
    )
    one = ask(store, run, "cost_by_team", "2026-10", filters={"account": ("S-1",)})
    assert table(one, "team", "cost") == [("Ads", Decimal(1)), ("Total", Decimal(1))]
    both = ask(store, run, "cost_by_team", "2026-10", filters={"account": ("A-1",)})
    assert table(both, "cost")[-1] == (Decimal(3),)


def test_filters_that_exclude_each_other_say_so(store, books):
    answer = ask(store, books, "cost_by_team", "2026-10", filters={"team": ("Ads",), "model": ("graph-risk",)})
    assert (answer.sections, answer.notes[-1]) == ((), "No cost matches these filters.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"filters": {"team": ("Rsik",)}},
            "There is no team 'Rsik'. Did you mean 'Risk'? Known: Ads, Risk, unallocated.",
        ),
        (
            {"filters": {"color": ("red",)}},
            "There is no filter 'color'. Known: " + ", ".join(sorted(FIELDS)) + ".",
        ),
        (
            {"metric": "PricingQuantity"},
            "There is no cost metric 'PricingQuantity'. Known: BilledCost, ContractedCost, EffectiveCost, ListCost.",
        ),
    ],
)
def test_what_nobody_has_is_refused_with_what_is_known(store, books, options, message):
    with pytest.raises(UnknownName) as refused:
        ask(store, books, "cost_by_team", "2026-10", **options)
    assert str(refused.value) == message


def test_a_month_without_bill_is_refused(store, books):
    with pytest.raises(NoData) as refused:
        ask(store, books, "cost_by_team", "2026-11")
    assert str(refused.value) == (
        f"Run {books.id} holds no bill of 2026-11. It holds 2026-08 to 2026-10. "
        "Name one of its months, or ingest and allocate it."
    )


def test_a_damaged_file_is_not_read(store, books, tmp_path):
    path = books.parts[0].allocations
    path.parent.chmod(0o755)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    with (
        open_store(tmp_path / "state") as again,
        pytest.raises(DamagedFile, match=r"allocations\.parquet is not the file"),
    ):
        ask(again, again.current_run(), "cost_by_team", "2026-10")


def test_every_report_file_holds_a_report_of_its_name():
    assert SOCKET.names() == [
        "commitments",
        "cost_by_business_unit",
        "cost_by_endpoint",
        "cost_by_environment",
        "cost_by_job",
        "cost_by_model",
        "cost_by_project",
        "cost_by_service",
        "cost_by_team",
        "cost_of_experiment",
        "evidence",
        "flow",
        "idle",
        "metering_gaps",
        "model_stages",
        "pools",
        "restatements",
        "trend",
        "waterfall",
    ]
    assert [SOCKET.load(name).name for name in SOCKET.names()] == SOCKET.names()


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("cost_by_business_unit", ["Growth", "Finance", "unallocated", "Total"]),
        ("cost_by_environment", ["production", "unallocated", "Total"]),
        ("cost_by_project", ["unallocated", "Total"]),
        ("cost_by_service", ["Compute", "Total"]),
    ],
)
def test_cost_is_grouped_by_every_dimension_and_by_service(store, books, name, rows):
    answer = ask(store, books, name, "2026-10")
    assert [row[0] for row in table(answer, name.removeprefix("cost_by_"))] == rows
    assert table(answer, "cost")[-1] == (Decimal(205),)


amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=18)
owners = st.sampled_from([ADS, RISK, RISK_RULE, NOBODY, owner(team="Ads", project="ranking")])
charges = st.builds(
    lambda month, cost, shares: charge(month, str(cost), *shares),
    st.sampled_from(["2026-08", "2026-09", "2026-10"]),
    amounts,
    st.lists(st.tuples(st.integers(1, 1000), owners), min_size=1, max_size=4),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(charges, min_size=1, max_size=12))
def test_the_rows_of_every_grouping_add_up_to_the_bill(tmp_path_factory, found):
    billed = sum(
        (quanta(each.values["BilledCost"]) for each in found if each.values["BillingPeriodStart"].month > 8), 0
    )
    if not any(each.values["BillingPeriodStart"].month > 8 for each in found):
        return
    with open_store(tmp_path_factory.mktemp("state")) as store:
        run = post(store, found)
        for name in (name for name in SOCKET.names() if name.startswith("cost_by_") and name not in METERED):
            *rows, total = table(ask(store, run, name, "2026-09..2026-10"), "cost", "direct", "inferred", "unallocated")
            assert in_quanta(row[0] for row in rows) == in_quanta([total[0]]) == billed
            assert all(in_quanta(tiers) == in_quanta([cost]) for cost, *tiers in rows)


def in_quanta(found):
    return sum(quanta(amount) for amount in found if amount is not None)
