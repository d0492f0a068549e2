"""Weights & Biases: offline runs (`offline-run-…/run-….wandb`), and the API (`POST /graphql`).

- A run is known by its entity, project and id; a sweep is its parent, else its group. Its project is the experiment.
- GPUs: those with readings (the whole host's); their UUIDs join the run to the GPU metrics of a cluster, its Slurm job
  and host to theirs. Busy time, memory and energy are means of the readings × the duration.
- The API knows no end: a run that is over ends at its last heartbeat. It gives the last readings only, so it counts
  GPUs and not how busy they were; and of host, user and GPUs only what the run's configuration holds.
- Entity and user of an offline run are what the machine said, not what a server checked.

Options: `projects` (list of "entity/project") for the API. Credentials: those of every meter, or `WANDB_API_KEY`.
Files need the package `wandb`, which says what its records mean; the API does not.

Source: wandb 0.31, `wandb/proto` and `wandb/apis/public/runs.py`; offline runs seen, the API as recorded in its client.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Rank
from apportion.errors import ConfigError, MeterUnreachable, UnknownShape
from apportion.sources._tracked_runs import authorize, ended_unknown, from_environment, moment_of_text, time_read
from apportion.sources._wandb_offline import read_offline
from apportion.sources._wandb_runs import Facts, plain_settings, samples_of_facts
from apportion.sources.readings.answers import answers, exact
from apportion.sources.readings.contract import Fault, MeterSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.answers import Answer
    from apportion.sources.readings.client import Client
    from apportion.sources.readings.contract import RawFile, Sample, Window

RUNS_PER_PAGE = 100
QUERY = """query Runs($project: String!, $entity: String!, $cursor: String, $perPage: Int, $order: String,
 $filters: JSONString) { project(name: $project, entityName: $entity) { name entityName
 runs(filters: $filters, after: $cursor, first: $perPage, order: $order) { edges { node {
 name displayName state group jobType sweepName createdAt heartbeatAt tags config systemMetrics user { username } } }
 pageInfo { endCursor hasNextPage } } } }"""

_ALIVE = frozenset({"running", "preempting"})
_WAITING = "pending"
"""Asked for, not begun: it has used nothing."""
_GPU = re.compile(r"(?:system\.)?gpu\.(\d+)\.\w+")


def read(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    """The samples of a `.wandb` file, or of the answers of the API."""
    if file.name.endswith(".wandb"):
        yield from read_offline(file, config)
        return
    seen: set[str] = set()
    for answer in answers(file):
        for project, node in _nodes(answer, file):
            yield from _unseen(answer, project, node, config, seen)


def pull(client: Client, window: Window, config: SourceConfig) -> Iterable[object]:
    """One day: all runs of the projects that began before its end and were alive after its start."""
    projects = _projects(config)
    key = from_environment("WANDB_API_KEY")
    authorize(client, basic=("api", key) if key else None)
    alive = {
        "$and": [
            {"created_at": {"$lt": f"{window.end.isoformat()}Z"}},
            {"heartbeat_at": {"$gte": f"{window.start.isoformat()}Z"}},
        ]
    }
    for entity, project in projects:
        yield from _pages(client, entity, project, json.dumps(alive))


def _pages(client: Client, entity: str, project: str, filters: str) -> Iterator[object]:
    cursor: str | None = None
    while True:
        asked = {"entity": entity, "project": project, "cursor": cursor, "perPage": RUNS_PER_PAGE,
                 "order": "+created_at", "filters": filters}  # fmt: skip
        answer = client.post("/graphql", {"query": QUERY, "variables": asked})
        found = _project(answer)
        if found is None:
            raise MeterUnreachable(
                source=client.source_id,
                url=f"{client.url.rstrip('/')}/graphql",
                what=f"does not give the runs of {entity}/{project}{_reason(answer)}",
            )
        yield answer
        page = (found.get("runs") or {}).get("pageInfo") or {}
        if not page.get("hasNextPage") or page.get("endCursor") in {None, cursor}:
            return
        cursor = page["endCursor"]


def _projects(config: SourceConfig) -> list[tuple[str, str]]:
    named = config.options.get("projects")
    pairs = [str(name).split("/") for name in (named if isinstance(named, list | tuple) else ())]
    if not pairs or any(len(pair) != 2 or not all(pair) for pair in pairs):  # noqa: PLR2004 - entity and project
        raise ConfigError.of_option(
            config.id,
            "projects",
            what="the API has to be told which projects to read.",
            fix='Write, for example: projects = ["my-team/fraud", "my-team/churn"]',
        )
    return [(entity, project) for entity, project in pairs]


def _reason(answer: object) -> str:
    errors = answer.get("errors") if isinstance(answer, dict) else None
    said = [str(one.get("message", "")) for one in errors or () if isinstance(one, dict)]
    return f" ({'; '.join(said)})" if said else ""


def _project(body: object) -> Mapping[str, Any] | None:
    data = body.get("data") if isinstance(body, dict) else None
    found = data.get("project") if isinstance(data, dict) else None
    return found if isinstance(found, dict) else None


def _nodes(answer: Answer, file: RawFile) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    project = _project(answer.body)
    if project is None:
        raise UnknownShape(
            file=file.name,
            what=f"document {answer.row} is no answer of W&B with the runs of a project.",
            fix="Save the answer to a query for project { runs { edges { node } } }, or give offline-run folders.",
        )
    for edge in (project.get("runs") or {}).get("edges") or ():
        yield project, edge.get("node") or {}


def _unseen(
    answer: Answer, project: Mapping[str, Any], node: Mapping[str, Any], config: SourceConfig, seen: set[str]
) -> Iterator[Sample | Fault]:
    """The samples of a run that no earlier page gave: pages move while runs are added."""
    if not node.get("name"):
        yield Fault(
            code="wandb_run_without_id",
            row=answer.row,
            column="node.name",
            example=str(dict(node))[:80],
            what="This run has no id (the field `name`), so nothing can be counted for it.",
            fix="Ask for the field name of each run; displayName is another.",
        )
        return
    facts = _facts(answer, project, node)
    key = f"{facts.entity}/{facts.project}/{facts.run_id}"
    if key in seen or facts.status == _WAITING:
        return
    seen.add(key)
    if facts.end is None and facts.status not in _ALIVE:
        yield ended_unknown(facts.name or facts.run_id, facts.status, answer.row)
    else:
        yield from samples_of_facts(facts, config, time_read(answer.read_at, config))


def _facts(answer: Answer, project: Mapping[str, Any], node: Mapping[str, Any]) -> Facts:
    asked = answer.params.get("variables") or {}
    state = str(node.get("state") or "")
    readings = _json(node.get("systemMetrics"))
    gpus = {name[1] for key in readings if (name := _GPU.fullmatch(str(key)))}
    return Facts(
        run_id=str(node["name"]),
        row=answer.row,
        start=moment_of_text(node.get("createdAt")),
        end=None if state in _ALIVE else moment_of_text(node.get("heartbeatAt")),
        entity=str(project.get("entityName") or asked.get("entity") or ""),
        project=str(project.get("name") or asked.get("project") or ""),
        name=str(node.get("displayName") or ""),
        group=str(node.get("group") or ""),
        job_type=str(node.get("jobType") or ""),
        sweep=str(node.get("sweepName") or ""),
        user=str((node.get("user") or {}).get("username") or ""),
        status=state,
        tags=tuple(map(str, node.get("tags") or ())),
        settings=plain_settings(_json(node.get("config"))),
        gpus=len(gpus) or None,
    )


def _json(found: object) -> Mapping[str, Any]:
    """A JSON text, or what one was read into; nothing where it is neither."""
    try:
        value = exact(found) if isinstance(found, str) else found
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


SOURCE = MeterSource(
    name="wandb",
    title="Weights & Biases",
    read=read,
    rank=Rank.TRACKER,
    pull=pull,
    suffixes=(".wandb", ".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz"),
    options=frozenset({"projects"}),
)
