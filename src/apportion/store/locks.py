"""Who may write, and which staging folders are in use: told by locks of the operating system.

A lock on an open file (flock) ends with its process, also by kill -9 or a power cut, so no lease can be left behind to
wait for or to break by hand; a lease row in the catalogue would need a clock and a fencing number to be as safe. What a
lock file holds is only the pid for the message; an old file without a lock means nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from apportion.errors import Busy, NotStored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAUSE = 0.05


def try_lock(file: Path) -> int | None:
    """The handle of the locked file (created if need be), or None while somebody else holds it."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle


def unlock(handle: int) -> None:
    """The lock is free and the handle closed; explicitly, because a forked child may share the handle."""
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


@contextmanager
def writer_lock(file: Path, *, patience: float = 0.0) -> Iterator[None]:
    """The only writer of the project; raises `Busy`, naming its pid, if another is at it for `patience` seconds."""
    handle = _acquired(file, deadline=time.monotonic() + patience)
    try:
        os.truncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        unlock(handle)


def _acquired(file: Path, *, deadline: float) -> int:
    while True:
        try:
            handle = try_lock(file)
        except OSError as error:
            raise NotStored(f"{file}: {error.strerror}") from error
        if handle is not None:
            return handle
        if time.monotonic() >= deadline:
            raise Busy(f"{_owner(file)} is writing to the project in {file.parent}.")
        time.sleep(_PAUSE)


def _owner(file: Path) -> str:
    pid = file.read_text().strip()
    return f"Process {pid}" if pid else "Another process"
