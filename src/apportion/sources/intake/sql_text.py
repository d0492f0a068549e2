"""SQL made of column names that the user's file brings: quoting in one place."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

from apportion.core.tables import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def literal(text: str) -> str:
    """The SQL string constant of a text of ours or of a column name; values of rows are bound, never written.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def listed(texts: Iterable[str]) -> str:
    """The texts as SQL constants with commas between.

    >>> listed(["a", "b"])
    "'a', 'b'"
    """
    return ", ".join(literal(text) for text in texts)


def filled(template: str, parts: Mapping[str, str] | None = None, **more: str) -> str:
    """A statement template with its `${name}` places filled; raises KeyError where one is left open."""
    return Template(template).substitute({**(parts or {}), **more})


def raw(name: str) -> str:
    """The column that holds a delivered column verbatim."""
    return quoted(f"v${name}")


def text_of(name: str) -> str:
    """The column that holds the mapped text of a FOCUS column."""
    return quoted(f"t${name}")


def value_of(name: str) -> str:
    """The column that holds the typed value of a FOCUS column."""
    return quoted(f"d${name}")


def is_word(name: str) -> str:
    """The column that says whether a delivered column holds a word for null."""
    return quoted(f"w${name}")


def finer(name: str) -> str:
    """The column that says whether a number has more digits than are kept."""
    return quoted(f"f${name}")


def kind_of(name: str) -> str:
    """The column that says in which form the text of a FOCUS column is written."""
    return quoted(f"k${name}")


def example_of(name: str) -> str:
    """The staged column that holds the text as it was delivered, on rows that a check is about."""
    return quoted(f"o${name}")


def extra_of(name: str) -> str:
    """The staged column that holds a delivered column no FOCUS column carries."""
    return quoted(f"e${name}")
