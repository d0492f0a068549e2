"""Samples of one file as Arrow columns: numbers beside each other, each subject (workload on resource) once."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from apportion.core import tables
from apportion.core.arrow import schema
from apportion.core.period import seconds
from apportion.sources.readings.contract import Fault, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apportion.sources.readings.contract import Resource, Workload

_DIGITS = Decimal(1).scaleb(-9)
_LIMIT = Decimal(10) ** 27
_EXACT = Context(prec=60)
"""More digits than a quantity below the limit has: the usual 28 are too few for the byte-seconds of a large store."""
BATCH = 200_000
"""So many samples are held as objects at once."""
EARLIEST = datetime(2000, 1, 1)
"""No meter knows of an earlier time; wrong units and empty clocks do."""
LONGEST = timedelta(days=5 * 365 + 2)
"""Five years, the longest time that one sample may span."""
_LONE = re.compile("[\ud800-\udfff]")
"""Halves of a character, which JSON can say and UTF-8 cannot."""

RAW = {
    "x_SubjectNo": "INTEGER",
    "x_RowNo": "BIGINT",
    "x_Start": "TIMESTAMP",
    "x_End": "TIMESTAMP",
    "x_Measure": "VARCHAR",
    "x_Basis": "VARCHAR",
    "x_Quantity": tables.QUANTITY,
    "x_Coverage": "DECIMAL(5,4)",
    "x_Key": "VARCHAR",
}
"""The columns of samples before they are cut; subjects are numbered over the whole import."""


@dataclass(slots=True)
class Subjects:
    """Every distinct workload on a resource of an import, numbered from 1 as they come."""

    numbers: dict[tuple[Any, ...], int] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def number(self, sample: Sample) -> int:
        """The number of the sample's workload on its resource."""
        row = {**_workload_row(sample.workload, sample.devices), **_resource_row(sample.resource)}
        key = _key(row)
        known = self.numbers.get(key)
        if known is None:
            known = self.numbers[key] = self._added({name: _written(value) for name, value in row.items()})
        return known

    def _added(self, row: dict[str, Any]) -> int:
        if row["x_Labels"]:
            row["x_Labels"] = sorted(dict(row["x_Labels"]).items())  # two keys may have become one
        known = self.numbers.setdefault(_key(row), len(self.rows) + 1)
        if known > len(self.rows):
            self.rows.append({"x_SubjectNo": known, **row})
        return known

    @property
    def table(self) -> pa.Table:
        """The table `subjects` of the whole import."""
        return pa.Table.from_pylist(self.rows, schema(tables.SUBJECTS))


@dataclass(slots=True)
class FileOfSamples:
    """What one file gave: columns of samples, and the faults with their rows."""

    subjects: Subjects
    faults: list[Fault] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    batches: list[pa.Table] = field(default_factory=list)
    rows: int = 0

    def take(self, found: Iterable[Sample | Fault], *, read_at: datetime | None) -> FileOfSamples:
        """All samples and faults of the file taken in; what cannot be used becomes a fault."""
        for each in found:
            if isinstance(each, Fault):
                self.faults.append(_readable(each))
                continue
            self._add(each, read_at)
            if len(self.columns["x_RowNo"]) >= BATCH:
                self._flush()
        self._flush()
        return self

    @property
    def table(self) -> pa.Table:
        """The samples, in file order."""
        return pa.concat_tables([pa.Table.from_pylist([], schema(RAW)), *self.batches])

    def _add(self, sample: Sample, read_at: datetime | None) -> None:
        end = sample.end if sample.end is not None else read_at
        fault = _unusable(sample, end, read_at)
        if fault is not None:
            self.faults.append(fault)
        if fault is not None or end is None:
            return
        quantity = sample.quantity
        if read_at is not None and end > read_at > sample.start:
            seen = _EXACT.multiply(quantity, seconds(read_at - sample.start))
            quantity = _EXACT.divide(seen, seconds(end - sample.start))
            end = read_at
        row = (
            self.subjects.number(sample),
            sample.row,
            sample.start,
            end,
            sample.measure.value,
            sample.basis.value,
            quantity.quantize(_DIGITS, context=_EXACT),
            sample.coverage.quantize(Decimal("0.0001")),
            _written(sample.key),
        )
        for name, value in zip(RAW, row, strict=True):
            self.columns[name].append(value)
        self.rows += 1

    def _flush(self) -> None:
        if self.columns["x_RowNo"]:
            made = [pa.array(self.columns[name], kind) for name, kind in zip(RAW, schema(RAW).types, strict=True)]
            self.batches.append(pa.Table.from_arrays(made, schema=schema(RAW)))
            self.columns = defaultdict(list)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(tuple(value) if isinstance(value, list) else value for value in row.values())


