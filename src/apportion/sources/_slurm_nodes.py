"""Slurm's lists of nodes, and what nodes have to give (`scontrol show node`)."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING

from apportion.core.measures import Basis, Measure
from apportion.sources._slurm_jobs import CPUS, MEMORY, gpus
from apportion.sources._slurm_units import BadText, local_time, tres_counts, zoned_time
from apportion.sources.readings.contract import Fault, Resource, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from zoneinfo import ZoneInfo

MOST_NODES = 100_000
"""So many nodes one list may name."""

_ITEM = re.compile(r"(?:[^,\[\]]|\[[^\]]*\])+")
_PART = re.compile(r"\[([^\]]*)\]|([^\[\]]+)")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_FIELD = re.compile(r"(?:^|\s)(NodeName|BootTime|CfgTRES|State)=(\S*)")
_READ_AT = re.compile(r"(?m)^ReadAt=(\S+)")
_MARKS = "*~#!%$@^-"
"""What scontrol puts behind a state."""
_GONE = ("DOWN", "POWERED_DOWN", "POWERING_DOWN", "FUTURE", "UNKNOWN")


def expanded(text: str) -> list[str]:
    """The nodes of a list in Slurm's short form, in order; raises `BadText` where it is none.

    >>> expanded("n[01-03,07],gpu1")
    ['n01', 'n02', 'n03', 'n07', 'gpu1']
    >>> expanded("r[1-2]n[1-2]")
    ['r1n1', 'r1n2', 'r2n1', 'r2n2']
    """
    items = _ITEM.findall(text)
    if ",".join(items) != text or not items:
        raise BadText(text)
    nodes: list[str] = []
    for item in items:
        parts = [_numbers(inner) if inner or not plain else [plain] for inner, plain in _PART.findall(item)]
        nodes += ["".join(chosen) for chosen in product(*parts)]
        if len(nodes) > MOST_NODES:
            raise BadText(text)
    return nodes


def _numbers(text: str) -> list[str]:
    found: list[str] = []
    for piece in text.split(","):
        match = _RANGE.fullmatch(piece)
        if not match:
            raise BadText(text)
        first, last = match[1], match[2] or match[1]
        if not 0 <= int(last) - int(first) < MOST_NODES:
            raise BadText(text)
        found += [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    return found


def capacity(text: str, cluster: str, zone: ZoneInfo | None, read_at: datetime | None) -> Iterator[Sample | Fault]:
    """What each node of `scontrol show node` has to give, from its boot until the text was read.

    When that was says a line `ReadAt=2026-11-24T12:00:00Z`, else `read_at`. A node that is down gives nothing and is a
    doubt. `row` counts nodes from 1.
    """
    said = _READ_AT.search(text)
    try:
        until = zoned_time(said[1]) if said else read_at
    except BadText:
        until = None
    blocks = re.split(r"(?m)^(?=NodeName=)", text)[1:]
    if until is None:
        yield Fault(
            code="slurm_nodes_undated",
            row=1,
            column="ReadAt",
            example=said[1] if said else "",
            what="The list of nodes does not say when it was read.",
            fix="Begin the file with: date -u +ReadAt=%FT%TZ (or set the option read_at).",
        )
        return
    for row, block in enumerate(blocks, 1):
        yield from _node(row, dict(_FIELD.findall(block)), cluster, zone=zone, until=until)


def _before(until: datetime, boot: str, zone: ZoneInfo | None) -> datetime:
    start = local_time(boot, zone)
    if start >= until:
        raise BadText(boot)
    return start


def _node(
    row: int, fields: dict[str, str], cluster: str, *, zone: ZoneInfo | None, until: datetime
) -> Iterator[Sample | Fault]:
    name, state, boot = fields["NodeName"], fields.get("State", ""), fields.get("BootTime", "")
    if any(word.rstrip(_MARKS) in _GONE for word in state.split("+")):
        yield Fault(
            code="slurm_node_down",
            row=row,
            column="State",
            example=state,
            what=f"Node {name} was down when it was read; what it had to give is not known.",
            fix="Read scontrol show node while the node is up.",
            rejected=False,
        )
        return
    try:
        start = _before(until, boot, zone)
        tres = tres_counts(fields.get("CfgTRES", ""))
    except BadText as bad:
        yield Fault(
            code="slurm_node_unreadable",
            row=row,
            column="BootTime, CfgTRES",
            example=str(bad)[:80],
            what=f"Node {name} does not say since when it is up, or what it has.",
            fix="Give the whole text of scontrol show node, and the option timezone of the cluster.",
        )
        return
    counts = {Measure.GPU_SECONDS: gpus(tres), Measure.CPU_CORE_SECONDS: tres.get(CPUS, Decimal())}
    counts[Measure.MEMORY_BYTE_SECONDS] = tres.get(MEMORY, Decimal())
    for measure, count in counts.items():
        if count:
            yield Sample(
                resource=Resource(node=name, cluster=cluster),
                workload=None,
                measure=measure,
                basis=Basis.CAPACITY,
                quantity=count * int((until - start).total_seconds()),
                start=start,
                end=until,
                row=row,
            )
