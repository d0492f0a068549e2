"""What OpenCost says about the cluster acme-ml: whose pods held how much of each node, and what each node had to give.

On every node and day a model's pod holds the same part of the GPUs, the cores and the memory, which is its part of
`cluster.pods_of`: so the split of the node's charge does not depend on how GPUs are weighed against cores. A pod holds
it evenly over all hours the node is there (the GPUs are shared by time slicing). Pods keep their volumes on the disks
inside the nodes, which cost nothing of their own.

The shape is that of OpenCost's `/allocation` (not aggregated, `includeIdle`, `idleByNode`) and `/assets`; the last
month of the bill was asked for in windows of an hour, the months before in windows of a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.measures import Measure, WorkloadKind
from apportion.demo.acme.aws_plan import NODES
from apportion.demo.acme.cluster import pods_of
from apportion.demo.acme.meters_file import write_lines
from apportion.demo.acme.meters_machines import GIB, NODE_MACHINES, Machine
from apportion.demo.acme.meters_pods import Pod, pod_of
from apportion.demo.acme.meters_truth import Worked
from apportion.demo.acme.usage import Plan, Resource, chance, days_of, digest, uses

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from apportion.core.period import Month
    from apportion.demo.acme.company import Owner
    from apportion.demo.acme.meters_truth import Workloads

CLUSTER = "acme-ml"
TICK = timedelta(minutes=3)
"""Times on the cluster are whole ticks, 20 to the hour: OpenCost sees a little less of a node than is billed."""
_HOUR, _DAY = 20, 24 * 20
_STARTS = {"ng-g5": 12, "ng-p4d": 5, "ng-p5": 8}
"""Node group -> the hour at which its nodes come up on the days on which they sleep."""
_GPU_PRICE, _CORE_PRICE, _GIB_PRICE = 0.95, 0.031611, 0.004237
"""OpenCost's default prices of an hour: list prices, no money of acme's."""

Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class NodeDay:
    """A node on one day: there from tick `start` to tick `end` of the day, and the parts of it that each pod held."""

    node: Resource
    start: int
    end: int
    pods: Sequence[tuple[Pod, int]]
    parts: Sequence[tuple[Owner, int]]

    @property
    def machine(self) -> Machine:
        """What the node has to give."""
        return NODE_MACHINES[self.node.sku]

    @property
    def instance_id(self) -> str:
        """The id under which AWS bills the node."""
        return f"i-0{digest(self.node.name, 'aws')}"


def write_cluster(folder: Path, plan: Plan, month: Month, workloads: Workloads) -> None:
    """Write `meters/opencost/YYYY-MM.jsonl.gz`: for each day an answer of `/allocation` and one of `/assets`."""
    hours = 1 if month == plan.last else 24
    lines: list[Document] = []
    for day, nodes in enumerate(_node_days(plan, month), start=1):
        midnight = datetime(month.year, month.month, day)
        lines.append(_answer([_allocations(nodes, midnight, first, hours) for first in range(0, 24, hours)]))
        lines.append(_answer({key: asset for node in nodes for key, asset in _asset(node, midnight)}))
        for node in nodes:
            _tell(workloads, node, midnight)
    write_lines(folder / "meters" / "opencost" / f"{month}.jsonl.gz", lines)


def _node_days(plan: Plan, month: Month) -> list[list[NodeDay]]:
    days: list[list[NodeDay]] = [[] for _ in range(days_of(month))]
    for node in plan.scaled(NODES):
        for day, quantity, _ in uses(node, month, plan):
            days[day - 1].append(_node_day(node, month, day, ticks=int(quantity * _HOUR), plan=plan))
    return days


def _node_day(node: Resource, month: Month, day: int, *, ticks: int, plan: Plan) -> NodeDay:
    group = next(group for group in _STARTS if node.name.startswith(f"{group}-"))
    start = 0 if ticks == _DAY else _STARTS[group] * _HOUR
    parts = pods_of(node, month, day=day, plan=plan)
    pods = [(pod_of(owner, group=group, node=node.name, month=month, day=day), n) for owner, n in parts if owner.model]
    return NodeDay(node, start, start + ticks, pods, parts)


def _answer(found: object) -> Document:
    return {"code": 200, "data": found}


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _allocations(nodes: Sequence[NodeDay], midnight: datetime, first: int, hours: int) -> Document:
    """One window: what every pod held of its node in it, and the idle rest of each node."""
    found: Document = {}
    for node in nodes:
        start, end = max(node.start, first * _HOUR), min(node.end, (first + hours) * _HOUR)
        if start >= end:
            continue
        window = _span(midnight, first * _HOUR, (first + hours) * _HOUR)
        times = {"window": window, **_span(midnight, start, end), "minutes": (end - start) * 3}
        for pod, parts in node.pods:
            name = f"{CLUSTER}/{node.node.name}/{pod.namespace}/{pod.name}/{pod.container}"
            found[name] = {"name": name, **_pod(node, pod, times, parts=parts, ticks=end - start)}
        if node.parts[-1][0].pool == "idle":
            name = f"{CLUSTER}/{node.node.name}/__idle__"
            found[name] = {"name": name, **_idle(node, times, parts=node.parts[-1][1], ticks=end - start)}
    return found


def _span(midnight: datetime, start: int, end: int) -> Document:
    return {"start": _stamp(midnight + start * TICK), "end": _stamp(midnight + end * TICK)}


def _pod(node: NodeDay, pod: Pod, times: Document, *, parts: int, ticks: int) -> Document:
    machine, words = node.machine, (pod.name, times["start"])
    held, hours = parts / 1000, ticks / _HOUR
    # every quantity is one division of whole numbers, so its shortest decimal is the exact one
    cores, memory = machine.cores * parts, machine.memory // 1000 * parts
    busy = {kind: 400 + chance(350, kind, *words) for kind in ("gpu", "cpu", "ram")}
    costs = _costs(machine, held * hours)
    volume = f"cluster={CLUSTER}:name={pod.volume}"
    return {
        "properties": {
            **_node_properties(node),
            "container": pod.container,
            "controller": pod.controller,
            "controllerKind": pod.controller_kind,
            "namespace": pod.namespace,
            "pod": pod.name,
            "labels": pod.labels,
        },
        **times,
        "cpuCores": cores / 1000,
        "cpuCoreRequestAverage": cores / 1000,
        "cpuCoreUsageAverage": cores * busy["cpu"] / 1_000_000,
        "cpuCoreHours": cores * ticks / (1000 * _HOUR),
        "cpuCostAdjustment": 0,
        "gpuCount": machine.gpus * parts / 1000,
        "gpuRequestAverage": machine.gpus * parts / 1000,
        "gpuUsageAverage": busy["gpu"] / 1000,
        "gpuHours": machine.gpus * parts * ticks / (1000 * _HOUR),
        "gpuCostAdjustment": 0,
        "ramBytes": memory,
        "ramByteRequestAverage": memory,
        "ramByteUsageAverage": memory * busy["ram"] / 1000,
        "ramByteHours": memory * ticks / _HOUR,
        "ramCostAdjustment": 0,
        "pvBytes": pod.volume_bytes,
        "pvByteHours": pod.volume_bytes * ticks / _HOUR,
        "pvCost": 0,
        "pvs": {volume: {"byteHours": pod.volume_bytes * ticks / _HOUR, "cost": 0, "providerID": ""}},
        "sharedCost": 0,
        "externalCost": 0,
        **costs,
    }


def _idle(node: NodeDay, times: Document, *, parts: int, ticks: int) -> Document:
    """OpenCost gives idle in money only; what it was of cores, GPUs and memory follows from `/assets`."""
    nothing = dict.fromkeys(("cpuCores", "cpuCoreHours", "gpuCount", "gpuHours", "ramBytes", "ramByteHours"), 0)
    costs = _costs(node.machine, parts / 1000 * (ticks / _HOUR))
    return {"properties": _node_properties(node), **times, **nothing, "pvs": None, **costs}


def _node_properties(node: NodeDay) -> Document:
    return {"cluster": CLUSTER, "node": node.node.name, "providerID": node.instance_id}


def _costs(machine: Machine, hours: float) -> dict[str, float]:
    costs = {
        "cpuCost": round(machine.cores * _CORE_PRICE * hours, 6),
        "gpuCost": round(machine.gpus * _GPU_PRICE * hours, 6),
        "ramCost": round(machine.memory / GIB * _GIB_PRICE * hours, 6),
    }
    return {**costs, "totalCost": round(sum(costs.values()), 6)}


def _asset(node: NodeDay, midnight: datetime) -> Iterator[tuple[str, Document]]:
    """The node in the day's window of `/assets`, for the time it was there."""
    machine, ticks = node.machine, node.end - node.start
    key = f"AWS/__undefined__/{node.node.place}/Compute/{CLUSTER}/Node/Kubernetes/{node.instance_id}/{node.node.name}"
    yield (
        key,
        {
            "type": "Node",
            "properties": {
                "category": "Compute",
                "provider": "AWS",
                "project": node.node.place,
                "service": "Kubernetes",
                "cluster": CLUSTER,
                "name": node.node.name,
                "providerID": node.instance_id,
            },
            "labels": {
                "node_kubernetes_io_instance_type": machine.instance,
                "eks_amazonaws_com_nodegroup": node.node.name.rsplit("-", 1)[0],
                "topology_kubernetes_io_region": "us-east-1",
                "providerID": f"aws:///us-east-1a/{node.instance_id}",
            },
            "window": _span(midnight, 0, _DAY),
            **_span(midnight, node.start, node.end),
            "minutes": ticks * 3,
            "nodeType": machine.instance,
            "cpuCores": machine.cores,
            "ramBytes": machine.memory,
            "cpuCoreHours": machine.cores * ticks / _HOUR,
            "ramByteHours": machine.memory * ticks / _HOUR,
            "GPUHours": machine.gpus * ticks / _HOUR,
            "gpuCount": machine.gpus,
            "preemptible": 0,
            "discount": 0,
            "adjustment": 0,
            **_costs(machine, ticks / _HOUR),
        },
    )


