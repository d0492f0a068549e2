"""Which files of Cost and Usage Reports are current: only those the manifest of each billing period names.

A report writes `<prefix>/<report>/20261001-20261101/<report>-Manifest.json`; its `reportKeys` name the files, in the
folder of the period, in one folder per version below it (`<assemblyId>/…`), or, for Athena, in
`<report>/year=2026/month=10/`. Versions that are no longer current stay behind.

CUR 2.0 is a data export and is found by its own manifests.

Source: AWS, "Understanding your report versions" (Cost and Usage Reports user guide).
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from apportion.errors import UnreadableFile
from apportion.sources import _aws_exports
from apportion.sources._delivered import base, folder, is_bill
from apportion.sources.intake.contract import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from apportion.sources.intake.place import Place

_MANIFEST = re.compile(r"(?P<period>(?:.*/)?\d{8}-\d{8}/)(?P<version>(?:[^/]+/)?)[^/]+-Manifest\.json")
# from here on a key names its file wherever the report was copied
_TAIL = re.compile(r"(?:\d{8}-\d{8}|year=\d+)/.*")
_SUPERSEDED = "no current manifest names it (superseded or overwritten)"


def current(place: Place) -> Delivery:
    """The files that the manifests of a folder name, in the order of their paths; all other bills are left out.

    A file, or the files of a pattern, are taken as they are named. Raises `UnreadableFile` where a folder has no
    manifest, a manifest is none, or it names a file that is not there.
    """
    files = place.files()
    if place.name is not None or place.pattern is not None:
        return _split(files, {path for path in files if _can_be_bill(path)}, "its name is not that of a bill")
    chosen = set(_of_exports(place, files)) | set(_of_reports(place, files))
    if not chosen and not any(map(_is_manifest, files)):
        raise UnreadableFile(
            file=place.url,
            what="the folder holds no manifest (…-Manifest.json), so its current files cannot be told from old ones.",
            fix="Copy the manifests too, or name the current files themselves as paths.",
        )
    return _split([path for path in files if _can_be_bill(path)], chosen, _SUPERSEDED)


def _split(files: Sequence[str], chosen: set[str], reason: str) -> Delivery:
    return Delivery(
        tuple(path for path in files if path in chosen), tuple((path, reason) for path in files if path not in chosen)
    )


def _can_be_bill(path: str) -> bool:
    return (is_bill(path) or path.endswith(".zip")) and "manifest" not in base(path).lower()


def _is_manifest(path: str) -> bool:
    return bool(_MANIFEST.fullmatch(path)) or _aws_exports.is_manifest(path)


def _of_exports(place: Place, files: Sequence[str]) -> tuple[str, ...]:
    return _aws_exports.current(place).files if any(map(_aws_exports.is_manifest, files)) else ()


def _of_reports(place: Place, files: Sequence[str]) -> Iterator[str]:
    for manifest in _current_manifests(files):
        for key in _report_keys(place.text(manifest), manifest):
            yield _located(key, manifest, files)


def _current_manifests(files: Sequence[str]) -> list[str]:
    """The manifest of each period: the one in its folder; AWS puts a copy into the folder of each version."""
    by_period: dict[str, list[tuple[str, str]]] = {}
    for path in files:
        if found := _MANIFEST.fullmatch(path):
            by_period.setdefault(found["period"], []).append((found["version"], path))
    return [_deciding(period, sorted(manifests)) for period, manifests in sorted(by_period.items())]


def _deciding(period: str, manifests: list[tuple[str, str]]) -> str:
    version, path = manifests[0]
    if version and len(manifests) > 1:  # an assembly id says nothing about its age
        raise UnreadableFile(
            file=period.rstrip("/"),
            what=f"holds {len(manifests)} versions of the report and no manifest that says which one is current.",
            fix="Copy the manifest in the folder of the period too, or only the current version.",
        )
    return path


def _report_keys(text: str, manifest: str) -> list[str]:
    try:
        keys = json.loads(text)["reportKeys"]
        if isinstance(keys, list) and all(isinstance(key, str) for key in keys):
            return keys
    except (ValueError, KeyError, TypeError):
        pass
    raise UnreadableFile(
        file=manifest,
        what="is not the manifest of a Cost and Usage Report: it names no reportKeys.",
        fix="Copy the report again, or name the bills themselves as paths.",
    )


def _located(key: str, manifest: str, files: Sequence[str]) -> str:
    """The file a key of the bucket means: packed or unpacked, in the report as copied or beside the manifest."""
    found = _TAIL.search(key)
    wanted = f"/{found[0]}" if found else f"/{base(key)}"
    beside = f"{folder(manifest)}/{base(key)}"
    candidates = [path for path in files if _bare(path).endswith(_bare(wanted)) or _bare(path) == _bare(beside)]
    if candidates:
        return max(candidates, key=lambda path: (len(os.path.commonpath([path, manifest])), _is_as_named(path, key)))
    raise UnreadableFile(
        file=manifest,
        what=f"names {base(key)}, which is not there.",
        fix="Copy the files of the report again; AWS writes the manifest last, so the delivery was complete.",
    )


def _is_as_named(path: str, key: str) -> bool:
    return base(path) == base(key)


def _bare(path: str) -> str:
    return path.removesuffix(".gz").removesuffix(".zip")
