"""What is counted of each receiver, pool by pool: `receivers`, `counted`, `everywhere` and `taking_part`.

`counted` has a row per pool, currency, values of `within`, time and receiver (or pool that takes part); `everywhere`
those that take part in each cell of a currency alike; `taking_part` the owners of pools that may divide evenly. A basis
is a whole number: quanta of cost, billionths of a measure, or parts.
"""

from __future__ import annotations

from datetime import datetime, time
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.allocation.methods import SOCKET
from apportion.allocation.pool_rows import RECEIVER, Choices, keys, owner_row, receiver, rows_of, same_row, usage_keys
from apportion.allocation.weighing import Basis
from apportion.core.arrow import from_rows
from apportion.core.tables import quoted
from apportion.engine.dialect import DUCKDB, compile_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apportion.allocation.pool_rows import Pools
    from apportion.allocation.weighing import Method
    from apportion.core.config import Pool
    from apportion.engine.duck import DuckDb

_RECEIVER = ", ".join(RECEIVER)
_KINDS = {"x_PoolNo": pa.int32(), **dict.fromkeys(RECEIVER, pa.string()), "basis": pa.int64()}
_AT = {
    "x_PoolNo": pa.int32(),
    "bucket": pa.timestamp("us"),
    **dict.fromkeys(RECEIVER, pa.string()),
    "basis": pa.int64(),
}

_MADE = f"""
CREATE OR REPLACE TEMP TABLE found (
    x_PoolNo INTEGER, currency VARCHAR, keys VARCHAR[], bucket TIMESTAMP, hour TIMESTAMP,
    {", ".join(f"{name} VARCHAR" for name in RECEIVER)}, basis HUGEINT
)
"""
_PRESENT = f"""
CREATE OR REPLACE TEMP TABLE present (x_PoolNo INTEGER, {", ".join(f"{name} VARCHAR" for name in RECEIVER)})
"""
_CURRENCIES = """
CREATE OR REPLACE TEMP TABLE currencies AS
SELECT DISTINCT BillingCurrency AS currency FROM before_rows
"""
# What pools take, and what they would have taken, is nobody's own cost.
_OPEN = """
SELECT {{select}} FROM {{rows}} AS r
ANTI JOIN claims AS c ON {same}
WHERE {{holds}}
GROUP BY ALL
""".format(same=same_row("c", "r"))

_RECEIVERS = f"""
CREATE OR REPLACE TEMP TABLE receivers AS
WITH distinct_receivers AS (
    SELECT DISTINCT {_RECEIVER} FROM (
        SELECT {_RECEIVER} FROM found UNION ALL SELECT {_RECEIVER} FROM named
        UNION ALL SELECT {_RECEIVER} FROM dated UNION ALL SELECT {_RECEIVER} FROM last_resort
        UNION ALL SELECT {_RECEIVER} FROM present
    )
)
SELECT CAST(row_number() OVER (ORDER BY {", ".join(f"{name} NULLS FIRST" for name in RECEIVER)}) AS INTEGER)
       AS x_ReceiverNo, {_RECEIVER}
FROM distinct_receivers
"""
_SAME = " AND ".join(f"n.{name} IS NOT DISTINCT FROM f.{name}" for name in RECEIVER)
_COUNTED = f"""
CREATE OR REPLACE TEMP TABLE counted AS
SELECT f.x_PoolNo, f.currency, f.keys, f.bucket, f.hour, n.x_ReceiverNo, CAST(NULL AS INTEGER) AS x_ToPoolNo, f.basis
FROM found AS f
JOIN receivers AS n ON {_SAME}
UNION ALL
SELECT f.x_PoolNo, y.currency, CAST([] AS VARCHAR[]), f.bucket, NULL, n.x_ReceiverNo, NULL, f.basis
FROM dated AS f
JOIN receivers AS n ON {_SAME}
CROSS JOIN currencies AS y
"""
_EVERYWHERE = f"""
CREATE OR REPLACE TEMP TABLE everywhere AS
SELECT f.x_PoolNo, y.currency, n.x_ReceiverNo, CAST(NULL AS INTEGER) AS x_ToPoolNo, CAST(f.basis AS HUGEINT) AS basis
FROM named AS f
JOIN receivers AS n ON {_SAME}
CROSS JOIN currencies AS y
"""
_TAKING_PART = f"""
CREATE OR REPLACE TEMP TABLE taking_part AS
SELECT f.x_PoolNo, n.x_ReceiverNo FROM present AS f JOIN receivers AS n ON {_SAME}
UNION
SELECT x_PoolNo, x_ReceiverNo FROM counted
"""


