"""The table that `sacct --parsable2` prints, as jobs with their steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from apportion.errors import UnknownShape
from apportion.sources._slurm_jobs import Held, Job, Step
from apportion.sources._slurm_nodes import expanded
from apportion.sources._slurm_units import (
    NEVER,
    BadText,
    NoSuchTime,
    NoZone,
    duration,
    fitting,
    possible_times,
    size,
    tres_counts,
)
from apportion.sources.readings.contract import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from decimal import Decimal
    from zoneinfo import ZoneInfo

NEEDED = ("JobIDRaw", "State", "Start", "End", "ElapsedRaw", "AllocTRES", "NodeList")
"""Columns without which nothing can be counted; `Cluster` or the option `cluster` too."""

COMMAND = (
    "SLURM_TIME_FORMAT=%s sacct -a -D -P --noconvert -S START -E END --format="
    "JobIDRaw,JobID,JobName,User,Account,Cluster,Partition,QOS,WCKey,State,Start,End,ElapsedRaw,AllocTRES,NodeList,"
    "Comment,TotalCPU,MaxRSS,NTasks,TRESUsageInTot"
)
"""What to run."""

_LABELS = {"Account": "account", "QOS": "qos", "WCKey": "wckey"}
_NO_TIME = datetime(1970, 1, 1)
"""Both ends of a job that never started; nothing is counted of it."""
_NO_NODES = frozenset({"", "None assigned", "(null)"})


@dataclass(frozen=True, slots=True)
class Table:
    """Where the columns are, the name of the cluster where no column says it, and the zone of local times."""

    columns: Mapping[str, int]
    cluster: str
    zone: ZoneInfo | None


@dataclass(frozen=True, slots=True)
class _Cells:
    row: int
    cells: list[str]
    table: Table

    def __getitem__(self, column: str) -> str:
        place = self.table.columns.get(column.lower())
        return self.cells[place].strip() if place is not None else ""

    def fault(self, code: str, column: str, *, what: str, fix: str, rejected: bool = True) -> Fault:
        """A fault of this row that shows what stands in the column."""
        name = self["JobIDRaw"] or f"in row {self.row}"
        return Fault(
            code=code,
            row=self.row,
            column=column,
            example=self[column][:80],
            what=f"Job {name} {what}",
            fix=fix,
            rejected=rejected,
        )


class _Refused(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.what)
        self.fault = fault


def jobs(lines: Iterable[str], *, file: str, cluster: str, zone: ZoneInfo | None) -> Iterator[Job | Fault]:
    """The jobs of the table in order, each with the steps below it; rows that cannot be read are faults.

    Raises `UnknownShape` where the first line is no header, or a column of `NEEDED` is missing.
    """
    rows = enumerate(lines, 1)
    head, table = _header(rows, file, cluster, zone)
    waiting: tuple[Job, list[Step]] | None = None
    for row, line in rows:
        if not line.strip() or line.rstrip("\r\n") == head:
            continue
        try:
            cells = _cells(row, line, table)
            if "." in cells["JobIDRaw"]:
                _append(waiting, cells)
                continue
            if waiting:
                yield _whole(waiting)
            waiting = None
            job, doubt = _job(cells)
            waiting = (job, [])
            yield from doubt
        except _Refused as refused:
            yield refused.fault
    if waiting:
        yield _whole(waiting)


def _header(rows: Iterator[tuple[int, str]], file: str, cluster: str, zone: ZoneInfo | None) -> tuple[str, Table]:
    head = next((line.rstrip("\r\n") for _, line in rows if line.strip()), "")
    names = head.rstrip("|").split("|")
    columns = {name.strip().lower(): place for place, name in enumerate(names)}
    missing = [name for name in NEEDED if name.lower() not in columns]
    if missing:
        raise UnknownShape(
            file=file, what=f"is no table of sacct: {', '.join(missing)} is missing.", fix=f"Run: {COMMAND}"
        )
    if "cluster" not in columns and not cluster:
        raise UnknownShape(
            file=file,
            what="does not say of which cluster the jobs are.",
            fix="Add Cluster to --format, or set the option cluster.",
        )
    return head, Table(columns, cluster, zone)


def _cells(row: int, line: str, table: Table) -> _Cells:
    cells = line.rstrip("\r\n").split("|")
    found = _Cells(row, cells, table)
    if len(cells) - len(table.columns) not in {0, 1} or (len(cells) > len(table.columns) and cells[-1]):
        text = line.strip()[:80]
        raise _Refused(
            Fault(
                code="slurm_row_width",
                row=row,
                column="",
                example=text,
                what=f"Row {row} has {len(cells)} fields where the header has {len(table.columns)}.",
                fix="A | in a name or comment splits a row; export with sacct --json, or without that column.",
            )
        )
    return found


def _append(waiting: tuple[Job, list[Step]] | None, cells: _Cells) -> None:
    if waiting is None or cells["JobIDRaw"].split(".")[0] != waiting[0].raw_id:
        what, fix = "is a step whose job does not stand above it.", "Export jobs with their steps, in sacct's order."
        raise _Refused(cells.fault("slurm_lost_step", "JobIDRaw", what=what, fix=fix))
    held, _ = _held(cells, needs_tres=False)
    used = tres_usage(cells["TRESUsageInTot"])
    tasks = int(cells["NTasks"]) if cells["NTasks"].isdecimal() else 1
    try:
        cpu = duration(cells["TotalCPU"]) if cells["TotalCPU"] else None
        peak = size(cells["MaxRSS"]) * tasks if cells["MaxRSS"] else None
    except BadText as bad:
        what, fix = f"has the figure '{bad}', which cannot be read.", "Export with sacct -P --noconvert."
        raise _Refused(cells.fault("slurm_bad_figure", "TotalCPU", what=what, fix=fix)) from bad
    waiting[1].append(
        Step(
            row=held.row,
            start=held.start,
            end=held.end,
            seconds=held.seconds,
            tres=held.tres,
            nodes=held.nodes,
            cpu_seconds=cpu,
            memory=used if used is not None else peak,
        )
    )


def tres_usage(text: str) -> Decimal | None:
    """The memory in bytes among used TRES, or None; `mem=4848K` is the sum of the tasks' peaks."""
    found = [item.removeprefix("mem=") for item in text.split(",") if item.startswith("mem=")]
    try:
        return size(found[0]) if found else None
    except BadText:
        return None


