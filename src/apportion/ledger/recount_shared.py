"""Shared costs counted again, on another path: pyarrow for reading, Python's whole numbers for the arithmetic.

Nothing here is shared with `allocation` or `engine`: what pools took is looked up in the results of bills, intervals
are laid out anew from the weights (of reciprocal pools, put into their equations), and every shared amount is divided
anew, pool after pool. What the weights are counted from (cost, use, conditions) is not counted again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from apportion.core import focus
from apportion.core.targets import COLUMNS, DIMENSIONS, UNALLOCATED
from apportion.ledger.recount import Sums
from apportion.ledger.recount_cells import (
    FIGURES,
    RECEIVER,
    Cell,
    Month,
    RowKey,
    batches,
    cell_faults,
    equation_faults,
    listed,
    named,
    sums_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

KEPT = (
    "BillingPeriodStart",
    "BillingCurrency",
    "BillingAccountId",
    "SubAccountId",
    "SubAccountName",
    "ServiceProviderName",
    "ServiceName",
    "ServiceCategory",
    "ChargeCategory",
)
"""What is still known of a cost that a pool took; costs that agree in it, and in whose they were, are one cost."""

_VALUES = {"provider": "ServiceProviderName", "billing_account": "BillingAccountId", "service": "ServiceName"}
_Group = tuple[Any, ...]
"""The values of `KEPT`, then whose it was: team and kind."""


def faults(month: Month, results: Iterable[tuple[str, Path]]) -> list[list[str]]:
    """What is wrong with the shared costs of a month, in words, kind by kind; all empty if everything holds.

    `results`: snapshot -> the stored allocations of each bill of the month.
    """
    if missing := list(_missing(month)):
        return [missing]
    wrong_cells = [
        f"{named(month, no)}: {fault}" for no, cell in month.cells.items() for fault in cell_faults(month, cell)
    ]
    wrong_cells += equation_faults(month)
    rows = dict(_before(month, results))
    costs = _costs(month, rows)
    return [wrong_cells, list(_of_taken(month, rows)), *_of_shared(month, costs)]


def _missing(month: Month) -> Iterator[str]:
    """What is spoken of and not there: nothing more can be said then."""
    for no, cell in month.cells.items():
        if cell.pool not in month.pools:
            yield f"cell {no} is of pool {cell.pool}, which is not there"
    spoken = {cell: "a row is taken into" for _, _, cell, _ in month.taken}
    for batch in batches(month.shared, ["x_CellNos"]):
        spoken |= {cell: "an amount went through" for (cells,) in listed(batch, ["x_CellNos"]) for cell in cells}
    for no, words in sorted(spoken.items()):
        if no not in month.cells:
            yield f"{words} cell {no}, which is not there"


# -- what pools took


@dataclass(frozen=True, slots=True)
class _Row:
    """A row as the result of its bill says it."""

    group: _Group
    said: Mapping[str, str]
    sums: Sums


def _before(month: Month, results: Iterable[tuple[str, Path]]) -> Iterator[tuple[RowKey, _Row]]:
    """The rows that pools took, as the results of bills say them."""
    wanted: dict[str, set[tuple[int, int]]] = {}
    for (snapshot, attribute, owner), *_ in month.taken:
        wanted.setdefault(snapshot, set()).add((attribute, owner))
    names = ["x_AttributeNo", "x_OwnerNo", *FIGURES, *KEPT, *RECEIVER]
    for snapshot, path in results:
        mine = wanted.get(snapshot, set())
        numbers = pa.array(sorted({attribute for attribute, _ in mine}), pa.int32())
        for batch in batches(path, names):
            for values in listed(batch.filter(pc.is_in(batch["x_AttributeNo"], value_set=numbers)), names):
                if (values[0], values[1]) in mine:
                    yield (snapshot, values[0], values[1]), _row(dict(zip(names, values, strict=True)))


def _row(row: Mapping[str, Any]) -> _Row:
    kind = "idle" if row["x_WorkloadKind"] == "idle" else None
    group = (*(row[name] for name in KEPT), row["x_Team"], kind)
    owner = {name: row[column] or "" for name, column in COLUMNS.items()}
    return _Row(group, {**_values(row), **owner}, sums_of([row[name] for name in FIGURES]))


def _values(row: Mapping[str, Any]) -> dict[str, str]:
    """What a cost says of the fields of `within` that it keeps when pools give it on."""
    said = {name: row[column] or "" for name, column in _VALUES.items()}
    account = row["SubAccountId"] if row["SubAccountId"] is not None else row["BillingAccountId"]
    return {**said, "account": account or ""}


def _costs(month: Month, rows: Mapping[RowKey, _Row]) -> dict[tuple[int, _Group], Sums]:
    """Cell and group -> what pools took there."""
    found: dict[tuple[int, _Group], Sums] = {}
    for key, _, cell, sums in month.taken:
        if key in rows:
            found.setdefault((cell, rows[key].group), Sums()).join(sums)
    return found


def _of_taken(month: Month, rows: Mapping[RowKey, _Row]) -> Iterator[str]:
    by_row: dict[RowKey, tuple[set[int], Sums]] = {}
    for key, pool, number, sums in month.taken:
        pools, whole = by_row.setdefault(key, (set(), Sums()))
        pools.add(pool)
        whole.join(sums)
        cell, row = month.cells[number], rows.get(key)
        if cell.pool != pool:
            yield f"{_where(key)}: pool {pool} took it into the cell of another"
        elif row is not None and not _fits(month, cell, row.said, row.group):
            yield f"{_where(key)}: {named(month, number)} is not its own"
    for key, (pools, whole) in by_row.items():
        if len(pools) > 1:
            yield f"{_where(key)}: taken by pools {' and '.join(map(str, sorted(pools)))}"
        elif key not in rows:
            yield f"{_where(key)}: pool {month.pools[min(pools)]['x_PoolId']} took a row that no result has"
        elif rows[key].sums != whole:
            yield f"{_where(key)}: what pool {month.pools[min(pools)]['x_PoolId']} took is not what the result says"


def _where(key: RowKey) -> str:
    snapshot, attribute, owner = key
    return f"snapshot {snapshot}, attribute {attribute}, owner {owner}"


def _fits(month: Month, cell: Cell, said: Mapping[str, str], group: _Group) -> bool:
    """Whether a cost falls in the cell by its currency and by what is known of it."""
    within = month.pools[cell.pool]["x_Within"]
    held = all(said.get(name, value) == value for name, value in zip(within, cell.keys, strict=False))
    return held and cell.currency == group[KEPT.index("BillingCurrency")]


# -- what pools gave


def _of_shared(month: Month, costs: Mapping[tuple[int, _Group], Sums]) -> list[list[str]]:
    """Shared rows one by one, then whether all are there, then whether what came is what went."""
    held = {(no, w.receiver, w.to_pool): (w.low, w.high) for no, cell in month.cells.items() for w in cell.weights}
    ends: Counter[tuple[tuple[int, ...], _Group]] = Counter()
    went: dict[tuple[int, _Group], Sums] = {}
    wrong: list[str] = []
    names = [*KEPT, "x_OriginTeam", "x_OriginKind", "x_CellNos", "x_ReceiverNo", *FIGURES, *_NAMES]
    end, figures = len(KEPT) + 2, len(KEPT) + 4
    for batch in batches(month.shared, names):
        for values in listed(batch, names):
            group, cells, receiver = values[:end], tuple(values[end]), values[end + 1]
            sums = sums_of(values[figures : figures + len(FIGURES)])
            ends[cells, group] += 1
            went.setdefault((cells[0], group), Sums()).join(sums)
            given = _given(month, held, costs.get((cells[0], group)), cells, receiver)
            if given != sums:
                wrong.append(f"{_told(month, cells, receiver)}: {_service(group)} is not what the intervals give")
            elif (fault := _misnamed(month, cells, receiver, values[figures + len(FIGURES) :])) is not None:
                wrong.append(f"{_told(month, cells, receiver)}: {_service(group)} {fault}")
            elif not all(_fits(month, month.cells[no], _said(group), group) for no in cells[1:]):
                wrong.append(f"{_told(month, cells, receiver)}: {_service(group)} went on into a cell not its own")
    return [wrong, list(_lost(month, costs, ends)), list(_unbalanced(month, costs, went))]


def _given(
    month: Month,
    held: Mapping[tuple[int, int | None, int | None], tuple[int, int]],
    cost: Sums | None,
    cells: tuple[int, ...],
    receiver: int,
) -> Sums | None:
    """What the receiver gets of a cost by this way; None where there is no such cost or way."""
    if cost is None:
        return None
    charges, amounts = cost.charges, list(cost.quanta)
    for step, no in enumerate(cells):
        to = (no, receiver, None) if step + 1 == len(cells) else (no, None, month.cells[cells[step + 1]].pool)
        if to not in held:
            return None
        low, high = held[to]
        whole = month.cells[no].whole
        charges = charges if low == 0 else 0
        amounts = [_part(amount, low, high, whole) for amount in amounts]
    return Sums(charges, cost.pieces, amounts)


def _part(amount: int | None, low: int, high: int, whole: int) -> int | None:
    """Floor of the size up to each end of the interval, with the amount's sign (design §4)."""
    if amount is None:
        return None
    size = abs(amount)
    part = size * high // whole - size * low // whole
    return -part if amount < 0 else part


