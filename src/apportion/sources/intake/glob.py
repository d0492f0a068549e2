"""Which of the names below a folder a pattern means, the same for disks and object stores."""

from __future__ import annotations

import re

_MAGIC = re.compile(r"[*?\[]")
_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[[!^]?\]?[^]/]*\]|.", re.DOTALL)
_RANGE = re.compile(r".-.|.", re.DOTALL)
_MEANING = {"**/": r"(?:[^/]+/)*", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}


def split(path: str) -> tuple[str, str]:
    """The folder before the first wildcard, and the rest; the rest is empty where the path has no wildcard.

    >>> split("s3://bills/cur/**/*.parquet"), split("bills/2026-10.csv")
    (('s3://bills/cur', '**/*.parquet'), ('bills/2026-10.csv', ''))
    """
    found = _MAGIC.search(path)
    if not found:
        return path, ""
    folder, _, _ = path[: found.start()].rpartition("/")
    return folder, path[len(folder) :].lstrip("/")


def matcher(pattern: str) -> re.Pattern[str]:
    """A pattern for `fullmatch` on names below the folder: `*`, `?` and `[a-z]` within one level, `**` over levels.

    >>> [bool(matcher("**/*.csv").fullmatch(name)) for name in ("a.csv", "x/y/a.csv", "a.csv.gz")]
    [True, True, False]
    """
    return re.compile("".join(_meaning(token) for token in _TOKEN.findall(pattern)), re.DOTALL)


def _meaning(token: str) -> str:
    if token in _MEANING:
        return _MEANING[token]
    if len(token) == 1:
        return re.escape(token)
    negated = token[1] in "!^"
    chosen = token[2:-1] if negated else token[1:-1]
    members = "".join(_member(part) for part in _RANGE.findall(chosen))
    if not members:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{members}]"


def _member(part: str) -> str:
    """A character or a range in a class; a range from high to low holds nothing."""
    if len(part) == 1:
        return re.escape(part)
    low, high = part[0], part[-1]
    return f"{re.escape(low)}-{re.escape(high)}" if low <= high else ""


def hidden(name: str) -> bool:
    """Whether a name below a folder is no delivery: a part that starts with `.` or `_`, as Spark and Hive read folders.

    >>> hidden("2026/_SUCCESS"), hidden("_temporary/0/part-0.parquet"), hidden("2026/bill_1.csv")
    (True, True, False)
    """
    return any(part.startswith((".", "_")) or part in _SYSTEM_FILES for part in name.split("/"))


_SYSTEM_FILES = frozenset({"Thumbs.db", "desktop.ini"})
