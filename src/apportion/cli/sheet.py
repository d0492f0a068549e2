"""What a command prints, whatever the form: titled sections of typed columns."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Kind(StrEnum):
    """How the values of a column are read."""

    TEXT = "text"
    MONEY = "money"
    EXACT = "exact"
    """Money or a quantity with every digit, in tables too."""
    CHANGE = "change"
    SHARE = "share"
    SERIES = "series"
    COUNT = "count"
    QUANTITY = "quantity"
    """Hours and the like: rounded in tables."""
    WHOLE = "whole"
    """A quantity of whole things, such as requests: without digits after the point in tables."""


Cell = str | int | bool | Decimal | tuple[Decimal | None, ...] | None
"""Money and ratios are exact decimals; None is what is not known."""


@dataclass(frozen=True, slots=True)
class Column:
    """`key` is its name in CSV and JSON; a `ratio` shows as percent; a `detail` column is left out of a table."""

    key: str
    heading: str
    kind: Kind = Kind.TEXT
    ratio: bool = False
    detail: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Rows under one heading; `label` goes into every CSV record (such as the currency), with `label_key` as column."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    total: Sequence[Cell] | None = None
    label_key: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that a command prints. `name` names the JSON schema (`apportion.<name>/1`); `facts` are single values."""

    name: str
    title: str
    sections: tuple[Section, ...]
    facts: Mapping[str, Cell] | None = None
    notes: tuple[str, ...] = ()
