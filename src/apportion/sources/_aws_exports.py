"""Which files of an AWS data export are current: only those the manifest of each billing period names.

An export writes `data/BILLING_PERIOD=2026-10/….parquet` and, last, the manifest
`metadata/BILLING_PERIOD=2026-10/<export>-Manifest.json` (with an execution folder between in exports that keep old
reports). Superseded executions and overwritten parts of zero bytes stay behind; the case of `BILLING_PERIOD` varies.

Source: AWS, "Understanding export delivery" (Data Exports user guide).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from apportion.errors import UnreadableFile
from apportion.sources._delivered import base, is_bill
from apportion.sources.intake.contract import Delivery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.sources.intake.place import Place

_MANIFEST = re.compile(
    r"(?i)(?P<export>(?:.*/)?)metadata/(?P<period>billing_period=[^/]+)/(?P<run>(?:[^/]+/)?)[^/]*-Manifest\.json"
)
_OTHER = re.compile(r"(?i)-Manifest-[^/]*\.json$")


def is_manifest(path: str) -> bool:
    """Whether a file is the manifest of one billing period of a data export.

    >>> is_manifest("e/metadata/billing_period=2026-10/e-Manifest.json"), is_manifest("e/data/part-0.parquet")
    (True, False)
    """
    return bool(_MANIFEST.fullmatch(path)) and not _OTHER.search(path)


def current(place: Place) -> Delivery:
    """The files that the manifests name, in the order of their paths; all other bills are left out.

    Raises `UnreadableFile` where a manifest is no manifest, or names a file that is not there.
    """
    files = place.files()
    chosen: set[str] = set()
    for manifest in _current_manifests([path for path in files if is_manifest(path)]):
        chosen.update(_located(name, manifest, files) for name in _named(place.text(manifest), manifest))
    left_out = tuple(
        (path, "no current manifest names it (superseded or overwritten)")
        for path in files
        if path not in chosen and is_bill(path) and "-manifest" not in base(path).lower()
    )
    return Delivery(tuple(path for path in files if path in chosen), left_out)


def _current_manifests(manifests: Sequence[str]) -> list[str]:
    """One manifest per export and period: the one of the period itself, else that of the newest execution."""
    by_period: dict[tuple[str, str], tuple[bool, str, str]] = {}
    for path in manifests:
        found = _MANIFEST.fullmatch(path)
        if found:
            key = (found["export"], found["period"].lower())
            by_period[key] = max(by_period.get(key, (False, "", "")), (not found["run"], found["run"], path))
    return sorted(path for _, _, path in by_period.values())


def _named(text: str, manifest: str) -> list[str]:
    try:
        names = json.loads(text)["dataFiles"]
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
    except (ValueError, KeyError, TypeError):
        pass
    raise UnreadableFile(
        file=manifest,
        what="is not the manifest of an AWS data export: it names no dataFiles.",
        fix="Copy the metadata folder again, or name the bills themselves as paths.",
    )


def _located(name: str, manifest: str, files: Sequence[str]) -> str:
    """The file that a manifest calls `s3://bucket/prefix/export/data/…`, wherever the export was copied."""
    tail = "/data/" + name.rpartition("/data/")[2] if "/data/" in name else "/" + base(name)
    export = manifest[: manifest.lower().rindex("metadata/billing_period=")]
    found = [path for path in files if path.startswith(export) and path.lower().endswith(tail.lower())]
    if found:
        return min(found, key=lambda path: (not path.endswith(tail), path))
    raise UnreadableFile(
        file=manifest,
        what=f"names {base(name)}, which is not there.",
        fix="Copy the data folder of the export again; AWS writes the manifest last, so the delivery was complete.",
    )
