"""How a metered piece came about, in words and figures: what was held, for how long, of what, and who measured it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from apportion.core import tables
from apportion.core.arrow import schema
from apportion.core.config import MeteringConfig
from apportion.core.config_file import parse_config
from apportion.core.measures import Measure, WorkloadKind
from apportion.ledger.metered import months_of, open_usages
from apportion.ledger.metered_words import Held, idle_words, named_words, unmetered_words, work_words
from apportion.metering import shares as metered_shares
from apportion.metering.statements import TOKEN_UNIT, UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from apportion.engine.duck import DuckDb
    from apportion.store import Store
    from apportion.store.records import Part, Run

_BY_FAMILY = {
    2: Measure.STORAGE_BYTE_SECONDS,
    3: Measure.COMPUTE_SECONDS,
    4: "tokens",
    5: Measure.REQUESTS,
    6: Measure.REPORTED_COST,
    7: Measure.RUN_SECONDS,
}
_BY_COMPONENT = {1: Measure.GPU_SECONDS, 2: Measure.CPU_CORE_SECONDS, 3: Measure.MEMORY_BYTE_SECONDS}
_MICROSECONDS = 1_000_000
_PARTS = {Measure.MEMORY_BYTE_SECONDS: 1, Measure.STORAGE_BYTE_SECONDS: 1, "tokens": TOKEN_UNIT}
"""Measure -> what `metering.statements` counts one of it as; all others in billionths."""

# Charges with the same text and start share one division, so all of them are needed, and no others.
CHARGES = """
CREATE OR REPLACE TEMP TABLE explained_charges AS
SELECT c.* FROM charges AS c
SEMI JOIN explained AS e ON e.x_AttributeNo = c.x_AttributeNo AND e.ChargePeriodStart = c.ChargePeriodStart
"""
ATTRIBUTES = """
CREATE OR REPLACE TEMP TABLE explained_attributes AS
SELECT * FROM attributes WHERE x_AttributeNo IN (SELECT x_AttributeNo FROM explained)
"""
INSTEAD = "CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM explained_{name}"

SPANS = """
SELECT s.x_AttributeNo, s.span_start, d.division_no, coalesce(r.x_Node, r.x_MeteredId, r.x_Account), r.x_InstanceType,
       r.x_Family, coalesce(t.alive, 0), coalesce(t.missing, 0)
