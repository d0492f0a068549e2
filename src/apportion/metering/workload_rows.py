"""Workloads in the form of billed attributes, so that tags, aliases, rules and maps decide about both alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core import tables
from apportion.core.targets import DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from apportion.engine.duck import DuckDb

ROWS_VERSION = "workloads-1"
"""Changes whenever the same workloads would be other rows: part of the id of every stored result."""

_GIVEN = {
    "x_AttributeNo": "w.x_WorkloadNo",
    "ResourceId": "w.x_WorkloadId",
    "ResourceName": "w.x_WorkloadName",
    "ResourceType": "w.x_WorkloadKind",
    "x_ResourceGroup": "w.x_Namespace",
}


def write_rows(db: DuckDb, workloads: Path, keys: Mapping[str, tuple[str, ...]], into: Path) -> None:
    """The workloads as a file in the schema of `attributes`, numbered like them.

    `keys`: dimension -> tag keys, the preferred one first: under it stands what the tool itself reports for the
    dimension, unless a label has that very key. A rule sees the workload's id as `resource_id`, its name as
    `resource_name`, its kind as `resource_type`, its namespace as `resource_group`, its user as tag `user`.
    """
    db.read_parquet("workload_list", [workloads])
    told_of = {d: f"w.x_Reported{d.capitalize()}" for d in DIMENSIONS}
    reported = [("user", "w.x_User"), *((keys[d][0], told_of[d]) for d in DIMENSIONS)]
    entries = ", ".join(f"struct_pack(k := $key{no}, v := {column})" for no, (_, column) in enumerate(reported))
    told = f"map_from_entries(list_filter([{entries}], lambda e: coalesce(e.v, '') <> ''))"
    columns = {
        **dict.fromkeys(tables.ATTRIBUTES, ""),
        **_GIVEN,
        "Tags": f"map_concat({told}, coalesce(w.x_Labels, MAP {{}}))",
    }
    select = ", ".join(
        f"CAST({expression or 'NULL'} AS {tables.ATTRIBUTES[name]}) AS {tables.quoted(name)}"
        for name, expression in columns.items()
    )
    sql = f"SELECT {select} FROM workload_list AS w ORDER BY w.x_WorkloadNo"
    db.copy(sql, into, {f"key{no}": key for no, (key, _) in enumerate(reported)})
