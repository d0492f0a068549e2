"""How much the shares of metered machines depend on the weights of a GPU-hour, a core-hour and a GiB-hour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from apportion.allocation import direct, owners
from apportion.allocation.weighing import weighed
from apportion.core import focus
from apportion.core.config_file import parse_config
from apportion.core.money import from_quanta, quanta
from apportion.core.progress import Progress, silent
from apportion.core.tables import quoted
from apportion.core.targets import COLUMNS
from apportion.engine import duck
from apportion.errors import UnknownName
from apportion.ledger.held import held_parts
from apportion.ledger.metered import months_of, share_out
from apportion.metering.weights import SHIPPED
from apportion.tagging.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal
    from pathlib import Path

    from apportion.core.config import Config
    from apportion.core.period import Period
    from apportion.engine.duck import DuckDb
    from apportion.store import Store
    from apportion.store.records import Part, Run

AMOUNTS = """
SELECT BillingCurrency, {column}, SUM({metric})
FROM amounts_of
WHERE {metric} IS NOT NULL
GROUP BY ALL
ORDER BY BillingCurrency, {column}
"""

METERED = "SELECT count(*) FROM amounts_of WHERE x_WorkloadKind IS NOT NULL"

_BILLION = 10**9

_Amounts = dict[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class OwnerRange:
    """What one owner gets under each set of weights; `current` is what the run gives. Exact."""

    currency: str
    owner: str
    current: Decimal
    by_set: Mapping[str, Decimal]

    @property
    def lowest(self) -> Decimal:
        """The least that any set gives."""
        return min(self.by_set.values())

    @property
    def highest(self) -> Decimal:
        """The most that any set gives."""
        return max(self.by_set.values())

    @property
    def spread(self) -> Decimal:
        """How far the most and the least are apart."""
        return from_quanta(quanta(self.highest) - quanta(self.lowest))

    def sets(self, amount: Decimal) -> tuple[str, ...]:
        """The sets that give exactly this amount, by name."""
        return tuple(sorted(name for name, given in self.by_set.items() if given == amount))


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Every owner's amounts, those that differ most first; `current` is the name of the set that the run used.

    `fixed` names machine types whose weights are set one by one ([metering.machine_weights]): no set changes them.
    """

    run_id: str
    dimension: str
    metric: str
    current: str
    sets: tuple[str, ...]
    owners: tuple[OwnerRange, ...]
    fixed: tuple[str, ...]

    @property
    def matters(self) -> bool:
        """Whether a set changes anybody's amount by more than a billionth: less is how wholes are rounded."""
        return any(quanta(each.spread) * _BILLION > abs(quanta(each.highest)) for each in self.owners)


def sensitivity(
    store: Store,
    run: Run,
    *,
    by: str,
    period: Period,
    metric: str,
    memory: str = "2GB",
    progress: Progress = silent,
) -> Sensitivity:
    """What each owner would get under every shipped and configured weight set, all else as the run had it.

    Nothing is stored. Bills without metered pieces are not calculated again, for no weights divide them. Raises
    `UnknownName` for a dimension or a metric that there is not, `NoData` where the run holds no bill of the period.
    """
    if metric not in focus.COSTS:
        raise UnknownName("cost metric", metric, focus.COSTS)
    config = weighed(parse_config(run.config))
    sets = tuple(sorted({**SHIPPED, **config.metering.weight_sets}))
    asked = _Asked(store, run, config, sets, _column(by), metric, memory)
    current: _Amounts = {}
    found: dict[str, _Amounts] = {name: {} for name in sets}
    parts = held_parts(run, period)
    for done, part in enumerate(parts):
        progress(f"weighing {part.period}", done, len(parts))
        as_stored, given = _of_part(asked, part)
        _add(current, as_stored)
        for name in sets:
            _add(found[name], given.get(name, as_stored))
    progress("weighing", len(parts), len(parts))
    fixed = tuple(sorted(config.metering.machine_weights))
    return Sensitivity(run.id, by, metric, config.metering.weights, sets, _ranges(current, found), fixed)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The question: what the allocations are grouped and summed by, and all that they are made of."""

    store: Store
    run: Run
    config: Config
    sets: tuple[str, ...]
    column: str
    metric: str
    memory: str


def _column(by: str) -> str:
    name = by.replace("-", "_")
    if name not in COLUMNS:
        raise UnknownName("dimension", by, [known.replace("_", "-") for known in COLUMNS])
    return COLUMNS[name]


def _of_part(asked: _Asked, part: Part) -> tuple[_Amounts, dict[str, _Amounts]]:
    """The amounts as the run has them, and by weight set where usage divides anything of the part."""
    store, given = asked.store, {}
    snapshot = store.snapshot(part.snapshot_id)
    charges, attributes = store.checked(snapshot.charges), store.checked(snapshot.attributes)
    with duck.session(memory=asked.memory, temp=store.stage()) as db:
        db.read_parquet("amounts_of", [store.checked(part.allocations)])
        as_stored = _amounts(db, asked)
        ((metered,),) = db.rows(METERED)
        usages = _usages(asked, charges) if metered else []
        if not usages:
            return as_stored, {}
        folder = store.stage()
        resolved = resolve(db, attributes, asked.config)
        for name in asked.sets:
            db.read_parquet("charges", [charges])
            metering = replace(asked.config.metering, weights=name)
            share_out(db, replace(asked.config, metering=metering), resolved, usages, folder)
            shares, owned = folder / "shares.parquet", folder / "owners.parquet"
            owners.write(db, shares=shares, owners=owned)
            allocated = direct.allocate(db, charges=charges, attributes=attributes, shares=shares, owners=owned)
            db.register("allocated", allocated)
            db.run("CREATE OR REPLACE TEMP VIEW amounts_of AS SELECT * FROM allocated")
            given[name] = _amounts(db, asked)
    return as_stored, given


def _usages(asked: _Asked, charges: Path) -> list[Part]:
    """The usage that divided these charges, its files checked."""
    months = months_of(charges)
    usages = sorted((usage for usage in asked.run.usages if usage.period in months), key=lambda usage: usage.period)
    for usage in usages:
        for file in usage.stored:
            asked.store.checked(usage.folder / file.name)
    return usages


def _amounts(db: DuckDb, asked: _Asked) -> _Amounts:
    sql = AMOUNTS.format(column=quoted(asked.column), metric=quoted(asked.metric))
    return {(currency, owner): quanta(amount) for currency, owner, amount in db.rows(sql)}


def _add(total: _Amounts, more: _Amounts) -> None:
    for key, amount in more.items():
        total[key] = total.get(key, 0) + amount


def _ranges(current: _Amounts, found: Mapping[str, _Amounts]) -> tuple[OwnerRange, ...]:
    keys = sorted({*current, *(key for amounts in found.values() for key in amounts)})
    ranges = [
        OwnerRange(
            currency,
            owner,
            from_quanta(current.get((currency, owner), 0)),
            {name: from_quanta(amounts.get((currency, owner), 0)) for name, amounts in found.items()},
        )
        for currency, owner in keys
    ]
    return tuple(sorted(ranges, key=lambda each: (each.currency, -quanta(each.spread), each.owner)))
