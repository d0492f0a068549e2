"""The delivered files read once more, to see whether the bill's own cost column adds up to what is stored.

Read with Python's csv and json and pyarrow, never with the engine that ingested them.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pyarrow.compute as pc
import pyarrow.parquet as pq

from apportion.core.config import SourceConfig
from apportion.core.money import plain
from apportion.ledger.recount import as_quanta
from apportion.sources import SOCKET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from apportion.core.progress import Progress
    from apportion.store import Store
    from apportion.store.records import Snapshot, SourceFile

_DELIMITERS = ",;\t|"
csv.field_size_limit(1 << 30)


@dataclass(frozen=True, slots=True)
class FileBalance:
    """One delivered file: `state` says in words what was found; `differs` is true only where money is not the same."""

    path: str
    sha256: str
    state: str
    differs: bool = False


def file_balances(
    store: Store, snapshots: Sequence[Snapshot], *, sources: Mapping[str, SourceConfig], progress: Progress
) -> tuple[FileBalance, ...]:
    """One balance per delivered file that fed the snapshots, in order of path; `sources` by id, as configured."""
    feeding: dict[tuple[str, str], list[tuple[Snapshot, SourceFile]]] = defaultdict(list)
    for snapshot in snapshots:
        for file in snapshot.files:
            feeding[file.path, file.sha256].append((snapshot, file))
    found = []
    for done, ((path, sha256), fed) in enumerate(sorted(feeding.items(), key=lambda item: item[0])):
        progress("reading delivered files again", done, len(feeding))
        found.append(_balance(store, path, sha256, fed, sources=sources))
    return tuple(found)


def _balance(  # noqa: PLR0911 - one per thing that can be said
    store: Store,
    path: str,
    sha256: str,
    fed: list[tuple[Snapshot, SourceFile]],
    *,
    sources: Mapping[str, SourceConfig],
) -> FileBalance:
    local = Path(path)
    if not local.is_file():
        return FileBalance(path, sha256, "not on this machine: not read again")
    with local.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
            return FileBalance(path, sha256, "changed since it was ingested: not read again")
    snapshot = fed[0][0]
    source_id = snapshot.scope.source_id
    config = sources.get(source_id) or SourceConfig(source_id, snapshot.kind, (path,))
    control = SOCKET.load(snapshot.kind).control(tuple(_columns(local)), config)
    if control is None:
        return FileBalance(path, sha256, "not checked: no single column of this form adds up to BilledCost")
    said, rows = _total(_values(local, control))
    kept, rejected, kept_rows = _stored(store, fed, control)
    elsewhere = rows - kept_rows
    if elsewhere and elsewhere != _records_elsewhere(store, fed, control):
        words = f"differs: it holds {rows} records, {kept_rows} of them are stored"
        return FileBalance(path, sha256, words, differs=True)
    if elsewhere:
        words = f"not checked: {elsewhere} of its {rows} records are in snapshots not in this run"
        return FileBalance(
            path, sha256, f"not checked: {elsewhere} of its {rows} records are in snapshots not in this run"
        )
    if said != kept:
        words = f"differs: {control} adds up to {plain(said)}, stored is {plain(kept)}"
        return FileBalance(path, sha256, words, differs=True)
    if len({currency for snapshot, _ in fed for currency in snapshot.totals}) > 1:
        return FileBalance(path, sha256, f"holds: {control} agrees (several currencies, no sum shown)")
    out = f", {plain(rejected)} of it kept out" if rejected else ""
    return FileBalance(path, sha256, f"holds: {control} adds up to {plain(said)}{out}")


def _total(values: Iterator[Any]) -> tuple[Decimal, int]:
    total, rows = 0, 0
    for value in values:
        rows += 1
        total += _quanta(value)
    return _wide(total), rows


def _bare(text: str) -> str:
    """A number without the currency signs, spaces and thousands commas that the intake takes off too."""
    return re.sub(r"[$€£¥\s]|,(?=\d{3}(?:\D|$))", "", text)


def _quanta(value: Any) -> int:  # noqa: ANN401 - whatever the file holds
    """The value in whole quanta, what is no number as 0: such rows are among the rejected ones on both sides.

    Rounded half away from zero where it is finer, as the intake does (and records).
    """
    try:
        number = Decimal(repr(value) if isinstance(value, float) else _bare(str(value)))
    except InvalidOperation:
        return 0
    if not number.is_finite():
        return 0
    size = int(abs(Fraction(number)) * 10**18 + Fraction(1, 2))
    return -size if number < 0 else size


def _wide(quanta: int) -> Decimal:
    sign, digits = (1, str(-quanta)) if quanta < 0 else (0, str(quanta))
    return Decimal((sign, tuple(int(d) for d in digits), -18))


def _stored(store: Store, fed: list[tuple[Snapshot, SourceFile]], control: str) -> tuple[Decimal, Decimal, int]:
    """What the snapshots hold of the file, rejected rows included; of that, the rejected; the number of records."""
    quanta, rejected, rows = 0, 0, 0
    for snapshot, file in fed:
        table = pq.read_table(store.checked(snapshot.charges), columns=["x_FileNo", "BilledCost"])
        mine = table.filter(pc.equal(table["x_FileNo"], file.no))
        quanta += as_quanta(pc.sum(mine["BilledCost"]).as_py()) or 0
        rows += mine.num_rows
        for value in _rejected(store, snapshot, file, control):
            rejected += _quanta(value)
            rows += 1
    return _wide(quanta + rejected), _wide(rejected), rows


def _records_elsewhere(store: Store, fed: list[tuple[Snapshot, SourceFile]], control: str) -> int:
    """How many records of the file the newest other snapshots hold, of scopes whose snapshot here has none of it."""
    mine = {snapshot.scope for snapshot, _ in fed}
    sha256 = fed[0][1].sha256
    count = 0
    for current in store.current_snapshots(source_id=fed[0][0].scope.source_id):
        if current.scope in mine:
            continue
        held = [(s, f) for s in store.snapshots(current.scope) for f in s.files if f.sha256 == sha256]
        count += _stored(store, held[-1:], control)[2]
    return count


def _rejected(store: Store, snapshot: Snapshot, file: SourceFile, control: str) -> Iterator[Any]:
    if snapshot.rejects is None:
        return
    for row in pq.read_table(store.checked(snapshot.rejects)).to_pylist():
        if row["x_FileNo"] == file.no:
            yield _field(row["x_Raw"], control)


def _field(raw: str | None, control: str) -> Any:  # noqa: ANN401 - whatever the file holds
    try:
        record = json.loads(raw or "", parse_float=Decimal)
    except ValueError:
        return None
    return record.get(control) if isinstance(record, dict) else None


def _columns(path: Path) -> list[str]:
    if _is_parquet(path):
        return list(pq.read_schema(path).names)
    with _text(path) as stream:
        first = stream.readline()
    if first.lstrip().startswith("{"):
        return list(json.loads(first))
    return next(csv.reader([first], delimiter=_delimiter(first)))


def _values(path: Path, column: str) -> Iterator[Any]:
    if _is_parquet(path):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=[column]):
                yield from batch.column(0).to_pylist()
        return
    with _text(path) as stream:
        first = stream.readline()
        stream.seek(0)
        if first.lstrip().startswith("{"):
            yield from (json.loads(line, parse_float=Decimal).get(column) for line in stream if line.strip())
            return
        for record in csv.DictReader(stream, delimiter=_delimiter(first)):
            yield record.get(column)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def _text(path: Path) -> TextIO:
    packed = path.suffix == ".gz"
    return (
        gzip.open(path, "rt", encoding="utf-8-sig", newline="")
        if packed
        else path.open(encoding="utf-8-sig", newline="")
    )


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)
