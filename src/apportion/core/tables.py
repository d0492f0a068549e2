"""The columns of every Parquet table, in order, with their DuckDB types: identifiers in SQL come from here.

All times are UTC without zone mark. Amounts and quantities are DECIMAL(38,18). A charge is stored in two halves:
`charges` holds its numbers and times, `attributes` its text, once for all charges that share it (`x_AttributeNo`).
"""

from __future__ import annotations

from apportion.core import focus
from apportion.core.targets import COLUMNS as TARGET_COLUMNS
from apportion.core.targets import DIMENSIONS

AMOUNT = "DECIMAL(38,18)"

Columns = dict[str, str]

CHARGES: Columns = {
    "x_ChargeNo": "BIGINT",  # 1, 2, … in delivery order within the snapshot; x_ChargeId = <snapshot id>:<this>
    "x_AttributeNo": "INTEGER",
    "x_FileNo": "INTEGER",  # place in the manifest's list of files, from 1
    "x_RowNo": "BIGINT",  # record number as a spreadsheet shows it: the header is row 1; Parquet rows count from 1
    "x_Repairs": "VARCHAR",  # codes of what was put right, comma separated, sorted; null for most rows
    "ChargePeriodStart": "TIMESTAMP",
    "ChargePeriodEnd": "TIMESTAMP",
    **dict.fromkeys(focus.METRICS, AMOUNT),
    **dict.fromkeys(focus.PRICES, AMOUNT),
}
"""One row per charge of one snapshot."""

ATTRIBUTES: Columns = {
    "x_AttributeNo": "INTEGER",  # 1, 2, … in the order of all the other columns, nulls first
    "BillingPeriodStart": "TIMESTAMP",
    "BillingPeriodEnd": "TIMESTAMP",
    **{name: "VARCHAR" for name in focus.DIMENSIONS if name != "Tags"},
    "x_ResourceGroup": "VARCHAR",  # Azure resource group, GCP project folder …: what a resource-group map looks at
    "Tags": "MAP(VARCHAR, VARCHAR)",  # keys as delivered, sorted; a tag without value holds 'true'
}
"""One row per distinct text half of the charges of one snapshot."""

REJECTS: Columns = {
    "x_FileNo": "INTEGER",
    "x_RowNo": "BIGINT",
    "x_Code": "VARCHAR",
    "x_Column": "VARCHAR",
    "x_Value": "VARCHAR",
    "x_Raw": "VARCHAR",  # the record as it was delivered, as JSON or as the raw line
}
"""Rows that could not become charges, whole: nothing is lost."""

_EVIDENCE: Columns = {
    f"x_{word}{suffix}": "VARCHAR"
    for dimension in DIMENSIONS
    for word in (dimension.capitalize(),)
    for suffix in ("Evidence", "RuleId")
}

OWNER: Columns = {**dict.fromkeys(TARGET_COLUMNS.values(), "VARCHAR"), **_EVIDENCE}
"""The target of a share, and per dimension the tier (T1 … T5) and the rule with its version. Never null: what is
unknown is `unallocated` with tier T5 and rule `none`. The business unit follows the team."""

SHARES: Columns = {
    "x_AttributeNo": "INTEGER",
    "x_ValidFrom": "TIMESTAMP",  # the share holds for charges whose ChargePeriodStart is in [from, until)
    "x_ValidUntil": "TIMESTAMP",
    "x_ShareLow": "BIGINT",
    "x_ShareHigh": "BIGINT",
    "x_ShareWhole": "BIGINT",
    **OWNER,
}
"""Who holds which part [low, high) of the whole of each charge with these attributes. For one attribute number and one
validity the intervals tile [0, whole); the validities tile all time."""

_REPORTED = (
    "BillingCurrency",
    "BillingAccountId",
    "SubAccountId",
    "SubAccountName",
    "ServiceProviderName",
    "ServiceName",
    "ServiceCategory",
    "ChargeCategory",
    "RegionId",
)

ALLOCATIONS: Columns = {
    "x_AttributeNo": "INTEGER",
    "x_ValidFrom": "TIMESTAMP",
    "x_ShareLow": "BIGINT",
    "x_ShareHigh": "BIGINT",
    "x_ShareWhole": "BIGINT",
    **OWNER,
    "BillingPeriodStart": "TIMESTAMP",
    **dict.fromkeys(_REPORTED, "VARCHAR"),
    "x_ChargeCount": "BIGINT",
    **dict.fromkeys(focus.METRICS, AMOUNT),
}
"""The pieces of all charges that share attributes and share, summed: one row per share that got a charge."""


def quoted(name: str) -> str:
    """The SQL identifier of a column; quotes inside are doubled."""
    return '"' + name.replace('"', '""') + '"'
