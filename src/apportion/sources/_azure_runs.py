"""Which files of an Azure export are current: each run writes the month again, the newest complete run holds.

Exports write `{path}/{export}/{first day}-{last day}/[{time}/]{run id}/` with the parts of the run and a
`manifest.json` that lists them.

Source: Microsoft Learn, "Create and manage Cost Management exports", section on file partitioning.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apportion.errors import UnreadableFile
from apportion.sources._delivered import base, folder, is_bill, split
from apportion.sources.intake.contract import Delivery

if TYPE_CHECKING:
    from apportion.sources.intake.place import Place

_PERIOD_FOLDER = re.compile(r".*/\d{8}-\d{8}(?=/)")
_RUN_FILE = re.compile(r"_[0-9a-f]{8}-[0-9a-f-]{27}\.csv(\.gz)?$", re.IGNORECASE)
_SAME_MONEY = {"Usage": "ActualCost"}
"""An export of usage only holds actual cost, without purchases."""
_OTHER_KINDS = {
    "ActualCost": 'holds actual cost (cost = "actual")',
    "AmortizedCost": 'holds amortised cost (cost = "amortized")',
    "FocusCost": 'holds FOCUS columns (kind = "focus")',
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of an export. `period` is the same for all runs of one export and month; `submitted` is ISO 8601 text."""

    manifest: str
    period: tuple[str, str]
    kind: str
    submitted: str
    parts: tuple[str, ...]
    missing: tuple[str, ...]


def current(place: Place, *, wanted: str) -> Delivery:
    """The parts of the newest complete run of each export and month; `wanted` is `ActualCost` or `AmortizedCost`.

    A place without manifests gives all its bills. Raises `UnreadableFile` where a manifest is no manifest, where no run
    of a month is complete, or where several runs of a month lie together and nothing says which is the newest.
    """
    files = place.files()
    manifests = [path for path in files if base(path).lower() == "manifest.json"]
    if not manifests:
        _refuse_runs_in_a_heap(files)
        return split(files)
    known = frozenset(files)
    runs = [_run(place, manifest, known) for manifest in manifests]
    newest = _newest([run for run in runs if run.kind == wanted])
    chosen = {path for run in newest for path in run.parts}
    reasons = _reasons(runs, newest, wanted)
    left_out = tuple(
        (path, reasons.get(path, "no manifest lists it"))
        for path in files
        if path not in chosen and (is_bill(path) or path in reasons)
    )
    return Delivery(tuple(path for path in files if path in chosen), left_out)


def _run(place: Place, manifest: str, known: frozenset[str]) -> Run:
    said = _decoded(place.text(manifest), manifest)
    about, config = said.get("runInfo") or {}, said.get("exportConfig") or {}
    kind = str(config.get("type") or "ActualCost")
    parts: list[str] = []
    missing: list[str] = []
    for blob in said["blobs"]:
        # blob names start at the container, the copy may not; a run's parts lie beside its manifest
        path = f"{folder(manifest)}/{base(blob['blobName'].strip())}"
        (parts if path in known else missing).append(path)
    month_folder = _PERIOD_FOLDER.match(manifest)
    export = str(config.get("resourceId") or config.get("exportName") or folder(folder(manifest)))
    period = ("", month_folder.group()) if month_folder else (export, str(about.get("startDate", ""))[:10])
    submitted = str(about.get("submittedTime", "")).rstrip("Z")
    return Run(manifest, period, _SAME_MONEY.get(kind, kind), submitted, tuple(parts), tuple(missing))


def _decoded(text: str, manifest: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
        if all(isinstance(blob["blobName"], str) for blob in said["blobs"]):
            return dict(said)
    except (ValueError, KeyError, TypeError):
        pass
    raise UnreadableFile(
        file=manifest,
        what="is not the manifest of an Azure export: it lists no blobs.",
        fix="Copy the export folder again, or name the bills themselves as paths.",
    )


def _newest(runs: list[Run]) -> list[Run]:
    by_period: dict[tuple[str, str], list[Run]] = {}
    for run in sorted(runs, key=lambda each: (each.submitted, each.manifest), reverse=True):
        by_period.setdefault(run.period, []).append(run)
    return [_complete(runs_of_period) for runs_of_period in by_period.values()]


def _complete(newest_first: list[Run]) -> Run:
    found = next((run for run in newest_first if not run.missing), None)
    if found is not None:
        return found
    run = newest_first[0]
    raise UnreadableFile(
        file=run.manifest,
        what=f"lists {base(run.missing[0])}, which is not there, and no other run of the month is complete.",
        fix="Copy the whole folder of the run.",
    )


def _reasons(runs: list[Run], newest: list[Run], wanted: str) -> dict[str, str]:
    reasons: dict[str, str] = {}
    holders = {run.period: run for run in newest}
    for run in runs:
        if run.kind != wanted:
            reason = f"its export {_OTHER_KINDS.get(run.kind, f'holds {run.kind}, no charges')}"
        elif run is holders[run.period]:
            continue
        elif run.missing:
            reason = f"its run is not complete: {base(run.missing[0])} is not there"
        else:
            reason = f"a newer run holds: {folder(holders[run.period].manifest)}"
        reasons |= dict.fromkeys(run.parts or (run.manifest,), reason)
    return reasons


def _refuse_runs_in_a_heap(files: list[str]) -> None:
    seen: dict[str, str] = {}
    for path in files:
        if not (_PERIOD_FOLDER.match(path) and _RUN_FILE.search(path)):
            continue
        if folder(path) in seen:
            raise UnreadableFile(
                file=folder(path),
                what=f"holds several runs of one month ({base(seen[folder(path)])}, {base(path)}) and no manifest, "
                "and each run holds the whole month.",
                fix="Keep the newest file only, or turn on file partitioning in the export: it writes a manifest.",
            )
        seen[folder(path)] = path
