"""Which months of which accounts an import delivers, and which of them must be built again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.core.period import Month
from apportion.errors import DoubleDelivery
from apportion.store.records import Scope, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from apportion.core.config import SourceConfig
    from apportion.engine.duck import DuckDb
    from apportion.sources.intake.files import DeliveredFile
    from apportion.sources.intake.staging import StagedFile

APPEND = "append"
"""The delivery in which each file adds to its months instead of replacing them."""

_SCOPES = """
SELECT BillingAccountId, year(BillingPeriodStart), month(BillingPeriodStart), count(*)
FROM {staged} WHERE "x$verdict" IS NULL
GROUP BY ALL ORDER BY min(x_RowNo)
"""


@dataclass(frozen=True, slots=True)
class Fed:
    """What one staged file brings: its scopes in the order of their first rows, with the number of charges.

    The number is 0 for a scope that the file fed before and feeds no more.
    """

    file: StagedFile
    rows: Mapping[Scope, int]

    @property
    def first(self) -> Scope | None:
        """The scope that also takes the file's rows whose scope is not known; None where no row is a charge."""
        return next(iter(self.rows), None)


def fed_by(db: DuckDb, file: StagedFile, config: SourceConfig) -> Fed:
    """The scopes of a staged file."""
    part = file.file.sha256 if config.delivery == APPEND else ""
    found = db.rows(_SCOPES.format(staged=file.relation))
    return Fed(
        file, {Scope(config.id, account, Month(year, month), part): rows for account, year, month, rows in found}
    )


@dataclass(frozen=True, slots=True)
class Rebuild:
    """What an import has to do: files to read whose scopes are not known, and scopes that must be built again."""

    unread: tuple[DeliveredFile, ...]
    stale: frozenset[Scope]
    unchanged: frozenset[Scope]


def to_rebuild(
    files: Sequence[DeliveredFile], current: Sequence[Snapshot], *, expected: Mapping[Scope, str], append: bool
) -> Rebuild:
    """What changed against the current snapshots; `expected` is the id each would get from the files it has.

    A scope none of whose files was delivered keeps its snapshot. Raises DoubleDelivery where an appended file changed:
    its money would stand beside what it brought before.
    """
    delivered = {file.sha256 for file in files}
    known = {file.sha256 for snapshot in current for file in snapshot.files}
    if append:
        _refuse_changed(files, current)
    stale: set[Scope] = set()
    unchanged: set[Scope] = set()
    for snapshot in current:
        had = {file.sha256 for file in snapshot.files}
        if not had & delivered:
            continue
        same = had <= delivered and snapshot.id == expected[snapshot.scope]
        (unchanged if same else stale).add(snapshot.scope)
    unread = tuple(file for file in files if file.sha256 not in known)
    return Rebuild(unread, frozenset(stale), frozenset(unchanged))


def files_feeding(
    scopes: Iterable[Scope], files: Sequence[DeliveredFile], current: Sequence[Snapshot]
) -> list[DeliveredFile]:
    """The delivered files that fed one of the scopes before, in delivery order."""
    wanted = set(scopes)
    hashes = {file.sha256 for snapshot in current if snapshot.scope in wanted for file in snapshot.files}
    return [file for file in files if file.sha256 in hashes]


def with_emptied(feds: Sequence[Fed], current: Sequence[Snapshot]) -> list[Fed]:
    """The staged files, which also feed, with no row, the scopes that they emptied.

    A scope is emptied where files now under the same paths fed it before and no file feeds it any more: it was
    restated to nothing, and its old charges must not stay beside the new ones. A file
    none of whose rows is a charge empties nothing.
    """
    fed = {scope for each in feds for scope in each.rows}
    paths = {each.file.file.path for each in feds if each.rows}
    emptied = {
        snapshot.scope: {file.path for file in snapshot.files}
        for snapshot in current
        if snapshot.scope not in fed and not snapshot.scope.part
    }
    emptied = {scope: had for scope, had in emptied.items() if had <= paths}
    return [
        Fed(each.file, {**each.rows, **{s: 0 for s, had in sorted(emptied.items()) if each.file.file.path in had}})
        for each in feds
    ]


def by_scope(feds: Sequence[Fed]) -> dict[Scope, list[Fed]]:
    """Scope -> the files that bring its charges, in delivery order; scopes sorted."""
    found: dict[Scope, list[Fed]] = defaultdict(list)
    for fed in feds:
        for scope in fed.rows:
            found[scope].append(fed)
    return {scope: found[scope] for scope in sorted(found)}


def _refuse_changed(files: Sequence[DeliveredFile], current: Sequence[Snapshot]) -> None:
    before = {file.path: file.sha256 for snapshot in current for file in snapshot.files}
    for file in files:
        if before.get(file.path, file.sha256) != file.sha256:
            raise DoubleDelivery(
                first="what it held when it was imported before",
                second=file.path,
                what='has changed and, with delivery = "append", would be counted beside',
                fix='Deliver corrections as files of their own, or set delivery = "overwrite" for the source; '
                "nothing was imported.",
            )
