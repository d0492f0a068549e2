"""What acme's MLflow says about its training jobs: experiments, runs, sweeps, registered models and artifacts.

Every job of the bills has a run under its name; the run carries the id of what it ran on, because acme's training image
stamps it. Sweeps are a parent run with trials that follow one another on the same machines.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from apportion.core.measures import Measure, WorkloadKind
from apportion.demo.acme.company import PROJECTS
from apportion.demo.acme.meters_file import write_lines
from apportion.demo.acme.meters_labels import labels_of
from apportion.demo.acme.meters_machines import GIB
from apportion.demo.acme.meters_truth import Worked
from apportion.demo.acme.meters_works import Work, seconds_between
from apportion.demo.acme.usage import chance, digest

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from apportion.core.period import Month
    from apportion.demo.acme.meters_truth import Workloads

_EPOCH = datetime(1970, 1, 1)
Document = dict[str, object]
_SWEPT = ("sweep-box", "credit-xgb-train", "merchant-embed", "route-bandit-sim")
_TRIALS = (6, 3, 2)
_MILLISECONDS = 3600
"""A thousandth of a machine hour: what machines and trials have to divide."""
_EXPERIMENTS = {project: str(number) for number, project in enumerate(PROJECTS, start=1)}
_PEOPLE = {
    "risk": ("anna.berg", "ben.holm"),
    "lending": ("dora.ek", "lars.lind"),
    "payments": ("chen.li", "kofi.ba"),
    "merchant": ("mia.roth", "uma.nair"),
    "assistant": ("ivo.petrov", "sara.moss"),
    "platform": ("root",),
}
VOLUME = 500 * GIB
"""The disk of one training machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of the tracker: a job, or one trial of a sweep; `sweep` is the id of the run of the whole sweep."""

    id: str
    name: str
    work: Work
    start: datetime
    end: datetime
    sweep: str | None = None

    @property
    def workload(self) -> str:
        """The id under which all meters know the run."""
        return f"mlflow:{self.id}"

    def used(self) -> dict[Measure, Decimal]:
        """What the run used: its machines for its time, and their disks."""
        seconds = seconds_between(self.start, self.end) * self.work.count
        used = {
            Measure.CPU_CORE_SECONDS: self.work.machine.cores * seconds,
            Measure.STORAGE_BYTE_SECONDS: VOLUME * seconds,
        }
        return {Measure.GPU_SECONDS: self.work.machine.gpus * seconds, **used} if self.work.machine.gpus else used


def runs_of(work: Work) -> list[Run]:
    """The runs that used the job's machines: one, or the trials of a sweep."""
    name, job = work.name, _id(work, 0)
    if not _swept(work):
        return [Run(id=job, name=name, work=work, start=work.start, end=work.end)]
    trials = next(trials for trials in _TRIALS if _MILLISECONDS % (work.count * trials) == 0)
    step = (work.end - work.start) / trials
    starts = [work.start + number * step for number in range(trials)]
    return [
        Run(id=_id(work, n), name=f"{name}-trial-{n}", work=work, start=start, end=start + step, sweep=job)
        for n, start in enumerate(starts, start=1)
    ]


def write_runs(folder: Path, month: Month, jobs: Iterable[Work], versions: Counter[str], workloads: Workloads) -> None:
    """Write `meters/mlflow/YYYY-MM.jsonl.gz`: MLflow about the runs of a month, their models, their artifacts.

    `versions` counts the versions of each model so far.
    """
    found: list[Document] = []
    artifacts: list[Document] = []
    registered: list[Document] = []
    for job in jobs:
        runs = runs_of(job)
        if runs[0].sweep:
            found.append(_run(Run(id=runs[0].sweep, name=job.name, work=job, start=job.start, end=job.end)))
        found += [_run(run) for run in runs]
        artifacts += [_artifacts(run) for run in runs]
        registered.append(_version(runs[-1], versions))
        for run in runs:
            workloads.add(_worked(run))
    start, end = (int(seconds_between(_EPOCH, moment) * 1000) for moment in (month.start, month.end))
    window = {"filter": f"attributes.start_time >= {start} and attributes.start_time < {end}"}
    answers = [
        _kept(month, "experiments/search", {"experiments": [_experiment(project) for project in PROJECTS]}),
        _kept(month, "runs/search", {"runs": sorted(found, key=_by_start)}, window),
        *(_kept(month, "artifacts/list", listing) for listing in artifacts),
        _kept(month, "model-versions/search", {"model_versions": registered}),
        _kept(month, "registered-models/search", {"registered_models": _models(registered)}),
    ]
    write_lines(folder / "meters" / "mlflow" / f"{month}.jsonl.gz", answers)


def _kept(month: Month, path: str, body: Document, params: Mapping[str, object] | None = None) -> Document:
    """An answer as Apportion keeps what it pulls: here everything was pulled when the month was over."""
    request = {"path": f"/api/2.0/mlflow/{path}", "params": params or {}, "read_at": month.end.isoformat()}
    return {"apportion_answer": request, "body": body}


