"""Our own check of a written dataset, from its rows alone: what FOCUS demands of split charges and validators skip.

Rules: FOCUS 1.3, "Data Generator-Calculated Split Cost Allocation Handling". Where a pool took a piece of a charge, its
other pieces say so (`x_PooledRatio`), and the pool's rows add up to all it took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core import focus
from apportion.core.focus import Kind
from apportion.core.tables import AMOUNT, TAKEN, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from apportion.engine.duck import DuckDb
    from apportion.store.records import Part

_ORIGIN = "coalesce(x_OriginChargeId, x_PooledCostId)"
"""SQL: what a row is a piece of: a charge, or a cost that a pool took."""

# The ratios are taken from the text: a JSON reader would make doubles of them, which do not add up to 1.
_NUMBER = r":\s*([-+.0-9eE]+)"
RATIOS = f"""
WITH said AS (
    SELECT {_ORIGIN} AS origin, regexp_extract_all(AllocatedMethodDetails, '"AllocatedRatio"{_NUMBER}', 1) AS ratios,
           nullif(regexp_extract(AllocatedMethodDetails, '"x_PooledRatio"{_NUMBER}', 1), '') AS pooled
    FROM dataset
    WHERE AllocatedMethodId IS NOT NULL
),
elements AS (
    SELECT origin, CAST(unnest(ratios) AS {AMOUNT}) AS ratio FROM said
    UNION ALL
    SELECT origin, CAST(max(pooled) AS {AMOUNT}) FROM said GROUP BY origin
)
SELECT origin, CAST(SUM(ratio) AS VARCHAR)
FROM elements
GROUP BY origin
HAVING SUM(ratio) <> 1
ORDER BY origin
"""

DIFFERING = f"""
SELECT {_ORIGIN} AS origin, {{name}} AS column_name
FROM dataset
WHERE AllocatedMethodId IS NOT NULL
GROUP BY origin
HAVING COUNT(DISTINCT {{column}}) > 1 OR COUNT({{column}}) NOT IN (0, COUNT(*))
ORDER BY origin
"""

UNSOUND = f"""
SELECT {_ORIGIN} AS origin,
       CASE WHEN AllocatedMethodId IS NULL THEN 'is not split but says how it was'
            WHEN (AllocatedResourceId IS NULL) <> (AllocatedResourceName IS NULL)
            THEN 'has AllocatedResourceId or AllocatedResourceName without the other'
            WHEN AllocatedMethodDetails IS NULL THEN 'is split and does not say in which ratio'
            ELSE 'repeats a key of Tags in AllocatedTags' END AS fault
FROM dataset
WHERE CASE WHEN AllocatedMethodId IS NULL
           THEN coalesce(AllocatedMethodDetails, AllocatedResourceId, AllocatedResourceName, AllocatedTags) IS NOT NULL
           ELSE (AllocatedResourceId IS NULL) <> (AllocatedResourceName IS NULL) OR AllocatedMethodDetails IS NULL
                OR coalesce(len(list_intersect(json_keys(Tags), json_keys(AllocatedTags))) > 0, false) END
