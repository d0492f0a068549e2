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


# The share that holds for a charge is the last that begins no later. Each moment at which charges of an attribute row
# start finds its shares once, by sorting: joined by comparing times, a machine that is metered by the hour would meet
# every hour's shares with every hour's charges. No engine's own ASOF join is needed.
_MOMENTS = """
marks AS (
    SELECT x_AttributeNo, x_ValidFrom AS moment, x_ValidFrom, 0 AS place
    FROM (SELECT DISTINCT x_AttributeNo, x_ValidFrom FROM {shares})
    UNION ALL
    SELECT x_AttributeNo, ChargePeriodStart, CAST(NULL AS TIMESTAMP), 1
    FROM (SELECT DISTINCT x_AttributeNo, ChargePeriodStart FROM {charges})
),
placed AS (
    SELECT x_AttributeNo, moment, place,
           MAX(x_ValidFrom) OVER (
               PARTITION BY x_AttributeNo ORDER BY moment, place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
           ) AS x_ValidFrom
    FROM marks
),
moments AS (
    SELECT x_AttributeNo, moment, x_ValidFrom FROM placed WHERE place = 1
)"""
_BOUNDS = "s.x_ShareLow, s.x_ShareHigh, s.x_ShareWhole"
_PIECE = f"CASE WHEN s.x_ShareWhole = 1 THEN c.{{name}} ELSE ALLOC(c.{{name}}, {_BOUNDS}) END"

# Turning an amount into quanta and dividing them is dear, and most amounts of a charge are equal: its costs, its
# quantities.
_FIRST = {
    **dict.fromkeys(focus.COSTS, "BilledCost"),
    **{name: "ConsumedQuantity" for name in focus.METRICS if name not in focus.COSTS},
}
_FIRSTS = tuple(dict.fromkeys(_FIRST.values()))


def _quanta(name: str) -> str:
    first = _FIRST[name]
    if name == first:
        return f"{name}_quanta AS {name}"
    return f"CASE WHEN {name} = {first} THEN {first}_quanta WHEN {name} IS NOT NULL THEN QUANTA({name}) END AS {name}"


def _part(name: str) -> str:
    first = _FIRST[name]
    if name == first:
        return f"{name}_part"
    part = f"PART({name}, x_ShareLow, x_ShareHigh, x_ShareWhole)"
    return f"CASE WHEN {name} = {first} THEN {first}_part WHEN {name} IS NOT NULL THEN {part} END"


