"""Which engine does the work."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from apportion.engine import duck
from apportion.errors import EngineFailed, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

ENGINES = ("duckdb", "spark")


class Engine(Protocol):
    """What allocation needs of an engine: read Parquet under a name, answer a portable statement."""

    @property
    def name(self) -> str:
        """`duckdb` or `spark`."""
        ...

    def read_parquet(self, name: str, paths: Sequence[Path]) -> None:
        """Make Parquet files of one schema readable together under a name."""
        ...

    def ask(self, sql: str) -> pa.Table:
        """The result of a portable statement as an Arrow table."""
        ...


@contextmanager
def engine(name: str, *, url: str | None = None, memory: str = "2GB", temp: Path | None = None) -> Iterator[Engine]:
    """The named engine, open; raises `UnknownName`, `EngineFailed` or `MissingExtra`."""
    if name not in ENGINES:
        raise UnknownName("engine", name, ENGINES)
    if name == "duckdb":
        with duck.session(memory=memory, temp=temp) as db:
            yield db
        return
    if not url:
        raise EngineFailed("The Spark engine needs the address of a server.", "Give --engine-url sc://host:port.")
    from apportion.engine import spark

    with spark.session(url) as remote:
        yield remote
