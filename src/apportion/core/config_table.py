"""A pool's table of weights: CSV text in, typed lines out, and each fault with its line."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.config import TableRow
from apportion.core.period import Month
from apportion.core.targets import DIMENSIONS, RESERVED
from apportion.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

WEIGHT = "weight"
_WHEN = ("month", "day")
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
_MONTH = re.compile(r"([12][0-9]{3})-(0[1-9]|1[0-2])")


def table_rows(text: str, *, file: str) -> tuple[TableRow, ...]:
    """The lines of a table with a column `weight`, columns of target dimensions, and `month` or `day` or neither.

    Raises `ConfigError` with the line for what cannot be read; a line without an owner or weight is a fault.
    """
    lines = csv.DictReader(io.StringIO(text))
    columns = [name.strip() for name in lines.fieldnames or ()]
    known = (*DIMENSIONS, *_WHEN, WEIGHT)
    strange = [name for name in columns if name not in known]
    if strange or WEIGHT not in columns or not set(columns) & set(DIMENSIONS):
        what = f"the columns are {', '.join(columns) or 'missing'}."
        raise _fault(file, 1, what, f"Needed: {WEIGHT} and at least one of {', '.join(DIMENSIONS)}; also month or day.")
    lines.fieldnames = columns
    return tuple(_row(line, file=file, at=lines.line_num) for line in lines)


def _row(line: Mapping[str | None, str | None], *, file: str, at: int) -> TableRow:
    if None in line or None in line.values():
        raise _fault(file, at, "the line has not as many cells as the first.", "Write one cell for each column.")
    cells = {str(name): str(value).strip() for name, value in line.items()}
    if not _NUMBER.fullmatch(cells[WEIGHT]):
        fix = "Write a number that is not negative, with at most six digits after the point."
        raise _fault(file, at, f"'{cells[WEIGHT]}' is no weight.", fix)
    owner = {name: cells[name] for name in DIMENSIONS if cells.get(name)}
    if not owner:
        raise _fault(file, at, "the line names nobody.", f"Fill in one of {', '.join(DIMENSIONS)}.")
    for name in owner.values():
        if name.casefold() in RESERVED:
            fix = "Name a team, project, model or environment."
            raise _fault(file, at, f"'{name}' is a name of Apportion's own.", fix)
    since, until = _time(cells, file=file, at=at)
    return TableRow(owner, since, until, int(Decimal(cells[WEIGHT]).scaleb(6)))


def _time(cells: Mapping[str, str], *, file: str, at: int) -> tuple[date | None, date | None]:
    month, day = cells.get("month", ""), cells.get("day", "")
    if month and day:
        raise _fault(file, at, "the line has a month and a day.", "Leave one of them empty.")
    if month:
        if not (found := _MONTH.fullmatch(month)):
            raise _fault(file, at, f"'{month}' is no month.", "Write it as 2026-10.")
        first = Month(int(found[1]), int(found[2]))
        return first.start.date(), first.plus(1).start.date()
    if day:
        try:
            since = date.fromisoformat(day)
            return since, since + timedelta(days=1)
        except (ValueError, OverflowError) as error:
            raise _fault(file, at, f"'{day}' is no day.", "Write it as 2026-10-31.") from error
    return None, None


def _fault(file: str, line: int, what: str, fix: str) -> ConfigError:
    return ConfigError(file=file, line=line, key="table", what=what, fix=fix)
