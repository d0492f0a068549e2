"""How much of a resource is used on each day of a month: thousandths of its unit, from a seed and nothing else."""

from __future__ import annotations

import calendar
import hashlib
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

from apportion.demo.acme.company import WHOLE, Owner, trend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apportion.core.period import Month

DAY_HOURS = 24


class Pattern(Enum):
    """The rhythm of a resource over a month; what `Resource.daily` counts depends on it (in thousandths)."""

    MACHINES = "whole machines, all day; daily = machines"
    STEADY = "a little up and down every day; daily = units"
    WORKDAYS = "Monday to Friday only; daily = units"
    BURST = "now and then for hours, each time under a new name; daily = units of one run"
    SLEEPS_SUNDAY = "all day, on Sundays half of it; daily = machines"
    MONTHLY = "once, on the first; daily = units"


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that costs money: a machine, an endpoint, a bucket. `sku` names it in its provider's price list."""

    name: str
    sku: str
    place: str
    owner: Owner
    habit: str
    daily: int
    pattern: Pattern = Pattern.STEADY


@dataclass(frozen=True, slots=True)
class Plan:
    """What all writers of one company share: its last month, the seed, and how many times each resource exists."""

    last: Month
    months: int
    seed: int
    scale: int = 1

    def __iter__(self) -> Iterator[Month]:
        return (self.last.plus(back) for back in range(1 - self.months, 1))

    def age(self, month: Month) -> int:
        """Months from that month to the last one of the bill."""
        return (self.last.year - month.year) * 12 + self.last.month - month.month

    def scaled(self, resources: tuple[Resource, ...]) -> Iterator[Resource]:
        """Each resource `scale` times; the copies carry a number behind their name."""
        for resource in resources:
            yield resource
            for copy in range(2, self.scale + 1):
                yield replace(resource, name=f"{resource.name}-{copy}")


def digest(*words: object) -> str:
    """Sixteen hex digits that only depend on the words: the source of ids and of chance."""
    return hashlib.blake2b("|".join(map(str, words)).encode(), digest_size=8).hexdigest()


def chance(below: int, *words: object) -> int:
    """A whole number from 0 to `below` - 1 that only depends on the words."""
    return int(digest(*words), 16) % below


def thousandths(spread: int, *words: object) -> int:
    """A factor between 1000 - spread and 1000 + spread thousandths that only depends on the words."""
    return 1000 - spread + chance(2 * spread + 1, *words)


def days_of(month: Month) -> int:
    """How many days the month has."""
    return calendar.monthrange(month.year, month.month)[1]


def weekday(month: Month, day: int) -> int:
    """0 for a Monday up to 6 for a Sunday."""
    return calendar.weekday(month.year, month.month, day)


def uses(resource: Resource, month: Month, plan: Plan) -> Iterator[tuple[int, Decimal, str]]:
    """The days on which the resource costs something: (day, quantity, name), the name being new for each burst."""
    level = trend(resource.owner.model, age=plan.age(month), month=month.month)
    if not level:
        return
    for day in range(1, days_of(month) + 1):
        thousandth = _daily(resource, level, (plan.seed, resource.name, resource.sku, month, day), weekday(month, day))
        if thousandth:
            yield day, Decimal(thousandth).scaleb(-3), _run_name(resource, month, day)
        if resource.pattern is Pattern.MONTHLY:
            return


def _run_name(resource: Resource, month: Month, day: int) -> str:
    if resource.pattern is not Pattern.BURST:
        return resource.name
    return f"{resource.name}-{month.year:04d}{month.month:02d}{day:02d}-{digest(resource.name, month, day)[:4]}"


def _daily(resource: Resource, level: int, words: tuple[object, ...], on: int) -> int:
    wanted = resource.daily * level // WHOLE
    saturday, sunday = 5, 6
    match resource.pattern:
        case Pattern.MACHINES:
            return _machines(wanted) * DAY_HOURS * 1000
        case Pattern.SLEEPS_SUNDAY:
            return _machines(wanted) * DAY_HOURS * 1000 // (2 if on == sunday else 1)
        case Pattern.WORKDAYS:
            return resource.daily * thousandths(150, *words) // 1000 if on < saturday else 0
        case Pattern.BURST:
            return wanted * thousandths(500, *words) // 1000 if chance(100, "run", *words) < _RUNS_IN_100_DAYS else 0
        case _:
            return wanted * thousandths(60, *words) // 1000


_RUNS_IN_100_DAYS = 20


def _machines(thousandth: int) -> int:
    return max(1, (thousandth + 500) // 1000)
