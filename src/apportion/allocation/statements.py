"""The one SQL text of direct allocation, portable to every engine (see `engine.dialect`).

Tables read: `charges`, `attributes`, `shares` and `owners` of one snapshot.
"""

from __future__ import annotations

from apportion.core import focus, tables

ALLOCATION_KEY = ("x_AttributeNo", "x_OwnerNo")
"""What makes a row of `allocations` unique within a part."""

_REPORTED = tuple(
    name
    for name in tables.ALLOCATIONS
    if name not in {*ALLOCATION_KEY, *tables.OWNER, *focus.METRICS, "x_ChargeCount", "x_PieceCount"}
)


def _listed(names: tuple[str, ...], form: str) -> str:
    return ", ".join(form.format(name=tables.quoted(name)) for name in names)


_HOLDS = """c.x_AttributeNo = s.x_AttributeNo
        AND c.ChargePeriodStart >= s.x_ValidFrom AND c.ChargePeriodStart < s.x_ValidUntil"""
_PIECE = """CASE WHEN s.x_ShareWhole = 1 THEN c.{name}
            ELSE ALLOC(c.{name}, s.x_ShareLow, s.x_ShareHigh, s.x_ShareWhole) END"""

# Most attributes have one share, the whole for all time: their charges are summed before they meet it. Only where
# shares divide a charge, or hold for a time, does each charge meet each of its shares.
ALLOCATIONS = f"""
WITH undivided AS (
    SELECT x_AttributeNo FROM shares GROUP BY x_AttributeNo HAVING COUNT(*) = 1
),
summed AS (
    SELECT x_AttributeNo, COUNT(*) AS x_ChargeCount, {_listed(focus.METRICS, "SUM({name}) AS {name}")}
    FROM charges
    GROUP BY x_AttributeNo
),
whole_pieces AS (
    SELECT s.x_AttributeNo, s.x_OwnerNo, m.x_ChargeCount, m.x_ChargeCount AS x_PieceCount,
           {_listed(focus.METRICS, "m.{name}")}
    FROM summed AS m
    JOIN undivided AS u ON u.x_AttributeNo = m.x_AttributeNo
    JOIN shares AS s ON s.x_AttributeNo = m.x_AttributeNo
),
divided AS (
    SELECT s.* FROM shares AS s LEFT JOIN undivided AS u ON u.x_AttributeNo = s.x_AttributeNo
    WHERE u.x_AttributeNo IS NULL
),
divided_pieces AS (
    SELECT s.x_AttributeNo, s.x_OwnerNo,
           CAST(SUM(CASE WHEN s.x_ShareLow = 0 THEN 1 ELSE 0 END) AS BIGINT) AS x_ChargeCount,
           COUNT(*) AS x_PieceCount, {_listed(focus.METRICS, f"SUM({_PIECE}) AS {{name}}")}
    FROM charges AS c
    JOIN divided AS s ON {_HOLDS}
    GROUP BY s.x_AttributeNo, s.x_OwnerNo
),
pieces AS (
    SELECT * FROM whole_pieces
    UNION ALL
    SELECT * FROM divided_pieces
)
SELECT p.x_AttributeNo, p.x_OwnerNo,
       {_listed(tuple(tables.OWNER), "o.{name}")},
       {_listed(_REPORTED, "a.{name}")},
       p.x_ChargeCount, p.x_PieceCount,
       {_listed(focus.METRICS, "p.{name}")}
FROM pieces AS p
JOIN owners AS o ON o.x_OwnerNo = p.x_OwnerNo
JOIN attributes AS a ON a.x_AttributeNo = p.x_AttributeNo
"""

_SHARE = tuple(name for name in tables.SHARES if name != "x_ValidUntil")

PIECES = f"""
SELECT c.x_ChargeNo, c.x_FileNo, c.x_RowNo, c.x_Repairs, c.ChargePeriodStart, c.ChargePeriodEnd,
       {_listed(_SHARE, "s.{name}")},
       {_listed(tuple(tables.OWNER), "o.{name}")},
       {_listed(focus.METRICS, f"{_PIECE} AS {{name}}")},
       {", ".join(f"c.{tables.quoted(m)} AS {tables.quoted(m + '_whole')}" for m in focus.METRICS)}
FROM charges AS c
JOIN shares AS s ON {_HOLDS}
JOIN owners AS o ON o.x_OwnerNo = s.x_OwnerNo
"""
"""Every piece of every charge, one row each, beside the charge's own amounts (`<metric>_whole`)."""
