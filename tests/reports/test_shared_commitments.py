"""Who bought commitments, who used them, and who saved: by hand, as FOCUS writes them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.reports.books import charge, owner, post
from tests.reports.shared_books import ADS, NOBODY, PLATFORM, RISK, ask, posted, table

PLAN = {
    "CommitmentDiscountId": "sp-1",
    "CommitmentDiscountName": "Compute plan",
    "CommitmentDiscountType": "Savings Plan",
    "CommitmentDiscountCategory": "Spend",
}
UNUSED_POOL = """
[[pools]]
id = "unused"
when = { commitment_status = "Unused" }
basis = "EffectiveCost"
"""


def row(billed, effective, who, *, plan=PLAN, month="2026-10", on_demand="0", listed="0", **values):
    """A charge with all its costs; `on_demand` is its ContractedCost."""
    costs = {"EffectiveCost": effective, "ContractedCost": on_demand, "ListCost": listed}
    amounts = {name: Decimal(text) for name, text in costs.items()}
    return charge(month, billed, (1, who), **plan, **amounts, **values)


def bought(price, who, **values):
    """The purchase: all of its price is billed, none of it effective."""
    return row(price, "0", who, ChargeCategory="Purchase", on_demand=price, listed=price, **values)


def used(effective, who, on_demand, listed, **values):
    """Covered use: nothing is billed, its part of the price is effective."""
    return row("0", effective, who, on_demand=on_demand, listed=listed, CommitmentDiscountStatus="Used", **values)


def unused(effective, who, **values):
    return row("0", effective, who, CommitmentDiscountStatus="Unused", **values)


OCTOBER = [
    bought("100", PLATFORM),
    used("60", ADS, "90", "120"),
    used("30", RISK, "40", "60"),
    unused("10", PLATFORM),
    charge("2026-10", "50", (1, ADS), EffectiveCost=Decimal(50), ContractedCost=Decimal(50), ListCost=Decimal(50)),
]


@pytest.fixture
def run(store):
    return post(store, OCTOBER)


def test_who_bought_who_used_and_what_was_unused_stand_beside_each_other(store, run):
    answer = ask(store, run, "commitments")
    assert table(answer, "commitment", "bought_by", "use", "team", "billed", "effective") == [
        ("Compute plan", "platform", "bought", "platform", Decimal(100), Decimal(0)),
        ("Compute plan", "platform", "used", "Ads", Decimal(0), Decimal(60)),
        ("Compute plan", "platform", "used", "Risk", Decimal(0), Decimal(30)),
        ("Compute plan", "platform", "unused", "platform", Decimal(0), Decimal(10)),
        ("Total", None, None, None, Decimal(100), Decimal(100)),
    ]


def test_a_commitment_is_told_by_name_id_type_and_provider(store, run):
    found = table(ask(store, run, "commitments"), "commitment", "id", "type", "category", "provider")
    assert found[0] == ("Compute plan", "sp-1", "Savings Plan", "Spend", "Cloud One")


def test_what_covered_use_would_have_cost_is_what_it_saved_and_unused_is_lost(store, run):
    answer = ask(store, run, "commitments")
    assert table(answer, "team", "use", "contracted", "list", "saving") == [
        ("platform", "bought", None, None, None),
        ("Ads", "used", Decimal(90), Decimal(120), Decimal(30)),
        ("Risk", "used", Decimal(40), Decimal(60), Decimal(10)),
        ("platform", "unused", None, None, Decimal(-10)),
        (None, None, Decimal(130), Decimal(180), Decimal(30)),
    ]


def test_who_saved_by_what_another_team_bought_is_said(store, run):
    answer = ask(store, run, "commitments")
    assert table(answer, "team", "benefit") == [
        ("platform", None),
        ("Ads", Decimal(30)),
        ("Risk", Decimal(10)),
        ("platform", None),
        (None, Decimal(40)),
    ]
    assert answer.notes == (
        "Ads saved 30.00 USD by what platform bought.",
        "Risk saved 10.00 USD by what platform bought.",
        "Unused: 10.00 USD of EffectiveCost.",
    )


def test_what_the_buyer_uses_itself_is_a_saving_and_no_benefit(store):
    run = post(store, [bought("100", ADS), used("60", ADS, "90", "120")])
    assert table(ask(store, run, "commitments"), "use", "saving", "benefit")[1] == ("used", Decimal(30), None)


def test_the_month_of_the_purchase_may_be_another(store):
    run = post(store, [bought("1200", PLATFORM, month="2026-01"), used("60", ADS, "90", "120")])
    assert table(ask(store, run, "commitments"), "bought_by", "use", "team", "benefit") == [
        ("platform", "used", "Ads", Decimal(30)),
        (None, None, None, Decimal(30)),
    ]


def test_without_a_purchase_the_owner_of_what_is_unused_is_the_buyer(store):
    run = post(store, [used("60", ADS, "90", "120"), unused("10", RISK)])
    assert {row[0] for row in table(ask(store, run, "commitments"), "bought_by")[:-1]} == {"Risk"}


def test_where_nobody_is_known_to_have_bought_it_nobody_benefits(store):
    run = post(store, [used("60", ADS, "90", "120")])
    assert table(ask(store, run, "commitments"), "bought_by", "saving", "benefit")[0] == (None, Decimal(30), None)


def test_an_unused_part_that_a_pool_gave_on_says_which(store):
    unowned = [*OCTOBER[:3], unused("10", NOBODY), OCTOBER[4]]
    run = posted(store, unowned, UNUSED_POOL)
    answer = ask(store, run, "commitments")
    assert table(answer, "use", "team", "pool", "effective")[3] == ("unused", "unallocated", "unused", Decimal(10))
    teams = ask(store, run, "cost_by_team", metric="EffectiveCost")
    shared = {team: amount for team, amount in table(teams, "team", "cost_shared")[:-1] if amount}
    # 110 : 30 of what each has without it
    assert shared == {"Ads": Decimal("7.857142857"), "Risk": Decimal("2.142857143")}


def test_both_costs_of_a_commitment_add_up_over_a_term(store):
    """A year paid at once: billed in January, effective in the months it covers."""
    months = [f"2026-{month:02}" for month in range(1, 13)]
    charges = [bought("1200", PLATFORM, month="2026-01")]
    charges += [used("100", ADS, "150", "150", month=month) for month in months]
    answer = ask(store, post(store, charges), "commitments", "2026-01..2026-12")
    assert table(answer, "billed", "effective")[-1] == (Decimal(1200), Decimal(1200))


def test_a_tax_on_a_commitment_is_neither_bought_nor_used(store):
    run = post(store, [*OCTOBER, row("19", "19", PLATFORM, ChargeCategory="Tax")])
    assert table(ask(store, run, "commitments"), "use", "team", "effective", "saving")[-2] == (
        ("tax", "platform", Decimal(19), None)
    )


def test_a_split_purchase_has_several_buyers(store):
    charges = [bought("100", ADS), used("60", ADS, "90", "120"), used("30", RISK, "40", "60")]
    charges[0].shares.append((1, owner(team="Search")))
    assert table(ask(store, post(store, charges), "commitments"), "bought_by", "use", "team", "benefit")[-3:-1] == [
        ("Ads, Search", "used", "Ads", None),
        ("Ads, Search", "used", "Risk", Decimal(10)),
    ]


def test_filters_choose_who_used_and_not_who_bought(store, run):
    answer = ask(store, run, "commitments", filters={"team": ("Risk",)})
    assert table(answer, "bought_by", "team", "benefit") == [
        ("platform", "Risk", Decimal(10)),
        (None, None, Decimal(10)),
    ]


def test_a_bill_without_commitments_says_so(store):
    run = post(store, [OCTOBER[4]])
    assert ask(store, run, "commitments").notes == ("No bill of 2026-10 names a commitment.",)
    assert ask(store, run, "commitments").sections == ()


def test_a_missing_effective_cost_is_said(store):
    run = post(store, [bought("100", PLATFORM), charge("2026-10", "5", (1, ADS), **PLAN)])
    answer = ask(store, run, "commitments")
    assert answer.notes == (
        "EffectiveCost is missing on 1 piece of commitments in USD: what it would say is in no sum.",
    )
    assert table(answer, "use", "effective", "saving")[1] == ("used", None, None)


def test_the_largest_commitment_is_first(store):
    small = {**PLAN, "CommitmentDiscountId": "ri-2", "CommitmentDiscountName": None}
    run = post(store, [bought("5", ADS, plan=small), used("4", RISK, "6", "6", plan=small), *OCTOBER])
    names = [name for (name,) in table(ask(store, run, "commitments"), "commitment")]
    assert names == ["Compute plan"] * 4 + ["ri-2"] * 2 + ["Total"]
