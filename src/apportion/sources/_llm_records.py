"""The records of an LLM usage file, one at a time: JSON lines, one document, an array, documents in a row, or CSV.

Bedrock writes documents in a row into files named `.json.gz`, and a day of spend logs may be one array: neither is ever
held whole.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

from apportion.errors import UnreadableFile
from apportion.sources.readings.answers import answers, opened_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from apportion.sources.readings.contract import RawFile

LARGEST_DOCUMENT = 512 * 1024 * 1024
"""Characters of one document."""
_CHUNK = 1 << 16
_LONGEST_FIELD = 1 << 30
_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=lambda _: None)


@dataclass(frozen=True, slots=True)
class Record:
    """One document or row: `row` counts lines, documents or elements from 1; `params` are of the request it answers."""

    row: int
    value: Any
    params: Mapping[str, Any] = field(default_factory=dict)


def records(file: RawFile) -> Iterator[Record]:
    """The records of a file in order; the elements of an array are records.

    Raises `UnreadableFile` where the text is no JSON or a CSV file is damaged.
    """
    name = file.name.removesuffix(".gz")
    if name.endswith(".csv"):
        yield from _rows(file)
    elif name.endswith((".jsonl", ".ndjson")):
        for answer in answers(file):
            yield from _elements(answer.row, answer.body, answer.params)
    else:
        with opened_text(file) as stream:
            for row, value in enumerate(_Documents(file.name, stream), 1):
                yield Record(row, value)


def _elements(row: int, body: object, params: Mapping[str, Any]) -> Iterator[Record]:
    for value in body if isinstance(body, list) else [body]:
        yield Record(row, value, params)


def _rows(file: RawFile) -> Iterator[Record]:
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        with opened_text(file) as stream:
            for row, value in enumerate(csv.DictReader(stream, strict=True), 1):
                yield Record(row, value)
    except csv.Error as error:
        raise UnreadableFile(file=file.name, what=f"is no CSV: {error}.", fix="Export it again, whole.") from error
    finally:
        csv.field_size_limit(before)


class _Documents:
    """The JSON documents of a stream, or the elements of the one array that it is."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self._name = name
        self._stream = stream
        self._text = ""
        self._at = 0
        self._count = 0

    def __iter__(self) -> Iterator[Any]:
        array = self._next_character() == "["
        if array:
            self._at += 1
        while character := self._next_character():
            if array and character == "]":
                break
            if array and self._count:
                self._comma(character)
            self._count += 1
            yield self._document()
        else:
            if array:
                raise self._fault("ends before its array does")
            return
        self._at += 1
        if self._next_character():
            raise self._fault("goes on after its array")

    def _comma(self, character: str) -> None:
        if character != ",":
            raise self._fault("has no comma between two elements")
        self._at += 1
        self._next_character()

    def _next_character(self) -> str:
        """The next character that is no white space, at `_at`; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at].isspace():
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(_CHUNK):
                return ""

    def _document(self) -> object:
        size = _CHUNK
        while True:
            try:
                value, self._at = _DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                # the rest of it may not be read yet; doubling keeps the work linear
                if len(self._text) > LARGEST_DOCUMENT or not self._more(size):
                    raise self._fault("is no JSON") from error
                size *= 2
            else:
                return value

    def _more(self, size: int) -> bool:
        read = self._stream.read(size)
        self._text, self._at = self._text[self._at :] + read, 0
        return bool(read)

    def _fault(self, what: str) -> UnreadableFile:
        return UnreadableFile(
            file=self._name, what=f"document {self._count} {what}.", fix="Fetch or export it again, whole."
        )
