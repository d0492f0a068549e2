"""What receivers weigh and which intervals they get, by the plain definitions: for the reference of shared cost."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from math import lcm
from typing import TYPE_CHECKING, Any

from tests.allocation.pool_facts import Cell, Hours, Part, To

from apportion.core.money import BINARY_WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from apportion.core.config import Pool, Tier

LARGEST = 2**60


def counted(pool: Pool, hours: Hours) -> int:
    """What was counted of a receiver: in total, or in its largest hour."""
    return max(hours.values(), default=0) if pool.method == "peak" else sum(hours.values())


def weighed(pool: Pool, basis: Mapping[To, Hours]) -> dict[To, int]:
    """What each receiver weighs; below 0 is 0."""
    if pool.method == "tiered":
        return {to: by_tiers(counted(pool, hours), pool.tiers) for to, hours in basis.items()}
    if pool.method == "shapley":
        users = {to: hours for to, hours in basis.items() if any(hours.values())}
        times = {hour for hours in users.values() for hour in hours}
        profiles = [[hours.get(time, 0) for time in times] for hours in users.values()]
        return dict(zip(users, by_all_orders(profiles), strict=True))
    return {to: max(counted(pool, hours), 0) for to, hours in basis.items()}


def by_tiers(quantity: int, tiers: Sequence[Tier]) -> int:
    """The part of a quantity that lies in each tier (billionths), times its rate (millionths)."""
    begin = weight = 0
    for tier in tiers:
        end = quantity if tier.up_to is None else min(quantity, tier.up_to * 1000)
        if end > begin:
            weight += (end - begin) * tier.rate
            begin = end
    return weight


def peak(profiles: Sequence[Sequence[int]]) -> int:
    """The most that some receivers use together in one hour."""
    return max((sum(hour) for hour in zip(*profiles, strict=True)), default=0)


def by_all_orders(*months: Sequence[Sequence[int]]) -> list[int]:
    """What each receiver adds to the peaks of those before it, summed over all orders of joining."""
    added = [0] * len(months[0])
    for order in permutations(range(len(added))):
        for place, receiver in enumerate(order):
            for profiles in months:
                before = peak([profiles[other] for other in order[:place]])
                added[receiver] += peak([profiles[other] for other in order[: place + 1]]) - before
    return added


def placed(weights: Mapping[To, int], basis: Mapping[To, int]) -> tuple[tuple[Part, ...], int]:
    """The intervals in the order of receivers, pools last; nothing and 0 where nobody weighs."""
    ten = 1
    while any(weights.values()) and all(weight % (10 * ten) == 0 for weight in weights.values()):
        ten *= 10
    total = sum(weights.values()) // ten
    divisor = ten * (total // LARGEST + 1) if total > LARGEST else ten
    small = {to: weights[to] // divisor for to in sorted(weights, key=in_order)}
    total = sum(small.values())
    whole = min(total, BINARY_WHOLE)
    parts, upto = [], 0
    for to, weight in small.items():
        low, high = (upto * whole // total, (upto + weight) * whole // total) if total else (0, 0)
        parts.append(Part(to, basis[to], weights[to], low, high))
        upto += weight
    return (tuple(parts), whole) if whole else ((), 0)


def in_order(to: To) -> tuple:
    return to[0], [(value is not None, value or "") for value in to[1]]


# -- equations


def equations(cells: Mapping[int, Cell]) -> dict[int, dict[To, Fraction]]:
    """What each pool gives to owners in the end: x = A x + r, solved column by column by elimination."""
    nos = list(cells)
    others = sorted(
        {part.to for cell in cells.values() for part in cell.parts if part.to[0] not in cells}, key=in_order
    )
    given = {
        no: {part.to: Fraction(part.high - part.low, cell.whole) for part in cell.parts} for no, cell in cells.items()
    }
    rows = [
        [(no == other) - given[no].get((other, ()), Fraction(0)) for other in nos]
        + [given[no].get(to, Fraction(0)) for to in others]
        for no in nos
    ]
    for at in range(len(nos)):
        pivot = next(row for row in rows[at:] if row[at])
        rows.remove(pivot)
        pivot = [value / pivot[at] for value in pivot]
        rows = [[value - row[at] * mine for value, mine in zip(row, pivot, strict=True)] for row in rows]
        rows.insert(at, pivot)
    return {no: dict(zip(others, row[len(nos) :], strict=True)) for no, row in zip(nos, rows, strict=True)}


def tiled(row: Mapping[To, Fraction]) -> dict[str, Any]:
    """The parts and the whole of these fractions: exact where the least common denominator is small enough."""
    whole = min(lcm(*(fraction.denominator for fraction in row.values())), BINARY_WHOLE)
    parts, upto = [], Fraction(0)
    for to, fraction in row.items():
        low, upto = upto, upto + fraction
        parts.append(Part(to, 0, 0, int(low * whole), int(upto * whole)))
    return {"parts": tuple(parts), "whole": whole}
