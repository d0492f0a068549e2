"""Where bills lie: one file, a folder, a pattern of files, or the same in an object store."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from apportion.errors import UnreadableFile
from apportion.sources.intake import glob
from apportion.sources.intake.bucket import EXTRAS, Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Files that are one source's delivery.

    `url` is what the user wrote; `root` the folder (absolute path or URL without slash at its end) that nothing read
    here may lie outside of; `name` the one file meant, below `root`; `pattern` what the names below `root` must match.
    A folder has neither. Paths that come out and go in are full paths or URLs.
    """

    url: str
    root: str
    name: str | None = None
    pattern: str | None = None

    @classmethod
    def of(cls, text: str, base: Path) -> Place:
        """The place a user wrote: a path (relative ones start at `base`), a glob with `*`, `?`, `[…]`, `**`, or a URL.

        A file or folder that is there under exactly that name wins over reading the name as a glob. Raises
        `UnreadableFile` where nothing is there (object stores answer this only when they are listed).
        """
        found = _URL.match(text)
        if not found:
            return _local(text, base)
        if found[1] not in EXTRAS:
            known = ", ".join(f"{scheme}://" for scheme in EXTRAS)
            raise UnreadableFile(
                file=text,
                what=f"no reader for {found[1]}:// addresses.",
                fix=f"Use a path without scheme, or one of {known}.",
            )
        return _remote(text)

    @property
    def remote(self) -> bool:
        """Whether the files lie in an object store."""
        return _URL.match(self.root) is not None

    def files(self) -> list[str]:
        """Full paths of all files of the place, sorted; hidden ones (`.x`, `_SUCCESS`, `_temporary/…`) are no delivery.

        Links to a file that is listed anyway are listed once; a link that leads out of the place is an
        `UnreadableFile`, because leaving it out would lose money unseen.
        """
        if self.name is not None:
            return [self._path(self.name)]
        names = (name for name in self._names() if not glob.hidden(name))
        if self.pattern is not None:
            matcher = glob.matcher(self.pattern)
            names = (name for name in names if matcher.fullmatch(name))
        return sorted(self._path(name) for name in names)

    def relative(self, path: str) -> str:
        """The name of a file of this place below `root`, with `/` between its parts."""
        return path.removeprefix(self.root).lstrip("/")

    def inside(self, relative: str) -> str:
        """The full path of a name that a manifest gives; raises `UnreadableFile` where it leads out of the place.

        Whether the file is there shows when it is read.
        """
        path = self._path(relative)
        if not _plain(relative) or not (self.remote or _is_within(path, self.root)):
            raise self._outside(relative)
        return path

    def text(self, path: str) -> str:
        """The whole file as text (UTF-8, with or without byte order mark); for manifests, not for bills."""
        try:
            return b"".join(self._chunks(path)).decode("utf-8-sig")
        except UnicodeDecodeError as fault:
            raise UnreadableFile(
                file=path, what="it is not UTF-8 text.", fix="Deliver the file again, or name the bill itself."
            ) from fault

    def fetch(self, path: str, into: Path) -> Path:
        """A local path with the file's bytes: the file itself if it is local, else a complete copy in folder `into`.

        The copy's name ends like the original's and begins with a hash of its URL, so that two files of the same name
        never meet.
        """
        if not self.remote:
            return Path(_regular(path))
        copy = into / f"{hashlib.sha256(path.encode()).hexdigest()[:16]}-{path.rpartition('/')[2]}"
        partial = copy.with_name(f"{copy.name}.part")
        with partial.open("wb") as out:
            for chunk in self._chunks(path):
                out.write(chunk)
        return partial.replace(copy)

    def sha256(self, path: str) -> str:
        """The SHA-256 of the file's bytes in hex; of an object store's file this reads the whole object."""
        digest = hashlib.sha256()
        for chunk in self._chunks(path):
            digest.update(chunk)
        return digest.hexdigest()

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"

    def _names(self) -> Iterator[str]:
        if not self.remote:
            return _walk(self.root)
        bucket, prefix = Bucket.split(self.root)
        return (key[len(prefix) :].lstrip("/") for key in bucket.keys(prefix))

    def _chunks(self, path: str) -> Iterator[bytes]:
        if not self.remote:
            return _read(path)
        bucket, key = Bucket.split(path)
        return bucket.chunks(key)

    def _outside(self, name: str) -> UnreadableFile:
        return UnreadableFile(
            file=self.url,
            what=f"'{name}' leads out of {self.root}.",
            fix="Put the file itself into the place, or name the place it lies in.",
        )


def _local(text: str, base: Path) -> Place:
    path = os.path.normpath(base / Path(text).expanduser())
    if os.path.isfile(path):  # noqa: PTH113 - patterns are no valid Path on every system
        folder, name = os.path.split(path)
        return Place(text, folder, name=name)
    if os.path.isdir(path):  # noqa: PTH112
        return Place(text, path)
    # only what the user wrote is a pattern; the project's own folder may have any name
    inner, pattern = glob.split(os.path.normpath(Path(text).expanduser()))
    folder = os.path.normpath(base / inner)
    if not pattern or not os.path.isdir(folder):  # noqa: PTH112
        raise UnreadableFile(
            file=text, what=f"there is no such file or folder ({path}).", fix="Check the path in apportion.toml."
        )
    return Place(text, folder, pattern=pattern)


def _remote(text: str) -> Place:
    folder, pattern = glob.split(text)
    bucket, key = Bucket.split(folder)
    root = f"{bucket.url}/{key}".rstrip("/")
    if pattern:
        return Place(text, root, pattern=pattern)
    if key and not text.endswith("/") and bucket.holds(key):
        folder, _, name = root.rpartition("/")
        return Place(text, folder, name=name)
    return Place(text, root)


def _walk(root: str) -> Iterator[str]:
    """Names of the files below `root`; links only where their target is not listed under its own name."""
    top = os.path.realpath(root)
    links: dict[str, str] = {}
    own: set[str] = set()
    for folder, folders, files in os.walk(root):
        for entry in (*folders, *files):
            path = f"{folder.rstrip('/')}/{entry}"
            name = path[len(root) :].lstrip("/")
            if glob.hidden(name):
                continue
            if os.path.islink(path):  # noqa: PTH114
                links[name] = os.path.realpath(path)
            elif os.path.isfile(path):  # noqa: PTH113
                own.add(name)
                yield name
    yield from _linked(root, top, links, own)


def _linked(root: str, top: str, links: dict[str, str], own: set[str]) -> Iterator[str]:
    for name, target in sorted(links.items()):
        if not _is_within(target, top):
            raise UnreadableFile(
                file=f"{root}/{name}",
                what=f"it is a link that leads out of {root}.",
                fix="Put the file itself there, or name the place it lies in.",
            )
        listed = target[len(top) :].lstrip("/") in own
        if os.path.isfile(target) and not listed:  # noqa: PTH113
            yield name


def _plain(name: str) -> bool:
    """Whether a name steps down only: not absolute on any system, no `..`, no empty part."""
    parts = name.split("/")
    return not {"..", ".", ""} & set(parts) and "\0" not in name and "\\" not in name and ":" not in parts[0]


def _is_within(path: str, root: str) -> bool:
    top = os.path.realpath(root)
    return os.path.commonpath([os.path.realpath(path), top]) == top


def _regular(path: str) -> str:
    if not os.path.isfile(path):  # noqa: PTH113
        raise UnreadableFile(file=path, what="there is no such file.", fix="Deliver it again, or check the manifest.")
    return path


def _read(path: str) -> Iterator[bytes]:
    with Path(_regular(path)).open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
