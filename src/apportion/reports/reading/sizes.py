"""How large the metered machines are, and which of them nobody knows the size of.

What counts as idle is what a machine had to give less what was held; where its size is not known, its whole cost goes
to those that held anything of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.core.arrow import from_rows
from apportion.core.measures import Measure
from apportion.metering.machines import size_of
from apportion.metering.usage import RESOURCE_KEY

if TYPE_CHECKING:
    from apportion.core.config import MeteringConfig
    from apportion.reports.reading.contract import Asked

MACHINE_MEASURES = (Measure.GPU_SECONDS, Measure.CPU_CORE_SECONDS, Measure.MEMORY_BYTE_SECONDS)
"""The measures that divide a machine."""
_MEASURES = ", ".join(f"'{measure}'" for measure in MACHINE_MEASURES)

TYPES = "SELECT x_ResourceNo, x_InstanceType FROM resources ORDER BY x_ResourceNo"

UNSIZED = f"""
CREATE OR REPLACE TEMP TABLE unsized AS
WITH months AS (
    SELECT x_ResourceNo, x_Measure, date_trunc('month', x_Hour) AS month,
           bool_or(x_WorkloadNo IS NOT NULL) AS held, bool_or(x_WorkloadNo IS NULL) AS said
    FROM usage
    WHERE x_ResourceNo IS NOT NULL AND x_Quantity > 0 AND x_Measure IN ({_MEASURES})
    GROUP BY ALL
)
SELECT r.x_ResourceNo, {RESOURCE_KEY} AS resource_key, any_value(r.x_InstanceType) AS x_InstanceType,
       list_sort(list_distinct(list(m.x_Measure))) AS measures
FROM months AS m
JOIN resources AS r ON r.x_ResourceNo = m.x_ResourceNo AND r.x_Family = 1
LEFT JOIN machine_sizes AS z ON z.x_ResourceNo = m.x_ResourceNo AND z.x_Measure = m.x_Measure
WHERE m.held AND NOT m.said AND z.size IS NULL
GROUP BY ALL
"""


def open_sizes(asked: Asked, config: MeteringConfig) -> None:
    """Make `machine_sizes` and `unsized`, after `open_places`.

    `machine_sizes`: resource, measure -> GPUs, cores, bytes, as `[metering.machines]` or the shipped table says of its
    instance type. `unsized`: machines of which something was held in a month whose size neither those nor a capacity
    sample of that month says, with the measures.
    """
    found = asked.db.rows(TYPES)
    sizes = [(no, measure, size) for no, kind in found for measure, size in _sizes(kind or "", config)]
    kinds = {"x_ResourceNo": pa.int32(), "x_Measure": pa.string(), "size": pa.int64()}
    asked.db.register("machine_sizes", from_rows(kinds, sizes))
    asked.db.run(UNSIZED)


def _sizes(instance_type: str, config: MeteringConfig) -> list[tuple[str, int]]:
    found = size_of(instance_type, config)
    if found is None:
        return []
    sizes = (found.gpus, found.cpu_cores, found.memory_bytes)
    return [(measure, size) for measure, size in zip(MACHINE_MEASURES, sizes, strict=True) if size]
