"""The rows of a usage file, whatever its format: CSV, NDJSON or Parquet, one mapping of columns to values each."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from apportion.errors import UnreadableFile
from apportion.sources.readings.answers import exact, opened_text
from apportion.sources.readings.contract import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apportion.sources.readings.contract import RawFile

Row = Mapping[str, Any]

_CSV = (".csv", ".csv.gz")
_PARQUET = ".parquet"
_LONGEST_CELL = 2**24


def rows(file: RawFile) -> Iterator[tuple[int, Row | Fault]]:
    """Each row with its number: the line of an NDJSON file, the record of a CSV (1 is the header) or Parquet file.

    Values are texts in CSV, and exact numbers, times and texts elsewhere; a row that cannot be taken apart is a fault.
    Raises `UnreadableFile`.
    """
    if file.name.endswith(_CSV):
        yield from _csv_rows(file)
    elif file.name.endswith(_PARQUET):
        yield from _parquet_rows(file)
    else:
        yield from _json_rows(file)


def _csv_rows(file: RawFile) -> Iterator[tuple[int, Row | Fault]]:
    csv.field_size_limit(_LONGEST_CELL)
    with opened_text(file) as stream:
        try:
            lines = csv.reader(stream, strict=True)
            names = [name.strip().lower() for name in next(lines, [])]
            for row, cells in enumerate(lines, 2):
                if cells:
                    yield row, _csv_row(row, names, cells)
        except csv.Error as error:
            raise UnreadableFile(
                file=file.name, what=f"is no CSV file ({error}).", fix="Write it with a CSV library, in UTF-8."
            ) from error


def _csv_row(row: int, names: list[str], cells: list[str]) -> Row | Fault:
    if len(cells) == len(names):
        return dict(zip(names, cells, strict=True))
    return Fault(
        code="usage_row_width",
        row=row,
        column="",
        example=",".join(cells)[:80],
        what=f"The row has {len(cells)} values where the header has {len(names)}.",
        fix="Quote values that hold commas.",
    )


def _json_rows(file: RawFile) -> Iterator[tuple[int, Row | Fault]]:
    with opened_text(file) as stream:
        for row, text in enumerate(stream, 1):
            if text.strip():
                yield row, _json_row(row, text)


def _json_row(row: int, text: str) -> Row | Fault:
    try:
        found = exact(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return {str(name).lower(): value for name, value in found.items()}
    return Fault(
        code="usage_no_object",
        row=row,
        column="",
        example=text.strip()[:80],
        what="The line is no JSON object.",
        fix="Write one object per line; a line cut short by a full disk can be removed.",
    )


def _parquet_rows(file: RawFile) -> Iterator[tuple[int, Row | Fault]]:
    try:
        with pq.ParquetFile(file.path) as opened:
            floats = {field.name.lower() for field in opened.schema_arrow if pa.types.is_floating(field.type)}
            yield from ((1, _from_double(name)) for name in sorted(floats))
            row = 0
            for batch in opened.iter_batches(batch_size=10_000):
                for found in batch.to_pylist(maps_as_pydicts="lossy"):
                    row += 1
                    yield row, {name.lower(): _exact_value(value) for name, value in found.items()}
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFile(
            file=file.name, what="is no Parquet file that can be read.", fix="Write it again, whole."
        ) from error


def _exact_value(value: Any) -> Any:  # noqa: ANN401 - any Parquet value
    if isinstance(value, float):
        return Decimal(repr(value))
    return {str(k): v for k, v in value.items()} if isinstance(value, dict) else value


def _from_double(name: str) -> Fault:
    return Fault(
        code="usage_double",
        row=1,
        column=name,
        example="DOUBLE",
        what=f"The column {name} holds binary fractions; the shortest decimal that stands for each was taken.",
        fix="Write it as DECIMAL.",
        rejected=False,
    )


def json_labels(text: str) -> Mapping[str, Any] | None:
    """The object in a text of JSON, or None where there is none."""
    try:
        found = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
