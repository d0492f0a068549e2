"""Pools that give to each other: what each of them gives in the end, exactly.

With A what pools give to pools and R what they give to receivers, as fractions of a pool's whole cost, the cost of pool
i ends where row i of (I − A)⁻¹ R says: the reciprocal method of cost accounting, and the limit of giving on again and
again.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, pairwise
from math import lcm
from typing import TYPE_CHECKING, TypeVar

from apportion.core.money import BINARY_WHOLE

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

P = TypeVar("P", bound="Hashable")
"""A pool."""
R = TypeVar("R", bound="Hashable")
"""A receiver."""


class ClosedCircle(ValueError):
    """Pools that give only to each other: nothing of their cost ever comes to a receiver."""


def final(
    to_pools: Mapping[P, Mapping[P, Fraction]], to_receivers: Mapping[P, Mapping[R, Fraction]]
) -> dict[P, dict[R, Fraction]]:
    """What part of each pool's cost every receiver gets after all pools gave on what they got.

    `to_pools`, `to_receivers`: pool -> whom it gives to -> what fraction; together the fractions of a pool are 1.
    Raises ValueError where they are not and where a pool that gives nothing is given to, `ClosedCircle` where pools
    give only to each other (I − A is singular).
    """
    pools = list(dict.fromkeys([*to_pools, *to_receivers]))
    rows = {pool: {to: part for to, part in to_pools.get(pool, {}).items() if part} for pool in pools}
    _refuse_wrong_fractions(rows, to_receivers)
    _refuse_a_closed_circle(rows, to_receivers)
    visits = _visits(rows)
    return {pool: _mixed(visits[pool], to_receivers) for pool in pools}


def intervals(fractions: Sequence[Fraction]) -> tuple[list[int], list[int], int]:
    """Where each fraction begins and ends in a whole, and the whole: the intervals tile [0, whole) in order.

    The whole is the least common denominator, so that every interval is exactly its fraction; where that is larger than
    `BINARY_WHOLE`, this is the whole, and every end lies less than 1 below its exact place. Raises ValueError unless no
    fraction is negative and all together are 1.
    """
    if sum(fractions) != 1 or any(part < 0 for part in fractions):
        raise ValueError("fractions that do not share out a whole")
    whole = min(lcm(*(part.denominator for part in fractions)), BINARY_WHOLE)
    ends = [int(end * whole) for end in accumulate(fractions)]
    lows, highs = zip(*pairwise([0, *ends]), strict=True)
    return list(lows), list(highs), whole


def _refuse_wrong_fractions(
    rows: Mapping[P, Mapping[P, Fraction]], to_receivers: Mapping[P, Mapping[R, Fraction]]
) -> None:
    for pool, row in rows.items():
        parts = [*row.values(), *to_receivers.get(pool, {}).values()]
        if sum(parts) != 1 or any(part < 0 for part in parts):
            raise ValueError(f"the fractions of pool {pool} do not share out a whole")
        if unknown := [to for to in row if to not in rows]:
            raise ValueError(f"pool {unknown[0]} gives nothing on")


def _refuse_a_closed_circle(
    rows: Mapping[P, Mapping[P, Fraction]], to_receivers: Mapping[P, Mapping[R, Fraction]]
) -> None:
    """Raises ValueError where a pool's cost can come to no receiver: I − A is singular exactly then."""
    open_ones = {pool for pool in rows if any(to_receivers.get(pool, {}).values())}
    while more := {pool for pool, row in rows.items() if pool not in open_ones and not open_ones.isdisjoint(row)}:
        open_ones |= more
    if closed := [str(pool) for pool in rows if pool not in open_ones]:
        raise ClosedCircle(f"pools that give only to each other: {', '.join(closed)}")


def _visits(rows: Mapping[P, Mapping[P, Fraction]]) -> dict[P, dict[P, Fraction]]:
    """The rows of (I − A)⁻¹: how much of a pool's cost comes through each pool, itself included, all rounds together.

    Gauss-Jordan elimination on [A | I], one pool after the other: what goes to it is replaced by what it gives on. Its
    own 1 − A is never 0, for every pool's cost comes to a receiver in the end; so no pivot is looked for.
    """
    left = {pool: dict(row) for pool, row in rows.items()}
    right = {pool: {pool: Fraction(1)} for pool in rows}
    for through in rows:
        own = 1 - left[through].pop(through, Fraction(0))
        for side in (left, right):
            side[through] = {to: part / own for to, part in side[through].items()}
        for pool in rows:
            if pool != through and (part := left[pool].pop(through, None)):
                _add(left[pool], left[through], part)
                _add(right[pool], right[through], part)
    return right


def _add(row: dict[P, Fraction], other: Mapping[P, Fraction], times: Fraction) -> None:
    for to, part in other.items():
        row[to] = row.get(to, Fraction(0)) + part * times


def _mixed(visits: Mapping[P, Fraction], to_receivers: Mapping[P, Mapping[R, Fraction]]) -> dict[R, Fraction]:
    """The sum of the pools' fractions, each times its visits: over one denominator, in whole numbers until the end."""
    given = {pool: to_receivers.get(pool, {}) for pool in visits}
    inner = {pool: lcm(*(part.denominator for part in row.values())) for pool, row in given.items()}
    outer = lcm(*((visits[pool] / inner[pool]).denominator for pool in visits))
    sums: dict[R, int] = {}
    for pool, row in given.items():
        times = int(visits[pool] / inner[pool] * outer)
        for to, part in row.items():
            sums[to] = sums.get(to, 0) + part.numerator * (inner[pool] // part.denominator) * times
    return {to: Fraction(size, outer) for to, size in sums.items() if size}
