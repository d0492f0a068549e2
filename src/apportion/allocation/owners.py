"""Shares as they are stored: owners once, each with a number, and intervals that name the number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core import tables
from apportion.core.arrow import schema

if TYPE_CHECKING:
    import pyarrow as pa

    from apportion.engine.duck import DuckDb

_COLUMNS = ", ".join(tables.quoted(name) for name in tables.OWNER)
_ORDER = ", ".join(f"{tables.quoted(name)} NULLS FIRST" for name in tables.OWNER)
_SAME = " AND ".join(f"o.{tables.quoted(name)} IS NOT DISTINCT FROM r.{tables.quoted(name)}" for name in tables.OWNER)

OWNERS = f"""
CREATE OR REPLACE TEMP TABLE numbered_owners AS
WITH distinct_owners AS (SELECT DISTINCT {_COLUMNS} FROM resolved)
SELECT CAST(row_number() OVER (ORDER BY {_ORDER}) AS INTEGER) AS x_OwnerNo, {_COLUMNS} FROM distinct_owners
"""

SHARES = f"""
SELECT r.x_AttributeNo, r.x_ValidFrom, r.x_ValidUntil, r.x_ShareLow, r.x_ShareHigh, r.x_ShareWhole, o.x_OwnerNo
FROM resolved AS r
JOIN numbered_owners AS o ON {_SAME}
ORDER BY r.x_AttributeNo, r.x_ValidFrom, r.x_ShareLow
"""


def numbered(db: DuckDb, resolved: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The tables `shares` and `owners` of shares that have their owners beside them (`tables.RESOLVED`).

    It takes the session's names `resolved` and `numbered_owners`; the same rows in any order give the same tables.
    """
    db.register("resolved", resolved)
    db.run(OWNERS)
    owners = db.table("SELECT * FROM numbered_owners ORDER BY x_OwnerNo").cast(schema(tables.OWNERS))
    return db.table(SHARES).cast(schema(tables.SHARES)), owners
