"""What each training job, run, batch, pipeline step and notebook held and cost, beside what was idle or unmetered."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from apportion.core.measures import Measure, WorkloadKind
from apportion.ledger.lenses import CostKind, Lens
from apportion.reports.reading.amounts import adding_up
from apportion.reports.reading.change import added
from apportion.reports.reading.contract import RATIO, Answer, Asked, Column, Kind, Report, Row, Section
from apportion.reports.reading.metered import open_metered
from apportion.reports.reading.remarks import is_shared, lens_title, missing_metric
from apportion.reports.reading.work import (
    ENDPOINTS,
    GIB,
    NOBODY,
    Work,
    currencies,
    in_hours,
    nobodys,
    total_cost,
    total_held,
    total_kinds,
    works,
)
from apportion.reports.reading.work_rows import (
    above,
    by_cost,
    commitments_note,
    kind_columns,
    kinds_of,
    rounded_or_none,
    uncharged_note,
    unit_cost,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from apportion.reports.reading.change import Amount

_WORDS = {WorkloadKind.IDLE: "idle", WorkloadKind.UNMETERED: "unmetered"}
_KINDS = {WorkloadKind.IDLE: CostKind.IDLE, WorkloadKind.UNMETERED: CostKind.DIRECT}
_SUMS = (Measure.GPU_SECONDS, Measure.CPU_CORE_SECONDS)


def _answer(asked: Asked) -> Answer:
    open_metered(asked)
    found = list(works(asked).values())
    jobs = [work for work in found if work.kind not in ENDPOINTS]
    rest = nobodys(asked)
    shown = currencies(asked, found, rest)
    is_told = is_shared(asked)
    sections = tuple(
        _section(currency, jobs, rest.get(currency, {}), uncharged=currency == shown[0], is_told=is_told)
        for currency in shown
    )
    told = tuple(section for section in sections if section.rows)
    if not told:
        return Answer(REPORT.title, asked.period, asked.metric, (), ("No job was metered or named by these bills.",))
    words = "Metered and shared" if is_told and asked.lens == Lens.AFTER else "Metered"
    sums, uncharged = _sums(found, rest, shown, words), uncharged_note(jobs, "job", "jobs")
    notes = (*sums, *uncharged, *commitments_note(asked, endpoints=False), *missing_metric(asked), *above(asked))
    return Answer(lens_title(asked, REPORT.title), asked.period, asked.metric, told, notes)


def _section(
    currency: str, jobs: Sequence[Work], rest: Mapping[str, Amount], *, uncharged: bool, is_told: bool
) -> Section:
    charged = [work for work in jobs if currency in work.costs]
    listed = charged + ([work for work in jobs if not work.costs] if uncharged else [])
    rows = [_row(work, currency) for work in sorted(listed, key=by_cost(currency))]
    rows += [_nobody(kind, rest[kind]) for kind in NOBODY if kind in rest]
    total = _total(listed, currency, rest)
    told = kind_columns(currency, total[-len(CostKind) :], is_told=is_told)
    return Section(currency, (*_columns(currency), *told), tuple(rows), total)


def _row(work: Work, currency: str) -> Row:
    return (
        work.name,
        work.id,
        work.kind,
        work.named("team"),
        work.named("model"),
        work.experiment,
        work.status,
        work.hours(Measure.GPU_SECONDS),
        work.hours(Measure.CPU_CORE_SECONDS),
        work.hours(Measure.MEMORY_BYTE_SECONDS, per=GIB),
        rounded_or_none(work.storage),
        work.busy,
        work.costs[currency].chosen if currency in work.costs else None,
        unit_cost(work, currency, work.hours(Measure.GPU_SECONDS)),
        *kinds_of(work, currency),
    )


def _nobody(kind: str, cost: Amount) -> Row:
    kinds = (cost if each == _KINDS[WorkloadKind(kind)] else None for each in CostKind)
    return (_WORDS[WorkloadKind(kind)], None, kind, *[None] * 9, cost, None, *kinds)


def _total(listed: Sequence[Work], currency: str, rest: Mapping[str, Amount]) -> Row:
    gpu, cpu = (in_hours(total_held(listed, measure)) for measure in _SUMS)
    memory = in_hours(total_held(listed, Measure.MEMORY_BYTE_SECONDS), per=GIB)
    stored = [work.storage for work in listed if work.storage is not None]
    storage = rounded_or_none(sum(stored, Fraction(0)) if stored else None)
    cost = added([total_cost(listed, currency), *rest.values()])
    own = total_kinds(listed, currency)
    kinds = [
        added([amount, *(rest.get(nobody) for nobody in NOBODY if _KINDS[nobody] == kind)])
        for kind, amount in zip(CostKind, own, strict=True)
    ]
    return ("Total", *[None] * 6, gpu, cpu, memory, storage, None, cost, None, *kinds)


def _columns(currency: str) -> tuple[Column, ...]:
    return (
        Column("job", "Job", Kind.TEXT),
        Column("id", "Id", Kind.TEXT, detail=True),
        Column("kind", "Kind", Kind.TEXT),
        Column("team", "Team", Kind.TEXT),
        Column("model", "Model", Kind.TEXT),
        Column("experiment", "Experiment", Kind.TEXT, detail=True),
        Column("status", "Status", Kind.TEXT, detail=True),
        Column("gpu_hours", "GPU-hours", Kind.QUANTITY, "GPU-hours"),
        Column("cpu_hours", "CPU-hours", Kind.QUANTITY, "core-hours"),
        Column("memory_gib_hours", "GiB-hours", Kind.QUANTITY, "GiB-hours", detail=True),
        Column("storage_gib_months", "GiB-months", Kind.QUANTITY, "GiB-months", detail=True),
        Column("gpu_utilisation", "GPU busy", Kind.SHARE, RATIO),
        Column("cost", "Cost", Kind.MONEY, currency),
        Column("cost_per_gpu_hour", "A GPU-hour", Kind.MONEY, f"{currency} a GPU-hour"),
    )


def _sums(
    found: Sequence[Work], rest: Mapping[str, Mapping[str, Amount]], shown: Sequence[str], words: str
) -> Iterator[str]:
    """Per currency: what is here, what is in `cost_by_endpoint`, and what both add up to, in whole cents."""
    for currency in shown:
        endpoints = total_cost([work for work in found if work.kind in ENDPOINTS], currency)
        jobs = total_cost([work for work in found if work.kind not in ENDPOINTS], currency)
        idle, unmetered = (rest.get(currency, {}).get(kind) for kind in NOBODY)
        names, amounts = ("jobs", "endpoints", "idle", "unmetered"), [jobs, endpoints, idle, unmetered]
        if added(amounts) is not None:
            *parts, whole = adding_up([amount or Decimal(0) for amount in amounts], currency)
            told = " + ".join(f"{name} {part}" for name, part in zip(names, parts, strict=True))
            yield f"{words} in {currency}: {told} = {whole}."


REPORT = Report("cost_by_job", "Cost by job", _answer)
