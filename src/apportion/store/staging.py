"""Folders under `<state>/tmp` to write new files in before they are published, and what becomes of forgotten ones."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from apportion.store import durable, locks

if TYPE_CHECKING:
    from pathlib import Path

_NO_OWNER_GRACE = 3600.0  # seconds; only for a lock file whose process died in the moment of making its folder


class Staging:
    """The staging folders of one open store: one session folder, marked as in use by a lock beside it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._session: Path | None = None
        self._lock: int | None = None

    def folder(self) -> Path:
        """A fresh empty folder on the file system of the lake."""
        folder = self._open() / uuid4().hex
        durable.make_folder(folder)
        return folder

    def holds(self, path: Path) -> bool:
        """Whether the path lies in one of these folders."""
        return self._session is not None and self._session in path.parents

    def close(self) -> None:
        """The session's folders are gone."""
        if self._session is None or self._lock is None:
            return
        durable.discard(self._session)
        _lock_file(self._session).unlink(missing_ok=True)
        locks.unlock(self._lock)
        self._session = self._lock = None

    def sweep(self) -> tuple[Path, ...]:
        """The session folders of processes that are no more, removed: nobody can publish from them."""
        if not self._root.is_dir():
            return ()
        self._forget_lone_locks()
        sessions = sorted(path for path in self._root.iterdir() if path.is_dir())
        return tuple(session for session in sessions if _removed(session))

    def _open(self) -> Path:
        if self._session is None:
            durable.make_folder(self._root)
            session = self._root / uuid4().hex
            # Locked before the folder exists, so that a sweep never finds a folder whose owner it cannot see.
            self._lock = locks.try_lock(_lock_file(session))
            durable.make_folder(session)
            self._session = session
        return self._session

    def _forget_lone_locks(self) -> None:
        for lock in self._root.glob("*.lock"):
            with suppress(OSError):
                if not lock.with_suffix("").exists() and time.time() - lock.stat().st_mtime > _NO_OWNER_GRACE:
                    lock.unlink()


def _lock_file(session: Path) -> Path:
    return session.with_name(f"{session.name}.lock")


def _removed(session: Path) -> bool:
    lock = _lock_file(session)
    handle = locks.try_lock(lock)
    if handle is None:
        return False
    durable.discard(session)
    with suppress(OSError):
        lock.unlink()
    locks.unlock(handle)
    return not session.exists()
