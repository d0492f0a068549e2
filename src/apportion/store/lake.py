"""The immutable folders under `<state>/lake`: put there once, checked before they are read, collected when nobody's."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from apportion.errors import DamagedFile
from apportion.store import durable, manifest
from apportion.store.manifest import NAME, RESTORE, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from apportion.store.records import StoredFile

_ID = re.compile(r"[0-9A-Za-z_-]+")
_KINDS = ("snapshots", "parts")


class Lake:
    """The stored folders of one project.

    `manifest_of` tells the SHA-256 of the manifest the catalogue holds for a folder of that kind ("snapshots", "parts")
    and id; None where the catalogue does not know it.
    """

    def __init__(self, state: Path, manifest_of: Callable[[str, str], str | None]) -> None:
        self._root = state / "lake"
        self._discarded = state / "tmp"
        self._manifest_of = manifest_of
        self._seen: set[tuple[Path, int, int]] = set()

    def folder(self, kind: str, name: str) -> Path:
        """Where the folder of that kind and id lies or will lie; raises ValueError for an id that is no plain word."""
        if not _ID.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a folder")
        return self._root / kind / name

    def put(self, staged: Path, target: Path, content: Manifest) -> None:
        """The staged files are durable in `target`, which the catalogue does not know yet; raises OSError."""
        durable.make_folder(target.parent)
        durable.write_file(staged / NAME, content.content)
        if target.exists() and self._is_whole(target, content):
            # Left by a publish that was cut off before its transaction: the same files, so they serve.
            durable.sync(target)
            durable.sync(target.parent)
            durable.discard(staged)
            return
        if target.exists():
            self._set_aside(target)
        durable.publish_folder(staged, target)

    def check(self, folder: Path, stored: Sequence[StoredFile]) -> None:
        """Every file is there with its size and SHA-256; raises `DamagedFile` naming the first that is not."""
        for file in stored:
            self._check_file(folder / file.name, file)

    def checked(self, path: Path) -> Path:
        """The path, once its file is known to be the one that was stored (read whole the first time in a process)."""
        folder = path.parent
        sha256 = self._manifest_of(folder.parent.name, folder.name)
        if sha256 is None:
            raise DamagedFile(
                str(path), "The catalogue knows no such folder; name a file of a stored snapshot or part."
            )
        if self._stamp(path) not in self._seen:
            stored = manifest.files_in(folder, sha256=sha256).get(path.name)
            if stored is None:
                raise DamagedFile(str(path), RESTORE)
            self._check_file(path, stored)
        return path

    def collect(self, *, grace: float) -> tuple[Path, ...]:
        """The removed folders: those the catalogue does not know, older than `grace` seconds.

        The caller must be the only writer: a folder that is just being published is not known yet either.
        """
        folders = [f for kind in _KINDS if (self._root / kind).is_dir() for f in sorted((self._root / kind).iterdir())]
        oldest = time.time() - grace
        unknown = [f for f in folders if self._manifest_of(f.parent.name, f.name) is None]
        gone = [f for f in unknown if f.stat().st_mtime < oldest]
        for folder in gone:
            self._set_aside(folder)
        return tuple(gone)

    def _check_file(self, path: Path, stored: StoredFile) -> None:
        stamp = self._stamp(path)
        if stamp in self._seen:
            return
        # The size costs nothing and finds every truncated file.
        if stamp[1] != stored.size or durable.sha256(path) != stored.sha256:
            raise DamagedFile(str(path), RESTORE)
        self._seen.add(stamp)

    def _stamp(self, path: Path) -> tuple[Path, int, int]:
        try:
            status = path.stat()
        except OSError as error:
            raise DamagedFile(str(path), RESTORE) from error
        return (path, status.st_size, status.st_mtime_ns)

    def _is_whole(self, folder: Path, content: Manifest) -> bool:
        with suppress(DamagedFile):
            manifest.files_in(folder, sha256=content.sha256)
            self.check(folder, content.stored)
            return True
        return False

    def _set_aside(self, folder: Path) -> None:
        # Renamed first: a removal that is cut off must not leave half a folder under a name that means something.
        durable.make_folder(self._discarded)
        aside = self._discarded / uuid4().hex
        durable.move(folder, aside)
        durable.sync(folder.parent)
        durable.discard(aside)
