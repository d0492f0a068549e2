"""The columns of every Parquet table, in order, with their DuckDB types: identifiers in SQL come from here.

All times are UTC without zone mark. Amounts and quantities are DECIMAL(38,18). A charge is stored in two halves:
`charges` holds its numbers and times, `attributes` its text, once for all charges that share it (`x_AttributeNo`).
"""

from __future__ import annotations

from apportion.core import focus
from apportion.core.targets import COLUMNS as TARGET_COLUMNS
from apportion.core.targets import DIMENSIONS

AMOUNT = "DECIMAL(38,18)"
QUANTITY = "DECIMAL(38,9)"

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

OWNER: Columns = {
    **dict.fromkeys(TARGET_COLUMNS.values(), "VARCHAR"),
    **_EVIDENCE,
    "x_WorkloadKind": "VARCHAR",
    "x_WorkloadId": "VARCHAR",
    "x_HostTeam": "VARCHAR",
}
"""Who holds a share. The target, and per dimension the tier (T1 … T5) and the rule with its version, are never null:
what is unknown is `unallocated` with tier T5 and rule `none`. The business unit follows the team.

The last three are null where nothing was metered: what the workload is (a `core.measures.WorkloadKind`, `idle` and
`unmetered` among them), its id, and the team that tags and rules name for the divided resource: whose machine it is."""

_INTERVAL: Columns = {
    "x_AttributeNo": "INTEGER",
    "x_ValidFrom": "TIMESTAMP",  # the share holds for charges whose ChargePeriodStart is in [from, until)
    "x_ValidUntil": "TIMESTAMP",
    "x_ShareLow": "BIGINT",
    "x_ShareHigh": "BIGINT",
    "x_ShareWhole": "BIGINT",
}

RESOLVED: Columns = {**_INTERVAL, **OWNER}
"""Shares with their owners beside them, as `tagging` gives them; stored as `shares` and `owners`."""

OWNERS: Columns = {"x_OwnerNo": "INTEGER", **OWNER}
"""One row per distinct owner of one part, numbered from 1 in the order of its columns, nulls first."""

SHARES: Columns = {**_INTERVAL, "x_OwnerNo": "INTEGER"}
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
    "x_OwnerNo": "INTEGER",
    **OWNER,
    "BillingPeriodStart": "TIMESTAMP",
    **dict.fromkeys(_REPORTED, "VARCHAR"),
    "x_ChargeCount": "BIGINT",  # each charge once, however many shares divide it: with the piece that begins the whole
    "x_PieceCount": "BIGINT",
    **dict.fromkeys(focus.METRICS, AMOUNT),
}
"""The pieces of all charges that share attributes and owner, summed: one row per owner that got a piece."""

POOLS: Columns = {
    "x_PoolNo": "INTEGER",  # the order in which pools are given out: by stage and id
    "x_PoolId": "VARCHAR",
    "x_PoolVersion": "VARCHAR",
    "x_Stage": "INTEGER",
    "x_Method": "VARCHAR",
    "x_BasisName": "VARCHAR",  # a cost metric or a measure; null where nothing is counted
    "x_Within": "VARCHAR[]",
    "x_Time": "VARCHAR",
    "x_Grain": "VARCHAR",
    "x_Leftover": "VARCHAR",
    "x_Reciprocal": "BOOLEAN",
}
"""The pools of a month as the rules said them."""

CELLS: Columns = {
    "x_PoolNo": "INTEGER",
    "x_CellNo": "INTEGER",  # 1, 2, … within the month
    "BillingCurrency": "VARCHAR",
    "x_Keys": "VARCHAR[]",  # the values of the pool's `within`, as far as they hold: the first so many
    "x_Bucket": "TIMESTAMP",  # the day or hour; null: the whole month
    "x_TotalBasis": "DECIMAL(38,0)",
    "x_TotalWeight": "DECIMAL(38,0)",
    "x_ShareWhole": "BIGINT",
    "x_ReceiverCount": "BIGINT",
}
"""What a pool's cost is divided within: one set of weights each. A basis below 0 is in no total, for it weighs 0.

A basis is in quanta of cost (10⁻¹⁸), billionths of a measure's unit, or stated parts, as the pool's method counts."""

WEIGHTS: Columns = {
    "x_CellNo": "INTEGER",
    "x_ReceiverNo": "INTEGER",  # null: another pool
    "x_ToPoolNo": "INTEGER",
    "x_Basis": "DECIMAL(38,0)",  # as it was counted, also where it is below 0; null where nothing is counted
    "x_Weight": "DECIMAL(38,0)",
    "x_ShareLow": "BIGINT",
    "x_ShareHigh": "BIGINT",
}
"""Who holds which part [low, high) of a cell's whole: the intervals of one cell tile [0, whole)."""

RECEIVERS: Columns = {
    "x_ReceiverNo": "INTEGER",
    **dict.fromkeys(TARGET_COLUMNS.values(), "VARCHAR"),
    "x_WorkloadKind": "VARCHAR",
    "x_WorkloadId": "VARCHAR",
}
"""Who takes part in some pool of the month; the last two are null but where jobs take part."""

