"""The SQL that cuts samples at hours: what each meter said of an hour, which one counts, and which hours are alike.

Reads `read_samples`, `all_subjects`, `meters`, `resources`, `workloads` and `same_work` (made in `usage`) and, for what
is alike, the written usage as `made_usage`; makes `sample_hours`, `counting` and the rows of `usage` and `hours`.
"""

from __future__ import annotations

from apportion.core.measures import Measure
from apportion.engine.portion import part_of, quantity_of, units_of

FAMILY = f"""
CASE WHEN x_Measure IN ('{Measure.GPU_SECONDS}', '{Measure.CPU_CORE_SECONDS}', '{Measure.MEMORY_BYTE_SECONDS}')
         THEN 1
     WHEN x_Measure = '{Measure.STORAGE_BYTE_SECONDS}' THEN 2
     WHEN x_Measure = '{Measure.COMPUTE_SECONDS}' THEN 3
     WHEN x_Measure IN ('{Measure.TOKENS_INPUT}', '{Measure.TOKENS_CACHED}', '{Measure.TOKENS_CACHE_WRITE}',
                        '{Measure.TOKENS_OUTPUT}') THEN 4
     WHEN x_Measure = '{Measure.REQUESTS}' THEN 5
     WHEN x_Measure = '{Measure.REPORTED_COST}' THEN 6
     WHEN x_Measure = '{Measure.RUN_SECONDS}' THEN 7
END
"""
"""SQL for the family of a measure that can divide a resource; null for one that cannot."""

_KEPT_FROM_ALL = (Measure.GPU_BUSY_SECONDS, Measure.GPU_MEMORY_BYTE_SECONDS, Measure.ENERGY_JOULES)
_SEEN = ", ".join(f"'{measure}'" for measure in _KEPT_FROM_ALL)

_OF_RUNS = (Measure.GPU_SECONDS, Measure.CPU_CORE_SECONDS, Measure.MEMORY_BYTE_SECONDS, Measure.RUN_SECONDS)
_MACHINE = ", ".join(f"'{measure}'" for measure in _OF_RUNS)
_DROPPED = ", ".join(f"'{measure}'" for measure in (*_OF_RUNS, *_KEPT_FROM_ALL))
_PER_HOUR = 3_600_000_000

# Where two files of one source tell of the same thing at the same time, the later delivered one counts, from its first
# to its last moment in the hour: looked for among files whose times overlap. What is stored or served for a run is the
# work's, what the run itself was seen to compute on is the meter's to say.
SAMPLE_HOURS = f"""
CREATE OR REPLACE TEMP TABLE sample_hours AS
WITH file_times AS (
    SELECT x_SourceNo, x_FileNo, date_trunc('hour', min(x_Start)) AS low,
           date_trunc('hour', max(x_End) - INTERVAL 1 MICROSECOND) + INTERVAL 1 HOUR AS high
    FROM read_samples
    GROUP BY x_SourceNo, x_FileNo
),
overlapping AS (
    SELECT DISTINCT one.x_FileNo
    FROM file_times AS one
    JOIN file_times AS other
      ON other.x_SourceNo = one.x_SourceNo AND other.x_FileNo <> one.x_FileNo
     AND other.low < one.high AND one.low < other.high
),
numbered AS (
    SELECT w.x_WorkloadNo, r.x_ResourceNo, j.x_Cluster, s.x_SourceNo, s.x_FileNo, m.x_Rank, s.x_Measure, s.x_Basis,
           s.x_Key, s.x_Start, s.x_End, {units_of("s.x_Quantity")} AS units,
           CAST(s.x_Coverage * 10000 AS BIGINT) AS looked, o.x_FileNo IS NOT NULL AS told_twice
    FROM read_samples AS s
    JOIN meters AS m ON m.x_SourceNo = s.x_SourceNo
    JOIN all_subjects AS j ON j.x_FileNo = s.x_FileNo AND j.x_SubjectNo = s.x_SubjectNo
    LEFT JOIN overlapping AS o ON o.x_FileNo = s.x_FileNo
    LEFT JOIN resources AS r ON r.resource_key = j.resource_key
    LEFT JOIN same_work AS run ON run.run = j.x_WorkloadId
    LEFT JOIN workloads AS w ON w.x_WorkloadId = coalesce(run.work, j.x_WorkloadId)
    WHERE run.run IS NULL OR s.x_Measure NOT IN ({_DROPPED})
),
hourly AS (
    SELECT *, unnest(generate_series(date_trunc('hour', x_Start),
                                     date_trunc('hour', x_End - INTERVAL 1 MICROSECOND), INTERVAL 1 HOUR)) AS x_Hour
    FROM numbered
),
cut AS (
    SELECT *, greatest(x_Start, x_Hour) AS low, least(x_End, x_Hour + INTERVAL 1 HOUR) AS high FROM hourly
),
told_later AS (
    SELECT *, min(low) OVER later AS retold_from, max(high) OVER later AS retold_until FROM cut WHERE told_twice
    WINDOW later AS (
        PARTITION BY x_SourceNo, x_WorkloadNo, x_ResourceNo, x_Cluster, x_Measure, x_Basis, x_Key, x_Hour
        ORDER BY x_FileNo RANGE BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
    )
),
single AS (
    SELECT * FROM cut WHERE NOT told_twice
    UNION ALL
    SELECT * EXCLUDE (retold_from, retold_until) REPLACE (least(high, coalesce(retold_from, high)) AS high)
    FROM told_later
    WHERE retold_from IS NULL OR low < retold_from
    UNION ALL
    SELECT * EXCLUDE (retold_from, retold_until) REPLACE (greatest(low, retold_until) AS low)
    FROM told_later
    WHERE high > retold_until
),
timed AS (
    SELECT *, epoch_us(low) - epoch_us(x_Start) AS since, epoch_us(high) - epoch_us(x_Start) AS until,
           epoch_us(x_End) - epoch_us(x_Start) AS whole
    FROM single
)
SELECT x_WorkloadNo, x_ResourceNo, x_Cluster, x_SourceNo, x_Rank, x_Hour, x_Measure, x_Basis, x_Key,
       x_Measure IN ({_MACHINE}) AS of_machine,
       sum({part_of("units", "since", "until", "whole")}) AS units,
       sum(looked * (until - since) // {_PER_HOUR}) AS observed, max(looked) AS looked
FROM timed
GROUP BY ALL
"""

