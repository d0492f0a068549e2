"""`apportion.track` and `apportion.stamp`: usage from scripts that have no tracker. Standard library only.

    import apportion

    with apportion.track(model="fraud-detector", team="fraud"):
        train()

Each tracked piece of work has one file in the spool folder (`$APPORTION_SPOOL`, else `.apportion-usage`), in the form
of the source `usage_file`: wall time, GPU time and CPU time of this process. The file is there from the start and is
replaced whole (written aside, then renamed) at every heartbeat, so that a process that is killed leaves a line that is
right up to its last heartbeat, with the status RUNNING. What cannot be used or written is a warning; it never stops the
script.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
import uuid
import warnings
from contextlib import ContextDecorator, suppress
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import wraps
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from apportion.core.measures import WorkloadKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

_Function = TypeVar("_Function", bound="Callable[..., Any]")

SPOOL = ".apportion-usage"
"""The spool folder where `$APPORTION_SPOOL` names none."""

HEARTBEAT_SECONDS = 60.0
LONGEST_WAIT = 10.0
"""Seconds that the end of a body waits for a heartbeat that hangs on a disk."""

_INSTANCE = ("APPORTION_RESOURCE_ID", "INSTANCE_ID", "EC2_INSTANCE_ID")
_DRIVER = Path("/proc/driver/nvidia/gpus")
_BILLION = 1_000_000_000
_NUMBER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,18})?")
_KINDS = frozenset(WorkloadKind) - {WorkloadKind.IDLE, WorkloadKind.UNMETERED}


def spool_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """The folder that lines are written to: the one given, else `$APPORTION_SPOOL`, else `.apportion-usage` here."""
    return Path(given or os.environ.get("APPORTION_SPOOL") or SPOOL)


def stamp(**labels: str) -> dict[str, str]:
    """Where this process runs, as tags for a tracker: it turns guesswork into exact keys.

    Set them as MLflow tags, in the W&B config, as Ray metadata or as pairs of a Slurm comment. Keys, each only where
    the environment says it: `k8s.pod.uid` (`POD_UID`), `k8s.pod.name`, `k8s.node.name`, `slurm.job_id`,
    `slurm.cluster_name`, `gpu.uuids`, `apportion.resource_id` (`APPORTION_RESOURCE_ID` or `INSTANCE_ID`), and always
    `host.name` (in a pod the node's, if it is known). The labels given (team, model …) come with them.
    """
    env = os.environ
    found = {
        "host.name": env.get("NODE_NAME") or socket.gethostname(),
        "k8s.pod.uid": env.get("POD_UID", ""),
        "k8s.pod.name": env.get("POD_NAME", ""),
        "k8s.node.name": env.get("NODE_NAME", ""),
        "slurm.job_id": env.get("SLURM_JOB_ID", ""),
        "slurm.cluster_name": env.get("SLURM_CLUSTER_NAME", ""),
        "gpu.uuids": ",".join(name for name in visible_gpus() or () if name.startswith("GPU-")),
        "apportion.resource_id": next((env[name] for name in _INSTANCE if env.get(name)), ""),
    }
    return {key: value for key, value in found.items() if value} | labels


def links(stamped: Mapping[str, str]) -> list[str]:
    """The keys under which meters know the work that has this stamp, the strongest first."""
    cluster, job = stamped.get("slurm.cluster_name"), stamped.get("slurm.job_id")
    found = [f"pod:{stamped['k8s.pod.uid']}"] if "k8s.pod.uid" in stamped else []
    found += [f"slurm:{cluster}/{job}"] if cluster and job else []
    found += [f"gpu:{name}" for name in stamped.get("gpu.uuids", "").split(",") if name]
    return [*found, f"host:{stamped['host.name']}"]


def visible_gpus() -> tuple[str, ...] | None:
    """The GPUs this process may use, by UUID or number; None where nothing says it.

    `CUDA_VISIBLE_DEVICES` (up to -1, as CUDA reads it), else `NVIDIA_VISIBLE_DEVICES` (`all`: those of the driver).
    """
    cuda = os.environ.get("CUDA_VISIBLE_DEVICES")
    if cuda is not None:
        names = [name.strip() for name in cuda.split(",")]
        stop = next((place for place, name in enumerate(names) if name in {"", "-1", "NoDevFiles"}), len(names))
        return tuple(names[:stop])
    nvidia = os.environ.get("NVIDIA_VISIBLE_DEVICES")
    if nvidia in {"none", "void", ""}:
        return ()
    if nvidia in {None, "all"}:
        return _cards()
    return tuple(name.strip() for name in str(nvidia).split(","))


def whole_gpus() -> str | None:
    """How many whole GPUs this process holds, as digits; None where nothing says it, or where it holds slices (MIG)."""
    names = visible_gpus()
    if names is None or any(name.startswith("MIG-") for name in names):
        return None
    return str(len(names))


def _cards() -> tuple[str, ...] | None:
    with suppress(OSError):
        return tuple(str(place) for place, _ in enumerate(sorted(_DRIVER.iterdir())))
    return None


def write_lines(lines: list[dict[str, Any]], folder: Path, name: str) -> Path:
    """The file of that name in the spool folder, whole or not at all: written aside, flushed, then renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    target, aside = folder / name, folder / f".{name}.{os.getpid()}.tmp"
    try:
        with aside.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(target)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise
    return target


def decimal_seconds(nanoseconds: int) -> str:
    """Seconds as exact digits.

    >>> decimal_seconds(1_500_000_000), decimal_seconds(42)
    ('1.500000000', '0.000000042')
    """
    return f"{nanoseconds // _BILLION}.{nanoseconds % _BILLION:09d}"


class track(ContextDecorator):  # noqa: N801 - used like a function: `with apportion.track(…):`
    """A context manager, or a decorator, that writes down what its body used, also when it raises (status FAILED).

    `gpus` is how many GPUs the body holds (a fraction as text, `"0.5"`); where it is not given it is what the
    environment shows (`visible_gpus`), and unknown numbers give no GPU time. `kind` is a workload kind
    (`training_job`, `batch_inference`, `notebook`, `data` …). `workload` is an id of your own: bodies with the same id
    are one workload whose use adds up; without it each body, and each call of a decorated function, is one of its own.
    `resource_id` (as the bill says it), `node` and `cluster` say what it ran on where the environment does not.
    `labels` are tags of any name. Within the body, the attribute `workload` is the id, to hand on as `parent` of other
    work. A kind or number of GPUs that cannot be is a warning, and counts as not given.
    """

    def __init__(  # noqa: PLR0913 - each is a word of the user's
        self,
        name: str | None = None,
        *,
        workload: str | None = None,
        model: str | None = None,
        team: str | None = None,
        project: str | None = None,
        environment: str | None = None,
        experiment: str | None = None,
        kind: str = WorkloadKind.TRAINING_JOB.value,
        parent: str | None = None,
        gpus: float | str | None = None,
        resource_id: str | None = None,
        node: str | None = None,
        cluster: str | None = None,
        labels: Mapping[str, str] | None = None,
        spool: str | os.PathLike[str] | None = None,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._chosen = workload
        self._owner = {"model": model, "team": team, "project": project, "environment": environment}
        self._said = {"experiment": experiment, "parent": parent, "workload_kind": _kind(kind)}
        self._place = {"resource_id": resource_id, "node": node, "cluster": cluster}
        self._name = name or model or Path(sys.argv[0] or "python").name
        self._gpus = _gpus(gpus)
        self._labels = labels
        self._every = heartbeat_seconds
        self._renew()
        # fixed now: the body may change the working directory
        self._folder: Path = self._safely(lambda: spool_folder(spool).absolute()) or spool_folder()

    def _renew(self) -> None:
        """Ready for one more body, which has a file of its own."""
        self._piece = str(uuid.uuid4())
        self.workload = str(self._chosen or f"track:{self._piece}")
        self._done = threading.Event()
        self._writing = threading.Lock()
        self._warned = False
        self._process = os.getpid()

    def _recreate_cm(self) -> Self:
        """What one call of a decorated function is tracked by; calls may overlap."""
        again = copy(self)
        again._renew()  # noqa: SLF001 - a copy of this
        return again

    def __call__(self, function: _Function) -> _Function:
        """The function, tracked at each call; a coroutine function until what it returned was awaited."""
        if not iscoroutinefunction(function):
            return super().__call__(function)

        @wraps(function)
        async def tracked(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - the function's own
            with self._recreate_cm():
                return await function(*given, **named)

        return cast("_Function", tracked)

    def __enter__(self) -> Self:
        """The tracked work; its file is there from now on."""
        if self._done.is_set():
            self._renew()
        self._began, self._clock = time.time_ns(), time.monotonic_ns()
        self._cpu = time.process_time_ns()
        self._facts = self._safely(self._known) or {}
        self._safely(self._write, "RUNNING")
        self._heart = threading.Thread(target=self._beat, name="apportion-heartbeat", daemon=True)
        self._safely(self._heart.start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The last line is written; what the body raised goes on."""
        self._done.set()
        self._safely(self._write, "FINISHED" if kind is None else "FAILED")

    def _beat(self) -> None:
        while not self._done.wait(self._every):
            self._safely(self._write, "RUNNING")

    def _known(self) -> dict[str, Any]:
        stamped = stamp()
        gpus = self._gpus if self._gpus is not None else whole_gpus()
        facts = {
            **self._owner,
            **self._said,
            "key": self._piece,
            "name": self._name,
            "node": self._place["node"] or stamped["host.name"],
            "resource_id": self._place["resource_id"] or stamped.get("apportion.resource_id"),
            "cluster": self._place["cluster"] or stamped.get("slurm.cluster_name"),
            "user": os.environ.get("USER"),
            "labels": {**stamped, **dict(self._labels or {})},
            "links": links(stamped),
            "devices": [link.removeprefix("gpu:") for link in links(stamped) if link.startswith("gpu:")],
            "gpus": gpus,
        }
        return {key: value for key, value in facts.items() if value not in (None, [], {})}

    def _write(self, status: str) -> None:
        if os.getpid() != self._process:  # a fork within the body: the line is its parent's
            return
        if not self._writing.acquire(timeout=LONGEST_WAIT):
            raise TimeoutError(f"{self._folder} does not answer")
        try:
            if status == "RUNNING" and self._done.is_set():
                return
            write_lines(self._lines(status), self._folder, f"{self._piece}.ndjson")
        finally:
            self._writing.release()

    def _lines(self, status: str) -> list[dict[str, Any]]:
        wall = max(time.monotonic_ns() - self._clock, 1000)
        used = time.process_time_ns() - self._cpu
        facts = {key: value for key, value in self._facts.items() if key != "gpus"}
        whole = {**facts, "workload": self.workload, "start": _moment(self._began), "status": status}
        whole["end"] = _moment(self._began + wall)
        counted = [("run_seconds", "requested", decimal_seconds(wall))]
        if self._facts.get("gpus") not in {None, "0"}:
            counted.append(("gpu_seconds", "requested", _times(self._facts["gpus"], wall)))
        counted.append(("cpu_core_seconds", "used", decimal_seconds(used)))
        return [{**whole, "measure": m, "basis": basis, "quantity": quantity} for m, basis, quantity in counted]

    def _safely(self, act: Any, *given: Any) -> Any:  # noqa: ANN401 - whatever the step gives
        try:
            return act(*given)
        except Exception as error:  # noqa: BLE001 - the user's script goes on whatever happens here
            if not self._warned:
                self._warned = True
                _warn(f"could not write down this run: {error}")
            return None


def _kind(given: str) -> str:
    kind = str(given).strip().lower()
    if kind in _KINDS:
        return str(WorkloadKind(kind))
    _warn(f"knows no kind '{given}' and takes training_job. Known: {', '.join(sorted(_KINDS))}.")
    return WorkloadKind.TRAINING_JOB.value


def _gpus(given: float | str | None) -> str | None:
    if given is None:
        return None
    number = str(given).strip()
    if _NUMBER.fullmatch(number):
        return number
    _warn(f"cannot hold {given!r} GPUs and takes what the environment shows. Write a number such as 4 or 0.5.")
    return None


def _warn(words: str) -> None:
    """Say it at the line that is tracked."""
    with suppress(Exception):  # where warnings are errors, the script goes on too
        warnings.warn(f"apportion.track {words}", RuntimeWarning, 4)


def _moment(nanoseconds: int) -> str:
    """ISO 8601 in UTC, to the microsecond."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)
    return moment.isoformat().replace("+00:00", "Z")


def _times(gpus: str, nanoseconds: int) -> str:
    """GPUs × seconds, exact."""
    from decimal import Decimal

    return format(Decimal(gpus) * Decimal(nanoseconds) / _BILLION, "f")
