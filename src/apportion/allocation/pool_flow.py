"""Where the cost of pools goes: rows taken, given on to other pools, and given to owners, exactly.

`flows` holds what pools gave: per cost (its reported columns, whose it was), path of pools with the cell in each, and
owner or pool, the exact piece of every metric.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.allocation.pool_rows import ROW, keys, rows_of, same_row
from apportion.core import focus, tables
from apportion.core.config_pools import CARRIED
from apportion.core.measures import WorkloadKind
from apportion.core.tables import quoted
from apportion.engine.dialect import DUCKDB, compile_sql

if TYPE_CHECKING:
    from apportion.core.config import Pool
    from apportion.engine.duck import DuckDb

REPORTED = (
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
"""What is still known of a cost that pools gave on."""
_COUNTS = ("x_ChargeCount", "x_PieceCount")
_GROUP = (*REPORTED, "x_OriginTeam", "x_OriginKind")
_ORIGIN = {
    "x_OriginTeam": "x_Team",
    "x_OriginKind": f"CASE WHEN x_WorkloadKind = '{WorkloadKind.IDLE}' THEN x_WorkloadKind END",
}
_METRICS = ", ".join(quoted(name) for name in focus.METRICS)

MADE = (
    f"""
CREATE OR REPLACE TEMP TABLE flows (
    {", ".join(f"{name} {'TIMESTAMP' if name == 'BillingPeriodStart' else 'VARCHAR'}" for name in _GROUP)},
    x_PoolNo INTEGER, x_LastPoolNo INTEGER, x_Path VARCHAR, x_CellNos INTEGER[],
    x_ReceiverNo INTEGER, x_ToPoolNo INTEGER, x_ChargeCount BIGINT, x_PieceCount BIGINT,
    {", ".join(f"{quoted(name)} {tables.AMOUNT}" for name in focus.METRICS)}
)
""",
    f"""
CREATE OR REPLACE TEMP TABLE taken (
    x_PartNo INTEGER, x_AttributeNo INTEGER, x_OwnerNo INTEGER, x_PoolNo INTEGER, x_CellNo INTEGER,
    x_ChargeCount BIGINT, x_PieceCount BIGINT, {", ".join(f"{quoted(name)} {tables.AMOUNT}" for name in focus.METRICS)}
)
""",
)

_MINE = """
CREATE OR REPLACE TEMP TABLE mine AS
SELECT r.*, CAST({keys} AS VARCHAR[]) AS own_keys
FROM {rows} AS r
JOIN claims AS c ON {same} AND c.x_PoolNo = $pool
"""
_WANTED = """
CREATE OR REPLACE TEMP TABLE wanted AS
SELECT DISTINCT BillingCurrency AS currency, own_keys AS keys, x_Bucket AS bucket, false AS incoming FROM mine
UNION ALL
SELECT DISTINCT BillingCurrency, {keys}, CAST(NULL AS TIMESTAMP), true FROM flows WHERE x_ToPoolNo = $pool
"""

_CELL = """
JOIN cell_of AS c ON c.x_PoolNo = $pool AND c.incoming = {incoming} AND c.currency = m.BillingCurrency
 AND c.keys = m.own_keys AND c.bucket IS NOT DISTINCT FROM m.x_Bucket
"""
_TAKEN = f"""
INSERT INTO taken
SELECT {", ".join(f"m.{name}" for name in ROW)}, $pool, c.x_CellNo, m.x_ChargeCount, m.x_PieceCount,
       {", ".join(f"m.{quoted(name)}" for name in focus.METRICS)}
FROM mine AS m {_CELL.format(incoming="false")}
"""
_GROUPED = f"""
CREATE OR REPLACE TEMP TABLE grouped AS
SELECT {", ".join(f"m.{name}" for name in REPORTED)},
       {", ".join(f"{sql.replace('x_', 'm.x_')} AS {name}" for name, sql in _ORIGIN.items())},
       CAST($pool AS INTEGER) AS x_PoolNo, $id AS x_Path, [c.x_CellNo] AS x_CellNos,
       {", ".join(f"CAST(SUM(m.{name}) AS BIGINT) AS {name}" for name in _COUNTS)},
       {", ".join(f"SUM(m.{quoted(name)}) AS {quoted(name)}" for name in focus.METRICS)}
