"""The bills of closed months replayed under proposed rules: who pays more, who less. Nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING

from apportion.allocation.weighing import weighed
from apportion.core.config import version_of
from apportion.core.config_file import parse_config
from apportion.core.money import from_quanta, plain, quanta
from apportion.core.progress import Progress, silent
from apportion.engine.select import engine
from apportion.errors import NoData, NotConserved
from apportion.ledger.held import held_parts
from apportion.ledger.metered import Metered, covered, measured_anew
from apportion.ledger.post import id_of_part, worked_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from decimal import Decimal

    from apportion.core.config import Config
    from apportion.core.period import Month, Period
    from apportion.store import Store
    from apportion.store.records import Run

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "tags": ("keys", "values", "policy"),
    "rules": (),
    "hierarchy": ("teams", "models"),
    "maps": ("accounts", "resource_groups"),
    "metering": ("basis", "idle", "weights", "weight_sets", "machine_weights", "machines", "tokens", "nodes"),
    "pools": (),
}
"""The tables of `apportion.toml` that decide who owns and shares a cost, and what is replaced one by one in each."""
NAMES = tuple(f"{table}.{key}" if key else table for table, keys in SETTINGS.items() for key in keys or ("",))
"""All of them by name, such as `hierarchy.teams` and `rules`."""

Amounts = dict[tuple[str, str], int]
"""Currency and owner -> quanta."""


class Fate(StrEnum):
    """What becomes of a rule."""

    NEW = "new"
    CHANGED = "changed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule or a pool (by its id) or a table (by its name) that is not what the run had, and both its versions."""

    kind: str
    id: str
    fate: Fate
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class OwnerChange:
    """What an owner pays in the run and would pay under the proposed rules. Exact."""

    currency: str
    owner: str
    before: Decimal
    after: Decimal

    @property
    def change(self) -> Decimal:
        """How much more it would pay."""
        return from_quanta(quanta(self.after) - quanta(self.before))


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Every owner, per currency those whose amount changes most first; `run_id` is the run compared with."""

    run_id: str
    period: Period
    dimension: str
    metric: str
    lens: str
    owners: tuple[OwnerChange, ...]
    rules: tuple[RuleChange, ...]
    notes: tuple[str, ...]


def replay(
    store: Store, run: Run, config: Config, period: Period, *, memory: str = "2GB", progress: Progress = silent
) -> Run:
    """What `post` would make of the bills of these months under `config`; its parts lie in staging folders or the lake.

    A part whose inputs do not change is the stored one. Nothing is published. Raises `NoData` where `run`, the current
    one, holds no bill of the period, or where bills, meters or methods are not any more what it was made of: then a
    difference would not be that of the rules.
    """
    held_parts(run, period)
    outdated = _outdated(store, run, period)
    if outdated:
        months = ", ".join(str(month) for month in sorted(outdated))
        what = f"Run {run.id} is not made of the bills, meters and methods of {months} as they are now."
        raise NoData(what, "Run 'apportion run' first, so that only the rules differ.")
    with engine("duckdb", url=None, memory=memory, temp=store.stage()) as worker:
        proposed, _ = worked_out(
            store, config, config_text=run.config, engine=worker, period=period, memory=memory, progress=progress
        )
    return proposed


def _outdated(store: Store, run: Run, period: Period) -> set[Month]:
    then = weighed(parse_config(run.config))
    snapshots = store.current_snapshots(period=period)
    usages = Metered({part.period: part for part in run.usages}, {})
    held = {part.id: part.period for part in run.parts if part.period in period}
    now = {id_of_part(each, then, usages.of(store, each)): each.scope.period for each in snapshots}
    bills = {months[part_id] for months, other in ((held, now), (now, held)) for part_id in months.keys() - other}
    return bills | measured_anew(store, run, then, covered(store, snapshots))


def compared(before: Amounts, after: Amounts, *, first: str) -> tuple[OwnerChange, ...]:
    """Both sides owner by owner, the currency `first` first; raises `NotConserved` unless their totals are equal."""
    _require_equal(before, after)
    changes = [
        OwnerChange(currency, owner, from_quanta(before.get(key, 0)), from_quanta(after.get(key, 0)))
        for key in {*before, *after}
        for currency, owner in [key]
    ]
    return tuple(
        sorted(changes, key=lambda c: (c.currency != first, c.currency, -abs(quanta(c.change)), c.owner)),
    )


def _require_equal(before: Amounts, after: Amounts) -> None:
    sums: dict[str, int] = {}
    for amounts, sign in ((before, 1), (after, -1)):
        for (currency, _), amount in amounts.items():
            sums[currency] = sums.get(currency, 0) + sign * amount
    for currency, difference in sorted(sums.items()):
        if difference:
            raise NotConserved(
                f"the proposed rules give out {plain(from_quanta(-difference))} {currency} more than the run"
            )


def rule_changes(run: Run, pools: Mapping[str, str], config: Config) -> tuple[RuleChange, ...]:
    """What of `config` is not as the run had it: tables, rules, pools. `pools`: id -> version, as the run has them."""
    then = parse_config(run.config)
    tables = {name: [version_of(repr(attrgetter(name)(each))) for each in (then, config)] for name in NAMES}
    found = [
        RuleChange("table", name, Fate.CHANGED, *versions)
        for name, versions in tables.items()
        if "." in name and versions[0] != versions[1]
    ]
    rules_then, rules_now = ({rule.id: rule.version for rule in each.rules} for each in (then, config))
    found += _changes("rule", rules_then, rules_now)
    if [name for name in rules_then if name in rules_now] != [name for name in rules_now if name in rules_then]:
        orders = (version_of(list(each)) for each in (rules_then, rules_now))
        found.append(RuleChange("table", "order of the rules", Fate.CHANGED, *orders))
    found += _changes("pool", pools, {pool.id: pool.version for pool in config.pools})
    return tuple(found)


def _changes(kind: str, then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[RuleChange]:
    for name, version in now.items():
        if name not in then:
            yield RuleChange(kind, name, Fate.NEW, None, version)
        elif then[name] != version:
            yield RuleChange(kind, name, Fate.CHANGED, then[name], version)
    yield from (RuleChange(kind, name, Fate.GONE, then[name], None) for name in then if name not in now)


def not_adopted(changes: Iterable[RuleChange], given: Iterable[str]) -> tuple[str, ...]:
    """The names of `NAMES` that the project's own file has changed since the run; `given`: those that are proposed."""
    tables = {"rule": "rules", "pool": "pools"}
    changed = {tables.get(each.kind, each.id if each.id in NAMES else "rules") for each in changes}
    return tuple(name for name in NAMES if name in changed - set(given))


def with_settings(config: Config, other: Config, names: Iterable[str]) -> Config:
    """The configuration with these settings (`NAMES`) of another in place of its own."""
    for name in names:
        table, _, key = name.partition(".")
        new = attrgetter(name)(other)
        config = replace(config, **{table: replace(getattr(config, table), **{key: new}) if key else new})
    return config
