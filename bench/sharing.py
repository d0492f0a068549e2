"""Shared cost at size: `python -m bench.sharing NAME WORKLOADS NODES` measures one job in a process of its own.

Each workload ran on one node of its own cluster's; each node has two idle rows, and a hundred rows of overhead
are for all. Idle is given to the jobs of the same node, overhead to all jobs, both by cost.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from apportion.engine.duck import DuckDb

SIZES = ((100_000, 1_000), (5_000_000, 5_000))
FOLDER = Path("build/bench")
MEMORY = "4GB"
CONFIG = """
[project]
name = "bench"
[[pools]]
id = "idle"
when = { kind = "idle" }
within = ["resource"]
grain = "job"
[[pools]]
id = "overhead"
when = { team = "overhead" }
grain = "job"
stage = 2
"""

ROWS = """
SELECT 1 AS x_PartNo, CAST(i AS INTEGER) AS x_AttributeNo, CAST(i AS INTEGER) AS x_OwnerNo,
       CASE WHEN kind = 'work' THEN 'unit-' || i % 7 ELSE 'unallocated' END AS x_BusinessUnit,
       CASE kind WHEN 'work' THEN 'team-' || i % 50 WHEN 'idle' THEN 'idle' ELSE 'overhead' END AS x_Team,
       'project-' || i % 500 AS x_Project, 'model-' || i % 2000 AS x_Model, 'prod' AS x_Environment,
       CASE kind WHEN 'work' THEN 'training_job' WHEN 'idle' THEN 'idle' END AS x_WorkloadKind,
       CASE WHEN kind = 'work' THEN 'k8s:east/ns-' || i % 300 || '/Job/' || i END AS x_WorkloadId,
       TIMESTAMP '2026-10-01' AS BillingPeriodStart, 'USD' AS BillingCurrency, '1' AS BillingAccountId,
       '2' AS SubAccountId, 'prod' AS SubAccountName, 'AWS' AS ServiceProviderName,
       'service' AS ServiceName, 'Compute' AS ServiceCategory,
       'Usage' AS ChargeCategory, CAST(NULL AS VARCHAR) AS x_Invoice, 'node-' || i % $nodes AS x_Resource,
       'east' AS x_Cluster, CAST(NULL AS TIMESTAMP) AS x_Bucket, 1::BIGINT AS x_ChargeCount, 1::BIGINT AS x_PieceCount,
       {metrics}, true AS when_1, true AS when_2, true AS basis_1, true AS basis_2, true AS from_1, true AS from_2
FROM (
    SELECT 'work' AS kind, i FROM range($workloads) AS t(i)
    UNION ALL SELECT 'idle', $workloads + i FROM range(2 * $nodes) AS t(i)
    UNION ALL SELECT 'overhead', $workloads + 2 * $nodes + i FROM range(100) AS t(i)
)
"""
FLOATS = """
WITH own AS (
    SELECT x_WorkloadId, x_Resource, SUM(CAST(BilledCost AS DOUBLE)) AS cost FROM rows
    WHERE x_WorkloadKind = 'training_job' GROUP BY ALL
),
nodes AS (SELECT x_Resource, SUM(cost) AS cost FROM own GROUP BY ALL),
idle AS (
    SELECT x_Resource, SUM(CAST(BilledCost AS DOUBLE)) AS cost FROM rows WHERE x_WorkloadKind = 'idle' GROUP BY ALL
),
overhead AS (SELECT SUM(CAST(BilledCost AS DOUBLE)) AS cost FROM rows WHERE x_Team = 'overhead')
SELECT o.x_WorkloadId, o.cost + i.cost * o.cost / n.cost + v.cost * o.cost / (SELECT SUM(cost) FROM own) AS cost
FROM own AS o JOIN nodes AS n USING (x_Resource) JOIN idle AS i USING (x_Resource) CROSS JOIN overhead AS v
"""


def shared(db: DuckDb) -> None:
    """Apportion: eight metrics given on exactly, every weight kept, conserved."""
    from apportion.allocation.pool_rows import numbered
    from apportion.allocation.pooling import share
    from apportion.core.config_file import parse_config

    db.run("CREATE VIEW before_rows AS SELECT * FROM rows")
    share(db, numbered(parse_config(CONFIG).pools))


def floats(db: DuckDb) -> None:
    """DuckDB: the same two divisions of one metric in floats, one statement, nothing kept (peer)."""
    db.run(f"CREATE TABLE result AS {FLOATS}")


JOBS: dict[str, Callable[[DuckDb], None]] = {"shared": shared, "floats": floats}


def measure() -> None:
    """Measure both jobs at every size, each in its own process, and print them with their ratio."""
    for workloads, nodes in SIZES:
        print(f"\n{workloads:,} workloads × {nodes:,} nodes, shared cost")
        walls = {}
        for name, job in JOBS.items():
            command = [sys.executable, "-m", "bench.sharing", name, str(workloads), str(nodes)]
            figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603
            walls[name] = figures["wall"]
            print(f"  {name:20} {figures['wall']:8.2f} s  {figures['peak']:7.0f} MB   {job.__doc__}")
        print(f"  exact and explained against floats: {walls['shared'] / walls['floats']:.2f} ×")


def main(name: str, workloads: int, nodes: int) -> None:
    """Make the rows, run one job, print wall seconds and peak megabytes as JSON; making the rows does not count."""
    from apportion.core import focus
    from apportion.engine import duck

    cost = "CAST(1 + i % 97 + i % 13 / 8.0 AS DECIMAL(38,18))"
    metrics = ", ".join(f'{cost} AS "{metric}"' for metric in focus.METRICS)
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"sharing-{workloads}-{nodes}.parquet"
    if not file.exists():
        with duck.session(memory=MEMORY, temp=FOLDER) as db:
            db.copy(ROWS.format(metrics=metrics), file, {"workloads": workloads, "nodes": nodes})
    with duck.session(memory=MEMORY, temp=FOLDER) as db:
        db.read_parquet("rows", [file])
        began = time.perf_counter()
        JOBS[name](db)
        wall = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": wall, "peak": peak}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
