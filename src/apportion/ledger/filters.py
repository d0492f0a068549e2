"""Filters select pieces; they never change anybody's amount."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from apportion.core import targets
from apportion.core.tables import quoted
from apportion.errors import UnknownName

if TYPE_CHECKING:
    from apportion.engine.duck import DuckDb

Filters = Mapping[str, tuple[str, ...]]
"""Field -> any of these values; the fields are those of `COLUMNS`."""

COLUMNS: dict[str, tuple[str, ...]] = {
    **{dimension: (column,) for dimension, column in targets.COLUMNS.items()},
    "service": ("ServiceName",),
    "account": ("SubAccountId", "BillingAccountId"),
    "provider": ("ServiceProviderName",),
}
"""Field of a filter -> the columns of `allocations` of which one must have a given value."""

_VALUES = "SELECT DISTINCT {column} FROM allocations WHERE {column} IS NOT NULL"


def as_known(db: DuckDb, filters: Filters, *, also: Mapping[str, tuple[str, ...]] | None = None) -> Filters:
    """The filters with each value as `allocations` spells it: case and outer spaces do not matter.

    `also`: field -> further columns in which a value is known. Raises `UnknownName` for a field, or for a value that no
    piece in `allocations` has.
    """
    found: dict[str, tuple[str, ...]] = {}
    for field, wanted in filters.items():
        if field not in COLUMNS:
            raise UnknownName("filter", field, COLUMNS)
        columns = (*COLUMNS[field], *(also or {}).get(field, ()))
        known = {value for name in columns for (value,) in db.rows(_VALUES.format(column=quoted(name)))}
        found[field] = tuple(spelled for value in wanted for spelled in _spellings(field, value, known))
    return found


def _spellings(field: str, value: str, known: set[str]) -> tuple[str, ...]:
    if value in known:
        return (value,)
    alike = tuple(sorted(name for name in known if name.strip().casefold() == value.strip().casefold()))
    if not alike:
        raise UnknownName(field.replace("_", " "), value, known)
    return alike


def condition(filters: Filters) -> tuple[str, dict[str, list[str]]]:
    """A SQL boolean over `allocations` in which every filter holds, and the values it binds.

    >>> condition({"team": ("Ads", "Risk")})
    ('("x_Team" IN (SELECT unnest($filter_team)))', {'filter_team': ['Ads', 'Risk']})
    """
    held = [
        "(" + " OR ".join(f"{quoted(name)} IN (SELECT unnest($filter_{field}))" for name in COLUMNS[field]) + ")"
        for field in filters
    ]
    return " AND ".join(held) or "true", {f"filter_{field}": list(values) for field, values in filters.items()}
