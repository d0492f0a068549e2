"""Our own form of usage: one row per quantity, as CSV, NDJSON or Parquet; also what `apportion.track` writes.

Needed columns: `start`, `measure`, `quantity`. All others may be missing or empty:

- `end`: empty for what still runs. Times are ISO 8601; without a zone they are UTC.
- `workload`: the id, stable and unique. Empty only with the basis `capacity`. `workload_kind`: `other` if empty.
- `basis`: `used` if empty. `coverage`: the part of the interval that was looked at, 1 if empty.
- `unit`: what the quantity is counted in (`gpu_hours`, `gib_hours`, `million_tokens`); base units if empty.
- `resource_id`, `node`, `cluster`, `provider`, `account`, `region`, `instance_type`: what was used.
- `name`, `parent`, `experiment`, `model`, `model_version`, `team`, `project`, `environment`, `user`, `status`,
  `namespace`: what is known of the workload. `labels`: a JSON object. `links`, `devices`: lists, in CSV with spaces.
- `key`: tells rows of one workload apart that are counted beside each other; without it, rows that overlap in time are
  one thing read twice, and the later one counts.

A file may be partial, so a resource without a row was not surely unused.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Basis, Measure, Rank, WorkloadKind
from apportion.errors import UnknownShape
from apportion.sources._usage_rows import Row, json_labels, rows
from apportion.sources._usage_units import units_of
from apportion.sources.readings.contract import Fault, MeterSource, Resource, Sample, Workload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.contract import RawFile

NEEDED = ("start", "measure", "quantity")
RESOURCE = ("node", "cluster", "provider", "account", "region", "instance_type")
OWNED = (
    *("namespace", "parent", "experiment", "model", "model_version", "team", "project", "environment", "user"),
    "status",
)
COLUMNS = frozenset({
    *NEEDED, *RESOURCE, *OWNED, "end", "unit", "basis", "coverage", "workload", "workload_kind", "name", "resource_id",
    "labels", "links", "devices", "key",
})  # fmt: skip
"""All columns a usage file may have."""

MOST_DIGITS = 29
"""Digits that a quantity in base units may have before the point."""
DIGITS = 60
"""Digits that a conversion keeps."""
_NUMBER = re.compile(r"\d+(\.\d+)?([eE][+-]?\d{1,2})?")
_KINDS = sorted({kind.value for kind in WorkloadKind} - {"idle", "unmetered"})


class _Refused(Exception):
    """A row that cannot become a sample; carries its fault without the row."""

    def __init__(self, code: str, column: str, value: Any, what: str, fix: str) -> None:  # noqa: ANN401 - a fault's parts
        super().__init__(what)
        self.fault = Fault(code=code, row=0, column=column, example=str(value)[:80], what=what, fix=fix)


def read(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:  # noqa: ARG001 - the socket's signature
    """One sample per row, in order; each row that cannot be read is a fault with what to write instead.

    Raises `UnknownShape` where the first row lacks a column of `NEEDED`, `UnreadableFile` where the format is broken.
    """
    seen: set[str] = set()
    for row, found in rows(file):
        if isinstance(found, Fault):
            yield found
            continue
        if not seen:
            _require(found, file.name)
        yield from _strange(row, found, seen)
        yield sample_of(row, found)


def sample_of(row: int, found: Row) -> Sample | Fault:
    """The sample that a row stands for, or why it cannot be one."""
    try:
        return _sample(row, {name: value for name, value in found.items() if value not in (None, "")})
    except _Refused as refused:
        return replace(refused.fault, row=row)


def _require(found: Row, file: str) -> None:
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise UnknownShape(
            file=file,
            what=f"is no usage file: {', '.join(missing)} is missing.",
            fix=f"Give the columns {', '.join(NEEDED)}, and others of: {', '.join(sorted(COLUMNS - set(NEEDED)))}.",
        )


def _strange(row: int, found: Row, seen: set[str]) -> Iterator[Fault]:
    """A doubt for each column that is not ours, the first time it is met."""
    for name in sorted(found.keys() - COLUMNS - seen):
        near = get_close_matches(name, COLUMNS, n=1)
        yield Fault(
            code="usage_unknown_column",
            row=row,
            column=name,
            example=str(found[name])[:80],
            what=f"The column {name} is not known and was not read.",
            fix=f"Did you mean {near[0]}?" if near else "Put it into labels, where rules see it, or remove it.",
            rejected=False,
        )
    seen.update(found)


def _sample(row: int, found: Row) -> Sample:
    measure = Measure(_word(found, "measure", list(Measure)))
    basis = Basis(_word(found, "basis", list(Basis), default=Basis.USED))
    start, end = _time(found, "start"), _time(found, "end") if "end" in found else None
    if end is not None and end <= start:
        raise _Refused(
            "usage_ends_first", "end", found["end"], "The end does not lie after the start.", "Correct one of them."
        )
    return Sample(
        resource=Resource(id=_text(found, "resource_id"), **{name: _text(found, name) for name in RESOURCE}),
        workload=_workload(found, basis),
        measure=measure,
        basis=basis,
        quantity=_quantity(found, measure),
        start=start,
        end=end,
        row=row,
        coverage=_coverage(found),
        key=_text(found, "key") or "",
        devices=_listed(found, "devices"),
    )


def _workload(found: Row, basis: Basis) -> Workload | None:
    name = _text(found, "workload")
    if name is None and basis is Basis.CAPACITY:
        return None
    if name is None or basis is Basis.CAPACITY:
        what = "Capacity belongs to no workload, and every other basis needs one."
        raise _Refused("usage_no_workload", "workload", name or "", what, "Give workload, or the basis capacity alone.")
    return Workload(
        id=name,
        kind=WorkloadKind(_word(found, "workload_kind", _KINDS, default=WorkloadKind.OTHER)),
        name=_text(found, "name") or name,
        labels=_labels(found),
        links=_listed(found, "links"),
        **{column: _text(found, column) for column in OWNED},
    )


def _text(found: Row, column: str) -> str | None:
    value = found.get(column)
    return str(value).strip() or None if value is not None else None


def _word(found: Row, column: str, known: Iterable[str], default: str | None = None) -> str:
    """One of the known words."""
    value = (_text(found, column) or default or "").lower()
    words = sorted(known)
    if value in words:
        return value
    near = get_close_matches(value, words, n=1)
    guess = f"Did you mean {near[0]}? " if near else ""
    what = f"There is no {column} '{value}'." if value else f"The {column} is missing."
    raise _Refused(f"usage_bad_{column}", column, value, what, f"{guess}Known: {', '.join(words)}.")


def _time(found: Row, column: str) -> datetime:
    """Naive UTC; a time without zone is UTC."""
    value = found.get(column)
    try:
        moment = value if isinstance(value, datetime) else _written_time(value)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError) as error:
        what = f"The {column} is no time." if value else f"The {column} is missing."
        fix = "Write ISO 8601, such as 2026-10-01T08:30:00Z; without a zone it is UTC."
        raise _Refused("usage_bad_time", column, value or "", what, fix) from error


def _written_time(value: object) -> datetime:
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004 - one way to refuse
    return datetime.fromisoformat(value.strip())


def _quantity(found: Row, measure: Measure) -> Decimal:
    number, units = _number(found, "quantity"), units_of(measure)
    unit = (_text(found, "unit") or "").lower()
    if measure is Measure.REPORTED_COST:
        units = {unit: Decimal(1)}
    if unit not in units:
        near = get_close_matches(unit, units, n=1)
        guess = f"Did you mean {near[0]}? " if near else ""
        listed = ", ".join(sorted(filter(None, units)))
        what = f"'{unit}' is no unit of {measure.value}."
        raise _Refused("usage_bad_unit", "unit", unit, what, f"{guess}Known: {listed}.")
    with localcontext(prec=DIGITS):
        quantity = number * units[unit]
    if quantity.adjusted() >= MOST_DIGITS:
        what = f"The quantity has more than {MOST_DIGITS} digits before the point in base units."
        raise _Refused("usage_bad_number", "quantity", found["quantity"], what, "Check quantity and unit.")
    return quantity


def _coverage(found: Row) -> Decimal:
    covered = _number(found, "coverage") if "coverage" in found else Decimal(1)
    if not 0 < covered <= 1:
        what = "The coverage is the part of the interval that was looked at, above 0 and at most 1."
        raise _Refused("usage_bad_coverage", "coverage", covered, what, "Leave it empty where all was looked at.")
    return covered


def _number(found: Row, column: str) -> Decimal:
    """An exact number that is not negative."""
    value = found.get(column)
    text = str(value).strip() if value is not None and not isinstance(value, bool) else ""
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    what = f"The {column} is no number that is 0 or more." if text else f"The {column} is missing."
    raise _Refused("usage_bad_number", column, text, what, "Write digits with a point, such as 1.5.")


def _labels(found: Row) -> dict[str, str]:
    value = found.get("labels", {})
    parsed = json_labels(value) if isinstance(value, str) else value
    if not isinstance(parsed, dict) or any(isinstance(v, dict | list) for v in parsed.values()):
        what, fix = "The labels are no JSON object of texts.", 'Write {"team": "fraud"}.'
        raise _Refused("usage_bad_labels", "labels", value, what, fix)
    return {str(name): str(text) for name, text in parsed.items() if text is not None}


def _listed(found: Row, column: str) -> tuple[str, ...]:
    value = found.get(column, ())
    if isinstance(value, str):
        return tuple(value.split())
    if not isinstance(value, list | tuple):
        what, fix = f"The {column} are no list.", "Write a list of texts (in CSV one text, divided by spaces)."
        raise _Refused("usage_bad_list", column, value, what, fix)
    return tuple(map(str, value))


SOURCE = MeterSource(
    name="usage_file",
    title="Usage file of our own form (CSV, NDJSON, Parquet)",
    read=read,
    rank=Rank.NESTED,
    complete=False,
    suffixes=(".csv", ".csv.gz", ".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz", ".parquet"),
    options=frozenset({"complete"}),
)
