"""How Slurm writes times, durations, memory and TRES, read exactly."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

KIB = 1024
_SIZES = {"": 2, "B": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
"""Suffix -> power of 1024; memory without one is in MiB, as slurm.conf has it."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([BKMGTP]?)[cn]?")
_DURATION = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")
_EPOCH = re.compile(r"\d{9,11}")
_ZONED = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?(\.\d+)?(Z|[+-]\d{2}:?\d{2})")
_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}")

NEVER = frozenset({"", "Unknown", "None", "N/A", "(null)"})
"""What stands for a time that has not come."""


class BadText(ValueError):
    """A text that is not what it should be; its message is the text."""


class NoZone(BadText):
    """A local time, and nothing says of which place."""


class NoSuchTime(BadText):
    """A local time that the clocks of the place jumped over."""


def zoned_time(text: str) -> datetime:
    """Naive UTC of epoch seconds or of a time with zone; raises `BadText`."""
    if _EPOCH.fullmatch(text):
        return datetime.fromtimestamp(int(text), UTC).replace(tzinfo=None)
    try:
        if _ZONED.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
    except ValueError as error:
        raise BadText(text) from error
    raise BadText(text)


def possible_times(text: str, zone: ZoneInfo | None) -> list[datetime]:
    """The naive UTC times that a text of sacct may mean, the earlier first.

    Two for a local time that came twice because clocks went back. Raises `NoZone` for a local time without a zone,
    `NoSuchTime` for one that clocks jumped over, `BadText` for what is no time.
    """
    if not _LOCAL.fullmatch(text):
        return [zoned_time(text)]
    if zone is None:
        raise NoZone(text)
    try:
        local = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadText(text) from error
    both = [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    kept = {moment.replace(tzinfo=None) for moment in both if moment.astimezone(zone).replace(tzinfo=None) == local}
    if not kept:
        raise NoSuchTime(text)
    return sorted(kept)


def local_time(text: str, zone: ZoneInfo | None) -> datetime:
    """The (earlier) naive UTC time of a text; raises as `possible_times`."""
    return possible_times(text, zone)[0]


def fitting(starts: list[datetime], ends: list[datetime], seconds: int) -> tuple[datetime, datetime, bool]:
    """Start and end among the possible ones, and whether a doubt remains.

    The pair whose distance is the elapsed time; where several or none fit (a suspended job), the earliest start with
    the earliest end not before it, and a doubt if there was a choice.
    """
    pairs = [(start, end) for start in starts for end in ends if start <= end] or [(starts[0], ends[-1])]
    exact = [pair for pair in pairs if pair[1] - pair[0] == timedelta(seconds=seconds)]
    return *(exact or pairs)[0], len(exact or pairs) > 1


def tres_counts(text: str) -> dict[str, Decimal]:
    """TRES by name, memory in bytes; raises `BadText`.

    >>> tres_counts("cpu=8,gres/gpu=2,mem=1000M")
    {'cpu': Decimal('8'), 'gres/gpu': Decimal('2'), 'mem': Decimal('1048576000')}
    """
    counts: dict[str, Decimal] = {}
    for item in filter(None, text.split(",")):
        name, found, value = item.rpartition("=")
        if not found:
            raise BadText(text)
        if name in {"mem", "vmem"}:
            counts[name] = size(value)
        elif re.fullmatch(r"\d+(\.\d+)?", value):
            counts[name] = Decimal(value)
        elif name in {"cpu", "billing", "node"} or name.startswith("gres/"):
            raise BadText(text)
    return counts


def size(text: str) -> Decimal:
    """Bytes of a size such as `4848K`; raises `BadText`.

    >>> size("1.50G"), size("100")
    (Decimal('1610612736.00'), Decimal('104857600'))
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise BadText(text)
    return Decimal(match[1]) * Decimal(KIB) ** _SIZES[match[2]]


def duration(text: str) -> Decimal:
    """Seconds of a duration `[days-][hours:]minutes:seconds[.fraction]`; raises `BadText`.

    >>> duration("1-02:03:04"), duration("00:03.796")
    (Decimal('93784'), Decimal('3.796'))
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise BadText(text)
    days, hours, minutes, seconds = match.groups()
    whole = (int(days or 0) * 24 + int(hours or 0)) * 60 + int(minutes)
    return whole * 60 + Decimal(seconds)
