"""Raw answers of an API in a file: what `pull` keeps, and what a user saves by hand, read alike."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO, cast

from apportion.errors import UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from apportion.sources.readings.contract import RawFile

_KEPT = "apportion_answer"
"""Marks a line that `pull` wrote."""
_FOLDED = {ord("\n"): " ", ord("\r"): " "}


@dataclass(frozen=True, slots=True)
class Answer:
    """One JSON document: `body` with numbers as `Decimal` or `int`, never floats; `row` counts documents from 1.

    `path` and `params` are the request it answers, `read_at` when; empty and the file's own where a user saved it.
    """

    row: int
    path: str
    params: Mapping[str, Any]
    read_at: datetime | None
    body: Any


def answers(file: RawFile) -> Iterator[Answer]:
    """The documents of a JSON file (one), or of a JSON-lines file (one per line), gzip or not, in order.

    Raises `UnreadableFile`, naming the line, where one is no JSON.
    """
    lines = file.name.removesuffix(".gz").endswith((".jsonl", ".ndjson"))
    with opened_text(file) as stream:
        texts = enumerate(stream, 1) if lines else iter([(1, stream.read())])
        for row, text in texts:
            if text.strip():
                yield _answer(file, row, text)


def opened_text(file: RawFile) -> TextIO:
    """The text of a file, inflated where its name ends in `.gz`; bytes that are not UTF-8 become U+FFFD."""
    if file.name.endswith(".gz"):
        return cast("TextIO", gzip.open(file.path, "rt", encoding="utf-8-sig", errors="replace"))
    return file.path.open(encoding="utf-8-sig", errors="replace")


def kept(path: str, params: Mapping[str, Any], *, read_at: datetime, text: str) -> str:
    """The line that keeps an answer: the request beside the answer's own text, its line ends become spaces.

    JSON allows none within texts, so nothing that it says is changed.
    """
    request = json.dumps({"path": path, "params": dict(params), "read_at": read_at.isoformat()}, sort_keys=True)
    return f'{{"{_KEPT}": {request}, "body": {text.translate(_FOLDED)}}}\n'


def exact(text: str) -> Any:  # noqa: ANN401 - JSON
    """The JSON value of a text with exact numbers: `int` and `Decimal`; NaN and Infinity become None."""
    return json.loads(text, parse_float=Decimal, parse_constant=lambda _: None)


def _answer(file: RawFile, row: int, text: str) -> Answer:
    try:
        found = exact(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(
            file=file.name, what=f"line {row} is no JSON.", fix="Fetch or export it again, whole."
        ) from error
    if isinstance(found, dict) and _KEPT in found:
        request = found[_KEPT]
        read_at = datetime.fromisoformat(request["read_at"])
        return Answer(row, request["path"], request["params"], read_at, found["body"])
    return Answer(row, "", {}, file.read_at, found)


def poorer(kept: Path) -> Path:
    """Where the newest answers for a day lie that gave fewer samples than the kept ones, so did not replace them."""
    return kept.with_suffix(".poorer")


def pulled_at(path: Path) -> datetime | None:
    """When the answers in a file that `pull` kept were read; None for any other file."""
    with path.open("rb") as stream:
        start = stream.read(2)
        if start == b"\x1f\x8b":
            return None
        line = start + stream.readline(1_000_000)
    if not line.startswith(f'{{"{_KEPT}"'.encode()):
        return None
    found = re.search(rb'"read_at": "([^"]+)"', line)
    return datetime.fromisoformat(found[1].decode()) if found else None
