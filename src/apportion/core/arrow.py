"""The tables of `core.tables` as Arrow schemas, and Arrow tables brought into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from apportion.core.tables import Columns

_TYPES = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "TIMESTAMP": pa.timestamp("us"),
    "DECIMAL(38,18)": pa.decimal128(38, 18),
    "DECIMAL(38,9)": pa.decimal128(38, 9),
    "DECIMAL(5,4)": pa.decimal128(5, 4),
    "VARCHAR[]": pa.list_(pa.string()),
    "MAP(VARCHAR, VARCHAR)": pa.map_(pa.string(), pa.string()),
}


def schema(columns: Columns) -> pa.Schema:
    """The Arrow schema of a table, columns in order."""
    return pa.schema([(name, _TYPES[sql_type]) for name, sql_type in columns.items()])


def conform(table: pa.Table, columns: Columns, *, order: tuple[str, ...]) -> pa.Table:
    """The table with exactly these columns and types, sorted by `order` (a unique key).

    Raises `pyarrow.ArrowInvalid` where a value does not fit its type; nothing is ever rounded.
    """
    shaped = table.select(list(columns)).cast(schema(columns))
    return shaped.sort_by([(name, "ascending") for name in order]).combine_chunks()


def from_rows(kinds: Mapping[str, pa.DataType], rows: Sequence[tuple[object, ...]]) -> pa.Table:
    """The rows as a table with these columns, in their order; no rows give a table of the same columns."""
    return pa.Table.from_arrays(
        [pa.array([row[at] for row in rows], kind) for at, kind in enumerate(kinds.values())], names=list(kinds)
    )
