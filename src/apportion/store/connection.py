"""The one way to the catalogue database: safe settings at each connect, transactions that say what they will do.

SQLite's defaults lose acknowledged commits in a power cut (measured: 55 of 300 images, and 119 of 200 with WAL and
`synchronous=NORMAL`); WAL with `synchronous=FULL` lost none of 700.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError

from apportion.errors import ApportionError, Busy, DamagedFile, NotRead, NotStored
from apportion.store.manifest import RESTORE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = {
    "busy_timeout": 10_000,  # milliseconds; first, so that the others wait as well
    "journal_mode": "wal",
    "synchronous": 2,  # FULL
    "foreign_keys": 1,
    "trusted_schema": 0,
}
"""PRAGMAs set at each connect, with the value each must answer afterwards."""

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class Catalogue:
    """The database file at `path`; connections are opened when first needed and kept for the next."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = _engine(path)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the catalogue, however long it lasts, and waits for no writer."""
        with self._explained(NotRead), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is alone from its first statement; committed at the end, rolled back on any error."""
        writers = self._engine.execution_options(apportion_writes=True)
        with self._explained(NotStored), writers.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """All connections are closed."""
        self._engine.dispose()

    @contextmanager
    def _explained(self, refused: type[NotRead | NotStored]) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise  # the disk is not to blame: a row that breaks a rule of the tables is a defect of ours
        except DBAPIError as error:
            raise self._reason(error.orig, refused) from error

    def _reason(self, error: BaseException | None, refused: type[NotRead | NotStored]) -> ApportionError:
        # The lower eight bits are the primary code; the rest says more precisely which.
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in _DAMAGE:
            return DamagedFile(str(self.path), RESTORE)
        if code in _LOCKED:
            return Busy(f"Another process has been writing to {self.path} for {SETTINGS['busy_timeout']} ms.")
        return refused(f"{self.path}: {error}")


def _engine(path: Path) -> Engine:
    engine = create_engine(URL.create("sqlite+pysqlite", database=str(path)))
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    # The driver must not begin transactions by itself (it would do so too late); _begin does.
    connection.isolation_level = None
    for name, wanted in SETTINGS.items():
        connection.execute(f"PRAGMA {name} = {wanted}")
        found = connection.execute(f"PRAGMA {name}").fetchone()[0]
        if found != wanted:
            raise sqlite3.OperationalError(f"PRAGMA {name} is {found}, not {wanted}: is this a network file system?")


def _begin(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once: what is read inside cannot have changed before it is written.
    writes = connection.get_execution_options().get("apportion_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
