"""JSON lines to text columns, digit by digit: DuckDB reads JSON numbers as DOUBLE, which loses money."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from apportion.errors import UnreadableFile
from apportion.sources.intake.files import opened
from apportion.sources.intake.layout import NUMBERED_LINES, Form, Layout, unique_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BATCH = 20_000


@dataclass(frozen=True, slots=True)
class TornLine:
    """A line that is no JSON object: its number from 1, and its text."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Unfolded:
    """A JSON lines file as Parquet parts of text columns with the line number as `n$`; `torn` lines are no JSON."""

    layout: Layout
    parts: tuple[Path, ...]
    torn: tuple[TornLine, ...]


Row = dict[str, str | None]


def unfold(path: Path, into: Path, *, file: str, packed: bool) -> Unfolded:
    """The file rewritten into the folder `into`; raises UnreadableFile where it holds no JSON object."""
    names: dict[str, str] = {}
    parts: list[Path] = []
    torn: list[TornLine] = []
    for number, rows in enumerate(_batches(path, torn, packed=packed)):
        parts.append(into / f"part-{number:06d}.parquet")
        _write(rows, names, parts[-1])
    if not names:
        raise UnreadableFile(file=file, what="holds no JSON object.", fix="Deliver one JSON object per line.")
    found = Layout(Form.JSON_LINES, tuple(names.values()), NUMBERED_LINES)
    return Unfolded(found, tuple(parts), tuple(torn))


def _batches(path: Path, torn: list[TornLine], *, packed: bool) -> Iterator[dict[int, Row]]:
    """Line number -> row, some thousand lines at a time; `torn` takes the lines that give none."""
    rows: dict[int, Row] = {}
    with opened(path, packed=packed) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            row = _row(line)
            if row is None:
                torn.append(TornLine(number, line.decode("utf-8", errors="replace").rstrip("\r\n")))
                continue
            rows[number] = row
            if len(rows) == _BATCH:
                yield rows
                rows = {}
    if rows:
        yield rows


def _row(line: bytes) -> Row | None:
    try:
        decoded = json.loads(line, parse_float=_Number, parse_int=_Number)
        if not isinstance(decoded, dict):
            return None
        row = {name: _text(value) for name, value in decoded.items()}
        if b"\\u" in line:
            "".join(f"{name}{value}" for name, value in row.items()).encode()  # a lone surrogate is no text
    except ValueError:
        return None
    return row


class _Number(str):
    """A JSON number, digit by digit as it was written."""

    __slots__ = ()


def _text(value: Any) -> str | None:  # noqa: ANN401 - JSON
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)
    return _nested(value)


def _nested(value: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_nested(name)}:{_nested(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_nested(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _write(rows: dict[int, Row], names: dict[str, str], path: Path) -> None:
    """The rows as Parquet; `names` takes each key with the name it has in SQL, where case does not tell names apart."""
    for name in dict.fromkeys(name for row in rows.values() for name in row):
        if name not in names:
            names[name] = unique_names([*names.values(), name])[-1]
    columns = {names[name]: pa.array([row.get(name) for row in rows.values()], pa.string()) for name in names}
    pq.write_table(pa.table({"n$": pa.array(rows, pa.int64()), **columns}), path)
