"""The SQL of the export of one snapshot: tables `charges`, `attributes`, `shares`, and `extras` where there are any."""

from __future__ import annotations

from apportion.allocation.statements import PIECES
from apportion.core.targets import COLUMNS, DIMENSIONS, RESERVED
from apportion.engine.dialect import DUCKDB, compile_sql
from apportion.reports.focus_dataset.columns import OWN, OWNER

_NOBODY = ", ".join(f"'{target}'" for target in sorted(RESERVED))
TAG_PREFIX = "apportion/"
"""What the keys of our `AllocatedTags` and our `AllocatedMethodId` begin with."""


def _each(form: str, between: str = ", ") -> str:
    """The form for each dimension, alphabetical."""
    parts = (
        form.format(
            dimension=dimension,
            column=COLUMNS[dimension],
            rule=f"x_{dimension.capitalize()}RuleId",
            known=f"s.{COLUMNS[dimension]} NOT IN ({_NOBODY})",
            tag=TAG_PREFIX + dimension,
        )
        for dimension in sorted(DIMENSIONS)
    )
    return between.join(parts)


SHARES = """
CREATE OR REPLACE TEMP VIEW shares AS
SELECT h.*, o.* EXCLUDE (x_OwnerNo) FROM held AS h JOIN owners AS o ON o.x_OwnerNo = h.x_OwnerNo
"""
"""Shares with their owners beside them."""

ALL_PIECES = f"CREATE OR REPLACE TEMP VIEW pieces AS {compile_sql(PIECES, DUCKDB)}"
"""Every piece of every charge of the snapshot."""

CHARGES_WITH_PIECES = "SELECT COUNT(*) FROM pieces WHERE x_ShareLow = 0"
"""Each charge has one piece that begins the whole."""

SPLIT_AGAIN = """
SELECT a.x_AttributeNo
FROM attributes AS a
JOIN shares AS s ON s.x_AttributeNo = a.x_AttributeNo
WHERE a.AllocatedMethodId IS NOT NULL
GROUP BY a.x_AttributeNo, s.x_ValidFrom
HAVING COUNT(*) > 1
ORDER BY a.x_AttributeNo
LIMIT 1
"""
"""An attribute row that was split by its provider and by us: its ratios would no longer add up to 1."""

_RATIOS = compile_sql(
    """
    SELECT x_AttributeNo, x_ValidFrom, x_ShareLow,
           ALLOC(CAST(1 AS DECIMAL(38,18)), x_ShareLow, x_ShareHigh, x_ShareWhole) AS ratio
    FROM shares
    """,
    DUCKDB,
)

_RESOURCE = _each("CASE WHEN {known} THEN '{dimension}=' || replace(replace(s.{column}, '%', '%25'), ';', '%3B') END")
_NAMES = _each("CASE WHEN {known} THEN s.{column} END")
_PAIRS = _each(
    "CASE WHEN {known} AND NOT coalesce(map_contains(a.Tags, '{tag}'), false)"
    " THEN '\"{tag}\":' || to_json(s.{column}) END"
)

