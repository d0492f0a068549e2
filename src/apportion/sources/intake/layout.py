"""What a delivered file is, by its first bytes: form, delimiter, column names, and the SQL that reads it as text."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from apportion.core.tables import quoted
from apportion.errors import EngineFailed, UnreadableFile
from apportion.sources.intake.sql_text import filled, listed, literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from apportion.engine.duck import DuckDb


class Form(StrEnum):
    """How the rows are written."""

    CSV = "csv"
    PARQUET = "parquet"
    JSON_LINES = "json lines"


@dataclass(frozen=True, slots=True)
class Layout:
    """A readable file: `relation` is the SQL table expression that gives all columns as text, and `n$`, their ordinal.

    The path is bound as `$path`. A CSV file is copied to Parquet by `csv` first: numbering rows of a Parquet file costs
    nothing, while `row_number()` over a CSV scan would keep all work on one thread. `columns` are the names that SQL
    sees: a repeated name gets `_1`, an empty one its place.
    """

    form: Form
    columns: tuple[str, ...]
    relation: str
    csv: str = ""
    delimiter: str = ""
    packed: bool = False


_NUMBERED = """
(SELECT file_row_number + 1 AS "n$$", ${columns} FROM read_parquet($$path, file_row_number = true${options}))
"""
# never `parallel = false`: with it DuckDB 2.0 drops a last record with an open quote without a word
_READ_CSV = """
FROM read_csv($$path, compression = $$compression, columns = {${columns}}, delim = ${delimiter}, nullstr = [${nulls}],
    encoding = ${encoding}, header = true, auto_detect = false, quote = '"', escape = '"',
    store_rejects = true, rejects_table = 'torn', rejects_scan = 'torn_scans', rejects_limit = 0)
"""
NUMBERED_LINES = "read_parquet($path, union_by_name = true)"
"""Parquet parts that bring their `n$` themselves."""

_DELIMITERS = ",;\t|"
_FIRST = 1 << 20
"""Bytes looked at for the header: no header of a bill is longer."""
_WRONG_KINDS = {
    b"PK\x03\x04": "is a ZIP archive or an Excel file",
    b"\x28\xb5\x2f\xfd": "is compressed with Zstandard",
    b"\xff\xfe": "is written in UTF-16",
    b"\xfe\xff": "is written in UTF-16",
    b"%PDF": "is a PDF document",
}
_AGAIN = "Deliver the file again; nothing was imported."


def layout(db: DuckDb, path: Path, *, file: str, csv_null: tuple[str, ...], encoding: str) -> Layout:
    """The layout of a local file; raises UnreadableFile, naming `file`, where it is not a readable bill."""
    first = _first_bytes(path, file)
    for magic, what in _WRONG_KINDS.items():
        if first.startswith(magic):
            raise UnreadableFile(
                file=file, what=f"{what}.", fix="Deliver it as UTF-8 CSV, CSV.gz, JSON lines or Parquet."
            )
    if first.startswith(b"PAR1"):
        return _parquet(db, path, file)
    if first.startswith(b"\x1f\x8b"):
        return _text(_inflated(path, file), file=file, csv_null=csv_null, encoding=encoding, packed=True)
    return _text(first, file=file, csv_null=csv_null, encoding=encoding, packed=False)


def _first_bytes(path: Path, file: str) -> bytes:
    with path.open("rb") as stream:
        first = stream.read(_FIRST)
    if not first.strip():
        raise UnreadableFile(file=file, what="is empty.", fix=_AGAIN)
    return first


def _inflated(path: Path, file: str) -> bytes:
    try:
        with gzip.open(path) as stream:
            first = stream.read(_FIRST)
    except (OSError, EOFError) as error:
        raise UnreadableFile(file=file, what=f"is no complete gzip file ({error}).", fix=_AGAIN) from error
    if not first.strip():
        raise UnreadableFile(file=file, what="is empty.", fix=_AGAIN)
    return first


def _text(first: bytes, *, file: str, csv_null: tuple[str, ...], encoding: str, packed: bool) -> Layout:
    if first.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
        return Layout(Form.JSON_LINES, (), NUMBERED_LINES, packed=packed)
    head = first.decode("latin-1" if encoding == "latin-1" else "utf-8-sig", errors="replace")
    line = (head.splitlines() or [""])[0]
    if head[len(line) : len(line) + 2].startswith("\r") and not head[len(line) :].startswith("\r\n"):
        raise UnreadableFile(
            file=file,
            what="ends its first line with a carriage return alone.",
            fix="Save it with LF or CRLF line ends.",
        )
    delimiter = max(_DELIMITERS, key=lambda mark: len(_fields(head, mark)) if mark in line else 0)
    given = _fields(head, delimiter)
    if not any(name.strip() for name in given):
        raise UnreadableFile(
            file=file, what="has no header.", fix="Deliver it with the column names in the first line."
        )
    names = unique_names(given)
    reader = filled(
        _READ_CSV,
        columns=", ".join(f"{literal(name)}: 'VARCHAR'" for name in names),
        delimiter=literal(delimiter),
        nulls=listed(csv_null),
        encoding=literal(encoding),
    )
    shown = ", ".join(quoted(name) for name in names)
    return Layout(
        Form.CSV, names, filled(_NUMBERED, columns=shown, options=""), f"SELECT {shown} {reader}", delimiter, packed
    )


def _fields(head: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter), [])


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names as SQL can tell them apart: case does not count there.

    >>> unique_names(["Tags", "tags", "", "Cost"])
    ('Tags', 'tags_1', 'column2', 'Cost')
    """
    seen: dict[str, int] = {}
    unique = []
    for place, given in enumerate(names):
        name = given or f"column{place}"
        while name.lower() in seen:
            seen[name.lower()] += 1
            name = f"{given}_{seen[name.lower()] - 1}"
        seen[name.lower()] = 1
        unique.append(name)
    return tuple(unique)


_DESCRIBE = "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet($path, binary_as_string = true))"


def _parquet(db: DuckDb, path: Path, file: str) -> Layout:
    with path.open("rb") as stream:
        stream.seek(-4, io.SEEK_END)
        if stream.read(4) != b"PAR1":
            raise UnreadableFile(file=file, what="is not complete: the end of the Parquet file is missing.", fix=_AGAIN)
    try:
        columns = db.rows(_DESCRIBE, {"path": str(path)})
    except EngineFailed as error:
        raise UnreadableFile(file=file, what=f"is a damaged Parquet file ({error.what}).", fix=_AGAIN) from error
    shown = ", ".join(f"{_as_text(name, kind)} AS {quoted(name)}" for name, kind in columns)
    relation = filled(_NUMBERED, columns=shown, options=", binary_as_string = true")
    return Layout(Form.PARQUET, tuple(name for name, _ in columns), relation)


def _as_text(name: str, kind: str) -> str:
    column = quoted(name)
    if kind == "VARCHAR":
        return column
    if kind.endswith("]") or kind.startswith(("MAP(", "STRUCT(", "UNION(")):
        return f"CAST(to_json({column}) AS VARCHAR)"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"CAST({column} AT TIME ZONE 'UTC' AS VARCHAR)"
    return f"CAST({column} AS VARCHAR)"
