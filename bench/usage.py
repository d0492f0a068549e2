"""Usage for the generated bill: every tenth resource is a machine of eight GPUs that three or four jobs share."""

from __future__ import annotations

from pathlib import Path

import duckdb

# Twenty blocks of 25 hours per machine; in every other block a fourth job: 3.5 rows per machine and hour.
USAGE = """
SELECT TIMESTAMP '2026-10-01' + INTERVAL 1 HOUR * (b * 25) AS start,
       TIMESTAMP '2026-10-01' + INTERVAL 1 HOUR * (b * 25 + 25) AS "end",
       'job-' || (n % 40) || '-' || w AS workload, 'training_job' AS workload_kind, 'gpu_seconds' AS measure,
       CAST(25 * 3600 AS DECIMAL(18,3)) AS quantity, 'requested' AS basis, {resource} AS resource_id,
       'team-' || (w % 6) AS team, 'model-' || (n % 40) AS model
FROM range($machines) AS t(n), range(20) AS u(b), range(4) AS v(w)
WHERE NOT (w = 3 AND b % 2 = 0)
UNION ALL
SELECT TIMESTAMP '2026-10-01', TIMESTAMP '2026-10-01' + INTERVAL 500 HOUR, NULL, NULL, 'gpu_seconds',
       CAST(500 * 3600 * 8 AS DECIMAL(18,3)), 'capacity', {resource}, NULL, NULL
FROM range($machines) AS t(n)
"""
_RESOURCE = "'arn:aws:ec2:us-east-1:' || (n * 10 % 12) || ':instance/i-' || (n * 10)"
HOURS = 500
"""Hours of usage per machine; the bill has 500 hourly rows per resource."""


def path(bill: Path) -> Path:
    """Where the usage beside a bill lies."""
    return bill.with_name(bill.name.replace("bill-", "usage-"))


def write(bill: Path, rows: int) -> Path:
    """Write the usage of the machines of a bill of that many rows; kept from an earlier call."""
    target = path(bill)
    if not target.exists():
        machines = max(rows // HOURS, 50) // 10
        sql = USAGE.format(resource=_RESOURCE).replace("$machines", str(machines))
        with duckdb.connect() as db:
            db.execute(f"COPY ({sql}) TO '{target}.part' (FORMAT parquet)")
        Path(f"{target}.part").rename(target)
    return target
