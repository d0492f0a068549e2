"""Figures as people read them: thousands separated, a true minus, a dash for what is not known."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

from apportion.core.money import plain

MISSING = "–"
MINUS = "−"
_WIDE = Context(prec=60, rounding=ROUND_HALF_UP)
_BARS = "▁▂▃▄▅▆▇█"


def money(amount: Decimal | None, places: int = 2) -> str:
    """The amount rounded for reading, such as `13,782.31`.

    >>> money(Decimal("-13782.305")), money(None), money(Decimal("0.00000123"), 6)
    ('−13,782.31', '–', '0.000001')
    """
    if amount is None:
        return MISSING
    rounded = _WIDE.quantize(amount, Decimal(1).scaleb(-places))
    return _signed(f"{rounded:,}") if rounded else f"{abs(rounded):,}"


def exact(amount: Decimal) -> str:
    """Every digit, thousands separated.

    >>> exact(Decimal("-1234.500000000000000001"))
    '−1,234.500000000000000001'
    """
    whole, point, fraction = plain(amount).partition(".")
    return _signed(f"{int(whole):,}" if whole != "-0" else "-0") + point + fraction


def places_for(amounts: list[Decimal | None]) -> int:
    """How many digits after the point a column needs, so that small bills do not read as zeros: 2, 4 or 8.

    >>> places_for([Decimal("1200.5"), Decimal("0.001")]), places_for([Decimal("18.3")]), places_for([Decimal("0.02")])
    (2, 4, 8)
    """
    largest = max((abs(amount) for amount in amounts if amount is not None), default=Decimal(100))
    return 2 if largest >= 100 or not largest else 4 if largest >= 1 else 8  # noqa: PLR2004 - cents, hundredths of cents


def quantity(amount: Decimal) -> str:
    """Hours and the like: four digits after the point below one, none from ten thousand on, else two.

    >>> quantity(Decimal("1234.5678")), quantity(Decimal("0.04567")), quantity(Decimal(28006297)), quantity(Decimal(0))
    ('1,234.57', '0.0457', '28,006,297', '0')
    """
    size = abs(amount)
    return money(amount, 0 if not size or size >= 10_000 else 4 if size < 1 else 2)  # noqa: PLR2004 - as said above


def whole(amount: Decimal) -> str:
    """A count without digits after the point.

    >>> whole(Decimal("1234.5")), whole(Decimal(400))
    ('1,235', '400')
    """
    return money(amount, 0)


def change(amount: Decimal | None, places: int = 2) -> str:
    """A signed amount; more is +."""
    text = money(amount, places)
    return text if amount is None or text.startswith(MINUS) or not amount else f"+{text}"


def percent(ratio: Decimal | None, *, signed: bool = False) -> str:
    """A ratio in percent with one decimal.

    >>> percent(Decimal("0.0731"), signed=True), percent(Decimal("-0.25"))
    ('+7.3%', '−25.0%')
    """
    if ratio is None:
        return MISSING
    rounded = _WIDE.quantize(_WIDE.multiply(ratio, Decimal(100)), Decimal("0.1"))
    text = _signed(f"{rounded:,}") if rounded else f"{abs(rounded):,}"
    return f"+{text}%" if signed and rounded > 0 else f"{text}%"


def sparkline(amounts: tuple[Decimal | None, ...]) -> str:
    """The months as bars from zero to the largest; a month without data is a gap.

    >>> sparkline((Decimal(0), None, Decimal(5), Decimal(10)))
    '▁ ▅█'
    """
    largest = max((amount for amount in amounts if amount is not None), default=Decimal(0))
    return "".join(_bar(amount, largest) for amount in amounts)


def _bar(amount: Decimal | None, largest: Decimal) -> str:
    if amount is None:
        return " "
    if amount <= 0 or largest <= 0:
        return _BARS[0]
    return _BARS[min(len(_BARS) - 1, int(amount * len(_BARS) / largest))]


def _signed(text: str) -> str:
    return text.replace("-", MINUS)
