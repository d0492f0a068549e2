"""`manifest.json`: what a stored folder holds, so that it can be checked and understood without the catalogue.

When it was stored and where it lies are left out: equal deliveries have equal manifests, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.core.money import plain
from apportion.errors import DamagedFile
from apportion.store import durable
from apportion.store.records import Part, Snapshot, StoredFile, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME = "manifest.json"
FORMAT = 1
RESTORE = "Restore it from a backup of the state folder, or import the month again into a fresh one."


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as it is written: its bytes, their SHA-256, and the files it vouches for, sorted by name."""

    content: bytes
    sha256: str
    stored: tuple[StoredFile, ...]


def of_snapshot(snapshot: Snapshot, stored: tuple[StoredFile, ...]) -> Manifest:
    """The manifest of a snapshot with these files."""
    fields: dict[str, Any] = {
        "record": "snapshot",
        "id": snapshot.id,
        "scope": {**asdict(snapshot.scope), "period": str(snapshot.scope.period)},
        "kind": snapshot.kind,
        "form": snapshot.form,
        "rows": snapshot.rows,
        "rejected": snapshot.rejected,
        "totals": totals_text(snapshot.totals),
        "files": [asdict(file) for file in snapshot.files],
    }
    return _manifest(fields, stored)


def of_part(part: Part, stored: tuple[StoredFile, ...]) -> Manifest:
    """The manifest of a part with these files."""
    fields: dict[str, Any] = {
        "record": "part",
        "id": part.id,
        "snapshot_id": part.snapshot_id,
        "period": str(part.period),
        "totals": totals_text(part.totals),
    }
    return _manifest(fields, stored)


def _manifest(fields: dict[str, Any], stored: tuple[StoredFile, ...]) -> Manifest:
    whole = {**fields, "format": FORMAT, "stored": [asdict(file) for file in stored]}
    content = json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"
    return Manifest(content, hashlib.sha256(content).hexdigest(), stored)


def totals_text(totals: Totals) -> dict[str, dict[str, str]]:
    """Totals with each amount as plain decimal text, for JSON."""
    return {currency: {name: plain(amount) for name, amount in sums.items()} for currency, sums in totals.items()}


def totals_of(text: Mapping[str, Mapping[str, str]]) -> Totals:
    """The exact totals that were written as text."""
    return {currency: {name: Decimal(amount) for name, amount in sums.items()} for currency, sums in text.items()}


def stored_files(folder: Path) -> tuple[StoredFile, ...]:
    """The files of a staging folder as they will be stored, sorted by name; the manifest itself is not among them."""
    files = sorted(file for file in folder.iterdir() if file.name != NAME)
    return tuple(StoredFile(f.name, durable.sha256(f), f.stat().st_size, _row_count(f)) for f in files)


def _row_count(file: Path) -> int:
    if file.suffix != ".parquet":
        return 0
    # Costs a sixth of a second, and opening a store to read must not pay it.
    from pyarrow import parquet

    return int(parquet.read_metadata(file).num_rows)


def files_in(folder: Path, *, sha256: str) -> dict[str, StoredFile]:
    """Name -> file as the manifest in the folder vouches for it; raises `DamagedFile` unless it has that SHA-256."""
    file = folder / NAME
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DamagedFile(str(file), RESTORE) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DamagedFile(str(file), RESTORE)
    return {entry["name"]: StoredFile(**entry) for entry in json.loads(content)["stored"]}
