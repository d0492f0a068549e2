"""What a line of a cost file says, or the fault that keeps it out of the money."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from apportion.sources._cost_charges import Line, Per

Words = Mapping[str, str]
"""The filled columns of a line: name in small letters -> text without spaces around."""

MOST_DAYS = 36_525
"""Days that a line may run, a hundred years: more is a slip of the pen."""
AMORTISED = "amortised"
UPFRONT = "upfront"

_YEARS = range(1970, 2200)
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,18})?", re.ASCII)
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_DATES = {
    "": re.compile(r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)", re.ASCII),
    "mdy": re.compile(r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})", re.ASCII),
    "dmy": re.compile(r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})", re.ASCII),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a line is kept out of the money, in a column of a cost file, and what to write instead."""

    code: str
    column: str
    what: str
    fix: str

    @property
    def key(self) -> str:
        """What tells faults apart: code and column."""
        return f"{self.code} {self.column}"


_SAY_DATE = (
    'Write it as YYYY-MM-DD; for dates with slashes set date_order = "mdy" or "dmy" in the options of the source.'
)
_SAY_NUMBER = "Write a plain decimal number, such as 1200.50, without currency sign and thousands commas."

NO_ID = Fault("cost_without_id", "id", "The line has no id", "Give each line an id of its own.")
SAME_ID = Fault(
    "cost_id_twice", "id", "Several lines of the file have this id, and none says which is meant", "Give each its own."
)
NO_PER = Fault(
    "cost_per_unknown", "per", "per does not say what the amount is the price of", f"Write one of: {', '.join(Per)}."
)
NO_AMOUNT = Fault("cost_amount_unreadable", "amount", "amount is no number that can be read exactly", _SAY_NUMBER)
NO_CURRENCY = Fault(
    "cost_currency_unreadable", "currency", "currency is no ISO 4217 code", "Write three letters, such as EUR."
)
NO_DATE = {
    name: Fault("cost_date_unreadable", name, f"{name} is no date that can be read", _SAY_DATE)
    for name in ("start", "end", "paid")
}
ENDS_FIRST = Fault(
    "cost_ends_first", "end", "end does not lie after start", "Correct one of them; end is the first day after."
)
OPEN_END = Fault(
    "cost_open_end",
    "end",
    "end is empty, and nothing says up to which month the price runs",
    'Write end, or set until = "YYYY-MM" in the options of the source.',
)
TOO_LATE = Fault(
    "cost_starts_later",
    "start",
    "The line has no charge up to the month that the option until names",
    "Set until to a later month when its time comes.",
)
NO_TERM = Fault("cost_term_open", "end", "A term has no days without its end", "Write end, the first day after it.")
END_OF_ONCE = Fault(
    "cost_once_with_end",
    "end",
    "A cost that comes once has no end",
    "Leave end empty, or write per = term if the amount is used up over that time.",
)
TOO_LONG = Fault("cost_too_long", "end", "The line runs for more than a hundred years", "Correct start or end.")
NOT_PAID = Fault(
    "cost_paid_without_purchase",
    "paid",
    "paid is the day of a purchase, and the line has none",
    "Leave paid empty, or write per = term with billed = upfront.",
)
NO_BILLED = Fault(
    "cost_billed_unknown",
    "billed",
    "billed does not say how a term is billed",
    f"Write {UPFRONT} or {AMORTISED} on a line with per = term; leave it empty on others.",
)
NO_QUANTITY = Fault("cost_quantity_unreadable", "quantity", "quantity is no number that can be read", _SAY_NUMBER)
NO_UNIT = Fault("cost_half_quantity", "unit", "quantity and unit need each other", "Fill both columns, or none.")

FAULTS = (
    *(NO_ID, SAME_ID, NO_PER, NO_AMOUNT, NO_CURRENCY, *NO_DATE.values(), ENDS_FIRST, OPEN_END, TOO_LATE, NO_TERM),
    *(END_OF_ONCE, TOO_LONG, NOT_PAID, NO_BILLED, NO_QUANTITY, NO_UNIT),
)
"""All faults of a line."""


class _Refused(Exception):
    """A line that gives no charge; carries its fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.what)
        self.fault = fault


def line_of(words: Words, *, date_order: str, until: date | None) -> Line | Fault:
    """The line that these words are, or the first fault found; what has no end runs until the day `until`.

    The id is not looked at: that needs the other lines.
    """
    try:
        return _line(words, date_order=date_order, until=until)
    except _Refused as refused:
        return refused.fault


def _line(words: Words, *, date_order: str, until: date | None) -> Line:
    per = _per(words)
    amount = _number(words.get("amount", ""), NO_AMOUNT)
    if not _CURRENCY.fullmatch(words.get("currency", "")):
        raise _Refused(NO_CURRENCY)
    dates = {name: _date(words[name], date_order, name) for name in NO_DATE if name in words}
    if "start" not in dates:
        raise _Refused(NO_DATE["start"])
    start = dates["start"]
    end = _end(per, start, dates.get("end"), until)
    return Line(per, amount, _quantity(words, per), start, end, _paid(words, per, dates.get("paid"), start))


def _per(words: Words) -> Per:
    try:
        return Per(words.get("per", "").lower())
    except ValueError as error:
        raise _Refused(NO_PER) from error


def _number(text: str, fault: Fault) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise _Refused(fault)
    return Decimal(text)


def _date(text: str, date_order: str, name: str) -> date:
    found = _DATES[""].fullmatch(text) or _DATES[date_order].fullmatch(text)
    try:
        day = date(int(found["y"]), int(found["m"]), int(found["d"])) if found else date.min
    except ValueError as error:
        raise _Refused(NO_DATE[name]) from error
    if day.year not in _YEARS:
        raise _Refused(NO_DATE[name])
    return day


def _end(per: Per, start: date, end: date | None, until: date | None) -> date:
    """The first day after the line, for what comes once its start."""
    if per is Per.ONCE:
        if end:
            raise _Refused(END_OF_ONCE)
        return start
    last = end or until
    if end is None and per is Per.TERM:
        raise _Refused(NO_TERM)
    if last is None:
        raise _Refused(OPEN_END)
    if last <= start:
        raise _Refused(ENDS_FIRST if end else TOO_LATE)
    if (last - start).days > MOST_DAYS:
        raise _Refused(TOO_LONG)
    return last


def _paid(words: Words, per: Per, paid: date | None, start: date) -> date | None:
    billed = words.get("billed", UPFRONT).lower()
    if billed not in {UPFRONT, AMORTISED} or ("billed" in words and per is not Per.TERM):
        raise _Refused(NO_BILLED)
    upfront = per is Per.TERM and billed == UPFRONT
    if paid and not upfront:
        raise _Refused(NOT_PAID)
    return paid or start if upfront else None


def _quantity(words: Words, per: Per) -> Decimal | None:
    """How much the amount buys; an hour is one hour where the line says nothing."""
    if ("quantity" in words) is not ("unit" in words):
        raise _Refused(NO_UNIT)
    if "quantity" in words:
        return _number(words["quantity"], NO_QUANTITY)
    return Decimal(1) if per is Per.HOUR else None
