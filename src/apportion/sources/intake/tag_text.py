"""Tags as providers write them, to one canonical map: keys verbatim and sorted, a tag without a value holds `true`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class ParsedTags:
    """The tags of one text. `unreadable`: nothing could be read; `duplicate`: a key came twice, the first was kept."""

    pairs: tuple[tuple[str, str], ...] = ()
    unreadable: bool = False
    duplicate: bool = False

    @property
    def canonical(self) -> str:
        """The pairs as compact JSON: equal tags, equal text."""
        return json.dumps(dict(self.pairs), ensure_ascii=False, separators=(",", ":"))


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its keys in order, repeated ones included."""


def parse(text: str) -> ParsedTags:
    """The tags in a JSON object, a JSON array of key/value structs, or `"k": "v","k2": "v2"` without braces (Azure EA).

    >>> parse('{"team": "search", "gpu": null}').pairs
    (('gpu', 'true'), ('team', 'search'))
    >>> parse('[{"key": "team", "value": "ads"}]').pairs, parse('"a": "1","a": "2"').duplicate
    ((('team', 'ads'),), True)
    """
    for candidate in (text, "{" + text + "}"):
        try:
            pairs = list(_pairs(_decoded(candidate)))
        except ValueError:
            continue
        first: dict[str, str] = {}
        for key, value in pairs:
            first.setdefault(key, value)
        return ParsedTags(tuple(sorted(first.items())), duplicate=len(first) < len(pairs))
    return ParsedTags(unreadable=True)


def _decoded(text: str) -> Any:  # noqa: ANN401 - JSON
    decoded = json.loads(text, object_pairs_hook=_Pairs, parse_float=str, parse_int=str)
    text.encode()
    return decoded


def _pairs(decoded: Any) -> Iterable[tuple[str, str]]:  # noqa: ANN401 - JSON
    if isinstance(decoded, _Pairs):
        return [(key, _value(value)) for key, value in decoded]
    if isinstance(decoded, list):
        return [_struct(item) for item in decoded]
    raise ValueError("neither an object nor an array")


def _struct(item: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON
    fields = {name.lower(): value for name, value in item} if isinstance(item, _Pairs) else {}
    if not isinstance(fields.get("key"), str):
        raise ValueError("not a key/value struct")  # noqa: TRY004 - the text is wrong, not a type
    return fields["key"], _value(fields.get("value"))


def _value(value: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return _sound(value)
    if value is None:
        return "true"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _sound(json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":")))


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, _Pairs):
        return {key: _plain(item) for key, item in value}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _sound(text: str) -> str:
    text.encode()  # a lone surrogate (\ud800) is no text; UnicodeEncodeError is a ValueError
    return text