FROM spans AS s
JOIN divisions AS d ON d.span_no = s.span_no
JOIN resources AS r ON r.x_ResourceNo = s.x_ResourceNo
LEFT JOIN span_times AS t ON t.span_no = d.division_no
"""

USES = """
SELECT u.span_no, w.x_WorkloadId, u.component, sum(u.amount)
FROM span_uses AS u
JOIN workloads AS w ON w.x_WorkloadNo = u.x_WorkloadNo
GROUP BY ALL
"""

CAPACITIES = """
WITH used AS (SELECT span_no, component, sum(amount) AS amount FROM span_uses GROUP BY ALL)
SELECT span_no, component, c.amount, coalesce(u.amount, 0)
FROM span_capacities AS c
FULL JOIN used AS u USING (span_no, component)
"""

# For how long the workload was seen on the resource, and by whom.
SEEN = """
WITH seen AS (
    SELECT x_ResourceNo, x_WorkloadNo, x_Hour, max(x_Coverage) AS coverage, list(DISTINCT x_SourceNo) AS sources
    FROM weighed
    WHERE x_WorkloadNo IS NOT NULL
    GROUP BY ALL
)
SELECT h.span_no, w.x_WorkloadId, any_value(w.x_WorkloadName), sum(h.overlap * s.coverage), flatten(list(s.sources))
FROM division_hours AS h
JOIN seen AS s ON s.x_ResourceNo = h.x_ResourceNo AND s.x_Hour = h.x_Hour
JOIN workloads AS w ON w.x_WorkloadNo = s.x_WorkloadNo
GROUP BY h.span_no, w.x_WorkloadId
"""

WATCHING = """
SELECT DISTINCT p.span_no, m.x_SourceId
FROM divided_spans AS p
JOIN lives AS l ON l.x_ResourceNo = p.x_ResourceNo
JOIN meters AS m ON m.x_SourceNo = l.x_SourceNo
ORDER BY p.span_no, m.x_SourceId
"""

NAMED = "SELECT * FROM billed_of_part WHERE x_AttributeNo IN (SELECT x_AttributeNo FROM explained)"


@dataclass(frozen=True, slots=True)
class MeteredUse:
    """Why a piece is as large as it is. `words` is a sentence; the rest are the figures in it, None where unknown.

    `held` and `capacity` are of one `measure` in its base units (tokens by their weights), within the time that the
    charge is for; `seconds` is how long the workload was seen there; `share` is held ÷ capacity. For idle pieces `held`
    is what nobody held, for unmetered ones the seconds in which no meter looked. `weights` names the weight set that
    divided a machine; `meters` are the ids of the sources that counted.
    """

    words: str
    workload_name: str | None = None
    resource: str | None = None
    measure: str | None = None
    held: Decimal | None = None
    capacity: Decimal | None = None
    share: Decimal | None = None
    seconds: Decimal | None = None
    weights: str | None = None
    basis: str | None = None
    meters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Span:
    """The time of a charge on the resource that it is for, and what was used of it. Amounts are in base units."""

    resource: str
    instance_type: str | None
    family: int
    alive: Fraction
    missing: Fraction
    capacities: dict[int, tuple[Fraction | None, Fraction]]
    uses: dict[str, dict[int, Fraction]]
    seen: dict[str, tuple[str | None, Fraction, tuple[str, ...]]]
    meters: tuple[str, ...]

    @property
    def place(self) -> str:
        """The last part of an ARN or a path: what people call it."""
        return re.split(r"[/:]", self.resource.rstrip("/:"))[-1]


def metered_uses(
    db: DuckDb, store: Store, run: Run, part: Part, pieces: Sequence[Mapping[str, Any]]
) -> dict[tuple[int, int], MeteredUse]:
    """Charge number and low end of the share -> how the piece was metered, of those that were.

    Each piece is a row of `explain`'s view `described`, which is made anew over fewer charges here. The figures come
    from the very statements that divided the charges.
    """
    metered = [piece for piece in pieces if piece["x_WorkloadKind"] is not None]
    if not metered:
        return {}
    _narrow(db, metered)
    config = parse_config(run.config).metering if run.config else MeteringConfig()
    spans = _spans(db, store, run, part, config)
    named = _named(db, store, part)
    told: dict[tuple[int, int], MeteredUse] = {}
    for piece in metered:
        span = spans.get((piece["x_AttributeNo"], piece["ChargePeriodStart"]))
        use = _named_use(piece, named.get(piece["x_AttributeNo"])) if span is None else _use(piece, span, config)
        told[piece["x_ChargeNo"], piece["x_ShareLow"]] = use
    return told


def _narrow(db: DuckDb, pieces: Sequence[Mapping[str, Any]]) -> None:
    wanted = sorted({(piece["x_AttributeNo"], piece["ChargePeriodStart"]) for piece in pieces})
    columns = [pa.array([no for no, _ in wanted], pa.int32()), pa.array([at for _, at in wanted], pa.timestamp("us"))]
    db.register("explained", pa.Table.from_arrays(columns, names=["x_AttributeNo", "ChargePeriodStart"]))
    db.run(CHARGES)
    db.run(ATTRIBUTES)
    for name in ("charges", "attributes"):
        db.run(INSTEAD.format(name=name))


def _spans(db: DuckDb, store: Store, run: Run, part: Part, config: MeteringConfig) -> dict[tuple[int, datetime], _Span]:
    months = months_of(store.checked(store.snapshot(part.snapshot_id).charges)) if run.usages else set()
    usages = sorted((usage for usage in run.usages if usage.period in months), key=lambda usage: usage.period)
    if not usages:
        return {}
    for usage in usages:
        for file in usage.stored:
            store.checked(usage.folder / file.name)
    open_usages(db, usages)
    # whose the resource is does not matter for what was used of it
    db.register("base", schema(tables.RESOLVED).empty_table())
    metered_shares.weave(db, config)
    return _read_spans(db)


def _read_spans(db: DuckDb) -> dict[tuple[int, datetime], _Span]:
    sources = dict(db.rows("SELECT x_SourceNo, x_SourceId FROM meters"))
    watching: dict[int, list[str]] = {}
    for no, source in db.rows(WATCHING):
        watching.setdefault(no, []).append(source)
    found: dict[int, _Span] = {}
    spans: dict[tuple[int, datetime], _Span] = {}
    for attribute, start, no, resource, machine, family, alive, missing in db.rows(SPANS):
        times = Fraction(alive, _MICROSECONDS), Fraction(missing, _MICROSECONDS)
        meters = tuple(watching.get(no, ()))
        span = found.setdefault(no, _Span(resource, machine, family, *times, {}, {}, {}, meters))
        spans[attribute, start] = span
    for no, component, capacity, used in db.rows(CAPACITIES):
        span = found[no]
        known = None if capacity is None else _in_base(capacity, component, span.family)
        span.capacities[component] = (known, _in_base(used, component, span.family))
    for no, workload, component, amount in db.rows(USES):
        found[no].uses.setdefault(workload, {})[component] = _in_base(amount, component, found[no].family)
    for no, workload, name, micros, numbers in db.rows(SEEN):
        counted = tuple(sorted({sources[each] for each in numbers}))
        found[no].seen[workload] = (name, Fraction(micros) / _MICROSECONDS, counted)
    return spans


def _in_base(amount: int, component: int, family: int) -> Fraction:
    return Fraction(amount, _PARTS.get(_measure(component, family), UNIT))


def _measure(component: int, family: int) -> str:
    return str(_BY_COMPONENT.get(component) or _BY_FAMILY[family])


def _use(piece: Mapping[str, Any], span: _Span, config: MeteringConfig) -> MeteredUse:
    kind = piece["x_WorkloadKind"]
    if kind == WorkloadKind.UNMETERED:
        return _unmetered(span, config)
    held = _idle(span) if kind == WorkloadKind.IDLE else _held(piece["x_WorkloadId"], span)
    name, seconds, meters = span.seen.get(piece["x_WorkloadId"], (None, None, span.meters))
    if held is None:
        rest = f"what rounding left of {span.place}" if kind == WorkloadKind.IDLE else f"it used {span.place}"
        return MeteredUse(rest, name, span.resource, meters=meters)
    words = idle_words(held, config.idle) if kind == WorkloadKind.IDLE else work_words(held, seconds)
    return MeteredUse(
        words,
        workload_name=name,
        resource=span.resource,
        measure=held.measure,
        held=_decimal(held.amount),
        capacity=_decimal(held.capacity),
        share=_decimal(held.share),
        seconds=_decimal(seconds),
        weights=_weights(span, config),
        basis=config.basis,
        meters=meters,
    )


def _held(workload: str, span: _Span) -> Held | None:
    """The scarcest thing that the workload held: GPUs before cores before memory."""
    uses = span.uses.get(workload)
    if not uses:
        return None
    component = min(uses)
    capacity, used = span.capacities[component]
    return Held(_measure(component, span.family), uses[component], max(capacity or Fraction(0), used), span.place)


def _idle(span: _Span) -> Held | None:
    for component, (capacity, used) in sorted(span.capacities.items()):
        if capacity is not None and capacity > used:
            return Held(_measure(component, span.family), capacity - used, capacity, span.place)
    return None


def _unmetered(span: _Span, config: MeteringConfig) -> MeteredUse:
    whole = span.alive + span.missing
    return MeteredUse(
        unmetered_words(span.place, span.missing, whole),
        resource=span.resource,
        held=_decimal(span.missing),
        capacity=_decimal(whole),
        share=_decimal(span.missing / whole if whole else None),
        basis=config.basis,
        meters=span.meters,
    )


def _weights(span: _Span, config: MeteringConfig) -> str | None:
    if span.family == 1:
        own = span.instance_type in config.machine_weights
        return f"machine_weights.{span.instance_type}" if own else config.weights
    return "tokens" if span.family == 4 else None  # noqa: PLR2004 - see _BY_FAMILY


def _named(db: DuckDb, store: Store, part: Part) -> dict[int, Mapping[str, Any]]:
    path = part.file("billed.parquet")
    if path is None:
        return {}
    db.read_parquet("billed_of_part", [store.checked(path)])
    return {row["x_AttributeNo"]: row for row in db.table(NAMED).to_pylist()}


def _named_use(piece: Mapping[str, Any], named: Mapping[str, Any] | None) -> MeteredUse:
    if named is None:
        return MeteredUse("the bill names it")
    quantity, unit = piece["ConsumedQuantity_whole"], named["x_UnitSeconds"]
    seconds = Fraction(quantity) * unit if quantity is not None and unit is not None else None
    gpus, machine = named["x_Gpus"], named["x_InstanceType"]
    held = seconds * gpus if seconds is not None and gpus else None
    return MeteredUse(
        named_words(seconds, machine, gpus),
        workload_name=named["x_WorkloadName"],
        measure=str(Measure.GPU_SECONDS) if held is not None else None,
        held=_decimal(held),
        seconds=_decimal(seconds),
    )


def _decimal(number: Fraction | None) -> Decimal | None:
    """At 18 digits, half to even."""
    return None if number is None else Decimal(round(number * 10**18)).scaleb(-18)
