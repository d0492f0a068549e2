from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from click.testing import CliRunner
from tests.pooled_company import write_company

from apportion import app
from apportion.cli.main import cli
from apportion.core.measures import Measure
from apportion.core.period import Period
from apportion.errors import NoData, UnknownName
from apportion.ledger.explain_shared_words import PoolCell, Portion, basis_words
from apportion.ledger.lenses import Lens
from apportion.reports.reading.opening import open_run

OCTOBER = Period.parse("2026-10")
COIN = Decimal("0.01")


@pytest.fixture(scope="module")
def pooled(tmp_path_factory):
    with app.open_project(write_company(tmp_path_factory.mktemp("pooled") / "company")) as project:
        app.ingest(project)
        app.run(project)
        yield project


def explained(project, currency="USD", *, lens=Lens.AFTER, limit=100, **filters):
    asked = {name: (value,) for name, value in filters.items()}
    found = app.amount_explained(project, period=OCTOBER, filters=asked, limit=limit, lens=lens)
    (one,) = [each for each in found if each.currency == currency]
    return one


def share_of(project, path, service, team="risk"):
    (found,) = [
        share
        for share in explained(project, team=team).shares
        if share.path == path and share.costs[0].service == service
    ]
    return found


def test_the_amount_is_the_one_that_the_report_shows(pooled):
    with open_run(pooled.store, pooled.store.current_run(), OCTOBER) as asked:
        sql = "SELECT x_Team, SUM(BilledCost) FROM allocations WHERE BillingCurrency = 'USD' GROUP BY ALL"
        shown = dict(asked.db.rows(sql))
    assert {team: explained(pooled, team=team).amount for team in shown} == shown


def test_reasons_add_up_and_shares_are_the_part_that_pools_gave(pooled):
    found = explained(pooled, team="risk")
    assert sum(reason.amount for reason in found.reasons) == found.amount
    assert sum(share.amount for share in found.shares) == found.shared
    assert found.share_count == len(found.shares) == 12
    assert found.amount.quantize(COIN) == Decimal("105.17")
    told = {(r.evidence, r.rule_id.split("@")[0], r.service): r.charges for r in found.reasons}
    assert told["T4", "pool:network", "Network"] == 2
    assert told["T4", "pool:queue", "Queue"] == 4 - 1
    assert [abs(r.amount) for r in found.reasons] == sorted((abs(r.amount) for r in found.reasons), reverse=True)


def test_pieces_are_of_rows_that_no_pool_took(pooled):
    found = explained(pooled, team="risk")
    assert [(piece.service, piece.amount) for piece in found.pieces] == [("Compute", 60), ("Batch", 3)]
    assert found.count == 2
    assert sum(piece.amount for piece in found.pieces) + found.shared == found.amount


def test_what_pools_took_and_left_is_explained_by_both_lenses(pooled):
    assert explained(pooled, team="unallocated").amount == 7
    before = explained(pooled, team="unallocated", lens=Lens.BEFORE)
    assert before.amount == Decimal("100.5")
    assert (before.shares, before.shared, before.lens) == ((), 0, Lens.BEFORE)
    assert {piece.service for piece in before.pieces} >= {"Network", "Support", "Alone"}


def test_a_shared_amount_names_pool_rows_basis_weight_share_and_way(pooled):
    (share,) = explained(pooled, team="risk", account="111", service="Network").shares
    (hop,) = share.hops
    assert (hop.cell.pool, hop.cell.stage, hop.cell.method, hop.cell.place) == (
        "network",
        1,
        "proportional_cost",
        "account=111",
    )
    assert basis_words(hop.cell, hop.portion) == "EffectiveCost: 60 of 90 USD"
    assert (hop.cell.counted(hop.portion.basis), hop.cell.unit) == (60, "USD")
    assert (hop.portion.weight, hop.cell.total_weight) == (60 * 10**18, 90 * 10**18)
    assert abs(share.share - Fraction(2, 3)) < Fraction(1, 10**12)
    assert (share.whole_amount, share.amount.quantize(COIN)) == (9, 6)
    (cost,) = share.costs
    assert (cost.service, cost.origin_team, cost.rows, cost.charges, cost.amount) == ("Network", "unallocated", 1, 1, 9)
    assert (share.owner["team"], share.month) == ("risk", datetime(2026, 10, 1))


