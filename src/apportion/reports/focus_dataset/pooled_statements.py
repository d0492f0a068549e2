"""The SQL of the rows that stand for what pools gave on: tables of `ledger.sharing` of one month.

A row of `shared` is the piece of a sum of charges. FOCUS wants quantities with their unit and costs with their invoice,
so the sum is told apart by what may differ among its charges and must not get lost (`TOLD_APART`), and each of these
costs is divided as the sum was. To be exact both ways the *running* sums of the costs are divided and subtracted: what
one cost gives adds up to it, what a row of `shared` gets of all of them adds up to that row, to the last digit.
"""

from __future__ import annotations

from apportion.core import focus, tables
from apportion.core.focus import Kind
from apportion.core.measures import WorkloadKind
from apportion.core.tables import AMOUNT, quoted
from apportion.engine.dialect import DUCKDB, compile_sql
from apportion.reports.focus_dataset.columns import OWN, OWNERS, TAGS
from apportion.reports.focus_dataset.statements import RESOURCE_ID, RESOURCE_NAME, TAG_PREFIX, each, ratio, tags

SUM = (
    "BillingPeriodStart",
    "BillingCurrency",
    "BillingAccountId",
    "SubAccountId",
    "SubAccountName",
    "ServiceProviderName",
    "ServiceName",
    "ServiceCategory",
    "ChargeCategory",
    "x_OriginTeam",
    "x_OriginKind",
    "x_PoolNo",
    "x_CellNo",
)
"""What the charges have in common of whose sum a row of `shared` is a piece."""
TOLD_APART = (
    "BillingPeriodEnd",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "ChargeClass",
    "ChargeFrequency",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "ConsumedUnit",
    "HostProviderName",
    "InvoiceId",
    "InvoiceIssuerName",
    "PricingCategory",
    "PricingCurrency",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceSubcategory",
)
"""What a row says of them all the same: units, invoice, commitment, and what FOCUS does not allow to be null."""
COMMON = (
    "AvailabilityZone",
    "BillingAccountName",
    "BillingAccountType",
    "ChargeDescription",
    "InvoiceDetailId",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "SkuId",
    "SkuMeter",
    "SubAccountType",
    "Tags",
    "x_ResourceGroup",
)
"""What is said where all of them say the same, and is null else."""

_METRICS = focus.METRICS
_COST = (*SUM, *TOLD_APART)
_AT_FIRST = ("ResourceName", "ResourceType")  # they are of the resource, and null without it

POOLED = f"""
CREATE OR REPLACE TEMP TABLE pooled (
    {", ".join(f"{name} {tables.ATTRIBUTES.get(name, 'VARCHAR')}" for name in _COST if not name.endswith("No"))},
    x_PoolNo INTEGER, x_CellNo INTEGER,
    {", ".join(f"{name}_low VARCHAR, {name}_high VARCHAR, {name}_whole BOOLEAN" for name in COMMON)},
    {", ".join(f"{name} {AMOUNT}" for name in _METRICS)}
)
"""
"""The costs that pools took, of the snapshots that were looked at."""


def _of_attributes(name: str) -> str:
    return TAGS if name == "Tags" else f"a.{name}"


_TAKEN_COST = {
    "x_OriginTeam": "o.x_Team",
    "x_OriginKind": f"CASE WHEN o.x_WorkloadKind = '{WorkloadKind.IDLE}' THEN o.x_WorkloadKind END",
    "x_PoolNo": "t.x_PoolNo",
    "x_CellNo": "t.x_CellNo",
}
COLLECT = f"""
INSERT INTO pooled BY NAME
WITH rows_taken AS (
    SELECT {", ".join(f"{_TAKEN_COST.get(name, f'a.{name}')} AS {name}" for name in _COST)},
           {", ".join(f"{_of_attributes(name)} AS {name}" for name in COMMON)},
           {", ".join(f"t.{name}" for name in _METRICS)}
    FROM taken AS t
    JOIN attributes AS a ON a.x_AttributeNo = t.x_AttributeNo
    JOIN owners AS o ON o.x_OwnerNo = t.x_OwnerNo
    WHERE t.x_SnapshotId = $snapshot
)
SELECT {", ".join(_COST)},
       {", ".join(f"min({n}) AS {n}_low, max({n}) AS {n}_high, count({n}) = count(*) AS {n}_whole" for n in COMMON)},
       {", ".join(f"SUM({name}) AS {name}" for name in _METRICS)}
FROM rows_taken
GROUP BY {", ".join(_COST)}
"""
"""Add what pools took of a snapshot: views `taken`, `attributes`, `owners`."""


