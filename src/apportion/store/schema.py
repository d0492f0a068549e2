"""The catalogue's schema, brought up to date when a project is opened.

Alembic is loaded only where there is something to migrate: it takes longer than everything else in opening.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from apportion.errors import NewerState
from apportion.store import locks

if TYPE_CHECKING:
    from apportion.store.connection import Catalogue

HEAD = "0001"
"""The newest schema this code knows: the revision of the last file in `migrations/versions`."""

_VERSION = text("SELECT version_num FROM alembic_version")
_MIGRATIONS = str(Path(__file__).parent / "migrations")
_PATIENCE = 10.0  # seconds: as long as another process needs to create or migrate the same project


def ensure(catalogue: Catalogue, *, lock: Path) -> None:
    """The database exists with the newest schema; a migration is one transaction, all of it or none.

    Raises `NewerState` if the schema is newer than this code, `Busy` if a writer is at work for ten seconds.
    """
    if _version(catalogue) == HEAD:
        return
    with locks.writer_lock(lock, patience=_PATIENCE):
        migrate(catalogue, HEAD)


def _version(catalogue: Catalogue) -> str | None:
    # Connecting would create the file and race with another process that is just doing so.
    if not catalogue.path.exists() or not catalogue.path.stat().st_size:
        return None
    with catalogue.reading() as connection:
        return _checked(connection, catalogue.path.parent)


def _checked(connection: Connection, folder: Path) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(_VERSION)
    if found is not None and found > HEAD:
        raise NewerState(folder=str(folder), found=str(found), known=HEAD)
    return found


def migrate(catalogue: Catalogue, revision: str) -> None:
    """The schema is at that revision, up or down ("base": empty); the caller holds the writer lock."""
    from alembic import command
    from alembic.config import Config

    with catalogue.writing() as connection:
        found = _checked(connection, catalogue.path.parent)
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", _MIGRATIONS.replace("%", "%%"))
        down = revision == "base" or (found is not None and revision < found)
        (command.downgrade if down else command.upgrade)(config, revision)
