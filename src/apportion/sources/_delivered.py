"""Which files of a place are bills by their names, for sources whose deliveries carry no manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.sources.intake.contract import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apportion.sources.intake.place import Place

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz", ".txt")
"""Ends of names of files that can be bills."""


def is_bill(path: str) -> bool:
    """Whether a file of that name can be a bill; a manifest and the description of our own export cannot.

    >>> is_bill("bills/part-0.csv.gz"), is_bill("bills/notes.md"), is_bill("bills/manifest.json")
    (True, False, False)
    """
    name = base(path).lower()
    return name.endswith(SUFFIXES) and name not in {"manifest.json", "focus-metadata.json"}


def base(path: str) -> str:
    """The name of a file without its folder.

    >>> base("s3://bucket/a/b.csv")
    'b.csv'
    """
    return path.rsplit("/", 1)[-1]


def folder(path: str) -> str:
    """The folder of a file, without the slash at its end.

    >>> folder("bills/2026/a.csv")
    'bills/2026'
    """
    return path.rsplit("/", 1)[0] if "/" in path else ""


def bills_in(place: Place) -> Delivery:
    """All files of the place that can be bills; the others are left out."""
    return split(place.files())


def split(paths: Iterable[str]) -> Delivery:
    """The paths that can be bills, in the given order, and the others with the reason."""
    given = tuple(paths)
    others = tuple((path, "its name is not that of a bill") for path in given if not is_bill(path))
    return Delivery(tuple(path for path in given if is_bill(path)), others)