def test_an_amount_is_within_a_quantum_of_its_share(pooled):
    for team in ("risk", "growth"):
        for share in explained(pooled, team=team).shares:
            exact = share.share * Fraction(share.whole_amount)
            assert abs(Fraction(share.amount) - exact) <= Fraction(len(share.hops), 10**18)


def test_a_way_through_two_pools_shows_each_hop(pooled):
    share = share_of(pooled, ("support", "platform"), "Support")
    assert [(hop.cell.pool, hop.cell.stage, hop.came, hop.gave) for hop in share.hops] == [
        ("support", 1, 8, 6),
        ("platform", 2, 6, 3),
    ]
    assert [basis_words(hop.cell, hop.portion) for hop in share.hops] == [
        "3 of 4 stated parts",
        "every receiver the same: 1 of 2",
    ]
    assert (share.share, share.amount) == (Fraction(3, 8), 3)


def test_pools_that_give_to_each_other_say_so(pooled):
    share = share_of(pooled, ("it",), "IT")
    (hop,) = share.hops
    assert (share.amount.quantize(COIN), hop.share) == (Decimal("6.67"), Fraction(2, 3))
    assert basis_words(hop.cell, hop.portion) == "1 of 2 stated parts, then by equations"
    assert "solved together, by equations" in hop.cell.notes
    assert share_of(pooled, ("hr",), "HR").amount == 2
    assert basis_words(*astuple(share_of(pooled, ("hr",), "HR").hops[0])) == "by equations"


def astuple(hop):
    return hop.cell, hop.portion


def test_a_wider_cell_a_day_and_a_last_resort_are_told(pooled):
    shares = explained(pooled, team="risk").shares
    told = {(share.path[0], share.hops[0].cell.place): share.hops[0].cell.notes for share in shares}
    assert told["network", "everywhere"] == "nobody had the basis within its account, so it was divided more widely"
    assert told["queue", "day=2026-10-01"] == ""
    assert told["queue", "everywhere"] == "no day of its own: by the weights of the month"
    assert told["orphans", "everywhere"] == "nobody had the basis, so all its receivers got the same"


def test_use_and_tiers_are_told_in_hours(pooled):
    gpus, tiers = share_of(pooled, ("gpus",), "GPU fund"), share_of(pooled, ("tiers",), "GPU licence")
    assert (gpus.workload_id, gpus.amount) == ("training", 10)
    assert basis_words(*astuple(gpus.hops[0])) == "25 of 100 GPU-hours"
    assert gpus.hops[0].cell.counted(gpus.hops[0].portion.basis) == 25
    assert basis_words(*astuple(tiers.hops[0])) == "25 of 100 GPU-hours; weight 33.33 of 100 by tiered"
    assert tiers.hops[0].cell.weighed(7) == 7


def test_a_filter_by_service_narrows_what_was_divided_and_no_share(pooled):
    found = explained(pooled, team="risk", service="Tools")
    assert found.amount == 2
    (share,) = found.shares
    assert (share.whole_amount, share.amount, share.hops[0].came) == (4, 2, 4)
    assert explained(pooled, service="Tools").amount == 4


def test_a_job_that_only_a_pool_knows_is_found(pooled):
    found = explained(pooled, job="training")
    assert (found.amount, found.count, found.pieces, found.share_count) == (10, 0, (), 1)
    with pytest.raises(NoData, match="Only pools gave cost in 2026-10 that matches all filters"):
        explained(pooled, job="training", lens=Lens.BEFORE)


