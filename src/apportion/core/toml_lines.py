"""On which line of a TOML text a key stands: `tomllib` does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

Path = Sequence[str | int]
"""Keys from the top of the document; an integer is the place in an array of tables, from 0."""

_HEADER = re.compile(r"^\s*(\[\[|\[)\s*(?P<name>.+?)\s*\]{1,2}\s*(#.*)?$")
_BARE_OR_QUOTED = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_KEY = re.compile(rf"^\s*(?P<key>{_BARE_OR_QUOTED}(?:\s*\.\s*{_BARE_OR_QUOTED})*)\s*=")


def line_of(text: str, path: Path) -> int | None:
    r"""The line, from 1, of the deepest key of the path that stands at the start of a line; None if nothing does.

    >>> line_of('[project]\nname = "a"\n[[rules]]\nid = "x"\n', ("rules", 0, "id"))
    4
    >>> line_of('[project]\nname = "a"\n', ("project", "colour"))
    1
    """
    places = _places(text)
    wanted = list(path)
    while wanted:
        if (line := places.get(tuple(wanted))) is not None:
            return line
        wanted.pop()
    return None


def _places(text: str) -> dict[tuple[str | int, ...], int]:
    places: dict[tuple[str | int, ...], int] = {}
    counts: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _table(header, counts)
            places.setdefault(table, number)
        elif key := _KEY.match(line):
            places.setdefault((*table, *_names(key["key"])), number)
    return places


def _table(header: re.Match[str], counts: dict[tuple[str | int, ...], int]) -> tuple[str | int, ...]:
    found: tuple[str | int, ...] = ()
    names = _names(header["name"])
    for depth, name in enumerate(names, 1):
        found = (*found, name)
        if depth == len(names) and header[1] == "[[":
            counts[found] = counts.get(found, -1) + 1
        if found in counts:
            found = (*found, counts[found])
    return found


def _names(dotted: str) -> tuple[str, ...]:
    """The parts of a dotted key, unquoted.

    >>> _names('maps."a.b".c')
    ('maps', 'a.b', 'c')
    """
    try:
        found = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return (dotted,)
    names = []
    while isinstance(found, dict):
        ((name, found),) = found.items()
        names.append(name)
    return tuple(names)