TAKEN: Columns = {
    "x_SnapshotId": "VARCHAR",
    "x_AttributeNo": "INTEGER",
    "x_OwnerNo": "INTEGER",
    "x_PoolNo": "INTEGER",
    "x_CellNo": "INTEGER",
    "x_ChargeCount": "BIGINT",
    "x_PieceCount": "BIGINT",
    **dict.fromkeys(focus.METRICS, AMOUNT),
}
"""The rows of `allocations` that pools took, whole: one row for each cell that a row falls in."""

SHARED: Columns = {
    **{name: kind for name, kind in ALLOCATIONS.items() if name not in ("x_AttributeNo", "x_OwnerNo")},
    "x_PoolNo": "INTEGER",  # the pool that took the cost
    "x_LastPoolNo": "INTEGER",  # the pool that gave it to this owner: another where pools feed pools
    "x_Path": "VARCHAR",  # the ids of the pools it went through, as `networking > platform`
    "x_CellNos": "INTEGER[]",  # the cell in each of them
    "x_ReceiverNo": "INTEGER",
    "x_OriginTeam": "VARCHAR",  # whose it was before
    "x_OriginKind": "VARCHAR",  # `idle` where it was capacity that nobody used, else null
}
"""What pools gave to owners, summed: the rows of `taken` in another form. A charge is counted with its first owner."""

SAMPLES: Columns = {
    "x_SampleNo": "BIGINT",  # 1, 2, … within the snapshot
    "x_SubjectNo": "INTEGER",
    "x_FileNo": "INTEGER",
    "x_RowNo": "BIGINT",
    "x_Start": "TIMESTAMP",
    "x_End": "TIMESTAMP",
    "x_Measure": "VARCHAR",
    "x_Basis": "VARCHAR",
    "x_Key": "VARCHAR",  # tells things of one subject apart that are counted beside each other
    "x_Quantity": QUANTITY,  # of the whole interval, in the unit of the measure
    "x_Coverage": "DECIMAL(5,4)",  # the part of the interval that the meter looked at
}
"""One row per reading of a meter, cut at months; see `core.measures`."""

WORKLOAD: Columns = {
    "x_WorkloadId": "VARCHAR",
    "x_WorkloadKind": "VARCHAR",
    "x_WorkloadName": "VARCHAR",
    "x_Namespace": "VARCHAR",
    "x_ParentId": "VARCHAR",
    "x_Experiment": "VARCHAR",
    "x_ReportedModel": "VARCHAR",
    "x_ModelVersion": "VARCHAR",
    "x_ReportedTeam": "VARCHAR",
    "x_ReportedProject": "VARCHAR",
    "x_ReportedEnvironment": "VARCHAR",
    "x_User": "VARCHAR",
    "x_Status": "VARCHAR",
    "x_Labels": "MAP(VARCHAR, VARCHAR)",
    "x_Links": "VARCHAR[]",
}
"""A workload as its meter or tracker reports it; all null for what a resource had to give."""

RESOURCE: Columns = {
    "x_MeteredId": "VARCHAR",  # the resource's id as the bill may know it
    "x_Node": "VARCHAR",
    "x_Cluster": "VARCHAR",
    "x_Provider": "VARCHAR",
    "x_Account": "VARCHAR",
    "x_Region": "VARCHAR",
    "x_InstanceType": "VARCHAR",
}
"""A resource as its meter names it."""

SUBJECTS: Columns = {"x_SubjectNo": "INTEGER", **WORKLOAD, **RESOURCE}
"""One row per workload on a resource (or resource alone) of one snapshot of samples."""

USAGE: Columns = {
    "x_WorkloadNo": "INTEGER",  # null: what the resource had to give
    "x_ResourceNo": "INTEGER",
    "x_Hour": "TIMESTAMP",  # the UTC hour's beginning
    "x_Measure": "VARCHAR",
    "x_Basis": "VARCHAR",
    "x_Quantity": QUANTITY,
    "x_Coverage": "DECIMAL(5,4)",  # the part of the hour that was seen
    "x_Looked": "DECIMAL(5,4)",  # how well the meter looked: 1 for ten minutes that were seen whole
    "x_SourceNo": "INTEGER",
}
"""One quantity of one measure for one workload on one resource in one UTC hour, from the meter that counts there."""

HOURS: Columns = {
    "x_ResourceNo": "INTEGER",
    "x_Hour": "TIMESTAMP",
    "x_Twin": "TIMESTAMP",  # the first hour of the month in which the meters that count said the same of it
}
"""The hours of a month in which meters know a resource: hours of equal use are divided alike, so one is worked out."""

WORKLOADS: Columns = {"x_WorkloadNo": "INTEGER", **WORKLOAD, "x_RunIds": "VARCHAR[]", "x_SourceNo": "INTEGER"}
"""The workloads of a month; `x_RunIds` are the tracker runs that are known to be the same work."""

RESOURCES: Columns = {"x_ResourceNo": "INTEGER", **RESOURCE, "x_Family": "INTEGER"}
"""The metered resources of a month; `x_Family` is the family of measures that divides one (`metering.usage.FAMILY`)."""


def quoted(name: str) -> str:
    """The SQL identifier of a column; quotes inside are doubled."""
    return '"' + name.replace('"', '""') + '"'