def method_of(pool: Pool) -> Method:
    """The method that weighs the pool's receivers; raises `UnknownName`."""
    return _method(pool.method)


@cache
def _method(name: str) -> Method:
    method: Method = SOCKET.load(name)  # looks through all installed packages
    return method


def count(db: DuckDb, pools: Pools) -> None:
    """Make `receivers`, `counted` and `everywhere`, of owners and of pools that take part in others."""
    for statement in (_MADE, _PRESENT, _CURRENCIES):
        db.run(statement)
    fed = {share.pool for pool in pools.values() for share in pool.to_pools}
    for no, pool in pools.items():
        _count(db, no, pool, fed=pool.id in fed)
    named = [(no, *owner_row(s.owner), s.weight) for no, pool in pools.items() for s in pool.split]
    db.register("named", from_rows(_KINDS, named))
    db.register("dated", from_rows(_AT, [row for no, pool in pools.items() for row in _dated(db, no, pool)]))
    owners = [(no, *owner_row(pool.leftover_owner), 1) for no, pool in pools.items() if pool.leftover == "owner"]
    db.register("last_resort", from_rows(_KINDS, owners))
    for statement in (_RECEIVERS, _COUNTED, _EVERYWHERE, _TAKING_PART, "DROP TABLE found"):
        db.run(statement)
    for no in pools:
        _count_pools(db, no, pools)
    _leave_out_dead_ends(db, pools)


def _count(db: DuckDb, no: int, pool: Pool, *, fed: bool) -> None:
    """What is counted of owners; `fed`: other pools give to this one, and it must be able to give on."""
    basis = method_of(pool).basis
    if pool.split or basis is Basis.STATED:
        return
    choices = Choices("from")
    holds = choices.takes_part(pool)
    if fed or pool.leftover == "even":
        rows = _OPEN.format(select=f"{no}, {receiver(pool)}", rows="before_rows", holds=f"from_{no} AND {holds}")
        db.run(f"INSERT INTO present {rows}", choices.params)
    if basis in (Basis.NOTHING, Basis.COST):
        cost = f"QUANTA(SUM({quoted(pool.basis)}) FILTER (WHERE basis_{no}))" if basis is Basis.COST else "1"
        currency = "BillingCurrency" if basis is Basis.COST else "NULL"
        select = (
            f"{no}, {currency} AS currency, {keys(pool)} AS keys, x_Bucket, NULL, {receiver(pool)}, {cost} AS basis"
        )
        sql = _OPEN.format(select=select, rows=rows_of(pool), holds=f"from_{no} AND {holds}")
    else:
        sql = _used(no, pool, basis, holds)
    if basis is not Basis.COST:
        sql = f"SELECT u.* REPLACE (y.currency AS currency) FROM ({sql}) AS u CROSS JOIN currencies AS y"
    if not pool.with_shared:  # else who has nothing of its own may have what earlier pools gave
        sql = f"SELECT * FROM ({sql}) WHERE basis <> 0"
    db.run(f"INSERT INTO found {compile_sql(sql, DUCKDB)}", choices.params)


def _used(no: int, pool: Pool, basis: Basis, holds: str) -> str:
    hour = "x_Hour" if basis in (Basis.PEAK, Basis.PROFILE) else "NULL"
    bucket = "NULL" if pool.time == "month" else f"date_trunc('{pool.time}', x_Hour)"
    return f"""
SELECT {no}, NULL AS currency, {usage_keys(pool)} AS keys, {bucket} AS bucket, {hour} AS hour, {receiver(pool)},
       SUM(quantity) AS basis
FROM usage_rows WHERE x_Measure = '{pool.basis}' AND {holds}
GROUP BY ALL"""


_BUCKETS = """
SELECT DISTINCT x_Bucket FROM {rows} AS r JOIN claims AS c ON {same} WHERE c.x_PoolNo = {no} ORDER BY ALL
"""


