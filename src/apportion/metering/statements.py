"""The SQL of metered shares, step by step: spans of charges, what was used in them, intervals of the whole.

Reads `charges`, `attributes`, `matches` (`matching`), the month's `usage`, `hours`, `resources`, `meters`, and
`unit_weights` and `sizes` (of resources, as configured). Whole numbers throughout: moments in microseconds, what was
used in billionths (GPU-nanoseconds), memory and storage in byte-seconds, so that the same rows give the same shares on
any number of threads.
"""

from __future__ import annotations

from apportion.core.measures import Basis, Measure, Rank
from apportion.core.money import BINARY_WHOLE
from apportion.metering.hours import FAMILY

WHOLE = BINARY_WHOLE

_HOUR = 3_600_000_000
_MICRO = 1_000_000
UNIT = 1_000_000_000
"""What one of a measure is counted as: billionths. Memory and storage are counted in whole byte-seconds."""
TOKEN_UNIT = UNIT * 1000
"""What one token of weight 1 is counted as."""
_PRECISE = 10**22
"""Larger quantities are divided without their last digits, so that a whole of them stays inside of 128 bits."""

# A charge without duration is divided as the hour that begins with it; charges of one attribute row that start together
# are divided by the longest time.
SPANS = """
CREATE OR REPLACE TEMP TABLE spans AS
WITH times AS (
    SELECT c.x_AttributeNo, m.x_ResourceNo, c.ChargePeriodStart AS span_start,
           max(CASE WHEN c.ChargePeriodEnd > c.ChargePeriodStart THEN c.ChargePeriodEnd
                    ELSE c.ChargePeriodStart + INTERVAL 1 HOUR END) AS span_end
    FROM charges AS c
    JOIN matches AS m ON m.x_AttributeNo = c.x_AttributeNo
    WHERE m.candidates = 1
    GROUP BY c.x_AttributeNo, m.x_ResourceNo, c.ChargePeriodStart
)
SELECT row_number() OVER (ORDER BY x_AttributeNo, span_start) AS span_no, * FROM times
"""


# Most charges are for a time within one UTC hour: they need no list of hours.
_SHORT = "span_end <= date_trunc('hour', span_start) + INTERVAL 1 HOUR"


def _hours_of(spans: str) -> str:
    """SQL for the hours of the spans in a table, their twins, and the microseconds of each that the span is for."""
    return f"""
    SELECT h.*, t.x_Twin,
           CAST(epoch_us(least(h.span_end, h.x_Hour + INTERVAL 1 HOUR)) - epoch_us(greatest(h.span_start, h.x_Hour))
                AS BIGINT) AS overlap
    FROM (
        SELECT *, true AS short, date_trunc('hour', span_start) AS x_Hour FROM {spans} WHERE {_SHORT}
        UNION ALL
        SELECT *, false, unnest(generate_series(date_trunc('hour', span_start),
                                                date_trunc('hour', span_end - INTERVAL 1 MICROSECOND),
                                                INTERVAL 1 HOUR))
        FROM {spans}
        WHERE NOT {_SHORT}
    ) AS h
    LEFT JOIN hours AS t ON t.x_ResourceNo = h.x_ResourceNo AND t.x_Hour = h.x_Hour
    """


