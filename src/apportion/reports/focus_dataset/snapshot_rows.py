"""The rows of the export from one snapshot, a range of charges at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.tables import quoted
from apportion.errors import NotConserved
from apportion.reports.focus_dataset import statements
from apportion.reports.focus_dataset.columns import OF_POOLS, OWN, typed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from apportion.engine.duck import DuckDb
    from apportion.store import Store
    from apportion.store.records import Part, Snapshot

CHARGES_AT_ONCE = 20_000
"""Bounds the memory; a row has about 75 columns."""


def rows_of(store: Store, db: DuckDb, snapshot: Snapshot, part: Part, *, version: str) -> Iterator[pa.Table]:
    """The rows of the snapshot in charge order, pieces of a charge in share order, without those that a pool took.

    Reads the view `taken` of `ledger.sharing`, leaves the views `attributes` and `owners` of the snapshot behind.
    Raises `NotConserved` where a charge has no piece, or where a charge that its provider had split was split again.
    """
    _open(store, db, snapshot, part)
    sql = statements.ROWS.format(columns=typed(version))
    for first in range(1, snapshot.rows + 1, CHARGES_AT_ONCE):
        bounds = {"first": first, "last": first + CHARGES_AT_ONCE - 1, "snapshot": snapshot.id}
        yield db.table(sql, bounds)


def _open(store: Store, db: DuckDb, snapshot: Snapshot, part: Part) -> None:
    db.read_parquet("charges", [store.checked(snapshot.charges)])
    db.read_parquet("attributes", [store.checked(snapshot.attributes)])
    db.read_parquet("held", [store.checked(part.shares)])
    db.read_parquet("owners", [store.checked(part.owners)])
    db.run(statements.SHARES)
    db.run(statements.TAKEN_HERE, {"snapshot": snapshot.id})
    if again := db.rows(statements.SPLIT_AGAIN):
        raise NotConserved(
            f"attribute {again[0][0]} of snapshot {snapshot.id} was split by its provider and split again"
        )
    db.run(statements.ALL_PIECES)
    db.run(statements.RECEIVERS)
    _keep(store, db, snapshot)
    if db.rows(statements.CHARGES_WITH_PIECES) != [(snapshot.rows,)]:
        raise NotConserved(f"not every charge of snapshot {snapshot.id} has its pieces")


def _keep(store: Store, db: DuckDb, snapshot: Snapshot) -> None:
    if snapshot.extras is None:
        db.run(statements.NOTHING_KEPT)
        return
    db.read_parquet("extras", [store.checked(snapshot.extras)])
    there = {name for (name,) in db.rows("SELECT column_name FROM (DESCRIBE extras)")}
    # only all of our columns together are an export of ours; before there were pools, it had none of theirs
    if not there.issuperset({*OWN} - {"x_ResourceGroupName", *OF_POOLS}):
        db.run(statements.NOTHING_KEPT)
        return
    columns = [quoted(name) if name in there else f"CAST(NULL AS VARCHAR) AS {name}" for name in OWN]
    pooled = "x_PooledCostId" if "x_PooledCostId" in there else "NULL"
    db.run(statements.KEPT.format(columns=", ".join(columns), pooled=pooled))
