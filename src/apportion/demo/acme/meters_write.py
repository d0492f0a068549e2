"""Write what acme's meters say, month by month: the cluster, the tracker, the gateway and acme's own counts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from apportion.core.measures import WorkloadKind
from apportion.demo.acme.meters_cluster import write_cluster
from apportion.demo.acme.meters_gateway import write_gateway
from apportion.demo.acme.meters_runs import write_runs
from apportion.demo.acme.meters_truth import Workloads
from apportion.demo.acme.meters_usage import write_usage
from apportion.demo.acme.meters_works import works

if TYPE_CHECKING:
    from pathlib import Path

    from apportion.demo.acme.usage import Plan


def write_meters(folder: Path, plan: Plan) -> None:
    """Write `meters/` and `truth/workloads/` for all months of the plan."""
    workloads, versions = Workloads(folder / "truth"), Counter[str]()
    for month in plan:
        clouds = list(works(plan, month))
        jobs = [work for work in clouds if work.kind is WorkloadKind.TRAINING_JOB]
        write_cluster(folder, plan, month, workloads)
        write_runs(folder, month, jobs, versions, workloads)
        write_usage(folder, plan, month, clouds, workloads)
        write_gateway(folder, plan, month, workloads)
        workloads.close_month(month)
