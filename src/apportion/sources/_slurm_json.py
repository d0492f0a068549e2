"""What `sacct --json` and slurmrestd (`/slurmdb/…/jobs`) answer, as jobs with their steps."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.errors import UnknownShape
from apportion.sources._slurm_jobs import Job, Step
from apportion.sources._slurm_nodes import expanded
from apportion.sources._slurm_units import BadText
from apportion.sources.readings.contract import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MIB = 1024**2
_MICRO = Decimal("1e-6")


def jobs(body: Any, *, file: str, cluster: str) -> Iterator[Job | Fault]:  # noqa: ANN401 - JSON
    """The jobs of an answer in order, times in epoch seconds; `row` counts jobs from 1. Raises `UnknownShape`."""
    if not isinstance(body, dict) or not isinstance(body.get("jobs"), list):
        raise UnknownShape(file=file, what="is no answer of sacct: it has no jobs.", fix="Run: sacct --json -a -D")
    for row, entry in enumerate(body["jobs"], 1):
        try:
            yield _job(row, entry, cluster)
        except (BadText, KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            yield Fault(
                code="slurm_bad_job",
                row=row,
                column=type(error).__name__,
                example=str(error)[:80],
                what=f"Job {entry.get('job_id') if isinstance(entry, dict) else row} cannot be read.",
                fix="Export again with sacct --json -a -D, or as text with sacct -P.",
            )


def _job(row: int, entry: Mapping[str, Any], cluster: str) -> Job:
    times = entry["time"]
    seconds, number = _number(times["elapsed"]), _number(entry["job_id"])
    held = seconds > 0
    tres = _tres(entry["tres"]["allocated"])
    nodes = tuple(expanded(entry["nodes"])) if held else ()
    if held and not (tres and nodes):
        raise BadText("tres.allocated")
    cluster = entry.get("cluster") or cluster
    if not cluster:
        raise BadText("cluster")
    start, end = _interval(times, seconds)
    steps = tuple(_step(row, step) for step in entry.get("steps", ())) if held else ()
    return Job(
        row=row,
        start=start,
        end=end,
        seconds=seconds,
        tres=tres,
        nodes=nodes,
        cluster=cluster,
        raw_id=str(number),
        shown_id=_shown(entry, number),
        name=entry.get("name") or "",
        user=entry.get("user") or "",
        state=_state(entry),
        comment=_comment(entry.get("comment")),
        partition=entry.get("partition") or "",
        labels=_labels(entry),
        steps=tuple(step for step in steps if step.nodes),
    )


def _step(row: int, entry: Mapping[str, Any]) -> Step:
    times, total = entry["time"], entry["time"]["total"]
    seconds = _number(times["elapsed"])
    start, end = _interval(times, seconds)
    peaks = entry["tres"].get("requested", {}).get("total", ())
    memory = [_number(item["count"]) for item in peaks if item["type"] == "mem"]
    return Step(
        row=row,
        start=start,
        end=end,
        seconds=seconds,
        tres={},
        nodes=tuple(entry["nodes"].get("list") or ()),
        cpu_seconds=_number(total["seconds"]) + _number(total["microseconds"]) * _MICRO,
        memory=Decimal(memory[0]) if memory else None,
    )


def _interval(times: Mapping[str, Any], seconds: int) -> tuple[datetime, datetime]:
    start = _number(times["start"])
    end = _number(times.get("end")) or start + seconds
    if start > end or (seconds and start == end):
        raise BadText(f"start {start}, end {end}")
    return tuple(datetime.fromtimestamp(moment, UTC).replace(tzinfo=None) for moment in (start, end))  # type: ignore[return-value]


def _tres(entries: list[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Counts by name; the memory of an allocation is in MiB."""
    named = {"/".join(filter(None, (e["type"], e.get("name")))): Decimal(_number(e["count"])) for e in entries}
    return {name: count * _MIB if name == "mem" else count for name, count in named.items()}


def _number(value: Any) -> int:  # noqa: ANN401 - JSON
    """A number, or newer versions' `{"set": true, "number": 7}`; 0 where it is not set."""
    if isinstance(value, dict):
        value = value["number"] if value.get("set", True) and not value.get("infinite") else 0
    return int(value or 0)


def _state(entry: Mapping[str, Any]) -> str:
    current = (entry.get("state") or {}).get("current") or ""
    return str(current[0] if isinstance(current, list) else current)


def _comment(value: Any) -> str:  # noqa: ANN401 - JSON
    return str((value.get("job") if isinstance(value, dict) else value) or "")


def _shown(entry: Mapping[str, Any], number: int) -> str:
    array = entry.get("array") or {}
    leader, task = _number(array.get("job_id")), array.get("task_id")
    if leader and task is not None:
        return f"{leader}_{_number(task)}"
    het = entry.get("het") or {}
    leader = _number(het.get("job_id"))
    return f"{leader}+{_number(het.get('job_offset'))}" if leader else str(number)


def _labels(entry: Mapping[str, Any]) -> dict[str, str]:
    wckey = entry.get("wckey")
    found = {
        "account": entry.get("account"),
        "qos": entry.get("qos"),
        "wckey": wckey.get("wckey") if isinstance(wckey, dict) else wckey,
    }
    return {name: str(value) for name, value in found.items() if value}
