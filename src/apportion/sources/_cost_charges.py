"""The charges that one line of a cost file stands for: exact, and adding up to what the line says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from apportion.core.money import from_quanta, piece, quanta
from apportion.core.period import Month

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

HOURS = 24
"""Hours of a day, in UTC."""

_DAY = timedelta(days=1)


class Per(StrEnum):
    """What the amount of a line is the price of."""

    ONCE = "once"
    MONTH = "month"
    DAY = "day"
    HOUR = "hour"
    TERM = "term"


@dataclass(frozen=True, slots=True)
class Line:
    """A sound line: the amount, and the quantity it buys, hold for [start, end) as `per` says.

    `paid` is the day on which a term is billed as one amount; None where it is billed day by day.
    """

    per: Per
    amount: Decimal
    quantity: Decimal | None
    start: date
    end: date
    paid: date | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge for [start, end). `used` is the cost of what was used then: EffectiveCost, and list and contract."""

    start: date
    end: date
    category: str
    frequency: str
    billed: Decimal
    used: Decimal
    quantity: Decimal | None


def charges_of(line: Line) -> Iterator[Charge]:
    """The charges of a line in order of time, a purchase before what is used of it.

    The parts of a month, and the days of a term, are `money.piece`s of one whole, so they add up to the last digit.
    """
    if line.per is Per.ONCE:
        yield _charge(line, line.start, line.start + _DAY, category="Purchase", frequency="One-Time")
    elif line.per is Per.MONTH:
        yield from _months(line)
    elif line.per is Per.TERM:
        yield from _term(line)
    else:
        yield from _days(line)


def _charge(line: Line, start: date, end: date, *, category: str, frequency: str, of: _Part | None = None) -> Charge:
    part = of or _Part()
    amount = part.taken(line.amount)
    quantity = None if line.quantity is None else part.taken(line.quantity)
    return Charge(start, end, _category(line, category), frequency, billed=amount, used=amount, quantity=quantity)


def _category(line: Line, category: str) -> str:
    return "Credit" if line.amount < 0 else category


@dataclass(frozen=True, slots=True)
class _Part:
    """The part [low, high) of a whole, so many times."""

    low: int = 0
    high: int = 1
    whole: int = 1
    times: int = 1

    def taken(self, amount: Decimal) -> Decimal:
        return from_quanta(quanta(piece(amount, self.low, self.high, self.whole)) * self.times)


def _months(line: Line) -> Iterator[Charge]:
    month = Month(line.start.year, line.start.month)
    while (first := month.start.date()) < line.end:
        after = month.end.date()
        start, end = max(first, line.start), min(after, line.end)
        part = _Part((start - first).days, (end - first).days, (after - first).days)
        yield _charge(line, start, end, category="Purchase", frequency="Recurring", of=part)
        month = month.plus(1)


def _days(line: Line) -> Iterator[Charge]:
    hourly = line.per is Per.HOUR
    category, frequency = ("Usage", "Usage-Based") if hourly else ("Purchase", "Recurring")
    part = _Part(times=HOURS if hourly else 1)
    for number in range((line.end - line.start).days):
        start = line.start + number * _DAY
        yield _charge(line, start, start + _DAY, category=category, frequency=frequency, of=part)


def _term(line: Line) -> Iterator[Charge]:
    days = (line.end - line.start).days
    nothing = from_quanta(0)
    if line.paid:
        category = _category(line, "Purchase")
        yield Charge(line.paid, line.paid + _DAY, category, "One-Time", line.amount, used=nothing, quantity=None)
    for number in range(days):
        start, part = line.start + number * _DAY, _Part(number, number + 1, days)
        used = part.taken(line.amount)
        yield Charge(
            start,
            start + _DAY,
            _category(line, "Usage"),
            "Usage-Based",
            billed=nothing if line.paid else used,
            used=used,
            quantity=None if line.quantity is None else part.taken(line.quantity),
        )