def _dated(db: DuckDb, no: int, pool: Pool) -> Iterator[tuple[object, ...]]:
    """The lines of a pool's table at the times at which they count: those within a time, and those that cover it."""
    if not pool.table_rows:
        return
    ((first, last),) = db.rows("SELECT min(BillingPeriodStart), max(BillingPeriodStart) FROM before_rows")
    found = db.rows(_BUCKETS.format(rows=rows_of(pool), same=same_row("c", "r"), no=no))
    for bucket in (None, *(bucket for (bucket,) in found if bucket)):
        at: datetime = bucket or first
        step = pool.time if bucket else "month"
        ((end,),) = db.rows(f"SELECT $at + INTERVAL 1 {step}", {"at": at if bucket else last})
        for row in pool.table_rows:
            since = at if row.since is None else datetime.combine(row.since, time.min)
            until = end if row.until is None else datetime.combine(row.until, time.min)
            if (at <= since and until <= end) or (since <= at and end <= until):
                yield (no, bucket, *owner_row(row.owner), row.weight)


_WEIGHING = """
SELECT DISTINCT x_PoolNo, currency, x_ToPoolNo FROM (
    SELECT x_PoolNo, currency, x_ReceiverNo, x_ToPoolNo, SUM(basis) AS basis FROM counted GROUP BY ALL
    UNION ALL SELECT x_PoolNo, currency, x_ReceiverNo, x_ToPoolNo, basis FROM everywhere
) WHERE basis > 0
UNION SELECT o.x_PoolNo, y.currency, NULL FROM last_resort AS o CROSS JOIN currencies AS y
UNION SELECT t.x_PoolNo, y.currency, NULL FROM taking_part AS t CROSS JOIN currencies AS y WHERE t.x_PoolNo IN (
    SELECT unnest($even)
)
"""


def _leave_out_dead_ends(db: DuckDb, pools: Pools) -> None:
    """No pool takes part, in a currency, that could not give on what it gets: to an owner, or by pools to one."""
    even = [no for no, pool in pools.items() if pool.leftover == "even"]
    weighing = db.rows(_WEIGHING, {"even": even})
    able = {(no, currency) for no, currency, to in weighing if to is None}
    while more := {(no, currency) for no, currency, to in weighing if (to, currency) in able} - able:
        able |= more
    for no, currency, to in weighing:
        if to is not None and (to, currency) not in able:
            for table in ("counted", "everywhere"):
                where = "x_PoolNo = $pool AND currency = $currency AND x_ToPoolNo = $to"
                db.run(f"DELETE FROM {table} WHERE {where}", {"pool": no, "currency": currency, "to": to})


def _count_pools(db: DuckDb, no: int, pools: Pools) -> None:
    """What is counted of the pools that take part in a pool."""
    pool, by_id = pools[no], {each.id: place for place, each in pools.items()}
    basis = method_of(pool).basis
    for share in pool.to_pools:
        other = by_id[share.pool]
        if basis in (Basis.NOTHING, Basis.STATED):
            weight = f"{no}, currency, NULL, {other}, {share.weight}"
            db.run(f"INSERT INTO everywhere SELECT {weight} FROM currencies")
            continue
        taken = f"{{rows}} AS r JOIN claims AS c ON {same_row('c', 'r')} AND c.x_PoolNo = {other}"
        if basis is Basis.COST:
            sql = f"""
SELECT {no}, BillingCurrency AS currency, {keys(pool)} AS keys, x_Bucket, NULL, NULL, {other},
       QUANTA(SUM({quoted(pool.basis)})) AS basis
FROM {taken.format(rows=rows_of(pool))} GROUP BY ALL"""
        else:
            of_pool = f"x_WorkloadId IN (SELECT x_WorkloadId FROM {taken.format(rows='before_rows')})"
            used = _used(no, pool, basis, of_pool)
            sql = f"""
SELECT {no}, y.currency, u.keys, u.bucket, u.hour, NULL, {other}, SUM(u.basis) AS basis
FROM ({used}) AS u CROSS JOIN currencies AS y GROUP BY ALL"""
        sql = f"SELECT y.* FROM ({sql}) AS y WHERE basis <> 0"
        db.run(f"INSERT INTO counted {compile_sql(sql, DUCKDB)}")
