"""The rows of the export that stand for what pools gave on, account by account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.tables import quoted
from apportion.errors import NotConserved
from apportion.ledger.sharing import open_sharings
from apportion.reports.focus_dataset import pooled_statements as statements
from apportion.reports.focus_dataset.columns import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from apportion.engine.duck import DuckDb
    from apportion.store import Store
    from apportion.store.records import Part, Snapshot

ROWS_AT_ONCE = 20_000


def open_month(db: DuckDb, store: Store, sharings: Sequence[Part]) -> None:
    """Make `taken` and what else is known of the shared costs of one month; empty where there are none."""
    open_sharings(db, store, sharings)
    for statement in (statements.POOLED, statements.SHARED_ROWS, statements.HOPS):
        db.run(statement)


def collect(db: DuckDb, snapshot: Snapshot) -> None:
    """Remember what pools took of the snapshot, whose views `attributes` and `owners` are open."""
    db.run(statements.COLLECT, {"snapshot": snapshot.id})


def rows_of_account(db: DuckDb, account: str, *, version: str) -> Iterator[pa.Table]:
    """What pools gave on of the account's snapshots that were collected, cost by cost, and forget them.

    Raises `NotConserved` where that is not what owners got.
    """
    if not db.rows("SELECT 1 FROM pooled LIMIT 1"):
        return
    db.run(statements.COSTS)
    db.run(statements.POOLED)
    db.run(statements.GIVEN)
    ((hops,),) = db.rows(statements.MOST_HOPS)
    for hop in range(1, hops + 1):
        db.run(statements.NEXT_HOP, {"hop": hop})
    db.run(statements.PIECES)
    for (pool,) in db.rows(statements.UNEQUAL, {"account": account}):
        raise NotConserved(f"the rows of pool {pool} in account {account} are not what it gave")
    sql = statements.ROWS.format(columns=", ".join(quoted(name) for name in schema(version).names))
    ((count,),) = db.rows("SELECT COUNT(*) FROM pooled_rows")
    for first in range(1, count + 1, ROWS_AT_ONCE):
        yield db.table(sql, {"first": first, "last": first + ROWS_AT_ONCE - 1})
