"""What the product never reads: who really caused each row of each bill, for tests of accuracy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from apportion.core.money import piece, plain
from apportion.demo.acme.company import TEAMS, Owner

if TYPE_CHECKING:
    from pathlib import Path

    from apportion.core.period import Month

Parts = Sequence[tuple[Owner, int]]
"""Owners and their parts of a shared resource; the whole is the sum of the parts."""

_OWNER = ("team", "project", "model", "environment", "pool")
_ROWS = ("source", "delivery", "month", "file", "row", "part", "day", "resource", *_OWNER, "billed", "effective")
_USES = ("month", "day", "resource", *_OWNER, "parts", "whole")
_TOTALS = ("source", "delivery", "month", "business_unit", *_OWNER, "billed", "effective")
_NUMBERS = frozenset({"delivery", "row", "part", "parts", "whole"})


@dataclass(frozen=True, slots=True)
class Caused:
    """The truth about one row of a bill: its money in the bill's own digits, and who caused it.

    `billed` and `effective` are what FOCUS calls BilledCost and EffectiveCost.
    """

    day: str
    resource: str
    billed: Decimal
    effective: Decimal
    by: Parts


def alone(owner: Owner) -> Parts:
    """One owner for the whole."""
    return ((owner, 1),)


@dataclass(slots=True)
class Truth:
    """Collects the truth of one month after the other; `close_month` writes, `close` writes the totals."""

    folder: Path
    rows: dict[str, list[object]] = field(default_factory=lambda: {name: [] for name in _ROWS})
    shares: dict[str, list[object]] = field(default_factory=lambda: {name: [] for name in _USES})
    totals: dict[tuple[object, ...], list[Decimal]] = field(
        default_factory=lambda: defaultdict(lambda: [Decimal(0)] * 2)
    )

    def add(self, caused: Caused, *, delivery: Delivered, row: int) -> None:
        """Note one row: one line for each owner, the pieces adding up to the row exactly."""
        whole, low = sum(parts for _, parts in caused.by), 0
        for part, (owner, parts) in enumerate(caused.by, start=1):
            high = low + parts
            billed, effective = (piece(amount, low, high, whole) for amount in (caused.billed, caused.effective))
            line = (delivery.source, delivery.number, str(delivery.month))
            owned = (owner.team, owner.project, owner.model, owner.environment, owner.pool)
            _append(
                self.rows,
                (*line, delivery.file, row, part, caused.day, caused.resource, *owned, plain(billed), plain(effective)),
            )
            total = self.totals[(*line, TEAMS.get(owner.team or ""), *owned)]
            total[0] += billed
            total[1] += effective
            if len(caused.by) > 1:
                _append(self.shares, (str(delivery.month), caused.day, caused.resource, *owned, parts, whole))
            low = high

    def close_month(self, month: Month, *, delivery: int = 1) -> None:
        """Write what was noted since the last call, and forget it."""
        suffix = "" if delivery == 1 else f"-delivery-{delivery}"
        _write(self.folder / "rows" / f"{month}{suffix}.parquet", self.rows)
        if delivery == 1:
            _write(self.folder / "shared" / f"{month}.parquet", self.shares)
        self.rows = {name: [] for name in _ROWS}
        self.shares = {name: [] for name in _USES}

    def close(self) -> None:
        """Write the totals of all months: one line per source, delivery, month and owner, in that order."""
        lines = sorted(self.totals.items(), key=lambda line: tuple(map(str, line[0])))
        columns: dict[str, list[object]] = {name: [] for name in _TOTALS}
        for owned, (billed, effective) in lines:
            _append(columns, (*owned, plain(billed), plain(effective)))
        _write(self.folder / "totals.parquet", columns)


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where rows stand: the source, the delivery's number, the month of the bill, the file inside the project."""

    source: str
    number: int
    month: Month
    file: str


def _append(columns: Mapping[str, list[object]], values: Sequence[object]) -> None:
    for cells, value in zip(columns.values(), values, strict=True):
        cells.append(value)


def _write(path: Path, columns: Mapping[str, list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {name: pa.int64() if name in _NUMBERS else pa.string() for name in columns}
    pq.write_table(pa.table({name: pa.array(cells, kinds[name]) for name, cells in columns.items()}), path)
