"""Filters select pieces; they never change anybody's amount."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from apportion.core import targets
from apportion.core.tables import quoted
from apportion.errors import UnknownName

if TYPE_CHECKING:
    from apportion.engine.duck import DuckDb
    from apportion.store import Store
    from apportion.store.records import Run

Filters = Mapping[str, tuple[str, ...]]
"""Field -> any of these values; the fields are those of `COLUMNS`."""

COLUMNS: dict[str, tuple[str, ...]] = {
    **{dimension: (column,) for dimension, column in targets.COLUMNS.items()},
    "service": ("ServiceName",),
    "account": ("SubAccountId", "BillingAccountId"),
    "provider": ("ServiceProviderName",),
    "job": ("x_WorkloadId",),
}
"""Field of a filter -> the columns of `allocations` of which one must have a given value."""

_CALLED = (
    "SELECT x_WorkloadId, x_WorkloadName FROM called WHERE x_WorkloadId IS NOT NULL AND x_WorkloadName IS NOT NULL"
)
_VALUES = "SELECT DISTINCT {column} FROM {view} WHERE {column} IS NOT NULL"


def as_known(
    db: DuckDb,
    filters: Filters,
    *,
    also: Mapping[str, tuple[str, ...]] | None = None,
    jobs: Mapping[str, str] | None = None,
    views: tuple[str, ...] = ("allocations",),
) -> Filters:
    """The filters with each value as `allocations` spells it: case and outer spaces do not matter.

    A job is also known by its name (`jobs`: id -> name) and by the last part of its id: `train` for
    `k8s:east/ads/Job/train`. `also`: field -> further columns in which a value is known. Raises `UnknownName` for a
    field, or for a value that no piece in one of `views` has.
    """
    found: dict[str, tuple[str, ...]] = {}
    for field, wanted in filters.items():
        if field not in COLUMNS:
            raise UnknownName("filter", field, COLUMNS)
        columns = (*COLUMNS[field], *(also or {}).get(field, ()))
        asked = [_VALUES.format(column=quoted(name), view=view) for view in views for name in columns]
        known = {value for sql in asked for (value,) in db.rows(sql)}
        if field == "job":
            called = {job: {job, (jobs or {}).get(job, job), re.split("[/:]", job)[-1]} for job in known}
            found[field] = tuple(job for value in wanted for job in _jobs(value, called))
        else:
            found[field] = tuple(spelled for value in wanted for spelled in _spellings(field, value, known))
    return found


def _spellings(field: str, value: str, known: set[str]) -> tuple[str, ...]:
    if value in known:
        return (value,)
    alike = tuple(sorted(name for name in known if name.strip().casefold() == value.strip().casefold()))
    if not alike:
        raise UnknownName(field.replace("_", " "), value, known)
    return alike


def _jobs(value: str, names: Mapping[str, set[str]]) -> tuple[str, ...]:
    if value in names:
        return (value,)
    wanted = value.strip().casefold()
    alike = tuple(
        sorted(job for job, called in names.items() if wanted in {each.strip().casefold() for each in called})
    )
    if not alike:
        raise UnknownName("job", value, {name for called in names.values() for name in called})
    return alike


def job_names(db: DuckDb, store: Store, run: Run, filters: Filters) -> dict[str, str]:
    """Job id -> what reports call it, as meters and bills of the run say; empty where no filter asks for a job."""
    if "job" not in filters:
        return {}
    files = [usage.file("workloads.parquet") for usage in run.usages] + [
        part.file("billed.parquet") for part in run.parts
    ]
    found: dict[str, str] = {}
    for path in filter(None, files):
        db.read_parquet("called", [store.checked(path)])
        found |= dict(db.rows(_CALLED))
    return found


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
