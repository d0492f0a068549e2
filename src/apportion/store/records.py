"""What the catalogue remembers: snapshots of bills, runs, their parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.problems import Problem

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from apportion.core.period import Month

Totals = Mapping[str, Mapping[str, Decimal]]
"""Currency -> metric -> exact sum; a metric that no row has is absent, not 0.

Sums of quantities mix units: control totals, not figures to show.
"""


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """The unit of delivery (FOCUS 1.4 "delivery scope"): one source, billing account and billing period.

    `part` is empty, or with `delivery = "append"` the SHA-256 of the file.
    """

    source_id: str
    billing_account_id: str
    period: Month
    part: str = ""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A delivered file: `no` counts from 1 in the snapshot; `rows` are the records that this scope got from it."""

    no: int
    path: str
    sha256: str
    size: int
    rows: int


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of ours: its name in the folder, SHA-256, size in bytes, rows (0 where rows mean nothing)."""

    name: str
    sha256: str
    size: int
    rows: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An immutable delivery of one scope.

    A meter's delivery holds `samples.parquet` and `subjects.parquet`, and its totals are empty. The folder of a bill
    holds `charges.parquet`, `attributes.parquet`, perhaps `extras.parquet` (x_ChargeNo and the source
    columns no FOCUS column carries) and `rejects.parquet`, and `manifest.json`.

    `id` is the first 16 hex digits of a SHA-256 over scope, kind, connector version, options and input hashes: the same
    delivery always gets the same id. `totals` are exact sums over the charges.
    """

    id: str
    scope: Scope
    kind: str
    form: str
    rows: int
    rejected: int
    totals: Totals
    files: tuple[SourceFile, ...]
    folder: Path
    stored: tuple[StoredFile, ...] = ()
    created_at: datetime | None = None

    @property
    def charges(self) -> Path:
        """The numbers: table `charges`."""
        return self.folder / "charges.parquet"

    @property
    def attributes(self) -> Path:
        """The texts: table `attributes`."""
        return self.folder / "attributes.parquet"

    @property
    def samples(self) -> Path | None:
        """The readings of a meter: table `samples`; None for a bill."""
        return next((self.folder / f.name for f in self.stored if f.name == "samples.parquet"), None)

    @property
    def subjects(self) -> Path:
        """What the samples are of: table `subjects`."""
        return self.folder / "subjects.parquet"

    @property
    def extras(self) -> Path | None:
        """Source columns that no FOCUS column carries, verbatim; None where there are none."""
        return next((self.folder / f.name for f in self.stored if f.name == "extras.parquet"), None)

    @property
    def rejects(self) -> Path | None:
        """Rows that could not become charges; None where all could."""
        return next((self.folder / f.name for f in self.stored if f.name == "rejects.parquet"), None)


@dataclass(frozen=True, slots=True)
class SnapshotDraft:
    """A snapshot whose files lie in a staging folder (`Store.stage`), not yet durable nor visible."""

    snapshot: Snapshot
    """`folder` is the staging folder, `stored` is empty: both are filled in by publishing."""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class RestatementLine:
    """What changed in a restated month for one service, sub account and team tag value, in one currency."""

    service: str
    sub_account: str
    tag: str
    currency: str
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class Restatement:
    """A newer delivery that replaced an older one of the same scope, with the differences in BilledCost."""

    scope: Scope
    old_snapshot: str
    new_snapshot: str
    at: datetime | None
    lines: tuple[RestatementLine, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """The result for one snapshot under one set of ownership rules: `shares`, `owners`, `allocations` as Parquet.

    The shared costs of a month are a part: `pools`, `cells`, `weights`, `receivers`, `taken`, `shared`; so is
    its usage: `usage`, `hours`, `workloads`, `resources`, `meters`, and `held` (whom tags and rules name for each
    workload). Their `snapshot_id` is the bill or reading delivered last, their totals are empty.

    `id` is a hash of what went in: the snapshot or readings, the ownership version, the versions of the methods. Equal
    inputs, equal id. That of a usage has two halves: what was measured, and by which rules the workloads are owned.
    """

    id: str
    snapshot_id: str
    period: Month
    totals: Totals
    folder: Path
    stored: tuple[StoredFile, ...] = ()

    @property
    def is_usage(self) -> bool:
        """Whether this is the usage of a month, not the result of a bill."""
        return any(file.name == "usage.parquet" for file in self.stored)

    @property
    def is_sharing(self) -> bool:
        """Whether this is the shared costs of a month, not the result of a bill."""
        return any(file.name == "shared.parquet" for file in self.stored)

    def file(self, name: str) -> Path | None:
        """The path of one of its files, such as `usage.parquet`; None where it has none of that name."""
        return next((self.folder / file.name for file in self.stored if file.name == name), None)

    @property
    def shares(self) -> Path:
        """Who holds which part: table `shares`."""
        return self.folder / "shares.parquet"

    @property
    def owners(self) -> Path:
        """The owners that the shares name by number: table `owners`."""
        return self.folder / "owners.parquet"

    @property
    def allocations(self) -> Path:
        """The summed pieces: table `allocations`."""
        return self.folder / "allocations.parquet"


@dataclass(frozen=True, slots=True)
class Run:
    """One allocation of a set of snapshots: the parts together are the result.

    `config` is the full text of `apportion.toml` it ran under; `totals_in` = `totals_out` or it would not have been
    published.
    """

    id: str
    engine: str
    app_version: str
    ownership_version: str
    config: str
    parts: tuple[Part, ...]
    totals_in: Totals
    totals_out: Totals
    created_at: datetime | None = None
    problems: tuple[Problem, ...] = field(default=())
    usages: tuple[Part, ...] = field(default=())
    """The usage of each metered month; `parts` are the results of bills."""
    sharings: tuple[Part, ...] = field(default=())
    """The shared costs of each month in which pools took any."""

    @property
    def stored_parts(self) -> tuple[Part, ...]:
        """Everything that it consists of."""
        return (*self.parts, *self.usages, *self.sharings)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProblem(Problem):
    """A problem with where it belongs: `period` and `snapshot_id` are None for a file that never became a snapshot."""

    source_id: str
    period: Month | None
    snapshot_id: str | None
