"""The raw columns of one file, found by name whatever their case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.core.tables import quoted
from apportion.sources.intake.sql_text import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class RawColumns:
    """Lower-case name -> the name as delivered."""

    by_word: Mapping[str, str]

    @classmethod
    def of(cls, columns: Iterable[str]) -> RawColumns:
        """The columns of a file; where two differ in case only the first counts."""
        found: dict[str, str] = {}
        for column in columns:
            found.setdefault(column.strip().lower(), column)
        return cls(found)

    def name(self, *spellings: str) -> str | None:
        """The delivered name of the first of these columns that the file has."""
        return next((self.by_word[word.lower()] for word in spellings if word.lower() in self.by_word), None)

    def text(self, *spellings: str) -> str:
        """SQL: the first non-empty text among these columns, null where the file has none of them."""
        found = [self.by_word[word.lower()] for word in spellings if word.lower() in self.by_word]
        texts = [f"nullif({quoted(name)}, '')" for name in found]
        return f"coalesce({', '.join(texts)})" if texts else "CAST(NULL AS VARCHAR)"

    def first_of_each(self, groups: Iterable[tuple[str, ...]]) -> frozenset[str]:
        """The delivered name of the first column of each group, for the groups of which the file has one."""
        return frozenset(name for group in groups if (name := self.name(*group)))


def chosen(value: str, table: Mapping[str, str], otherwise: str) -> str:
    """SQL: what the table (lower-case keys) has for a text, whatever its case; `otherwise` is SQL."""
    cases = " ".join(f"WHEN {literal(key)} THEN {literal(word)}" for key, word in table.items())
    return f"CASE lower({value}) {cases} ELSE {otherwise} END"
