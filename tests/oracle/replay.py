"""Replays cases of independent oracles through the product: `python -m tests.oracle.replay FILE [FILE …]`.

A file holds `cases` (and `transcribed_cases`, `datasets`) in one of two forms: with `kind` and `inputs`, or with
`group` and `input`. Each case is printed with what it expects, what came out and what that means. The exit status is 0
where every case passed or is not applicable for a stated reason, 1 where one failed or could not be run (so also for a
kind or an expectation that nobody here knows, a case that expects nothing, and a file without cases), and 2 for a file
that cannot be read.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.oracle import finops, opencost, prices, shared_cost, sharing
from tests.oracle.applicable import NOT_APPLICABLE
from tests.oracle.book import Scene, settled
from tests.oracle.judging import expected, flat, judged, shown
from tests.oracle.plan import NotApplicable, StrangeShape
from tests.oracle.seen import Seen

from apportion.errors import ApportionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.oracle.book import Keys, Settings
    from tests.oracle.plan import Answer, Case, Plan

PASSED, FAILED, NOT_RUN, SKIPPED = "pass", "FAIL", "NOT RUN", "not applicable"
DIMENSIONS = ("team", "project", "model", "environment")
_STRANGE = (StrangeShape, KeyError, ValueError, TypeError, AttributeError, ArithmeticError)
"""What a case of an unknown form may run into while it is planned."""


class Unreadable(Exception):
    """The file is no oracle; the text says why."""


@dataclass
class Entry:
    """One case and what became of it."""

    file: str
    case: Case
    plan: Plan | None = None
    got: Answer = field(default_factory=dict)
    outcome: str = ""
    why: tuple[str, ...] = ()


def replayed(files: Sequence[Path]) -> list[Entry]:
    """Every case of the files, in their order, judged. Raises `Unreadable`."""
    entries: list[Entry] = []
    tags: dict[str, str] = {}
    for file in files:
        document = _document(file)
        cases = [*document.get("cases", []), *document.get("transcribed_cases", [])]
        _tags(cases, tags)
        for case in cases:
            entry = Entry(str(file), case)
            entries.append(entry)
            _plan(entry, Scene(len(entries)), document.get("datasets", {}), tags)
    _settle(entries, tags)
    return entries


def _document(file: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8"), parse_float=Decimal)
    except (OSError, ValueError) as error:
        raise Unreadable(f"{file}: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("cases"), list):
        raise Unreadable(f"{file}: it holds no list `cases`")
    return document


def _tags(cases: Sequence[Case], tags: dict[str, str]) -> None:
    """The labels that cases sum by, each told by one dimension of the tag room, as long as there are dimensions."""
    for case in cases:
        for by in case.get("aggregate_by", []) if isinstance(case, dict) else []:
            if by.startswith("label:") and by not in tags and len(tags) < len(DIMENSIONS):
                tags[by] = DIMENSIONS[len(tags)]


def _plan(entry: Entry, scene: Scene, datasets: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    try:
        entry.plan = _planned(entry.case, scene, datasets, tags)
    except NotApplicable as reason:
        entry.outcome, entry.why = SKIPPED, (str(reason),)
    except _STRANGE as error:
        entry.outcome, entry.why = NOT_RUN, (f"{type(error).__name__}: {error}",)


def _planned(case: Case, scene: Scene, datasets: Mapping[str, Any], tags: Mapping[str, str]) -> Plan:
    kind = case.get("kind", case.get("group"))
    if "aggregate_by" in case:
        return sharing.planned(case, scene, datasets, tags)
    if kind in NOT_APPLICABLE:
        raise NotApplicable(NOT_APPLICABLE[kind])
    planner = {**finops.KINDS, **shared_cost.KINDS, **opencost.GROUPS, **prices.GROUPS}.get(kind)
    if planner is None:
        raise StrangeShape(f"nobody here knows the kind '{kind}'")
    return planner(case, scene)


def _settle(entries: Sequence[Entry], tags: Mapping[str, str]) -> None:
    """Runs all scenes, once for each of the settings that any of them needs, and judges."""
    planned = [(entry, entry.plan) for entry in entries if entry.plan is not None]
    keys = tuple((dimension, (label.removeprefix("label:"),)) for label, dimension in tags.items())
    needed = sorted({settings for _, plan in planned for settings in plan.settings})
    seen: dict[Settings, Mapping[int, Seen | ApportionError]] = {}
    for settings in needed:
        seen[settings] = _seen([plan.scene for _, plan in planned if settings in plan.settings], settings, keys)
    for entry, plan in planned:
        found = {settings: seen[settings][plan.scene.no] for settings in plan.settings}
        refused = [str(each) for each in found.values() if isinstance(each, ApportionError)]
        if refused:
            entry.outcome, entry.why = FAILED, tuple(refused)
        else:
            _judge(entry, plan, {s: each for s, each in found.items() if isinstance(each, Seen)})


def _seen(scenes: Sequence[Scene], settings: Settings, keys: Keys) -> Mapping[int, Seen | ApportionError]:
    """What each scene gave; where the product refuses them together, each alone, and those it refuses with why."""
    try:
        return settled(scenes, settings, keys)
    except ApportionError as error:
        if len(scenes) == 1:
            return {scenes[0].no: error}
        return {no: each for scene in scenes for no, each in _seen([scene], settings, keys).items()}


def _judge(entry: Entry, plan: Plan, seen: Mapping[Settings, Seen]) -> None:
    try:
        entry.got = plan.answer(seen)
        verdict = judged(entry.case, entry.got, closed=plan.closed)
    except _STRANGE as error:
        entry.outcome, entry.why = NOT_RUN, (f"{type(error).__name__}: {error}",)
        return
    if verdict.faults and plan.differs:
        entry.outcome, entry.why = SKIPPED, (plan.differs,)
        return
    refused = () if "error" in entry.got else sorted({fault for each in seen.values() for fault in each.faults})
    entry.outcome = FAILED if verdict.faults or refused else PASSED
    entry.why = (*verdict.faults, *refused, *verdict.remarks)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _print(entries: Sequence[Entry]) -> None:
    for entry in entries:
        case = entry.case if isinstance(entry.case, dict) else {}
        _say(f"{entry.outcome:<15}{case.get('id', '?')}  ({case.get('kind', case.get('group', 'no kind'))})")
        if entry.outcome in (PASSED, FAILED) or (entry.outcome == SKIPPED and entry.got):
            wanted = expected(case)
            _say(f"{'':15}expected  {shown(wanted)}")
            _say(f"{'':15}got       {shown(_in_order(wanted, flat(dict(entry.got))))}")
        for reason in entry.why:
            _say(f"{'':15}{reason}")


def _in_order(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> dict[str, Any]:
    """What came out, first the figures that were expected, in their order."""
    return {name: got[name] for name in (*(name for name in wanted if name in got), *got)}


def _summary(name: str, entries: Sequence[Entry]) -> str:
    count = Counter(entry.outcome for entry in entries)
    ran = count[PASSED] + count[FAILED]
    return (
        f"{name}: {len(entries)} cases, {ran} run: {count[PASSED]} passed, {count[FAILED]} failed;"
        f" {count[SKIPPED]} not applicable, {count[NOT_RUN]} not run"
    )


def main(arguments: Sequence[str]) -> int:
    """Prints every case and a line per file; gives the exit status."""
    if not arguments:
        sys.stderr.write("Usage: python -m tests.oracle.replay FILE [FILE ...]\n")
        return 2
    try:
        entries = replayed([Path(name) for name in arguments])
    except Unreadable as error:
        sys.stderr.write(f"{error}\n")
        return 2
    _print(entries)
    status = 0
    for name in dict.fromkeys(arguments):
        of_file = [entry for entry in entries if entry.file == str(Path(name))]
        _say(_summary(name, of_file))
        if not of_file:
            _say(f"{name}: it holds no case, so nothing was checked")
        if not of_file or any(entry.outcome in (FAILED, NOT_RUN) for entry in of_file):
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
