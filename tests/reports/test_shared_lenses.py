"""Cost before and after sharing, and of which kind it is: the books of `shared_books`, by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.reports.books import charge, post
from tests.reports.shared_books import (
    ADS,
    JOB,
    NOBODY,
    POOLS,
    RISK,
    ask,
    exact,
    in_quanta,
    october,
    posted,
    table,
)

from apportion.ledger.lenses import CostKind, Lens
from apportion.reports.reading.contract import Kind

KINDS = tuple(f"cost_{kind}" for kind in CostKind)
GROUPED = [f"cost_by_{name}" for name in ("team", "model", "project", "environment", "business_unit", "service")]
PER_JOB = """
[[pools]]
id = "net"
when = { service = "Network" }
basis = "BilledCost"
grain = "job"
"""


@pytest.fixture
def run(store):
    return posted(store, october())


def shown(answer):
    """The headings of a wide table."""
    return [column.heading for column in answer.sections[0].columns if not column.detail]


def test_a_teams_cost_is_direct_metered_idle_and_shared(store, run):
    answer = ask(store, run, "cost_by_team")
    assert table(answer, "team", *KINDS, "cost") == [
        ("Ads", Decimal(100), Decimal(20), Decimal(6), Decimal(34), Decimal(160)),  # 12 net, 22 platform
        ("Risk", Decimal(60), None, Decimal(6), Decimal(17), Decimal(83)),  # 6 net, 11 platform
        ("idle", None, None, None, None, Decimal(0)),
        ("platform", None, None, None, None, Decimal(0)),
        ("unallocated", Decimal(9), None, None, None, Decimal(9)),  # support
        ("Total", Decimal(169), Decimal(20), Decimal(12), Decimal(51), Decimal(252)),
    ]


def test_what_a_team_had_before_and_what_pools_took_stand_beside_it(store, run):
    answer = ask(store, run, "cost_by_team")
    assert table(answer, "team", "business_unit", "before_sharing", "given_to_pools") == [
        ("Ads", "Growth", Decimal(120), None),
        ("Risk", "Finance", Decimal(60), None),
        ("idle", "unallocated", Decimal(12), Decimal(-12)),
        ("platform", "Core", Decimal(30), Decimal(-30)),
        ("unallocated", None, Decimal(30), Decimal(-21)),
        ("Total", None, Decimal(252), Decimal(-63)),
    ]


def test_before_sharing_everything_is_whose_it_was(store, run):
    answer = ask(store, run, "cost_by_team", lens=Lens.BEFORE)
    assert table(answer, "team", *KINDS, "cost", "given_to_pools") == [
        ("Ads", Decimal(100), Decimal(20), None, None, Decimal(120), None),
        ("Risk", Decimal(60), None, None, None, Decimal(60), None),
        ("platform", Decimal(30), None, None, None, Decimal(30), Decimal(-30)),
        ("idle", None, None, Decimal(12), None, Decimal(12), Decimal(-12)),
        ("unallocated", Decimal(30), None, None, None, Decimal(30), Decimal(-21)),
        ("Total", Decimal(220), Decimal(20), Decimal(12), None, Decimal(252), Decimal(-63)),
    ]


@pytest.mark.parametrize("name", GROUPED)
def test_both_lenses_add_up_to_the_same_and_kinds_to_the_cost_to_the_last_digit(store, run, name):
    totals = set()
    for lens in Lens:
        *rows, total = exact(ask(store, run, name, lens=lens), "cost", *KINDS)
        assert in_quanta([row[0] for row in rows]) == in_quanta(total[:1])
        assert all(in_quanta(kinds) == in_quanta([cost]) for cost, *kinds in [*rows, total])
        totals.add(total[0])
    assert totals == {Decimal(252)}


def test_what_pools_gave_and_took_is_the_difference_of_the_lenses(store, run):
    after = {row[0]: row[1:] for row in exact(ask(store, run, "cost_by_team"), "team", "cost", "before_sharing")}
    before = dict(exact(ask(store, run, "cost_by_team", lens=Lens.BEFORE), "team", "cost"))
    assert {team: found[1] for team, found in after.items()} == before


def test_each_currency_is_shared_by_itself(store):
    euros = [charge("2026-10", "40", (1, RISK)), charge("2026-10", "8", (1, NOBODY), ServiceName="Network")]
    for each in euros:
        each.values["BillingCurrency"] = "EUR"
    run = posted(store, [*october(), *euros])
    for lens, teams in ((Lens.AFTER, {"Risk": 48, "unallocated": 0}), (Lens.BEFORE, {"Risk": 40, "unallocated": 8})):
        answer = ask(store, run, "cost_by_team", lens=lens)
        assert dict(table(answer, "team", "cost", currency="EUR")) == {**teams, "Total": 48}
        assert table(answer, "cost")[-1] == (Decimal(252),)
    assert [note[:48] for note in ask(store, run, "cost_by_team").notes[1:]] == [
        "After sharing: 1 pool gave on 8.00 EUR of 2026-1",
        "After sharing: 3 pools gave on 63.00 USD of 2026",
    ]


def test_the_title_and_a_note_say_which_lens_it_is(store, run):
    after, before = (ask(store, run, "cost_by_team", lens=lens) for lens in (Lens.AFTER, Lens.BEFORE))
    assert (after.title, before.title) == ("Cost by team, after sharing", "Cost by team, before sharing")
    assert after.notes[1:] == (
        "After sharing: 3 pools gave on 63.00 USD of 2026-10. --lens before shows whose it was, "
        "--by pools what they left.",
    )
    assert before.notes[1:] == (
        "Before sharing: 3 pools gave on 63.00 USD of 2026-10, which --lens after shows where it went.",
    )


def test_a_table_has_the_kinds_that_are_there_and_as_many_columns_as_before_without_pools(store, run):
    usual = ["Team", "Business unit", "Cost", "Change", "Change %", "Trend a month", "Share"]
    assert shown(ask(store, post(store, october()), "cost_by_team")) == usual
    assert shown(ask(store, run, "cost_by_team")) == [
        *("Team", "Business unit", "Direct", "Metered", "Idle", "Shared", *usual[2:]),
        *("Before sharing", "Given to pools"),
    ]
    assert shown(ask(store, run, "cost_by_team", lens=Lens.BEFORE)) == [
        *("Team", "Business unit", "Direct", "Metered", "Idle", *usual[2:], "Given to pools"),
    ]


def test_a_run_without_pools_says_nothing_of_lenses(store):
    answers = [ask(store, post(store, october()), "cost_by_team", lens=lens) for lens in Lens]
    assert answers[0] == answers[1]
    assert (answers[0].title, len(answers[0].notes)) == ("Cost by team", 1)


def test_the_change_is_that_of_the_lens(store):
    run = posted(store, [*october("2026-09")[:3], *october()])
    for lens, change in ((Lens.AFTER, Decimal(40)), (Lens.BEFORE, Decimal(0))):
        assert table(ask(store, run, "cost_by_team", lens=lens), "team", "change")[0] == ("Ads", change)


def test_a_range_adds_up_the_kinds_of_its_months(store):
    run = posted(store, [*october("2026-09"), *october()])
    answer = ask(store, run, "cost_by_team", "2026-09..2026-10")
    keys = ("2026-09", "2026-10", *KINDS, "cost", "before_sharing", "given_to_pools")
    assert table(answer, *keys)[0] == (*map(Decimal, (160, 160, 200, 40, 12, 68, 320, 240)), None)


def test_filters_choose_of_both_lenses_and_of_what_pools_took(store, run):
    answer = ask(store, run, "cost_by_team", filters={"service": ("Network",)})
    assert table(answer, "team", *KINDS, "cost", "before_sharing", "given_to_pools") == [
        ("Ads", None, None, None, Decimal(14), Decimal(14), None, None),
        ("Risk", None, None, None, Decimal(7), Decimal(7), None, None),
        ("unallocated", None, None, None, None, Decimal(0), Decimal(21), Decimal(-21)),
        ("Total", None, None, None, Decimal(21), Decimal(21), Decimal(21), Decimal(-21)),
    ]


def test_the_month_tells_its_kinds(store, run):
    answer = ask(store, run, "trend")
    assert table(answer, "month", "cost", "owned", *KINDS)[-2:] == [
        ("2026-10", Decimal(252), Decimal(243), Decimal(169), Decimal(20), Decimal(12), Decimal(51)),
        ("Total", Decimal(252), Decimal(243), Decimal(169), Decimal(20), Decimal(12), Decimal(51)),
    ]
    assert shown(answer)[-4:] == ["Direct", "Metered", "Idle", "Shared"]
    before = ask(store, run, "trend", lens=Lens.BEFORE)
    assert table(before, "cost", *KINDS)[-1] == (Decimal(252), Decimal(220), Decimal(20), Decimal(12), None)
    assert (answer.title, before.title) == ("Cost by month, after sharing", "Cost by month, before sharing")
    assert shown(ask(store, post(store, october()), "trend"))[-1] == "Trend a month"


def test_evidence_names_the_pool_that_gave(store, run):
    answer = ask(store, run, "evidence")
    assert [(tier, rule.split("@")[0], cost) for tier, rule, cost in table(answer, "tier", "rule", "cost")[:-1]] == [
        ("T1", "tag:team", Decimal(180)),
        ("T4", "pool:platform", Decimal(33)),
        ("T4", "pool:net", Decimal(18)),
        ("T4", "pool:idle", Decimal(12)),
        ("T5", "none", Decimal(9)),
    ]


def test_shared_cost_of_models_is_in_no_job(store, run):
    answer = ask(store, run, "cost_by_job")
    assert table(answer, "job", "cost", *KINDS) == [
        ("job-1", Decimal(20), None, Decimal(20), None, None),
        ("Total", Decimal(20), None, Decimal(20), None, None),
    ]
    assert answer.notes == (
        "Metered and shared in USD: jobs 20.00 + endpoints 0.00 + idle 0.00 + unmetered 0.00 = 20.00.",
        "Shared cost of 63.00 USD stays with models and teams, in no job or endpoint: see --by flow.",
    )


def test_jobs_that_take_part_have_shared_cost(store):
    run = posted(store, october(), PER_JOB)
    answer = ask(store, run, "cost_by_job")
    # 21 over Ads 100, its job 20, Risk 60, platform 30: 2 for the job, 19 for what no job is known for
    assert table(answer, "job", "cost", *KINDS) == [
        ("job-1", Decimal(22), None, Decimal(20), None, Decimal(2)),
        ("idle", Decimal(12), None, None, Decimal(12), None),
        ("Total", Decimal(34), None, Decimal(20), Decimal(12), Decimal(2)),
    ]
    assert answer.notes[-1].startswith("Shared cost of 19.00 USD stays with models and teams")
    assert shown(answer)[-3:] == ["Metered", "Idle", "Shared"]
    before = ask(store, run, "cost_by_job", lens=Lens.BEFORE)
    assert table(before, "job", "cost") == [("job-1", Decimal(20)), ("idle", Decimal(12)), ("Total", Decimal(32))]
    assert before.notes == ("Metered in USD: jobs 20.00 + endpoints 0.00 + idle 12.00 + unmetered 0.00 = 32.00.",)


def test_an_endpoint_that_takes_part_has_shared_cost(store):
    endpoint = JOB | {"x_WorkloadKind": "inference_endpoint", "x_WorkloadId": "chat"}
    charges = [*october(), charge("2026-10", "20", (1, endpoint))]
    answer = ask(store, posted(store, charges, PER_JOB), "cost_by_endpoint")
    (chat, total) = table(answer, "endpoint", "cost", *KINDS)
    assert chat == ("chat", Decimal("21.826086957"), None, Decimal(20), None, Decimal("1.826086957"))  # 21 / 230 · 20
    assert total[1:] == chat[1:]


def test_what_pools_gave_a_model_is_shared_in_its_stages(store, run):
    found = table(ask(store, run, "model_stages"), "model", "training", "shared", "cost")
    assert found[0] == ("bid-optimizer", Decimal(20), Decimal(140), Decimal(160))
    assert found[-1] == ("Total", Decimal(20), Decimal(232), Decimal(252))


def test_what_was_idle_stays_in_its_report_whoever_has_it(store, run):
    for lens in Lens:
        answer = ask(store, run, "idle", lens=lens)
        assert table(answer, "idle_cost")[-1] == (Decimal(12),)
        assert answer.notes[-1] == "Pools gave 12.00 USD of all that was idle on to others: see --by flow."


def test_a_credit_that_a_pool_took_is_given_back_with_its_sign(store):
    credit = charge("2026-10", "-18", (1, NOBODY), ServiceName="Network", ChargeCategory="Credit")
    run = posted(store, [charge("2026-10", "30", (1, ADS)), charge("2026-10", "15", (1, RISK)), credit], POOLS)
    assert table(ask(store, run, "cost_by_team"), "team", "cost_shared", "cost", "given_to_pools") == [
        ("Ads", Decimal(-12), Decimal(18), None),
        ("Risk", Decimal(-6), Decimal(9), None),
        ("unallocated", None, Decimal(0), Decimal(18)),
        ("Total", Decimal(-18), Decimal(27), Decimal(18)),
    ]


def test_every_kind_of_cost_is_money_of_its_currency(store, run):
    columns = {column.key: column for column in ask(store, run, "cost_by_team").sections[0].columns}
    assert len(columns) == len(ask(store, run, "cost_by_team").sections[0].columns)
    for key in (*KINDS, "before_sharing", "given_to_pools"):
        assert (columns[key].kind, columns[key].unit) == (Kind.MONEY, "USD")