def _written(value: Any) -> Any:  # noqa: ANN401 - a text, or texts within lists
    """The value with U+FFFD for all that no file can hold."""
    if isinstance(value, str):
        return value if value.isascii() else _LONE.sub("\ufffd", value)
    return type(value)(_written(each) for each in value) if isinstance(value, list | tuple) else value


def _readable(fault: Fault) -> Fault:
    texts = {name: _written(getattr(fault, name)) for name in ("column", "example", "what", "fix")}
    return replace(fault, **texts)


def _unusable(sample: Sample, end: datetime | None, read_at: datetime | None) -> Fault | None:
    return _untimely(sample, end, read_at) or _immeasurable(sample)


def _untimely(sample: Sample, end: datetime | None, read_at: datetime | None) -> Fault | None:
    if end is None:
        return _fault(
            sample,
            "no_end",
            "end",
            example="",
            what="It still ran when it was read, and nothing says when that was.",
            fix="Set the option read_at of the source, or deliver the file again once it has ended.",
        )
    if end <= sample.start:
        return _fault(
            sample,
            "no_time",
            "end",
            example=end.isoformat(),
            what="It ends before it starts, or lasts no time, so its quantity belongs to no hour.",
            fix="Check the clock of the machine that wrote it.",
        )
    if read_at is not None and sample.start >= read_at:
        return _fault(
            sample,
            "not_yet",
            "start",
            example=sample.start.isoformat(),
            what="It starts after it was read, so it has not happened yet.",
            fix="Check the clock of the machine that wrote it, and the option read_at of the source.",
        )
    if sample.start < EARLIEST or (end if read_at is None else min(end, read_at)) - sample.start > LONGEST:
        return _fault(
            sample,
            "implausible_time",
            "start",
            example=f"{sample.start.isoformat()} to {end.isoformat()}",
            what="It starts before 2000 or lasts more than five years, which no meter has seen.",
            fix="Check the clock of the machine that wrote it, and the unit of its times.",
        )
    return None


def _immeasurable(sample: Sample) -> Fault | None:
    if not sample.quantity.is_finite() or not 0 <= sample.quantity < _LIMIT:
        return _fault(
            sample,
            "bad_quantity",
            sample.measure.value,
            example=str(sample.quantity),
            what="A quantity is a number from 0 up to 10^27.",
            fix="Check the meter; the sample was left out.",
        )
    if not 0 <= sample.coverage <= 1:
        return _fault(
            sample,
            "bad_coverage",
            "coverage",
            example=str(sample.coverage),
            what="A coverage is a number from 0 to 1.",
            fix="Check the meter; the sample was left out.",
        )
    return None


def _fault(sample: Sample, code: str, column: str, *, example: str, what: str, fix: str) -> Fault:
    return Fault(code=code, row=sample.row, column=column, example=example, what=what, fix=fix)


def _workload_row(workload: Workload | None, devices: tuple[str, ...]) -> dict[str, Any]:
    if workload is None:
        return dict.fromkeys(tables.WORKLOAD)
    links = sorted({*workload.links, *(f"gpu:{device}" for device in devices)})
    return {
        "x_WorkloadId": workload.id,
        "x_WorkloadKind": workload.kind.value,
        "x_WorkloadName": workload.name,
        "x_Namespace": workload.namespace,
        "x_ParentId": workload.parent,
        "x_Experiment": workload.experiment,
        "x_ReportedModel": workload.model,
        "x_ModelVersion": workload.model_version,
        "x_ReportedTeam": workload.team,
        "x_ReportedProject": workload.project,
        "x_ReportedEnvironment": workload.environment,
        "x_User": workload.user,
        "x_Status": workload.status,
        "x_Labels": sorted(workload.labels.items()),
        "x_Links": links,
    }


def _resource_row(resource: Resource) -> dict[str, Any]:
    return {
        "x_MeteredId": resource.id,
        "x_Node": resource.node,
        "x_Cluster": resource.cluster,
        "x_Provider": resource.provider,
        "x_Account": resource.account,
        "x_Region": resource.region,
        "x_InstanceType": resource.instance_type,
    }