# One family of measures divides a resource: the first that any workload has on it. Capacity alone divides nothing. Here
# and below an hour stands for its twins: jobs hold their GPUs for hours and days.
WEIGHED = f"""
CREATE OR REPLACE TEMP TABLE weighed AS
WITH told AS (
    SELECT u.*
    FROM usage AS u
    JOIN hours AS t ON t.x_ResourceNo = u.x_ResourceNo AND t.x_Hour = u.x_Hour AND t.x_Twin = t.x_Hour
    WHERE u.x_ResourceNo IN (SELECT x_ResourceNo FROM spans)
),
families AS (
    SELECT *, {FAMILY} AS family FROM told
),
chosen AS (
    SELECT x_ResourceNo, x_Family AS family FROM resources
)
SELECT f.x_WorkloadNo, f.x_ResourceNo, f.x_Hour, f.x_SourceNo, f.family, f.x_Basis, f.x_Coverage,
       CASE f.x_Measure WHEN '{Measure.GPU_SECONDS}' THEN 1 WHEN '{Measure.CPU_CORE_SECONDS}' THEN 2
                        WHEN '{Measure.MEMORY_BYTE_SECONDS}' THEN 3 ELSE 4 END AS component,
       CASE f.x_Measure
           WHEN '{Measure.MEMORY_BYTE_SECONDS}' THEN CAST(f.x_Quantity AS HUGEINT)
           WHEN '{Measure.STORAGE_BYTE_SECONDS}' THEN CAST(f.x_Quantity AS HUGEINT)
           WHEN '{Measure.TOKENS_INPUT}' THEN CAST(f.x_Quantity * {UNIT} AS HUGEINT) * $token_input // 1000
           WHEN '{Measure.TOKENS_CACHED}' THEN CAST(f.x_Quantity * {UNIT} AS HUGEINT) * $token_cached // 1000
           WHEN '{Measure.TOKENS_CACHE_WRITE}' THEN CAST(f.x_Quantity * {UNIT} AS HUGEINT) * $token_write // 1000
           WHEN '{Measure.TOKENS_OUTPUT}' THEN CAST(f.x_Quantity * {UNIT} AS HUGEINT) * $token_output // 1000
           ELSE CAST(f.x_Quantity * {UNIT} AS HUGEINT)
       END AS amount
FROM families AS f
JOIN chosen AS c ON c.x_ResourceNo = f.x_ResourceNo AND c.family = f.family
"""

EFFECTIVE = """
CASE $basis
    WHEN 'max' THEN coalesce(greatest(coalesce(requested, used), coalesce(used, requested)), estimated)
    WHEN 'requested' THEN coalesce(requested, used, estimated)
    ELSE coalesce(used, requested, estimated)
END
"""
"""SQL: what counts of `requested`, `used` and `estimated` under the setting `$basis`."""

# Requested and used are of one thing; several measures of one family (kinds of tokens) add up.
HOURLY = f"""
CREATE OR REPLACE TEMP TABLE hourly_use AS
WITH bases AS (
    SELECT x_ResourceNo, x_WorkloadNo, x_Hour, component,
           sum(amount) FILTER (WHERE x_Basis = '{Basis.REQUESTED}') AS requested,
           sum(amount) FILTER (WHERE x_Basis = '{Basis.USED}') AS used,
           sum(amount) FILTER (WHERE x_Basis = '{Basis.ESTIMATED}') AS estimated
    FROM weighed
    WHERE x_WorkloadNo IS NOT NULL
    GROUP BY ALL
)
SELECT x_ResourceNo, x_WorkloadNo, x_Hour, component, {EFFECTIVE} AS amount FROM bases
"""

# A component is there where a meter saw it used, or says that the machine has it. What only the table of machine types
# knows divides nothing: its weight goes to the components that were measured.
PRESENT = """
CREATE OR REPLACE TEMP TABLE present AS
SELECT x_ResourceNo, component FROM hourly_use WHERE amount > 0
UNION
SELECT x_ResourceNo, component FROM weighed WHERE x_WorkloadNo IS NULL AND amount > 0
"""

# Per source and hour, in ten-thousandths: how much of the hour it looked at anything. A source that saw others in an
# hour and not this resource says that it was not there. A source that saw nothing says nothing, and neither does one
# that knows what runs inside or what somebody wrote down: it does not list the machines.
WATCHED = f"""
CREATE OR REPLACE TEMP TABLE watched AS
SELECT u.x_SourceNo, u.x_Hour,
       max(CASE WHEN m.x_Rank <> {int(Rank.NESTED)} THEN CAST(u.x_Looked * 10000 AS BIGINT) ELSE 0 END) AS seen
FROM usage AS u
JOIN meters AS m ON m.x_SourceNo = u.x_SourceNo
GROUP BY u.x_SourceNo, u.x_Hour
"""

