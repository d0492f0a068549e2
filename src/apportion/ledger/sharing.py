"""The shared costs of a run: what pools took of each month's bills and gave to whom, calculated once."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.allocation.pool_rows import numbered
from apportion.allocation.pooling import POOLING_VERSION, share
from apportion.allocation.statements import timed
from apportion.core import tables
from apportion.core.arrow import from_rows
from apportion.core.measures import Measure
from apportion.core.tables import quoted
from apportion.core.targets import COLUMNS, DIMENSIONS, UNALLOCATED, Evidence
from apportion.engine import duck
from apportion.engine.dialect import DUCKDB, compile_sql
from apportion.engine.portion import part_of, units_of
from apportion.ledger.metered import open_usages
from apportion.metering.matching import MATCHES
from apportion.metering.work_hours import WORK_HOURS
from apportion.store.records import Part
from apportion.tagging.conditions import FOLDED, ConditionWriter, asked_keys
from apportion.tagging.own_tags import ENTRIES, asked_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from apportion.allocation.pool_rows import Pools
    from apportion.core.config import Condition, Config, Pool
    from apportion.core.period import Month
    from apportion.core.progress import Progress
    from apportion.engine.duck import DuckDb
    from apportion.store import Store

FILES = ("pools", "cells", "weights", "receivers", "taken", "shared")


def shared_out(
    store: Store,
    config: Config,
    parts: Sequence[Part],
    usages: Mapping[Month, Part],
    *,
    memory: str,
    progress: Progress,
) -> tuple[list[Part], dict[str, Path]]:
    """The sharing of each month, and the staging folders of those that are new; none where there are no pools.

    `parts` are the results of all bills, stored or staged. Raises what `allocation.pooling.share` raises.
    """
    if not config.pools:
        return [], {}
    by_month: dict[Month, list[Part]] = {}
    for part in parts:
        by_month.setdefault(part.period, []).append(part)
    found: list[Part] = []
    fresh: dict[str, Path] = {}
    for done, (month, of_month) in enumerate(sorted(by_month.items())):
        progress(f"sharing {month}", done, len(by_month))
        usage = usages.get(month)
        part_id = _part_id(month, of_month, usage, config)
        stored = store.part(part_id)
        if stored is None:
            folder = fresh[part_id] = store.stage()
            _share(store, config, of_month, usage, folder, memory=memory)
            stored = Part(part_id, of_month[-1].snapshot_id, month, {}, folder)
        found.append(stored)
    return found, fresh


def _part_id(month: Month, parts: Sequence[Part], usage: Part | None, config: Config) -> str:
    ids = [part.id for part in (*parts, *([usage] if usage else []))]
    units = repr(config.hierarchy)
    words = (str(month), *sorted(ids), config.pools_version, POOLING_VERSION, units)
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _share(
    store: Store,
    config: Config,
    parts: Sequence[Part],
    usage: Part | None,
    folder: Path,
    *,
    memory: str,
) -> None:
    pools = numbered([_completed(pool, config) for pool in config.pools])
    with duck.session(memory=memory, temp=store.stage()) as db:
        _open_usage(db, store, usage, pools)
        open_rows(db, store, parts, pools)
        share(db, pools)
        _write(db, pools, parts, folder)


def _completed(pool: Pool, config: Config) -> Pool:
    """The pool with the owners it names completed: a model's team and project, a team's business unit."""
    split = tuple(replace(each, owner=_full(each.owner, config)) for each in pool.split)
    rows = tuple(replace(each, owner=_full(each.owner, config)) for each in pool.table_rows)
    leftover = _full(pool.leftover_owner, config)
    return replace(pool, split=split, table_rows=rows, leftover_owner=leftover)


def _full(owner: Mapping[str, str], config: Config) -> dict[str, str]:
    of_model = config.hierarchy.models.get(owner.get("model", ""), {})
    full = {**of_model, **owner}
    unit = config.hierarchy.teams.get(full.get("team", ""))
    return {**({"business_unit": unit} if unit else {}), **full}


_USAGE_ROWS = """
CREATE OR REPLACE TEMP TABLE usage_rows AS
SELECT {targets}, w.x_WorkloadKind, w.x_WorkloadId, r.x_Provider, r.x_Account, r.x_Region, r.x_Cluster,
       lower(regexp_extract(coalesce(r.x_MeteredId, r.x_Node), '[^/:]+$')) AS x_Resource,
       u.x_Measure, u.x_Hour, SUM({quantity}) AS quantity
