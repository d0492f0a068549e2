"""The allocation counted again, on another path: pyarrow for reading, Python's whole numbers for the arithmetic.

Nothing here is shared with `allocation` or `engine`: no SQL, no macro, not even the reference formula.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from apportion.core import focus, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal
    from pathlib import Path

BATCH = 500_000
BEGINNING, END = datetime(1, 1, 1), datetime(9999, 12, 31)
"""All time: shares must hold from one to the other."""

Key = tuple[int, int]
"""Attribute number, owner number."""


@dataclass(frozen=True, slots=True)
class ShareOf:
    """One interval of one attribute number's charges."""

    valid_from: datetime
    valid_until: datetime
    low: int
    high: int
    whole: int
    owner: int


@dataclass(slots=True)
class Sums:
    """Whole quanta per metric, None where nothing but nulls came; the number of charges begun, and of pieces."""

    charges: int = 0
    pieces: int = 0
    quanta: list[int | None] = field(default_factory=lambda: [None] * len(focus.METRICS))

    def add(self, place: int, amount: int | None) -> None:
        """Add quanta of the metric at that place in `focus.METRICS`; None adds nothing."""
        if amount is not None:
            self.quanta[place] = (self.quanta[place] or 0) + amount

    def join(self, other: Sums) -> None:
        """Add another's sums to these."""
        self.charges += other.charges
        self.pieces += other.pieces
        for place, amount in enumerate(other.quanta):
            self.add(place, amount)


def as_quanta(amount: Decimal | None) -> int | None:
    """A stored amount as whole quanta; it has at most 18 digits after the point by its type."""
    if amount is None:
        return None
    numerator, denominator = amount.as_integer_ratio()
    return numerator * 10**18 // denominator


def shares_of(path: Path) -> dict[int, list[ShareOf]]:
    """The shares of each attribute number, in time and interval order."""
    columns = ["x_AttributeNo", "x_ValidFrom", "x_ValidUntil", "x_ShareLow", "x_ShareHigh", "x_ShareWhole"]
    columns.append("x_OwnerNo")
    found: dict[int, list[ShareOf]] = {}
    for number, *rest in _rows(pq.read_table(path, columns=columns), columns):
        found.setdefault(number, []).append(ShareOf(*rest))
    for shares in found.values():
        shares.sort(key=lambda share: (share.valid_from, share.low))
    return found


def gaps(shares: dict[int, list[ShareOf]]) -> list[str]:
    """What is wrong with the tiling, in words; empty if every whole is shared out without gap or overlap, always."""
    return [f"attribute {number}: {fault}" for number in sorted(shares) if (fault := _fault(shares[number]))]


def _fault(shares: Sequence[ShareOf]) -> str | None:
    at, before = 0, None
    for share in shares:
        if at == 0 and share.valid_from != (before.valid_until if before else BEGINNING):
            return f"nobody holds the time before {share.valid_from}"
        tile = (share.valid_from, share.valid_until, share.whole)
        if at and before and tile != (before.valid_from, before.valid_until, before.whole):
            return f"the share at {share.low} is of another whole or time than the one before it"
        if share.low != at or not share.low < share.high <= share.whole:
            return f"the interval [{share.low}, {share.high}) does not follow {at}"
        at, before = share.high % share.whole, share
    if at:
        return f"the whole ends at {at}"
    return None if before and before.valid_until >= END else "nobody holds the time at the end"


def recounted(charges: Path, shares: dict[int, list[ShareOf]]) -> tuple[dict[Key, Sums], dict[int, Sums]]:
    """What each owner should hold, and what each attribute number's charges add up to."""
    pieces: dict[Key, Sums] = {}
    whole: dict[int, Sums] = {}
    divided = pa.array([n for n, held in shares.items() if len(held) > 1], pa.int32())
    for table in _batches(charges):
        for number, sums in _summed(table):
            whole.setdefault(number, Sums()).join(sums)
            if len(shares.get(number, ())) == 1:
                only = shares[number][0]
                pieces.setdefault((number, only.owner), Sums()).join(sums)
        _divide(table.filter(pc.is_in(table["x_AttributeNo"], value_set=divided)), shares, pieces)
    return pieces, whole


