"""Several snapshots opened as one: their attributes and allocations, with attribute numbers that do not collide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.tables import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.engine.duck import DuckDb
    from apportion.store import Store
    from apportion.store.records import Part

MONEY = """
CREATE OR REPLACE TEMP VIEW money AS
SELECT x_AttributeNo, BillingCurrency, SUM(BilledCost) AS BilledCost,
       CAST(SUM(x_ChargeCount) AS BIGINT) AS x_ChargeCount
FROM allocations
GROUP BY x_AttributeNo, BillingCurrency
"""
"""BilledCost and the number of charges per attribute row and currency."""

_MOVED = "SELECT * REPLACE (CAST(x_AttributeNo + {offset} AS INTEGER) AS x_AttributeNo) FROM {name}"


def open_together(db: DuckDb, store: Store, parts: Sequence[Part]) -> None:
    """Make the views `attributes`, `allocations` and `money` (see `MONEY`) over all parts; hashes are checked."""
    offset = 0
    moved: dict[str, list[str]] = {"attributes": [], "allocations": []}
    for place, part in enumerate(parts):
        paths = {"attributes": store.snapshot(part.snapshot_id).attributes, "allocations": part.allocations}
        for name, path in paths.items():
            one = f"{name}_{place}"
            db.read_parquet(one, [store.checked(path)])
            moved[name].append(_MOVED.format(offset=offset, name=quoted(one)))
        ((count,),) = db.rows(f"SELECT coalesce(max(x_AttributeNo), 0) FROM {quoted(f'attributes_{place}')}")
        offset += count
    for name, selects in moved.items():
        db.run(f"CREATE OR REPLACE TEMP VIEW {name} AS {' UNION ALL '.join(selects)}")
    db.run(MONEY)
