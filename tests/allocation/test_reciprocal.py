from __future__ import annotations

from fractions import Fraction
from math import lcm

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apportion.allocation.reciprocal import final, intervals
from apportion.core.money import BINARY_WHOLE


def hundredths(parts: dict[str, int]) -> dict[str, Fraction]:
    return {to: Fraction(part, 100) for to, part in parts.items()}


def given_out(costs, to_pools, to_receivers) -> dict[str, Fraction]:
    rows = final(
        {pool: hundredths(parts) for pool, parts in to_pools.items()},
        {pool: hundredths(parts) for pool, parts in to_receivers.items()},
    )
    sums: dict[str, Fraction] = {}
    for pool, cost in costs.items():
        for to, part in rows[pool].items():
            sums[to] = sums.get(to, Fraction(0)) + cost * part
    return sums


# -- cases with published figures


def test_two_departments_of_a_textbook():
    """Castleford Engineering: Horngren, Datar and Rajan, Cost Accounting: A Managerial Emphasis, chapter 15.

    Plant maintenance comes to 6,576,750 and information systems to 2,767,500 before they are given out.
    """
    costs = {"maintenance": 6_300_000, "systems": 1_452_150}
    to_pools = {"maintenance": {"systems": 20}, "systems": {"maintenance": 10}}
    to_receivers = {"maintenance": {"machining": 30, "assembly": 50}, "systems": {"machining": 80, "assembly": 10}}
    assert given_out(costs, to_pools, to_receivers) == {"machining": 4_187_025, "assembly": 3_565_125}


def test_three_departments_of_a_textbook():
    """Midland Resources: Lanen, Anderson and Maher, Fundamentals of Cost Accounting, chapter 11."""
    costs = {"engineering": 42_000, "administration": 248_550, "maintenance": 45_000}
    to_pools = {
        "engineering": {"administration": 40},
        "administration": {"engineering": 20, "maintenance": 25},
        "maintenance": {"administration": 30},
    }
    to_receivers = {
        "engineering": {"fabrication": 15, "assembly": 45},
        "administration": {"fabrication": 45, "assembly": 10},
        "maintenance": {"fabrication": 15, "assembly": 55},
    }
    assert given_out(costs, to_pools, to_receivers) == {"fabrication": 183_825, "assembly": 151_725}


def test_what_a_pool_gives_itself_is_given_on_in_the_same_way():
    half, quarter = Fraction(1, 2), Fraction(1, 4)
    rows = final({"a": {"a": half}}, {"a": {"x": quarter, "y": quarter}})
    assert rows == {"a": {"x": half, "y": half}}


def test_pools_in_a_row_are_step_down():
    rows = final(
        {"a": {"b": Fraction(1, 2)}}, {"a": {"x": Fraction(1, 2)}, "b": {"x": Fraction(1, 3), "y": Fraction(2, 3)}}
    )
    assert rows == {"a": {"x": Fraction(2, 3), "y": Fraction(1, 3)}, "b": {"x": Fraction(1, 3), "y": Fraction(2, 3)}}


def test_a_pool_may_give_to_pools_only():
    one = Fraction(1)
    rows = final({"a": {"b": one}, "b": {"a": one / 2}}, {"b": {"x": one / 2}})
    assert rows == {"a": {"x": one}, "b": {"x": one}}


def test_who_gets_nothing_is_not_there():
    assert final({"a": {"b": Fraction(0)}}, {"a": {"x": Fraction(1), "y": Fraction(0)}}) == {"a": {"x": Fraction(1)}}


# -- what cannot be solved


def test_pools_that_give_only_to_each_other_are_refused():
    one = Fraction(1)
    with pytest.raises(ValueError, match=r"^pools that give only to each other: a, b$"):
        final({"a": {"b": one}, "b": {"a": one}, "c": {"a": one / 2}}, {"a": {"x": one * 0}, "c": {"x": one / 2}})


def test_a_pool_that_leads_only_into_a_closed_circle_is_named_too():
    one = Fraction(1)
    with pytest.raises(ValueError, match=r"^pools that give only to each other: a, b$"):
        final({"a": {"b": one}, "b": {"b": one}}, {})


def test_fractions_that_are_no_whole_are_refused():
    with pytest.raises(ValueError, match=r"^the fractions of pool a do not share out a whole$"):
        final({"a": {"b": Fraction(1, 2)}, "b": {}}, {"a": {"x": Fraction(1, 3)}, "b": {"x": Fraction(1)}})
    with pytest.raises(ValueError, match=r"^the fractions of pool a do not share out a whole$"):
        final({}, {"a": {"x": Fraction(3, 2), "y": Fraction(-1, 2)}})


def test_a_pool_that_gives_nothing_on_is_refused():
    with pytest.raises(ValueError, match=r"^pool b gives nothing on$"):
        final({"a": {"b": Fraction(1, 2)}}, {"a": {"x": Fraction(1, 2)}})


# -- what holds of every system


