"""Samples cut at months, each thing counted once at a time, written as the files of one snapshot per month."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from apportion.core import tables
from apportion.core.arrow import schema
from apportion.core.period import Month
from apportion.engine.portion import portion

if TYPE_CHECKING:
    from pathlib import Path

    from apportion.engine.duck import DuckDb

_THING = "x_WorkloadId, x_MeteredId, x_Node, x_Cluster, x_Account, x_Measure, x_Basis, x_Key"

# One thing cannot be counted twice at a time: where samples of one key overlap, the one that starts later counts, and
# of those that start together the one read last, whatever else it says of the work (status, labels, user). Samples that
# overlap like tiles of a roof end where the next begins. Where one lies inside of another, the time of all of them is
# cut at every start and end, and each piece is of the last sample that covers it.
SINGLE = f"""
CREATE OR REPLACE TEMP TABLE single_samples AS
WITH ordered AS (
    SELECT r.*, s.x_WorkloadId, s.x_MeteredId, s.x_Node, s.x_Cluster, s.x_Account,
           lead(r.x_Start) OVER same AS following,
           max(r.x_End) OVER (same ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered
    FROM raw_samples AS r
    JOIN all_subjects AS s ON s.x_SubjectNo = r.x_SubjectNo
    WINDOW same AS (PARTITION BY {_THING} ORDER BY r.x_Start, r.x_RowNo)
),
islands AS (
    SELECT *, sum(CASE WHEN x_Start < covered THEN 0 ELSE 1 END) OVER (
               PARTITION BY {_THING} ORDER BY x_Start, x_RowNo ROWS UNBOUNDED PRECEDING
           ) AS island
    FROM ordered
),
told AS (
    SELECT *, bool_or(coalesce(x_End < covered, false)) OVER (PARTITION BY {_THING}, island) AS nested FROM islands
),
nests AS (
    SELECT *, dense_rank() OVER (ORDER BY {_THING}, island) AS nest FROM told WHERE nested
),
edges AS (
    SELECT nest, x_Start AS edge FROM nests UNION SELECT nest, x_End FROM nests
),
stretches AS (
    SELECT nest, edge AS low, lead(edge) OVER (PARTITION BY nest ORDER BY edge) AS high FROM edges
),
kept AS (
    SELECT * EXCLUDE (nested), x_Start AS low, least(x_End, coalesce(following, x_End)) AS high
    FROM told
    WHERE NOT nested
    UNION ALL
    SELECT n.* EXCLUDE (nested, nest), t.low, t.high
    FROM stretches AS t
    JOIN nests AS n ON n.nest = t.nest AND n.x_Start <= t.low AND n.x_End >= t.high
    QUALIFY row_number() OVER (PARTITION BY t.nest, t.low ORDER BY n.x_Start DESC, n.x_RowNo DESC) = 1
)
SELECT x_SubjectNo, x_RowNo, low AS x_Start, high AS x_End, x_Measure, x_Basis, x_Coverage, x_Key,
       {portion("x_Quantity", *(f"epoch_us({at}) - epoch_us(x_Start)" for at in ("low", "high", "x_End")))}
           AS x_Quantity,
       low > x_Start OR high < x_End AS x_Cut
FROM kept
WHERE high > low
"""

OVERLAPS = """
SELECT r.x_RowNo FROM raw_samples AS r
WHERE NOT EXISTS (
    SELECT 1 FROM single_samples AS s
    WHERE s.x_RowNo = r.x_RowNo AND s.x_SubjectNo = r.x_SubjectNo AND s.x_Measure = r.x_Measure
      AND s.x_Basis = r.x_Basis AND s.x_Key = r.x_Key AND s.x_Start = r.x_Start AND s.x_End = r.x_End
)
ORDER BY r.x_RowNo
"""
"""The rows that were left out or shortened because a later one covers their time."""

MONTHS = """
SELECT DISTINCT year(m), month(m)
FROM (
    SELECT unnest(generate_series(date_trunc('month', x_Start),
                                  date_trunc('month', x_End - INTERVAL 1 MICROSECOND), INTERVAL 1 MONTH)) AS m
    FROM single_samples
)
ORDER BY ALL
"""

_IN_MONTH = f"""
WITH inside AS (
    SELECT *, greatest(x_Start, $start) AS low, least(x_End, $until) AS high
    FROM single_samples
    WHERE x_Start < $until AND x_End > $start
),
cut AS (
    SELECT x_SubjectNo, x_RowNo, low AS x_Start, high AS x_End, x_Measure, x_Basis, x_Key,
           {
    portion(
        "x_Quantity",
        "epoch_us(low) - epoch_us(x_Start)",
        "epoch_us(high) - epoch_us(x_Start)",
        "epoch_us(x_End) - epoch_us(x_Start)",
    )
} AS x_Quantity, x_Coverage
    FROM inside
)
"""

_NUMBERED = f"""{_IN_MONTH},
subject_numbers AS (
    SELECT x_SubjectNo AS import_no, CAST(row_number() OVER (ORDER BY x_SubjectNo) AS INTEGER) AS x_SubjectNo
    FROM (SELECT DISTINCT x_SubjectNo FROM cut)
)
"""

_WRITE_SAMPLES = f"""{_NUMBERED}
SELECT row_number() OVER (ORDER BY c.x_RowNo, n.x_SubjectNo, c.x_Measure, c.x_Basis, c.x_Key, c.x_Start) AS x_SampleNo,
       n.x_SubjectNo, CAST(1 AS INTEGER) AS x_FileNo, c.x_RowNo, c.x_Start, c.x_End, c.x_Measure, c.x_Basis,
       c.x_Key, c.x_Quantity, c.x_Coverage
FROM cut AS c
JOIN subject_numbers AS n ON n.import_no = c.x_SubjectNo
ORDER BY x_SampleNo
"""

_WRITE_SUBJECTS = f"""{_NUMBERED}
SELECT n.x_SubjectNo, {", ".join(f"s.{tables.quoted(name)}" for name in tables.SUBJECTS if name != "x_SubjectNo")}
FROM all_subjects AS s
JOIN subject_numbers AS n ON n.import_no = s.x_SubjectNo
ORDER BY n.x_SubjectNo
"""


def months(db: DuckDb) -> list[Month]:
    """The months that the session's `raw_samples` touch, after each thing is counted once at a time."""
    db.run(SINGLE)
    return [Month(year, month) for year, month in db.rows(MONTHS)]


def write(db: DuckDb, month: Month, folder: Path) -> int:
    """`samples.parquet` and `subjects.parquet` of a month in the folder; returns the number of samples."""
    bounds = {"start": month.start, "until": month.end}
    db.copy(_WRITE_SAMPLES, folder / "samples.parquet", bounds)
    db.copy(_WRITE_SUBJECTS, folder / "subjects.parquet", bounds)
    db.read_parquet("written_samples", [folder / "samples.parquet"])
    return int(db.rows("SELECT count(*) FROM written_samples")[0][0])


def write_nothing(folder: Path) -> None:
    """The two files without a row: a month of which a file says nothing more."""
    pq.write_table(pa.Table.from_pylist([], schema(tables.SAMPLES)), folder / "samples.parquet")
    pq.write_table(pa.Table.from_pylist([], schema(tables.SUBJECTS)), folder / "subjects.parquet")
