"""MLflow: runs, registered models and artifact sizes of a tracking server.

Pulled or saved: the answers of `/api/2.0/mlflow` to `runs/search`, `experiments/search`, `model-versions/search`,
`registered-models/search`, `logged-models/search`, `artifacts/list`, `logged-models/{id}/artifacts/directories` and
`metrics/get-history`.

- A run is known by `mlflow:<run id>`, its parent by the tag `mlflow.parentRunId`, its model by the registry. A killed
  run stays RUNNING without an end: it counts until it was read.
- GPUs are the distinct indices among the system metrics: all GPUs of the host, not those of the run. Their busy time
  is the mean of the utilisation's history. Without system metrics there are run seconds only.
- Artifacts count from the end of their run, logged models from their creation; what there was before is not known.
- `mlflow.user` is the user of the operating system and proves nothing.

Credentials: those of every meter, or `MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and `…_PASSWORD`.

Source: MLflow 3.17 REST API, seen on a real server; `mlflow/system_metrics` for the names of metrics.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Rank
from apportion.errors import ConfigError
from apportion.sources._mlflow_answers import gathered
from apportion.sources._mlflow_runs import UTILISATION, model_samples, run_samples
from apportion.sources._tracked_runs import authorize, from_environment, ms_of_moment
from apportion.sources.readings.client import Client, secret_of
from apportion.sources.readings.contract import MeterSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.contract import Fault, RawFile, Sample, Window

API = "/api/2.0/mlflow/"
RUNS_PER_PAGE = 5000
OTHERS_PER_PAGE = 1000
MODELS_PER_PAGE = 50
POINTS_PER_PAGE = 25000
EXPERIMENTS_PER_REQUEST = 200
WHICH_ARTIFACTS = ("window", "all", "none")
"""Whose artifacts `pull` lists: of the runs of the day, of every run (a request per run and folder), of none."""


def read(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    """The samples of all runs and stored artifacts of a file, in the order of its runs."""
    found = gathered(file)
    yield from found.faults
    for run_id in found.runs:
        yield from run_samples(run_id, found, config)
    for model_id in found.logged_models:
        yield from model_samples(model_id, found, config)


def pull(client: Client, window: Window, config: SourceConfig) -> Iterable[object]:
    """One day: experiments, runs alive in it, registered versions, logged models, GPU histories, artifact listings."""
    which = _which(config)
    user = from_environment("MLFLOW_TRACKING_USERNAME")
    authorize(
        client,
        token=secret_of("MLFLOW_TRACKING_TOKEN"),
        basic=(user, from_environment("MLFLOW_TRACKING_PASSWORD") or "") if user else None,
    )
    experiments = [str(one["experiment_id"]) for one in _experiments(client)]
    runs = _distinct(_runs(client, experiments, _filters(window)))
    _drain(_listed(client, "model-versions/search", "model_versions", {"max_results": OTHERS_PER_PAGE}))
    logged = list(_logged_models(client, experiments))
    for run in runs.values():
        _histories(client, run)
    if which == "all":
        earlier = f"attributes.end_time < {ms_of_moment(window.start)}"
        runs |= _distinct(_runs(client, experiments, (earlier,)))
    if which != "none":
        _artifacts(client, runs, [model for model in logged if which == "all" or _source(model) in runs])
    return runs


def _which(config: SourceConfig) -> str:
    which = str(config.options.get("artifacts", WHICH_ARTIFACTS[0]))
    if which not in WHICH_ARTIFACTS:
        raise ConfigError.of_option(
            config.id,
            "artifacts",
            what=f"'{which}' says nothing about artifacts.",
            fix=f"Write one of: {', '.join(WHICH_ARTIFACTS)}.",
        )
    return which


def _filters(window: Window) -> tuple[str, ...]:
    """Disjoint, and together every run that was alive in the window, also one that is over and has no end."""
    start, end = ms_of_moment(window.start), ms_of_moment(window.end)
    return (
        f"attributes.start_time >= {start} and attributes.start_time < {end}",
        f"attributes.start_time < {start} and attributes.status = 'RUNNING'",
        f"attributes.start_time < {start} and attributes.end_time >= {start}",
    )


def _experiments(client: Client) -> Iterator[Mapping[str, Any]]:
    yield from _paged(client, "experiments/search", "experiments", {"view_type": "ALL", "max_results": OTHERS_PER_PAGE})


def _runs(client: Client, experiments: list[str], filters: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """The runs of a few hundred experiments at a time, deleted ones among them: their money was spent."""
    for some in _batches(experiments):
        for text in filters:
            asked = {
                "experiment_ids": some,
                "filter": text,
                "run_view_type": "ALL",
                "max_results": RUNS_PER_PAGE,
                "order_by": ["attributes.start_time ASC"],
            }
            yield from _paged(client, "runs/search", "runs", asked)


def _logged_models(client: Client, experiments: list[str]) -> Iterator[Mapping[str, Any]]:
    for some in _batches(experiments):
        yield from _paged(
            client, "logged-models/search", "models", {"experiment_ids": some, "max_results": MODELS_PER_PAGE}
        )


def _histories(client: Client, run: Mapping[str, Any]) -> None:
    for metric in (run.get("data") or {}).get("metrics") or ():
        if UTILISATION.fullmatch(str(metric.get("key"))):
            asked = {"run_id": run["info"]["run_id"], "metric_key": metric["key"], "max_results": POINTS_PER_PAGE}
            _drain(_listed(client, "metrics/get-history", "metrics", asked))


def _artifacts(client: Client, runs: Mapping[str, Mapping[str, Any]], logged: list[Mapping[str, Any]]) -> None:
    for run_id, run in runs.items():
        if run["info"].get("lifecycle_stage") != "deleted":
            _walk(client, "artifacts/list", "path", {"run_id": run_id})
    for model in logged:
        _walk(client, f"logged-models/{model['info']['model_id']}/artifacts/directories", "artifact_directory_path", {})


def _walk(client: Client, path: str, folder: str, asked: Mapping[str, Any]) -> None:
    """Every folder below an artifact root: a listing names its own entries only."""
    left = [dict(asked)]
    while left:
        entries = list(_listed(client, path, "files", left.pop()))
        left += [{**asked, folder: entry["path"]} for entry in entries if entry.get("is_dir")]


def _drain(pages: Iterable[object]) -> None:
    """Ask to the end: the client keeps what it is answered."""
    deque(pages, maxlen=0)


def _source(model: Mapping[str, Any]) -> str:
    return str(model["info"].get("source_run_id"))


def _distinct(runs: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {str(run["info"]["run_id"]): run for run in runs}


def _batches(experiments: list[str]) -> Iterator[list[str]]:
    left = iter(experiments)
    while some := list(islice(left, EXPERIMENTS_PER_REQUEST)):
        yield some


def _paged(client: Client, path: str, key: str, asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All pages of a search that is asked by POST."""
    token: str | None = None
    while token != "":
        answer = client.post(API + path, {**asked, **({"page_token": token} if token else {})})
        yield from answer.get(key) or ()
        token = answer.get("next_page_token") or ""


def _listed(client: Client, path: str, key: str, asked: Mapping[str, Any] | None = None) -> Iterator[Mapping[str, Any]]:
    """All pages of a list that is asked by GET."""
    token: str | None = None
    while token != "":
        answer = client.get(API + path, {**(asked or {}), **({"page_token": token} if token else {})})
        yield from answer.get(key) or ()
        token = answer.get("next_page_token") or ""


SOURCE = MeterSource(
    name="mlflow",
    title="MLflow tracking server",
    read=read,
    rank=Rank.TRACKER,
    pull=pull,
    options=frozenset({"artifacts", "artifact_store"}),
)