LIVES = f"""
CREATE OR REPLACE TEMP TABLE lives AS
WITH sources AS (
    SELECT w.x_ResourceNo, min(w.family) AS family,
           arg_min(w.x_SourceNo, CAST(m.x_Rank AS BIGINT) * 1000000000000 + w.x_SourceNo) AS x_SourceNo
    FROM weighed AS w
    JOIN meters AS m ON m.x_SourceNo = w.x_SourceNo
    GROUP BY w.x_ResourceNo
),
lived AS (
    SELECT t.x_ResourceNo, min(t.x_Hour) AS first_hour, max(t.x_Hour) AS last_hour
    FROM hours AS t
    SEMI JOIN weighed AS w ON w.x_ResourceNo = t.x_ResourceNo AND w.x_Hour = t.x_Twin
    GROUP BY t.x_ResourceNo
),
spread AS (
    SELECT x_SourceNo, min(x_Hour) AS first_hour, max(x_Hour) AS last_hour FROM watched GROUP BY x_SourceNo
),
looking AS (
    SELECT w.x_ResourceNo, min(s.first_hour) AS began, max(s.last_hour) AS ended
    FROM (SELECT DISTINCT x_ResourceNo, x_SourceNo FROM weighed) AS w
    JOIN spread AS s ON s.x_SourceNo = w.x_SourceNo
    JOIN meters AS m ON m.x_SourceNo = w.x_SourceNo AND (m.x_Complete OR m.x_Rank <> {int(Rank.NESTED)})
    GROUP BY w.x_ResourceNo
)
SELECT s.x_ResourceNo, s.family, s.x_SourceNo, m.x_Complete,
       coalesce(k.began, d.first_hour) AS began, coalesce(k.ended, d.last_hour) AS ended,
       CASE WHEN m.x_Complete THEN w.first_hour ELSE d.first_hour END AS first_hour,
       CASE WHEN m.x_Complete THEN w.last_hour ELSE d.last_hour END AS last_hour
FROM sources AS s
JOIN lived AS d ON d.x_ResourceNo = s.x_ResourceNo
JOIN meters AS m ON m.x_SourceNo = s.x_SourceNo
JOIN spread AS w ON w.x_SourceNo = s.x_SourceNo
LEFT JOIN looking AS k ON k.x_ResourceNo = s.x_ResourceNo
"""

# Microseconds of each span in which the resource was seen, and in which nobody looked: an outage during its life, and
# the time before its meters began and after they ended.
TIMES = f"""
CREATE OR REPLACE TEMP TABLE span_times AS
WITH seen AS (
    SELECT x_ResourceNo, x_Hour, max(CAST(x_Coverage * 10000 AS BIGINT)) AS seen FROM weighed GROUP BY ALL
),
span_hours AS ({_hours_of("spans")}),
hour_times AS (
    SELECT h.*, l.family,
           CASE WHEN h.x_Hour BETWEEN l.first_hour AND l.last_hour
                THEN CASE WHEN x.x_Hour IS NULL AND NOT l.x_Complete THEN 0
                          WHEN l.x_Complete THEN h.overlap
                          ELSE h.overlap * x.seen // 10000 END END AS alive,
           CASE WHEN h.x_Hour BETWEEN l.first_hour AND l.last_hour OR h.x_Hour NOT BETWEEN l.began AND l.ended
                THEN CASE WHEN h.x_Hour NOT BETWEEN l.began AND l.ended THEN h.overlap
                          WHEN l.x_Complete THEN 0
                          ELSE h.overlap * (10000 - greatest(coalesce(w.seen, 0), coalesce(x.seen, 0))) // 10000 END
           END AS missing
    FROM span_hours AS h
    LEFT JOIN lives AS l ON l.x_ResourceNo = h.x_ResourceNo
    LEFT JOIN seen AS x ON x.x_ResourceNo = h.x_ResourceNo AND x.x_Hour = h.x_Twin
    LEFT JOIN watched AS w ON w.x_SourceNo = l.x_SourceNo AND w.x_Hour = h.x_Hour
)
SELECT span_no, x_ResourceNo, family, CAST(NULL AS TIMESTAMP) AS long_start, CAST(NULL AS TIMESTAMP) AS long_end,
       x_Twin AS twin, overlap, CAST(alive AS HUGEINT) AS alive, CAST(missing AS HUGEINT) AS missing
FROM hour_times
WHERE short
UNION ALL
SELECT span_no, any_value(x_ResourceNo), any_value(family), any_value(span_start), any_value(span_end), NULL, NULL,
       sum(alive), sum(missing)
FROM hour_times
WHERE NOT short
GROUP BY span_no
"""

# Spans within one hour that had the same use for as long are divided alike, and so are those of one time: by the
# first of them.
ALIKE = """
CREATE OR REPLACE TEMP TABLE divisions AS
SELECT span_no, min(span_no) OVER same AS division_no
FROM span_times
WINDOW same AS (PARTITION BY x_ResourceNo, long_start, long_end, twin, overlap, alive, missing)
"""