@st.composite
def systems(draw):
    """Up to six pools that give to each other and to up to four receivers, each at least a tenth to a receiver."""
    pools, receivers = range(draw(st.integers(1, 6))), [f"r{n}" for n in range(draw(st.integers(1, 4)))]
    to_pools, to_receivers = {}, {}
    for pool in pools:
        parts = draw(st.lists(st.integers(0, 9), min_size=len(pools), max_size=len(pools)))
        own = draw(st.lists(st.integers(0, 10**6), min_size=len(receivers), max_size=len(receivers)))
        own[0] += 1 + sum(parts) // 9 + sum(own)
        whole = sum(parts) + sum(own)
        to_pools[pool] = {other: Fraction(part, whole) for other, part in zip(pools, parts, strict=True) if part}
        to_receivers[pool] = {to: Fraction(part, whole) for to, part in zip(receivers, own, strict=True) if part}
    return to_pools, to_receivers


ROUNDS = 200


def step_down(pool, to_pools, to_receivers) -> tuple[dict[str, Fraction], Fraction]:
    """What receivers have after a pool's cost was given on so many times, and what pools still hold.

    Rounded down to 10⁻⁹⁰ in each round, or the denominators would have as many digits as there are rounds times pools.
    """
    digits = 10**90
    held, got = {pool: Fraction(1)}, dict.fromkeys((to for row in to_receivers.values() for to in row), Fraction(0))
    for _ in range(ROUNDS):
        following: dict[int, Fraction] = {}
        for mine, size in held.items():
            for to, part in to_receivers[mine].items():
                got[to] += Fraction(int(size * part * digits), digits)
            for to, part in to_pools[mine].items():
                following[to] = following.get(to, Fraction(0)) + Fraction(int(size * part * digits), digits)
        held = following
    return got, sum(held.values(), Fraction(0))


@settings(max_examples=25, deadline=None)
@given(systems())
def test_it_is_the_limit_of_repeated_step_down(system):
    to_pools, _ = system
    norm = max(sum(row.values(), Fraction(0)) for row in to_pools.values())
    rounded = Fraction(ROUNDS * len(to_pools) * 12, 10**90)
    for pool, row in final(*system).items():
        got, left = step_down(pool, *system)
        assert left <= norm**ROUNDS
        for to, part in got.items():
            assert 0 <= row.get(to, 0) - part <= norm**ROUNDS + rounded


@settings(max_examples=100, deadline=None)
@given(systems())
def test_every_pool_is_given_out_whole_and_the_equations_hold(system):
    to_pools, to_receivers = system
    rows = final(*system)
    for pool, row in rows.items():
        assert sum(row.values()) == 1
        assert min(row.values()) > 0
        for to in row:
            through = sum(part * rows[other].get(to, 0) for other, part in to_pools[pool].items())
            assert row[to] == to_receivers[pool].get(to, 0) + through


@settings(max_examples=50, deadline=None)
@given(systems(), st.randoms())
def test_the_order_of_pools_changes_nothing(system, chance):
    def shuffled(rows):
        return {
            pool: dict(chance.sample(sorted(row.items()), len(row)))
            for pool, row in chance.sample(sorted(rows.items()), len(rows))
        }

    assert final(*map(shuffled, system)) == final(*system)


# -- intervals


def wholes(largest: int):
    weights = st.lists(st.integers(0, largest), min_size=1, max_size=30).filter(any)
    return weights.map(lambda parts: [Fraction(part, sum(parts)) for part in parts])


@given(st.one_of(wholes(100), wholes(10**30)))
def test_intervals_tile_their_whole_in_order(parts):
    lows, highs, whole = intervals(parts)
    assert [0, *highs] == [*lows, whole]
    assert lows == sorted(lows)
    assert 0 < whole <= BINARY_WHOLE
    for low, high, part in zip(lows, highs, parts, strict=True):
        assert abs(Fraction(high - low, whole) - part) < Fraction(1, whole)
        if lcm(*(each.denominator for each in parts)) <= BINARY_WHOLE:
            assert Fraction(high - low, whole) == part


def test_the_whole_is_the_least_that_is_exact():
    assert intervals([Fraction(1, 2), Fraction(1, 3), Fraction(0), Fraction(1, 6)]) == ([0, 3, 5, 5], [3, 5, 5, 6], 6)
    assert intervals([Fraction(1)]) == ([0], [1], 1)


def test_the_largest_whole_is_a_power_of_two():
    exact = Fraction(1, BINARY_WHOLE)
    assert intervals([exact, 1 - exact])[2] == BINARY_WHOLE
    finer = Fraction(1, BINARY_WHOLE + 1)
    assert intervals([finer, 1 - finer]) == ([0, 0], [0, BINARY_WHOLE], BINARY_WHOLE)


@pytest.mark.parametrize("parts", [[], [Fraction(1, 2)], [Fraction(2), Fraction(-1)]])
def test_what_is_no_whole_has_no_intervals(parts):
    with pytest.raises(ValueError, match=r"^fractions that do not share out a whole$"):
        intervals(parts)
