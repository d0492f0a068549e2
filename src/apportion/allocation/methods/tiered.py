"""By use, where a unit weighs more or less from a quantity on: the first so many at one rate, the next at another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.allocation.weighing import Basis, Known, Method

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.core.config import Tier

_BILLIONTHS = 1000
"""Of a millionth: tiers end at millionths of a unit, quantities come in billionths."""


def weigh(known: Known) -> list[int]:
    """What each receiver's quantity weighs, in 10⁻¹⁵.

    >>> from apportion.core.config import Tier
    >>> tiers = (Tier(up_to=2_000_000, rate=1_000_000), Tier(up_to=None, rate=500_000))
    >>> [weight / 10**15 for weight in weigh(Known([10**9, 3 * 10**9], tiers=tiers))]
    [1.0, 2.5]
    """
    return [_weight(quantity, known.tiers) for quantity in known.basis]


def _weight(quantity: int, tiers: Sequence[Tier]) -> int:
    """The part of the quantity that lies in each tier, times the rate there."""
    begin, weight = 0, 0
    for tier in tiers:
        end = quantity if tier.up_to is None else min(quantity, tier.up_to * _BILLIONTHS)
        weight += max(end - begin, 0) * tier.rate
        begin = max(begin, end)
    return weight


METHOD = Method("tiered", "By use, at the rates of tiers", Basis.USAGE, weigh)
