"""JSON and YAML from strangers, read without executing, guessing or expanding anything.

Refused with the place: aliases and anchors (a few lines of them fill any memory), a key that stands twice (readers
disagree on which counts), nesting beyond `DEEPEST`, files beyond the size limits. YAML scalars stay text: `no` is "no".
"""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from apportion.errors import UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LARGEST_JSON = 256 * 2**20
LARGEST_YAML = 8 * 2**20
"""Bytes; the YAML reader is slow and hand-written files are small."""
DEEPEST = 100

Node = Any
"""A parsed value: dict, list, text, JSON scalar, or `Tagged`."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A YAML value with a tag of its own, such as `!Ref Team`: what it stands for is not known here."""

    tag: str
    value: Node


class Table(dict[str, Node]):
    """A YAML mapping that knows its lines: `line` of the mapping, `lines` of its keys, from 1."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


def read_documents(path: Path) -> list[Node]:
    """The documents of a JSON file (one) or YAML file (any number), by its name; raises `UnreadableFile`."""
    is_json = path.suffix.lower() == ".json"
    text = _text(path, LARGEST_JSON if is_json else LARGEST_YAML)
    try:
        return [parse_json(text)] if is_json else list(parse_yaml(text))
    except _Refused as refused:
        raise UnreadableFile(file=str(path), what=refused.what, fix=refused.fix) from refused


class _Refused(ValueError):
    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


def _text(path: Path, largest: int) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})."
        raise UnreadableFile(file=str(path), what=what, fix="Check the path and its permissions.") from error
    if len(content) > largest:
        what = f"is larger than {largest // 2**20} MiB."
        raise UnreadableFile(file=str(path), what=what, fix="Check the parts of it one by one.")
    # Windows PowerShell's `>` writes UTF-16.
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableFile(file=str(path), what="is not UTF-8 text.", fix="Save it as UTF-8.") from error


def parse_json(text: str) -> Node:
    """The one value of a JSON text; raises a ValueError with `what` and `fix`."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_float=str, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _Refused(f"is not JSON ({error.msg}, line {error.lineno}).", "Write the file anew.") from error
    except RecursionError as error:
        raise _Refused("is nested too deeply.", "Write the file anew.") from error


def _unique(pairs: list[tuple[str, Node]]) -> dict[str, Node]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for place, key in enumerate(keys) if key in keys[:place])
        raise _Refused(f"has the key '{twice[:80]}' twice in one object.", "Remove one of them.")
    return table


def _no_constant(word: str) -> Node:
    raise _Refused(f"has {word}, which is not JSON.", "Write the file anew.")


def parse_yaml(text: str) -> Iterator[Node]:
    """The documents of a YAML text, empty ones left out; raises a ValueError with `what` and `fix`."""
    events = yaml.parse(text, Loader=yaml.SafeLoader)
    try:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                document = _document(events)
                if document not in ("", None):
                    yield document
    except yaml.YAMLError as error:
        raise _Refused(f"is not YAML ({_problem(error)}).", "Mend it there; render templates first.") from error


def _problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{said}, line {mark.line + 1}" if mark else said


class _Frame:
    """A mapping or sequence being filled; `key` is the mapping's key that waits for its value."""

    __slots__ = ("key", "tag", "value")

    def __init__(self, value: Table | list[Node], tag: str | None) -> None:
        self.value = value
        self.tag = tag
        self.key: str | None = None

    def put(self, node: Node, line: int) -> None:
        if isinstance(self.value, list):
            self.value.append(node)
        elif self.key is None:
            self.key = self._new_key(node, line)
            self.value.lines[self.key] = line
        else:
            self.value[self.key] = node
            self.key = None

    def _new_key(self, node: Node, line: int) -> str:
        if not isinstance(node, str):
            raise _Refused(f"has a key that is not text, line {line}.", "Write a plain key.")
        if node in self.value:
            raise _Refused(f"has the key '{node[:80]}' twice in one mapping, line {line}.", "Remove one of them.")
        return node


def _document(events: Iterator[yaml.Event]) -> Node:
    """One document built from its events, without recursion: however deep the text is, the stack stays flat."""
    frames: list[_Frame] = []
    for event in events:
        line = event.start_mark.line + 1
        if getattr(event, "anchor", None) is not None:
            raise _Refused(f"has an anchor or alias, line {line}.", "Write the value out in both places.")
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = _tagged(event.tag, event.value)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(frames) == DEEPEST:
                raise _Refused(f"is nested more than {DEEPEST} deep, line {line}.", "Write it flatter.")
            frames.append(_Frame(Table(line) if isinstance(event, yaml.MappingStartEvent) else [], event.tag))
            continue
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            frame = frames.pop()
            node = _tagged(frame.tag, frame.value)
        else:
            return None
        if not frames:
            return node
        frames[-1].put(node, line)
    return None


def _tagged(tag: str | None, value: Node) -> Node:
    return Tagged(tag, value) if tag is not None and tag.startswith("!") and tag != "!" else value


def whole_letters(text: str) -> str:
    r"""The text without half letters: escapes of a pair become their letter, a lone half the sign for none.

    >>> whole_letters("\ud83d\ude80 \ud800") == "\U0001f680 \ufffd"
    True
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def line_of(table: Mapping[str, Node], key: str) -> int | None:
    """The line of a key, where the file was YAML and has it; else of the mapping; None for JSON."""
    return table.lines.get(key, table.line) if isinstance(table, Table) else None
