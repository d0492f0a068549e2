"""The delivered files of one import, brought here and hashed; the same content counts once."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from apportion.core.problems import Problem, Severity
from apportion.errors import UnreadableFile

if TYPE_CHECKING:
    from pathlib import Path

    from apportion.core.config import SourceConfig
    from apportion.core.progress import Progress
    from apportion.sources.intake.contract import Finds
    from apportion.sources.intake.place import Place


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """A file as delivered: `path` is where the user has it, `local` where it can be read, `size` in bytes."""

    path: str
    local: Path
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class DeliveredFiles:
    """The current files in the order they were found in, each content once, and what is to be said of the others."""

    files: tuple[DeliveredFile, ...]
    repeated: tuple[Problem, ...]
    left_out: tuple[tuple[str, str], ...]


def collect(
    source: Finds,
    config: SourceConfig,
    *,
    places: tuple[Place, ...],
    into: Path,
    progress: Progress,
) -> DeliveredFiles:
    """All current files of the places; remote ones are copied into the folder `into`.

    Raises UnreadableFile where the places hold no file at all.
    """
    found: dict[str, Place] = {}
    left_out: list[tuple[str, str]] = []
    for place in places:
        delivery = source.find(place, config)
        left_out += delivery.left_out
        for path in delivery.files:
            found.setdefault(path, place)
    if not found:
        raise UnreadableFile(
            file=", ".join(place.url for place in places) or config.id,
            what=f"no file was found there{_because(left_out)}.",
            fix=f"Check the paths of the source '{config.id}'.",
        )
    files: dict[str, DeliveredFile] = {}
    repeated: list[Problem] = []
    for done, (path, place) in enumerate(found.items()):
        progress("fetching files", done, len(found))
        file = _fetched(place, path, into)
        first = files.setdefault(file.sha256, file)
        if first is not file:
            repeated.append(_repeated(file, first))
    return DeliveredFiles(tuple(files.values()), tuple(repeated), tuple(left_out))


def _because(left_out: list[tuple[str, str]]) -> str:
    if not left_out:
        return ""
    path, reason = left_out[0]
    return f": {len(left_out)} files were left out, such as {path} ({reason})"


def _fetched(place: Place, path: str, into: Path) -> DeliveredFile:
    local = place.fetch(path, into)
    with local.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return DeliveredFile(path, local, digest, local.stat().st_size)


def _repeated(file: DeliveredFile, first: DeliveredFile) -> Problem:
    return Problem(
        code="duplicate_file",
        severity=Severity.WARNING,
        file=file.path,
        rows="all",
        row_count=0,
        column="",
        example=first.path,
        what=f"The file has the same content as {first.path}; it was counted once.",
        fix="Remove one of the two.",
    )


def opened(path: Path, *, packed: bool) -> BinaryIO:
    """The bytes of a file, inflated where it is a gzip file (`packed`)."""
    return cast("BinaryIO", gzip.open(path)) if packed else path.open("rb")
