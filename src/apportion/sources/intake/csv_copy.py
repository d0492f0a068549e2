"""A CSV file copied to Parquet as text, every record accounted for: those that do not fit the header are kept whole.

A quote that is not closed swallows the records after it, up to the next quote or the end of the file. So the line it
stands in is set aside and the rest is read again.
"""

from __future__ import annotations

import gzip
import shutil
from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.errors import UnreadableFile
from apportion.sources.intake import csv_records
from apportion.sources.intake.reading import copied

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO

    from apportion.engine.duck import DuckDb
    from apportion.sources.intake.files import DeliveredFile
    from apportion.sources.intake.layout import Layout

PASSES = 20
"""How often a file is read anew without the lines set aside before it is refused."""

_MARK = "x$torn "
"""What stands for a line set aside: one field, so it does not fit the header either and gets its record number."""

_DROP_TORN = ("DROP TABLE IF EXISTS torn", "DROP TABLE IF EXISTS torn_scans")

_CODES = """
codes AS (
    SELECT line, min(line_byte_position) AS position,
        trim(any_value(csv_line), chr(10) || chr(13)) AS record,
        arg_min(CASE error_type
            WHEN 'TOO MANY COLUMNS' THEN 'too_many_fields'
            WHEN 'MISSING COLUMNS' THEN 'too_few_fields'
            WHEN 'UNQUOTED VALUE' THEN 'bad_quotes'
            WHEN 'INVALID ENCODING' THEN 'bad_encoding'
            WHEN 'LINE SIZE OVER MAXIMUM' THEN 'record_too_long'
            ELSE 'bad_record' END, coalesce(column_idx, 0)) AS code
    FROM torn GROUP BY line
)
"""

# DuckDB keeps neither bytes that are no UTF-8 nor more than 10,000 characters of a long record
_SET_ASIDE = f"""
WITH {_CODES}
SELECT position, code FROM codes
WHERE contains(record, chr(10)) OR code IN ('bad_quotes', 'bad_encoding') OR length(record) >= 10000
ORDER BY position
"""

_KEEP = f"""
INSERT INTO torn_records
WITH {_CODES}
SELECT $no, line, coalesce(aside.code, codes.code), '', coalesce(aside.record, codes.record)
FROM codes LEFT JOIN lines_aside AS aside ON codes.record = aside.mark
ORDER BY line
"""

_NUMBERS = "SELECT x_RowNo FROM torn_records WHERE x_StageNo = $no"


def copy(db: DuckDb, found: Layout, *, file: DeliveredFile, no: int, path: Path) -> list[int]:
    """The sorted numbers of the records (header = 1) that give no row; the rows lie as text in the file `path`.

    The table `torn_records` takes those that are no empty lines. Raises UnreadableFile where the file is no CSV, where
    rows, torn records and empty lines are not all there is in it.
    """
    aside: list[tuple[str, str]] = []
    local, packed = file.local, found.packed
    for turn in range(PASSES):
        for drop in _DROP_TORN:
            db.run(drop)
        bound = {"path": str(local), "compression": "gzip" if packed else "none"}
        copied(db, found.csv, bound, path=path, file=file)
        starts = db.rows(_SET_ASIDE)
        if not starts:
            break
        plain = _inflated(local, path.with_suffix(".csv")) if packed else local
        local, packed = _without(plain, starts, aside, file=file, target=path.with_suffix(f".{turn}.csv")), False
    else:
        raise UnreadableFile(
            file=file.path,
            what=f"has quotes that are not closed in more places than can be mended ({len(aside)} were).",
            fix="Double the quotes inside quoted fields; nothing was imported.",
        )
    _keep(db, no, aside)
    torn = [row for (row,) in db.rows(_NUMBERS, {"no": no})]
    rows = db.rows("SELECT count(*) FROM read_parquet($path)", {"path": str(path)})[0][0]
    blank = _blank(found, local, file=file, packed=packed, known=rows + len(torn))
    return sorted((*torn, *blank))


def _inflated(path: Path, target: Path) -> Path:
    with gzip.open(path) as stream, target.open("wb") as out:
        shutil.copyfileobj(stream, out)
    return target


def _without(
    path: Path, starts: Sequence[tuple[int, str]], aside: list[tuple[str, str]], *, file: DeliveredFile, target: Path
) -> Path:
    """The file with a mark for each line that begins at one of the positions (from 1); `aside` takes code and line."""
    with path.open("rb") as stream, target.open("wb") as out:
        for position, code in starts:
            _pass_on(stream, out, position - 1 - stream.tell())
            line = stream.readline()
            while line and not line.strip(b"\r\n"):
                out.write(line)
                line = stream.readline()
            out.write(f"{_MARK}{len(aside)}\n".encode())
            aside.append((code, line.decode(errors="backslashreplace").strip("\r\n")))
        shutil.copyfileobj(stream, out)
    if path != file.local:
        path.unlink()
    return target


def _pass_on(stream: BinaryIO, out: BinaryIO, size: int) -> None:
    while size > 0 and (chunk := stream.read(min(size, 1 << 20))):
        out.write(chunk)
        size -= len(chunk)


def _keep(db: DuckDb, no: int, aside: Sequence[tuple[str, str]]) -> None:
    lines = {
        "mark": pa.array([f"{_MARK}{place}" for place in range(len(aside))], pa.string()),
        "code": pa.array([code for code, _ in aside], pa.string()),
        "record": pa.array([line for _, line in aside], pa.string()),
    }
    db.register("lines_aside", pa.table(lines))
    db.run(_KEEP, {"no": no})


def _blank(found: Layout, local: Path, *, file: DeliveredFile, packed: bool, known: int) -> tuple[int, ...]:
    """The numbers of empty lines, after an independent count of all records: `known` ones are rows or torn."""
    records = csv_records.by_quotes(local, packed=packed)
    if records.count != 1 + known + len(records.blank):
        records = csv_records.by_grammar(local, packed=packed, delimiter=found.delimiter)
    if local != file.local:
        local.unlink()
    if records.count != 1 + known + len(records.blank):
        raise UnreadableFile(
            file=file.path,
            what=f"has {records.count - 1 - len(records.blank):,} records, but {known:,} could be read.",
            fix="Check its quotes and line ends, or deliver it again; nothing was imported.",
        )
    return records.blank
