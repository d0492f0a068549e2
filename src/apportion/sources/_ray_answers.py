"""What the answers of a Ray dashboard hold, told apart by their shape: jobs, nodes, tasks, actors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from apportion.core.measures import WorkloadKind
from apportion.errors import UnknownShape
from apportion.sources.readings.contract import Workload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from apportion.sources.readings.answers import Answer

Entry = Mapping[str, Any]

_TRACKERS = {"mlflow_run_id": "mlflow", "wandb_run_id": "wandb"}
SHOWN = 80
"""Characters of an odd value that a fault shows."""
_REPLICA = "ServeReplica:"


@dataclass(frozen=True, slots=True)
class Listed:
    """One list of an answer: its `word` (`jobs`, `nodes`, `tasks`, `actors`, `untimed_actors`), its entries.

    `total` is how many there were; more than the entries where Ray cut the list.
    """

    row: int
    word: str
    entries: list[Entry]
    total: int
    read_at: datetime | None
    odd: tuple[str, ...] = ()
    """Entries that are no objects, as text; `total` counts them too."""


@dataclass(frozen=True, slots=True)
class Known:
    """Jobs by Ray's job id, names of nodes by node id and ids of actors, gathered before tasks are read."""

    cluster: str
    jobs: dict[str, Entry] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    actors: set[str] = field(default_factory=set)

    def add(self, listed: Listed) -> None:
        """Remember the jobs, nodes or actors of a list."""
        if listed.word == "actors":
            self.actors.update(str(actor.get("actorId")) for actor in listed.entries)
        if listed.word == "jobs":
            self.jobs.update({str(job["job_id"]): job for job in listed.entries if job.get("job_id")})
        if listed.word == "nodes":
            names = {str(node.get("node_id")): node.get("node_name") or node.get("node_ip") for node in listed.entries}
            self.nodes.update({key: str(name or key) for key, name in names.items()})


def listed(answer: Answer, file: str) -> Listed:
    """The list an answer holds; raises `UnknownShape` where it is none of Ray's."""
    body = answer.body
    if isinstance(body, list):
        return _listed(answer, body, word="jobs")
    data = body.get("data") if isinstance(body, dict) else None
    if isinstance(data, dict) and isinstance(data.get("actors"), dict):
        return _listed(answer, list(data["actors"].values()), word="actors")
    found = data.get("result") if isinstance(data, dict) else None
    if not isinstance(found, dict) or not isinstance(found.get("result"), list):
        raise UnknownShape(
            file=file,
            what=f"answer {answer.row} is none of a Ray dashboard, or says that it failed.",
            fix="Save /api/jobs/, /api/v0/nodes, /logical/actors and /api/v0/tasks?detail=true, one line each.",
        )
    total = found.get("total")
    return _listed(answer, found["result"], total=total if isinstance(total, int) else 0)


def _listed(answer: Answer, given: list[Any], *, word: str = "", total: int = 0) -> Listed:
    entries = [each for each in given if isinstance(each, Mapping)]
    odd = tuple(str(each)[:SHOWN] for each in given if not isinstance(each, Mapping))
    return Listed(answer.row, word or _word(entries), entries, total or len(given), answer.read_at, odd)


def _word(entries: list[Entry]) -> str:
    first = entries[0] if entries else {}
    for mark, word in (("task_id", "tasks"), ("actor_id", "untimed_actors"), ("resources_total", "nodes")):
        if mark in first:
            return word
    return "jobs"


def workload_of_job(job: Entry, cluster: str) -> Workload:
    """Who a job is: its submission id, or for a driver the job id with its start, for job ids begin again at 1.

    A training job unless its metadata has a `workload_kind`; its metadata are its labels.
    """
    labels = {str(name): str(value) for name, value in (job.get("metadata") or {}).items()}
    name = job.get("submission_id") or f"{job['job_id']}@{job['start_time']}"
    kind = labels.get("workload_kind", "")
    known = kind in set(WorkloadKind) - {WorkloadKind.IDLE, WorkloadKind.UNMETERED}
    trackers = (f"{word}:{labels[key]}" for key, word in _TRACKERS.items() if key in labels)
    return Workload(
        id=f"ray:{cluster}/{name}",
        kind=WorkloadKind(kind) if known else WorkloadKind.TRAINING_JOB,
        name=str(labels.get("job_name") or job.get("submission_id") or job.get("entrypoint") or name),
        namespace=cluster,
        status=job.get("status"),
        labels=labels,
        links=(f"ray:{cluster}/{name}", *trackers),
    )


def workload_of_replica(actor: Entry, cluster: str, job: Entry | None) -> Workload | None:
    """The endpoint of a Ray Serve replica (`ServeReplica:<application>:<deployment>`); None for another actor."""
    name = str(actor.get("className") or "")
    if not name.startswith(_REPLICA):
        return None
    shown = name.removeprefix(_REPLICA).replace(":", "/")
    return Workload(
        id=f"ray:{cluster}/serve/{shown}",
        kind=WorkloadKind.INFERENCE_ENDPOINT,
        name=shown,
        namespace=cluster,
        labels=workload_of_job(job, cluster).labels if job else {},
        links=(f"ray:{cluster}/serve/{shown}",),
    )


def spans(entry: Listed) -> Iterator[tuple[Entry, Any, Any]]:
    """Each entry with its start and end in milliseconds (None or 0 where there is none)."""
    names = {
        "actors": ("startTime", "endTime"),
        "tasks": ("start_time_ms", "end_time_ms"),
        "nodes": ("start_time_ms", "end_time_ms"),
        "jobs": ("start_time", "end_time"),
    }
    start, end = names[entry.word]
    yield from ((found, found.get(start), found.get(end)) for found in entry.entries)
