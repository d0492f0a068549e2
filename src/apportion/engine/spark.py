"""Spark through Spark Connect: any server that speaks it does the work (Spark 4, Databricks, Sail)."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.engine.dialect import SPARK, compile_sql
from apportion.errors import EngineFailed, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    from pyspark.sql import SparkSession


@dataclass(frozen=True, slots=True)
class Spark:
    """One session on a Spark Connect server, which must see the project's files under the same paths."""

    session: SparkSession
    name: str = "spark"

    def read_parquet(self, name: str, paths: Sequence[Path]) -> None:
        """Make Parquet files of one schema readable together under a name."""
        with _refusals():
            self.session.read.parquet(*(str(path) for path in paths)).createOrReplaceTempView(name)

    def ask(self, sql: str) -> pa.Table:
        """The result of a portable statement (see `dialect`) as an Arrow table."""
        with _refusals():
            return self.session.sql(compile_sql(sql, SPARK)).toArrow()


@contextmanager
def session(url: str) -> Iterator[Spark]:
    """A session on the server at `sc://host:port`; raises `MissingExtra` or `EngineFailed`."""
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise MissingExtra("The Spark engine", "spark") from error
    with _refusals():
        remote = SparkSession.builder.remote(url).getOrCreate()
        remote.conf.set("spark.sql.session.timeZone", "UTC")
    try:
        yield Spark(remote)
    finally:
        remote.stop()


@contextmanager
def _refusals() -> Iterator[None]:
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        raise _failed(str(error)) from error
    except Exception as error:
        if type(error).__module__.startswith("grpc"):
            raise _failed(str(error)) from error
        raise


def _failed(message: str) -> EngineFailed:
    first = message.strip().splitlines()[0] if message.strip() else "no answer"
    return EngineFailed(
        f"The Spark Connect server refused: {first}.",
        "Check that it runs at the address of --engine-url and sees the project folder under the same path.",
    )
