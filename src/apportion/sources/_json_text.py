"""SQL that reads a value out of nested JSON text without ever making a float of a number.

Trap, measured: DuckDB's JSON functions read a number as DOUBLE, so 0.1234567890123456789 comes out as
0.12345678901234568. A number of at most 15 digits survives that unchanged; longer ones are put in quotes first.
"""

from __future__ import annotations

from apportion.core.tables import quoted
from apportion.sources.intake.sql_text import filled, literal

_LONG = r"regexp_matches(${json}, '[0-9.]{16}')"

# strings are taken whole, so a digit inside a string stays what it is
_TOKENS = r"""regexp_extract_all(${json}, '"(?:[^"\\]|\\.)*"|[^"]+')"""

_QUOTED = rf"""CASE WHEN {_LONG} THEN array_to_string(list_transform({_TOKENS},
    lambda token: CASE WHEN starts_with(token, '"') THEN token
        ELSE regexp_replace(token, '-?[0-9][0-9.eE+-]*', '"\0"', 'g') END), '')
    ELSE ${{json}} END"""


def with_numbers_as_text(json: str) -> str:
    """SQL: the JSON with every number long enough to lose digits written as a string."""
    return filled(_QUOTED, json=json)


def text_at(column: str, path: str) -> str:
    """SQL: the text at the path (`$.id`, quoted keys for names with dots); null where there is none or no JSON."""
    return f"nullif(TRY(json_extract_string({quoted(column)}, {literal(path)})), '')"


def number_at(column: str, path: str) -> str:
    """SQL: the number at the path as the text it was delivered as; null where there is none or no JSON."""
    json = with_numbers_as_text(quoted(column))
    return f"nullif(TRY(json_extract_string({json}, {literal(path)})), '')"


def structs(json: str, *fields: str) -> str:
    """SQL: a JSON array of objects as LIST(STRUCT) with these fields as text, null where it is no such array."""
    shape = "[{" + ", ".join(f'"{name}": "VARCHAR"' for name in fields) + "}]"
    return f"TRY(from_json({json}, {literal(shape)}))"


def value_of_key(json: str, key: str) -> str:
    """SQL: the value of the first pair with that key in a JSON array of key/value structs, null where there is none."""
    pairs = structs(json, "key", "value")
    return f"list_filter({pairs}, lambda pair: pair.key = {literal(key)})[1].value"
