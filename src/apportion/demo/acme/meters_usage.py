"""What acme writes down itself in Apportion's usage form, one JSON object per line: what no other meter of its counts.

For each day: the machines, the disk and the requests of every endpoint its clouds bill by name, the machines and disks
of its training runs and notebooks, and the tokens of the model profiles it calls through its clouds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.core.money import plain
from apportion.demo.acme import aws_plan, azure
from apportion.demo.acme.company import WHOLE, trend
from apportion.demo.acme.meters_file import write_lines
from apportion.demo.acme.meters_machines import GIB
from apportion.demo.acme.meters_runs import runs_of
from apportion.demo.acme.meters_truth import Worked
from apportion.demo.acme.meters_works import arn, seconds_between
from apportion.demo.acme.usage import chance, thousandths, uses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from apportion.core.period import Month
    from apportion.demo.acme.company import Owner
    from apportion.demo.acme.meters_runs import Run
    from apportion.demo.acme.meters_truth import Workloads
    from apportion.demo.acme.meters_works import Work
    from apportion.demo.acme.usage import Plan, Resource

Document = dict[str, object]
_KINDS_WITH_REQUESTS = frozenset({WorkloadKind.INFERENCE_ENDPOINT, WorkloadKind.BATCH_INFERENCE})
_PROFILES = {
    "claude in": (Measure.TOKENS_INPUT, 1_000_000),
    "claude out": (Measure.TOKENS_OUTPUT, 1_000_000),
    "nova in": (Measure.TOKENS_INPUT, 1_000),
    "nova out": (Measure.TOKENS_OUTPUT, 1_000),
    "openai": (Measure.TOKENS_INPUT, 1_000),
}
"""What is billed per token -> its measure, and how many tokens one billed unit is."""
_COUNTED = frozenset({Measure.REQUESTS, Measure.TOKENS_INPUT, Measure.TOKENS_OUTPUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one workload used in one interval of one resource."""

    workload: str
    kind: WorkloadKind
    name: str
    resource: str
    resource_id: str
    owner: Owner
    start: datetime
    end: datetime
    used: Mapping[Measure, Decimal]
    parent: str | None = None


def write_usage(folder: Path, plan: Plan, month: Month, works: Iterable[Work], workloads: Workloads) -> None:
    """Write `meters/usage/YYYY-MM.ndjson.gz`; the truth about training runs is the tracker's already."""
    lines: list[Document] = []
    for usage in (*_of_works(plan, works), *_of_profiles(plan, month)):
        lines += _lines(usage)
        if usage.kind is not WorkloadKind.TRAINING_JOB:
            workloads.add(_worked(usage))
    write_lines(folder / "meters" / "usage" / f"{month}.ndjson.gz", lines)


def _of_works(plan: Plan, works: Iterable[Work]) -> Iterator[Usage]:
    for work in works:
        if work.kind is WorkloadKind.TRAINING_JOB:
            yield from (_trained(run) for run in runs_of(work))
        else:
            yield Usage(
                workload=work.resource_id,
                kind=work.kind,
                name=work.name,
                resource=work.name,
                resource_id=work.resource_id,
                owner=work.resource.owner,
                start=work.start,
                end=work.end,
                used=_served(plan, work),
            )


def _trained(run: Run) -> Usage:
    """A training run, under the id the tracker has for it."""
    return Usage(
        workload=run.workload,
        kind=WorkloadKind.TRAINING_JOB,
        name=run.name,
        resource=run.work.name,
        resource_id=run.work.resource_id,
        owner=run.work.resource.owner,
        start=run.start,
        end=run.end,
        used=run.used(),
        parent=f"mlflow:{run.sweep}" if run.sweep else None,
    )


def _served(plan: Plan, work: Work) -> dict[Measure, Decimal]:
    """Machines and disk of an endpoint, batch job or notebook, and the requests that came."""
    seconds, name = seconds_between(work.start, work.end), work.resource.name
    disk = (10 + 5 * chance(30, "disk", name)) * GIB
    used = {
        Measure.CPU_CORE_SECONDS: work.machine.cores * work.count * seconds,
        Measure.STORAGE_BYTE_SECONDS: disk * work.count * seconds,
    }
    if work.machine.gpus:
        used[Measure.GPU_SECONDS] = work.machine.gpus * work.count * seconds
    if work.kind in _KINDS_WITH_REQUESTS:
        used[Measure.REQUESTS] = Decimal(_requests(plan, work))
    return used


def _requests(plan: Plan, work: Work) -> int:
    name, day = work.resource.name, work.start
    normal = 20_000 + chance(1_500_000, "requests", name)
    months = (plan.last.year - day.year) * 12 + plan.last.month - day.month
    level = trend(work.resource.owner.model, age=months, month=day.month)
    return normal * level // WHOLE * thousandths(150, plan.seed, "requests", name, day.date()) // 1000


def _of_profiles(plan: Plan, month: Month) -> Iterator[Usage]:
    """The tokens of the models of others, called through Bedrock and Azure: what is billed, by profile and day."""
    ours = [(resource, arn) for resource in plan.scaled(aws_plan.FOUNDATION)]
    ours += [(resource, _azure_id) for resource in plan.scaled(azure.RESOURCES) if resource.sku == "openai"]
    for resource, id_of in ours:
        measure, unit = _PROFILES[resource.sku]
        for day, quantity, name in uses(resource, month, plan):
            midnight = datetime(month.year, month.month, day)
            yield Usage(
                workload=id_of(resource, name),
                kind=WorkloadKind.API_KEY,
                name=name,
                resource=name,
                resource_id=id_of(resource, name),
                owner=resource.owner,
                start=midnight,
                end=midnight + timedelta(days=1),
                used={measure: quantity * unit},
            )


def _azure_id(resource: Resource, name: str) -> str:
    provider = azure.METERS[resource.sku].provider
    return f"/subscriptions/{azure.SUBSCRIPTION}/resourceGroups/{resource.place}/providers/{provider}/{name}"


def _lines(usage: Usage) -> Iterator[Document]:
    known = {
        "parent": usage.parent,
        "model": usage.owner.model,
        "project": usage.owner.project,
        "team": usage.owner.team,
        "environment": usage.owner.environment,
    }
    for measure, quantity in usage.used.items():
        yield {
            "start": _stamp(usage.start),
            "end": _stamp(usage.end),
            "workload": usage.workload,
            "workload_kind": usage.kind,
            "name": usage.name,
            "measure": measure,
            "quantity": plain(quantity),
            "basis": Basis.USED if measure in _COUNTED else Basis.REQUESTED,
            "resource_id": usage.resource_id,
            **{name: value for name, value in known.items() if value},
        }


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds") + "Z"


def _worked(usage: Usage) -> Worked:
    return Worked(
        source="usage",
        day=f"{usage.start:%Y-%m-%d}",
        workload=usage.workload,
        kind=usage.kind,
        resource=usage.resource,
        resource_id=usage.resource_id,
        owner=usage.owner,
        used=usage.used,
    )
