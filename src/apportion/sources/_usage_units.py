"""The units a usage file may give quantities in, and what one is in base units, exactly."""

from __future__ import annotations

from decimal import Decimal

from apportion.core.measures import UNITS, Measure

_TIMES = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
_SIZES = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_SIZES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_COUNTS = {"": 1, "thousand_": 10**3, "million_": 10**6, "billion_": 10**9}
_PREFIXED = {
    Measure.GPU_SECONDS: "gpu",
    Measure.GPU_BUSY_SECONDS: "gpu",
    Measure.CPU_CORE_SECONDS: "cpu",
    Measure.RUN_SECONDS: "run",
    Measure.COMPUTE_SECONDS: "compute",
}
_COUNTED = {Measure.REQUESTS: "requests", Measure.BILLING_UNITS: "billing_units"}
_JOULES = {"joules": 1, "wh": 3600, "kwh": 3_600_000}


def units_of(measure: Measure) -> dict[str, Decimal]:
    """The units of a measure by name, each with what one is in base units; no unit means base units.

    >>> units_of(Measure.GPU_SECONDS)["gpu_hours"], units_of(Measure.TOKENS_INPUT)["million_tokens"]
    (Decimal('3600'), Decimal('1000000'))
    >>> units_of(Measure.MEMORY_BYTE_SECONDS)["gib_hours"] == 2**30 * 3600
    True
    """
    found = {"": 1, measure.value: 1, **_units(measure)}
    return {name: Decimal(one) for name, one in found.items()}


def _units(measure: Measure) -> dict[str, int]:
    unit = UNITS[measure]
    if unit == "s":
        named = {f"{_PREFIXED[measure]}_{time}": one for time, one in _TIMES.items()}
        return {**_TIMES, **named, "s": 1, "h": 3600}
    if unit == "byte·s":
        return {f"{size or 'byte'}_{time}": one * many for size, one in _SIZES.items() for time, many in _TIMES.items()}
    if unit == "byte":
        return {size or "bytes": one for size, one in _SIZES.items()}
    if unit == "count":
        word = _COUNTED.get(measure, "tokens")
        return {f"{many}{word}": one for many, one in _COUNTS.items()}
    return _JOULES if unit == "J" else {}