_EVIDENCE = tuple(f"x_{name.capitalize()}{suffix}" for name in DIMENSIONS for suffix in ("Evidence", "RuleId"))
_NAMES = (*RECEIVER, *_EVIDENCE, "x_PoolNo", "x_LastPoolNo", "x_Path")


def _misnamed(month: Month, cells: tuple[int, ...], receiver: int, said: Sequence[Any]) -> str | None:
    pools = [month.cells[no].pool for no in cells]
    owner = month.receivers.get(receiver)
    if owner != tuple(said[: len(RECEIVER)]):
        return "names another owner than its number does"
    last = month.pools[pools[-1]]
    known = (f"T4 pool:{last['x_PoolId']}@{last['x_PoolVersion']}").split(" ", 1)
    by_name = dict(zip(COLUMNS, owner or (), strict=False))
    evidence = [each for name in DIMENSIONS for each in (known if by_name[name] != UNALLOCATED else ("T5", "none"))]
    path = " > ".join(month.pools[pool]["x_PoolId"] for pool in pools)
    expected = [*evidence, pools[0], pools[-1], path]
    return None if expected == list(said[len(RECEIVER) :]) else "names another pool, way or rule than its cells do"


def _said(group: _Group) -> dict[str, str]:
    return _values(dict(zip(KEPT, group, strict=False)))


