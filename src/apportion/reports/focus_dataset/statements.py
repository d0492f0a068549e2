"""The SQL of the export of one snapshot: tables `charges`, `attributes`, `shares`, and `extras` where there are any.

`taken_here` are the rows of `allocations` that pools took of the snapshot.
"""

from __future__ import annotations

from apportion.allocation.statements import PIECES
from apportion.core.targets import COLUMNS, DIMENSIONS, RESERVED
from apportion.engine.dialect import DUCKDB, compile_sql
from apportion.reports.focus_dataset.columns import OWN, OWNER

_NOBODY = ", ".join(f"'{target}'" for target in sorted(RESERVED))
TAG_PREFIX = "apportion/"
"""What the keys of our `AllocatedTags` and our `AllocatedMethodId` begin with."""


def each(form: str, between: str = ", ") -> str:
    """The form for each dimension, alphabetical; `{known}` is whether the owner `s` is known in it."""
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

TAKEN_HERE = """
CREATE OR REPLACE TEMP TABLE taken_here AS
SELECT DISTINCT x_AttributeNo, x_OwnerNo FROM taken WHERE x_SnapshotId = $snapshot
"""

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
    SELECT x_AttributeNo, x_ValidFrom, x_ShareLow, x_OwnerNo,
           ALLOC(CAST(1 AS DECIMAL(38,18)), x_ShareLow, x_ShareHigh, x_ShareWhole) AS ratio
    FROM shares
    """,
    DUCKDB,
)

_RESOURCE = each("CASE WHEN {known} THEN '{dimension}=' || replace(replace(s.{column}, '%', '%25'), ';', '%3B') END")
RESOURCE_ID = f"'apportion:' || concat_ws(';', {_RESOURCE})"
"""SQL: the owner `s` as the id of a resource."""
_NAMES = each("CASE WHEN {known} THEN s.{column} END")
RESOURCE_NAME = f"concat_ws(' / ', {_NAMES})"
"""SQL: the same for people."""


def tags(has_tag: str) -> str:
    """SQL for the tags of the owner `s`; `has_tag` is whether the resource has a tag `{tag}`, which is not repeated."""
    pairs = f"CASE WHEN {{known}} AND NOT coalesce({has_tag}, false) THEN '\"{{tag}}\":' || to_json(s.{{column}}) END"
    return "'{' || concat_ws(',', " + each(pairs) + ") || '}'"


def ratio(amount: str) -> str:
    """SQL for the text of a ratio: no exponent, no zeros at its end."""
    return f"rtrim(rtrim(CAST({amount} AS VARCHAR), '0'), '.')"


# A ratio is the piece of the number 1: the ratios of a charge telescope to exactly 1, as its amounts do. A split
# decides the dimensions in which its receivers differ; a receiver that is nobody in all of those holds the portion
# that FOCUS calls unallocated, which has no AllocatedResourceId. Pieces that a pool took are no rows any more: those
# that are left say which part of the whole it was, so that it is known where the rest of 1 is.
RECEIVERS = f"""
CREATE OR REPLACE TEMP TABLE split_receivers AS
WITH ratios AS ({_RATIOS}),
splits AS (
    SELECT s.x_AttributeNo, s.x_ValidFrom, {each("COUNT(DISTINCT s.{column}) > 1 AS by_{dimension}")},
           {each("by_{dimension}", " OR ")} AS by_any
    FROM shares AS s
    JOIN attributes AS a ON a.x_AttributeNo = s.x_AttributeNo
    WHERE a.AllocatedMethodId IS NULL
    GROUP BY s.x_AttributeNo, s.x_ValidFrom
    HAVING COUNT(*) > 1
),
rules AS (
    SELECT s.x_AttributeNo, s.x_ValidFrom,
           unnest([{each("CASE WHEN d.by_{dimension} OR NOT d.by_any THEN s.{rule} END")}]) AS rule
    FROM shares AS s
    JOIN splits AS d ON d.x_AttributeNo = s.x_AttributeNo AND d.x_ValidFrom = s.x_ValidFrom
),
methods AS (
    SELECT x_AttributeNo, x_ValidFrom, string_agg(DISTINCT rule, '+' ORDER BY rule) AS method
    FROM rules
    WHERE rule <> 'none'
    GROUP BY x_AttributeNo, x_ValidFrom
),
given_on AS (
    SELECT q.x_AttributeNo, q.x_ValidFrom, SUM(q.ratio) AS ratio
    FROM ratios AS q
    JOIN taken_here AS t ON t.x_AttributeNo = q.x_AttributeNo AND t.x_OwnerNo = q.x_OwnerNo
    GROUP BY q.x_AttributeNo, q.x_ValidFrom
),
owned AS (
    SELECT s.*, {each("({known}) AND (d.by_{dimension} OR NOT d.by_any)", " OR ")} AS is_owned
    FROM shares AS s
    JOIN splits AS d ON d.x_AttributeNo = s.x_AttributeNo AND d.x_ValidFrom = s.x_ValidFrom
)
SELECT s.x_AttributeNo, s.x_ValidFrom, s.x_ShareLow,
       '{TAG_PREFIX}' || coalesce(m.method, 'none') AS AllocatedMethodId,
       '{{"Elements":[{{"AllocatedRatio":' || {ratio("q.ratio")}
           || ',"UsageQuantity":' || (s.x_ShareHigh - s.x_ShareLow) || ',"UsageUnit":"Shares"}}]'
           || coalesce(',"x_PooledRatio":' || {ratio("g.ratio")}, '') || '}}' AS AllocatedMethodDetails,
       CASE WHEN s.is_owned THEN {RESOURCE_ID} END AS AllocatedResourceId,
       CASE WHEN s.is_owned THEN {RESOURCE_NAME} END AS AllocatedResourceName,
       {tags("map_contains(a.Tags, '{tag}')")} AS AllocatedTags
FROM owned AS s
JOIN attributes AS a ON a.x_AttributeNo = s.x_AttributeNo
JOIN ratios AS q
  ON q.x_AttributeNo = s.x_AttributeNo AND q.x_ValidFrom = s.x_ValidFrom AND q.x_ShareLow = s.x_ShareLow
LEFT JOIN methods AS m ON m.x_AttributeNo = s.x_AttributeNo AND m.x_ValidFrom = s.x_ValidFrom
LEFT JOIN given_on AS g ON g.x_AttributeNo = s.x_AttributeNo AND g.x_ValidFrom = s.x_ValidFrom
"""
"""The FOCUS columns of each receiver of a split."""

KEPT = f"""
CREATE OR REPLACE TEMP VIEW kept AS
WITH named AS (
    SELECT x_ChargeNo, {{columns}} FROM extras WHERE coalesce(x_OriginChargeId, {{pooled}}) IS NOT NULL
)
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
LEFT JOIN split_receivers AS r
  ON r.x_AttributeNo = p.x_AttributeNo AND r.x_ValidFrom = p.x_ValidFrom AND r.x_ShareLow = p.x_ShareLow
LEFT JOIN kept AS k ON k.x_ChargeNo = p.x_ChargeNo
ANTI JOIN taken_here AS t ON t.x_AttributeNo = p.x_AttributeNo AND t.x_OwnerNo = p.x_OwnerNo
WHERE p.x_ChargeNo BETWEEN $first AND $last AND c.x_ChargeNo BETWEEN $first AND $last
ORDER BY p.x_ChargeNo, p.x_ShareLow
"""
"""The rows of the export for a range of charges: every piece that no pool took."""