FROM mine AS m {_CELL.format(incoming="false")}
GROUP BY ALL
UNION ALL
SELECT {", ".join(f"m.{name}" for name in _GROUP)}, m.x_PoolNo, m.x_Path || ' > ' || $id,
       list_append(m.x_CellNos, c.x_CellNo), {", ".join(f"m.{name}" for name in _COUNTS)},
       {", ".join(f"m.{quoted(name)}" for name in focus.METRICS)}
FROM (SELECT *, {{keys}} AS own_keys, CAST(NULL AS TIMESTAMP) AS x_Bucket FROM flows WHERE x_ToPoolNo = $pool) AS m
{_CELL.format(incoming="true")}
"""

# Most costs of a row are equal, and dividing is dear: a metric that equals the first is not divided again.
_FIRST = "BilledCost"


def _part(name: str) -> str:
    if name == _FIRST:
        return "first_part"
    part = f"PART({name}_quanta, low, high, whole)"
    return f"CASE WHEN {name}_quanta = {_FIRST}_quanta THEN first_part WHEN {name}_quanta IS NOT NULL THEN {part} END"


_GIVEN = f"""
WITH divided AS (
    SELECT * EXCLUDE ({_METRICS}), {", ".join(f"QUANTA({quoted(name)}) AS {name}_quanta" for name in focus.METRICS)}
    FROM grouped
),
pieces AS (
    SELECT d.*, w.x_ReceiverNo, w.x_ToPoolNo, w.x_ShareLow AS low, w.x_ShareHigh AS high, k.x_ShareWhole AS whole,
           PART(d.{_FIRST}_quanta, w.x_ShareLow, w.x_ShareHigh, k.x_ShareWhole) AS first_part
    FROM divided AS d
    JOIN cells AS k ON k.x_CellNo = d.x_CellNos[-1]
    JOIN weights AS w ON w.x_CellNo = k.x_CellNo
    WHERE w.x_ShareHigh > w.x_ShareLow
)
SELECT {", ".join(_GROUP)}, x_PoolNo, CAST($no AS INTEGER) AS x_LastPoolNo, x_Path, x_CellNos, x_ReceiverNo, x_ToPoolNo,
       CASE WHEN low = 0 THEN x_ChargeCount ELSE 0 END AS x_ChargeCount, x_PieceCount,
       {", ".join(f"AMOUNT({_part(name)}) AS {quoted(name)}" for name in focus.METRICS)}
FROM pieces
"""


# A row is given whole or stays whole: where one of its times finds nobody, none of it is taken.
_WHOLE_ROWS = f"""
DELETE FROM mine WHERE EXISTS (
    SELECT 1 FROM mine AS m
    ANTI JOIN cell_of AS c ON c.x_PoolNo = $pool AND NOT c.incoming AND c.currency = m.BillingCurrency
     AND c.keys = m.own_keys AND c.bucket IS NOT DISTINCT FROM m.x_Bucket
    WHERE {same_row("m", "mine")}
)
"""


def ask_cells(db: DuckDb, no: int, pool: Pool) -> None:
    """Make `wanted`: what the rows that the pool matched and what other pools gave ask for."""
    _match(db, no, pool)
    db.run(_WANTED.format(keys=_carried_keys(pool)), {"pool": no})


def give(db: DuckDb, no: int, pool: Pool) -> None:
    """Add to `taken` and `flows` what the pool takes and gives, by the cells it has found (`cell_of`)."""
    _match(db, no, pool)
    if pool.time != "month":
        db.run(_WHOLE_ROWS, {"pool": no})
    db.run(_TAKEN, {"pool": no})
    db.run(_GROUPED.format(keys=_carried_keys(pool)), {"pool": no, "id": pool.id})
    db.run(f"INSERT INTO flows {compile_sql(_GIVEN, DUCKDB)}", {"no": no})


def _match(db: DuckDb, no: int, pool: Pool) -> None:
    """Make `mine`, the rows that the pool matched."""
    db.run(_MINE.format(keys=keys(pool), rows=rows_of(pool), same=same_row("c", "r")), {"pool": no})


def _carried_keys(pool: Pool) -> str:
    """The values of `within` of a cost that another pool gave; a pool that divides by more is never given to."""
    return keys(pool) if set(pool.within) <= set(CARRIED) else "CAST([] AS VARCHAR[])"