FROM work_hours AS u
JOIN workloads AS w ON w.x_WorkloadNo = u.x_WorkloadNo
JOIN held AS h ON h.x_AttributeNo = u.x_WorkloadNo AND u.x_Hour >= h.x_ValidFrom AND u.x_Hour < h.x_ValidUntil
LEFT JOIN resources AS r ON r.x_ResourceNo = u.x_ResourceNo
WHERE u.x_Measure IN (SELECT unnest($measures))
GROUP BY ALL
""".format(
    targets=", ".join(f"h.{name}" for name in COLUMNS.values()),
    quantity=part_of(units_of("u.quantity"), "h.x_ShareLow", "h.x_ShareHigh", "h.x_ShareWhole"),
)
_NO_USAGE = f"""
CREATE OR REPLACE TEMP TABLE usage_rows AS
SELECT {", ".join(f"CAST(NULL AS VARCHAR) AS {name}" for name in COLUMNS.values())},
       {", ".join(f"CAST(NULL AS VARCHAR) AS {name}" for name in ("x_WorkloadKind", "x_WorkloadId", "x_Provider"))},
       {", ".join(f"CAST(NULL AS VARCHAR) AS {name}" for name in ("x_Account", "x_Region", "x_Cluster", "x_Resource"))},
       CAST(NULL AS VARCHAR) AS x_Measure, CAST(NULL AS TIMESTAMP) AS x_Hour, CAST(NULL AS HUGEINT) AS quantity
WHERE false
"""


def _open_usage(db: DuckDb, store: Store, usage: Part | None, pools: Pools) -> None:
    """Make `usage_rows`, and `resources` to know clusters by."""
    if usage is None:
        db.run(_NO_USAGE)
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in tables.RESOURCES.items())
        db.run(f"CREATE OR REPLACE TEMP VIEW resources AS SELECT {empty} WHERE false")
        return
    for file in usage.stored:
        store.checked(usage.folder / file.name)
    open_usages(db, [usage])
    measures = sorted({pool.basis for pool in pools.values()} & set(Measure))
    if not measures:
        db.run(_NO_USAGE)
        return
    db.run(WORK_HOURS)
    db.run(_USAGE_ROWS, {"measures": measures})


_KEYS = """
CREATE OR REPLACE TEMP TABLE keys_{place} AS
WITH asked AS (
    SELECT *, {folded} FROM attributes
)
SELECT a.x_AttributeNo, InvoiceId AS x_Invoice, lower(regexp_extract(ResourceId, '[^/:]+$')) AS x_Resource,
       r.x_Cluster {flags}
