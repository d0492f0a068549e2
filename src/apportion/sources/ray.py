"""Ray: which jobs held which GPUs, CPUs and memory, task by task and actor by actor, from the dashboard's API.

Held = `required_resources` × time: of a task from its start to its end, of an actor for its life (`/logical/actors`;
`/api/v0/actors` has no times, and an actor's creation task has those of its constructor). Tasks of actors require
nothing of their own. A Ray Serve replica belongs to an endpoint, all else to its job, whose metadata are labels.

These are logical resources: Ray does not measure what a task uses, and a task that waits in `ray.get` lends its CPUs
away. Placement groups that hold more than their tasks are not seen. The dashboard lists an actor only some seconds
after its start, and forgets what has ended when there is too much of it and when the cluster ends: pull often. Each
pull is kept, so what one of them saw counts. Seen on Ray 2.60: see tests/data/ray.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Basis, Measure, Rank
from apportion.errors import UnknownShape
from apportion.sources._ray_answers import (
    SHOWN,
    Entry,
    Known,
    Listed,
    listed,
    spans,
    workload_of_job,
    workload_of_replica,
)
from apportion.sources.readings.answers import answers
from apportion.sources.readings.contract import Fault, MeterSource, Resource, Sample, Window
from apportion.sources.readings.pulling import Present

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.client import Client
    from apportion.sources.readings.contract import RawFile, Workload

LIMIT = 10_000
"""The longest list that Ray gives out."""

_MEASURES = {
    "GPU": Measure.GPU_SECONDS,
    "CPU": Measure.CPU_CORE_SECONDS,
    "memory": Measure.MEMORY_BYTE_SECONDS,
}
_CREATION = "ACTOR_CREATION_TASK"
_NEVER = (None, 0, "")
"""What Ray writes for a time that has not come."""
_LATEST = 253_402_300_800_000
"""Milliseconds since 1970 of the year 10000, which no calendar here knows."""
_ENDED = frozenset({"FINISHED", "FAILED", "DEAD", "SUCCEEDED", "STOPPED"})


def read(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    """The samples of the dashboard's answers in one file, in order.

    Raises `UnknownShape` where an answer is none of Ray's, or where the option `cluster` is missing.
    """
    cluster = str(config.options.get("cluster", ""))
    if not cluster:
        raise UnknownShape(
            file=file.name, what="does not say of which Ray cluster it is.", fix="Set the option cluster."
        )
    known = Known(cluster)
    for answer in answers(file):
        known.add(listed(answer, file.name))
    later = _read_at(config)
    for answer in answers(file):
        found = listed(answer, file.name)
        yield from _list(found, known, found.read_at or later)


def _list(found: Listed, known: Known, read_at: datetime | None) -> Iterator[Sample | Fault]:
    if found.total > len(found.entries) + len(found.odd):
        yield _cut(found)
    yield from (_odd(found, each) for each in found.odd)
    if found.word == "untimed_actors":
        if any(entry.get("required_resources") for entry in found.entries):
            yield _untimed(found)
        return
    for entry, start, end in spans(found):
        try:
            yield from _entry(found, entry, (start, end), known=known, read_at=read_at)
        except (AttributeError, KeyError, TypeError, ValueError, InvalidOperation):
            # a list where an object belongs, a text where a number does
            yield _odd(found, _name(entry) or str(dict(entry)))


def _entry(
    found: Listed, entry: Entry, span: tuple[Any, Any], *, known: Known, read_at: datetime | None
) -> Iterator[Sample | Fault]:
    if entry.get("type") == _CREATION:  # what it requires, its actor holds
        yield from _unlisted(found, entry, known)
        return
    held = _resources(entry, found.word)
    if span[0] in _NEVER or not any(held.values()):
        return  # what has not begun holds nothing, and what requires nothing is counted elsewhere
    try:
        start, end = (_moment(value) for value in span)
    except ValueError as error:
        yield _no_moment(found, entry, str(error))
        return
    yield from _held(found, entry, (start, end), held=held, known=known, read_at=read_at)


def _held(
    found: Listed,
    entry: Entry,
    span: tuple[datetime | None, datetime | None],
    *,
    held: dict[Measure, Decimal],
    known: Known,
    read_at: datetime | None,
) -> Iterator[Sample | Fault]:
    start, end = span
    state = str(entry.get("state") or entry.get("status") or "")
    until = end or (None if state in _ENDED else read_at)
    if start is None or until is None or until < start:
        yield _no_end(found, entry, state)
        return
    work: Workload | None = None
    if found.word != "nodes":
        work = _owner(found.word, entry, known)
        if work is None:
            yield _nobody(found, entry)
            return
    seconds = Decimal((until - start) // timedelta(milliseconds=1)) / 1000
    for measure, count in held.items():
        if count and seconds:
            yield Sample(
                resource=Resource(node=_node(found.word, entry, known), cluster=known.cluster),
                workload=work,
                measure=measure,
                basis=Basis.CAPACITY if found.word == "nodes" else Basis.REQUESTED,
                quantity=count * seconds,
                start=start,
                end=until,
                row=found.row,
                key=_name(entry),
            )


def _resources(entry: Entry, word: str) -> dict[Measure, Decimal]:
    if word == "jobs":
        return {Measure.RUN_SECONDS: Decimal(1)} if entry.get("job_id") else {}
    column = {"nodes": "resources_total", "actors": "requiredResources", "tasks": "required_resources"}[word]
    said = entry.get(column) or {}
    if not isinstance(said, dict):
        raise TypeError(said)
    return {measure: Decimal(said[name]) for name, measure in _MEASURES.items() if name in said}


def _owner(word: str, entry: Entry, known: Known) -> Workload | None:
    job = entry if word == "jobs" else known.jobs.get(str(entry.get("job_id") or entry.get("jobId")))
    replica = workload_of_replica(entry, known.cluster, job) if word == "actors" else None
    return replica or (workload_of_job(job, known.cluster) if job else None)


def _node(word: str, entry: Entry, known: Known) -> str | None:
    place = {"jobs": "driver_node_id", "actors": "nodeId"}.get(word, "node_id")
    name = (entry.get("address") or {}).get(place) if word == "actors" else entry.get(place)
    return known.nodes.get(str(name), str(name)) if name else None


def _moment(milliseconds: Any) -> datetime | None:  # noqa: ANN401 - JSON
    """The time; None for what says that there is none. Raises `ValueError` with the value where it is no time."""
    if milliseconds in _NEVER:
        return None
    try:
        count = Decimal(str(milliseconds))
    except InvalidOperation:
        count = Decimal("NaN")
    if not count.is_finite() or not 0 <= count < _LATEST:
        raise ValueError(str(milliseconds)[:SHOWN])
    return datetime(1970, 1, 1) + timedelta(milliseconds=int(count))


def _odd(found: Listed, example: str) -> Fault:
    return Fault(
        code="ray_odd_entry",
        row=found.row,
        column=found.word,
        example=example[:SHOWN],
        what=f"One of the {found.word} is not built as Ray builds it, so what it held was not counted.",
        fix="Save the answer of the dashboard again, as it came.",
    )


def _no_moment(found: Listed, entry: Entry, value: str) -> Fault:
    return Fault(
        code="ray_no_moment",
        row=found.row,
        column="start",
        example=f"{_name(entry)} {value}".strip()[:SHOWN],
        what=f"One of the {found.word} has a start or an end that is no time in milliseconds since 1970.",
        fix="Save the answer of the dashboard again, as it came.",
    )


def _cut(found: Listed) -> Fault:
    return Fault(
        code="ray_list_cut",
        row=found.row,
        column=found.word,
        example=f"{len(found.entries)} of {found.total}",
        what=f"Ray gave {len(found.entries)} of {found.total} {found.word}; what the others held is missing.",
        fix="Ask per job (as a pull does) and more often; RAY_MAX_LIMIT_FROM_API_SERVER raises the limit.",
        rejected=False,
    )


def _untimed(found: Listed) -> Fault:
    return Fault(
        code="ray_actors_without_times",
        row=found.row,
        column="actors",
        example=str(found.entries[0].get("actor_id")),
        what="The list of actors does not say when they began and ended, so what they held was not counted.",
        fix="Save /logical/actors instead of /api/v0/actors.",
    )


def _unlisted(found: Listed, entry: Entry, known: Known) -> Iterator[Fault]:
    if entry.get("start_time_ms") and entry.get("required_resources") and entry.get("actor_id") not in known.actors:
        yield Fault(
            code="ray_actor_unlisted",
            row=found.row,
            column="actor_id",
            example=str(entry.get("actor_id")),
            what="An actor was made that the list of actors does not hold, so what it held was not counted.",
            fix="Save /logical/actors too; it lists an actor some seconds after its start, so a later pull counts it.",
        )


def _name(entry: Entry) -> str:
    return next((str(entry[key]) for key in ("task_id", "actorId", "node_id", "job_id") if entry.get(key)), "")


def _no_end(found: Listed, entry: Entry, state: str) -> Fault:
    name = _name(entry)
    return Fault(
        code="ray_no_end",
        row=found.row,
        column="end",
        example=f"{name} {state}".strip(),
        what=f"One of the {found.word} has no end after its start, and nothing says when the list was read.",
        fix="Set the option read_at to the time at which the file was saved, or let Apportion pull.",
    )


def _nobody(found: Listed, entry: Entry) -> Fault:
    job = str(entry.get("job_id") or entry.get("jobId"))
    return Fault(
        code="ray_unknown_job",
        row=found.row,
        column="job_id",
        example=job,
        what=f"One of the {found.word} belongs to job {job}, which the file does not describe.",
        fix="Save /api/jobs/ of the same time as another line of the file.",
    )


def _read_at(config: SourceConfig) -> datetime | None:
    said = config.options.get("read_at")
    if not said:
        return None
    moment = datetime.fromisoformat(str(said))
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def pull(client: Client, window: Window, config: SourceConfig) -> Iterable[object]:  # noqa: ARG001 - the socket's signature
    """Ask for jobs, nodes and actors, then for the tasks of each job that ran in the window, job by job."""
    jobs = client.get("api/jobs/")
    yield jobs
    yield client.get("api/v0/nodes", {"detail": "true", "limit": LIMIT})
    yield client.get("logical/actors")
    for job in jobs if isinstance(jobs, list) else ():
        if isinstance(job, dict) and job.get("job_id") and _ran(job, window):
            wanted = {"filter_keys": "job_id", "filter_predicates": "=", "filter_values": job["job_id"]}
            yield client.get("api/v0/tasks", {"detail": "true", "limit": LIMIT, **wanted})


def _ran(job: Entry, window: Window) -> bool:
    try:
        start, end = _moment(job.get("start_time")), _moment(job.get("end_time"))
    except ValueError:
        return True  # reading tells of it
    return start is not None and start < window.end and (end is None or end > window.start)


SOURCE = MeterSource(
    name="ray",
    title="Ray jobs, tasks and actors (dashboard API)",
    read=read,
    rank=Rank.NESTED,
    pull=Present(pull),
    complete=False,
)
