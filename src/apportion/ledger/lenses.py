"""Two lenses on a run: who was charged before pools gave shared cost on, and after.

`open_lenses` makes, over the opened months, `allocations` (by the lens that was asked), `allocations_before`,
`taken_rows`, and the views of `ledger.sharing.open_sharings`. Each has, beside the columns of the table `allocations`,
`x_PoolId`, `x_LastPoolId`, `x_Path`, `x_OriginTeam` and `x_OriginKind`, null for rows that no pool gave, and
`x_CostKind`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from apportion.core import tables
from apportion.core.measures import WorkloadKind
from apportion.core.tables import quoted
from apportion.ledger.sharing import open_sharings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.engine.duck import DuckDb
    from apportion.store import Store
    from apportion.store.records import Part


class Lens(StrEnum):
    """Which rows a report adds up."""

    BEFORE = "before"
    """As tags, rules and meters gave them."""
    AFTER = "after"
    """With the shared cost where pools gave it."""


class CostKind(StrEnum):
    """What a row of a lens is; the amounts of a group by kind add up to its cost."""

    DIRECT = "direct"
    METERED = "metered"
    IDLE = "idle"
    """Capacity that nobody used, also where a pool gave it on."""
    SHARED = "shared"
    """Everything else that pools gave."""


_POOLED = ("x_PoolId", "x_LastPoolId", "x_Path", "x_OriginTeam", "x_OriginKind")
_NONE = ", ".join(f"CAST(NULL AS VARCHAR) AS {name}" for name in _POOLED)
_COLUMNS = ", ".join(quoted(name) for name in tables.ALLOCATIONS)

_OWN_KIND = f"""
CASE WHEN x_WorkloadKind = '{WorkloadKind.IDLE}' THEN '{CostKind.IDLE}'
     WHEN x_WorkloadKind IS NULL OR x_WorkloadKind = '{WorkloadKind.UNMETERED}' THEN '{CostKind.DIRECT}'
     ELSE '{CostKind.METERED}' END"""

BEFORE = f"""
CREATE OR REPLACE TEMP VIEW allocations_before AS
SELECT {_COLUMNS}, {_NONE}, {_OWN_KIND} AS x_CostKind FROM allocations_of_parts
"""
TAKEN = f"""
CREATE OR REPLACE TEMP VIEW taken_rows AS
SELECT {", ".join(f"a.{quoted(name)}" for name in tables.ALLOCATIONS)}, p.x_PoolId,
       {", ".join(f"CAST(NULL AS VARCHAR) AS {name}" for name in _POOLED[1:])}, {_OWN_KIND} AS x_CostKind
FROM allocations_of_parts AS a
JOIN (SELECT DISTINCT x_Month, x_SnapshotId, x_AttributeNo, x_OwnerNo, x_PoolNo FROM taken) AS t
  ON t.x_SnapshotId = a.x_SnapshotId AND t.x_AttributeNo = a.x_AttributeNo AND t.x_OwnerNo = a.x_OwnerNo
JOIN pools AS p ON p.x_Month = t.x_Month AND p.x_PoolNo = t.x_PoolNo
"""
AFTER = f"""
CREATE OR REPLACE TEMP VIEW allocations_after AS
SELECT {_COLUMNS}, {_NONE}, {_OWN_KIND} AS x_CostKind
FROM allocations_of_parts AS a
ANTI JOIN taken AS t
  ON t.x_SnapshotId = a.x_SnapshotId AND t.x_AttributeNo = a.x_AttributeNo AND t.x_OwnerNo = a.x_OwnerNo
UNION ALL BY NAME
SELECT NULL AS x_AttributeNo, NULL AS x_OwnerNo,
       {", ".join(quoted(name) for name in tables.ALLOCATIONS if name in tables.SHARED)}, {", ".join(_POOLED)},
       CASE WHEN x_OriginKind = '{WorkloadKind.IDLE}' THEN '{CostKind.IDLE}' ELSE '{CostKind.SHARED}' END AS x_CostKind
FROM shared
"""


def open_lenses(db: DuckDb, store: Store, parts: Sequence[Part], sharings: Sequence[Part], lens: Lens) -> None:
    """Make the views of the module's docstring; raises `DamagedFile` for a file that is not the stored one."""
    by_snapshot = []
    for place, part in enumerate(parts):
        name = f"allocations_of_{place}"
        db.read_parquet(name, [store.checked(part.allocations)])
        by_snapshot.append(f"SELECT '{part.snapshot_id}' AS x_SnapshotId, * FROM {name}")
    db.run(f"CREATE OR REPLACE TEMP VIEW allocations_of_parts AS {' UNION ALL '.join(by_snapshot)}")
    open_sharings(db, store, sharings)
    for statement in (BEFORE, TAKEN, AFTER):
        db.run(statement)
    shown = lens if sharings else Lens.BEFORE
    db.run(f"CREATE OR REPLACE TEMP VIEW allocations AS SELECT * FROM allocations_{shown}")
