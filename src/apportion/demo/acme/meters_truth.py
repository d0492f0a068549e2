"""The truth about workloads: what each really used on each day, beside the meters that say it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from apportion.core.measures import Measure
from apportion.core.money import plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal
    from pathlib import Path

    from apportion.core.period import Month
    from apportion.demo.acme.company import Owner

MEASURES = (
    Measure.GPU_SECONDS,
    Measure.CPU_CORE_SECONDS,
    Measure.MEMORY_BYTE_SECONDS,
    Measure.STORAGE_BYTE_SECONDS,
    Measure.RUN_SECONDS,
    Measure.REQUESTS,
    Measure.TOKENS_INPUT,
    Measure.TOKENS_OUTPUT,
)
_SAID = ("source", "month", "day", "workload", "kind", "resource", "resource_id")
_OWNER = ("team", "project", "model", "environment", "pool")
COLUMNS = (*_SAID, *_OWNER, "parts", "whole", *MEASURES)
"""The columns of `truth/workloads`. Quantities are exact text in base units, null where no meter counts them."""
_NUMBERS = frozenset({"parts", "whole"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What one workload used of one resource on one day.

    `parts` of `whole` are its share of a resource that several use: equal to those of `truth/shared`.
    """

    source: str
    day: str
    workload: str
    kind: str
    resource: str
    resource_id: str
    owner: Owner
    used: Mapping[Measure, Decimal]
    parts: int = 1
    whole: int = 1


@dataclass(slots=True)
class Workloads:
    """Collects the workloads of one month after the other; `close_month` writes them."""

    folder: Path
    cells: dict[str, list[object]] = field(default_factory=lambda: {name: [] for name in COLUMNS})

    def add(self, worked: Worked) -> None:
        """Note one workload's day."""
        owner = worked.owner
        said = (worked.source, worked.day[:7], worked.day, worked.workload, worked.kind, worked.resource)
        owned = (owner.team, owner.project, owner.model, owner.environment, owner.pool)
        used = (plain(worked.used[measure]) if measure in worked.used else None for measure in MEASURES)
        values = (*said, worked.resource_id, *owned, worked.parts, worked.whole, *used)
        for column, value in zip(self.cells.values(), values, strict=True):
            column.append(value)

    def close_month(self, month: Month) -> None:
        """Write what was noted since the last call as `workloads/YYYY-MM.parquet`, and forget it."""
        kinds = {name: pa.int64() if name in _NUMBERS else pa.string() for name in COLUMNS}
        path = self.folder / "workloads" / f"{month}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({name: pa.array(cells, kinds[name]) for name, cells in self.cells.items()}), path)
        self.cells = {name: [] for name in COLUMNS}
