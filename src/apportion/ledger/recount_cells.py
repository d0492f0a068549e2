"""The cells of shared costs counted again: whether intervals tile, and whether weights and intervals fit.

Read and counted by the rules of `recount_shared`: pyarrow and Python's whole numbers only.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from apportion.core import focus
from apportion.core.targets import COLUMNS
from apportion.ledger.recount import Sums, as_quanta

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

_BATCH = 100_000
_LARGEST, _MOST = 2**60, 2**49
_BY_BASIS = frozenset({"even", "fixed", "table", "proportional_cost", "proportional_usage", "peak"})
"""The methods whose weight is the basis, or 1 where nothing is counted."""
RECEIVER = (*COLUMNS.values(), "x_WorkloadKind", "x_WorkloadId")
FIGURES = ("x_ChargeCount", "x_PieceCount", *focus.METRICS)

RowKey = tuple[str, int, int]
"""Snapshot, attribute number, owner number."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What a receiver or another pool has of a cell."""

    receiver: int | None
    to_pool: int | None
    basis: int | None
    weight: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Cell:
    """Within what a pool divides, with everybody's weights in the order of their intervals."""

    pool: int
    currency: str
    keys: tuple[str, ...]
    bucket: datetime | None
    total_basis: int | None
    total_weight: int
    whole: int
    receivers: int
    weights: tuple[Weight, ...]


@dataclass(frozen=True, slots=True)
class Month:
    """The stored shared costs of a month, but for the amounts that pools gave: those are read one by one."""

    pools: Mapping[int, Mapping[str, Any]]
    cells: Mapping[int, Cell]
    receivers: Mapping[int, tuple[str | None, ...]]
    taken: Sequence[tuple[RowKey, int, int, Sums]]
    """Row, pool, cell, and what of it falls in the cell."""
    shared: Path


def read(files: Mapping[str, Path]) -> Month:
    """The stored tables of a month; `files`: name of a table -> its file."""
    weights: dict[int, list[Weight]] = {}
    names = ["x_ReceiverNo", "x_ToPoolNo", "x_Basis", "x_Weight", "x_ShareLow", "x_ShareHigh"]
    for cell, *rest in _rows(files["weights"], ["x_CellNo", *names]):
        weights.setdefault(cell, []).append(Weight(*(None if v is None else int(v) for v in rest)))  # type: ignore[arg-type]
    return Month(
        pools={row["x_PoolNo"]: row for row in pq.read_table(files["pools"]).to_pylist()},
        cells=dict(_cells(files["cells"], weights)),
        receivers={no: tuple(rest) for no, *rest in _rows(files["receivers"], ["x_ReceiverNo", *RECEIVER])},
        taken=list(_taken(files["taken"])),
        shared=files["shared"],
    )


def _cells(path: Path, weights: Mapping[int, list[Weight]]) -> Iterator[tuple[int, Cell]]:
    names = ["x_CellNo", "x_PoolNo", "BillingCurrency", "x_Keys", "x_Bucket", "x_TotalBasis", "x_TotalWeight"]
    for no, pool, currency, keys, bucket, basis, weight, whole, count in _rows(
        path, [*names, "x_ShareWhole", "x_ReceiverCount"]
    ):
        mine = sorted(weights.get(no, ()), key=lambda w: (w.to_pool or 0, w.receiver or 0))
        total = None if basis is None else int(basis)
        yield no, Cell(pool, currency, tuple(keys), bucket, total, int(weight), whole, count, tuple(mine))


def _taken(path: Path) -> Iterator[tuple[RowKey, int, int, Sums]]:
    names = ["x_SnapshotId", "x_AttributeNo", "x_OwnerNo", "x_PoolNo", "x_CellNo"]
    for snapshot, attribute, owner, pool, cell, *figures in _rows(path, [*names, *FIGURES]):
        yield (snapshot, attribute, owner), pool, cell, sums_of(figures)


def sums_of(figures: Sequence[Any]) -> Sums:
    """The values of `FIGURES` as whole numbers."""
    charges, pieces, *amounts = figures
    return Sums(charges, pieces, [as_quanta(amount) for amount in amounts])


def cell_faults(month: Month, cell: Cell) -> Iterator[str]:
    """What is wrong with a cell, in words: its intervals, its weights, and the way from one to the other."""
    at = 0
    for low, high in sorted((w.low, w.high) for w in cell.weights if w.low != w.high):
        if low != at or high < low:
            yield f"the interval [{low}, {high}) does not follow {at}"
            break
        at = high
    else:
        if at != cell.whole:
            yield f"the intervals end at {at}, the whole at {cell.whole}"
    weights = [w.weight for w in cell.weights]
    if sum(weights) != cell.total_weight or sum(weight > 0 for weight in weights) != cell.receivers:
        yield f"the weights add up to {sum(weights)}, not to {cell.total_weight}, or are of others than it says"
    pool = month.pools[cell.pool]
    yield from _of_basis(cell, pool["x_Method"])
    if not pool["x_Reciprocal"]:
        yield from _of_intervals(cell)


