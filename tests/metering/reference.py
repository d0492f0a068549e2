"""The division of a resource's charge worked out by hand, in fractions: from the documents, not from the SQL."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from apportion.core.measures import Basis, Measure

HOUR = timedelta(hours=1)
COMPONENT = {Measure.GPU_SECONDS: "gpu", Measure.CPU_CORE_SECONDS: "cpu", Measure.MEMORY_BYTE_SECONDS: "memory"}
UNIT = {"gpu": 1, "cpu": 1, "memory": 2**30}
"""What one weight is for: a GPU, a core, a GiB."""


@dataclass(frozen=True)
class Rules:
    """`weights`: component -> weight; `size`: component -> how much of it the machine has, or empty if unknown."""

    weights: dict
    size: dict
    basis: str
    idle: str


def fraction(value):
    return Fraction(str(value))


def hours_of(sample):
    """(hour, its part of the sample, its part that the sample fills)."""
    hour = sample.start.replace(minute=0, second=0, microsecond=0)
    while hour < sample.end:
        low, high = max(hour, sample.start), min(hour + HOUR, sample.end)
        yield (
            hour,
            Fraction((high - low) / timedelta.resolution)
            / Fraction((sample.end - sample.start) / timedelta.resolution),
            Fraction((high - low) / timedelta.resolution) / Fraction(HOUR / timedelta.resolution),
        )
        hour += HOUR


def divide(start, end, samples, elsewhere, rules):
    """Holder -> part of the charge [start, end) of a scraped machine.

    `samples` are the machine's own, each thing once at a time; `elsewhere` are of other machines of the same meter.
    """
    amounts, ceiling, seen, watched = _by_hour(samples, elsewhere)
    if not samples:
        return None
    effective = _effective(amounts, rules.basis)
    life = min(seen), max(seen)
    hours = [hour for hour in _hours(start, end) if life[0] <= hour <= life[1]]
    overlap = {hour: (min(end, hour + HOUR) - max(start, hour)) / HOUR.resolution for hour in _hours(start, end)}
    part = {hour: Fraction(overlap[hour]) / Fraction(HOUR / HOUR.resolution) for hour in overlap}
    alive = sum((part[hour] * seen.get(hour, 0) for hour in hours), Fraction(0))
    looked = min(watched), max(watched)
    blind = [hour for hour in part if not looked[0] <= hour <= looked[1]]
    missing = sum((part[hour] * (1 - watched.get(hour, 0)) for hour in {*hours, *blind}), Fraction(0))
    use = defaultdict(Fraction)
    for (work, component, hour), amount in effective.items():
        if hour in part:
            use[component, work] += amount * part[hour]
    capacity = _capacity(ceiling, part, alive, rules)
    measured = {component for _, component, _ in effective} | {part for (part, _), size in ceiling.items() if size > 0}
    return _stack(
        use, capacity, measured, unseen=missing / (alive + missing) if alive + missing else Fraction(0), rules=rules
    )


def _by_hour(samples, elsewhere):
    amounts, ceiling = defaultdict(Fraction), defaultdict(Fraction)
    told = defaultdict(Fraction)
    for sample in samples:
        for hour, share, filled in hours_of(sample):
            work = sample.workload.id if sample.workload else None
            key = (work, COMPONENT[sample.measure], hour)
            if work is None:
                ceiling[key[1], hour] += share * fraction(sample.quantity)
            else:
                amounts.setdefault(key, defaultdict(Fraction))
                amounts[key][sample.basis] += share * fraction(sample.quantity)
            told[hour, work, sample.measure, sample.basis, sample.key] += _looked_at(filled, sample)
    seen = defaultdict(Fraction)
    for (hour, *_), filled in told.items():
        seen[hour] = max(seen[hour], min(filled, 1))
    watched = dict(seen)
    for sample in [*samples, *elsewhere]:
        for hour, _, _ in hours_of(sample):
            watched[hour] = max(watched.get(hour, Fraction(0)), _looked_at(Fraction(1), sample))
    return amounts, ceiling, seen, watched


def _looked_at(filled, sample):
    """The part of an hour that was looked at, in whole ten-thousandths: as coverage is stored."""
    return Fraction(int(filled * fraction(sample.coverage) * 10_000), 10_000)


def _effective(amounts, basis):
    found = {}
    for key, by_basis in amounts.items():
        asked, took, guessed = (by_basis.get(each) for each in (Basis.REQUESTED, Basis.USED, Basis.ESTIMATED))
        known = [each for each in (asked, took) if each is not None]
        first = {"max": max(known, default=None), "requested": asked, "used": took}[basis]
        amount = next(each for each in (first, *known, guessed) if each is not None)
        if amount > 0:
            found[key] = amount
    return found


def _capacity(ceiling, part, alive, rules):
    capacity = {name: size * alive * 3600 for name, size in rules.size.items()}
    said = defaultdict(Fraction)
    for (component, hour), amount in ceiling.items():
        if hour in part:
            said[component] += amount * part[hour]
    return capacity | dict(said)


def _stack(use, capacity, measured, *, unseen, rules):
    used = defaultdict(Fraction)
    for (component, _), amount in use.items():
        used[component] += amount
    there = [each for each in measured if used[each] > 0 or capacity.get(each, 0) > 0]
    if not there:
        return {"unmetered": Fraction(1)}
    # a component weighs what the machine has of it, or where that is unknown what was used of it
    worth = {each: rules.weights[each] * (capacity.get(each, 0) or used[each]) / UNIT[each] for each in there}
    if not sum(worth.values()):
        worth = dict.fromkeys(there, Fraction(1))
    parts = defaultdict(Fraction)
    for component in there:
        width = (1 - unseen) * worth[component] / sum(worth.values())
        base = max(used[component], capacity.get(component, 0))
        if rules.idle == "workloads" and used[component] > 0:
            base = used[component]
        for (of, work), amount in use.items():
            if of == component:
                parts[work] += width * amount / base
    parts["idle"] = 1 - unseen - sum(parts.values())
    parts["unmetered"] = unseen
    return {name: part for name, part in parts.items() if part > 0}


def _hours(start, end):
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < end:
        yield hour
        hour += HOUR
