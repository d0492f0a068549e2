"""What pools matched and could not give: rows that stayed whose they are, for nobody weighed anything.

Only what was taken is stored, so the conditions are asked again, of the bills of each month under the run's own rules.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.allocation.pool_rows import claim, numbered
from apportion.core import tables
from apportion.core.arrow import from_rows
from apportion.core.config_file import parse_config
from apportion.core.tables import quoted
from apportion.ledger.sharing import open_rows
from apportion.reports.reading.metered import read_usages

if TYPE_CHECKING:
    from apportion.allocation.pool_rows import Pools
    from apportion.core.period import Month
    from apportion.reports.reading.contract import Asked

NO_ROWS = f"""
CREATE OR REPLACE TEMP TABLE left_rows (
    x_PoolId VARCHAR, {", ".join(f"{quoted(name)} {kind}" for name, kind in tables.ALLOCATIONS.items())}
)
"""

ADD_ROWS = f"""
INSERT INTO left_rows
SELECT i.x_PoolId, {", ".join(f"r.{quoted(name)}" for name in tables.ALLOCATIONS)}
FROM before_rows AS r
JOIN claims AS c ON c.x_PartNo = r.x_PartNo AND c.x_AttributeNo = r.x_AttributeNo AND c.x_OwnerNo = r.x_OwnerNo
JOIN pool_ids AS i ON i.x_PoolNo = c.x_PoolNo
JOIN bills AS b ON b.x_PartNo = r.x_PartNo
ANTI JOIN taken AS t
  ON t.x_SnapshotId = b.x_SnapshotId AND t.x_AttributeNo = r.x_AttributeNo AND t.x_OwnerNo = r.x_OwnerNo
"""


def open_leftover(asked: Asked) -> None:
    """Make `left_rows`: the rows of the asked months that a pool matched and did not take, with `x_PoolId`.

    Raises `DamagedFile` for a file that is not the stored one.
    """
    asked.db.run(NO_ROWS)
    months = sorted({sharing.period for sharing in asked.run.sharings if sharing.period in asked.period})
    if not months:
        return
    # what a pool takes does not depend on its time
    pools = numbered([replace(pool, time="month") for pool in parse_config(asked.run.config).pools])
    ids = [(no, pool.id) for no, pool in pools.items()]
    asked.db.register("pool_ids", from_rows({"x_PoolNo": pa.int32(), "x_PoolId": pa.string()}, ids))
    for month in months:
        _add(asked, month, pools)


def _add(asked: Asked, month: Month, pools: Pools) -> None:
    parts = [part for part in asked.run.parts if part.period == month]
    read_usages(asked, [usage for usage in asked.run.usages if usage.period == month])
    open_rows(asked.db, asked.store, parts, pools)
    claim(asked.db, pools)
    bills = [(place, part.snapshot_id) for place, part in enumerate(parts, 1)]
    asked.db.register("bills", from_rows({"x_PartNo": pa.int32(), "x_SnapshotId": pa.string()}, bills))
    asked.db.run(ADD_ROWS)
