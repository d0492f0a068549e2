"""Cells and weights: within what each cost of a pool is divided, and by which intervals.

A cost asks for a cell of its currency, its values of the pool's `within` and its time. Where nobody weighs anything
there, the whole month is asked, then wider cells, as the pool's `leftover` says. The answer is a number of `cells`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.allocation.pool_basis import method_of
from apportion.allocation.weighing import Basis, Known, weights_of
from apportion.core.arrow import from_rows
from apportion.core.money import BINARY_WHOLE
from apportion.errors import TooManyReceivers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from apportion.allocation.weighing import Method
    from apportion.core.config import Pool
    from apportion.engine.duck import DuckDb

_LARGEST = 1 << 60

MADE = (
    """
CREATE OR REPLACE TEMP TABLE cells (
    x_PoolNo INTEGER, x_CellNo INTEGER, BillingCurrency VARCHAR, x_Keys VARCHAR[], x_Bucket TIMESTAMP,
    x_TotalBasis DECIMAL(38,0), x_TotalWeight DECIMAL(38,0), x_ShareWhole BIGINT, x_ReceiverCount BIGINT
)
""",
    """
CREATE OR REPLACE TEMP TABLE weights (
    x_CellNo INTEGER, x_ReceiverNo INTEGER, x_ToPoolNo INTEGER, x_Basis DECIMAL(38,0), x_Weight DECIMAL(38,0),
    x_ShareLow BIGINT, x_ShareHigh BIGINT
)
""",
    """
CREATE OR REPLACE TEMP TABLE cell_of (
    x_PoolNo INTEGER, currency VARCHAR, keys VARCHAR[], bucket TIMESTAMP, incoming BOOLEAN, x_CellNo INTEGER
)
""",
)

# Numbers are given in the order of what makes a cell, so that they do not depend on the order of rows.
_ASKED = """
CREATE OR REPLACE TEMP TABLE asked AS
SELECT w.*, CAST($base + row_number() OVER (ORDER BY currency, keys, bucket NULLS FIRST) AS INTEGER) AS x_CellNo
FROM (
    SELECT DISTINCT currency, keys[1:$length] AS keys, CASE WHEN $timed THEN bucket END AS bucket FROM wanted
    WHERE NOT $timed OR bucket IS NOT NULL
) AS w
"""

_OFFERED = """
CREATE OR REPLACE TEMP TABLE offered AS
WITH by_hour AS (
    SELECT a.x_CellNo, k.x_ReceiverNo, k.x_ToPoolNo, k.hour, {inner}(k.basis) AS basis
    FROM asked AS a
    JOIN counted AS k ON k.currency = a.currency AND k.keys[1:$length] = a.keys {times}
    WHERE k.x_PoolNo = $pool
    GROUP BY ALL
)
SELECT x_CellNo, x_ReceiverNo, x_ToPoolNo, {outer}(basis) AS basis FROM by_hour GROUP BY ALL
UNION ALL
SELECT a.x_CellNo, e.x_ReceiverNo, e.x_ToPoolNo, e.basis FROM asked AS a
JOIN everywhere AS e ON e.currency = a.currency
WHERE e.x_PoolNo = $pool
"""
_PROFILES = """
SELECT a.x_CellNo, k.x_ReceiverNo, k.x_ToPoolNo, epoch_us(k.hour), CAST(SUM(k.basis) AS DECIMAL(38,0))
FROM asked AS a
JOIN counted AS k ON k.currency = a.currency AND k.keys[1:$length] = a.keys {times}
WHERE k.x_PoolNo = $pool
GROUP BY ALL
"""

_EVEN = """
CREATE OR REPLACE TEMP TABLE offered AS
SELECT a.x_CellNo, e.x_ReceiverNo, CAST(NULL AS INTEGER) AS x_ToPoolNo, CAST(1 AS HUGEINT) AS basis
FROM asked AS a CROSS JOIN taking_part AS e
WHERE e.x_PoolNo = $pool
"""
_OWNER = """
CREATE OR REPLACE TEMP TABLE offered AS
SELECT a.x_CellNo, n.x_ReceiverNo, CAST(NULL AS INTEGER) AS x_ToPoolNo, CAST(1 AS HUGEINT) AS basis
FROM asked AS a CROSS JOIN last_resort AS o
JOIN receivers AS n ON {same}
WHERE o.x_PoolNo = $pool
"""

_WEIGHED_BY_BASIS = """
CREATE OR REPLACE TEMP TABLE weighed AS SELECT *, greatest(basis, 0) AS weight FROM offered
"""
_WEIGHED_BY_METHOD = """
CREATE OR REPLACE TEMP TABLE weighed AS
SELECT o.*, w.weight FROM offered AS o
JOIN method_weights AS w ON w.x_CellNo = o.x_CellNo AND w.x_ReceiverNo IS NOT DISTINCT FROM o.x_ReceiverNo
 AND w.x_ToPoolNo IS NOT DISTINCT FROM o.x_ToPoolNo