FROM asked AS a
LEFT JOIN matches AS m ON m.x_AttributeNo = a.x_AttributeNo AND m.candidates = 1
LEFT JOIN resources AS r ON r.x_ResourceNo = m.x_ResourceNo
"""
_BEFORE = """
SELECT {place} AS x_PartNo, a.* {bucket}, k.* EXCLUDE (x_AttributeNo) FROM {rows} AS a
JOIN keys_{place} AS k ON k.x_AttributeNo = a.x_AttributeNo
"""


def open_rows(db: DuckDb, store: Store, parts: Sequence[Part], pools: Pools) -> None:
    """The views `before_rows` … of `allocation.pool_rows`; `resources` must be there."""
    units = sorted({pool.time for pool in pools.values()} - {"month"})
    views: dict[str, list[str]] = {"before_rows": [], **{f"before_rows_{unit}": [] for unit in units}}
    for place, part in enumerate(parts, 1):
        snapshot = store.snapshot(part.snapshot_id)
        db.read_parquet("attributes", [store.checked(snapshot.attributes)])
        db.run(MATCHES)
        _ask(db, place, pools)
        rows = f"allocations_{place}"
        db.read_parquet(rows, [store.checked(part.allocations)])
        views["before_rows"].append(
            _BEFORE.format(place=place, bucket=", CAST(NULL AS TIMESTAMP) AS x_Bucket", rows=rows)
        )
        if units:
            db.read_parquet("charges", [store.checked(snapshot.charges)])
            for name in ("shares", "owners"):
                db.read_parquet(name, [store.checked(part.folder / f"{name}.parquet")])
        for unit in units:
            rows = f"timed_{unit}_{place}"
            db.run(f"CREATE OR REPLACE TEMP TABLE {rows} AS {compile_sql(timed(unit), DUCKDB)}")
            views[f"before_rows_{unit}"].append(_BEFORE.format(place=place, bucket="", rows=rows))
    for name, selects in views.items():
        db.run(f"CREATE OR REPLACE TEMP VIEW {name} AS {' UNION ALL BY NAME '.join(selects)}")


# What a pool gave in another project, and an export brought here, has its owner.
_FRESH = "NOT starts_with(coalesce(AllocatedMethodId, ''), 'apportion/pool:')"


def _ask(db: DuckDb, place: int, pools: Pools) -> None:
    """Make `keys_<place>`: what the conditions of the pools say of each text of a charge."""
    asked: dict[str, Condition] = {}
    for no, pool in pools.items():
        asked |= {f"when_{no}": pool.when.charge, f"basis_{no}": pool.basis_when, f"from_{no}": pool.receivers.charge}
    db.run(ENTRIES)
    writer = ConditionWriter(asked_values(db, asked_keys(asked.values())))
    flags = "".join(
        f", {_FRESH if name.startswith('when') else 'true'} AND {writer.write(when)} AS {name}"
        for name, when in asked.items()
    )
    db.run(_KEYS.format(place=place, folded=FOLDED, flags=flags), writer.params)


def _write(db: DuckDb, pools: Pools, parts: Sequence[Part], folder: Path) -> None:
    kinds = {"x_PoolNo": pa.int32(), "rule": pa.string()}
    rules = [(no, f"pool:{pool.id}@{pool.version}") for no, pool in pools.items()]
    db.register("rules", from_rows(kinds, rules))
    snapshots = [(place, part.snapshot_id) for place, part in enumerate(parts, 1)]
    db.register("snapshot_ids", from_rows({"x_PartNo": pa.int32(), "x_SnapshotId": pa.string()}, snapshots))
    db.register("pools_of", from_rows(_POOL_KINDS, [_pool_row(no, pool) for no, pool in pools.items()]))
    statements = {
        "pools": f"SELECT {_cast(tables.POOLS)} FROM pools_of ORDER BY x_PoolNo",
        "cells": f"SELECT {_cast(tables.CELLS)} FROM cells ORDER BY x_CellNo",
        "weights": f"SELECT {_cast(tables.WEIGHTS)} FROM weights"
        " ORDER BY x_CellNo, x_ShareLow, x_ShareHigh, x_ToPoolNo NULLS FIRST, x_ReceiverNo",
        "receivers": f"SELECT {_cast(tables.RECEIVERS)} FROM receivers ORDER BY x_ReceiverNo",
        "taken": f"SELECT {_cast(tables.TAKEN)} FROM taken JOIN snapshot_ids USING (x_PartNo)"
        " ORDER BY x_SnapshotId, x_AttributeNo, x_OwnerNo, x_CellNo",
        "shared": _SHARED,
    }
    for name, sql in statements.items():
        db.copy(sql, folder / f"{name}.parquet")


def _cast(columns: tables.Columns) -> str:
    return ", ".join(f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in columns.items())


_POOL_KINDS = {
    "x_PoolNo": pa.int32(),
    "x_PoolId": pa.string(),
    "x_PoolVersion": pa.string(),
    "x_Stage": pa.int32(),
    "x_Method": pa.string(),
    "x_BasisName": pa.string(),
    "x_Within": pa.list_(pa.string()),
    "x_Time": pa.string(),
    "x_Grain": pa.string(),
    "x_Leftover": pa.string(),
    "x_Reciprocal": pa.bool_(),
}


def _pool_row(no: int, pool: Pool) -> tuple[object, ...]:
    basis = pool.basis or None
    within = list(pool.within)
    words = (pool.stage, pool.method, basis, within, pool.time, pool.grain, pool.leftover, pool.reciprocal)
    return (no, pool.id, pool.version, *words)


def _told(name: str) -> str:
    """SQL for a column of `shared`: the owner is the receiver, known by the policy of the pool."""
    for dimension in DIMENSIONS:
        known = f"r.{COLUMNS[dimension]} <> '{UNALLOCATED}'"
        if name == f"x_{dimension.capitalize()}Evidence":
            return f"CASE WHEN {known} THEN '{Evidence.POLICY}' ELSE '{Evidence.UNALLOCATED}' END"
        if name == f"x_{dimension.capitalize()}RuleId":
            return f"CASE WHEN {known} THEN u.rule ELSE 'none' END"
    if name in tables.RECEIVERS:
        return f"r.{name}"
    return "NULL" if name in ("x_HostTeam", "RegionId") else f"f.{quoted(name)}"


_SHARED = f"""
SELECT {", ".join(f"CAST({_told(name)} AS {kind}) AS {quoted(name)}" for name, kind in tables.SHARED.items())}
FROM flows AS f
JOIN receivers AS r ON r.x_ReceiverNo = f.x_ReceiverNo
JOIN rules AS u ON u.x_PoolNo = f.x_LastPoolNo
ORDER BY f.x_PoolNo, f.x_Path, f.x_CellNos, f.x_ReceiverNo, f.BillingPeriodStart, f.BillingCurrency, f.BillingAccountId,
         f.SubAccountId NULLS FIRST, f.SubAccountName NULLS FIRST, f.ServiceProviderName NULLS FIRST,
         f.ServiceName NULLS FIRST, f.ServiceCategory NULLS FIRST, f.ChargeCategory NULLS FIRST, f.x_OriginTeam,
         f.x_OriginKind NULLS FIRST
