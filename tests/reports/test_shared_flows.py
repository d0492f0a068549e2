"""The waterfall of each team, the flow behind a Sankey, and the pools: the books of `shared_books`, by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.reports.books import charge, post
from tests.reports.shared_books import (
    ADS,
    IDLE,
    JOB,
    NOBODY,
    PLATFORM,
    POOLS,
    RISK,
    ask,
    exact,
    in_quanta,
    october,
    posted,
    table,
)

from apportion.core.money import quanta
from apportion.ledger.lenses import CostKind, Lens
from apportion.store import open_store

CIRCLE = """
[[pools]]
id = "net"
when = { service = "Network" }
basis = "BilledCost"
reciprocal = true
to_pools = [{ pool = "platform" }]

[[pools]]
id = "platform"
when = { team = "platform" }
basis = "BilledCost"
reciprocal = true
to_pools = [{ pool = "net" }]
"""

ONE_BY_ONE = POOLS.replace('id = "idle"', 'id = "idle"\nstage = 4')
"""Whoever a row belongs to and whatever it is for, no two pools of a stage ask for it."""


@pytest.fixture
def run(store):
    return posted(store, october())


def steps(answer, team, currency="USD"):
    rows = table(answer, "team", "step", "pool", "amount", "so_far", currency=currency)
    return [row[1:] for row in rows if row[0] == team]


def test_a_waterfall_goes_from_before_through_pools_to_the_total(store, run):
    answer = ask(store, run, "waterfall")
    assert steps(answer, "Ads") == [
        ("before sharing", None, Decimal(120), Decimal(120)),
        ("received from pools", "idle", Decimal(6), Decimal(126)),
        ("received from pools", "net", Decimal(12), Decimal(138)),
        ("received from pools", "net > platform", Decimal(2), Decimal(140)),
        ("received from pools", "platform", Decimal(20), Decimal(160)),
        ("total", None, Decimal(160), Decimal(160)),
    ]
    assert steps(answer, "platform") == [
        ("before sharing", None, Decimal(30), Decimal(30)),
        ("given to pools", "platform", Decimal(-30), Decimal(0)),
        ("total", None, Decimal(0), Decimal(0)),
    ]


def test_teams_stand_in_the_order_of_their_total_nobody_last(store, run):
    teams = [team for team, step in table(ask(store, run, "waterfall"), "team", "step") if step == "total"]
    assert teams == ["Ads", "Risk", "idle", "platform", "unallocated"]


@pytest.mark.parametrize("lens", Lens)
def test_the_last_row_of_each_team_is_the_total_of_the_report(store, run, lens):
    answer = ask(store, run, "waterfall", lens=lens)
    ends = {team: amount for team, step, amount in exact(answer, "team", "step", "amount") if step == "total"}
    *rows, total = exact(ask(store, run, "cost_by_team"), "team", "cost")
    assert ends == dict(rows)
    assert exact(answer, "amount", "so_far")[-1] == (total[1], total[1])


def test_a_waterfall_of_one_team_ends_in_its_cost(store, run):
    answer = ask(store, run, "waterfall", filters={"team": ("Risk",)})
    rows = table(answer, "team", "amount")
    assert {team for team, _ in rows[:-1]} == {"Risk"}
    assert rows[-2:] == [("Risk", Decimal(83)), ("Total", Decimal(83))]


def test_a_team_that_only_pays_for_others_gives_and_gets(store):
    """Support is of the platform here, and given to a pool; it gets a part of the network itself."""
    pools = """
        [[pools]]
        id = "support"
        when = { service = "Support" }
        method = "fixed"
        split = [{ team = "Ads", weight = 3 }, { team = "Risk", weight = 1 }]

        [[pools]]
        id = "net"
        when = { service = "Network" }
        basis = "BilledCost"
    """
    charges = [
        charge("2026-10", "10", (1, PLATFORM)),
        charge("2026-10", "8", (1, PLATFORM), ServiceName="Support"),
        charge("2026-10", "30", (1, RISK)),
        charge("2026-10", "4", (1, NOBODY), ServiceName="Network"),
    ]
    answer = ask(store, posted(store, charges, pools), "waterfall")
    assert steps(answer, "platform") == [
        ("before sharing", None, Decimal(18), Decimal(18)),
        ("given to pools", "support", Decimal(-8), Decimal(10)),
        ("received from pools", "net", Decimal(1), Decimal(11)),
        ("total", None, Decimal(11), Decimal(11)),
    ]
    assert steps(answer, "Ads") == [
        ("received from pools", "support", Decimal(6), Decimal(6)),
        ("total", None, Decimal(6), Decimal(6)),
    ]


def test_a_waterfall_without_pools_is_what_it_was(store):
    answer = ask(store, post(store, october()), "waterfall")
    assert [row[0] for row in steps(answer, "Ads")] == ["before sharing", "total"]


def test_the_flow_goes_from_whose_it_was_through_pools_to_who_has_it(store, run):
    answer = ask(store, run, "flow")
    assert table(answer, "from_team", "from_service", "from_kind", "path", "team", "model", "amount") == [
        ("idle", "Compute", "idle", "idle", "Ads", "bid-optimizer", Decimal(6)),
        ("idle", "Compute", "idle", "idle", "Risk", "graph-risk", Decimal(6)),
        ("platform", "Kubernetes", None, "platform", "Ads", "bid-optimizer", Decimal(20)),
        ("platform", "Kubernetes", None, "platform", "Risk", "graph-risk", Decimal(10)),
        ("unallocated", "Network", None, "net", "Ads", "bid-optimizer", Decimal(12)),
        ("unallocated", "Network", None, "net", "Risk", "graph-risk", Decimal(6)),
        ("unallocated", "Network", None, "net > platform", "Ads", "bid-optimizer", Decimal(2)),
        ("unallocated", "Network", None, "net > platform", "Risk", "graph-risk", Decimal(1)),
        ("Total", None, None, None, None, None, Decimal(63)),
    ]


def test_the_flow_adds_up_to_what_pools_gave_to_the_last_digit(store, run):
    *rows, total = exact(ask(store, run, "flow"), "amount")
    *_, (idle, shared, before, after) = exact(
        ask(store, run, "cost_by_team"), "cost_idle", "cost_shared", "before_sharing", "cost"
    )
    assert in_quanta(row[0] for row in rows) == in_quanta(total) == in_quanta([idle, shared])
    assert before == after


def test_filters_of_the_flow_choose_who_got_it(store, run):
    answer = ask(store, run, "flow", filters={"team": ("Risk",), "service": ("Network",)})
    assert table(answer, "path", "amount") == [
        ("net", Decimal(6)),
        ("net > platform", Decimal(1)),
        (None, Decimal(7)),
    ]
    nothing = ask(store, run, "flow", filters={"team": ("platform",)})
    assert nothing.notes == ("No shared cost matches these filters; --team, --model and --job are here who got it.",)


def test_a_flow_without_pools_says_how_to_write_one(store):
    answer = ask(store, post(store, october()), "flow")
    assert (answer.sections, answer.notes) == (
        (),
        ("No pool gave anything on in 2026-10: docs/how-to/share-costs.md says how to write one.",),
    )


def test_a_pool_says_what_it_took_gave_and_left(store, run):
    answer = ask(store, run, "pools")
    keys = ("pool", "stage", "rows", "cells", "receivers", "taken", "from_pools", "to_owners", "to_pools", "left_over")
    assert table(answer, *keys) == [
        ("idle", 1, 1, 1, 2, Decimal(12), None, Decimal(12), None, None),
        ("net", 1, 1, 1, 2, Decimal(21), None, Decimal(18), Decimal(3), None),
        ("platform", 2, 1, 1, 2, Decimal(30), Decimal(3), Decimal(33), None, None),
        ("support", 3, 0, 0, 0, None, None, None, None, Decimal(9)),
        ("Total", None, 3, 3, None, Decimal(63), Decimal(3), Decimal(63), Decimal(3), Decimal(9)),
    ]
    assert answer.notes == (
        "Left over: 9.00 USD stays whose it was, for nobody weighed anything within reach: "
        "another 'within', 'basis' or 'leftover' gives it on.",
    )


def test_a_pool_says_what_it_is(store, run):
    keys = ("pool", "method", "basis", "within", "time", "grain", "gives_to_pools", "leftover", "reciprocal")
    assert table(ask(store, run, "pools"), *keys)[:-1] == [
        ("idle", "even", None, None, "month", "model", None, "keep", "no"),
        ("net", "proportional_cost", "BilledCost", None, "month", "model", "platform", "keep", "no"),
        ("platform", "proportional_cost", "BilledCost", None, "month", "model", None, "keep", "no"),
        ("support", "proportional_cost", "BilledCost", "provider", "month", "model", None, "keep", "no"),
    ]


def test_a_pool_that_gives_a_part_says_which_share(store):
    """Support of the provider where teams work is given, that of the other stays."""
    here = charge("2026-10", "3", (1, NOBODY), ServiceName="Support")
    answer = ask(store, posted(store, [*october(), here]), "pools")
    found = {row[0]: row[1:] for row in table(answer, "pool", "rows", "taken", "left_rows", "left_over", "share")}
    assert found["support"] == (1, Decimal(3), 1, Decimal(9), Decimal("0.25"))
    assert found["net"][-1] == Decimal(1)


def test_filters_choose_what_pools_took(store, run):
    answer = ask(store, run, "pools", filters={"service": ("Network",)})
    assert table(answer, "pool", "taken", "to_owners", "to_pools")[:-1] == [
        ("net", Decimal(21), Decimal(18), Decimal(3)),
        ("platform", None, Decimal(3), None),
    ]
    assert answer.notes == ("No cost matches these filters: idle, support.",)


def test_pools_in_a_circle_give_straight_to_owners(store):
    answer = ask(store, posted(store, october(), CIRCLE), "pools")
    assert table(answer, "taken", "to_owners", "reciprocal")[-2:] == [
        (Decimal(30), Decimal(30), "yes"),
        (Decimal(51), Decimal(51), None),
    ]
    flow = ask(store, posted(store, october(), CIRCLE), "flow")
    assert table(flow, "amount")[-1] == (Decimal(51),)


def test_a_pool_that_matches_nothing_is_named(store):
    run = posted(store, [charge("2026-10", "5", (1, ADS))])
    answer = ask(store, run, "pools")
    assert (answer.sections, answer.notes) == ((), ("No cost of 2026-10 matches: idle, net, platform, support.",))


def test_a_run_without_pools_says_how_to_write_one(store):
    answer = ask(store, post(store, october()), "pools")
    assert answer.notes == ("This run has no pools: docs/how-to/share-costs.md says how to write one.",)


def test_pools_of_several_months_are_added_up(store):
    run = posted(store, [*october("2026-09"), *october()])
    answer = ask(store, run, "pools", "2026-09..2026-10")
    assert table(answer, "pool", "rows", "cells", "receivers", "taken", "to_owners", "left_over")[1:] == [
        ("net", 2, 2, 2, Decimal(42), Decimal(36), None),
        ("platform", 2, 2, 2, Decimal(60), Decimal(66), None),
        ("support", 0, 0, 0, None, None, Decimal(18)),
        ("Total", 6, 6, None, Decimal(126), Decimal(126), Decimal(18)),
    ]


amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=9)
owners = st.sampled_from([ADS, RISK, JOB, PLATFORM, IDLE, NOBODY])
charges = st.builds(
    lambda cost, shares, service, currency: charge(
        "2026-10", str(cost), *shares, ServiceName=service, BillingCurrency=currency
    ),
    amounts,
    st.lists(st.tuples(st.integers(1, 100), owners), min_size=1, max_size=3),
    st.sampled_from(["Compute", "Network", "Support"]),
    st.sampled_from(["USD", "EUR"]),
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(charges, min_size=1, max_size=8))
def test_every_report_of_shared_cost_adds_up_to_the_bill(tmp_path_factory, found):
    billed: dict[str, int] = {}
    for each in found:
        code = each.values["BillingCurrency"]
        billed[code] = billed.get(code, 0) + quanta(each.values["BilledCost"])
    with open_store(tmp_path_factory.mktemp("state")) as store:
        run = posted(store, found, ONE_BY_ONE)
        after, before = (ask(store, run, "cost_by_team", lens=lens) for lens in (Lens.AFTER, Lens.BEFORE))
        flow, waterfall = ask(store, run, "flow"), ask(store, run, "waterfall")
    flowing = {section.currency for section in flow.sections}
    for code, amount in billed.items():
        for answer in (after, before):
            *rows, total = exact(answer, "cost", *(f"cost_{kind}" for kind in CostKind), currency=code)
            assert in_quanta(row[0] for row in rows) == in_quanta(total[:1]) == amount
            assert all(in_quanta(row[1:]) == in_quanta(row[:1]) for row in rows)
        taken = exact(after, "given_to_pools", currency=code)[-1]
        given_on = exact(flow, "amount", currency=code)[-1] if code in flowing else ()
        assert in_quanta(given_on) == -in_quanta(taken)
        ends = exact(waterfall, "team", "step", "amount", currency=code)
        teams = dict(exact(after, "team", "cost", currency=code)[:-1])
        assert {team: cost for team, step, cost in ends if step == "total"} == teams