def _tell(workloads: Workloads, node: NodeDay, midnight: datetime) -> None:
    whole = sum(parts for _, parts in node.parts)
    pods = {pod.owner: pod for pod, _ in node.pods}
    for owner, parts in node.parts:
        pod = pods.get(owner)
        workloads.add(
            Worked(
                source="cluster",
                day=f"{midnight:%Y-%m-%d}",
                workload=pod.workload(CLUSTER) if pod else "idle",
                kind=pod.kind if pod else WorkloadKind.IDLE,
                resource=node.node.name,
                resource_id=node.instance_id,
                owner=owner,
                used=_used(node, pod, parts),
                parts=parts,
                whole=whole,
            )
        )


def _used(node: NodeDay, pod: Pod | None, parts: int) -> dict[Measure, Decimal]:
    machine, seconds = node.machine, (node.end - node.start) * int(TICK.total_seconds())
    part = Decimal(parts * seconds).scaleb(-3)
    used = {
        Measure.GPU_SECONDS: machine.gpus * part,
        Measure.CPU_CORE_SECONDS: machine.cores * part,
        Measure.MEMORY_BYTE_SECONDS: machine.memory * part,
    }
    if pod:
        used[Measure.STORAGE_BYTE_SECONDS] = Decimal(pod.volume_bytes * seconds)
        used[Measure.RUN_SECONDS] = Decimal(seconds)
    return used
