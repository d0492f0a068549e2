"""What is looked for in every row, and the words for it: one table of codes."""

from __future__ import annotations

from dataclasses import dataclass

from apportion.core.problems import Severity
from apportion.sources.intake.sql_text import filled

REPAIRED, WARNING, REJECTED = Severity.REPAIRED, Severity.WARNING, Severity.REJECTED

WORD_BITS = 60
"""Checks that one mask column holds (a UBIGINT has 64 bits; fewer keep the constants readable as BIGINT)."""
WORDS = 6
"""Mask columns of a staged row: `k0` … `k5`."""


@dataclass(frozen=True, slots=True)
class Check:
    """One fault that a row can have: found where `when` (SQL over the mapped and typed columns, never null) holds.

    `example` names the staged column with the text as delivered. `together` puts all columns with this code into one
    problem. `excludes` keeps the row out of the money; the rows of a rejected one are kept whole.
    """

    code: str
    column: str
    severity: Severity
    when: str
    what: str
    fix: str
    example: str = ""
    together: bool = False
    excludes: bool = False


@dataclass(frozen=True, slots=True)
class _Words:
    severity: Severity
    what: str
    fix: str


_CODES: dict[str, _Words] = {
    "null_word": _Words(REPAIRED, "A word such as NULL or N/A stands for an empty value.", "Export empty fields."),
    "number_form": _Words(
        REPAIRED,
        "${column} is written with a currency sign, spaces or thousands commas; they were taken off.",
        "Export plain numbers.",
    ),
    "finer_than_quantum": _Words(
        REPAIRED,
        "${column} has more than 18 digits after the point; it was rounded to 18, half away from zero.",
        "Nothing to do: the difference is below 10^-18 in each row.",
    ),
    "number_unreadable": _Words(
        WARNING,
        "${column} is not a number that can be read exactly; it was left empty.",
        "Export a plain decimal number below 10^18, with a point and without other signs.",
    ),
    "cost_unreadable": _Words(
        REJECTED,
        "${column} is not a number that can be read exactly, so the row is kept out of the money.",
        "Export a plain decimal number below 10^18, with a point and without other signs, and ingest again.",
    ),
    "no_billed_cost": _Words(
        REJECTED, "${column} is empty, so the row is kept out of the money.", "Export the cost and ingest again."
    ),
    "no_currency": _Words(
        REJECTED,
        "${column} is empty, so the row is kept out of the money.",
        "Export the currency, or set billing_currency in the options of the source, and ingest again.",
    ),
    "no_billing_account": _Words(
        REJECTED,
        "${column} is empty, so the row is kept out of the money.",
        "Export the billing account, or set billing_account_id in the options of the source, and ingest again.",
    ),
    "no_billing_period": _Words(
        REJECTED,
        "Neither BillingPeriodStart nor ChargePeriodStart can be read, so the row is kept out of the money.",
        'Export times as YYYY-MM-DDTHH:MM:SSZ; for dates with slashes set date_order = "mdy" or "dmy" in the options '
        "of the source.",
    ),
    "missing_value": _Words(
        WARNING, "${column} is empty; reports of this metric leave these rows out.", "Export the column in full."
    ),
    "missing_column": _Words(
        WARNING,
        "The file has no column for ${column}; reports of this metric leave its rows out.",
        "Add the column to the export, or use another metric.",
    ),
    "date_form": _Words(
        REPAIRED,
        "${column} is not written as YYYY-MM-DDTHH:MM:SSZ; it was read as UTC unless it names an offset.",
        "Export times as YYYY-MM-DDTHH:MM:SSZ.",
    ),
    "date_unreadable": _Words(
        WARNING,
        "${column} is not a time that can be read; it was left empty or taken from the period beside it.",
        'Export times as YYYY-MM-DDTHH:MM:SSZ; for dates with slashes set date_order = "mdy" or "dmy" in the options '
        "of the source.",
    ),
    "billing_period_from_charge": _Words(
        REPAIRED,
        "${column} is not known; the month in which the charge starts was taken.",
        "Export BillingPeriodStart.",
    ),
    "billing_period_end_assumed": _Words(
        REPAIRED, "${column} is not known; one month after BillingPeriodStart was taken.", "Export BillingPeriodEnd."
    ),
    "inclusive_period_end": _Words(
        REPAIRED,
        "${column} is the last day of the month; the first day of the next month was taken (the end is exclusive).",
        "Nothing to do.",
    ),
    "charge_period_from_billing": _Words(
        REPAIRED, "${column} is not known; BillingPeriodStart was taken.", "Export ChargePeriodStart."
    ),
    "enum_spelling": _Words(
        REPAIRED,
        "${column} is written in another way than FOCUS writes it; the FOCUS spelling was taken.",
        "Nothing to do.",
    ),
    "enum_unknown": _Words(
        WARNING,
        "${column} holds a value that FOCUS does not list; it was kept.",
        "Check the export for shifted columns.",
    ),
    "leading_zero_lost": _Words(
        WARNING,
        "${column} is an AWS account id of 11 digits: its leading zero was lost before the file came here.",
        "Export the id as text; account maps must use the id as it stands until then.",
    ),
    "currency_unknown": _Words(
        WARNING,
        "${column} is no ISO 4217 currency code; it was kept as it stands and is never added to another currency.",
        "Check the export.",
    ),
    "tags_unreadable": _Words(
        WARNING,
        '${column} is neither a JSON object, nor a list of key/value structs, nor a list of "key": "value"; '
        "the charge has no tags.",
        "Export tags as a JSON object.",
    ),
    "duplicate_tag_key": _Words(
        WARNING, "${column} names a key twice; the first value was kept.", "Remove one of them at the provider."
    ),
    "mixed_currency": _Words(
        WARNING,
        "These charges are in ${example}, most of the month is in another currency; currencies are never added.",
        "Check that the export holds one billing currency, if you expect one.",
    ),
    "no_rows": _Words(WARNING, "The file has a header and no rows.", "Check the export if you expect charges in it."),
    "too_many_fields": _Words(
        REJECTED,
        "The record has more fields than the header, so it is kept out of the money.",
        "Quote fields that hold the delimiter, and ingest again.",
    ),
    "too_few_fields": _Words(
        REJECTED,
        "The record has fewer fields than the header, so it is kept out of the money.",
        "Deliver complete records, and ingest again.",
    ),
    "bad_quotes": _Words(
        REJECTED,
        "A quote in the record is not closed, so it is kept out of the money.",
        "Double the quotes inside quoted fields, and ingest again.",
    ),
    "bad_encoding": _Words(
        REJECTED,
        "The record is not UTF-8, so it is kept out of the money.",
        'Save the file as UTF-8, or set encoding = "latin-1" in the options of the source, and ingest again.',
    ),
    "record_too_long": _Words(
        REJECTED,
        "The record is longer than 2 MB, so it is kept out of the money.",
        "Check its quotes, and ingest again.",
    ),
    "bad_record": _Words(
        REJECTED, "The record cannot be read, so it is kept out of the money.", "Deliver it again, and ingest again."
    ),
    "bad_json": _Words(
        REJECTED,
        "The line is no JSON object, so it is kept out of the money.",
        "Deliver one JSON object per line, and ingest again.",
    ),
}


def words_for(code: str, *, column: str = "", example: str = "") -> tuple[Severity, str, str]:
    """Severity, what is wrong and what to do for a code of ours; raises KeyError for other codes."""
    words = _CODES[code]
    return words.severity, filled(words.what, column=column, example=example), words.fix


def check(code: str, column: str, when: str, *, example: str = "", together: bool = False) -> Check:
    """The check for a code of ours in one column, with its words."""
    severity, what, fix = words_for(code, column=column)
    return Check(code, column, severity, when, what, fix, example, together, excludes=severity is REJECTED)


def mask(checks: tuple[Check, ...], word: int) -> str:
    """SQL: the mask column of that number, one bit per check that holds."""
    mine = checks[word * WORD_BITS : (word + 1) * WORD_BITS]
    bits = [f"({each.when})::UBIGINT * {1 << bit}::UBIGINT" for bit, each in enumerate(mine)]
    return " | ".join(bits) or "0::UBIGINT"


def place(number: int) -> tuple[int, int]:
    """In which mask column a check lies (by its number from 0), and the value of its bit."""
    return number // WORD_BITS, 1 << (number % WORD_BITS)
