"""What each workload used, hour by hour, in one quantity of each measure."""

from __future__ import annotations

from apportion.core.measures import Basis

WORK_HOURS = f"""
CREATE OR REPLACE TEMP TABLE work_hours AS
WITH said AS (
    SELECT u.x_WorkloadNo, u.x_ResourceNo, u.x_Hour, u.x_Measure, u.x_Basis,
           arg_min(u.x_Quantity, CAST(m.x_Rank AS BIGINT) * 1000000000000 + u.x_SourceNo) AS quantity
    FROM usage AS u
    JOIN meters AS m ON m.x_SourceNo = u.x_SourceNo
    WHERE u.x_WorkloadNo IS NOT NULL
    GROUP BY ALL
)
SELECT x_WorkloadNo, x_ResourceNo, x_Hour, x_Measure,
       coalesce(max(quantity) FILTER (WHERE x_Basis = '{Basis.REQUESTED}'),
                max(quantity) FILTER (WHERE x_Basis = '{Basis.USED}'),
                max(quantity) FILTER (WHERE x_Basis = '{Basis.ESTIMATED}')) AS quantity
FROM said
GROUP BY ALL
"""
"""`work_hours`: per workload, resource, hour and measure what was requested, else used, else estimated, from the most
exact meter that says it. Reads `usage` and `meters`."""
