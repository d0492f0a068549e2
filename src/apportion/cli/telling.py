"""Progress on stderr: a line that rewrites itself on a terminal after a second, else one line every ten seconds."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from apportion.core.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_AFTER, EVERY = 1.0, 10.0
"""Seconds."""


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """A progress to hand on; its line is wiped at the end."""
    if quiet:
        yield silent
        return
    told = _Told(sys.stderr.isatty())
    try:
        yield told.tell
    finally:
        told.wipe()


class _Told:
    def __init__(self, terminal: bool) -> None:  # noqa: FBT001 - one flag, one caller
        self.terminal = terminal
        self.since = time.monotonic()
        self.last = self.since
        self.width = 0

    def tell(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self.terminal and now - self.since >= FIRST_AFTER:
            line = f"{stage}  {done}/{total}"
            sys.stderr.write("\r" + line.ljust(self.width))
            self.width = len(line)
            sys.stderr.flush()
        elif not self.terminal and now - self.last >= EVERY:
            sys.stderr.write(f"{stage}: {done} of {total}\n")
            self.last = now

    def wipe(self) -> None:
        if self.width:
            sys.stderr.write("\r" + " " * self.width + "\r")
            sys.stderr.flush()
