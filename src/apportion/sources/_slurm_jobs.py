"""What a Slurm job held and used, whichever way `sacct` said it, as samples.

Held = AllocTRES × ElapsedRaw, never ReqTRES: a job that was cancelled in the queue asked for GPUs and held none. Slurm
says how much a job held in all, not on which node, so it is divided evenly by node. CPU used is the TotalCPU of the
steps, each on its own nodes; with `-X` the job's own TotalCPU is 0 whatever it used, so it is never taken. Memory used
is the peak of the tasks of a step × its time: an upper bound, the only figure Slurm keeps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import TYPE_CHECKING

from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.sources.readings.contract import Fault, Resource, Sample, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

GPUS, CPUS, MEMORY = "gres/gpu", "cpu", "mem"
LEAST = Decimal("1e-9")
"""The least part of a quantity that an even division by node gives."""

DIGITS = 60
"""Digits that calculations keep: byte-seconds of a large cluster have more than the 28 of Python's default."""

_MEASURES = {GPUS: Measure.GPU_SECONDS, CPUS: Measure.CPU_CORE_SECONDS, MEMORY: Measure.MEMORY_BYTE_SECONDS}
_FRACTIONS = ("gres/shard", "gres/mps")
_PAIR = re.compile(r"([A-Za-z_][\w.\-/]*)\s*[=:]\s*([^;,\s]+)")
_OWN_KEYS = {"mlflow_run_id": "mlflow", "wandb_run_id": "wandb"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What was held over [start, start + seconds): `tres` name -> count, memory in bytes; `nodes` in order."""

    row: int
    start: datetime
    end: datetime
    seconds: int
    tres: Mapping[str, Decimal]
    nodes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Held):
    """A step: `cpu_seconds` it used, and the peak of `memory` bytes of all its tasks; None where it was not said."""

    cpu_seconds: Decimal | None
    memory: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Held):
    """One start of a job, with its steps. `raw_id` is JobIDRaw, `shown_id` JobID (`3_0` in an array)."""

    cluster: str
    raw_id: str
    shown_id: str
    name: str
    user: str
    state: str
    comment: str
    partition: str
    labels: Mapping[str, str]
    steps: Sequence[Step] = field(default_factory=tuple)


def samples(job: Job) -> Iterator[Sample | Fault]:
    """What the job held and its steps used, per node; nothing for a job that never started or ended at once."""
    if job.seconds == 0:
        return
    yield from _doubts(job)
    work = workload(job)
    for name, measure in _MEASURES.items():
        count = gpus(job.tres) if name == GPUS else job.tres.get(name, Decimal())
        if count:
            yield from _by_node(job, job.cluster, work, measure, Basis.REQUESTED, count * job.seconds)
    for place, step in enumerate(job.steps):
        key = f"step {place}"
        if step.cpu_seconds:
            yield from _by_node(step, job.cluster, work, Measure.CPU_CORE_SECONDS, Basis.USED, step.cpu_seconds, key)
        if step.memory and step.seconds:
            held = step.memory * step.seconds
            yield from _by_node(step, job.cluster, work, Measure.MEMORY_BYTE_SECONDS, Basis.USED, held, key)


def workload(job: Job) -> Workload:
    """Who the job is: a training job unless a pair `workload_kind=…` in its comment says otherwise.

    Account, QOS, WCKey and the pairs of the comment are labels, so that aliases and rules decide whose they are.
    """
    pairs = comment_pairs(job.comment)
    kind = pairs.get("workload_kind", "")
    known = kind in set(WorkloadKind) and kind not in {WorkloadKind.IDLE, WorkloadKind.UNMETERED}
    ids = dict.fromkeys((job.raw_id, job.shown_id))
    links = [f"slurm:{job.cluster}/{name}" for name in ids]
    links += [f"{tracker}:{pairs[key]}" for key, tracker in _OWN_KEYS.items() if key in pairs]
    return Workload(
        id=f"slurm:{job.cluster}/{job.raw_id}",
        kind=WorkloadKind(kind) if known else WorkloadKind.TRAINING_JOB,
        name=job.name or job.shown_id,
        namespace=f"{job.cluster}/{job.partition}" if job.partition else job.cluster,
        parent=_parent(job),
        user=job.user or None,
        status=job.state.split(" ")[0] or None,
        labels={**job.labels, **pairs},
        links=tuple(links),
    )


def comment_pairs(comment: str) -> dict[str, str]:
    """The pairs of a comment `team=fraud;model=x` (`,` and spaces separate too); other text as label `comment`.

    >>> comment_pairs("team=fraud; model:x"), comment_pairs("second try")
    ({'team': 'fraud', 'model': 'x'}, {'comment': 'second try'})
    """
    pairs = dict(_PAIR.findall(comment))
    rest = _PAIR.sub("", comment).strip(" ;,")
    return {**pairs, **({"comment": comment.strip()} if rest else {})}


def gpus(tres: Mapping[str, Decimal]) -> Decimal:
    """The GPUs among TRES: `gres/gpu` and `gres/gpu:a100` are the same cards, so types count only without a total.

    >>> gpus({"gres/gpu": Decimal(4), "gres/gpu:a100": Decimal(4)})
    Decimal('4')
    """
    return tres.get(GPUS) or _typed(tres)


def evenly(quantity: Decimal, count: int) -> list[Decimal]:
    """The quantity in `count` parts that add up to it and differ by at most 1e-9 (and what lies below 1e-9).

    >>> [str(part) for part in evenly(Decimal(1), 3)]
    ['0.333333334', '0.333333333', '0.333333333']
    """
    with localcontext(prec=DIGITS):
        part = (quantity / count).quantize(LEAST, rounding=ROUND_DOWN)
        over = quantity - part * count
        more = int(over / LEAST)
        parts = [part + LEAST if place < more else part for place in range(count)]
        parts[0] += over - more * LEAST
    return parts


def _typed(tres: Mapping[str, Decimal]) -> Decimal:
    return sum((count for name, count in tres.items() if name.startswith(f"{GPUS}:")), Decimal())


def _by_node(
    held: Held, cluster: str, work: Workload, measure: Measure, basis: Basis, quantity: Decimal, key: str = ""
) -> Iterator[Sample]:
    for node, part in zip(held.nodes, evenly(quantity, len(held.nodes)), strict=True):
        yield Sample(
            resource=Resource(node=node, cluster=cluster),
            workload=work,
            measure=measure,
            basis=basis,
            quantity=part,
            start=held.start,
            end=held.end,
            row=held.row,
            key=key,
        )


def _parent(job: Job) -> str | None:
    """The array (`3_0`) or heterogeneous job (`3+0`); its number is also the JobIDRaw of one member, hence the word."""
    for sign, word in (("_", "array"), ("+", "het")):
        leader, found, _ = job.shown_id.partition(sign)
        if found:
            return f"slurm:{job.cluster}/{word}/{leader}"
    return None


def _doubts(job: Job) -> Iterator[Fault]:
    total, typed = job.tres.get(GPUS), _typed(job.tres)
    if total is not None and typed > total:
        yield Fault(
            code="slurm_gpu_types_differ",
            row=job.row,
            column="AllocTRES",
            example=f"{GPUS}={total}, types together {typed}",
            what=f"Job {job.raw_id} holds more GPUs by type than in all; gres/gpu was taken.",
            fix="Look at GresTypes and AccountingStorageTRES of the cluster.",
            rejected=False,
        )
    if not gpus(job.tres) and any(name.startswith(_FRACTIONS) for name in job.tres):
        yield Fault(
            code="slurm_gpu_fraction",
            row=job.row,
            column="AllocTRES",
            example=", ".join(f"{name}={count}" for name, count in job.tres.items() if name.startswith(_FRACTIONS)),
            what=f"Job {job.raw_id} holds a part of a GPU whose size sacct does not say; no GPU time was counted.",
            fix="Meter these nodes with Prometheus (DCGM), or give the GPU hours in a usage file.",
            rejected=False,
        )
