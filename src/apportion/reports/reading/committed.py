"""The rows of reservations and savings plans: what was bought, what used them, and what nobody used.

`open_committed` makes the view `committed`: the rows of the given bills whose text names a commitment, as tags, rules
and meters gave them, with its columns, `x_Use` (one of `Use`, else the charge's category) and `x_PoolId`, the pool that
gave the row on.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from apportion.core import tables
from apportion.core.tables import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from apportion.reports.reading.contract import Asked
    from apportion.store.records import Part


class Use(StrEnum):
    """What a row of a commitment is, in the order of a report."""

    BOUGHT = "bought"
    USED = "used"
    UNUSED = "unused"


_SAID = ("CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountType", "CommitmentDiscountCategory")

# FOCUS: a purchase has its whole price in BilledCost and nothing in EffectiveCost, what it covers and what is unused of
# it the other way round.
OF_PART = f"""
SELECT a.*, {", ".join(f"t.{name}" for name in _SAID)}, '{{snapshot}}' AS x_SnapshotId,
       CASE WHEN a.ChargeCategory = 'Purchase' THEN '{Use.BOUGHT}'
            WHEN t.CommitmentDiscountStatus = 'Unused' THEN '{Use.UNUSED}'
            WHEN a.ChargeCategory = 'Usage' THEN '{Use.USED}'
            ELSE lower(a.ChargeCategory) END AS x_Use
FROM {{rows}} AS a
JOIN {{texts}} AS t ON t.x_AttributeNo = a.x_AttributeNo
WHERE t.CommitmentDiscountId IS NOT NULL
"""

COMMITTED = """
CREATE OR REPLACE TEMP VIEW committed AS
WITH rows_of_bills AS (
    {selects}
),
given AS (
    SELECT DISTINCT t.x_SnapshotId, t.x_AttributeNo, t.x_OwnerNo, p.x_PoolId
    FROM taken AS t
    JOIN pools AS p ON p.x_Month = t.x_Month AND p.x_PoolNo = t.x_PoolNo
)
SELECT r.*, g.x_PoolId
FROM rows_of_bills AS r
LEFT JOIN given AS g
  ON g.x_SnapshotId = r.x_SnapshotId AND g.x_AttributeNo = r.x_AttributeNo AND g.x_OwnerNo = r.x_OwnerNo
"""

OWNERS = """
SELECT CommitmentDiscountId, x_Use, list_sort(list_distinct(list(x_Team)))
FROM committed
WHERE x_Use IN ($bought, $unused)
GROUP BY ALL
ORDER BY ALL
"""


def open_committed(asked: Asked, parts: Sequence[Part]) -> None:
    """Make `committed` over these bills; raises `DamagedFile` for a file that is not the stored one."""
    columns = {**tables.ALLOCATIONS, **dict.fromkeys((*_SAID, "x_SnapshotId", "x_Use"), "VARCHAR")}
    empty = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in columns.items())
    selects = [f"SELECT {empty} WHERE false"]
    for place, part in enumerate(parts, 1):
        rows, texts = f"committed_rows_{place}", f"committed_texts_{place}"
        asked.db.read_parquet(rows, [asked.store.checked(part.allocations)])
        asked.db.read_parquet(texts, [asked.store.checked(asked.store.snapshot(part.snapshot_id).attributes)])
        selects.append(OF_PART.format(rows=rows, texts=texts, snapshot=part.snapshot_id))
    asked.db.run(COMMITTED.format(selects=" UNION ALL BY NAME ".join(selects)))


def owners(asked: Asked) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Commitment -> `bought` and `unused` -> the teams that these rows of `committed` belong to."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, use, teams in asked.db.rows(OWNERS, {"bought": Use.BOUGHT, "unused": Use.UNUSED}):
        found.setdefault(name, {})[use] = tuple(teams)
    return found
