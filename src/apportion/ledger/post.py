"""Post a run: every current snapshot allocated under the rules as they are now, conserved, published whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from apportion import __version__
from apportion.allocation import direct, owners
from apportion.allocation.weighing import weighed
from apportion.core.money import from_quanta, quanta
from apportion.core.progress import Progress, silent
from apportion.engine import duck
from apportion.errors import NoData
from apportion.ledger.metered import covered, metered, share_out, version
from apportion.ledger.sharing import shared_out
from apportion.store.records import Part, Run, Snapshot, Totals
from apportion.tagging.resolve import RESOLVE_VERSION, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal
    from pathlib import Path

    import pyarrow as pa

    from apportion.core.config import Config
    from apportion.core.period import Period
    from apportion.engine.select import Engine
    from apportion.store import Store


@dataclass(frozen=True, slots=True)
class Posted:
    """A run and how much of it had to be calculated; `unchanged` where it was the current one already."""

    run: Run
    fresh: int
    reused: int
    unchanged: bool


def post(
    store: Store,
    config: Config,
    *,
    config_text: str,
    engine: Engine,
    memory: str = "2GB",
    progress: Progress = silent,
) -> Posted:
    """Allocate all current snapshots and make the result the current run.

    The result of a snapshot depends on its id, the ownership rules and the versions of the methods only, the shared
    costs of a month on its results and the pools, so what was calculated before is reused. Raises `NoData` where
    nothing was ingested, `NotConserved` where money in is not money out (then nothing is published).
    """
    with store.writing():
        before = store.current_run()
        run, staged = worked_out(
            store, config, config_text=config_text, engine=engine, memory=memory, progress=progress
        )
        if before is not None and before.id == run.id:
            return Posted(before, fresh=0, reused=len(run.parts), unchanged=True)
        fresh = sum(part.id in staged for part in run.parts)
        return Posted(store.publish_run(run, staged), fresh=fresh, reused=len(run.parts) - fresh, unchanged=False)


def worked_out(
    store: Store,
    config: Config,
    *,
    config_text: str,
    engine: Engine,
    period: Period | None = None,
    memory: str = "2GB",
    progress: Progress = silent,
) -> tuple[Run, dict[str, Path]]:
    """The run that `post` would publish, and the staging folder of each of its parts that is not stored yet.

    With a `period` it consists of the bills of those months only; each part is the one that a whole run would have.
    Nothing is published. Raises as `post` does.
    """
    config = weighed(config)
    snapshots = store.current_snapshots(period=period)
    if not snapshots:
        of = "" if period is None else f" of {period}"
        raise NoData(f"No bill{of} has been ingested yet.", "Run 'apportion ingest' first.")
    months = None if period is None else covered(store, snapshots)
    meters = metered(store, config, months=months, memory=memory, progress=progress)
    parts: list[Part] = []
    staged: dict[str, Path] = dict(meters.staged)
    for done, snapshot in enumerate(snapshots):
        progress(f"allocating {snapshot.scope.source_id} {snapshot.scope.period}", done, len(snapshots))
        usages = meters.of(store, snapshot)
        part_id = id_of_part(snapshot, config, usages)
        part = store.part(part_id)
        if part is None:
            part = _calculate(store, config, snapshot, usages, part_id=part_id, engine=engine, memory=memory)
            staged[part_id] = part.folder
        parts.append(part)
    progress("allocating", len(snapshots), len(snapshots))
    sharings, new = shared_out(store, config, parts, meters.parts, memory=memory, progress=progress)
    staged |= new
    before = store.current_run()
    worked = engine.name if staged or before is None else before.engine
    usage = tuple(meters.parts[month] for month in sorted(meters.parts))
    run = _run(config, parts, snapshots, (usage, tuple(sharings)), config_text=config_text, engine=worked)
    return run, staged


def id_of_part(snapshot: Snapshot, config: Config, usages: Sequence[Part]) -> str:
    """The id of the result of a snapshot; the rules of `config` are weighed, `usages` those of its months."""
    metering = version(config, usages)
    words = (snapshot.id, config.ownership_version, RESOLVE_VERSION, direct.METHOD_VERSION, metering)
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _calculate(
    store: Store,
    config: Config,
    snapshot: Snapshot,
    usages: Sequence[Part],
    *,
    part_id: str,
    engine: Engine,
    memory: str,
) -> Part:
    folder = store.stage()
    attributes = store.checked(snapshot.attributes)
    with duck.session(memory=memory, temp=store.stage()) as db:
        resolved = resolve(db, attributes, config)
        db.read_parquet("charges", [store.checked(snapshot.charges)])
        share_out(db, config, resolved, usages, folder)
        owners.write(db, shares=folder / "shares.parquet", owners=folder / "owners.parquet")
    allocations = direct.allocate(
        engine,
        charges=store.checked(snapshot.charges),
        attributes=attributes,
        shares=folder / "shares.parquet",
        owners=folder / "owners.parquet",
    )
    totals = direct.totals(allocations)
    direct.require_conserved(
        snapshot.totals,
        totals,
        rows_before=snapshot.rows,
        rows_after=direct.charge_count(allocations),
        where=f"{snapshot.scope.source_id} {snapshot.scope.billing_account_id} {snapshot.scope.period}",
    )
    _write(allocations, folder / "allocations.parquet")
    return Part(id=part_id, snapshot_id=snapshot.id, period=snapshot.scope.period, totals=totals, folder=folder)


def _write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")


def _run(
    config: Config,
    parts: list[Part],
    snapshots: tuple[Snapshot, ...],
    beside: tuple[tuple[Part, ...], tuple[Part, ...]],
    *,
    config_text: str,
    engine: str,
) -> Run:
    usages, sharings = beside
    ids = sorted(part.id for part in (*parts, *usages, *sharings))
    words = [__version__, hashlib.sha256(config_text.encode()).hexdigest(), *ids]
    return Run(
        id=hashlib.sha256("\n".join(words).encode()).hexdigest()[:16],
        engine=engine,
        app_version=__version__,
        ownership_version=config.ownership_version,
        config=config_text,
        parts=tuple(parts),
        totals_in=added(snapshot.totals for snapshot in snapshots),
        totals_out=added(part.totals for part in parts),
        usages=usages,
        sharings=sharings,
    )


def added(several: Iterable[Totals]) -> dict[str, dict[str, Decimal]]:
    """Totals added up exactly, per currency and metric; currencies are never added to each other."""
    sums: dict[str, dict[str, int]] = {}
    for totals in several:
        for currency, metrics in totals.items():
            mine = sums.setdefault(currency, {})
            for metric, amount in metrics.items():
                mine[metric] = mine.get(metric, 0) + quanta(amount)
    return {c: {m: from_quanta(n) for m, n in sorted(metrics.items())} for c, metrics in sorted(sums.items())}
