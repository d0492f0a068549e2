"""The forms in which OpenCost and Kubecost wrap their rows, and the numbers and times in a row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.sources.readings.contract import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOUR = Decimal(3600)
_INNER = ("allocations", "assets")
_OTHER_SETS = frozenset({"cloudCosts", "customCosts", "inferenceCosts"})


def sets_of(body: Any) -> list[Mapping[str, Any]] | None:  # noqa: ANN401 - JSON
    """The sets (name -> row) of an answer, None where it is no answer with rows.

    `data` is one set, a list of sets (one per step), or `{"sets": [...]}`; a set holds its rows itself or below
    `allocations` or `assets`. Empty steps are left out.
    """
    data = body.get("data") if isinstance(body, dict) and "data" in body else None
    if isinstance(data, dict):
        data = data.get("sets", [data])
    if not isinstance(data, list) or not all(one is None or isinstance(one, dict) for one in data):
        return None
    found = [_inner(one) for one in data if one]
    return None if any(_OTHER_SETS & one.keys() for one in found) else found


def rows_of(rows: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and row of each entry of a set; what is no object counts as an empty row."""
    for name, row in rows.items():
        yield name, row if isinstance(row, dict) else {}


def _inner(one: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in _INNER:
        held = one.get(key)
        if isinstance(held, dict):
            return held
    return one


@dataclass(frozen=True, slots=True)
class Span:
    """The time of a row. `minutes` is the time its averages are over, which may be less than end − start."""

    start: datetime
    end: datetime
    seconds: Decimal


def span_of(row: Mapping[str, Any], number: int, name: str) -> Span | Fault:
    """When a row was; a `Fault` where it does not say."""
    window = row.get("window") or {}
    start, end = _moment(row.get("start") or window.get("start")), _moment(row.get("end") or window.get("end"))
    if start is None or end is None or end <= start:
        return Fault(
            code="no_window",
            row=number,
            column="start",
            example=f"{name}: {row.get('start')} to {row.get('end')}",
            what="A row has no start before its end.",
            fix="Save the answer whole, as the API gave it.",
        )
    minutes = quantity(row, "minutes", number, name)
    if isinstance(minutes, Fault):
        return minutes
    return Span(start, end, minutes * 60 if minutes else Decimal(int((end - start).total_seconds())))


def quantity(row: Mapping[str, Any], column: str, number: int, name: str) -> Decimal | Fault | None:
    """A number of a row; None where it is not there, a `Fault` where it is negative or no number."""
    value = row.get(column)
    if value is None:
        return None
    if _counts(value) and value >= 0:
        return Decimal(value)
    return Fault(
        code="bad_quantity",
        row=number,
        column=column,
        example=f"{name}: {value}",
        what="A quantity is negative or no number.",
        fix="Ask the tool for this time again; corrections of its cost are of no use here.",
    )


def _counts(value: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def _moment(text: Any) -> datetime | None:  # noqa: ANN401 - JSON
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
