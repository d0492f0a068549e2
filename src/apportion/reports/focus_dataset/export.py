"""The FOCUS dataset of a run written to files: one per billing month, snapshot by snapshot, in bounded memory."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from apportion.allocation.direct import require_conserved, totals
from apportion.core.progress import Progress, silent
from apportion.engine import duck
from apportion.errors import WouldOverwrite
from apportion.ledger.held import held_parts
from apportion.ledger.lenses import Lens
from apportion.reports.focus_dataset import metadata
from apportion.reports.focus_dataset.columns import not_null, require_version, schema
from apportion.reports.focus_dataset.pooled_rows import collect, open_month, rows_of_account
from apportion.reports.focus_dataset.snapshot_rows import rows_of
from apportion.reports.focus_dataset.writing import require_form, writer
from apportion.reports.reading.change import plus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from apportion.core.period import Month, Period
    from apportion.engine.duck import DuckDb
    from apportion.store import Store
    from apportion.store.records import Part, Run, Snapshot, Totals


@dataclass(frozen=True, slots=True)
class FocusFile:
    """One written file: all rows of one billing month."""

    month: Month
    path: Path
    rows: int


@dataclass(frozen=True, slots=True)
class FocusExport:
    """What was written: data files by month, the rows in all, and their exact sums, which are those of the run.

    `deviations` counts the nulls in columns where FOCUS allows none: what a bill does not say is not made up.
    """

    files: tuple[FocusFile, ...]
    metadata: Path
    rows: int
    totals: Totals
    deviations: Mapping[str, int]


@dataclass(slots=True)
class _Sums:
    """What went out so far."""

    totals: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    nulls: Counter[str] = field(default_factory=Counter)
    rows: int = 0

    def add(self, table: pa.Table, *, required: Sequence[str]) -> None:
        for currency, sums in totals(table).items():
            _add(self.totals.setdefault(currency, {}), sums)
        self.nulls.update({name: table[name].null_count for name in required if table[name].null_count})
        self.rows += table.num_rows


def export_focus(  # noqa: PLR0913 - an export has that many choices
    store: Store,
    run: Run,
    *,
    period: Period,
    to: Path,
    version: str = "1.3",
    form: str = "parquet",
    lens: Lens = Lens.AFTER,
    force: bool = False,
    progress: Progress = silent,
    memory: str = "2GB",
) -> FocusExport:
    """The run's months of the period as files `focus-<version>-<month>.<form>` and `focus-metadata.json` in `to`.

    What pools took is replaced by what they gave to owners, but for the lens `before`, which shows whose it was.

    All files appear or none. The same run gives the same bytes, and an export that is imported and exported again under
    the same rules gives the same data files. Raises `UnknownName` for a version or form that cannot be written,
    `NoData` where the run holds no bill of the period, `WouldOverwrite` where a file is there and `force` is not given,
    `DamagedFile` for a stored file that changed, `NotConserved` where the rows would not add up to the run.
    """
    require_version(version)
    require_form(form)
    held_parts(run, period)
    parts = [part for part in run.parts if part.period in period]
    months = sorted({part.period for part in parts})
    targets = {month: to / f"focus-{version}-{month}.{form}" for month in months}
    _refuse_existing([*targets.values(), to / metadata.NAME], force=force)
    sums = _Sums()
    with _appearing(to) as folder, duck.session(memory=memory, temp=folder / "spill") as db:
        rows = {}
        for month, target in targets.items():
            before = sums.rows
            chosen = [part for part in parts if part.period == month]
            sharings = [part for part in run.sharings if part.period == month and lens is Lens.AFTER]
            open_month(db, store, sharings)
            with writer(folder / target.name, db, form=form, version=version) as file:
                for table in _tables(store, db, chosen, version=version, progress=progress):
                    file.add(table)
                    sums.add(table, required=not_null(version))
            rows[month] = sums.rows - before
        billed = _summed(parts)
        require_conserved(billed, sums.totals, rows_before=0, rows_after=0, where=f"FOCUS export of run {run.id}")
        files = tuple(FocusFile(month, target, rows[month]) for month, target in targets.items())
        export = FocusExport(files, to / metadata.NAME, sums.rows, sums.totals, dict(sorted(sums.nulls.items())))
        described = metadata.described(export, run, billed=billed, version=version, form=form, lens=lens, folder=folder)
        (folder / metadata.NAME).write_bytes(described)
    return export


def _tables(store: Store, db: DuckDb, parts: Sequence[Part], *, version: str, progress: Progress) -> Iterator[pa.Table]:
    """The rows of a month, by account, then by source, then what pools gave on of the account.

    That is the order that one import of them all keeps.
    """
    snapshots = sorted(((store.snapshot(part.snapshot_id), part) for part in parts), key=lambda pair: _place(pair[0]))
    for account, of_account in groupby(enumerate(snapshots), key=lambda pair: pair[1][0].scope.billing_account_id):
        for done, (snapshot, part) in of_account:
            progress(f"exporting {snapshot.scope.period} of {snapshot.scope.source_id}", done, len(snapshots))
            for table in rows_of(store, db, snapshot, part, version=version):
                yield table.cast(schema(version))
            collect(db, snapshot)
        for table in rows_of_account(db, account, version=version):
            yield table.cast(schema(version))


def _place(snapshot: Snapshot) -> tuple[str, str, str]:
    return (snapshot.scope.billing_account_id, snapshot.scope.source_id, snapshot.scope.part)


def _refuse_existing(paths: Sequence[Path], *, force: bool) -> None:
    for path in paths:
        if path.exists() and not force:
            raise WouldOverwrite(str(path))


@contextmanager
def _appearing(to: Path) -> Iterator[Path]:
    """A folder whose files are moved to `to` when all went well, and are gone otherwise."""
    to.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".apportion-export-", dir=to))
    try:
        yield folder
        for file in sorted(path for path in folder.iterdir() if path.is_file()):
            file.replace(to / file.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _summed(parts: Sequence[Part]) -> Totals:
    found: dict[str, dict[str, Decimal]] = {}
    for part in parts:
        for currency, sums in part.totals.items():
            _add(found.setdefault(currency, {}), sums)
    return found


def _add(known: dict[str, Decimal], sums: Mapping[str, Decimal]) -> None:
    for metric, amount in sums.items():
        known[metric] = plus(known.get(metric, Decimal(0)), amount)