def _lost(
    month: Month, costs: Mapping[tuple[int, _Group], Sums], ends: Mapping[tuple[tuple[int, ...], _Group], int]
) -> Iterator[str]:
    """Receivers that should have a row of a cost and have none, or several."""
    ways: dict[tuple[tuple[int, ...], _Group], set[int]] = {((cell,), group): set() for cell, group in costs}
    for cells, group in ends:
        for end in range(1, len(cells)):
            ways.setdefault((cells[:end], group), set()).add(cells[end])
            ways.setdefault((cells[: end + 1], group), set())
    for (cells, group), following in ways.items():
        sized = [w for w in month.cells[cells[-1]].weights if w.high > w.low]
        owners = sum(w.receiver is not None for w in sized)
        to_pools = sorted(w.to_pool for w in sized if w.to_pool is not None)
        if ends.get((cells, group), 0) != owners or sorted(month.cells[no].pool for no in following) != to_pools:
            yield f"{_way(month, cells)}: {_service(group)} did not go once to each that has a share"


def _unbalanced(
    month: Month, costs: Mapping[tuple[int, _Group], Sums], went: Mapping[tuple[int, _Group], Sums]
) -> Iterator[str]:
    """Sums that are others after sharing than before, by pool, currency, account and service."""
    before, after = _summed(month, costs), _summed(month, went)
    for key in sorted(before.keys() | after.keys()):
        for metric, came, gone in zip(
            focus.METRICS, before.get(key, Sums()).quanta, after.get(key, Sums()).quanta, strict=True
        ):
            if came != gone:
                pool, currency, *said = key
                yield f"pool {pool}: {metric} of {' '.join(filter(None, said))} in {currency}: {came} came, {gone} went"


def _summed(month: Month, sums: Mapping[tuple[int, _Group], Sums]) -> dict[tuple[str, ...], Sums]:
    names = ("BillingCurrency", "BillingAccountId", "SubAccountId", "ServiceName")
    found: dict[tuple[str, ...], Sums] = {}
    for (cell, group), each in sums.items():
        said = tuple(group[KEPT.index(name)] or "" for name in names)
        pool = month.pools[month.cells[cell].pool]["x_PoolId"]
        found.setdefault((pool, *said), Sums()).join(each)
    return found


def _told(month: Month, cells: tuple[int, ...], receiver: int) -> str:
    return f"{_way(month, cells)}, receiver {receiver}"


def _way(month: Month, cells: tuple[int, ...]) -> str:
    return " > ".join(named(month, no) for no in cells)


def _service(group: _Group) -> str:
    return f"cost of {group[KEPT.index('ServiceName')]} from {group[len(KEPT)]}"
