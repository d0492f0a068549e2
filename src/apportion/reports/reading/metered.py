"""What a metered report reads beside the allocations: usage, workloads, and the machines that the bill itself names.

`open_metered` makes these views and tables in the session of a question, over the months asked for:

- `charged`: the allocations of the asked months with `x_PartNo`, for attribute numbers count anew in every part; always
  as tags, rules and meters gave them, since what was held, idle or billed is so whatever pools gave on;
- `shown`: the rows of the asked months by the lens of the question: what is added up as cost;
- `billed_rows`: the jobs and endpoints that the bills name by themselves (`metering.billed_rows.BILLED`), with
  `x_PartNo`;
- `usage`, `workloads`, `resources`, `meters`, `held`: what the meters know (`ledger.metered.open_usages`);
- `work_hours`: per workload, resource, hour and measure one quantity: what was requested, else used, else estimated,
  from the most exact meter that says it;
- `known_work`: what is known of each workload, by its id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.core import tables
from apportion.core.tables import quoted
from apportion.ledger.metered import open_usages
from apportion.metering.billed_rows import BILLED
from apportion.metering.usage import METERS
from apportion.metering.work_hours import WORK_HOURS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.engine.duck import DuckDb
    from apportion.reports.reading.contract import Asked
    from apportion.store.records import Part

_EMPTY = {
    "usage": tables.USAGE,
    "workloads": tables.WORKLOADS,
    "resources": tables.RESOURCES,
    "meters": METERS,
    "held": tables.RESOLVED,
}

SHOWN = """
CREATE OR REPLACE TEMP VIEW shown AS
SELECT * FROM allocations WHERE date_trunc('month', BillingPeriodStart) BETWEEN {first} AND {last}
"""

_FACTS = ("x_WorkloadKind", "x_WorkloadName", "x_ParentId", "x_Experiment", "x_User")

# `arg_max` leaves nulls out: what the last month does not say stays as an earlier one says it.
KNOWN_WORK = f"""
CREATE OR REPLACE TEMP TABLE known_work AS
WITH metered AS (
    SELECT x_WorkloadId, {", ".join(f"arg_max({name}, x_WorkloadNo) AS {name}" for name in _FACTS)},
           arg_max(x_Status, x_WorkloadNo) AS x_Status,
           list_sort(list_distinct(flatten(list(x_RunIds)))) AS x_RunIds
    FROM workloads
    GROUP BY x_WorkloadId
),
named AS (
    SELECT x_WorkloadId, {", ".join(f"arg_max({name}, (x_PartNo, x_AttributeNo)) AS {name}" for name in _FACTS)}
    FROM billed_rows
    GROUP BY x_WorkloadId
)
SELECT x_WorkloadId, {", ".join(f"coalesce(m.{name}, n.{name}) AS {name}" for name in _FACTS)},
       m.x_Status, coalesce(m.x_RunIds, []) AS x_RunIds
FROM metered AS m
FULL JOIN named AS n USING (x_WorkloadId)
"""


def open_metered(asked: Asked) -> None:
    """Make the views and tables of this module's docstring; each is there, if empty, where nothing was metered.

    Raises `DamagedFile` for a file that is not the stored one.
    """
    db = asked.db
    parts = parts_of(asked)
    _union(db, "charged", [_numbered(asked, part, place) for place, part in enumerate(parts, 1)])
    first, last = (f"TIMESTAMP '{month.start}'" for month in (asked.period.first, asked.period.last))
    db.run(SHOWN.format(first=first, last=last))
    found = [_billed(asked, part, place) for place, part in enumerate(parts, 1)]
    db.register("no_billed_rows", pa.table({name: pa.array([], kind) for name, kind in BILLED.items()}))
    _union(db, "billed_rows", ["SELECT 0 AS x_PartNo, * FROM no_billed_rows", *filter(None, found)])
    read_usages(asked, [usage for usage in asked.run.usages if usage.period in asked.period])
    db.run(WORK_HOURS)
    db.run(KNOWN_WORK)


def parts_of(asked: Asked) -> list[Part]:
    """The results of the bills of the asked months, in the order that `x_PartNo` counts from 1."""
    return [part for part in asked.run.parts if part.period in asked.period]


def read_usages(asked: Asked, usages: Sequence[Part]) -> None:
    """The views `usage`, `workloads`, `resources`, `meters` and `held` over these months; empty tables for none."""
    if not usages:
        for name, columns in _EMPTY.items():
            empty = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(column)}" for column, kind in columns.items())
            asked.db.run(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT {empty} WHERE false")
        return
    for usage in usages:
        for file in usage.stored:
            asked.store.checked(usage.folder / file.name)
    open_usages(asked.db, usages)


def _numbered(asked: Asked, part: Part, place: int) -> str:
    name = f"charged_in_{place}"
    asked.db.read_parquet(name, [asked.store.checked(part.allocations)])
    return f"SELECT {place} AS x_PartNo, * FROM {quoted(name)}"


def _billed(asked: Asked, part: Part, place: int) -> str | None:
    path, name = part.file("billed.parquet"), f"billed_of_{place}"
    if path is None:
        return None
    asked.db.read_parquet(name, [asked.store.checked(path)])
    return f"SELECT {place} AS x_PartNo, * FROM {quoted(name)}"


def _union(db: DuckDb, name: str, selects: Sequence[str]) -> None:
    db.run(f"CREATE OR REPLACE TEMP VIEW {name} AS {' UNION ALL BY NAME '.join(selects)}")