def stored(allocations: Path) -> dict[Key, Sums]:
    """What the stored result says each owner holds."""
    columns = ["x_AttributeNo", "x_OwnerNo", "x_ChargeCount", "x_PieceCount", *focus.METRICS]
    return {
        (number, owner): Sums(count, pieces, [as_quanta(amount) for amount in amounts])
        for number, owner, count, pieces, *amounts in _rows(pq.read_table(allocations, columns=columns), columns)
    }


def misnamed(allocations: Path, owners: Path) -> list[str]:
    """Rows of the stored result that name another owner than their number does, in words."""
    columns = ["x_OwnerNo", *tables.OWNER]
    named = {number: owner for number, *owner in _rows(pq.read_table(owners, columns=columns), columns)}
    rows = set(map(tuple, _rows(pq.read_table(allocations, columns=columns), columns)))
    wrong = sorted({number for number, *owner in rows if named.get(number) != owner})
    return [f"owner {number}: the stored sums name another owner" for number in wrong]


def currencies(attributes: Path) -> dict[int, str]:
    """The currency of each attribute number."""
    columns = ["x_AttributeNo", "BillingCurrency"]
    return dict(_rows(pq.read_table(attributes, columns=columns), columns))


def _batches(charges: Path) -> Iterator[pa.Table]:
    with pq.ParquetFile(charges) as file:
        columns = ["x_AttributeNo", "ChargePeriodStart", *focus.METRICS]
        for batch in file.iter_batches(batch_size=BATCH, columns=columns):
            yield pa.Table.from_batches([batch])


def _may_wrap(table: pa.Table) -> bool:
    """Whether a sum of one metric might leave the 38 digits in which pyarrow, measured, wraps without a word."""
    sizes = (as_quanta(pc.max(pc.abs(table[m])).as_py()) or 0 for m in focus.METRICS)
    return bool(max(sizes) * table.num_rows >= 10**38)


def _summed(table: pa.Table) -> Iterator[tuple[int, Sums]]:
    if _may_wrap(table) and table.num_rows > 1:
        half = table.num_rows // 2
        yield from _summed(table.slice(0, half))
        yield from _summed(table.slice(half))
        return
    sums = table.group_by("x_AttributeNo").aggregate([([], "count_all"), *((m, "sum") for m in focus.METRICS)])
    columns = ["x_AttributeNo", "count_all", *(f"{m}_sum" for m in focus.METRICS)]
    for number, count, *amounts in _rows(sums, columns):
        yield number, Sums(count, count, [as_quanta(amount) for amount in amounts])


def _divide(table: pa.Table, shares: dict[int, list[ShareOf]], pieces: dict[Key, Sums]) -> None:
    begun: dict[int, list[datetime]] = {}
    for number, start, *amounts in _rows(table, ["x_AttributeNo", "ChargePeriodStart", *focus.METRICS]):
        quanta = [as_quanta(amount) for amount in amounts]
        mine = shares[number]
        # sorted by time: those that hold stand just before the first that begins later
        times = begun.setdefault(number, [share.valid_from for share in mine])
        for at in range(bisect_right(times, start) - 1, -1, -1):
            share = mine[at]
            if share.valid_until <= start:
                break
            sums = pieces.setdefault((number, share.owner), Sums())
            sums.charges += share.low == 0
            sums.pieces += 1
            for place, amount in enumerate(quanta):
                sums.add(place, _part(amount, share))


def _part(amount: int | None, share: ShareOf) -> int | None:
    """Floor of the size up to each end of the interval, with the amount's sign (design §4)."""
    if amount is None:
        return None
    size = abs(amount)
    part = size * share.high // share.whole - size * share.low // share.whole
    return -part if amount < 0 else part


def _rows(table: pa.Table, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(table[column].to_pylist() for column in columns), strict=True)
