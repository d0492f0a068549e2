"""A fault in the user's data, as the user meets it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal


class Severity(StrEnum):
    """What became of the rows: put right, kept but doubtful, or kept out of the money."""

    REPAIRED = "repaired"
    WARNING = "warning"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of fault in one column of one file.

    `rows` are the record numbers as a spreadsheet shows them (the header is row 1), as ranges: "2-51, 60". `amount` is
    the BilledCost of the rows where it could be read, in `currency`; None where it could not.
    """

    code: str
    severity: Severity
    file: str
    rows: str
    row_count: int
    column: str
    example: str
    what: str
    fix: str
    amount: Decimal | None = None
    currency: str | None = None


def ranges(rows: list[int], limit: int = 40) -> str:
    """Sorted row numbers as ranges, at most `limit` of them, then how many more rows there are.

    >>> ranges([2, 3, 4, 9]), ranges([1, 3, 5], limit=2)
    ('2-4, 9', '1, 3 and 1 more')
    """
    spans: list[tuple[int, int]] = []
    for row in rows:
        if spans and row == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], row)
        else:
            spans.append((row, row))
    return spans_text(spans[:limit], more=sum(b - a + 1 for a, b in spans[limit:]))


def spans_text(spans: list[tuple[int, int]], *, more: int = 0) -> str:
    """Closed ranges of row numbers as text, and how many more rows there are beyond them.

    >>> spans_text([(2, 51), (60, 60)], more=3)
    '2-51, 60 and 3 more'
    """
    shown = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
    return f"{shown} and {more} more" if more else shown
