"""Text to DECIMAL(38,18), never rounded unseen.

DuckDB's own TRY_CAST rounds without a word and takes `1_000` for a number, so each text is
first recognised by its form.
"""

from __future__ import annotations

from apportion.core.money import LIMIT
from apportion.core.tables import AMOUNT
from apportion.sources.intake.sql_text import filled, kind_of, text_of, value_of

PLAIN, SCIENTIFIC, FORMED, UNREADABLE = 1, 2, 3, 9
"""The forms of a number; 0 is no text."""

_DIGITS = r"[+-]?(\d+\.?\d*|\.\d+)"
_EXPONENT = r"[eE][+-]?\d{1,3}"
_DRESSED = r"\(?[+-]?\s*[$€£¥₹]?\s*[+-]?({whole})(\.\d+)?\s*\)?"
_THOUSANDS = r"\d+|\d{1,3}(,\d{3})+"

# the constant as text: a DOUBLE would not become exactly 10^18
_LIMIT = f"CAST('{LIMIT}' AS {AMOUNT})"

_FORM = r"""CASE
    WHEN ${text} IS NULL THEN 0
    WHEN regexp_full_match(${text}, '${digits}') THEN 1
    WHEN regexp_full_match(${text}, '${digits}${exponent}') THEN 2
    WHEN regexp_full_match(trim(${text}), '${dressed}') THEN 3
    ELSE 9
END::UTINYINT"""

_BARE = r"""CASE ${kind}
    WHEN 3 THEN CASE WHEN contains(${text}, '(') THEN '-' ELSE '' END
        || regexp_replace(${text}, '[\s,$$€£¥₹()]', '', 'g')
    WHEN 9 THEN NULL
    ELSE ${text}
END"""

# TRY_CAST to DECIMAL rounds half away from zero, exactly, for plain and scientific text alike
_VALUE = "CASE WHEN abs(TRY_CAST(${bare} AS ${amount})) < ${limit} THEN TRY_CAST(${bare} AS ${amount}) END"

# digits after the point = digits of the fraction - zeros at the end of all digits - exponent
_FINER = r"""CASE WHEN ${kind} IN (1, 2) AND (length(${text}) > 19 OR ${kind} = 2) AND ${value} IS NOT NULL THEN
    regexp_matches(regexp_extract(${text}, '[^eE]*'), '[1-9]')
    AND length(regexp_extract(${text}, '\.(\d*)', 1))
      - length(regexp_extract(regexp_replace(regexp_extract(${text}, '[^eE]*'), '[^0-9]', '', 'g'), '0*$$'))
      - coalesce(TRY_CAST(regexp_extract(${text}, '[eE](.*)', 1) AS INTEGER), 0) > 18
ELSE false END"""


def form(column: str, *, commas: bool) -> str:
    """SQL: in which form the mapped text of the column is written; `commas` says whether 1,000 may be a thousand."""
    dressed = _DRESSED.format(whole=_THOUSANDS if commas else r"\d+")
    return filled(_FORM, text=text_of(column), digits=_DIGITS, exponent=_EXPONENT, dressed=dressed)


def value(column: str) -> str:
    """SQL: the number, null where the text is no number or not below 10^18 in size."""
    bare = filled(_BARE, text=text_of(column), kind=kind_of(column))
    return filled(_VALUE, bare=f"({bare})", amount=AMOUNT, limit=_LIMIT)


def is_finer(column: str) -> str:
    """SQL: whether the text has non-zero digits beyond the 18th after the point, so that the value is rounded."""
    return filled(_FINER, text=text_of(column), kind=kind_of(column), value=value_of(column))
