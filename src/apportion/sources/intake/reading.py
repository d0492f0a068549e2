"""The one way to copy what a user's file holds: what is wrong with the file is told as such."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apportion.errors import EngineFailed, UnreadableFile

if TYPE_CHECKING:
    from pathlib import Path

    from apportion.engine.duck import DuckDb
    from apportion.sources.intake.files import DeliveredFile

_ABOUT_CONTENT = ("Invalid Input Error", "IO Error", "Invalid Error", "TProtocolException", "Serialization Error")
"""Kinds of DuckDB errors that a damaged file causes; others are ours."""


def copied(db: DuckDb, sql: str, bound: dict[str, Any], *, path: Path, file: DeliveredFile) -> None:
    """The result of the query in a Parquet file; raises UnreadableFile where the content of `file` is at fault."""
    try:
        db.copy(sql, path, bound)
    except EngineFailed as error:
        if not any(kind in error.what for kind in _ABOUT_CONTENT):
            raise
        raise UnreadableFile(
            file=file.path,
            what=f"cannot be read ({error.what.removeprefix('DuckDB refused: ').rstrip('.')}).",
            fix="Check its quotes and line ends, or deliver it again; nothing was imported.",
        ) from error