DIVIDED = """
CREATE OR REPLACE TEMP TABLE divided_spans AS
SELECT s.* FROM spans AS s JOIN divisions AS d ON d.span_no = s.span_no AND d.division_no = s.span_no
"""

DIVIDING = f"""
CREATE OR REPLACE TEMP TABLE division_hours AS
WITH span_hours AS ({_hours_of("divided_spans")})
SELECT span_no, x_ResourceNo, x_Twin AS x_Hour, overlap FROM span_hours WHERE x_Twin IS NOT NULL
"""


def _within(amount: str) -> str:
    """SQL: what was used in the parts of hours of a group. Whole hours need no division, which is dear in 128 bits."""
    parts = f"sum(CASE WHEN h.overlap = {_HOUR} THEN 0 ELSE {amount} * h.overlap END)"
    whole = f"sum(CASE WHEN h.overlap = {_HOUR} THEN {amount} ELSE 0 END)"
    return f"{whole} + CASE WHEN {parts} = 0 THEN 0 ELSE {parts} // {_HOUR} END"


USES = f"""
CREATE OR REPLACE TEMP TABLE span_uses AS
WITH added AS (
    SELECT h.span_no, u.x_WorkloadNo, u.component, {_within("u.amount")} AS amount
    FROM division_hours AS h
    JOIN hourly_use AS u ON u.x_ResourceNo = h.x_ResourceNo AND u.x_Hour = h.x_Hour
    GROUP BY h.span_no, u.x_WorkloadNo, u.component
)
SELECT * FROM added WHERE amount > 0
"""

# What the resource had to give in the span: as meters say, else by the size of its machine and the time it was seen.
CAPACITIES = f"""
CREATE OR REPLACE TEMP TABLE span_capacities AS
WITH hourly AS (
    SELECT x_ResourceNo, x_Hour, component, max(amount) AS amount
    FROM weighed
    WHERE x_WorkloadNo IS NULL AND x_Basis = '{Basis.CAPACITY}'
    GROUP BY ALL
),
said AS (
    SELECT h.span_no, c.component, {_within("c.amount")} AS amount
    FROM division_hours AS h
    JOIN hourly AS c ON c.x_ResourceNo = h.x_ResourceNo AND c.x_Hour = h.x_Hour
    GROUP BY h.span_no, c.component
),
sized AS (
    SELECT s.span_no, z.component, z.size * t.alive // z.per AS amount
    FROM divided_spans AS s
    JOIN span_times AS t ON t.span_no = s.span_no
    JOIN sizes AS z ON z.x_ResourceNo = s.x_ResourceNo
    WHERE t.family = 1
)
SELECT span_no, component, coalesce(d.amount, z.amount) AS amount
FROM said AS d
FULL JOIN sized AS z USING (span_no, component)
"""

