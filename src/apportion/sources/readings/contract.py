"""What a meter source has to say: which samples a raw file holds, and how to fetch raw files from an API.

A meter is read in two steps that never mix. `pull` asks the API for one UTC day, or once where it tells only what is
now (`pulling.Present`), and keeps every answer as it came, one JSON line each (`answers.Answer`); what nobody may keep,
such as prompts, a source takes out first. `read` turns one file, pulled or delivered by the user, into samples. So what
was read can always be read again, and a file saved by hand works like the API.

Rules that hold for every source:

- Times are naive UTC, intervals half-open. A reader gives the interval as its meter knows it, however long; the intake
  cuts it at UTC months and metering at UTC hours, dividing the quantity exactly by time.
- Quantities are `Decimal` in the base unit of `core.measures`, never negative, for the whole interval.
- `coverage` is the part of the interval the meter looked at (observed / expected scrapes). Exact starts and ends: 1.
- A sample without workload, with `Basis.CAPACITY`, says what the resource had to give in the interval.
- Identity is given as reported (labels, tags, parameters); nothing is guessed. `labels` are treated like the tags of a
  cloud resource afterwards: tag keys, aliases and rules of `apportion.toml` apply to them.
- What cannot be understood is a `Fault` with the row, never skipped without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.errors import ConfigError
from apportion.sources.intake.contract import Delivery

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from apportion.core.config import SourceConfig
    from apportion.core.measures import Basis, Measure, Rank, WorkloadKind
    from apportion.sources.intake.place import Place
    from apportion.sources.readings.client import Client

WHOLE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A training job, run, endpoint, notebook, pipeline step or API key, as its meter or tracker reports it.

    `id` is stable and unique for all time and sources: `k8s:<cluster>/<namespace>/<owner kind>/<owner name>/<uid>`,
    `slurm:<cluster>/<JobIDRaw>`, `mlflow:<run id>`, an ARN, `openai:<key id>`. `parent` is the id of what it belongs to
    (sweep, pipeline run, parent run); `experiment` the experiment or project of a tracker. `links` are keys under which
    another source may know the same work: `pod:<uid>`, `slurm:<cluster>/<id>`, `gpu:<UUID>`, `host:<node>`,
    `mlflow:<run id>`, `wandb:<run id>`. `labels` holds tags, labels and annotations as reported.
    """

    id: str
    kind: WorkloadKind
    name: str
    namespace: str | None = None
    """`<cluster>/<namespace>`, partition, workspace: what rules see as `resource_group`."""
    parent: str | None = None
    experiment: str | None = None
    model: str | None = None
    model_version: str | None = None
    team: str | None = None
    project: str | None = None
    environment: str | None = None
    user: str | None = None
    status: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What was used, as the bill may know it.

    `id` is the cloud's id or ARN (instance, volume, endpoint, API key, project) or, on premises, the asset's name. Give
    `node` too where a cluster names the machine otherwise. `account` is the sub account, project or workspace.
    """

    id: str | None = None
    node: str | None = None
    cluster: str | None = None
    provider: str | None = None
    account: str | None = None
    region: str | None = None
    instance_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One quantity of one measure over one interval. `end` is None for what still ran when it was read.

    `row` is the line, record or answer in the file that says so, from 1.
    """

    resource: Resource
    workload: Workload | None
    measure: Measure
    basis: Basis
    quantity: Decimal
    start: datetime
    end: datetime | None
    row: int
    coverage: Decimal = WHOLE
    key: str = ""
    """What tells things of one workload on one resource apart that are counted beside each other (pod uid, step, card).

    Samples of one key that overlap in time are one thing read twice: the later one counts where they overlap."""
    devices: tuple[str, ...] = ()
    """UUIDs of the GPUs held, where known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something in a file that could not become a sample: `code` groups equal faults, `example` is the value met."""

    code: str
    row: int
    column: str
    example: str
    what: str
    fix: str
    rejected: bool = True
    """False where a sample was made all the same and only a doubt remains."""


@dataclass(frozen=True, slots=True)
class Window:
    """One UTC day to ask an API for: [start, end); `read_at` is now, and `end` never lies after it."""

    start: datetime
    end: datetime
    read_at: datetime


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file to read: `path` is where it can be opened, `name` what the user calls it.

    `read_at` is when it was read from its API, None for a file that a user delivered: then a job without end is a fault
    unless the option `read_at` of the source says when.
    """

    path: Path
    name: str
    read_at: datetime | None


Read = Callable[["RawFile", "SourceConfig"], Iterator["Sample | Fault"]]
Pull = Callable[["Client", "Window", "SourceConfig"], Iterable[object]]


@dataclass(frozen=True, slots=True)
class MeterSource:
    """A source of samples: the frozen value `SOURCE` of one file.

    `read` gives the samples and faults of one file, in file order, and raises `UnknownShape` for a file of another
    kind. `pull` asks an API, through the client, for a window of time; the client keeps each answer; None where there
    is no API. `suffixes` are the file names that belong to it.
    """

    name: str
    title: str
    read: Read
    rank: Rank
    pull: Pull | None = None
    complete: bool = False
    """True where a resource without a sample was surely unused (a scheduler's full log), False for scraped meters."""
    suffixes: tuple[str, ...] = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz")
    options: frozenset[str] = frozenset()
    """Names that `[sources.options]` may hold for this kind, beside `COMMON_OPTIONS`."""
    version: str = "1"
    """Raised when the same file gives other samples than before."""

    def find(self, place: Place, config: SourceConfig) -> Delivery:  # noqa: ARG002 - as a bill's source is asked
        """The files of a place that belong to the source; a file named by itself always does."""
        named = place.name is not None
        return Delivery(tuple(path for path in place.files() if named or path.lower().endswith(self.suffixes)))

    def is_complete(self, config: SourceConfig) -> bool:
        """Whether `complete` holds for a configured source: as its kind says, or as its option of that name does.

        Raises `ConfigError` for an option that is neither true nor false.
        """
        said = config.options.get("complete", False)
        if isinstance(said, bool):
            return self.complete or said
        raise ConfigError.of_option(
            config.id,
            "complete",
            what=f"'{said}' is neither true nor false.",
            fix="Write complete = true where the files name all that ran on their machines.",
        )


COMMON_OPTIONS = frozenset({"url", "cluster", "read_at", "since", "timeout_seconds"})
"""Options of every meter.

`url`: base address of the API. `cluster`: its name where the meter does not say it. `read_at`: when delivered files
were read (ISO 8601). `since`: first day to pull. `timeout_seconds`: how long one answer may take.
"""
