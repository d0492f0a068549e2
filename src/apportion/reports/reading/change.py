"""Change, share and trend of exact amounts; what is not known stays None."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING

from apportion.core.money import SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_MONTHS = 3
"""A slope of fewer months is no trend."""

Amount = Decimal | None

# the default context keeps 28 digits: too few for a sum of amounts with 18 after the point
_EXACT = Context(prec=80, traps=[Inexact])


def plus(one: Decimal, other: Decimal) -> Decimal:
    """The exact sum of two amounts, whatever their size."""
    return _EXACT.add(one, other)


def added(amounts: Sequence[Amount]) -> Amount:
    """The sum of the known amounts; None where none is known.

    >>> added([Decimal("1.5"), None, Decimal("2")]), added([None])
    (Decimal('3.5'), None)
    """
    known = [amount for amount in amounts if amount is not None]
    return reduce(plus, known) if known else None


def difference(after: Amount, before: Amount) -> Amount:
    """What was added since; None where either is not known."""
    return None if after is None or before is None else _EXACT.subtract(after, before)


def ratio(part: Amount, whole: Amount) -> Amount:
    """The part over the whole, rounded half to even at 18 digits; None unless the whole is known and more than 0.

    >>> ratio(Decimal(-1), Decimal(3)), ratio(Decimal(1), Decimal(0))
    (Decimal('-0.333333333333333333'), None)
    """
    if part is None or whole is None or whole <= 0:
        return None
    return rounded(Fraction(part) / Fraction(whole))


def slope(series: Sequence[Amount]) -> Amount:
    """The least-squares slope of the series, per step, rounded half to even at 18 digits.

    Unknown months are left out, not taken for 0; None with fewer than `LEAST_MONTHS` known ones.

    >>> slope([Decimal(1), None, Decimal(5), Decimal(7)])
    Decimal('2.000000000000000000')
    """
    points = [(place, Fraction(amount)) for place, amount in enumerate(series) if amount is not None]
    if len(points) < LEAST_MONTHS:
        return None
    middle = Fraction(sum(x for x, _ in points), len(points))
    level = sum((y for _, y in points), Fraction(0)) / len(points)
    together = sum(((x - middle) * (y - level) for x, y in points), Fraction(0))
    return rounded(together / sum((x - middle) ** 2 for x, _ in points))


def rounded(number: Fraction) -> Decimal:
    """The fraction at 18 digits after the point, half to even, whatever its size."""
    return Decimal(round(number * 10**SCALE)).scaleb(-SCALE, _EXACT)