# The whole of a span: what nobody looked at on top, below it the components one above the other, each as wide as its
# weight, each divided by use. Use beyond its capacity is scaled down to it: a component weighs what the machine has of
# it.
PARTS = f"""
CREATE OR REPLACE TEMP TABLE span_parts AS
WITH used AS (
    SELECT span_no, component, sum(amount) AS used FROM span_uses GROUP BY ALL
),
there AS (
    SELECT s.span_no, p.component, coalesce(c.amount, 0) AS capacity, coalesce(u.used, 0) AS used,
           CASE WHEN c.amount > 0 THEN c.amount ELSE coalesce(u.used, 0) END AS size, w.weight, w.per
    FROM divided_spans AS s
    JOIN present AS p ON p.x_ResourceNo = s.x_ResourceNo
    JOIN unit_weights AS w ON w.x_ResourceNo = s.x_ResourceNo AND w.component = p.component
    LEFT JOIN used AS u ON u.span_no = s.span_no AND u.component = p.component
    LEFT JOIN span_capacities AS c ON c.span_no = s.span_no AND c.component = p.component
),
sized AS (
    SELECT *, CASE WHEN $idle = 'workloads' AND used > 0 THEN used ELSE greatest(capacity, used) END AS base,
           count(*) OVER (PARTITION BY span_no) > 1 AS several
    FROM there
    WHERE capacity > 0 OR used > 0
),
priced AS (
    SELECT *, CASE WHEN several THEN (weight * size // per) * {_MICRO} + (weight * size % per) * {_MICRO} // per
                   ELSE 1 END AS worth
    FROM sized
),
weighty AS (
    SELECT *, sum(worth) OVER (PARTITION BY span_no) AS all_worth FROM priced
),
worthy AS (
    SELECT *, CASE WHEN all_worth = 0 THEN 1 WHEN all_worth < {_PRECISE} THEN worth
                   ELSE worth // (all_worth // {_PRECISE}) END AS counted
    FROM weighty
),
measured AS (
    SELECT w.*, t.alive, t.missing, t.family,
           CASE WHEN t.family > 2 OR coalesce(t.missing, 0) = 0 THEN 0
                ELSE CAST({WHOLE} AS HUGEINT) * t.missing // (coalesce(t.alive, 0) + t.missing) END AS unseen,
           sum(counted) OVER (PARTITION BY w.span_no) AS all_counted,
           sum(counted) OVER (PARTITION BY w.span_no ORDER BY w.component) AS counted_up_to
    FROM worthy AS w
    JOIN span_times AS t ON t.span_no = w.span_no
)
SELECT span_no, component, base, CASE WHEN base >= {_PRECISE} THEN base // {_PRECISE} END AS unit,
       {WHOLE} - unseen AS seen,
       CASE WHEN counted = all_counted THEN {WHOLE} - unseen
            ELSE ({WHOLE} - unseen) * counted_up_to // all_counted
                 - ({WHOLE} - unseen) * (counted_up_to - counted) // all_counted END AS width
FROM measured
"""

INTERVALS = """
CREATE OR REPLACE TEMP TABLE span_intervals AS
WITH running AS (
    SELECT u.span_no, u.x_WorkloadNo, u.component, p.width, p.base, p.unit,
           sum(u.amount) OVER (PARTITION BY u.span_no, u.component ORDER BY u.x_WorkloadNo) AS up_to
    FROM span_uses AS u
    JOIN span_parts AS p ON p.span_no = u.span_no AND p.component = u.component
),
bounds AS (
    SELECT span_no, x_WorkloadNo, component,
           CASE WHEN unit IS NULL THEN width * up_to // base
                ELSE width * (up_to // unit) // (base // unit) END AS bound
    FROM running
),
pieces AS (
    SELECT span_no, x_WorkloadNo,
           bound - lag(bound, 1, 0) OVER (PARTITION BY span_no, component ORDER BY x_WorkloadNo) AS width
    FROM bounds
),
widths AS (
    SELECT span_no, x_WorkloadNo, sum(width) AS width FROM pieces GROUP BY span_no, x_WorkloadNo
)
SELECT span_no, x_WorkloadNo,
       CAST(sum(width) OVER w - width AS BIGINT) AS low, CAST(sum(width) OVER w AS BIGINT) AS high
FROM widths
WINDOW w AS (PARTITION BY span_no ORDER BY x_WorkloadNo)
"""

# Three kinds of holders of a span: each workload, what was idle, and the time nobody looked. A span in which nothing
# was seen at all belongs to the last.
HOLDERS = f"""
CREATE OR REPLACE TEMP TABLE span_holders AS
WITH bounds AS (
    SELECT s.span_no, s.x_ResourceNo,
           coalesce((SELECT max(i.high) FROM span_intervals AS i WHERE i.span_no = s.span_no), 0) AS used,
           coalesce((SELECT max(p.seen) FROM span_parts AS p WHERE p.span_no = s.span_no), 0) AS seen
    FROM divided_spans AS s
)
SELECT span_no, 'work' AS kind, x_WorkloadNo, low, high FROM span_intervals WHERE high > low
UNION ALL
SELECT span_no, 'idle', NULL, used, CAST(seen AS BIGINT) FROM bounds WHERE seen > used
UNION ALL
SELECT span_no, 'unmetered', NULL, CAST(seen AS BIGINT), {WHOLE} FROM bounds WHERE seen < {WHOLE}
"""

STEPS = (PRESENT, WATCHED, LIVES, TIMES, ALIKE, DIVIDED, DIVIDING, USES, CAPACITIES)
"""From `HOURLY` to `PARTS`: the time of each span, which spans are divided, what was used in them, what there was."""