"""


def open_sharings(db: DuckDb, store: Store, sharings: Sequence[Part]) -> None:
    """The views `pools`, `cells`, `weights`, `receivers`, `taken` and `shared` of these months, each with `x_Month`.

    Empty where there are none. Raises `DamagedFile` for a file that is not the stored one.
    """
    columns = (tables.POOLS, tables.CELLS, tables.WEIGHTS, tables.RECEIVERS, tables.TAKEN, tables.SHARED)
    for name, kinds in zip(FILES, columns, strict=True):
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(column)}" for column, kind in kinds.items())
        selects = [f"SELECT CAST(NULL AS TIMESTAMP) AS x_Month, {empty} WHERE false"]
        for place, part in enumerate(sharings):
            one = f"{name}_of_month_{place}"
            db.read_parquet(one, [store.checked(part.folder / f"{name}.parquet")])
            selects.append(f"SELECT TIMESTAMP '{part.period.start}' AS x_Month, * FROM {one}")
        view = f"{name}_plain" if name == "shared" else name
        db.run(f"CREATE OR REPLACE TEMP VIEW {view} AS {' UNION ALL BY NAME '.join(selects)}")
    db.run(_SHARED_VIEW)


_SHARED_VIEW = """
CREATE OR REPLACE TEMP VIEW shared AS
SELECT s.*, p.x_PoolId, l.x_PoolId AS x_LastPoolId
FROM shared_plain AS s
JOIN pools AS p ON p.x_Month = s.x_Month AND p.x_PoolNo = s.x_PoolNo
JOIN pools AS l ON l.x_Month = s.x_Month AND l.x_PoolNo = s.x_LastPoolNo
"""
