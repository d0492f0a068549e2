"""Records that stand for several charges, written out: one row of text per charge, each with its record's number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from apportion.core.tables import quoted
from apportion.sources.intake.row_checks import NULL_WORDS
from apportion.sources.intake.sql_text import filled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from apportion.core.config import SourceConfig
    from apportion.engine.duck import DuckDb
    from apportion.sources.intake.contract import Spread
    from apportion.sources.intake.layout import Layout

SPREAD = "read_parquet($path)"
"""SQL: the rows of a file that `spread` wrote."""

_BATCH = 20_000
_RECORDS = 'SELECT "n$$", ${columns} FROM ${relation} ORDER BY "n$$"'

_Row = tuple[object, ...]


def spread(db: DuckDb, how: Spread, config: SourceConfig, *, found: Layout, bound: str | list[str], path: Path) -> None:
    """The charges of all records in the Parquet file `path`: `n$`, the delivered columns and the made ones, as text.

    `bound` is where the relation of the layout lies. Charges stand in the order of their records.
    """
    columns = ", ".join(quoted(name) for name in found.columns)
    rows = db.rows(filled(_RECORDS, columns=columns, relation=found.relation), {"path": bound})
    records = [
        {name: None if text in NULL_WORDS else text for name, text in zip(found.columns, texts, strict=True)}
        for _, *texts in rows
    ]
    made = zip(rows, how.charges(records, config), strict=True)
    schema = pa.schema([("n$", pa.int64()), *((name, pa.string()) for name in (*found.columns, *how.columns))])
    with pq.ParquetWriter(path, schema) as out:
        for batch in _batches((*row, *values) for row, charges in made for values in charges):
            arrays = [
                pa.array(column, kind) for column, kind in zip(zip(*batch, strict=True), schema.types, strict=True)
            ]
            out.write_table(pa.table(arrays, schema=schema))


def _batches(rows: Iterable[_Row]) -> Iterator[Sequence[_Row]]:
    batch: list[_Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
