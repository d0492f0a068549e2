from __future__ import annotations

import random
from fractions import Fraction
from math import factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.allocation.pool_weights import by_all_orders, by_tiers, peak

from apportion.allocation.methods import SOCKET, tiered
from apportion.allocation.methods.shapley import weigh as fair
from apportion.allocation.weighing import Basis, Known, Method, weights_of
from apportion.core.config import Tier
from apportion.errors import BadWeights

METHODS = {
    "even": Basis.NOTHING,
    "fixed": Basis.STATED,
    "table": Basis.STATED,
    "proportional_cost": Basis.COST,
    "proportional_usage": Basis.USAGE,
    "peak": Basis.PEAK,
    "tiered": Basis.USAGE,
    "shapley": Basis.PROFILE,
}


def test_the_methods_are_these():
    assert {name: SOCKET.load(name).basis for name in SOCKET.names()} == METHODS


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_named_like_its_file_and_has_a_title(name):
    method = SOCKET.load(name)
    assert method.name == name
    assert method.title


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("tiered", "shapley")])
def test_the_basis_itself_is_the_weight(name):
    assert weights_of(SOCKET.load(name), Known([3, 0, 10**30]), where="pool") == [3, 0, 10**30]


def test_a_method_that_weighs_below_zero_is_refused_with_the_pool():
    method = Method("odd", "Odd", Basis.USAGE, lambda known: [-1 for _ in known.basis])
    with pytest.raises(BadWeights, match="'odd' gave rule 'egress' the weights"):
        weights_of(method, Known([1]), where="egress")


# -- tiered

UNIT = 10**9
TIERS = (
    Tier(up_to=100_000_000, rate=1_000_000),
    Tier(up_to=300_000_000, rate=500_000),
    Tier(up_to=None, rate=0),
)
"""The first 100 units weigh 1 each, the next 200 a half, all further ones nothing."""


@pytest.mark.parametrize(
    ("units", "weight"),
    [(0, 0), (1, 1), (100, 100), (101, "100.5"), (300, 200), (1_000_000, 200), ("0.000000001", "0.000000001")],
)
def test_each_part_of_a_quantity_weighs_as_its_tier_says(units, weight):
    quantity = int(Fraction(units) * UNIT)
    assert tiered.weigh(Known([quantity], tiers=TIERS)) == [Fraction(weight) * 10**15]


@st.composite
def tiers(draw):
    ends = sorted(draw(st.sets(st.integers(1, 10**9), max_size=4)))
    rates = draw(st.lists(st.integers(0, 10**7), min_size=len(ends) + 1, max_size=len(ends) + 1))
    return tuple(Tier(end, rate) for end, rate in zip([*ends, None], rates, strict=True))


@given(tiers(), st.integers(0, 2 * 10**12), st.integers(0, 2 * 10**12))
def test_a_unit_weighs_the_rate_of_its_tier_wherever_the_tiers_are_cut(bands, quantity, more):
    low, high = tiered.weigh(Known([quantity, quantity + more], tiers=bands))
    assert (low, high) == (by_tiers(quantity, bands), by_tiers(quantity + more, bands))
    assert min(band.rate for band in bands) * more <= high - low <= max(band.rate for band in bands) * more


def test_one_rate_for_all_is_proportional():
    assert tiered.weigh(Known([5, 7], tiers=(Tier(None, 3),))) == [15, 21]


# -- shapley: the value is the only one with these properties, and it is an average over all orders


def known(profiles) -> Known:
    return Known([sum(profile) for profile in profiles], profiles)


def uses(most: int, *, hours: int = 5, least: int = 1):
    """Profiles with ties, empty hours, empty receivers and large numbers."""
    use = st.one_of(st.integers(0, 3), st.integers(0, 10**24))
    lengths = st.integers(0, hours)
    return lengths.flatmap(lambda n: st.lists(st.lists(use, min_size=n, max_size=n), min_size=least, max_size=most))


@settings(max_examples=60, deadline=None)
@given(uses(6))
def test_it_is_the_average_over_all_orders_of_joining(profiles):
    assert fair(known(profiles)) == by_all_orders(profiles)


@settings(deadline=None)
@given(uses(9, hours=30))
def test_the_weights_add_up_to_the_common_peak_and_none_is_negative(profiles):
    weights = fair(known(profiles))
    assert sum(weights) == factorial(len(profiles)) * peak(profiles)
    assert min(weights) >= 0


@settings(deadline=None)
@given(uses(6, least=2), st.randoms())
def test_equals_weigh_the_same_wherever_they_stand(profiles, chance):
    twins = [*profiles, profiles[0]]
    weights = fair(known(twins))
    assert weights[0] == weights[-1]
    order = list(range(len(twins)))
    chance.shuffle(order)
    assert fair(known([twins[place] for place in order])) == [weights[place] for place in order]


@settings(deadline=None)
@given(uses(6))
def test_who_uses_nothing_weighs_nothing_and_changes_nobody_s_part(profiles):
    more = fair(known([*profiles, [0] * len(profiles[0])]))
    assert more == [weight * (len(profiles) + 1) for weight in fair(known(profiles))] + [0]


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=7), st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_who_all_peak_in_the_same_hour_pay_for_what_they_use_there(sizes, shape):
    profiles = [[size * part for part in shape] for size in sizes]
    assert fair(known(profiles)) == [factorial(len(sizes)) * size * max(shape) for size in sizes]


@settings(max_examples=60, deadline=None)
@given(uses(5), st.randoms())
def test_two_months_weigh_as_much_as_the_two_together(profiles, chance):
    other = [chance.sample(profile, len(profile)) for profile in profiles]
    both = [sum(pair) for pair in zip(fair(known(profiles)), fair(known(other)), strict=True)]
    assert by_all_orders(profiles, other) == both


def test_one_receiver_gets_everything():
    assert fair(known([[3, 9, 2]])) == [9]


def test_no_hours_weigh_nothing():
    assert fair(Known([0, 0])) == [0, 0]
    assert fair(Known([])) == []


def test_a_textbook_case():
    """The airport game (Littlechild and Owen, 1973): all share the first stretch of runway, who needs more the next.

    Who each have an hour to themselves need what the largest of them needs, as planes need the longest runway.
    """
    one_after_the_other = [[6, 0, 0], [0, 12, 0], [0, 0, 18]]
    assert [weight / factorial(3) for weight in fair(known(one_after_the_other))] == [2, 5, 11]


def test_sixteen_receivers_over_a_month_are_weighed():
    chance = random.Random(4)  # noqa: S311 - use to try, no secret
    profiles = [[chance.randrange(9) * (chance.random() < 0.3) for _ in range(744)] for _ in range(16)]
    weights = fair(known(profiles))
    assert sum(weights) == factorial(16) * peak(profiles)
    assert SOCKET.load("shapley").most == 16
