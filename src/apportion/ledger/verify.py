"""Verify: an independent count of a run, and the certificate that money in is money out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.core import focus
from apportion.core.money import from_quanta, plain
from apportion.core.progress import Progress, silent
from apportion.ledger import recount, recount_cells, recount_shared
from apportion.ledger.recount import Sums
from apportion.ledger.source_files import FileBalance, file_balances

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from apportion.core.config import SourceConfig
    from apportion.store import Store
    from apportion.store.records import Part, Run, Snapshot

SHOWN_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Balance:
    """One metric of one source, account, month and currency: what the bill holds and what was given out.

    None where the bill has no value at all for the metric.
    """

    source_id: str
    billing_account_id: str
    period: str
    currency: str
    metric: str
    came: Decimal | None
    went: Decimal | None

    @property
    def holds(self) -> bool:
        """Whether the two are the same to the last digit."""
        return self.came == self.went


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was checked and what came out.

    `faults` are in words and empty if all holds; `stored` are the SHA-256 of every file that was read, so that the
    certificate names exactly what it certifies.
    """

    run_id: str
    engine: str
    app_version: str
    charges: int
    kept_out: int
    balances: tuple[Balance, ...]
    files: tuple[FileBalance, ...]
    faults: tuple[str, ...]
    stored: tuple[tuple[str, str], ...]

    @property
    def passed(self) -> bool:
        """Whether everything holds."""
        return not self.faults

    @property
    def text(self) -> str:
        """The certificate as canonical text: the same for the same run."""
        lines = [
            f"apportion certificate 1: run {self.run_id}, engine {self.engine}, version {self.app_version}",
            f"charges {self.charges}",
            f"records kept out of the money {self.kept_out}",
            *(f"file {name} sha256 {sha}" for name, sha in self.stored),
            *(
                f"{b.source_id} {b.billing_account_id} {b.period} {b.currency} {b.metric}"
                f" in {_told(b.came)} out {_told(b.went)}"
                for b in self.balances
            ),
            *(f"delivered {f.path} sha256 {f.sha256} {f.state}" for f in self.files),
            *(f"fault {fault}" for fault in self.faults),
            "holds" if self.passed else "does not hold",
        ]
        return "\n".join(lines) + "\n"

    @property
    def sha256(self) -> str:
        """The hash of `text`."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def verify(
    store: Store,
    run: Run,
    *,
    files: Mapping[str, SourceConfig] | None = None,
    progress: Progress = silent,
) -> Certificate:
    """Count the run again from the stored snapshots and compare every share, sum and count, shared costs included.

    With `files` (the configured sources by id), the delivered files are read once more too, where they are still in
    place, and their own cost column is added up. Raises `DamagedFile` where a stored file is not the stored one.
    """
    faults: list[str] = []
    balances: list[Balance] = []
    stored: list[tuple[str, str]] = []
    snapshots = [store.snapshot(part.snapshot_id) for part in run.parts]
    charges = 0
    for done, (part, snapshot) in enumerate(zip(run.parts, snapshots, strict=True)):
        progress(f"counting {snapshot.scope.source_id} {snapshot.scope.period} again", done, len(snapshots))
        counted, found = _count(store, part, snapshot)
        charges += counted
        balances += found.balances
        faults += found.faults
        stored += [(f"{snapshot.id}/{f.name}", f.sha256) for f in snapshot.stored]
        stored += [(f"{part.id}/{f.name}", f.sha256) for f in part.stored]
    for done, sharing in enumerate(run.sharings):
        progress(f"counting shared costs of {sharing.period} again", done, len(run.sharings))
        faults += _sharing(store, run, sharing)
        stored += [(f"{sharing.id}/{f.name}", f.sha256) for f in sharing.stored]
    stored += _usages(store, run)
    delivered = () if files is None else file_balances(store, snapshots, sources=files, progress=progress)
    faults += [f"{f.path}: {f.state}" for f in delivered if f.differs]
    return Certificate(
        run_id=run.id,
        engine=run.engine,
        app_version=run.app_version,
        charges=charges,
        kept_out=sum(snapshot.rejected for snapshot in snapshots),
        balances=tuple(balances),
        files=delivered,
        faults=tuple(faults),
        stored=tuple(stored),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    balances: list[Balance]
    faults: list[str]


def _usages(store: Store, run: Run) -> list[tuple[str, str]]:
    """The files of the run's usage, each found to be the stored one; what they say is not counted again."""
    for usage in run.usages:
        for file in usage.stored:
            store.checked(usage.folder / file.name)
    return [(f"{usage.id}/{file.name}", file.sha256) for usage in run.usages for file in usage.stored]