# Per resource and hour one meter counts the work: the most exact, then the one whose source comes first by name. What
# was held of a machine and what was served or stored there are two things, each with its own meter.
COUNTING = f"""
CREATE OR REPLACE TEMP TABLE counting AS
SELECT x_ResourceNo, x_Hour, of_machine, arg_min(x_SourceNo, x_Rank * 1000000 + x_SourceNo) AS x_SourceNo
FROM sample_hours
WHERE x_ResourceNo IS NOT NULL AND x_WorkloadNo IS NOT NULL
  AND x_Measure NOT IN ({_SEEN}, '{Measure.RUN_SECONDS}', '{Measure.REPORTED_COST}')
GROUP BY x_ResourceNo, x_Hour, of_machine
"""

# Of what a resource had to give, the clusters that list it speak for themselves: the most that one says counts.
USAGE = f"""
WITH counted AS (
    SELECT h.*
    FROM sample_hours AS h
    LEFT JOIN counting AS c
      ON c.x_ResourceNo = h.x_ResourceNo AND c.x_Hour = h.x_Hour AND c.of_machine = h.of_machine
    WHERE c.x_SourceNo IS NULL OR c.x_SourceNo = h.x_SourceNo OR h.x_Measure IN ({_SEEN}) OR h.x_WorkloadNo IS NULL
),
clusters AS (
    SELECT x_ResourceNo, x_Hour, x_Measure, x_Basis, x_SourceNo, x_Cluster, sum(units) AS units,
           max(observed) AS observed, max(looked) AS looked
    FROM counted
    WHERE x_WorkloadNo IS NULL
    GROUP BY ALL
),
said AS (
    SELECT x_WorkloadNo, x_ResourceNo, x_Hour, x_Measure, x_Basis, x_SourceNo, sum(units) AS units,
           max(observed) AS observed, max(looked) AS looked
    FROM counted
    WHERE x_WorkloadNo IS NOT NULL
    GROUP BY ALL
    UNION ALL
    SELECT NULL, x_ResourceNo, x_Hour, x_Measure, x_Basis, x_SourceNo, max(units), max(observed), max(looked)
    FROM clusters
    GROUP BY ALL
)
SELECT x_WorkloadNo, x_ResourceNo, x_Hour, x_Measure, x_Basis, {quantity_of("units")} AS x_Quantity,
       CAST(CAST(least(observed, 10000) AS DECIMAL(9,0)) * CAST('0.0001' AS DECIMAL(4,4)) AS DECIMAL(5,4))
           AS x_Coverage,
       CAST(CAST(looked AS DECIMAL(9,0)) * CAST('0.0001' AS DECIMAL(4,4)) AS DECIMAL(5,4)) AS x_Looked,
       x_SourceNo
FROM said
ORDER BY x_ResourceNo NULLS FIRST, x_Hour, x_WorkloadNo NULLS FIRST, x_Measure, x_Basis, x_SourceNo
"""


# Hours in which the counting meters said the same of a resource are told by a print: two sums of 64-bit hashes over the
# rows that can divide it. Two hours that differ have one print less than once in 10^30 pairs.
TWINS = f"""
WITH prints AS (
    SELECT x_ResourceNo, x_Hour,
           sum(hash(x_WorkloadNo, x_Measure, x_Basis, x_Quantity, x_Coverage, x_SourceNo)) AS one,
           sum(hash('other', x_SourceNo, x_Coverage, x_Quantity, x_Basis, x_Measure, x_WorkloadNo)) AS other
    FROM made_usage
    WHERE x_ResourceNo IS NOT NULL AND {FAMILY} IS NOT NULL
    GROUP BY x_ResourceNo, x_Hour
)
SELECT x_ResourceNo, x_Hour, min(x_Hour) OVER (PARTITION BY x_ResourceNo, one, other) AS x_Twin
FROM prints
ORDER BY x_ResourceNo, x_Hour
"""