def _swept(work: Work) -> bool:
    return work.resource.name in _SWEPT


def _id(work: Work, number: int) -> str:
    words = (work.resource.name, work.name, work.start, number)
    return digest("run", *words) + digest("run again", *words)


def _milliseconds(moment: datetime) -> int:
    return int(seconds_between(_EPOCH, moment) * 1000)


def _project(work: Work) -> str:
    return work.resource.owner.project or ""


def _place(run: Run) -> str:
    return f"s3://acme-mlflow/{_EXPERIMENTS[_project(run.work)]}/{run.id}/artifacts"


def _experiment(project: str) -> Document:
    return {
        "experiment_id": _EXPERIMENTS[project],
        "name": project,
        "artifact_location": f"s3://acme-mlflow/{_EXPERIMENTS[project]}",
        "lifecycle_stage": "active",
        "tags": [{"key": "owner", "value": PROJECTS[project]}],
    }


def _run(run: Run) -> Document:
    user = _user(run.work)
    times = {"start_time": _milliseconds(run.start), "end_time": _milliseconds(run.end)}
    return {
        "info": {
            "run_id": run.id,
            "run_uuid": run.id,
            "run_name": run.name,
            "experiment_id": _EXPERIMENTS[_project(run.work)],
            "user_id": user,
            "status": "FINISHED",
            **times,
            "artifact_uri": _place(run),
            "lifecycle_stage": "active",
        },
        "data": {
            "metrics": _metrics(run, times["end_time"]),
            "params": [
                {"key": "instance_type", "value": run.work.machine.instance},
                {"key": "instance_count", "value": str(run.work.count)},
                {"key": "learning_rate", "value": f"0.000{1 + chance(9, run.id)}"},
            ],
            "tags": [{"key": key, "value": value} for key, value in _tags(run, user).items()],
        },
    }


def _tags(run: Run, user: str) -> dict[str, str]:
    own = {
        "mlflow.user": user,
        "mlflow.runName": run.name,
        "mlflow.source.name": "train.py",
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": digest("commit", run.work.name) + digest("tree", run.work.name) + "00000000",
        "apportion.resource_id": run.work.resource_id,
    }
    parent = {"mlflow.parentRunId": run.sweep} if run.sweep else {}
    return {**own, **parent, **labels_of(run.work.resource.owner)}


def _metrics(run: Run, at: int) -> list[Document]:
    """The last values of MLflow's system metrics, of all GPUs of every machine; a sweep's own run watches nothing."""
    if _swept(run.work) and not run.sweep:
        return []
    nodes = ("",) if run.work.count == 1 else tuple(f"node-{number}/" for number in range(run.work.count))
    values = {f"system/{node}cpu_utilization_percentage": 10 + chance(60, run.id, node, "cpu") for node in nodes}
    for node in nodes:
        for gpu in range(run.work.machine.gpus):
            values[f"system/{node}gpu_{gpu}_utilization_percentage"] = 40 + chance(55, run.id, node, gpu)
    return [{"key": key, "value": value, "timestamp": at, "step": 0} for key, value in values.items()]


def _artifacts(run: Run) -> Document:
    size = (1 + chance(40, "model", run.work.resource.name)) * GIB + chance(GIB, run.id)
    files = {"model/model.safetensors": size, "model/MLmodel": 1_024 + chance(512, run.id, "about")}
    return {
        "root_uri": _place(run),
        "files": [{"path": path, "is_dir": False, "file_size": bytes_} for path, bytes_ in files.items()],
    }


def _version(run: Run, versions: Counter[str]) -> Document:
    model = run.work.resource.owner.model or ""
    versions[model] += 1
    ended = _milliseconds(run.end)
    return {
        "name": model,
        "version": str(versions[model]),
        "creation_timestamp": ended,
        "last_updated_timestamp": ended,
        "user_id": _user(run.work),
        "current_stage": "None",
        "source": f"runs:/{run.id}/model",
        "run_id": run.id,
        "status": "READY",
    }


def _models(registered: Sequence[Document]) -> list[Document]:
    latest = {str(version["name"]): version for version in registered}
    return [
        {
            "name": name,
            "creation_timestamp": version["creation_timestamp"],
            "last_updated_timestamp": version["last_updated_timestamp"],
            "latest_versions": [version],
        }
        for name, version in sorted(latest.items())
    ]


def _user(work: Work) -> str:
    people = _PEOPLE[work.resource.owner.team or "platform"]
    return people[chance(len(people), "user", work.name)]


def _by_start(run: Document) -> tuple[object, ...]:
    info = run["info"]
    return (info["start_time"], info["run_id"]) if isinstance(info, dict) else ()


def _worked(run: Run) -> Worked:
    return Worked(
        source="runs",
        day=f"{run.start:%Y-%m-%d}",
        workload=run.workload,
        kind=WorkloadKind.TRAINING_JOB,
        resource=run.work.name,
        resource_id=run.work.resource_id,
        owner=run.work.resource.owner,
        used={**run.used(), Measure.RUN_SECONDS: seconds_between(run.start, run.end)},
    )
