"""By the fair share of the common peak: what each receiver adds to it, on average over every order of joining.

The cost to share out is that of the largest hour: v(S) is the most that the receivers S use together in one hour. The
Shapley value is the only division of v(all) that is complete, treats equals alike, gives nothing to who adds nothing,
and adds up over games (Shapley, A Value for n-Person Games, 1953).

Use is never negative, so who joins makes no hour smaller, and no peak either: what a receiver adds is never below 0,
and neither is an average of it.
"""

from __future__ import annotations

from functools import cache
from math import factorial
from typing import TYPE_CHECKING

from apportion.allocation.weighing import Basis, Known, Method

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 16
"""Receivers: there are 2¹⁶ sets of them to look at, twice as many with each one more."""


def weigh(known: Known) -> list[int]:
    """The Shapley value of each receiver times the factorial of their number: whole, and exact.

    Two that use 1 in different hours need no more together than alone; a third that runs beside both needs its own:

    >>> weigh(Known([1, 1, 2], profiles=[[1, 0], [0, 1], [1, 1]]))
    [3, 3, 6]
    """
    count = len(known.basis)
    peaks = _peaks(sorted({*zip(*known.profiles, strict=True)}), count)
    orders = [factorial(before) * factorial(count - 1 - before) for before in range(count)]
    return [
        sum(
            orders[others.bit_count()] * (peaks[others | 1 << receiver] - peaks[others])
            for others in range(len(peaks))
            if not others & 1 << receiver
        )
        for receiver in range(count)
    ]


def _peaks(hours: Sequence[tuple[int, ...]], count: int) -> list[int]:
    """The peak of every set of receivers, by its bit mask; `hours`: what each receiver used, once for hours alike.

    Receiver after receiver is left out or joins. An hour that cannot overtake the largest so far, whoever joins, is no
    longer looked at: of a month's hours a few are left where the sets become many.
    """
    found: list[int] = []

    @cache
    def gains(undecided: int, largest: int) -> list[int]:
        """By how much each hour can come nearer to the largest one."""
        use = hours[largest][:undecided]
        return [sum(mine - its for mine, its in zip(hour, use, strict=False) if mine > its) for hour in hours]

    def decide(undecided: int, sums: list[tuple[int, int]]) -> None:
        most, largest = max(sums, default=(0, 0))
        if not undecided or not sums:
            found.extend([most] * 2**undecided)
            return
        gain = gains(undecided, largest)
        kept = [(use, hour) for use, hour in sums if use + gain[hour] > most]
        kept.append((most, largest))
        receiver = undecided - 1
        decide(receiver, kept)
        decide(receiver, [(use + hours[hour][receiver], hour) for use, hour in kept])

    decide(count, [(0, hour) for hour in range(len(hours))])
    return found


METHOD = Method("shapley", "By the fair share of the common peak", Basis.PROFILE, weigh, MOST)