def _of_basis(cell: Cell, method: str) -> Iterator[str]:
    counted = sum(max(w.basis, 0) for w in cell.weights if w.basis is not None)
    if counted != (cell.total_basis or 0):
        yield f"the basis adds up to {counted}, not to {cell.total_basis}"
    for w in cell.weights:
        # whom only equations give something has no weight
        weighs = method in _BY_BASIS and (w.basis is not None or w.weight > 0)
        if weighs and w.weight != (1 if cell.total_basis is None else max(w.basis or 0, 0)):
            yield f"{whom(w)} weighs {w.weight}, its basis is {w.basis}"
            return


def _of_intervals(cell: Cell) -> Iterator[str]:
    whole, laid = _laid(cell)
    if whole != cell.whole:
        yield f"the whole is {cell.whole}, by the weights it is {whole}"
        return
    for weight, (low, high) in zip(cell.weights, laid, strict=True):
        if (weight.low, weight.high) != (low, high):
            yield f"{whom(weight)} holds [{weight.low}, {weight.high}), by the weights it holds [{low}, {high})"
            return


def _laid(cell: Cell) -> tuple[int, list[tuple[int, int]]]:
    """The whole and the intervals of a cell by its weights."""
    digits = [str(w.weight) for w in cell.weights if w.weight]
    ten = 10 ** min((len(each) - len(each.rstrip("0")) for each in digits), default=0)
    total = sum(w.weight for w in cell.weights) // ten
    divisor = ten * (total // _LARGEST + 1) if total > _LARGEST else ten
    small = [w.weight // divisor for w in cell.weights]
    whole = min(sum(small), _MOST)
    ends = [upto * whole // sum(small) for upto in accumulate(small, initial=0)]
    return whole, list(pairwise(ends))


_To = tuple[int | None, int | None]
"""A receiver, or another pool."""


def equation_faults(month: Month) -> Iterator[str]:
    """Reciprocal pools whose shares do not solve their equations, in words.

    What a pool gives somebody in the end must be what its own weights give him, and what the pools that it gives to
    give him in the end. Where the exact shares had no common denominator small enough, each lies next to its place.
    """
    of_pool = {(cell.currency, cell.pool): cell for cell in month.cells.values()}
    for no, cell in month.cells.items():
        if not month.pools[cell.pool]["x_Reciprocal"]:
            continue
        final, expected, exact = _final(cell), defaultdict[_To, Fraction](Fraction), cell.whole < _MOST
        whole, laid = _laid(cell)
        for weight, (low, high) in zip(cell.weights, laid, strict=True):
            to, part = (weight.receiver, weight.to_pool), Fraction(high - low, whole)
            inner = of_pool.get((cell.currency, weight.to_pool or 0))
            if to in final or inner is None:
                expected[to] += part
                continue
            exact = exact and inner.whole < _MOST
            for other, share in _final(inner).items():
                expected[other] += part * share
        margin = 0 if exact else Fraction(4, _MOST)
        if any(abs(final.get(to, 0) - expected[to]) > margin for to in final.keys() | expected.keys()):
            yield f"{named(month, no)}: its shares do not solve the equations of the pools that give to each other"


def _final(cell: Cell) -> dict[_To, Fraction]:
    return {(w.receiver, w.to_pool): Fraction(w.high - w.low, cell.whole) for w in cell.weights if w.high > w.low}


def whom(weight: Weight) -> str:
    """Who has the weight, in words."""
    return f"pool {weight.to_pool}" if weight.receiver is None else f"receiver {weight.receiver}"


def named(month: Month, no: int) -> str:
    """A cell in words."""
    cell = month.cells[no]
    bucket = "" if cell.bucket is None else f" {cell.bucket}"
    return f"pool {month.pools[cell.pool]['x_PoolId']}, cell {no} ({cell.currency} {'/'.join(cell.keys)}{bucket})"


def batches(path: Path, names: Sequence[str]) -> Iterator[pa.Table]:
    """These columns of a file, so many rows at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH, columns=list(names)):
            yield pa.Table.from_batches([batch])


def _rows(path: Path, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for table in batches(path, names):
        yield from listed(table, names)


def listed(table: pa.Table, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of a table."""
    return zip(*(table[name].to_pylist() for name in names), strict=True)
