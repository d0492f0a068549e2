"""Our own check of a written dataset, from its rows alone: what FOCUS demands of split charges and validators skip.

Rules: FOCUS 1.3, "Data Generator-Calculated Split Cost Allocation Handling".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core import focus
from apportion.core.focus import Kind
from apportion.core.tables import AMOUNT, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from apportion.engine.duck import DuckDb

# The ratios are taken from the text: a JSON reader would make doubles of them, which do not add up to 1.
_RATIO = r"""'"AllocatedRatio":\s*([-+.0-9eE]+)'"""
RATIOS = f"""
WITH elements AS (
    SELECT x_OriginChargeId,
           CAST(unnest(regexp_extract_all(AllocatedMethodDetails, {_RATIO}, 1)) AS {AMOUNT}) AS ratio
    FROM dataset
    WHERE AllocatedMethodId IS NOT NULL
)
SELECT x_OriginChargeId, CAST(SUM(ratio) AS VARCHAR)
FROM elements
GROUP BY x_OriginChargeId
HAVING SUM(ratio) <> 1
ORDER BY x_OriginChargeId
"""

DIFFERING = """
SELECT x_OriginChargeId, {name} AS column_name
FROM dataset
WHERE AllocatedMethodId IS NOT NULL
GROUP BY x_OriginChargeId
HAVING COUNT(DISTINCT {column}) > 1 OR COUNT({column}) NOT IN (0, COUNT(*))
ORDER BY x_OriginChargeId
"""

UNSOUND = """
SELECT x_OriginChargeId,
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
ORDER BY x_OriginChargeId
"""

_SUMS = ", ".join(f"SUM({quoted(metric)}) AS {quoted(metric)}" for metric in focus.METRICS)
_DIFFER = " OR ".join(f"w.{quoted(metric)} IS DISTINCT FROM c.{quoted(metric)}" for metric in focus.METRICS)
UNEQUAL = f"""
WITH written AS (
    SELECT CAST(split_part(x_OriginChargeId, ':', 2) AS BIGINT) AS x_ChargeNo, {_SUMS}
    FROM dataset
    WHERE split_part(x_OriginChargeId, ':', 1) = $snapshot
    GROUP BY ALL
)
SELECT $snapshot || ':' || coalesce(w.x_ChargeNo, c.x_ChargeNo) AS charge
FROM written AS w
FULL JOIN origin AS c ON c.x_ChargeNo = w.x_ChargeNo
WHERE {_DIFFER}
ORDER BY coalesce(w.x_ChargeNo, c.x_ChargeNo)
"""

SHARED = tuple(c.name for c in focus.COLUMNS if c.kind is not Kind.METRIC and not c.name.startswith("Allocated"))
"""What all pieces of a charge have in common."""


def check_split(db: DuckDb, files: Sequence[Path], *, origins: Mapping[str, Path]) -> tuple[str, ...]:
    """The faults of a dataset in Parquet, each a sentence that names the charge; none if all is exact.

    `origins`: snapshot id -> its `charges.parquet`, for the snapshots whose charges must all be there, piece by piece
    or whole, with every metric adding up to the last digit.
    """
    db.read_parquet("dataset", list(files))
    return (*_of_rows(db), *_of_sums(db, origins))


def _of_rows(db: DuckDb) -> Iterator[str]:
    for charge, ratio in db.rows(RATIOS):
        yield f"The ratios of {charge} add up to {ratio}, not to 1."
    there = {name for (name,) in db.rows("SELECT column_name FROM (DESCRIBE dataset)")}
    for column in (name for name in SHARED if name in there):
        for charge, name in db.rows(DIFFERING.format(name=f"'{column}'", column=quoted(column))):
            yield f"The pieces of {charge} differ in {name}."
    for charge, fault in db.rows(UNSOUND):
        yield f"A row of {charge} {fault}."


def _of_sums(db: DuckDb, origins: Mapping[str, Path]) -> Iterator[str]:
    for snapshot, charges in sorted(origins.items()):
        db.read_parquet("origin", [charges])
        for (charge,) in db.rows(UNEQUAL, {"snapshot": snapshot}):
            yield f"The rows of {charge} do not add up to the charge."
