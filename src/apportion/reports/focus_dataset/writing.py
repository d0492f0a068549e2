"""Rows written as they come, one file at a time, in Parquet or CSV."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from apportion.errors import UnknownName
from apportion.reports.focus_dataset.columns import as_text, schema, text_schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from apportion.engine.duck import DuckDb

FORMS = ("parquet", "csv")


class RowWriter(Protocol):
    """Where the rows of one file go, in the schema of `columns.schema`."""

    def add(self, rows: pa.Table) -> None:
        """The rows stand in the file after those added before."""
        ...


class _Parquet:
    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer

    def add(self, rows: pa.Table) -> None:
        self._writer.write_table(rows)


class _Csv:
    def __init__(self, writer: pyarrow.csv.CSVWriter, db: DuckDb, version: str) -> None:
        self._writer, self._db, self._version = writer, db, version

    def add(self, rows: pa.Table) -> None:
        # bare UTC times: a zone would make DuckDB print its own
        self._db.register("rows_to_print", _without_zone(rows))
        text = self._db.table(f"SELECT {as_text(self._version)} FROM rows_to_print")
        self._writer.write_table(text.cast(text_schema(self._version)))


def require_form(form: str) -> None:
    """Raise `UnknownName` for a form that cannot be written."""
    if form not in FORMS:
        raise UnknownName("form of the export", form, FORMS)


@contextmanager
def writer(path: Path, db: DuckDb, *, form: str, version: str) -> Iterator[RowWriter]:
    """A writer to a new file; the same rows in the same order always give the same bytes."""
    if form == "csv":
        options = pyarrow.csv.WriteOptions(include_header=True, quoting_style="needed")
        with pyarrow.csv.CSVWriter(str(path), text_schema(version), write_options=options) as text:
            yield _Csv(text, db, version)
        return
    with pq.ParquetWriter(path, schema(version), compression="zstd") as table:
        yield _Parquet(table)


def _without_zone(rows: pa.Table) -> pa.Table:
    bare = [
        pa.field(field.name, pa.timestamp("us")) if pa.types.is_timestamp(field.type) else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(bare))