def _said(name: str) -> str:
    said = f"CASE WHEN bool_and({name}_whole) AND min({name}_low) = max({name}_high) THEN min({name}_low) END"
    if name not in _AT_FIRST:
        return said
    return f"CASE WHEN bool_and(ResourceId_whole) AND min(ResourceId_low) = max(ResourceId_high) THEN {said} END"


_IN_ORDER = ", ".join(f"{name} NULLS FIRST" for name in _COST)
_RUNNING = (
    "PARTITION BY " + ", ".join(SUM) + " ORDER BY " + ", ".join(f"{name} NULLS FIRST" for name in TOLD_APART)
) + " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"

COSTS = compile_sql(
    f"""
CREATE OR REPLACE TEMP TABLE costs AS
WITH summed AS (
    SELECT {", ".join(_COST)}, {", ".join(f"{_said(name)} AS {name}" for name in COMMON)},
           {", ".join(f"SUM({name}) AS {name}" for name in _METRICS)}
    FROM pooled
    GROUP BY {", ".join(_COST)}
),
running AS (
    SELECT *, row_number() OVER (ORDER BY {_IN_ORDER}) AS cost_no,
           {", ".join(f"coalesce(SUM({name}) OVER running_sum, 0) AS {name}_upto" for name in _METRICS)}
    FROM summed
    WINDOW running_sum AS ({_RUNNING})
)
SELECT * EXCLUDE ({", ".join(f"{name}_upto" for name in _METRICS)}),
       {", ".join(f"QUANTA({name}_upto) AS {name}_upto" for name in _METRICS)}
FROM running
""",
    DUCKDB,
)
"""Each cost of the account by itself, in order, with the running sums of its sum up to it."""

SHARED_ROWS = f"""
CREATE OR REPLACE TEMP TABLE shared_rows AS
SELECT s.*, s.x_CellNos[1] AS x_CellNo,
       row_number() OVER (
           ORDER BY s.x_PoolNo, s.x_Path, s.x_CellNos, s.x_ReceiverNo,
                    {", ".join(f"s.{name} NULLS FIRST" for name in SUM if name not in ("x_PoolNo", "x_CellNo"))}
       ) AS shared_no,
       p.x_PoolId || '@' || p.x_PoolVersion AS pool_name,
       l.x_PoolId || '@' || l.x_PoolVersion AS last_pool_name
FROM shared AS s
JOIN pools AS p ON p.x_PoolNo = s.x_PoolNo
JOIN pools AS l ON l.x_PoolNo = s.x_LastPoolNo
"""
HOPS = """
CREATE OR REPLACE TEMP TABLE hops AS
WITH ways AS (
    SELECT DISTINCT x_CellNos, x_ReceiverNo FROM shared_rows
),
steps AS (
    SELECT *, unnest(range(1, len(x_CellNos) + 1)) AS hop FROM ways
)
SELECT s.x_CellNos, s.x_ReceiverNo, s.hop, w.x_ShareLow, w.x_ShareHigh, c.x_ShareWhole
FROM steps AS s
JOIN cells AS c ON c.x_CellNo = s.x_CellNos[s.hop]
LEFT JOIN cells AS n ON n.x_CellNo = s.x_CellNos[s.hop + 1]
JOIN weights AS w
  ON w.x_CellNo = c.x_CellNo
 AND w.x_ReceiverNo IS NOT DISTINCT FROM CASE WHEN n.x_CellNo IS NULL THEN s.x_ReceiverNo END
 AND w.x_ToPoolNo IS NOT DISTINCT FROM n.x_PoolNo
"""
"""The interval that each way through pools holds in each of its cells."""
MOST_HOPS = "SELECT coalesce(max(hop), 0) FROM hops"

_DIVIDED = ("ratio", *(f"{name}_upto" for name in _METRICS))
GIVEN = f"""
CREATE OR REPLACE TEMP TABLE given AS
SELECT s.shared_no, c.cost_no, s.x_CellNos, s.x_ReceiverNo, CAST(1000000000000000000 AS HUGEINT) AS ratio,
       {", ".join(f"c.{name}_upto" for name in _METRICS)}
FROM shared_rows AS s
JOIN costs AS c ON {" AND ".join(f"c.{name} IS NOT DISTINCT FROM s.{name}" for name in SUM)}
"""
_PART = "CASE WHEN h.hop IS NULL THEN g.{name} ELSE PART(g.{name}, h.x_ShareLow, h.x_ShareHigh, h.x_ShareWhole) END"
NEXT_HOP = compile_sql(
    f"""
CREATE OR REPLACE TEMP TABLE given AS
SELECT g.shared_no, g.cost_no, g.x_CellNos, g.x_ReceiverNo,
       {", ".join(f"{_PART.format(name=name)} AS {name}" for name in _DIVIDED)}
FROM given AS g
LEFT JOIN hops AS h ON h.hop = $hop AND h.x_CellNos = g.x_CellNos AND h.x_ReceiverNo = g.x_ReceiverNo
""",
    DUCKDB,
)
"""The running sums, and the number 1, divided by one pool more."""