def test_whose_cost_pools_took_altogether_is_sent_to_the_other_lens(pooled):
    with pytest.raises(NoData, match="Pools gave on everything in 2026-10 that matches all") as caught:
        explained(pooled, team="platform")
    assert "--lens before" in str(caught.value.fix)
    assert explained(pooled, team="platform", lens=Lens.BEFORE).amount == 4
    with pytest.raises(NoData, match="No cost in 2026-10 matches all filters"):
        explained(pooled, team="platform", service="Compute")
    with pytest.raises(UnknownName, match="There is no team 'rsk'"):
        explained(pooled, team="rsk")


def test_the_limit_keeps_the_largest_shares_of_each_currency(pooled):
    found = explained(pooled, team="risk", limit=2)
    assert ([share.path[0] for share in found.shares], found.share_count) == (["gpus", "queue"], 12)
    euros = explained(pooled, "EUR", team="risk", limit=2)
    assert (euros.amount, euros.shared, euros.share_count) == (15, 3, 1)


def charge_of(project, service, amount):
    found = explained(project, service=service, lens=Lens.BEFORE).pieces
    return next(piece.charge_id for piece in found if piece.amount == amount)


def test_a_charge_says_which_pool_took_it_and_who_got_it(pooled):
    charge = app.charge_explained(pooled, charge_of(pooled, "Network", 9))
    (piece,) = charge.pieces
    taker = piece.pooled
    assert (taker.cell.pool, taker.cell.place, taker.amount, taker.rows, taker.charges) == (
        "network",
        "account=111",
        9,
        1,
        1,
    )
    told = [(r.owner["team"], r.to_pool, round(r.portion.of(taker.cell.whole), 9)) for r in taker.receivers]
    assert told == [("risk", None, Fraction(666666667, 10**9)), ("growth", None, Fraction(333333333, 10**9))]
    assert [r.about.quantize(COIN) for r in taker.receivers] == [6, 3]


def test_a_charge_that_went_to_another_pool_names_it(pooled):
    (piece,) = app.charge_explained(pooled, charge_of(pooled, "Support", 8), limit=1).pieces
    (receiver,) = piece.pooled.receivers
    assert (receiver.to_pool, receiver.owner, receiver.about) == ("platform", None, 6)


@pytest.mark.parametrize(("amount", "place"), [(2, "day=2026-10-01"), (4, "everywhere"), (8, "everywhere")])
def test_a_charge_of_a_day_is_divided_in_its_day(pooled, amount, place):
    (piece,) = app.charge_explained(pooled, charge_of(pooled, "Queue", amount)).pieces
    assert piece.pooled.cell.place == place


def test_a_charge_that_no_pool_took_says_nothing_of_pools(pooled):
    (piece,) = app.charge_explained(pooled, charge_of(pooled, "Alone", 7)).pieces
    assert piece.pooled is None
    (owned,) = app.charge_explained(pooled, charge_of(pooled, "Compute", 60)).pieces
    assert owned.pooled is None


def test_a_metric_without_an_amount_is_about_nothing(pooled):
    (piece,) = app.charge_explained(pooled, charge_of(pooled, "Network", 9), metric="ConsumedQuantity").pieces
    assert [receiver.about for receiver in piece.pooled.receivers] == [None, None]
    assert piece.pooled.amount == 0
    found = app.amount_explained(pooled, period=OCTOBER, metric="ConsumedQuantity", filters={"service": ("Network",)})
    assert {(each.amount, share.amount) for each in found for share in each.shares} == {(0, 0)}


# -- words

CELL = PoolCell(
    pool="p",
    version="1",
    stage=1,
    method="proportional_usage",
    basis_name="gpu_seconds",
    within={"account": "111", "cluster": ""},
    dropped=(),
    time="hour",
    bucket=datetime(2026, 10, 1, 14),
    leftover="keep",
    reciprocal=False,
    currency="USD",
    total_basis=7200 * 10**9,
    total_weight=7200 * 10**9,
    whole=2,
    receivers=2,
)


def test_a_place_names_empty_values_and_hours():
    assert CELL.place == "account=111, cluster=none, hour=2026-10-01 14:00"


