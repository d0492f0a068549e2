"""Verify and doctor: is the result right, is the project healthy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from apportion.allocation.weighing import weighed
from apportion.app.asking import current_run
from apportion.app.project import read_config
from apportion.core.config import ASKED
from apportion.core.period import Month, Period
from apportion.core.progress import Progress, silent
from apportion.errors import ApportionError, without_credentials
from apportion.ledger.verify import Certificate
from apportion.ledger.verify import verify as count_again
from apportion.sources import SOCKET
from apportion.sources.intake.place import Place
from apportion.store import open_store

if TYPE_CHECKING:
    from apportion.app.project import Project
    from apportion.core.config import Config, SourceConfig
    from apportion.store import Store


class State(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `fix` is empty where all is well."""

    name: str
    state: State
    detail: str
    fix: str = ""


def verify(project: Project, *, files: bool = False, progress: Progress = silent) -> Certificate:
    """An independent count of the current run; with `files` the delivered files are added up once more too."""
    sources = {config.id: config for config in project.config.sources}
    return count_again(project.store, current_run(project), files=sources if files else None, progress=progress)


def doctor(folder: Path) -> tuple[Check, ...]:
    """Everything a run needs, looked at one by one; what is wrong is a check, not an error. Nothing is written."""
    folder = folder.absolute()
    try:
        config, _ = read_config(folder)
    except ApportionError as error:
        return (Check("configuration", State.FAIL, error.what, error.fix),)
    found = [Check("configuration", State.OK, f"{len(config.sources)} sources, {len(config.rules)} rules")]
    found += [_source(config_of, folder) for config_of in config.sources]
    if not (folder / config.state).is_dir():
        return (*found, Check("bills", State.WARN, "nothing ingested yet", "Run 'apportion ingest'."))
    try:
        with open_store(folder / config.state) as store:
            found += _state(store, config)
            found += [check for source in config.sources if (check := _stale(store, source, folder))]
    except ApportionError as error:
        found.append(Check("state", State.FAIL, error.what, error.fix))
    return tuple(found)


def _source(config: SourceConfig, folder: Path) -> Check:
    name = f"source {config.id}"
    try:
        source = SOCKET.load(config.kind)
        deliveries = [source.find(Place.of(path, folder), config) for path in config.paths]
    except ApportionError as error:
        return Check(name, State.FAIL, error.what, error.fix)
    count = sum(len(delivery.files) for delivery in deliveries)
    if not count and ASKED & config.options.keys():
        return Check(
            name, State.OK, f"asks {without_credentials(str(config.options.get('url') or config.options['context']))}"
        )
    if not count:
        return Check(name, State.WARN, "no files found", f"Check the paths of source '{config.id}'.")
    left_out = sum(len(delivery.left_out) for delivery in deliveries)
    return Check(name, State.OK, f"{count} current files" + (f", {left_out} left out" if left_out else ""))


def _state(store: Store, config: Config) -> list[Check]:
    snapshots = store.current_snapshots()
    if not snapshots:
        return [Check("bills", State.WARN, "nothing ingested yet", "Run 'apportion ingest'.")]
    months = sorted({snapshot.scope.period for snapshot in snapshots})
    found = [Check("bills", State.OK, f"{len(snapshots)} snapshots, {months[0]} to {months[-1]}"), _gaps(store)]
    if rejected := sum(snapshot.rejected for snapshot in snapshots):
        fix = "See 'apportion problems --severity rejected'."
        found.append(Check("kept out", State.WARN, f"{rejected} records are in no result", fix))
    run = store.current_run()
    if run is None:
        return [*found, Check("run", State.WARN, "nothing allocated yet", "Run 'apportion run'.")]
    if {part.snapshot_id for part in run.parts} != {snapshot.id for snapshot in snapshots}:
        return [*found, Check("run", State.WARN, "bills changed since the last run", "Run 'apportion run'.")]
    if run.ownership_version != weighed(config).ownership_version:
        return [*found, Check("run", State.WARN, "rules changed since the last run", "Run 'apportion run'.")]
    return [*found, Check("run", State.OK, f"{run.id} is up to date")]


def _stale(store: Store, config: SourceConfig, folder: Path) -> Check | None:
    """Whether local files of the source are new, of another size than when they were ingested, or empty."""
    stored = (*store.current_snapshots(source_id=config.id), *store.current_readings(source_id=config.id))
    known = {f.path: f.size for snapshot in stored for f in snapshot.files}
    if not known:
        return None
    try:
        places = [Place.of(path, folder) for path in config.paths]
        found = [path for place in places for path in SOCKET.load(config.kind).find(place, config).files]
    except ApportionError:
        return None  # said by the check of the source itself
    local = {path: Path(path).stat().st_size for path in found if Path(path).is_file()}
    gone = sorted({f.path for s in store.current_readings(source_id=config.id) if s.rows for f in s.files} - {*found})
    if config.paths and not ASKED & config.options.keys() and gone:
        detail = f"{len(gone)} files still count and are not there any more, such as {gone[0]}"
        fix = "To take their usage back, deliver them again without rows."
        return Check(f"files of {config.id}", State.WARN, detail, fix)
    changed = [path for path, size in local.items() if known.get(path) != size]
    if not changed:
        return None
    detail = f"{len(changed)} files are new or changed since they were ingested, such as {changed[0]}"
    return Check(f"files of {config.id}", State.WARN, detail, "Run 'apportion ingest'.")


def _gaps(store: Store) -> Check:
    """Months that a billing account skips between its first and its last: money that may be missing."""
    held: dict[tuple[str, str], set[Month]] = {}
    for snapshot in store.current_snapshots():
        held.setdefault((snapshot.scope.source_id, snapshot.scope.billing_account_id), set()).add(snapshot.scope.period)
    missing = [
        f"{source_id} {account} {month}"
        for (source_id, account), months in sorted(held.items())
        for month in Period(min(months), max(months))
        if month not in months
    ]
    if not missing:
        return Check("months", State.OK, "no month is missing between the first and the last")
    return Check("months", State.WARN, f"missing: {', '.join(missing)}", "Deliver these months and ingest again.")
