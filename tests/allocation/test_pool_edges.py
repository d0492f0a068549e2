"""Shared cost where rules meet: months of a few rows whose answer can be worked out by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from tests.allocation.pool_cases import owner
from tests.allocation.pool_engine import MONTH, by_engine
from tests.allocation.pool_facts import Charge, Row, Use
from tests.allocation.pool_reference import share_out

from apportion.core.config import Condition, Pool, PoolShare, RowChoice, TableRow, Tier
from apportion.errors import TooManyReceivers

HOUR, WHOLE_MONTH = timedelta(hours=1), timedelta(days=30)
ADS, SEARCH, LABS = owner("ads"), owner("search"), owner("labs")
HALF_EACH = {"ads": 50, "search": 50}


def row(no, team, service, cost, *, currency="USD", start=MONTH, length=WHOLE_MONTH, **fields) -> Row:
    said = {"provider": "AWS", "billing_account": "payer", "service": service, **fields}
    return Row(no, owner(team), currency, said, (Charge(start, length, {"BilledCost": cost}),))


def pool(name, **given) -> Pool:
    """A pool of the rows of the service of its name."""
    basis = "BilledCost" if given.get("method", "proportional_cost") == "proportional_cost" else ""
    return Pool(name, RowChoice(Condition({"service": (name,)})), **{"basis": basis, "grain": "team", **given})


def to(name) -> tuple[PoolShare, ...]:
    return (PoolShare(1, pool=name),)


def got(rows, pools, uses=()) -> dict[str, int]:
    """What each team got of pools, in quanta; the engine and the reference must say the same."""
    found, wanted = by_engine(rows, uses, pools).shared, share_out(rows, uses, pools).shared
    sums = []
    for shared in (found, wanted):
        of_team: dict[str, int] = {}
        for (*_, receiver), metrics in shared.items():
            of_team[receiver[0]] = of_team.get(receiver[0], 0) + (metrics["BilledCost"] or 0)
        sums.append(of_team)
    assert sums[0] == sums[1]
    return sums[0]


OWN = [row(1, "ads", "own", 10), row(2, "search", "own", 30)]
SHARED = row(3, "unallocated", "a", 100)


# -- who weighs what


def test_by_cost_is_by_own_cost():
    assert got([*OWN, SHARED], [pool("a")]) == {"ads": 25, "search": 75}


def test_the_line_of_a_day_does_not_count_in_the_hours_of_the_next():
    first, second = date(2026, 10, 1), date(2026, 10, 2)
    lines = (TableRow(ADS, first, second, 1), TableRow(LABS, second, date(2026, 10, 3), 1))
    shared = row(3, "unallocated", "a", 100, start=datetime(2026, 10, 2, 5), length=HOUR)
    assert got([*OWN, shared], [pool("a", method="table", time="hour", table_rows=lines)]) == {"labs": 100}


@pytest.mark.parametrize(
    ("method", "field"),
    [
        *(("proportional_cost", f) for f in ("provider", "billing_account", "account", "service", "region", "invoice")),
        *(("proportional_usage", f) for f in ("provider", "account", "region", "team")),
    ],
)
def test_every_field_can_be_divided_within(method, field):
    basis = "gpu_seconds" if method == "proportional_usage" else "BilledCost"
    use = Use(ADS, None, "j", MONTH, "gpu_seconds", 7, {})
    found = got([*OWN, SHARED], [pool("a", method=method, basis=basis, within=(field,), leftover="wider")], [use])
    assert sum(found.values()) == 100


def test_more_receivers_than_a_method_can_weigh_are_refused():
    uses = [Use(owner(f"team {no}"), None, "j", MONTH, "gpu_seconds", no) for no in range(1, 18)]
    fair = pool("a", method="shapley", basis="gpu_seconds")
    with pytest.raises(TooManyReceivers, match=r"'a' has 17 receivers; the method 'shapley' can weigh 16\."):
        by_engine([SHARED], uses, [fair])
    assert len(by_engine([SHARED], uses[1:], [fair]).shared) == 16


# -- where nobody has the basis


def test_even_among_all_receivers_is_also_among_those_without_cost():
    rows = [row(1, "ads", "own", 0), row(2, "search", "own", 0), SHARED]
    assert got(rows, [pool("a", leftover="even")]) == HALF_EACH


def test_even_among_all_receivers_is_also_among_those_without_use():
    even = pool("a", method="proportional_usage", basis="gpu_seconds", leftover="even")
    assert got([*OWN, SHARED], [even]) == HALF_EACH


def test_a_row_of_which_a_part_finds_nobody_stays_whole():
    charges = (Charge(MONTH, HOUR, {"BilledCost": 7}), Charge(MONTH, WHOLE_MONTH, {"BilledCost": 9}))
    shared = Row(3, owner(), "USD", {"service": "a"}, charges)
    rows = [row(1, "ads", "own", 10, length=HOUR), row(2, "ads", "own", -30), shared]
    assert got(rows, [pool("a", time="hour")]) == {}


# -- what earlier stages gave


def given_before(*, stage) -> list[Pool]:
    return [
        pool("a", method="fixed", split=(PoolShare(1, ADS),)),
        pool("b", stage=stage, with_shared=True),
    ]


def test_what_an_earlier_stage_gave_weighs():
    rows = [*OWN, row(3, "unallocated", "a", 80), row(4, "unallocated", "b", 120)]
    assert got(rows, given_before(stage=2)) == {"ads": 80 + 90, "search": 30}


def test_what_the_same_stage_gave_does_not():
    rows = [*OWN, row(3, "unallocated", "a", 80), row(4, "unallocated", "b", 120)]
    assert got(rows, given_before(stage=1)) == {"ads": 80 + 30, "search": 90}


def test_it_weighs_for_who_has_no_cost_of_its_own_too():
    rows = [row(1, "ads", "own", 0), row(2, "search", "own", 20), row(3, "x", "a", 80), row(4, "x", "b", 100)]
    assert got(rows, given_before(stage=2)) == {"ads": 80 + 80, "search": 20}


# -- pools that take part in pools


def test_a_pool_gets_nothing_in_a_currency_in_which_it_has_nobody():
    rows = [row(1, "ads", "own", 10, currency="EUR"), row(2, "search", "own", 30, currency="EUR"), SHARED]
    assert got(rows, [pool("a", method="even", to_pools=to("b")), pool("b", stage=2)]) == HALF_EACH


def test_a_pool_gets_nothing_where_credits_leave_nobody_to_give_to():
    rows = [row(1, "ads", "own", 10, account="x"), row(2, "ads", "own", -30, account="y"), SHARED]
    first = pool("a", method="fixed", split=(PoolShare(1, LABS),), to_pools=to("b"))
    assert got(rows, [first, pool("b", stage=2, within=("account",))]) == {"labs": 100}


def test_a_charge_longer_than_an_hour_goes_to_owners_and_pools_alike():
    rows = [row(1, "ads", "own", 10), row(3, "unallocated", "a", 100)]
    given = [
        pool("a", method="even", time="hour", to_pools=to("b")),
        pool("b", stage=2, method="fixed", split=(PoolShare(1, LABS),)),
    ]
    assert got(rows, given) == {"ads": 50, "labs": 50}


def test_each_pool_of_a_circle_takes_its_own_rows():
    rows = [*OWN, row(3, "unallocated", "a", 900), row(4, "unallocated", "b", 90)]
    circle = [
        pool("a", method="fixed", split=(PoolShare(2, ADS),), to_pools=to("b"), reciprocal=True),
        pool("b", method="fixed", split=(PoolShare(1, SEARCH),), to_pools=to("a"), reciprocal=True),
    ]
    # a = 900 + b / 2, b = 90 + a / 3: a = 1134, b = 468
    assert got(rows, circle) == {"ads": 756, "search": 234}


def test_a_pool_that_takes_part_in_itself_gives_that_on_in_the_same_way():
    itself = pool("a", method="even", to_pools=to("a"), reciprocal=True)
    assert got([*OWN, SHARED], [itself]) == HALF_EACH


def test_what_comes_to_a_pool_whose_tiers_weigh_nobody_is_divided_evenly():
    uses = [Use(ADS, None, "j", MONTH, "gpu_seconds", 5), Use(SEARCH, None, "j", MONTH, "gpu_seconds", 7)]
    tiers = (Tier(100_000_000, 0), Tier(None, 1_000_000))
    fed = pool("b", method="tiered", basis="gpu_seconds", tiers=tiers, stage=2)
    first = pool("a", method="even", receivers=RowChoice(equals={"team": ("ads",)}), to_pools=(PoolShare(1, pool="b"),))
    found = by_engine([*OWN, row(3, "unallocated", "a", 100)], uses, [first, fed])
    assert sum(metrics["BilledCost"] for metrics in found.shared.values()) == 100
