"""Shares as they are stored: owners once, each with a number, and intervals that name the number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core import tables
from apportion.core.arrow import schema

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from apportion.engine.duck import DuckDb

_COLUMNS = ", ".join(tables.quoted(name) for name in tables.OWNER)
_ORDER = ", ".join(f"{tables.quoted(name)} NULLS FIRST" for name in tables.OWNER)
_INTERVAL = ("x_AttributeNo", "x_ValidFrom", "x_ValidUntil", "x_ShareLow", "x_ShareHigh", "x_ShareWhole")


def _same(one: str, other: str) -> str:
    names = (tables.quoted(name) for name in tables.OWNER)
    return " AND ".join(f"{one}.{name} IS NOT DISTINCT FROM {other}.{name}" for name in names)


OWNERS = f"""
CREATE OR REPLACE TEMP TABLE numbered_owners AS
WITH distinct_owners AS (SELECT {_COLUMNS} FROM resolved UNION SELECT {_COLUMNS} FROM candidates)
SELECT CAST(row_number() OVER (ORDER BY {_ORDER}) AS INTEGER) AS x_OwnerNo, {_COLUMNS} FROM distinct_owners
"""

SHARES = f"""
WITH candidate_owners AS (
    SELECT c.candidate_no, o.x_OwnerNo FROM candidates AS c JOIN numbered_owners AS o ON {_same("o", "c")}
),
held AS (
    SELECT {", ".join(f"r.{name}" for name in _INTERVAL)}, o.x_OwnerNo
    FROM resolved AS r
    JOIN numbered_owners AS o ON {_same("o", "r")}
    UNION ALL
    SELECT {", ".join(f"m.{name}" for name in _INTERVAL)}, c.x_OwnerNo
    FROM metered_shares AS m
    JOIN candidate_owners AS c ON c.candidate_no = m.candidate_no
)
SELECT * FROM held ORDER BY x_AttributeNo, x_ValidFrom, x_ShareLow
"""

NOTHING_METERED = f"""
CREATE OR REPLACE TEMP VIEW metered_shares AS
SELECT {", ".join(f"CAST(NULL AS {tables.SHARES[name]}) AS {name}" for name in _INTERVAL)}, 0 AS candidate_no
WHERE false
"""
NO_CANDIDATES = f"""
CREATE OR REPLACE TEMP TABLE candidates AS
SELECT 0 AS candidate_no, {", ".join(f"CAST(NULL AS VARCHAR) AS {tables.quoted(name)}" for name in tables.OWNER)}
WHERE false
"""


def without_metering(db: DuckDb, resolved: pa.Table) -> None:
    """Register the shares (`tables.RESOLVED`) of a snapshot in which nothing was metered."""
    db.register("resolved", resolved)
    db.run(NO_CANDIDATES)
    db.run(NOTHING_METERED)


def write(db: DuckDb, *, shares: Path, owners: Path) -> None:
    """The tables `shares` and `owners` as files, from the session's `resolved`, `metered_shares` and `candidates`.

    `resolved` has its owners beside it (`tables.RESOLVED`); `metered_shares` names `candidates` by number. The same
    rows in any order give the same bytes.
    """
    db.run(OWNERS)
    db.copy(SHARES, shares)
    db.copy("SELECT * FROM numbered_owners ORDER BY x_OwnerNo", owners)


def numbered(db: DuckDb, resolved: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The tables `shares` and `owners` of a snapshot in which nothing was metered."""
    without_metering(db, resolved)
    db.run(OWNERS)
    owners = db.table("SELECT * FROM numbered_owners ORDER BY x_OwnerNo").cast(schema(tables.OWNERS))
    return db.table(SHARES).cast(schema(tables.SHARES)), owners
