"""How long a subject was seen and how much of an hour its scraper looked, from counts of scrapes.

A gauge's hour is its sum × the scrape interval: never bridged, never extrapolated. Coverage says what part of the hour
the scraper looked, by the subject of it that was seen most; a pod that lived half an hour was fully seen all the same.
Several exporters that say the same of one subject count once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.sources._prom_metrics import HOUR, METRICS, Form
from apportion.sources._prom_rows import HourSeen, Rows, Series, without_copies

if TYPE_CHECKING:
    from collections.abc import Mapping


ONE = Decimal(1)
NOTHING = Decimal(0)
LONG = Decimal(150)
"""Seconds: a derived scrape interval beyond it is doubted."""
_EPOCH = datetime(1970, 1, 1)
_NEARLY_ALL = Decimal("0.9")

Scraper = tuple[str, str]
"""Cluster, and the label `job` or the family of the metric."""


@dataclass(slots=True)
class Subject:
    """What one metric says of one thing: series that only the exporter's instance tells apart are one."""

    name: str
    labels: Mapping[str, str]
    row: int
    scraper: Scraper
    hours: dict[int, HourSeen] = field(default_factory=dict)


def subjects(rows: Rows, name: str) -> list[Subject]:
    """The subjects of a gauge or label metric; labels are those of the series seen last."""
    by = METRICS[name].by
    found: dict[tuple[str, ...], Subject] = {}
    for series in sorted(without_copies(rows.series(name)), key=lambda series: max(series.hours, default=0)):
        key = (series.labels["cluster"], *(series.labels.get(label, "") for label in by))
        subject = found.setdefault(key, Subject(name, series.labels, series.row, scraper_of(series)))
        subject.labels = series.labels
        for hour, seen in series.hours.items():
            _merge(subject.hours.setdefault(hour, HourSeen()), seen)
    return list(found.values())


def scraper_of(series: Series) -> Scraper:
    """Who looked."""
    return series.labels["cluster"], series.labels.get("job") or METRICS[series.name].family


def place_of(name: str, labels: Mapping[str, str]) -> str:
    """Which of a scraper's targets looked: a node, an instance, or the one exporter of the cluster."""
    return "" if METRICS[name].family == "kube" else labels.get("node") or labels.get("instance", "")


@dataclass(slots=True)
class Clock:
    """Scrape intervals and coverage of one file. `asked`: the option `scrape_seconds`; `until`: when it was read."""

    asked: Decimal | None
    until: int | None
    intervals: dict[Scraper, Decimal] = field(default_factory=dict)
    looked: dict[tuple[Scraper, str], dict[int, Decimal]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Rows, *, asked: Decimal | None, read_at: datetime | None) -> Clock:
        """The clock of a file's series."""
        until = None if read_at is None else int((read_at - _EPOCH).total_seconds())
        clock = cls(asked, until)
        clock.intervals = _intervals(rows)
        clock.looked = _looked(rows)
        for scraper, interval in clock.intervals.items():
            if asked is None and interval > LONG:
                clock._doubt(rows, scraper, interval)
        return clock

    def interval(self, scraper: Scraper) -> Decimal:
        """Seconds between two scrapes."""
        return self.asked or self.intervals.get(scraper, Decimal(HOUR))

    def length(self, hour: int) -> int:
        """Seconds of the hour until the file was read; at most 3600."""
        return HOUR if self.until is None else max(1, min(HOUR, self.until - hour))

    def expected(self, scraper: Scraper, hour: int) -> Decimal:
        """Scrapes in the hour, were none missing."""
        return Decimal(self.length(hour)) / self.interval(scraper)

    def amount(self, subject: Subject, hour: int) -> Decimal | None:
        """Value × seconds of a gauge in the hour; None where no value was seen."""
        seen = subject.hours.get(hour)
        if seen is None or seen.total is None or not seen.count:
            return None
        return seen.total * self.interval(subject.scraper) * self.once(seen.count, subject.scraper, hour)

    def once(self, count: Decimal, scraper: Scraper, hour: int) -> Decimal:
        """What to multiply by, so that `count` samples are no more than one scraper could take: at most 1."""
        expected = self.expected(scraper, hour)
        return ONE if count <= expected else expected / count

    def coverage(self, scraper: Scraper, place: str, hour: int, existed: Decimal = ONE) -> Decimal:
        """The part of the hour the scraper looked at the place, at most 1; `existed`: the part it was there."""
        count = self.looked.get((scraper, place), {}).get(hour, NOTHING)
        return min(ONE, count / (self.expected(scraper, hour) * existed)) if existed else ONE

    def was_looking(self, scraper: Scraper, hour: int, *, beyond: Decimal) -> bool:
        """Whether the scraper saw anything in the hour before, or more than `beyond` scrapes in this one."""
        of = [hours for (who, _), hours in self.looked.items() if who == scraper]
        return any(hours.get(hour - HOUR, 0) > 0 or hours.get(hour, 0) > beyond for hours in of)

    def _doubt(self, rows: Rows, scraper: Scraper, interval: Decimal) -> None:
        series = next(s for s in _every(rows) if scraper_of(s) == scraper)
        rows.doubt(
            series,
            "scrape_interval_doubted",
            example=f"{interval.normalize():f}",
            what=f"The samples of `{scraper[1]}` seem to be {interval:.0f} seconds apart, which is unusually long.",
            fix="Set the option scrape_seconds of this source to the scrape interval.",
        )


