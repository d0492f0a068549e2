"""Shared cost of one month: pools take rows and give their cost to owners, stage by stage.

The session holds the views of `pool_rows` and `usage_rows` (what workloads used, with their owners); `share` makes
`pools`, `cells`, `weights`, `receivers`, `taken` and `flows`. The same rows in any order give the same results.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.allocation import pool_cells, pool_flow
from apportion.allocation.pool_basis import count, method_of
from apportion.allocation.pool_cells import find_cells
from apportion.allocation.pool_flow import ask_cells, give
from apportion.allocation.pool_rows import RECEIVER, ROW, claim, keys, receiver
from apportion.allocation.reciprocal import ClosedCircle, final, intervals
from apportion.allocation.weighing import Basis
from apportion.core import focus
from apportion.core.arrow import from_rows
from apportion.core.config_pools import cycle_of
from apportion.core.tables import quoted
from apportion.engine.dialect import DUCKDB, compile_sql
from apportion.errors import NotConserved, OnlyEachOther

if TYPE_CHECKING:
    from apportion.allocation.pool_rows import Pools
    from apportion.core.config import Pool
    from apportion.engine.duck import DuckDb

POOLING_VERSION = "pools-1"
"""Changes whenever the same rows and pools would give other amounts: part of the id of every stored result."""

_SAME = " AND ".join(f"n.{name} IS NOT DISTINCT FROM o.{name}" for name in RECEIVER)


def share(db: DuckDb, pools: Pools) -> None:
    """Make the tables of the module's docstring; raises `PoolsOverlap`, `BadWeights`, `NotConserved` and others."""
    for statement in (*pool_cells.MADE, *pool_flow.MADE):
        db.run(statement)
    claim(db, pools)
    count(db, pools)
    by_id = {pool.id: pool for pool in pools.values()}
    done: set[int] = set()
    for no, pool in pools.items():
        if no in done:
            continue
        circle = _circle(pools, by_id, no, pool)
        for member in circle:
            _prepare(db, member, pools[member], pools)
        if len(circle) > 1 or pool.id in {each.pool for each in pool.to_pools}:
            _solve(db, pools, circle)
        for member in circle:
            give(db, member, pools[member])
        done |= set(circle)
    _require_conserved(db, pools)


def _circle(pools: Pools, by_id: dict[str, Pool], no: int, pool: Pool) -> list[int]:
    """The pools that feed each other together with this one, itself among them."""
    if not pool.reciprocal:
        return [no]
    mine = set(cycle_of(by_id, pool.id))
    for other in pools.values():
        if other.id not in mine and _reaches(by_id, pool.id, other.id) and _reaches(by_id, other.id, pool.id):
            mine.add(other.id)
    return [place for place, each in pools.items() if each.id in mine | {pool.id}]


def _reaches(by_id: dict[str, Pool], start: str, goal: str) -> bool:
    ways, seen = [start], set()
    while ways:
        for share_of in by_id[ways.pop()].to_pools:
            if share_of.pool == goal:
                return True
            if share_of.pool not in seen:
                seen.add(share_of.pool)
                ways.append(share_of.pool)
    return False


_SHARED_BASIS = """
INSERT INTO counted
SELECT {no}, f.currency, f.keys, NULL, NULL, n.x_ReceiverNo, NULL, f.basis
FROM (
    SELECT BillingCurrency AS currency, {keys} AS keys, {receiver}, QUANTA(SUM({metric})) AS basis
    FROM (
        SELECT * EXCLUDE (x_ReceiverNo) FROM flows AS f JOIN receivers AS r ON r.x_ReceiverNo = f.x_ReceiverNo
        WHERE f.x_LastPoolNo IN (SELECT unnest($earlier))
    )
    GROUP BY ALL
) AS f
JOIN receivers AS n ON {same}
SEMI JOIN counted AS k ON k.x_PoolNo = {no} AND k.x_ReceiverNo = n.x_ReceiverNo
"""


def _prepare(db: DuckDb, no: int, pool: Pool, pools: Pools) -> None:
    if pool.with_shared and method_of(pool).basis is Basis.COST:
        same = _SAME.replace("o.", "f.")
        sql = _SHARED_BASIS.format(
            no=no, keys=keys(pool), receiver=receiver(pool), metric=quoted(pool.basis), same=same
        )
        earlier = [place for place, each in pools.items() if each.stage < pool.stage]
        db.run(compile_sql(sql, DUCKDB), {"earlier": earlier})
    ask_cells(db, no, pool)
    if pool.reciprocal:  # it may get something in each currency, and its equations need its weights there
        db.run(f"INSERT INTO wanted {_EACH_CURRENCY}")
    find_cells(db, no, pool, same=_SAME)


