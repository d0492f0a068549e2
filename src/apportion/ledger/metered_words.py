"""Metered use in words: "30 h 20 min of 4 GPUs on node-1, 41 % of its GPU time"."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from apportion.core.measures import Measure

_GIB, _HOUR, _MINUTE = 2**30, 3600, 60
_TEN_PERCENT = 100  # in tenths of a percent


@dataclass(frozen=True, slots=True)
class Held:
    """So much of a measure, in base units, of what the resource had (of what was used of it, where that is more)."""

    measure: str
    amount: Fraction
    capacity: Fraction
    resource: str

    @property
    def share(self) -> Fraction | None:
        """The amount over the capacity; None where there is none."""
        return self.amount / self.capacity if self.capacity else None


# measure -> (what one of it is, several of them, how the time of all of them is called, base units in one)
_OVER_TIME = {
    Measure.GPU_SECONDS: ("GPU", "GPUs", "GPU time", 1),
    Measure.CPU_CORE_SECONDS: ("core", "cores", "core time", 1),
    Measure.MEMORY_BYTE_SECONDS: ("GiB of memory", "GiB of memory", "memory over that time", _GIB),
    Measure.STORAGE_BYTE_SECONDS: ("GiB stored", "GiB stored", "storage over that time", _GIB),
}
_IN_HOURS = {
    Measure.GPU_SECONDS: ("GPU-hours", 1),
    Measure.CPU_CORE_SECONDS: ("core-hours", 1),
    Measure.MEMORY_BYTE_SECONDS: ("GiB-hours of memory", _GIB),
    Measure.STORAGE_BYTE_SECONDS: ("GiB-hours of storage", _GIB),
}
_COUNTED = {
    "tokens": ("tokens by their weights", "tokens by weight"),
    Measure.REQUESTS: ("requests", "requests"),
    Measure.REPORTED_COST: ("of reported cost", "reported cost"),
}
_TIMED = {Measure.COMPUTE_SECONDS: ("computing", "computing time"), Measure.RUN_SECONDS: ("running", "running time")}


def work_words(held: Held, seconds: Fraction | None) -> str:
    """What a workload held, and for how long (None or 0 where nobody saw that).

    >>> work_words(Held("gpu_seconds", Fraction(436800), Fraction(1065365), "node-1"), Fraction(109200))
    '30 h 20 min of 4 GPUs on node-1, 41 % of its GPU time'
    """
    measure, percent = held.measure, _percent(held.share)
    if measure in _OVER_TIME and seconds:
        one, many, whole, per = _OVER_TIME[Measure(measure)]
        units = figure(held.amount / (seconds * per))
        noun = one if units == "1" else many
        return f"{duration(seconds)} of {units} {noun} on {held.resource}, {percent} of its {whole}"
    if measure in _IN_HOURS:
        noun, per = _IN_HOURS[Measure(measure)]
        return f"{figure(held.amount / (_HOUR * per))} {noun} of {held.resource}, {percent} of what it had"
    if measure in _TIMED:
        noun, whole = _TIMED[Measure(measure)]
        return f"{duration(held.amount)} of {noun} on {held.resource}, {percent} of its {whole}"
    noun, whole = _COUNTED[measure]
    return f"{figure(held.amount)} {noun} on {held.resource}, {percent} of its {whole}"


def idle_words(idle: Held, setting: str) -> str:
    """What nobody held; `setting` is `[metering] idle`.

    >>> idle_words(Held("gpu_seconds", Fraction(7200), Fraction(28800), "node-1"), "keep")
    '2 of 8 GPU-hours of node-1 were held by nobody'
    """
    noun, unit = idle.measure.replace("_", " "), 1
    if idle.measure in _IN_HOURS:
        noun, per = _IN_HOURS[Measure(idle.measure)]
        unit = _HOUR * per
    told = f"{figure(idle.amount / unit)} of {figure(idle.capacity / unit)} {noun} of {idle.resource}"
    bears = '; its owner bears them ([metering] idle = "owner")' if setting == "owner" else ""
    return f"{told} were held by nobody{bears}"


def unmetered_words(resource: str, missing: Fraction, whole: Fraction) -> str:
    """In which time no meter looked, of the whole time in which the resource was there.

    >>> unmetered_words("node-1", Fraction(10800), Fraction(86400))
    'no meter looked at node-1 for 3 h of 24 h'
    """
    if missing and whole:
        return f"no meter looked at {resource} for {duration(missing)} of {duration(whole)}"
    return f"no meter saw any use of {resource} in this time"


def named_words(seconds: Fraction | None, machine: str | None, gpus: int | None) -> str:
    """What the bill itself says of a job or endpoint.

    >>> named_words(Fraction(5400), "ml.p4d.24xlarge", 8), named_words(None, None, None)
    ('the bill names it: 1 h 30 min of ml.p4d.24xlarge with 8 GPUs', 'the bill names it')
    """
    if seconds is None or machine is None:
        return "the bill names it"
    size = f" with {gpus} GPU{'s' if gpus > 1 else ''}" if gpus else ""
    return f"the bill names it: {duration(seconds)} of {machine}{size}"


def duration(seconds: Fraction) -> str:
    """Hours and minutes; seconds only below a minute.

    >>> duration(Fraction(109199)), duration(Fraction(3600)), duration(Fraction(41)), duration(Fraction(-90))
    ('30 h 20 min', '1 h', '41 s', '−2 min')
    """
    size = abs(seconds)
    sign = "−" if seconds < 0 else ""
    if size < _MINUTE:
        return f"{sign}{figure(size)} s"
    hours, minutes = divmod(int(size / _MINUTE + Fraction(1, 2)), _MINUTE)
    told = [f"{hours:,} h" if hours else "", f"{minutes} min" if minutes else ""]
    return sign + " ".join(filter(None, told))


def figure(number: Fraction) -> str:
    """At most two digits after the point, thousands separated; below a hundredth three that count.

    >>> figure(Fraction(4)), figure(Fraction(1, 3)), figure(Fraction(1234567)), figure(Fraction(1, 3000))
    ('4', '0.33', '1,234,567', '0.000333')
    """
    places = 2
    while number and abs(number) * 10**places < 1 and places < 16:  # noqa: PLR2004 - finer than any meter counts
        places += 1
    places += 2 if places > 2 else 0  # noqa: PLR2004 - the usual two
    text = f"{round(number * 10**places):,}" if places == 0 else _scaled(round(number * 10**places), places)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scaled(units: int, places: int) -> str:
    whole, fraction = divmod(abs(units), 10**places)
    return f"{'−' if units < 0 else ''}{whole:,}.{fraction:0{places}d}"


def _percent(share: Fraction | None) -> str:
    """Whole percent from 10 on, one digit below, `under 0.1 %` for very little.

    >>> _percent(Fraction(41, 100)), _percent(Fraction(1, 30)), _percent(Fraction(1, 9999)), _percent(None)
    ('41 %', '3.3 %', 'under 0.1 %', 'an unknown part')
    """
    if share is None:
        return "an unknown part"
    tenths = share * 1000
    if 0 < tenths < 1:
        return "under 0.1 %"
    return f"{round(tenths / 10)} %" if tenths >= _TEN_PERCENT else f"{figure(Fraction(round(tenths), 10))} %"
