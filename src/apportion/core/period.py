"""Months, ranges of months and lengths of time: half-open, UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.errors import BadPeriod

if TYPE_CHECKING:
    from collections.abc import Iterator

MONTHS = 12
_MONTH = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month of the bill, in UTC.

    >>> str(Month(2026, 1).plus(-1)), Month.parse("2026-02").start
    ('2025-12', datetime.datetime(2026, 2, 1, 0, 0))
    """

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """The month written `YYYY-MM`; raises `BadPeriod`."""
        found = _MONTH.fullmatch(text.strip())
        if not found or int(found[2]) not in range(1, MONTHS + 1) or int(found[1]) < 1:
            raise BadPeriod(text)
        return cls(int(found[1]), int(found[2]))

    @property
    def start(self) -> datetime:
        """The first moment, UTC without zone mark, as the tables hold times."""
        return datetime(self.year, self.month, 1)

    @property
    def end(self) -> datetime:
        """The first moment of the next month (exclusive end)."""
        return self.plus(1).start

    def plus(self, months: int) -> Month:
        """The month so many months later (earlier if negative)."""
        ordinal = self.year * MONTHS + self.month - 1 + months
        return Month(ordinal // MONTHS, ordinal % MONTHS + 1)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


@dataclass(frozen=True, slots=True)
class Period:
    """One month or several, both ends included in the text form, half-open in time.

    >>> [str(m) for m in Period.parse("2026-11..2027-01")]
    ['2026-11', '2026-12', '2027-01']
    """

    first: Month
    last: Month

    @classmethod
    def parse(cls, text: str) -> Period:
        """The period written `YYYY-MM` or `YYYY-MM..YYYY-MM`; raises `BadPeriod`."""
        first, separator, last = text.partition("..")
        period = cls(Month.parse(first), Month.parse(last) if separator else Month.parse(first))
        if period.last < period.first:
            raise BadPeriod(text)
        return period

    def __iter__(self) -> Iterator[Month]:
        month = self.first
        while month <= self.last:
            yield month
            month = month.plus(1)

    def __contains__(self, month: Month) -> bool:
        return self.first <= month <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"


def seconds(span: timedelta) -> Decimal:
    """A duration in seconds, exact to the microsecond.

    >>> from datetime import timedelta
    >>> seconds(timedelta(minutes=1, microseconds=250))
    Decimal('60.00025')
    """
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000
