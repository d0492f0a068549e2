"""Small snapshots, parts and runs for the store's tests; all files of a delivery carry its generation, a number."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import parquet

from apportion.core.period import Month
from apportion.core.problems import Problem, Severity
from apportion.store import Store, open_store
from apportion.store.records import Part, Run, Scope, Snapshot, SnapshotDraft, SourceFile

if TYPE_CHECKING:
    from pathlib import Path

JANUARY, FEBRUARY = Month(2026, 1), Month(2026, 2)
A = Scope("aws", "111", JANUARY)
B = Scope("aws", "222", FEBRUARY)
PAIR = (A, B)


def draft(store: Store, scope: Scope, generation: int, *problems: Problem) -> SnapshotDraft:
    """A staged snapshot whose id says scope and generation, and whose file holds the generation."""
    folder = store.stage()
    for name in ("charges.parquet", "attributes.parquet"):
        parquet.write_table(pa.table({"generation": [generation] * 3}), folder / name)
    amount = Decimal(generation).scaleb(-18)
    snapshot = Snapshot(
        id=f"{scope.source_id}{scope.billing_account_id}g{generation:06d}",
        scope=scope,
        kind="focus",
        form="FOCUS 1.2",
        rows=3,
        rejected=0,
        totals={"USD": {"BilledCost": amount, "EffectiveCost": -amount}},
        files=(SourceFile(1, f"bills/{generation}.csv", f"sha-{generation}", 100, 3),),
        folder=folder,
    )
    return SnapshotDraft(snapshot, problems)


def pair(store: Store, generation: int) -> list[SnapshotDraft]:
    """Drafts of both scopes in that generation: published together they must appear together."""
    return [draft(store, scope, generation) for scope in PAIR]


def run_of(store: Store, generation: int) -> tuple[Run, dict[str, Path]]:
    """A run with one new part per current snapshot, and the staging folders."""
    parts, staged = [], {}
    for snapshot in store.current_snapshots():
        part_id = f"part-{snapshot.id}-{generation}"
        staged[part_id] = store.stage()
        for name in ("shares.parquet", "owners.parquet", "allocations.parquet"):
            parquet.write_table(pa.table({"generation": [generation]}), staged[part_id] / name)
        parts.append(Part(part_id, snapshot.id, snapshot.scope.period, snapshot.totals, staged[part_id]))
    totals = {"USD": {"BilledCost": Decimal("1.25")}}
    return Run(f"run-{generation}", "duckdb", "0.1", "abcd1234", "name = 'x'", tuple(parts), totals, totals), staged


def problem(what: str, amount: Decimal | None = None) -> Problem:
    """A problem that is told from others by its text."""
    currency = None if amount is None else "USD"
    return Problem(
        "bad-number", Severity.WARNING, "a.csv", "2-3", 2, "BilledCost", "1,5", what, "Fix it.", amount, currency
    )


def generations(store: Store) -> tuple[int, ...]:
    """The generation of each current snapshot as its checked file says, in order of scope."""
    charges = [store.checked(snapshot.charges) for snapshot in store.current_snapshots()]
    return tuple(parquet.read_table(path).column(0)[0].as_py() for path in charges)


def assert_whole(store: Store) -> None:
    """Everything the catalogue points to is there and unchanged, to the manifest."""
    run = store.current_run()
    for record in (*store.current_snapshots(), *(run.parts if run else ())):
        assert len(record.stored) == (2 if isinstance(record, Snapshot) else 3)
        store.check(record.folder, record.stored)
        for file in record.stored:
            store.checked(record.folder / file.name)


def publish_for_ever(state: Path, acknowledged: Path) -> None:
    """Publish generation after generation; each is acknowledged after it was published."""
    with open_store(state) as store, acknowledged.open("ab", buffering=0) as told:
        first = max(generations(store), default=0) + 1
        for generation in range(first, first + 100_000):
            store.publish_snapshots(pair(store, generation))
            os.write(told.fileno(), f"{generation}\n".encode())


def publish_carelessly_for_ever(state: Path, acknowledged: Path) -> None:
    """The same with one transaction for each half: what the tests must be able to see."""
    with open_store(state) as store, acknowledged.open("ab", buffering=0) as told:
        first = max(generations(store), default=0) + 1
        for generation in range(first, first + 100_000):
            for half in pair(store, generation):
                store.publish_snapshots([half])
            os.write(told.fileno(), f"{generation}\n".encode())


def hold_the_lock_for_ever(state: Path, acknowledged: Path) -> None:
    """Be the writer until killed."""
    with open_store(state) as store, store.writing():
        store.stage()
        acknowledged.write_text("holding\n")
        os.read(os.pipe()[0], 1)


def open_and_publish_once(state: Path, acknowledged: Path) -> None:
    """Open a project that perhaps does not exist yet."""
    with open_store(state) as store:
        found = len(store.current_snapshots())
    acknowledged.write_text(f"{found}\n")