def test_a_peak_and_a_basis_below_nothing_are_told():
    assert (
        basis_words(replace(CELL, method="peak"), Portion(3600 * 10**9, 1, 0, 1)) == "largest hours: 1 of 2 GPU-hours"
    )
    cost = replace(CELL, basis_name="BilledCost", total_basis=10**18, total_weight=10**18)
    assert basis_words(cost, Portion(-(10**18), 0, 0, 0)) == "BilledCost: −1 of 1 USD; below 0 weighs nothing"


def test_the_parts_of_a_table_are_in_its_own_numbers():
    table = replace(CELL, method="table", basis_name=None, total_basis=4_000_000, total_weight=4_000_000)
    assert basis_words(table, Portion(1_500_000, 1_500_000, 0, 1)) == "1.5 of 4 stated parts"
    assert (table.counted(1_500_000), table.weighed(1_500_000)) == (Decimal("1.5"), Decimal("1.5"))
    assert (table.counted(None), replace(table, total_basis=None).unit) == (None, None)


def test_an_owner_named_for_what_is_left_is_told():
    cell = replace(CELL, leftover="owner", total_basis=None, total_weight=1, bucket=None)
    assert cell.notes == "nobody had the basis, so whom it names for that got it"
    assert basis_words(cell, Portion(None, 1, 0, 2)) == "who is left: 1 of 1"


@pytest.mark.parametrize("measure", Measure)
def test_every_measure_has_a_noun(measure):
    told = basis_words(replace(CELL, basis_name=measure), Portion(3600 * 10**9, 1, 0, 1))
    assert " of " in told


# -- the command


def said(project, *words):
    done = CliRunner().invoke(cli, ["--project", str(project.folder), "explain", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_shows_shares_and_by_what_they_came_about(pooled):
    shown = said(pooled, "--team", "risk", "--format", "md")
    assert "What BilledCost after sharing consists of" in shown
    assert "| support > platform | risk | Support |" in shown
    assert "| 4 | network | EffectiveCost: 60 of 90 USD | 66.7% |" in shown
    assert "| 5 | network | everywhere | Network | unallocated | 1 | 1 |" in shown


def hop_share(hop):
    """The interval of a row of JSON as a part of its whole."""
    low, high, whole = (int(number) for number in re.findall(r"\d+", hop["share"]))
    return Fraction(high - low, whole)


def test_json_has_all_figures_of_a_share(pooled):
    document = json.loads(said(pooled, "--team", "risk", "--limit", "20", "--json"))
    by_title = {section["title"]: section["rows"] for section in document["sections"] if section["currency"] == "USD"}
    (hop,) = [row for row in by_title["USD: by what they were shared"] if row["pool"] == "tiers"]
    assert (hop["basis"], hop["total_basis"], hop["unit"]) == ("25", "100", "GPU-hours")
    assert Fraction(hop["whole_weight"]) / Fraction(hop["whole_total_weight"]) - hop_share(hop) < Fraction(1, 10**12)
    assert hop["share"].startswith("[")
    assert hop["reciprocal"] is False


def test_before_sharing_the_command_shows_no_shares(pooled):
    shown = said(pooled, "--team", "unallocated", "--lens", "before", "--format", "md")
    assert "shared amounts" not in shown
    assert "What BilledCost before sharing consists of" in shown
    assert "| Support |" in shown


def test_only_shared_cost_has_no_empty_list_of_pieces(pooled):
    shown = said(pooled, "--job", "training", "--format", "md")
    assert "of 0 pieces" not in shown
    assert "| gpus | training |" in shown


def test_the_command_tells_where_a_charge_went(pooled):
    shown = said(pooled, "charge", charge_of(pooled, "Support", 8), "--format", "md")
    assert "**Whose it was before pools**" in shown
    assert "| support | unallocated | pool platform | 3 of 4 stated parts | 75.0% |" in shown
    assert "about its share of it" in shown
    other = said(pooled, "charge", charge_of(pooled, "Alone", 7), "--format", "md")
    assert "**Who got it**" in other
