"""What the reference of shared cost works on: rows, use, cells, costs on their way; and the conditions on them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from apportion.core.targets import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from apportion.core.config import Condition, RowChoice

REPORTED = ("billing_account", "account", "provider", "service", "service_category", "charge_category")

Metrics = dict[str, "int | None"]
Hours = dict["datetime | None", int]
"""What was counted by hour; under None what is not told apart by hours."""
Receiver = tuple["str | None", ...]
"""The targets in the order of their columns, then kind and job (None but at the grain of jobs)."""
To = tuple[int, Receiver]
"""(0, owner), or (number of a pool, ())."""
NOBODY: To = (0, ())


@dataclass(frozen=True)
class Charge:
    """A part of a row: when, how long, and how much of each metric (None: not delivered)."""

    start: datetime
    length: timedelta
    metrics: Mapping[str, int | None]

    def bucket(self, time: str) -> datetime | None:
        """The day or hour that it lies in; None where it lies in none."""
        lasts = {"day": timedelta(days=1), "hour": timedelta(hours=1)}
        fits = time in lasts and self.start + self.length <= floor(self.start, time) + lasts[time]
        return floor(self.start, time) if fits else None


def floor(moment: datetime, time: str) -> datetime:
    kept = {"hour": {"minute": 0}, "day": {"minute": 0, "hour": 0}, "month": {"minute": 0, "hour": 0, "day": 1}}
    return moment.replace(**kept[time])


@dataclass(frozen=True)
class Row:
    """A row of allocations as it was before pools: whose it is and what the bill says of it."""

    no: int
    owner: Mapping[str, str]
    currency: str
    fields: Mapping[str, str | None]
    charges: tuple[Charge, ...]
    kind: str | None = None
    job: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def says(self, name: str) -> str:
        if name in COLUMNS:
            return self.owner[name]
        own = self.fields.get(name)
        return (self.fields.get("billing_account") if name == "account" and own is None else own) or ""


@dataclass(frozen=True)
class Use:
    """What a workload used of one measure in one hour, with its owner."""

    owner: Mapping[str, str]
    kind: str | None
    job: str | None
    hour: datetime
    measure: str
    quantity: int
    fields: Mapping[str, str | None] = field(default_factory=dict)

    def says(self, name: str) -> str:
        return self.owner[name] if name in COLUMNS else self.fields.get(name) or ""


@dataclass(frozen=True)
class Part:
    """What somebody has of a cell."""

    to: To
    basis: int
    weight: int
    low: int
    high: int


@dataclass(frozen=True)
class Cell:
    """Within what a cost is divided; `resort`: the `even` or `owner` that helped where nobody had the basis."""

    pool: str
    currency: str
    keys: tuple[str, ...]
    bucket: datetime | None
    resort: str
    parts: tuple[Part, ...]
    whole: int


@dataclass(frozen=True)
class Flow:
    """A cost on its way: what it was, through which pools it came, where it is now."""

    reported: tuple[str | None, ...]
    currency: str
    origin: tuple[str, str | None]
    path: tuple[str, ...]
    to: To
    metrics: Metrics

    @property
    def owner(self) -> dict[str, str]:
        return dict(zip(COLUMNS, self.to[1], strict=False))

    @property
    def kind(self) -> str | None:
        return self.to[1][-2]

    @property
    def job(self) -> str | None:
        return self.to[1][-1]

    def says(self, name: str) -> str:
        said = dict(zip(REPORTED, self.reported, strict=True))
        own = said.get(name)
        return (
            self.owner[name]
            if name in COLUMNS
            else (said["billing_account"] if name == "account" and own is None else own) or ""
        )


@dataclass
class Sharing:
    """`taken`: (row, pool, cell) -> metrics; `shared`: what owners got, added by everything but the cells."""

    cells: list[Cell] = field(default_factory=list)
    taken: dict[tuple[int, str, Cell], Metrics] = field(default_factory=dict)
    flows: list[Flow] = field(default_factory=list)

    @property
    def shared(self) -> dict[tuple, Metrics]:
        """Reported fields, currency, origin, path and receiver -> metrics."""
        sums: dict[tuple, Metrics] = {}
        for flow in self.flows:
            if not flow.to[0]:
                add(
                    sums.setdefault((flow.reported, flow.currency, flow.origin, flow.path, flow.to[1]), {}),
                    flow.metrics,
                )
        return sums


class Overlap(Exception):
    """Two pools of one stage match the same row."""


# -- conditions


def meets(when: Condition, row: Row) -> bool:
    """Fields of a bill and tags, as far as tests ask about them."""
    said = {name: [row.fields.get(name)] for name in row.fields}
    said["account"] = [row.fields.get("account"), row.fields.get("billing_account")]
    return (
        _equal(when.equals, said.get)
        and _found(when.matches, said.get)
        and _equal(when.tags, lambda key: [row.tags.get(key)])
        and _found(when.tags_match, lambda key: [row.tags.get(key)])
    )


def owned(choice: RowChoice, of: Row | Use) -> bool:
    """Whether the choice wants this owner."""
    said = {**{name: [value] for name, value in of.owner.items()}, "kind": [of.kind], "job": [of.job]}
    return _equal(choice.equals, said.get) and _found(choice.matches, said.get)


def _equal(wanted: Mapping[str, Sequence[str]], said: Callable[[str], list[str | None] | None]) -> bool:
    return all(
        any(
            value is not None and value.strip().lower() in {v.strip().lower() for v in values}
            for value in said(n) or []
        )
        for n, values in wanted.items()
    )


def _found(wanted: Mapping[str, str], said: Callable[[str], list[str | None] | None]) -> bool:
    return all(any(value is not None and re.search(p, value) for value in said(n) or []) for n, p in wanted.items())


# -- amounts


def add(sums: Metrics, more: Mapping[str, int | None]) -> None:
    """Add metric by metric; what was never delivered stays None."""
    for name, amount in more.items():
        had = sums.setdefault(name, None)
        if amount is not None:
            sums[name] = (had or 0) + amount


def piece(amount: int | None, part: Part, whole: int) -> int | None:
    """The part's piece: what the amount comes to up to its end, less what it comes to up to its beginning."""
    if amount is None:
        return None
    sign = -1 if amount < 0 else 1
    return sign * (abs(amount) * part.high // whole - abs(amount) * part.low // whole)
