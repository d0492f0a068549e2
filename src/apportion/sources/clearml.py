"""ClearML: tasks of a server (`tasks.get_all`), and tasks kept offline (`offline-….zip`, or the folder).

- A task is known by `clearml:<id>`, its parent by `parent`; its project is the experiment, its user properties and
  tags are labels. The server knows users by number, and names them in answers of `tasks.get_all_ex`.
- GPUs: those with readings under `:monitor:gpu`, else those the worker's name lists (`host:gpu0,1`). ClearML honours
  CUDA_VISIBLE_DEVICES. Where it cannot read a utilisation it reports a fixed one (100 by default).
- Busy time, memory and energy come from offline tasks only: the server's answer holds the last readings.
- A folder of an offline task may be read while the task runs, and again when it has grown (see `_clearml_offline`).
- A task that was created or waits in a queue has used nothing. One in progress has no end.

Credentials: those of every meter, or `CLEARML_API_ACCESS_KEY` and `CLEARML_API_SECRET_KEY`, for which the server gives
a token; that answer is not kept.

Source: clearml 2.1, `backend_api/services/v2_23` and `utilities/resource_monitor.py`; offline tasks seen, the API as
its client describes it.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Rank
from apportion.errors import MeterUnreachable, UnknownShape
from apportion.sources._clearml_offline import PARTS, offline_folder, read_folder, read_zip
from apportion.sources._clearml_tasks import described, gpu_reading, host_and_gpus
from apportion.sources._tracked_runs import (
    TrackedRun,
    authorize,
    ended_unknown,
    from_environment,
    moment_of_text,
    samples_of,
    startless,
    time_read,
)
from apportion.sources.readings.answers import answers
from apportion.sources.readings.client import Client, env_prefix
from apportion.sources.readings.contract import Fault, MeterSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.answers import Answer
    from apportion.sources.readings.contract import RawFile, Sample, Window

PER_PAGE = 500
FIELDS = (
    *("id", "name", "type", "status", "user", "project", "parent", "started", "completed", "last_worker", "tags"),
    *("hyperparams.properties", "last_metrics"),
)
"""What is asked for of each task."""

_WAITING = frozenset({"created", "queued"})
_ALIVE = frozenset({"in_progress"})


def read(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    """The samples of an offline task, or of the answers of a server."""
    if file.name.endswith(".zip"):
        yield from read_zip(file, config)
    elif folder := offline_folder(file):
        if file.path.parent == folder and file.path.name in PARTS:
            yield from read_folder(file, config)
    else:
        yield from _answered(file, config)


def pull(client: Client, window: Window, config: SourceConfig) -> Iterable[object]:  # noqa: ARG001 - the signature
    """One day: projects, tasks in progress, and all tasks whose status changed since the day began.

    So a task that ended in the day or later is there, and some that only began later.
    """
    _log_in(client)
    yield from _pages(client, "projects.get_all", "projects", {"only_fields": ["id", "name"]})
    since = f">={window.start.isoformat()}"
    for asked in ({"status": sorted(_ALIVE)}, {"status_changed": [since]}):
        yield from _pages(client, "tasks.get_all", "tasks", {**asked, "only_fields": list(FIELDS)})


def _log_in(client: Client) -> None:
    """A token for the keys of ClearML, asked for by a client of its own so that nothing keeps it."""
    prefix = env_prefix(client.source_id)
    access, secret = from_environment("CLEARML_API_ACCESS_KEY"), from_environment("CLEARML_API_SECRET_KEY")
    if os.environ.get(f"{prefix}_TOKEN") or os.environ.get(f"{prefix}_USER") or not (access and secret):
        return
    asking = Client(
        source_id=client.source_id,
        url=client.url,
        keep=io.StringIO(),
        read_at=client.read_at,
        timeout=client.timeout,
        sleep=client.sleep,
    )
    authorize(asking, basic=(access, secret))
    try:
        token = _data(asking.post("/auth.login")).get("token")
    finally:
        asking.close()
    if not token:
        raise MeterUnreachable(
            source=client.source_id, url=f"{client.url.rstrip('/')}/auth.login", what="gives no token for these keys"
        )
    authorize(client, token=str(token))


def _pages(client: Client, path: str, key: str, asked: Mapping[str, Any]) -> Iterator[object]:
    """All pages, ordered by id so that none is passed over."""
    page, full = 0, True
    while full:
        answer = client.post(f"/{path}", {**asked, "page": page, "page_size": PER_PAGE, "order_by": ["id"]})
        yield answer
        full = len(_data(answer).get(key) or ()) >= PER_PAGE
        page += 1


def _data(answer: object) -> Mapping[str, Any]:
    data = answer.get("data") if isinstance(answer, dict) else None
    return data if isinstance(data, dict) else {}


def _answered(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    found = list(answers(file))
    for answer in found:
        if not {"tasks", "task", "projects"} & _data(answer.body).keys():
            raise UnknownShape(
                file=file.name,
                what=f"document {answer.row} is no answer of ClearML with tasks or projects.",
                fix="Save the answer to tasks.get_all as it comes, or give offline archives or folders.",
            )
    projects = {str(one.get("id")): str(one.get("name")) for a in found for one in _data(a.body).get("projects") or ()}
    seen: set[str] = set()
    for answer in found:
        for task in [*(_data(answer.body).get("tasks") or ()), *_single(answer)]:
            yield from _unseen(answer, task, projects, config, seen)


def _single(answer: Answer) -> list[Mapping[str, Any]]:
    task = _data(answer.body).get("task")
    return [task] if isinstance(task, dict) else []


def _unseen(
    answer: Answer, task: Mapping[str, Any], projects: Mapping[str, str], config: SourceConfig, seen: set[str]
) -> Iterator[Sample | Fault]:
    """The samples of a task that no earlier answer gave."""
    task_id, status = str(task.get("id") or ""), str(task.get("status") or "")
    if not task_id:
        yield Fault(
            code="clearml_task_without_id",
            row=answer.row,
            column="tasks.id",
            example=str(dict(task))[:80],
            what="This task has no id, so nothing can be counted for it.",
            fix="Ask for the field id of each task.",
        )
    elif task_id not in seen:
        seen.add(task_id)
        if status not in _WAITING:
            yield from _task_samples(answer, task, projects, config)


def _task_samples(
    answer: Answer, task: Mapping[str, Any], projects: Mapping[str, str], config: SourceConfig
) -> Iterator[Sample | Fault]:
    worker, status = str(task.get("last_worker") or ""), str(task.get("status") or "")
    workload, resource, doubts = described(
        task, config, experiment=_project(task, projects), worker=worker, row=answer.row
    )
    yield from doubts
    start, end = moment_of_text(task.get("started")), moment_of_text(task.get("completed"))
    if start is None:
        yield startless(workload.name, answer.row)
    elif end is None and status not in _ALIVE:
        yield ended_unknown(workload.name, status or "of no status", answer.row)
    else:
        run = TrackedRun(
            workload=workload,
            resource=resource,
            start=start,
            end=None if status in _ALIVE else end,
            row=answer.row,
            gpus=_gpus(task) or host_and_gpus(worker)[1],
        )
        yield from samples_of(run, time_read(answer.read_at, config))


def _project(task: Mapping[str, Any], projects: Mapping[str, str]) -> str | None:
    project = task.get("project")
    if isinstance(project, dict):
        return str(project.get("name") or project.get("id"))
    return projects.get(str(project), str(project)) if project else None


def _gpus(task: Mapping[str, Any]) -> int:
    """How many GPUs are among the last readings, which are filed under hashes of their names."""
    filed = task.get("last_metrics")
    variants = [one for group in (filed.values() if isinstance(filed, dict) else ()) for one in group.values()]
    found = (gpu_reading(str(one.get("metric")), str(one.get("variant"))) for one in variants)
    return len({reading[0] for reading in found if reading})


SOURCE = MeterSource(
    name="clearml",
    title="ClearML",
    read=read,
    rank=Rank.TRACKER,
    pull=pull,
    version="2",
    suffixes=(".zip", ".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz"),
)