# A ratio is the piece of the number 1: the ratios of a charge telescope to exactly 1, as its amounts do. A split
# decides the dimensions in which its receivers differ; a receiver that is nobody in all of those holds the portion
# that FOCUS calls unallocated, which has no AllocatedResourceId.
RECEIVERS = f"""
CREATE OR REPLACE TEMP TABLE receivers AS
WITH ratios AS ({_RATIOS}),
splits AS (
    SELECT s.x_AttributeNo, s.x_ValidFrom, {_each("COUNT(DISTINCT s.{column}) > 1 AS by_{dimension}")},
           {_each("by_{dimension}", " OR ")} AS by_any
    FROM shares AS s
    JOIN attributes AS a ON a.x_AttributeNo = s.x_AttributeNo
    WHERE a.AllocatedMethodId IS NULL
    GROUP BY s.x_AttributeNo, s.x_ValidFrom
    HAVING COUNT(*) > 1
),
rules AS (
    SELECT s.x_AttributeNo, s.x_ValidFrom,
           unnest([{_each("CASE WHEN d.by_{dimension} OR NOT d.by_any THEN s.{rule} END")}]) AS rule
    FROM shares AS s
    JOIN splits AS d ON d.x_AttributeNo = s.x_AttributeNo AND d.x_ValidFrom = s.x_ValidFrom
),
methods AS (
    SELECT x_AttributeNo, x_ValidFrom, string_agg(DISTINCT rule, '+' ORDER BY rule) AS method
    FROM rules
    WHERE rule <> 'none'
    GROUP BY x_AttributeNo, x_ValidFrom
),
owned AS (
    SELECT s.*, {_each("({known}) AND (d.by_{dimension} OR NOT d.by_any)", " OR ")} AS is_owned
    FROM shares AS s
    JOIN splits AS d ON d.x_AttributeNo = s.x_AttributeNo AND d.x_ValidFrom = s.x_ValidFrom
)
SELECT s.x_AttributeNo, s.x_ValidFrom, s.x_ShareLow,
       '{TAG_PREFIX}' || coalesce(m.method, 'none') AS AllocatedMethodId,
       '{{"Elements":[{{"AllocatedRatio":' || rtrim(rtrim(CAST(q.ratio AS VARCHAR), '0'), '.')
           || ',"UsageQuantity":' || (s.x_ShareHigh - s.x_ShareLow) || ',"UsageUnit":"Shares"}}]}}'
           AS AllocatedMethodDetails,
       CASE WHEN s.is_owned THEN 'apportion:' || concat_ws(';', {_RESOURCE}) END AS AllocatedResourceId,
       CASE WHEN s.is_owned THEN concat_ws(' / ', {_NAMES}) END AS AllocatedResourceName,
       '{{' || concat_ws(',', {_PAIRS}) || '}}' AS AllocatedTags
FROM owned AS s
JOIN attributes AS a ON a.x_AttributeNo = s.x_AttributeNo
JOIN ratios AS q
  ON q.x_AttributeNo = s.x_AttributeNo AND q.x_ValidFrom = s.x_ValidFrom AND q.x_ShareLow = s.x_ShareLow
LEFT JOIN methods AS m ON m.x_AttributeNo = s.x_AttributeNo AND m.x_ValidFrom = s.x_ValidFrom
"""
"""The FOCUS columns of each receiver of a split."""

KEPT = f"""
CREATE OR REPLACE TEMP VIEW kept AS
WITH named AS (SELECT x_ChargeNo, {{columns}} FROM extras WHERE x_OriginChargeId IS NOT NULL)
SELECT *, {OWNER.format(alias="named")} AS owner FROM named
"""
"""What an earlier export of ours said beside each charge; `{columns}` are `OWN`, null where it says nothing."""

NOTHING_KEPT = f"""
CREATE OR REPLACE TEMP VIEW kept AS
SELECT CAST(NULL AS BIGINT) AS x_ChargeNo, {", ".join(f"CAST(NULL AS VARCHAR) AS {name}" for name in OWN)},
       CAST(NULL AS VARCHAR[]) AS owner
WHERE false
"""

ROWS = """
SELECT {columns}
FROM pieces AS p
JOIN charges AS c ON c.x_ChargeNo = p.x_ChargeNo
JOIN attributes AS a ON a.x_AttributeNo = p.x_AttributeNo
LEFT JOIN receivers AS r
  ON r.x_AttributeNo = p.x_AttributeNo AND r.x_ValidFrom = p.x_ValidFrom AND r.x_ShareLow = p.x_ShareLow
LEFT JOIN kept AS k ON k.x_ChargeNo = p.x_ChargeNo
WHERE p.x_ChargeNo BETWEEN $first AND $last AND c.x_ChargeNo BETWEEN $first AND $last
ORDER BY p.x_ChargeNo, p.x_ShareLow
"""
"""The rows of the export for a range of charges."""