"""

# Round figures have zeros at the end in quanta: without them the weights are in the same ratios, and mostly small
# enough to be kept as they are. A total that is still beyond 2^60 is scaled down: what is then too small to weigh has
# less than 10^-18 of the whole.
_ZEROS = "length(CAST(weight AS VARCHAR)) - length(rtrim(CAST(weight AS VARCHAR), '0'))"
_TENS = ", ".join(f"({zeros}, CAST({10**zeros} AS HUGEINT))" for zeros in range(39))
_PLACED = f"""
CREATE OR REPLACE TEMP TABLE placed AS
WITH summed AS (
    SELECT *, SUM(weight) OVER (PARTITION BY x_CellNo) AS total,
           min(CASE WHEN weight > 0 THEN {_ZEROS} END) OVER (PARTITION BY x_CellNo) AS zeros
    FROM weighed
),
rounded AS (
    SELECT s.*, s.weight // t.ten AS part, s.total // t.ten AS parts_of
    FROM summed AS s
    JOIN (SELECT * FROM (VALUES {_TENS}) AS t(zeros, ten)) AS t ON t.zeros = s.zeros
),
scaled AS (
    SELECT *, CAST(CASE WHEN parts_of > {_LARGEST} THEN part // (parts_of // {_LARGEST} + 1) ELSE part END AS BIGINT)
              AS small
    FROM rounded
),
added AS (
    SELECT *, SUM(small) OVER (PARTITION BY x_CellNo) AS parts,
           SUM(small) OVER (PARTITION BY x_CellNo ORDER BY coalesce(x_ToPoolNo, 0), x_ReceiverNo
                            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS upto
    FROM scaled
)
SELECT x_CellNo, x_ReceiverNo, x_ToPoolNo, basis, weight, total,
       CAST(CASE WHEN parts <= {BINARY_WHOLE} THEN parts ELSE {BINARY_WHOLE} END AS BIGINT) AS whole,
       CAST(CASE WHEN parts <= {BINARY_WHOLE} THEN upto - small
                 ELSE ((upto - small) << {BINARY_WHOLE.bit_length() - 1}) // parts END AS BIGINT) AS low,
       CAST(CASE WHEN parts <= {BINARY_WHOLE} THEN upto
                 ELSE (upto << {BINARY_WHOLE.bit_length() - 1}) // parts END AS BIGINT) AS high
FROM added
"""
_KEPT = (
    """
INSERT INTO cells
SELECT $pool, a.x_CellNo, a.currency, a.keys, a.bucket,
       CASE WHEN $counts THEN SUM(greatest(p.basis, 0)) END, max(p.total), max(p.whole),
       count(*) FILTER (WHERE p.weight > 0)
FROM asked AS a JOIN placed AS p ON p.x_CellNo = a.x_CellNo
GROUP BY ALL ORDER BY a.x_CellNo
""",
    """
INSERT INTO weights
SELECT x_CellNo, x_ReceiverNo, x_ToPoolNo, CASE WHEN $counts THEN basis END, weight, low, high
FROM placed ORDER BY x_CellNo, low, high, coalesce(x_ToPoolNo, 0), x_ReceiverNo
""",
    """
INSERT INTO cell_of
SELECT $pool, w.currency, w.keys, w.bucket, w.incoming, a.x_CellNo
FROM wanted AS w
JOIN asked AS a ON a.currency = w.currency AND a.keys = w.keys[1:$length]
 AND a.bucket IS NOT DISTINCT FROM CASE WHEN $timed THEN w.bucket END
WHERE a.x_CellNo IN (SELECT x_CellNo FROM placed)
""",
    """
DELETE FROM wanted WHERE EXISTS (
    SELECT 1 FROM cell_of AS c
    WHERE c.x_PoolNo = $pool AND c.currency = wanted.currency AND c.keys = wanted.keys
      AND c.bucket IS NOT DISTINCT FROM wanted.bucket AND c.incoming = wanted.incoming
)
""",
)


@dataclass(frozen=True, slots=True)
class _Level:
    """How wide a cell is asked: the first `length` values of `within`, by time or not; `resort`: `even` or `owner`."""

    length: int
    timed: bool
    resort: str = ""


def find_cells(db: DuckDb, no: int, pool: Pool, *, same: str) -> None:
    """Give each row of `wanted` (currency, keys, bucket, incoming) of the pool a cell in `cell_of`, where one has it.

    Adds to `cells` and `weights`. What is left in `wanted` nobody takes. `same`: SQL that two receivers `n` and `o` are
    the same.
    """
    for level in _levels(pool):
        _ask(db, no, pool, level, same=same)
    if pool.leftover in ("keep", "even", "owner"):
        # what another pool gave is not left over: it finds a wider cell
        db.run("CREATE OR REPLACE TEMP TABLE own_wanted AS SELECT * FROM wanted WHERE NOT incoming")
        db.run("DELETE FROM wanted WHERE NOT incoming")
        for length in range(len(pool.within) - 1, -1, -1):
            _ask(db, no, pool, _Level(length, timed=False), same=same)
        db.run("INSERT INTO wanted SELECT * FROM own_wanted")
    if pool.leftover in ("even", "owner"):
        _ask(db, no, pool, _Level(0, timed=False, resort=pool.leftover), same=same)
    elif db.rows("SELECT 1 FROM wanted WHERE incoming LIMIT 1"):
        # it came because somebody had the basis, and it cannot go back: the method or what others gave left nobody
        db.run("DELETE FROM wanted WHERE NOT incoming")
        _ask(db, no, pool, _Level(0, timed=False, resort="even"), same=same)


def _levels(pool: Pool) -> Iterator[_Level]:
    if pool.time != "month":
        yield _Level(len(pool.within), timed=True)
    yield _Level(len(pool.within), timed=False)
    if pool.leftover == "wider":
        yield from (_Level(length, timed=False) for length in range(len(pool.within) - 1, -1, -1))


def _ask(db: DuckDb, no: int, pool: Pool, level: _Level, *, same: str) -> None:
    if not db.rows("SELECT 1 FROM wanted LIMIT 1"):
        return
    method = method_of(pool)
    ((base,),) = db.rows("SELECT coalesce(max(x_CellNo), 0) FROM cells")
    length, timed = {"length": level.length}, {"timed": level.timed}
    db.run(_ASKED, {**length, **timed, "base": base})
    if level.resort:
        db.run(_EVEN if level.resort == "even" else _OWNER.format(same=same), {"pool": no})
    else:
        _offer(db, no, pool, method, level)
    counts = method.basis is not Basis.NOTHING and not level.resort
    if method.weigh is None or level.resort:
        db.run(_WEIGHED_BY_BASIS)
    else:
        _weigh(db, no, pool, method, level)
    db.run(_PLACED)
    values: dict[str, object] = {"pool": no, **length, **timed, "counts": counts}
    for statement in _KEPT:
        db.run(statement, {name: value for name, value in values.items() if f"${name}" in statement})


def _times(pool: Pool, level: _Level) -> str:
    if level.timed:
        return "AND k.bucket = a.bucket"
    # the lines of a table are there once for the month and once for each time in it
    return "AND k.bucket IS NULL" if pool.table_rows else ""


def _offer(db: DuckDb, no: int, pool: Pool, method: Method, level: _Level) -> None:
    nothing = method.basis is Basis.NOTHING
    inner, outer = ("max", "max") if nothing else ("SUM", "max" if method.basis is Basis.PEAK else "SUM")
    sql = _OFFERED.format(inner=inner, outer=outer, times=_times(pool, level))
    db.run(sql, {"pool": no, "length": level.length})


def _weigh(db: DuckDb, no: int, pool: Pool, method: Method, level: _Level) -> None:
    """Make `weighed` by the method's own code, cell by cell."""
    found: dict[int, list[tuple[int | None, int | None, int]]] = defaultdict(list)
    order = (
        "SELECT x_CellNo, x_ReceiverNo, x_ToPoolNo, CAST(greatest(basis, 0) AS DECIMAL(38,0)) FROM offered ORDER BY ALL"
    )
    for cell, receiver, to_pool, basis in db.rows(order):
        found[cell].append((receiver, to_pool, int(basis)))
    profiles = _profiles(db, no, pool, level) if method.basis is Basis.PROFILE else {}
    rows: list[tuple[object, ...]] = []
    for cell, offered in found.items():
        if method.most is not None and len(offered) > method.most:
            raise TooManyReceivers(pool.id, method.name, len(offered), method.most)
        of_cell = profiles.get(cell, {})
        hours = sorted({hour for profile in of_cell.values() for hour in profile})
        by_hour = [[of_cell.get((r, p), {}).get(hour, 0) for hour in hours] for r, p, _ in offered]
        known = Known([basis for _, _, basis in offered], by_hour if profiles else (), pool.tiers)
        weights = _within_bounds(weights_of(method, known, where=pool.id))
        rows += [(cell, r, p, weight) for (r, p, _), weight in zip(offered, weights, strict=True)]
    kinds = {"x_CellNo": pa.int32(), "x_ReceiverNo": pa.int32(), "x_ToPoolNo": pa.int32(), "weight": pa.int64()}
    db.register("method_weights", from_rows(kinds, rows))
    db.run(_WEIGHED_BY_METHOD)


def _profiles(
    db: DuckDb, no: int, pool: Pool, level: _Level
) -> dict[int, dict[tuple[int | None, int | None], dict[int, int]]]:
    found: dict[int, dict[tuple[int | None, int | None], dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    rows: list[tuple[int, int | None, int | None, int, Decimal]] = db.rows(
        _PROFILES.format(times=_times(pool, level)), {"pool": no, "length": level.length}
    )
    for cell, receiver, to_pool, hour, basis in rows:
        found[cell][receiver, to_pool][hour] = max(int(basis), 0)
    return found


def _within_bounds(weights: Sequence[int]) -> list[int]:
    """The weights, scaled down together where their total is beyond 2^60."""
    divisor = sum(weights) // _LARGEST + 1
    return [weight // divisor for weight in weights]
