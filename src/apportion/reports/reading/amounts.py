"""Amounts in sentences: rounded to the smallest coin of the currency, and still adding up."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from apportion.reports.reading.change import plus

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_CENTS = re.compile("BIF|CLP|DJF|GNF|ISK|JPY|KMF|KRW|PYG|RWF|UGX|UYI|VND|VUV|XAF|XOF|XPF")
_MILLS = re.compile("BHD|IQD|JOD|KWD|LYD|OMR|TND")
_SMALL = 8
"""Digits after the point where the whole is less than one: a bill of fractions of a cent does not read as 0."""
_WIDE = Context(prec=80, rounding=ROUND_HALF_EVEN)


def digits_of(currency: str) -> int:
    """How many digits after the point the currency's smallest coin has (ISO 4217): 2 for all that are not listed.

    >>> digits_of("USD"), digits_of("JPY"), digits_of("KWD")
    (2, 0, 3)
    """
    return 0 if _NO_CENTS.fullmatch(currency) else 3 if _MILLS.fullmatch(currency) else 2


def rounded_text(amount: Decimal, currency: str) -> str:
    """One amount as text, to the smallest coin.

    >>> rounded_text(Decimal("10000.335"), "USD")
    '10,000.34'
    """
    return adding_up([amount], currency)[-1]


def adding_up(amounts: Sequence[Decimal], currency: str) -> tuple[str, ...]:
    """The amounts and their sum as text, each within one coin of the exact amount, so that they still add up.

    Each is the rounded sum up to it less the rounded sum before it.

    >>> adding_up([Decimal("0.335"), Decimal("10000.335"), Decimal("0.33")], "USD")
    ('0.34', '10,000.33', '0.33', '10,001.00')
    """
    exact = [Decimal(0)]
    for amount in amounts:
        exact.append(plus(exact[-1], amount))
    places = digits_of(currency) if abs(exact[-1]) >= 1 else _SMALL
    sums = [_WIDE.quantize(each, Decimal(1).scaleb(-places)) for each in exact]
    parts = [_WIDE.subtract(after, before) for before, after in pairwise(sums)]
    return tuple(f"{each:,}" for each in (*parts, sums[-1]))
