"""What a pool divides by, in words: "EffectiveCost: 250.47 of 1,875.85 USD", and where it divides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from apportion.core import focus
from apportion.core.measures import Measure
from apportion.core.money import from_quanta
from apportion.ledger.metered_words import figure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_GIB, _HOUR = 2**30, 3600
_BILLIONTHS, _QUANTA, _MILLIONTHS = 10**9, 10**18, 10**6
_TABLE = "table"
"""The method whose stated parts are counted in millionths."""

# measure -> (what people count, base units in one of it)
_COUNTED = {
    Measure.GPU_SECONDS: ("GPU-hours", _HOUR),
    Measure.GPU_BUSY_SECONDS: ("busy GPU-hours", _HOUR),
    Measure.GPU_MEMORY_BYTE_SECONDS: ("GiB-hours of GPU memory", _GIB * _HOUR),
    Measure.CPU_CORE_SECONDS: ("core-hours", _HOUR),
    Measure.MEMORY_BYTE_SECONDS: ("GiB-hours of memory", _GIB * _HOUR),
    Measure.STORAGE_BYTE_SECONDS: ("GiB-hours of storage", _GIB * _HOUR),
    Measure.NETWORK_RX_BYTES: ("GiB received", _GIB),
    Measure.NETWORK_TX_BYTES: ("GiB sent", _GIB),
    Measure.RUN_SECONDS: ("hours of running", _HOUR),
    Measure.COMPUTE_SECONDS: ("hours of computing", _HOUR),
    Measure.TOKENS_INPUT: ("input tokens", 1),
    Measure.TOKENS_CACHED: ("cached tokens", 1),
    Measure.TOKENS_CACHE_WRITE: ("tokens written to the cache", 1),
    Measure.TOKENS_OUTPUT: ("output tokens", 1),
    Measure.ENERGY_JOULES: ("kWh", 3_600_000),
    Measure.BILLING_UNITS: ("billing units", 1),
    Measure.REPORTED_COST: ("of reported cost", 1),
}


@dataclass(frozen=True, slots=True)
class PoolCell:
    """Within what a pool divides: its month, currency, values of `within` and time, and what is counted there.

    `within` holds the values that cost and receivers have in common; `dropped` names the keys in which nobody weighed
    anything. `bucket` is the day or hour, None where the whole month's weights hold. `total_basis` is None where
    nothing was counted; `basis_name` is a cost metric or a measure.
    """

    pool: str
    version: str
    stage: int
    method: str
    basis_name: str | None
    within: Mapping[str, str]
    dropped: tuple[str, ...]
    time: str
    bucket: datetime | None
    leftover: str
    reciprocal: bool
    currency: str
    total_basis: int | None
    total_weight: int
    whole: int
    receivers: int

    @property
    def unit(self) -> str | None:
        """What the basis is counted in; None where nothing is."""
        if self.total_basis is None:
            return None
        if self.basis_name is None:
            return "stated parts"
        return self.currency if self.basis_name in focus.COSTS else _noun(self.basis_name)[0]

    def counted(self, basis: int | None) -> Decimal | None:
        """A stored basis in `unit`, at 18 digits; None where nothing was counted."""
        return None if basis is None or self.total_basis is None else _decimal(self.figure_of(basis))

    def weighed(self, weight: int) -> Decimal:
        """A stored weight as it is shown: in `unit` where the basis is the weight, else as the whole number it is."""
        return _decimal(self.figure_of(weight)) if self.weighs_by_basis else Decimal(weight)

    @property
    def weighs_by_basis(self) -> bool:
        """Whether the basis is the weight, as far as the totals tell."""
        return self.total_basis is not None and self.total_basis == self.total_weight

    @property
    def is_last_resort(self) -> bool:
        """Whether nobody had the basis, so that `leftover` named who shares."""
        counts = self.basis_name is not None or self.method in ("fixed", _TABLE)
        return counts and self.total_basis is None

    @property
    def place(self) -> str:
        """The values and the time in words."""
        told = [f"{name}={value or 'none'}" for name, value in self.within.items()]
        if self.bucket is not None:
            shown = f"{self.bucket:%Y-%m-%d %H:%M}" if self.time == "hour" else f"{self.bucket:%Y-%m-%d}"
            told.append(f"{self.time}={shown}")
        return ", ".join(told) or "everywhere"

    @property
    def notes(self) -> str:
        """What is unusual about the cell, in words; empty where nothing is."""
        told = []
        if self.reciprocal:
            told.append("it and the pools that it gives to and gets from are solved together, by equations")
        if self.is_last_resort:
            got = "all its receivers got the same" if self.leftover == "even" else "whom it names for that got it"
            told.append(f"nobody had the basis, so {got}")
        elif self.dropped:
            told.append(f"nobody had the basis within its {' and '.join(self.dropped)}, so it was divided more widely")
        if self.time != "month" and self.bucket is None and not self.is_last_resort:
            told.append(f"no {self.time} of its own: by the weights of the month")
        return "; ".join(told)

    def figure_of(self, stored: int) -> Fraction:
        """A stored basis, or a weight that is one, in `unit`, exactly."""
        if self.basis_name is None:
            return Fraction(stored, _MILLIONTHS if self.method == _TABLE else 1)
        if self.basis_name in focus.COSTS:
            return Fraction(stored, _QUANTA)
        return Fraction(stored, _BILLIONTHS * _noun(self.basis_name)[1])


@dataclass(frozen=True, slots=True)
class Portion:
    """What somebody has of a cell: the basis as it is stored, the weight, and the interval [low, high) of its whole."""

    basis: int | None
    weight: int
    low: int
    high: int

    def of(self, whole: int) -> Fraction:
        """The exact share."""
        return Fraction(self.high - self.low, whole)


def basis_words(cell: PoolCell, portion: Portion) -> str:
    """Why the share is as large as it is; of reciprocal pools, what their equations began with.

    >>> from dataclasses import replace
    >>> cell = PoolCell("net", "1", 1, "proportional_usage", "gpu_seconds", {}, (), "month", None, "keep", False, "USD",
    ...                 7200 * 10**9, 7200 * 10**9, 4, 2)
    >>> basis_words(cell, Portion(1800 * 10**9, 1800 * 10**9, 0, 1))
    '0.5 of 2 GPU-hours'
    >>> cost = replace(cell, basis_name="EffectiveCost", total_basis=4 * 10**18, total_weight=4 * 10**18)
    >>> basis_words(cost, Portion(10**18, 10**18, 0, 1))
    'EffectiveCost: 1 of 4 USD'
    >>> basis_words(replace(cell, basis_name=None, total_basis=None, total_weight=2), Portion(None, 1, 0, 2))
    'every receiver the same: 1 of 2'
    >>> basis_words(replace(cell, reciprocal=True), Portion(None, 0, 0, 1))
    'by equations'
    """
    if cell.reciprocal:
        own = f"{basis_words(replace(cell, reciprocal=False), portion)}, then " if portion.weight else ""
        return f"{own}by equations"
    if cell.total_basis is None or portion.basis is None:
        same = "who is left" if cell.is_last_resort else "every receiver the same"
        return f"{same}: {portion.weight} of {cell.total_weight}"
    told = f"{figure(cell.figure_of(portion.basis))} of {figure(cell.figure_of(cell.total_basis))} {cell.unit}"
    if cell.basis_name in focus.COSTS:
        told = f"{cell.basis_name}: {told}"
    if cell.method == "peak":
        told = f"largest hours: {told}"
    if portion.basis < 0:
        return f"{told}; below 0 weighs nothing"
    if cell.weighs_by_basis:
        return told
    return f"{told}; weight {figure(Fraction(portion.weight, cell.total_weight) * 100)} of 100 by {cell.method}"


def _noun(measure: str) -> tuple[str, int]:
    return _COUNTED.get(Measure(measure), (measure, 1))


def _decimal(number: Fraction) -> Decimal:
    """At 18 digits, half to even."""
    return from_quanta(round(number * _QUANTA))
