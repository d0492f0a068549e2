"""Usage for the generated bill: every tenth resource is a machine of eight GPUs that three or four jobs share.

`held`: jobs hold their GPUs for 25 hours, as schedulers give them out. `measured`: each job uses another part of its
GPUs in every hour, so that no hour is like another.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

# Twenty blocks of 25 hours per machine; in every other block a fourth job: 3.5 jobs per machine and hour.
JOBS = """
SELECT b, w, n, 'job-' || (n % 40) || '-' || w AS workload, {resource} AS resource_id, 'team-' || (w % 6) AS team,
       'model-' || (n % 40) AS model
FROM range($machines) AS t(n), range(20) AS u(b), range(4) AS v(w)
WHERE NOT (w = 3 AND b % 2 = 0)
"""
USED = {
    "held": """
SELECT TIMESTAMP '2026-10-01' + INTERVAL 1 HOUR * (b * 25) AS start,
       TIMESTAMP '2026-10-01' + INTERVAL 1 HOUR * (b * 25 + 25) AS "end", workload,
       CAST(25 * 3600 AS DECIMAL(18,3)) AS quantity, resource_id, team, model
FROM jobs
""",
    "measured": """
SELECT TIMESTAMP '2026-10-01' + INTERVAL 1 HOUR * (b * 25 + h) AS start,
       TIMESTAMP '2026-10-01' + INTERVAL 1 HOUR * (b * 25 + h + 1) AS "end", workload,
       CAST(1000 + hash(n, b, h, w) % 2000000 AS DECIMAL(18,3)) * CAST(0.003 AS DECIMAL(18,3)) AS quantity,
       resource_id, team, model
FROM jobs, range(25) AS x(h)
""",
}
USAGE = """
WITH jobs AS ({jobs}), used AS ({used})
SELECT start, "end", workload, 'training_job' AS workload_kind, 'gpu_seconds' AS measure, quantity,
       'requested' AS basis, resource_id, team, model
FROM used
UNION ALL
SELECT TIMESTAMP '2026-10-01', TIMESTAMP '2026-10-01' + INTERVAL 500 HOUR, NULL, NULL, 'gpu_seconds',
       CAST(500 * 3600 * 8 AS DECIMAL(18,3)), 'capacity', {resource}, NULL, NULL
FROM range($machines) AS t(n)
"""
_RESOURCE = "'arn:aws:ec2:us-east-1:' || (n * 10 % 12) || ':instance/i-' || (n * 10)"
HOURS = 500
"""Hours of usage per machine; the bill has 500 hourly rows per resource."""


def path(bill: Path, kind: str = "held") -> Path:
    """Where the usage beside a bill lies."""
    return bill.with_name(bill.name.replace("bill-", f"usage-{kind}-"))


def write(bill: Path, rows: int) -> None:
    """Write the usage of the machines of a bill of that many rows, of both kinds; kept from an earlier call."""
    for kind, used in USED.items():
        target = path(bill, kind)
        if target.exists():
            continue
        machines = max(rows // HOURS, 50) // 10
        sql = USAGE.format(jobs=JOBS.format(resource=_RESOURCE), used=used, resource=_RESOURCE)
        with duckdb.connect() as db:
            db.execute(f"COPY ({sql.replace('$machines', str(machines))}) TO '{target}.part' (FORMAT parquet)")
        Path(f"{target}.part").rename(target)
