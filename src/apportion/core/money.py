"""Exact money: whole quanta, and the one formula that divides an amount.

An amount is a decimal with at most `SCALE` digits after the point and less than `LIMIT` in size. A *quantum* is
10^-18 of a currency unit (or of a quantity's unit). A receiver owns the interval [low, high) of a whole; its piece is
B(high) - B(low), where B(x) = floor(|amount| * x / whole) * sign(amount), in quanta. Intervals that tile the whole
telescope, so the pieces add up to the amount, in any order and for negative amounts too.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact

SCALE = 18
QUANTUM = Decimal(1).scaleb(-SCALE)
LIMIT = 10**18
"""No single amount or quantity reaches this; a row that does is refused and listed in `problems`."""
MAX_WHOLE = 10**15
"""The largest whole an interval may be a part of: keeps every product inside 38 digits on each engine."""
BINARY_WHOLE = 2**49
"""The largest power of two among them, 5.6 × 10¹⁴. What is free to choose its whole takes it: DuckDB divides by it
by shifting bits, measured fifty times faster than a division."""

_EXACT = Context(prec=60, traps=[Inexact])


def quanta(amount: Decimal) -> int:
    """The amount as whole quanta.

    >>> quanta(Decimal("-0.5"))
    -500000000000000000

    Raises `decimal.Inexact` where the amount has more than 18 digits after the point.
    """
    return int(_EXACT.to_integral_exact(_EXACT.scaleb(amount, SCALE)))


def from_quanta(whole_quanta: int) -> Decimal:
    """The decimal amount of so many quanta.

    >>> from_quanta(1500000000000000000)
    Decimal('1.500000000000000000')
    """
    return _EXACT.scaleb(Decimal(whole_quanta), -SCALE)


def piece(amount: Decimal, low: int, high: int, whole: int) -> Decimal:
    """What the owner of [low, high) of `whole` gets of `amount`: the reference for the SQL macro `ALLOC`.

    Within one quantum of amount * (high - low) / whole, and never of the other sign.

    >>> piece(Decimal("0.01"), 0, 1, 3) + piece(Decimal("0.01"), 1, 3, 3)
    Decimal('0.010000000000000000')

    Raises ValueError unless 0 <= low <= high <= whole and 0 < whole <= MAX_WHOLE.
    """
    if not (0 <= low <= high <= whole and 0 < whole <= MAX_WHOLE):
        raise ValueError(f"[{low}, {high}) is not an interval of a whole of {whole}")
    units = quanta(amount)
    size, sign = abs(units), (-1 if units < 0 else 1)
    return from_quanta(sign * (size * high // whole - size * low // whole))


def plain(amount: Decimal) -> str:
    """The amount as text without exponent and without trailing zeros: the form of JSON and certificates.

    >>> plain(Decimal("20.520226728990000000")), plain(Decimal("0E-18")), plain(Decimal("-1E+3"))
    ('20.52022672899', '0', '-1000')
    """
    text = format(amount, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text
