"""What a report is asked and what it answers: typed values, so that every door shows the same figures its own way."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from apportion.ledger.lenses import Lens

if TYPE_CHECKING:
    from collections.abc import Callable

    from apportion.core.period import Month, Period
    from apportion.engine.duck import DuckDb
    from apportion.ledger.filters import Filters
    from apportion.store import Store
    from apportion.store.records import Run


class Kind(StrEnum):
    """How the values of a column are read; `unit` of the column says in what they count."""

    TEXT = "text"
    MONEY = "money"
    CHANGE = "change"
    """Signed: more is +. In money, or as a ratio (0.073 is +7.3 %) where the unit is `ratio`."""
    SHARE = "share"
    """A ratio of the total: 0.25 is 25 %."""
    TREND = "trend"
    """Signed money per month."""
    SERIES = "series"
    """A tuple of amounts, oldest month first: what a sparkline is drawn from."""
    COUNT = "count"
    QUANTITY = "quantity"
    """An exact number of what the unit says: hours, GiB-months."""


RATIO = "ratio"
"""The unit of changes and shares that are fractions of something."""

Cell = str | int | Decimal | tuple[Decimal | None, ...] | None
"""Money and ratios are exact decimals; None is what is not known, which is never the same as 0."""
Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an answer. `key` is its name in CSV and JSON; a `detail` column may be left out of a narrow table."""

    key: str
    heading: str
    kind: Kind
    unit: str | None = None
    detail: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """The answer in one currency: every row and the total have one cell per column. `unallocated` is the last row."""

    currency: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    total: Row


@dataclass(frozen=True, slots=True)
class Answer:
    """One section per currency, never added up; `notes` are whole sentences that belong under the table."""

    title: str
    period: Period
    metric: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to an opened run.

    `db` holds the view `allocations` (table `core.tables.ALLOCATIONS`) with the pieces of `months`, oldest first, as
    `lens` sees them: all the months that the question needs; `ledger.lenses` says what else it holds. `metric` is one
    of `core.focus.COSTS`; the section in `currency` comes first. The trend looks at the last `trend_months` months of
    the period.
    """

    db: DuckDb
    store: Store
    run: Run
    period: Period
    months: tuple[Month, ...]
    metric: str
    filters: Filters
    trend_months: int
    currency: str
    lens: Lens = Lens.AFTER


@dataclass(frozen=True, slots=True)
class Report:
    """One question. `name` is what the user types after `--by`, with `cost_by_` left out and dashes for underscores."""

    name: str
    title: str
    answer: Callable[[Asked], Answer]