def _merge(into: HourSeen, seen: HourSeen) -> None:
    into.count += seen.count
    if seen.total is not None:
        into.total = (into.total or NOTHING) + seen.total


def _every(rows: Rows) -> list[Series]:
    return [series for name in rows.by_metric for series in rows.series(name)]


def _intervals(rows: Rows) -> dict[Scraper, Decimal]:
    """From the gaps between samples where there are some, else from how many a full hour has."""
    gaps: dict[Scraper, Counter[Decimal]] = defaultdict(Counter)
    counts: dict[Scraper, Counter[Decimal]] = defaultdict(Counter)
    for series in _every(rows):
        gaps[scraper_of(series)].update(series.gaps)
        counts[scraper_of(series)].update(seen.count for seen in series.hours.values() if seen.count)
    return {who: _most_common(gaps[who]) or _from_counts(found) for who, found in counts.items() if found}


def _most_common(found: Counter[Decimal]) -> Decimal | None:
    return max(found, key=lambda value: (found[value], -value)) if found else None


def _from_counts(counts: Counter[Decimal]) -> Decimal:
    nearly = Counter({count: times for count, times in counts.items() if count >= _NEARLY_ALL * max(counts)})
    return HOUR / max(nearly, key=lambda count: (nearly[count], count))


def _looked(rows: Rows) -> dict[tuple[Scraper, str], dict[int, Decimal]]:
    """Per target and hour: the scrapes of the subject that was seen most. A card's pods take turns and are added."""
    seen: dict[tuple[Scraper, str], dict[int, dict[tuple[str, ...], Decimal]]] = {}
    for name in rows.by_metric:
        for series in without_copies(rows.series(name)):
            place = seen.setdefault((scraper_of(series), place_of(name, series.labels)), {})
            key = _scraped(series)
            for hour, found in series.hours.items():
                of = place.setdefault(hour, {})
                of[key] = of.get(key, NOTHING) + found.count
    return {where: {hour: max(of.values()) for hour, of in hours.items()} for where, hours in seen.items()}


def _scraped(series: Series) -> tuple[str, ...]:
    metric, labels = METRICS[series.name], series.labels
    if metric.family == "dcgm":
        return series.name, labels.get("UUID", ""), labels.get("GPU_I_ID", "")
    if metric.form is Form.COUNTER:
        return series.name, *(f"{key}={value}" for key, value in sorted(labels.items()))
    return series.name, *(labels.get(label, "") for label in metric.by)