def _job(cells: _Cells) -> tuple[Job, list[Fault]]:
    held, doubts = _held(cells, needs_tres=True)
    cluster = cells["Cluster"] or cells.table.cluster
    return (
        Job(
            row=held.row,
            start=held.start,
            end=held.end,
            seconds=held.seconds,
            tres=held.tres,
            nodes=held.nodes,
            cluster=cluster,
            raw_id=cells["JobIDRaw"],
            shown_id=cells["JobID"] or cells["JobIDRaw"],
            name=cells["JobName"],
            user=cells["User"],
            state=cells["State"],
            comment=cells["Comment"],
            partition=cells["Partition"],
            labels={label: cells[name] for name, label in _LABELS.items() if cells[name]},
        ),
        doubts,
    )


def _whole(waiting: tuple[Job, list[Step]]) -> Job:
    job, steps = waiting
    return replace(job, steps=tuple(steps))


def _held(cells: _Cells, *, needs_tres: bool) -> tuple[Held, list[Fault]]:
    seconds = _seconds(cells)
    start, end, unsure = _interval(cells, seconds)
    doubts = [_twice(cells)] if unsure else []
    if not seconds:
        return Held(row=cells.row, start=start, end=end, seconds=0, tres={}, nodes=()), doubts
    try:
        tres = tres_counts(cells["AllocTRES"])
        nodes = () if cells["NodeList"] in _NO_NODES else tuple(expanded(cells["NodeList"]))
    except BadText as bad:
        column = "NodeList" if cells["NodeList"] and str(bad) in cells["NodeList"] else "AllocTRES"
        what, fix = f"has a {column} that cannot be read.", "Export the table again with sacct -P."
        raise _Refused(cells.fault("slurm_bad_list", column, what=what, fix=fix)) from bad
    if not nodes or (needs_tres and not tres):
        column = "NodeList" if tres else "AllocTRES"
        what = f"ran for {seconds} s, but {column} does not say what it held."
        fix = "Check AccountingStorageTRES and slurmdbd; the time of this job is not counted."
        raise _Refused(cells.fault("slurm_nothing_held", column, what=what, fix=fix))
    return Held(row=cells.row, start=start, end=end, seconds=seconds, tres=tres, nodes=nodes), doubts


def _seconds(cells: _Cells) -> int:
    text = cells["ElapsedRaw"]
    if text.isdecimal() and text.isascii():
        return int(text)
    what, fix = "has an ElapsedRaw that is no number of seconds.", "Export the table again with sacct -P."
    raise _Refused(cells.fault("slurm_bad_elapsed", "ElapsedRaw", what=what, fix=fix))


def _interval(cells: _Cells, seconds: int) -> tuple[datetime, datetime, bool]:
    """Start, end and whether clocks leave a doubt; a job that still runs ends where its elapsed time does."""
    if cells["Start"] in NEVER and not seconds:
        return _NO_TIME, _NO_TIME, False
    starts = _times(cells, "Start")
    if cells["End"] in NEVER:
        return starts[0], starts[0] + timedelta(seconds=seconds), len(starts) > 1
    start, end, unsure = fitting(starts, _times(cells, "End"), seconds)
    if start > end or (seconds and start == end):
        what = "ends before it starts."
        fix = "Export without --truncate: it cuts the times of jobs outside the window."
        raise _Refused(cells.fault("slurm_ends_first", "End", what=what, fix=fix))
    return start, end, unsure


def _times(cells: _Cells, column: str) -> list[datetime]:
    try:
        return possible_times(cells[column], cells.table.zone)
    except NoZone as error:
        what = f"has the local {column} {error}, and nothing says of which time zone."
        fix = "Export with SLURM_TIME_FORMAT=%s, or set the option timezone (such as Europe/Berlin)."
        raise _Refused(cells.fault("slurm_no_zone", column, what=what, fix=fix)) from error
    except NoSuchTime as error:
        what = f"has the {column} {error}, which clocks in {cells.table.zone} jumped over."
        fix = "Check the option timezone, or export with SLURM_TIME_FORMAT=%s."
        raise _Refused(cells.fault("slurm_no_such_time", column, what=what, fix=fix)) from error
    except BadText as error:
        what, fix = f"has a {column} that is no time.", "Export with SLURM_TIME_FORMAT=%s."
        raise _Refused(cells.fault("slurm_bad_time", column, what=what, fix=fix)) from error


def _twice(cells: _Cells) -> Fault:
    return cells.fault(
        "slurm_time_twice",
        "Start",
        what=f"has a time that came twice when clocks in {cells.table.zone} went back; the earlier was taken.",
        fix="Export with SLURM_TIME_FORMAT=%s.",
        rejected=False,
    )
