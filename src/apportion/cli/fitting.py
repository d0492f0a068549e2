"""Which columns of a table fit a terminal, and how wide each is: no figure is ever broken or cut.

Figures take all the width they need. Texts and headings wrap between words. Where that is too wide, in this order:

1. columns are left out from the right, figures and short texts before sentences; never the first column, the first
   amount of money, or the columns `cost` and `amount`;
2. words longer than `SHORT_WORD` are cut, with an ellipsis;
3. what is left is wider than the terminal.

While columns are left out, words up to `SHORT_WORD` count as whole, longer ones as that long: one long name shall not
cost a column. Those that stay get the width that is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.cells import cell_len

from apportion.cli.sheet import Column, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SHORT_WORD = 20
"""The id of an AWS instance has 19."""
_SENTENCE = 30
_MONEY = frozenset({"cost", "amount"})
_BETWEEN = 3
"""Columns of width between two columns: a space, the box's divider, a space."""
_EDGES = 2


@dataclass(frozen=True, slots=True)
class Strip:
    """The column at the place `at` of its section, with its cells as they are drawn; the total is the last of them."""

    at: int
    column: Column
    cells: tuple[str, ...]

    @property
    def wraps(self) -> bool:
        """Whether its cells may be broken between words; headings always may."""
        return self.column.kind is Kind.TEXT

    @property
    def whole(self) -> int:
        """The width in which no cell is broken."""
        return max(map(cell_len, (self.column.heading, *self.cells)))

    @property
    def longest_word(self) -> int:
        """The width in which no word is broken."""
        words = [word for each in self.cells for word in each.split()] if self.wraps else self.cells
        return max(map(cell_len, (*self.column.heading.split(), *words)), default=1)

    @property
    def least(self) -> int:
        """The width below which another column is left out rather."""
        return min(self.longest_word, SHORT_WORD) if self.wraps else self.longest_word

    def heading(self, width: int) -> str:
        """The heading in lines of so many columns."""
        return "\n".join(wrap(self.column.heading, width, break_long_words=False, break_on_hyphens=False))


@dataclass(frozen=True, slots=True)
class Fit:
    """The columns that are drawn, each with its width, and those that were left out."""

    drawn: tuple[tuple[Strip, int], ...]
    left_out: tuple[Strip, ...] = ()

    @property
    def width(self) -> int:
        """The width of the table."""
        return _taken(wide for _, wide in self.drawn)


def fitted(strips: Sequence[Strip], width: int) -> Fit:
    """The columns of a table in so many columns of a terminal, as this module's docstring says."""
    kept, out = list(strips), []
    for candidate in _order(strips):
        if _taken(strip.least for strip in kept) <= width:
            break
        kept.remove(candidate)
        out.append(candidate)
    room = max(width - _taken(0 for _ in kept), 0)
    left_out = sorted(out, key=lambda strip: strip.at)
    return Fit(tuple(zip(kept, _widths(kept, room), strict=True)), tuple(left_out))


def _order(strips: Sequence[Strip]) -> list[Strip]:
    """The columns that may be left out, the first to go first."""
    money = [strip for strip in strips if strip.column.kind is Kind.MONEY]
    kept = {strips[0].at, *(strip.at for strip in money[:1])} if strips else set()
    may = [strip for strip in reversed(strips) if strip.at not in kept and strip.column.key not in _MONEY]
    return sorted(may, key=lambda strip: strip.wraps and strip.whole > _SENTENCE)


def _taken(widths: Iterable[int]) -> int:
    each = list(widths)
    return sum(each) + _BETWEEN * (len(each) - 1) + _EDGES


def _widths(strips: Sequence[Strip], room: int) -> list[int]:
    """The width of each: all it wants, then less for the widest text, while no word is broken; then words too."""
    widths = [strip.whole for strip in strips]
    for least in ([strip.longest_word for strip in strips], [strip.least for strip in strips]):
        while sum(widths) > room:
            narrower = [at for at in range(len(strips)) if widths[at] > least[at]]
            if not narrower:
                break
            widths[max(narrower, key=lambda at: widths[at])] -= 1
    return widths
