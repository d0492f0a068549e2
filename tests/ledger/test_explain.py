from __future__ import annotations

from decimal import Decimal
from hashlib import sha256

import pytest

from apportion import app
from apportion.core.period import Period
from apportion.errors import NoData, UnknownName

OCTOBER = Period.parse("2026-10")


def test_an_amount_is_explained_down_to_file_row_and_hash(allocated):
    (found,) = app.amount_explained(allocated, period=OCTOBER, filters={"team": ("risk",)})
    assert (found.currency, found.amount, found.count) == ("USD", Decimal("95.004"), 3)
    assert sum(reason.amount for reason in found.reasons) == found.amount
    largest = found.pieces[0]
    assert (largest.row, largest.amount, largest.whole_amount) == (2, Decimal(100), Decimal(100))
    assert largest.file_sha256 == sha256((allocated.folder / "bills" / "2026-10.csv").read_bytes()).hexdigest()
    assert largest.file.endswith("2026-10.csv")


def test_the_reasons_name_tier_rule_and_service(allocated):
    (found,) = app.amount_explained(allocated, period=OCTOBER, filters={"team": ("risk",)})
    told = [(r.evidence, r.rule_id.split("@")[0], r.service, r.charges, r.amount) for r in found.reasons]
    assert told == [
        ("T1", "tag:team", "Compute", 2, Decimal("95.00")),
        ("T3", "rule:shared-endpoint", "Inference", 1, Decimal("0.004")),
    ]


def test_a_split_charge_shows_every_piece_and_its_interval(allocated):
    (found,) = app.amount_explained(allocated, period=OCTOBER, filters={"model": ("search",)})
    charge = app.charge_explained(allocated, found.pieces[0].charge_id)
    assert [(p.low, p.high, p.whole, p.owner["team"], p.amount) for p in charge.pieces] == [
        (0, 60, 100, "growth", Decimal("0.006")),
        (60, 100, 100, "risk", Decimal("0.004")),
    ]
    assert charge.amounts["BilledCost"] == Decimal("0.01")
    assert charge.dimensions["ResourceName"] == "ranker"
    assert charge.pieces[0].row == 3


def test_what_nobody_owns_is_explained_too(allocated):
    (found,) = app.amount_explained(allocated, period=OCTOBER, filters={"team": ("unallocated",)})
    assert [(r.evidence, r.rule_id, r.service) for r in found.reasons] == [("T5", "none", "Support")]


def test_an_unknown_team_is_refused_with_the_known_ones(allocated):
    with pytest.raises(UnknownName, match=r"There is no team 'rsk'\. Did you mean 'risk'\?"):
        app.amount_explained(allocated, period=OCTOBER, filters={"team": ("rsk",)})


def test_filters_that_meet_nowhere_are_said(allocated):
    with pytest.raises(NoData, match="No cost in 2026-10 matches all filters"):
        app.amount_explained(allocated, period=OCTOBER, filters={"team": ("risk",), "service": ("Support",)})


def test_a_month_without_a_bill_is_said(allocated):
    with pytest.raises(NoData, match="holds no bill of 2025-01"):
        app.amount_explained(allocated, period=Period.parse("2025-01"))


@pytest.mark.parametrize(
    ("charge_id", "said"),
    [("17", "is not the id of a charge"), ("ffffffffffffffff:1", "no snapshot"), ("{snapshot}:99", "has no charge 99")],
)
def test_a_charge_that_is_not_there_is_said(allocated, charge_id, said):
    snapshot = allocated.store.current_snapshots(period=OCTOBER)[0].id
    with pytest.raises(NoData, match=said):
        app.charge_explained(allocated, charge_id.format(snapshot=snapshot))