# Most attributes have one share, the whole for all time: their charges are summed before they meet it. Only where
# shares divide a charge, or hold for a time, does each charge meet each of its shares.
_TEMPLATE = f"""
WITH undivided AS (
    SELECT x_AttributeNo FROM shares GROUP BY x_AttributeNo HAVING COUNT(*) = 1
),
summed AS (
    SELECT x_AttributeNo{{told}}, COUNT(*) AS x_ChargeCount, {_listed(focus.METRICS, "SUM({name}) AS {name}")}
    FROM charges
    GROUP BY x_AttributeNo{{key}}
),
whole_pieces AS (
    SELECT s.x_AttributeNo, s.x_OwnerNo{{of_m}}, m.x_ChargeCount, m.x_ChargeCount AS x_PieceCount,
           {_listed(focus.METRICS, "m.{name}")}
    FROM summed AS m
    JOIN undivided AS u ON u.x_AttributeNo = m.x_AttributeNo
    JOIN shares AS s ON s.x_AttributeNo = m.x_AttributeNo
),
divided AS (
    SELECT s.* FROM shares AS s LEFT JOIN undivided AS u ON u.x_AttributeNo = s.x_AttributeNo
    WHERE u.x_AttributeNo IS NULL
),
divided_charges AS (
    SELECT c.x_AttributeNo, c.ChargePeriodStart{{told}}, {_listed(focus.METRICS, "c.{name}")}
    FROM charges AS c
    JOIN (SELECT DISTINCT x_AttributeNo FROM divided) AS d ON d.x_AttributeNo = c.x_AttributeNo
),
{_MOMENTS.format(shares="divided", charges="divided_charges")},
first_quanta AS (
    SELECT c.*, m.x_ValidFrom, {", ".join(f"QUANTA(c.{name}) AS {name}_quanta" for name in _FIRSTS)}
    FROM divided_charges AS c
    JOIN moments AS m ON m.x_AttributeNo = c.x_AttributeNo AND m.moment = c.ChargePeriodStart
),
all_quanta AS (
    SELECT x_AttributeNo, x_ValidFrom{{key}}, {", ".join(_quanta(name) for name in focus.METRICS)}
    FROM first_quanta
),
first_parts AS (
    SELECT s.x_AttributeNo, s.x_OwnerNo{{of_c}}, {_BOUNDS}, {_listed(focus.METRICS, "c.{name}")},
           {", ".join(f"PART(c.{name}, {_BOUNDS}) AS {name}_part" for name in _FIRSTS)}
    FROM all_quanta AS c
    JOIN divided AS s ON s.x_AttributeNo = c.x_AttributeNo AND s.x_ValidFrom = c.x_ValidFrom
),
divided_pieces AS (
    SELECT x_AttributeNo, x_OwnerNo{{key}},
           CAST(SUM(CASE WHEN x_ShareLow = 0 THEN 1 ELSE 0 END) AS BIGINT) AS x_ChargeCount,
           COUNT(*) AS x_PieceCount,
           {", ".join(f"AMOUNT(SUM({_part(name)})) AS {name}" for name in focus.METRICS)}
    FROM first_parts
    GROUP BY x_AttributeNo, x_OwnerNo{{key}}
),
pieces AS (
    SELECT * FROM whole_pieces
    UNION ALL
    SELECT * FROM divided_pieces
)
SELECT p.x_AttributeNo, p.x_OwnerNo{{of_p}},
       {_listed(tuple(tables.OWNER), "o.{name}")},
       {_listed(_REPORTED, "a.{name}")},
       p.x_ChargeCount, p.x_PieceCount,
       {_listed(focus.METRICS, "p.{name}")}
FROM pieces AS p
JOIN owners AS o ON o.x_OwnerNo = p.x_OwnerNo
JOIN attributes AS a ON a.x_AttributeNo = p.x_AttributeNo
"""


def _allocations(bucket: str = "") -> str:
    """The statement; with `bucket`, an expression over a charge's times, its results are told apart by it."""
    if not bucket:
        return _TEMPLATE.format(key="", told="", of_m="", of_c="", of_p="")
    of = {f"of_{one}": f", {one}.x_Bucket" for one in ("m", "c", "p")}
    return _TEMPLATE.format(key=", x_Bucket", told=f", {bucket} AS x_Bucket", **of)


ALLOCATIONS = _allocations()
"""The pieces of all charges, summed by attribute and owner."""


def timed(unit: str) -> str:
    """The same by `x_Bucket`: the day or hour (`unit`) of each charge, null for charges that are longer."""
    begun = f"date_trunc('{unit}', ChargePeriodStart)"
    return _allocations(f"CASE WHEN ChargePeriodEnd <= {begun} + INTERVAL 1 {unit} THEN {begun} END")


_SHARE = tuple(name for name in tables.SHARES if name != "x_ValidUntil")

PIECES = f"""
WITH {_MOMENTS.format(shares="shares", charges="charges")}
SELECT c.x_ChargeNo, c.x_FileNo, c.x_RowNo, c.x_Repairs, c.ChargePeriodStart, c.ChargePeriodEnd,
       {_listed(_SHARE, "s.{name}")},
       {_listed(tuple(tables.OWNER), "o.{name}")},
       {_listed(focus.METRICS, f"{_PIECE} AS {{name}}")},
       {", ".join(f"c.{tables.quoted(m)} AS {tables.quoted(m + '_whole')}" for m in focus.METRICS)}
FROM charges AS c
JOIN moments AS m ON m.x_AttributeNo = c.x_AttributeNo AND m.moment = c.ChargePeriodStart
JOIN shares AS s ON s.x_AttributeNo = m.x_AttributeNo AND s.x_ValidFrom = m.x_ValidFrom
JOIN owners AS o ON o.x_OwnerNo = s.x_OwnerNo
"""
"""Every piece of every charge, one row each, beside the charge's own amounts (`<metric>_whole`)."""