_EACH_CURRENCY = """
SELECT currency, CAST([] AS VARCHAR[]), CAST(NULL AS TIMESTAMP), true FROM currencies EXCEPT SELECT * FROM wanted
"""
_WEIGHTS = """
SELECT c.x_PoolNo, c.BillingCurrency, c.x_CellNo, w.x_ReceiverNo, w.x_ToPoolNo, w.x_ShareHigh - w.x_ShareLow,
       c.x_ShareWhole
FROM cells AS c JOIN weights AS w ON w.x_CellNo = c.x_CellNo
WHERE c.x_PoolNo IN (SELECT unnest($circle)) AND w.x_ShareHigh > w.x_ShareLow
ORDER BY ALL
"""
_SOLVED = (
    """
CREATE OR REPLACE TEMP TABLE weights AS
SELECT coalesce(w.x_CellNo, s.x_CellNo) AS x_CellNo, coalesce(w.x_ReceiverNo, s.x_ReceiverNo) AS x_ReceiverNo,
       coalesce(w.x_ToPoolNo, s.x_ToPoolNo) AS x_ToPoolNo, w.x_Basis,
       coalesce(w.x_Weight, 0) AS x_Weight,
       CASE WHEN s.x_CellNo IS NULL AND o.x_CellNo IS NOT NULL THEN 0 ELSE coalesce(s.low, w.x_ShareLow) END
       AS x_ShareLow,
       CASE WHEN s.x_CellNo IS NULL AND o.x_CellNo IS NOT NULL THEN 0 ELSE coalesce(s.high, w.x_ShareHigh) END
       AS x_ShareHigh
FROM weights AS w
FULL JOIN solved AS s ON s.x_CellNo = w.x_CellNo AND s.x_ReceiverNo IS NOT DISTINCT FROM w.x_ReceiverNo
 AND s.x_ToPoolNo IS NOT DISTINCT FROM w.x_ToPoolNo
LEFT JOIN (SELECT DISTINCT x_CellNo FROM solved) AS o ON o.x_CellNo = w.x_CellNo
""",
    """
UPDATE cells SET x_ShareWhole = s.whole
FROM (SELECT DISTINCT x_CellNo, whole FROM solved) AS s WHERE s.x_CellNo = cells.x_CellNo
""",
)


def _solve(db: DuckDb, pools: Pools, circle: list[int]) -> None:
    """Make each pool of a circle give straight to those outside: by what solves their simultaneous equations."""
    found: dict[str, dict[int, dict[tuple[int | None, int | None], Fraction]]] = {}
    cells: dict[tuple[str, int], int] = {}
    for no, currency, cell, receiver_no, to_pool, size, whole in db.rows(_WEIGHTS, {"circle": circle}):
        found.setdefault(currency, {}).setdefault(no, {})[receiver_no, to_pool] = Fraction(size, whole)
        cells[currency, no] = cell
    rows: list[tuple[object, ...]] = []
    for currency, of_pool in found.items():
        between = {no: {p: f for (_, p), f in to.items() if p in of_pool} for no, to in of_pool.items()}
        outside = {no: {key: f for key, f in to.items() if key[1] not in of_pool} for no, to in of_pool.items()}
        try:
            solved = final(between, outside)
        except ClosedCircle as error:
            raise OnlyEachOther([pools[no].id for no in circle], currency) from error
        for no, given in solved.items():
            order = sorted(given, key=lambda key: (key[1] or 0, key[0] or 0))
            lows, highs, whole = intervals([given[key] for key in order])
            rows += [
                (cells[currency, no], *key, low, high, whole) for key, low, high in zip(order, lows, highs, strict=True)
            ]
    kinds = {name: pa.int32() for name in ("x_CellNo", "x_ReceiverNo", "x_ToPoolNo")}
    db.register("solved", from_rows({**kinds, **dict.fromkeys(("low", "high", "whole"), pa.int64())}, rows))
    for statement in _SOLVED:
        db.run(statement)


def _require_conserved(db: DuckDb, pools: Pools) -> None:
    """Raise `NotConserved` unless each row went to one pool, and owners got what it took to the last digit."""
    row = ", ".join(ROW)
    if db.rows(f"SELECT 1 FROM taken GROUP BY {row} HAVING count(DISTINCT x_PoolNo) > 1 LIMIT 1"):
        raise NotConserved("two pools took one cost")
    sums = ", ".join(f"SUM({quoted(name)})" for name in focus.METRICS)
    came = "taken AS t JOIN cells AS c ON c.x_CellNo = t.x_CellNo"
    took = db.rows(f"SELECT t.x_PoolNo, c.BillingCurrency, {sums} FROM {came} GROUP BY ALL ORDER BY ALL")
    went = "flows WHERE x_ToPoolNo IS NULL"
    gave = db.rows(f"SELECT x_PoolNo, BillingCurrency, {sums} FROM {went} GROUP BY ALL ORDER BY ALL")
    for before, after in zip(took, gave, strict=False):
        if before != after:
            raise NotConserved(f"pool {pools[before[0]].id}: {before[2:]} came and {after[2:]} went in {before[1]}")
    if len(took) != len(gave):
        raise NotConserved("a pool took cost that nobody got")
