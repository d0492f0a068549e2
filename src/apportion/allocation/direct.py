"""Direct allocation of one snapshot: each charge goes to the owners of its shares."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from apportion.allocation.statements import ALLOCATION_KEY, ALLOCATIONS
from apportion.core import focus, tables
from apportion.core.arrow import conform
from apportion.core.money import plain
from apportion.errors import NotConserved

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from apportion.engine.select import Engine

METHOD_VERSION = "direct-4"
"""Changes whenever the same inputs would give other bytes: part of the id of every stored result."""

Totals = Mapping[str, Mapping[str, Decimal]]


def allocate(engine: Engine, *, charges: Path, attributes: Path, shares: Path, owners: Path) -> pa.Table:
    """The table `allocations` of a snapshot: sums of exact pieces, sorted by key, the same bytes on every engine."""
    for name, path in (("charges", charges), ("attributes", attributes), ("shares", shares), ("owners", owners)):
        engine.read_parquet(name, [path])
    return conform(engine.ask(ALLOCATIONS), tables.ALLOCATIONS, order=ALLOCATION_KEY)


def totals(allocations: pa.Table) -> dict[str, dict[str, Decimal]]:
    """Currency -> metric -> exact sum; a metric that is null throughout a currency is left out."""
    sums = allocations.group_by("BillingCurrency").aggregate([(metric, "sum") for metric in focus.METRICS])
    found: dict[str, dict[str, Decimal]] = {}
    for row in sums.to_pylist():
        amounts = {m: row[f"{m}_sum"] for m in focus.METRICS if row[f"{m}_sum"] is not None}
        found[row["BillingCurrency"]] = amounts
    return found


def charge_count(allocations: pa.Table) -> int:
    """How many charges have a piece, each counted once however many shares divide it."""
    return int(pc.sum(allocations["x_ChargeCount"]).as_py() or 0)


def require_conserved(before: Totals, after: Totals, *, rows_before: int, rows_after: int, where: str) -> None:
    """Raise `NotConserved` unless every total, and the number of charges, is the same to the last digit."""
    if rows_before != rows_after:
        raise NotConserved(f"{where}: {rows_before} charges came in and {rows_after} went out")
    for currency in sorted(before.keys() | after.keys()):
        for metric in focus.METRICS:
            came = before.get(currency, {}).get(metric)
            went = after.get(currency, {}).get(metric)
            if came != went:
                raise NotConserved(f"{where}: {metric} in {currency} was {_told(came)} and became {_told(went)}")


def _told(amount: Decimal | None) -> str:
    return "nothing" if amount is None else plain(amount)