def _sharing(store: Store, run: Run, sharing: Part) -> list[str]:
    """What is wrong with the shared costs of a month, in words."""
    files = {file.name.removesuffix(".parquet"): store.checked(sharing.folder / file.name) for file in sharing.stored}
    parts = [part for part in run.parts if part.period == sharing.period]
    results = [(part.snapshot_id, store.checked(part.allocations)) for part in parts]
    found = recount_shared.faults(recount_cells.read(files), results)
    return [f"shared costs of {sharing.period}: {fault}" for kind in found for fault in _shown(kind)]


def _count(store: Store, part: Part, snapshot: Snapshot) -> tuple[int, _Found]:
    shares = recount.shares_of(store.checked(part.shares))
    pieces, whole = recount.recounted(store.checked(snapshot.charges), shares)
    given = recount.stored(store.checked(part.allocations))
    currency = recount.currencies(store.checked(snapshot.attributes))
    scope = snapshot.scope
    where = " ".join(filter(None, (scope.source_id, scope.billing_account_id, str(scope.period), scope.part[:12])))
    balances = _balances(snapshot, currency, whole, given)
    faults = [f"{where}: {fault}" for fault in _shown(recount.gaps(shares))]
    faults += [f"{where}: {fault}" for fault in _shown(_differences(pieces, given))]
    owners = store.checked(part.owners)
    faults += [f"{where}: {fault}" for fault in _shown(recount.misnamed(store.checked(part.allocations), owners))]
    faults += [
        f"{where}: {b.metric} in {b.currency}: in {_told(b.came)}, out {_told(b.went)}" for b in balances if not b.holds
    ]
    counted = sum(sums.charges for sums in whole.values())
    if counted != snapshot.rows:
        faults.append(f"{where}: the manifest says {snapshot.rows} charges, {counted} are stored")
    faults += [f"{where}: {fault}" for fault in _manifest_faults(snapshot, balances)]
    return counted, _Found(balances, faults)


def _shown(faults: list[str]) -> list[str]:
    more = len(faults) - SHOWN_FAULTS
    return [*faults[:SHOWN_FAULTS], *([f"and {more} more of this kind"] if more > 0 else [])]


def _differences(pieces: dict[recount.Key, Sums], given: dict[recount.Key, Sums]) -> list[str]:
    found = []
    for key in sorted(pieces.keys() | given.keys()):
        if pieces.get(key) != given.get(key):
            number, owner = key
            found.append(f"attribute {number}, owner {owner}: the stored sums are not the recounted ones")
    return found


def _balances(
    snapshot: Snapshot, currency: dict[int, str], whole: dict[int, Sums], given: dict[recount.Key, Sums]
) -> list[Balance]:
    came: dict[str, Sums] = {}
    went: dict[str, Sums] = {}
    for number, sums in whole.items():
        came.setdefault(currency[number], Sums()).join(sums)
    for (number, _), sums in given.items():
        went.setdefault(currency[number], Sums()).join(sums)
    scope = snapshot.scope
    return [
        Balance(
            source_id=scope.source_id,
            billing_account_id=scope.billing_account_id,
            period=str(scope.period),
            currency=code,
            metric=metric,
            came=_amount(came.get(code, Sums()).quanta[place]),
            went=_amount(went.get(code, Sums()).quanta[place]),
        )
        for code in sorted(came.keys() | went.keys())
        for place, metric in enumerate(focus.METRICS)
    ]


def _manifest_faults(snapshot: Snapshot, balances: list[Balance]) -> list[str]:
    return [
        f"{b.metric} in {b.currency}: the manifest says {_told(said)}, the charges add up to {_told(b.came)}"
        for b in balances
        if (said := snapshot.totals.get(b.currency, {}).get(b.metric)) != b.came
    ]


def _amount(quanta: int | None) -> Decimal | None:
    return None if quanta is None else from_quanta(quanta)


def _told(amount: Decimal | None) -> str:
    return "nothing" if amount is None else plain(amount)
