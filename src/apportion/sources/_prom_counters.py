"""How far counters grew, by first and last value and with their resets: never by `increase()`, which extrapolates.

Growth of an hour = from its first to its last value, plus from the last value before it to its first. Where no sample
lies in the hours between, the growth is known but not when: it is given for all of those hours together, with the
coverage that they had. A counter that appears while its scraper was looking already began at 0 then, so its first value
is growth too; one that appears together with its scraper may have counted for long, and its first value is not taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.sources._prom_metrics import HOUR, METRICS
from apportion.sources._prom_rows import HourSeen, Rows, Series, without_copies
from apportion.sources._prom_time import scraper_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from apportion.sources._prom_time import Clock

Began = Callable[[Series, int], bool]
"""Whether the pod of a series started in the hour or in the one before."""
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Growth:
    """Growth of a series in the hours from `hour` to `last` (starts, Unix seconds); mostly they are one."""

    series: Series
    hour: int
    last: int
    amount: Decimal

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the series."""
        return self.series.labels

    @property
    def key(self) -> str:
        """Of several hours: what tells the series from others of its pod, which may have samples in between."""
        if self.hour == self.last:
            return ""
        told = (
            self.labels.get(label) for label in ("container", "interface", "UUID", "model_name", "model", "version")
        )
        return " ".join([self.series.name, *filter(None, told)])

    @property
    def hours(self) -> range:
        """Starts of all its hours."""
        return range(self.hour, self.last + HOUR, HOUR)


def growths(rows: Rows, name: str, clock: Clock, began: Began) -> Iterator[Growth]:
    """The growth of every series of a counter, by series and hour."""
    for series in without_copies(rows.series(name)):
        before: tuple[int, Decimal] | None = None
        for hour, seen in sorted(series.hours.items()):
            if seen.first is None or seen.last is None:
                continue
            if series.after is None or hour > series.after:
                yield _growth(rows, series, hour, before, _start(rows, series, hour, clock, began, before))
            before = hour, seen.last


def _start(
    rows: Rows, series: Series, hour: int, clock: Clock, began: Began, before: tuple[int, Decimal] | None
) -> Decimal:
    """Growth up to the first value of the hour."""
    seen = series.hours[hour]
    first = seen.first or _NOTHING
    if before is not None:
        return first - before[1] if first >= before[1] else first
    if not METRICS[series.name].from_zero:
        return _NOTHING
    if clock.was_looking(scraper_of(series), hour, beyond=seen.count) or began(series, hour):
        return first
    if first:
        rows.doubt(
            series,
            "counter_without_beginning",
            example=f"{first.normalize():f}",
            what="Counters were seen first when their scraper began to look: what they had counted before is left out.",
            fix="Nothing to do, if Prometheus was started or restarted then; else pull the hours before too.",
        )
    return _NOTHING


def _growth(rows: Rows, series: Series, hour: int, before: tuple[int, Decimal] | None, start: Decimal) -> Growth:
    first_hour = hour
    if before is not None and before[0] < hour - HOUR:
        first_hour = max(before[0], series.after or before[0]) + HOUR
    return Growth(series, first_hour, hour, _grown(rows, series, series.hours[hour], start))


def _grown(rows: Rows, series: Series, seen: HourSeen, start: Decimal) -> Decimal:
    if seen.grown is not None:
        return start + seen.grown
    if seen.reset:
        rows.doubt(
            series,
            "reset_without_samples",
            example=f"{(seen.last or _NOTHING).normalize():f}",
            what="A counter began anew within an hour, its samples are missing: only what it counted since is taken.",
            fix="Pull this day again.",
        )
        return seen.last or _NOTHING
    return start + (seen.last or _NOTHING) - (seen.first or _NOTHING)
