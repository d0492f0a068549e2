"""Slurm's accounting: who held which GPUs, CPUs and memory on which nodes, from when to when, to the second.

Reads the table of `sacct --parsable2` (columns in any order, `_slurm_text.COMMAND` is the one to run), the JSON of
`sacct --json` or slurmrestd, and `scontrol show node` for what the nodes have to give. There is no pull: a cron job
drops a file (docs/how-to/connect-schedulers.md).

A job is one workload, `slurm:<cluster>/<JobIDRaw>`; a requeued job is one with several intervals, an array has one
workload per task and the array as parent. Its account is the label `account`, not the team: aliases and rules decide.
Jobs that still run count up to their elapsed time. Seen on Slurm 22.05: see tests/data/slurm.

The log is whole for the nodes of the cluster: a resource without a sample was not held by any job.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apportion.core.measures import Rank
from apportion.errors import UnknownShape
from apportion.sources import _slurm_json, _slurm_text
from apportion.sources._slurm_jobs import Job, samples
from apportion.sources._slurm_nodes import capacity
from apportion.sources.readings.answers import answers, opened_text
from apportion.sources.readings.contract import MeterSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.contract import Fault, RawFile, Sample

_LOOKED_AT = 4096


def read(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    """The samples of one file: a table or JSON of `sacct`, or the text of `scontrol show node`.

    Raises `UnknownShape` for another kind of file and for a time zone that does not exist.
    """
    cluster, zone = str(config.options.get("cluster", "")), _zone(file, config)
    with opened_text(file) as stream:
        first = stream.read(_LOOKED_AT).lstrip()
    if first.startswith("{"):
        for answer in answers(file):
            yield from _counted(_slurm_json.jobs(answer.body, file=file.name, cluster=cluster))
    elif first.startswith(("NodeName=", "ReadAt=")):
        yield from _nodes(file, config, cluster, zone)
    else:
        with opened_text(file) as stream:
            yield from _counted(_slurm_text.jobs(stream, file=file.name, cluster=cluster, zone=zone))


def _nodes(file: RawFile, config: SourceConfig, cluster: str, zone: ZoneInfo | None) -> Iterator[Sample | Fault]:
    if not cluster:
        raise UnknownShape(
            file=file.name, what="does not say of which cluster the nodes are.", fix="Set the option cluster."
        )
    with opened_text(file) as stream:
        yield from capacity(stream.read(), cluster, zone, file.read_at or _read_at(config))


def _counted(jobs: Iterable[Job | Fault]) -> Iterator[Sample | Fault]:
    for job in jobs:
        if isinstance(job, Job):
            yield from samples(job)
        else:
            yield job


def _zone(file: RawFile, config: SourceConfig) -> ZoneInfo | None:
    name = config.options.get("timezone")
    if not name:
        return None
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownShape(
            file=file.name,
            what=f"cannot be read: there is no time zone '{name}' (option timezone of source '{config.id}').",
            fix="Give an IANA name such as Europe/Berlin or UTC.",
        ) from error


def _read_at(config: SourceConfig) -> datetime | None:
    said = config.options.get("read_at")
    if not said:
        return None
    moment = datetime.fromisoformat(str(said))
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


SOURCE = MeterSource(
    name="slurm",
    title="Slurm accounting (sacct)",
    read=read,
    rank=Rank.SCHEDULER,
    complete=True,
    suffixes=(".txt", ".csv", ".psv", ".json", ".txt.gz", ".csv.gz", ".psv.gz", ".json.gz"),
    options=frozenset({"timezone"}),
)