ORDER BY origin
"""

_METRICS = ", ".join(quoted(metric) for metric in focus.METRICS)
_SUMS = ", ".join(f"SUM({quoted(metric)}) AS {quoted(metric)}" for metric in focus.METRICS)
_DIFFER = " OR ".join(f"w.{quoted(metric)} IS DISTINCT FROM c.{quoted(metric)}" for metric in focus.METRICS)
# What a pool took is known by the text half of charges only: charges that share it are looked at together.
UNEQUAL = f"""
WITH pooled AS (
    SELECT x_AttributeNo, {_SUMS} FROM taken WHERE x_SnapshotId = $snapshot GROUP BY x_AttributeNo
),
together AS (
    SELECT c.x_ChargeNo, c.x_AttributeNo,
           CASE WHEN p.x_AttributeNo IS NULL THEN c.x_ChargeNo
                ELSE min(c.x_ChargeNo) OVER (PARTITION BY c.x_AttributeNo) END AS first_no
    FROM origin AS c
    LEFT JOIN pooled AS p ON p.x_AttributeNo = c.x_AttributeNo
),
rows_written AS (
    SELECT CAST(split_part(x_OriginChargeId, ':', 2) AS BIGINT) AS x_ChargeNo, {_METRICS}
    FROM dataset
    WHERE split_part(x_OriginChargeId, ':', 1) = $snapshot
),
places AS (
    SELECT coalesce(t.first_no, r.x_ChargeNo) AS first_no, {_METRICS}
    FROM rows_written AS r
    LEFT JOIN together AS t ON t.x_ChargeNo = r.x_ChargeNo
    UNION ALL
    SELECT t.first_no, {_METRICS}
    FROM pooled AS p
    JOIN together AS t ON t.x_AttributeNo = p.x_AttributeNo AND t.x_ChargeNo = t.first_no
),
written AS (
    SELECT first_no, {_SUMS} FROM places GROUP BY first_no
),
charged AS (
    SELECT t.first_no, {_SUMS} FROM origin AS c JOIN together AS t ON t.x_ChargeNo = c.x_ChargeNo GROUP BY t.first_no
)
SELECT $snapshot || ':' || coalesce(w.first_no, c.first_no) AS charge
FROM written AS w
FULL JOIN charged AS c ON c.first_no = w.first_no
WHERE {_DIFFER}
ORDER BY coalesce(w.first_no, c.first_no)
"""
UNEQUAL_POOLS = f"""
WITH written AS (
    SELECT x_PoolId, BillingCurrency, {_SUMS}
    FROM dataset
    WHERE x_PoolId IS NOT NULL AND CAST(BillingPeriodStart AS TIMESTAMP) = $month
    GROUP BY x_PoolId, BillingCurrency
),
came AS (
    SELECT p.x_PoolId, c.BillingCurrency, {_SUMS}
    FROM taken AS t
    JOIN cells AS c ON c.x_CellNo = t.x_CellNo
    JOIN pools AS p ON p.x_PoolNo = t.x_PoolNo
    GROUP BY p.x_PoolId, c.BillingCurrency
)
SELECT coalesce(w.x_PoolId, c.x_PoolId), coalesce(w.BillingCurrency, c.BillingCurrency)
FROM written AS w
FULL JOIN came AS c ON c.x_PoolId = w.x_PoolId AND c.BillingCurrency = w.BillingCurrency
WHERE {_DIFFER}
ORDER BY ALL
"""

_NOTHING_TAKEN = "CREATE OR REPLACE TEMP VIEW taken AS SELECT {columns} WHERE false"

SHARED = tuple(c.name for c in focus.COLUMNS if c.kind is not Kind.METRIC and not c.name.startswith("Allocated"))
"""What all pieces of a charge have in common."""


def check_split(
    db: DuckDb, files: Sequence[Path], *, origins: Mapping[str, Path], sharings: Sequence[Part] = ()
) -> tuple[str, ...]:
    """The faults of a dataset in Parquet, each a sentence that names the charge; none if all is exact.

    `origins`: snapshot id -> its `charges.parquet`, for the snapshots whose charges must all be there, piece by piece
    or whole, with every metric adding up to the last digit. `sharings`: the shared costs of the months, where the
    dataset shows them: what pools took of charges must be in the rows of the pools.
    """
    db.read_parquet("dataset", list(files))
    return (*_of_rows(db), *_of_sums(db, origins, sharings), *_of_pools(db, sharings))


def _of_rows(db: DuckDb) -> Iterator[str]:
    for origin, ratio in db.rows(RATIOS):
        yield f"The ratios of {origin} add up to {ratio}, not to 1."
    there = {name for (name,) in db.rows("SELECT column_name FROM (DESCRIBE dataset)")}
    for column in (name for name in SHARED if name in there):
        for origin, name in db.rows(DIFFERING.format(name=f"'{column}'", column=quoted(column))):
            yield f"The pieces of {origin} differ in {name}."
    for origin, fault in db.rows(UNSOUND):
        yield f"A row of {origin} {fault}."


def _of_sums(db: DuckDb, origins: Mapping[str, Path], sharings: Sequence[Part]) -> Iterator[str]:
    columns = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in TAKEN.items())
    db.run(_NOTHING_TAKEN.format(columns=columns))
    if sharings:
        db.read_parquet("taken", [sharing.folder / "taken.parquet" for sharing in sharings])
    for snapshot, charges in sorted(origins.items()):
        db.read_parquet("origin", [charges])
        for (charge,) in db.rows(UNEQUAL, {"snapshot": snapshot}):
            yield f"The rows of {charge} do not add up to the charge."


def _of_pools(db: DuckDb, sharings: Sequence[Part]) -> Iterator[str]:
    for sharing in sharings:
        for name in ("taken", "cells", "pools"):
            db.read_parquet(name, [sharing.folder / f"{name}.parquet"])
        for pool, currency in db.rows(UNEQUAL_POOLS, {"month": sharing.period.start}):
            yield f"The rows of pool {pool} do not add up to what it took in {sharing.period} in {currency}."
