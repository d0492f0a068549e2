"""FOCUS enumerations: the specified spelling of a value that is only written differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core import focus
from apportion.sources.intake.sql_text import literal, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

COLUMNS = tuple(column.name for column in focus.COLUMNS if column.allowed)
"""The enumerated columns, alphabetical."""

_SHORT = {"onetime": "One-Time", "usage": "Usage-Based"}
"""Short forms of ChargeFrequency."""


def value(column: str) -> str:
    """SQL: the value in FOCUS spelling (`usage based` -> `Usage-Based`); an unknown value as it stands."""
    allowed, text = focus.BY_NAME[column].allowed, text_of(column)
    spellings = {_plain(word): word for word in allowed}
    if column == "ChargeFrequency":
        spellings |= _SHORT
    cases = " ".join(f"WHEN {literal(plain)} THEN {literal(word)}" for plain, word in spellings.items())
    loose = f"CASE lower(translate({text}, ' -_', '')) {cases} ELSE {text} END"
    return f"CASE {text} {_each(allowed, text)} ELSE {loose} END"


def is_unknown(column: str, value_sql: str) -> str:
    """SQL: whether there is a value, and it is none of those FOCUS lists."""
    return f"CASE {value_sql} {_each(focus.BY_NAME[column].allowed, 'false')} ELSE {value_sql} IS NOT NULL END"


def _each(allowed: Iterable[str], then: str) -> str:
    # not IN (…): DuckDB makes a join of a longer list, one per column
    return " ".join(f"WHEN {literal(word)} THEN {then}" for word in allowed)


def _plain(word: str) -> str:
    return word.lower().translate(str.maketrans("", "", " -_"))
