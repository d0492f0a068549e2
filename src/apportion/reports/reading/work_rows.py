"""What the rows of the metered reports share: their order, unit costs, and the note on what was not charged."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.reports.reading.change import ratio, rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from fractions import Fraction

    from apportion.reports.reading.work import Work

_Place = tuple[bool, Decimal, str, str]


def by_cost(currency: str) -> Callable[[Work], _Place]:
    """The order of rows: the costliest first, those without a cost last, then by name and id."""

    def place(work: Work) -> _Place:
        cost = work.costs[currency].chosen if currency in work.costs else None
        return (cost is None, (cost or Decimal(0)).copy_negate(), work.name, work.id)

    return place


def unit_cost(work: Work, currency: str, quantity: Decimal | None) -> Decimal | None:
    """What one unit of the quantity cost, at 18 digits: all that the workload cost, whatever filters choose of it.

    None where there is no cost, or nothing of the quantity.
    """
    return ratio(work.costs[currency].whole, quantity) if currency in work.costs else None


def rounded_or_none(number: Fraction | None) -> Decimal | None:
    """The number at 18 digits; None stays None."""
    return None if number is None else rounded(number)


def uncharged_note(listed: Sequence[Work], one: str, many: str) -> Iterator[str]:
    """A sentence where some of these have usage and no charge."""
    count = sum(not work.costs for work in listed)
    if count:
        has = f"1 {one} has" if count == 1 else f"{count} {many} have"
        yield f"{has} usage and no charge in these bills: see 'apportion report --by metering-gaps'."
