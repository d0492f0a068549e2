"""What each experiment cost: all of its runs, with one row per sweep or parent run in it.

A workload belongs to the experiment it names, else to that of its nearest ancestor that names one. Its tree is that of
its topmost ancestor (`x_ParentId`, by the id of a workload or of a tracker run that is the same work); a workload
without parent and children is in no tree. Each workload is in one row, so the rows add up to all jobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.measures import Measure
from apportion.reports.reading.change import Amount, added, ratio
from apportion.reports.reading.contract import Answer, Asked, Column, Kind, Report, Row, Section
from apportion.reports.reading.metered import open_metered
from apportion.reports.reading.remarks import lens_title, missing_metric
from apportion.reports.reading.work import ENDPOINTS, Work, currencies, in_hours, total_cost, total_held, works
from apportion.reports.reading.work_rows import above, uncharged_note

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from apportion.core.period import Period

NO_EXPERIMENT = "no experiment"


@dataclass(frozen=True, slots=True)
class _Group:
    """The runs of one experiment and tree; both names are None for what is in neither."""

    experiment: str | None
    tree: str | None
    tree_id: str | None
    runs: tuple[Work, ...]


def _answer(asked: Asked) -> Answer:
    open_metered(asked)
    found = works(asked)
    jobs = [work for work in found.values() if work.kind not in ENDPOINTS]
    groups = _groups(jobs)
    if not jobs:
        words = "No run was metered or named by these bills."
        return Answer(REPORT.title, asked.period, asked.metric, (), (words,))
    shown = currencies(asked, jobs)
    sections = tuple(_section(currency, groups, uncharged=currency == shown[0]) for currency in shown)
    notes = (*_span(asked.period), *uncharged_note(jobs, "run", "runs"), *missing_metric(asked), *above(asked))
    return Answer(lens_title(asked, REPORT.title), asked.period, asked.metric, sections, notes)


def _span(period: Period) -> Iterator[str]:
    yield f"Only what ran in {period} is counted: name a longer --period for an experiment that began before."


def _groups(jobs: Sequence[Work]) -> list[_Group]:
    known = {name: work for work in jobs for name in (*work.runs, work.id)}
    parents = {work.parent for work in jobs if work.parent}
    found: dict[tuple[str | None, str | None], list[Work]] = {}
    titles: dict[str, str] = {}
    for work in jobs:
        line = list(_line(work, known))
        top, beyond = line[-1], line[-1].parent
        experiment = next((each.experiment for each in line if each.experiment), None)
        in_tree = len(line) > 1 or beyond or not parents.isdisjoint((top.id, *top.runs))
        # a parent that is not known itself still holds its children together
        tree = (beyond if beyond and beyond not in known else top.id) if in_tree else None
        if tree is not None:
            titles[tree] = top.name if tree == top.id else tree
        found.setdefault((experiment, tree), []).append(work)
    return [
        _Group(experiment, titles[tree] if tree else None, tree, tuple(runs))
        for (experiment, tree), runs in found.items()
    ]


def _line(work: Work, known: Mapping[str, Work]) -> Iterator[Work]:
    """The workload, its parent, and so on up; a circle ends where it closes."""
    seen: set[str] = set()
    while work.id not in seen:
        seen.add(work.id)
        yield work
        parent = known.get(work.parent or "")
        if parent is None:
            return
        work = parent


def _section(currency: str, groups: Sequence[_Group], *, uncharged: bool) -> Section:
    rows: list[tuple[_Group, list[Work]]] = []
    for group in groups:
        runs = [work for work in group.runs if currency in work.costs or (uncharged and not work.costs)]
        if runs:
            rows.append((group, runs))
    whole: dict[str | None, Amount] = {}
    for group, runs in rows:
        whole[group.experiment] = added([whole.get(group.experiment), total_cost(runs, currency)])

    def place(row: tuple[_Group, list[Work]]) -> tuple[bool, Decimal, str, Decimal, str]:
        group, runs = row
        of_all, cost = whole[group.experiment], total_cost(runs, currency)
        lone = group.experiment is None and group.tree is None
        return (lone, _downwards(of_all), group.experiment or "", _downwards(cost), group.tree_id or "")

    ordered = sorted(rows, key=place)
    every = [work for _, runs in rows for work in runs]
    return Section(
        currency,
        _columns(currency),
        tuple(_row(group, runs, currency, whole[group.experiment]) for group, runs in ordered),
        ("Total", *[None] * 4, *_figures(every, currency), None),
    )


def _downwards(cost: Amount) -> Decimal:
    return (cost or Decimal(0)).copy_negate()


def _row(group: _Group, runs: Sequence[Work], currency: str, whole: Amount) -> Row:
    title = group.experiment or (None if group.tree else NO_EXPERIMENT)
    return (
        title,
        group.tree,
        group.tree_id,
        _told(runs, "team"),
        _told(runs, "model"),
        *_figures(runs, currency),
        whole if group.experiment else None,
    )


def _figures(runs: Sequence[Work], currency: str) -> tuple[int | Decimal | None, ...]:
    gpu = in_hours(total_held(runs, Measure.GPU_SECONDS))
    cpu = in_hours(total_held(runs, Measure.CPU_CORE_SECONDS))
    whole = added([work.costs[currency].whole for work in runs if currency in work.costs])
    return (len(runs), gpu, cpu, total_cost(runs, currency), ratio(whole, gpu))


def _told(runs: Sequence[Work], dimension: str) -> str | None:
    return ", ".join(sorted({value for work in runs for value in work.owners.get(dimension, ())})) or None


def _columns(currency: str) -> tuple[Column, ...]:
    return (
        Column("experiment", "Experiment", Kind.TEXT),
        Column("parent", "Sweep or parent run", Kind.TEXT),
        Column("parent_id", "Id", Kind.TEXT, detail=True),
        Column("team", "Team", Kind.TEXT),
        Column("model", "Model", Kind.TEXT, detail=True),
        Column("runs", "Runs", Kind.COUNT),
        Column("gpu_hours", "GPU-hours", Kind.QUANTITY, "GPU-hours"),
        Column("cpu_hours", "CPU-hours", Kind.QUANTITY, "core-hours", detail=True),
        Column("cost", "Cost", Kind.MONEY, currency),
        Column("cost_per_gpu_hour", "A GPU-hour", Kind.MONEY, f"{currency} a GPU-hour"),
        Column("experiment_cost", "Experiment in all", Kind.MONEY, currency),
    )


REPORT = Report("cost_of_experiment", "Cost of experiments", _answer)
