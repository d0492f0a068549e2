"""DuckDB as an in-memory calculator over Parquet: no database file, no extensions, no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from apportion.core.tables import quoted
from apportion.engine.dialect import DUCKDB, compile_sql
from apportion.errors import EngineFailed

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

Parameters = Sequence[Any] | dict[str, Any] | None

_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET python_enable_replacements = false",
    "SET preserve_insertion_order = true",
    "SET enable_progress_bar = false",
    # `in_clause` turns each IN of a few words into a join: measured, four times the planning and much of the running
    # time of a statement with one such test per column. `partial_aggregate_pushdown` sums below a join what the join
    # then drops: measured, 1.7 s and not 0.2 to find the times of a million charges among ten.
    "SET disabled_optimizers = 'in_clause,partial_aggregate_pushdown'",
)


@dataclass(frozen=True, slots=True)
class DuckDb:
    """One session. SQL is DuckDB's own; `ask` also takes the macros of `dialect`. Values are bound, never pasted."""

    connection: duckdb.DuckDBPyConnection
    name: str = "duckdb"

    def run(self, sql: str, params: Parameters = None) -> None:
        """Run a statement for its effect; raises `EngineFailed`."""
        self._execute(sql, params)

    def rows(self, sql: str, params: Parameters = None) -> list[tuple[Any, ...]]:
        """All rows of a query whose result is known to be small."""
        return self._execute(sql, params).fetchall()

    def table(self, sql: str, params: Parameters = None) -> pa.Table:
        """The result of a query as an Arrow table."""
        try:
            return self.connection.sql(sql, params=params).to_arrow_table()
        except duckdb.Error as error:
            raise failed(error) from error

    def ask(self, sql: str) -> pa.Table:
        """The result of a portable statement (see `dialect`), as every `Engine` answers it."""
        return self.table(compile_sql(sql, DUCKDB))

    def register(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table readable under a name."""
        self.connection.register(name, table)

    def read_parquet(self, name: str, paths: Sequence[Path]) -> None:
        """Make Parquet files of one schema readable together under a name."""
        listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
        self.run(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS SELECT * FROM read_parquet([{listed}])")

    def copy(self, sql: str, path: Path, params: Parameters = None) -> None:
        """Write the result of a query to a zstd Parquet file. Not durable: DuckDB never calls fsync, the store does."""
        target = str(path).replace("'", "''")
        self.run(f"COPY ({sql}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)", params)

    def _execute(self, sql: str, params: Parameters) -> duckdb.DuckDBPyConnection:
        try:
            return self.connection.execute(sql, params)
        except duckdb.Error as error:
            raise failed(error) from error


def failed(error: duckdb.Error) -> EngineFailed:
    """The user's form of a DuckDB error: its first line, and what can be done."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, duckdb.OutOfMemoryException):
        return EngineFailed(
            f"The calculation needs more memory than allowed ({first}).",
            "Set APPORTION_MEMORY to a larger value, such as 8GB.",
        )
    if "Overflow in" in first or "does not fit in" in first:
        return EngineFailed(
            f"A sum has more than 20 digits before the point and cannot be kept exactly ({first}).",
            "Look in the bill for a quantity in a very small unit, such as bytes, and export a larger one.",
        )
    return EngineFailed(f"DuckDB refused: {first}.", "If the data looks right, please report this with --debug output.")


@contextmanager
def session(*, memory: str = "2GB", threads: int | None = None, temp: Path | None = None) -> Iterator[DuckDb]:
    """A fresh in-memory DuckDB; `temp` is where it may spill (nowhere if None), `threads` None means all cores."""
    connection = duckdb.connect()
    try:
        for setting in _SETTINGS:
            connection.execute(setting)
        connection.execute("SET memory_limit = ?", [memory])
        connection.execute("SET temp_directory = ?", [str(temp) if temp else ""])
        if threads is not None:
            connection.execute("SET threads = ?", [threads])
        yield DuckDb(connection)
    except duckdb.Error as error:
        raise failed(error) from error
    finally:
        connection.close()