_KEY = ", ".join(f"CAST(c.{name} AS VARCHAR)" for name in _COST if name != "x_PoolNo")
_ID = f"s.pool_name || ':' || sha256(CAST(to_json([{_KEY}]) AS VARCHAR))[:16]"
_OF_OWN = {
    **{name: f"s.{name}" for name in OWNERS},
    "x_Evidence": "s.x_TeamEvidence",
    "x_OriginChargeId": "CAST(NULL AS VARCHAR)",
    "x_OriginTeam": "s.x_OriginTeam",
    "x_Path": "s.x_Path",
    "x_PoolId": "s.x_PoolId",
    "x_PooledCostId": _ID,
    "x_ResourceGroupName": "c.x_ResourceGroup",
    "x_RuleId": "s.x_TeamRuleId",
}
_KNOWN = each("({known})", " OR ")
_OF_FOCUS = {
    "AllocatedMethodId": f"'{TAG_PREFIX}pool:' || s.last_pool_name",
    "AllocatedMethodDetails": f"""'{{"Elements":[{{"AllocatedRatio":' || {ratio("AMOUNT(g.ratio)")} || '}}]}}'""",
    "AllocatedResourceId": f"CASE WHEN {_KNOWN} THEN {RESOURCE_ID} END",
    "AllocatedResourceName": f"CASE WHEN {_KNOWN} THEN {RESOURCE_NAME} END",
    "AllocatedTags": tags("list_contains(json_keys(c.Tags), '{tag}')"),
    "ChargePeriodStart": "c.BillingPeriodStart",
    "ChargePeriodEnd": "c.BillingPeriodEnd",
}


def _of_focus(column: focus.FocusColumn) -> str:
    name = column.name
    if name in _OF_FOCUS:
        return _OF_FOCUS[name]
    if column.kind is Kind.METRIC:
        return f"CASE WHEN c.{name} IS NOT NULL THEN AMOUNT(g.{name}) END"
    if name in (*_COST, *COMMON):
        return f"c.{name}"
    return f"CAST(NULL AS {tables.CHARGES.get(name, 'VARCHAR')})"


_STEPPED = ", ".join(f"{name}_upto - coalesce(lag({name}_upto) OVER of_row, 0) AS {name}" for name in _METRICS)
PIECES = compile_sql(
    f"""
CREATE OR REPLACE TEMP TABLE pooled_rows AS
WITH given_each AS (
    SELECT shared_no, cost_no, ratio, {_STEPPED}
    FROM given
    WINDOW of_row AS (PARTITION BY shared_no ORDER BY cost_no)
)
SELECT row_number() OVER (ORDER BY g.cost_no, g.shared_no) AS row_no, g.shared_no,
       {", ".join(f"{_of_focus(column)} AS {quoted(column.name)}" for column in focus.COLUMNS)},
       {", ".join(f"{_OF_OWN[name]} AS {name}" for name in OWN)}
FROM given_each AS g
JOIN shared_rows AS s ON s.shared_no = g.shared_no
JOIN costs AS c ON c.cost_no = g.cost_no
""",
    DUCKDB,
)
"""The rows of the export for the account, each cost's together."""

UNEQUAL = f"""
WITH written AS (
    SELECT shared_no, {", ".join(f"SUM({name}) AS {name}" for name in _METRICS)} FROM pooled_rows GROUP BY shared_no
)
SELECT s.x_PoolId
FROM (SELECT * FROM shared_rows WHERE BillingAccountId = $account) AS s
FULL JOIN written AS w ON w.shared_no = s.shared_no
WHERE {" OR ".join(f"w.{name} IS DISTINCT FROM s.{name}" for name in _METRICS)}
ORDER BY ALL
LIMIT 1
"""
"""A pool of which the account's rows are not what owners got."""
ROWS = "SELECT {columns} FROM pooled_rows WHERE row_no BETWEEN $first AND $last ORDER BY row_no"
"""Rows of the export; `{columns}` are those of the version, and ours."""
