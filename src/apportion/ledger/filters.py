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


def require_known(db: DuckDb, filters: Filters) -> None:
    """Raise `UnknownName` for a field, or for a value that no piece in `allocations` has; the known ones are listed."""
    for field, wanted in filters.items():
        if field not in COLUMNS:
            raise UnknownName("filter", field, COLUMNS)
        known = {value for name in COLUMNS[field] for (value,) in db.rows(_VALUES.format(column=quoted(name)))}
        for value in wanted:
            if value not in known:
                raise UnknownName(field.replace("_", " "), value, known)


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
