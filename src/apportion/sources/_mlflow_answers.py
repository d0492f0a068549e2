"""What the answers of an MLflow server in one file say together: runs, experiments, registered models, artifacts.

The answers of one file belong together: a run names its experiment by number, a model version names its run, and an
artifact listing names the address it lists. MLflow pages by offset, so a run may come twice: the last answer counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.errors import UnknownShape
from apportion.sources._tracked_runs import moment_of_ms
from apportion.sources.readings.answers import answers
from apportion.sources.readings.contract import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from apportion.sources.readings.answers import Answer
    from apportion.sources.readings.contract import RawFile

Point = tuple[datetime, Decimal]

_WINDOW = re.compile(r"attributes\.start_time >= (\d+) and attributes\.start_time < (\d+)")
"""How `pull` asks for the runs that began in its window: the window is read back from the request."""
_LOGGED = re.compile(r"models:/(m-[0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One run or logged model as reported, the answer that held it, and when that was read."""

    body: Mapping[str, Any]
    row: int
    read_at: datetime | None

    @property
    def about(self) -> Mapping[str, Any]:
        """Its `info`."""
        return _mapping(self.body.get("info"))

    @property
    def tags(self) -> dict[str, str]:
        """Its tags."""
        return {str(tag["key"]): str(tag.get("value", "")) for tag in _entries(_mapping(self.body.get("data")), "tags")}

    @property
    def metrics(self) -> dict[str, object]:
        """The last value of each of its metrics."""
        pairs = _entries(_mapping(self.body.get("data")), "metrics")
        return {str(metric["key"]): metric.get("value") for metric in pairs}


@dataclass(slots=True)
class Gathered:
    """All that one file says."""

    runs: dict[str, Entry] = field(default_factory=dict)
    logged_models: dict[str, Entry] = field(default_factory=dict)
    experiments: dict[str, str] = field(default_factory=dict)
    versions: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """Run id or logged model id -> names and versions registered from it."""
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)
    """Artifact address -> path of a file below it -> bytes."""
    listed: dict[str, tuple[int, datetime | None]] = field(default_factory=dict)
    """Artifact address -> the answer that lists it, and when that was read."""
    history: dict[str, dict[str, set[Point]]] = field(default_factory=dict)
    """Run id -> metric -> its observations."""
    window: tuple[datetime, datetime] | None = None
    faults: list[Fault] = field(default_factory=list)


def gathered(file: RawFile) -> Gathered:
    """What the file says; raises `UnknownShape` where a document is no answer of MLflow."""
    found = Gathered()
    for answer in answers(file):
        _take(found, answer, file)
    return found


def _take(found: Gathered, answer: Answer, file: RawFile) -> None:
    body = _mapping(answer.body)
    window = _WINDOW.search(str(answer.params.get("filter", "")))
    if window:
        found.window = _moments(window)
    known = [key for key in _TAKERS if key in body]
    if not known and answer.body != {}:
        raise UnknownShape(
            file=file.name,
            what=f"document {answer.row} is no answer of an MLflow server.",
            fix="Save the answers of runs/search, experiments/search or model-versions/search as they come.",
        )
    for key in known:
        _TAKERS[key](found, body, answer)


def _moments(window: re.Match[str]) -> tuple[datetime, datetime] | None:
    start, end = moment_of_ms(window[1]), moment_of_ms(window[2])
    return (start, end) if start and end else None


def _take_runs(found: Gathered, body: Mapping[str, Any], answer: Answer) -> None:
    for run in [*_entries(body, "runs"), *([body["run"]] if isinstance(body.get("run"), dict) else [])]:
        about = _mapping(run.get("info"))
        if run_id := about.get("run_id") or about.get("run_uuid"):
            found.runs[str(run_id)] = Entry(run, answer.row, answer.read_at)
        else:
            found.faults.append(_nameless("run", "runs.info.run_id", run, answer.row))


def _take_logged(found: Gathered, body: Mapping[str, Any], answer: Answer) -> None:
    for model in _entries(body, "models"):
        if model_id := _mapping(model.get("info")).get("model_id"):
            found.logged_models[str(model_id)] = Entry(model, answer.row, answer.read_at)
        else:
            found.faults.append(_nameless("logged model", "models.info.model_id", model, answer.row))


def _take_experiments(found: Gathered, body: Mapping[str, Any], answer: Answer) -> None:  # noqa: ARG001 - one of several
    for experiment in _entries(body, "experiments"):
        found.experiments[str(experiment.get("experiment_id"))] = str(experiment.get("name"))


def _take_versions(found: Gathered, body: Mapping[str, Any], answer: Answer) -> None:  # noqa: ARG001 - one of several
    latest = [one for model in _entries(body, "registered_models") for one in _entries(model, "latest_versions")]
    for version in [*_entries(body, "model_versions"), *latest]:
        named = (str(version.get("name")), str(version.get("version")))
        logged = _LOGGED.fullmatch(str(version.get("source", "")))
        for key in (version.get("run_id"), version.get("model_id"), logged and logged[1]):
            if key:
                found.versions.setdefault(str(key), set()).add(named)


def _take_files(found: Gathered, body: Mapping[str, Any], answer: Answer) -> None:
    address = str(body.get("root_uri", ""))
    sizes = found.sizes.setdefault(address, {})
    found.listed[address] = (answer.row, answer.read_at)
    for one in _entries(body, "files"):
        if not one.get("is_dir"):
            sizes[str(one.get("path"))] = int(one.get("file_size") or 0)


def _take_history(found: Gathered, body: Mapping[str, Any], answer: Answer) -> None:
    run_id = answer.params.get("run_id")
    if run_id is None:
        found.faults.append(
            Fault(
                code="history_of_no_run",
                row=answer.row,
                column="metrics",
                example=str(body["metrics"])[:80],
                what="This metric history does not say which run it belongs to.",
                fix="Let Apportion pull from the server, which keeps the request; the run is counted without it.",
                rejected=False,
            )
        )
        return
    metrics = found.history.setdefault(str(run_id), {})
    for point in _entries(body, "metrics"):
        when, value = moment_of_ms(point.get("timestamp")), point.get("value")
        if when and isinstance(value, int | Decimal) and not isinstance(value, bool):
            metrics.setdefault(str(point.get("key")), set()).add((when, Decimal(value)))


_TAKERS = {
    "runs": _take_runs,
    "run": _take_runs,
    "experiments": _take_experiments,
    "model_versions": _take_versions,
    "registered_models": _take_versions,
    "models": _take_logged,
    "root_uri": _take_files,
    "metrics": _take_history,
}


def _nameless(thing: str, column: str, body: object, row: int) -> Fault:
    return Fault(
        code="mlflow_entry_without_id",
        row=row,
        column=column,
        example=str(body)[:80],
        what=f"This {thing} has no id, so nothing can be counted for it.",
        fix="Save the answer of the server whole, as it comes.",
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _entries(body: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    found: Iterable[object] = body.get(key) or ()
    return (one for one in found if isinstance(one, dict)) if isinstance(found, list) else iter(())
