"""Text to a UTC time, by its form.

Trap: `CAST('…+02:00' AS TIMESTAMP)` drops the offset without a word, so zoned text goes through TIMESTAMPTZ.
"""

from __future__ import annotations

from apportion.sources.intake.sql_text import filled, kind_of, listed, text_of

CANONICAL, ZONED, UNZONED, SLASHED, COMPACT, UNREADABLE = 1, 2, 3, 4, 5, 9
"""The forms of a time; 0 is no text. `CANONICAL` is what FOCUS demands: `YYYY-MM-DDTHH:MM:SSZ`."""

_DAY = r"\d{4}-\d\d-\d\d"
_CLOCK = r"\d\d:\d\d(:\d\d(\.\d+)?)?"

_FORM = r"""CASE
    WHEN ${text} IS NULL THEN 0
    WHEN regexp_full_match(${text}, '${day}T\d\d:\d\d:\d\d(\.\d+)?Z') THEN 1
    WHEN regexp_full_match(${text}, '${day}[T ]${clock} ?(Z|UTC|[+-]\d\d(:?\d\d)?)') THEN 2
    WHEN regexp_full_match(${text}, '${day}([T ]${clock})?') THEN 3
    WHEN regexp_full_match(${text}, '\d{1,2}/\d{1,2}/(\d{4}|\d\d)( \d{1,2}:\d\d(:\d\d)?( [AP]M)?)?') THEN 4
    WHEN regexp_full_match(${text}, '\d{8}') THEN 5
    ELSE 9
END::UTINYINT"""

_VALUE = r"""CASE ${kind}
    WHEN 1 THEN TRY_CAST(${text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'
    WHEN 2 THEN TRY_CAST(replace(replace(${text}, 'UTC', 'Z'), ' Z', 'Z') AS TIMESTAMPTZ) AT TIME ZONE 'UTC'
    WHEN 3 THEN TRY_CAST(${text} AS TIMESTAMP)
    ${slashed}
    WHEN 5 THEN TRY_STRPTIME(${text}, '%Y%m%d')
END"""

# '%Y' takes '25' for the year 25, so years of two digits have patterns of their own
_SLASHED = r"""WHEN 4 THEN CASE WHEN regexp_matches(${text}, '/\d{4}')
        THEN TRY_STRPTIME(${text}, [${long}]) ELSE TRY_STRPTIME(${text}, [${short}]) END"""

_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_DATES = {"mdy": "%m/%d/", "dmy": "%d/%m/"}
ORDERS = tuple(_DATES)
"""What the option `date_order` may say."""


def form(column: str) -> str:
    """SQL: in which form the mapped text of the column is written."""
    return filled(_FORM, text=text_of(column), day=_DAY, clock=_CLOCK)


def value(column: str, *, order: str) -> str:
    """SQL: the time in UTC, null where it cannot be read; `order` is '' where dates with slashes are not read."""
    text = text_of(column)
    slashed = ""
    if order:
        long, short = (listed(_DATES[order] + year + clock for clock in _CLOCKS) for year in ("%Y", "%y"))
        slashed = filled(_SLASHED, text=text, long=long, short=short)
    return filled(_VALUE, text=text, kind=kind_of(column), slashed=slashed)
