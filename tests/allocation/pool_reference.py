"""Shared cost once more, in plain Python: what the SQL of `allocation.pooling` must give, to the last digit.

Deliberately simple and slow: whole numbers, fractions, and every cell looks through all rows. Amounts are quanta,
quantities of use are billionths of a unit. What the rules leave open is so here:

- What a row does not say about a field of `within` is a value like others; the account is the sub account, or else the
  billing account. Use says nothing of service, invoice, region and billing account.
- Receivers and their bases are of rows that no pool matches, whether or not the pool then found anybody to give to.
- Who used the measure that a pool counts is a receiver too, with or without a row of cost.
- Costs that agree in cell, reported fields and origin are added before they are divided.
- A row is taken whole: where a part of it finds nobody, all of it stays.
- What a pool got from others always finds wider cells, whatever its `leftover`. A pool takes part in another only in
  currencies in which it can give on what it gets: where somebody weighs in its widest cell.
- What others gave weighs with `with_shared` for receivers with rows of their own, and in cells of the whole month.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.allocation.pool_facts import (
    NOBODY,
    REPORTED,
    Cell,
    Charge,
    Flow,
    Hours,
    Metrics,
    Overlap,
    Row,
    Sharing,
    To,
    Use,
    add,
    floor,
    meets,
    owned,
    piece,
)
from tests.allocation.pool_weights import counted, equations, placed, tiled, weighed

from apportion.core.targets import COLUMNS, UNALLOCATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from apportion.core.config import Pool, TableRow

GRAINS = {
    "business_unit": ("business_unit",),
    "team": ("business_unit", "team"),
    "project": ("business_unit", "team", "project"),
    "model": tuple(COLUMNS),
    "job": tuple(COLUMNS),
}
USAGE = ("proportional_usage", "tiered", "peak", "shapley")
STATED = ("even", "fixed", "table")


# -- weights


# -- what a pool asks of rows, use and what others gave


def named(owner: Mapping[str, str]) -> To:
    return 0, (*(owner.get(name, UNALLOCATED) for name in COLUMNS), None, None)


def fits(pool: Pool, of: Row | Use | Flow, keys: tuple[str, ...]) -> bool:
    """Whether it agrees with a cell in the values of `within` that hold there."""
    return tuple(of.says(name) for name in pool.within[: len(keys)]) == keys


def within(pool: Pool, row: Row, bucket: datetime | None) -> list[Charge]:
    return [charge for charge in row.charges if bucket is None or charge.bucket(pool.time) == bucket]


def count(sums: dict[To, Hours], to: To, hour: datetime | None, size: int) -> None:
    hours = sums.setdefault(to, {})
    hours[hour] = hours.get(hour, 0) + size


def in_force(line: TableRow, time: str, bucket: datetime | None, month: datetime) -> bool:
    """Whether a line of a table counts in a time: where it lies within the time, or all the time within it."""
    if bucket and time == "hour":
        return (line.since is None or line.since <= bucket.date()) and (
            line.until is None or bucket.date() < line.until
        )
    begin = bucket or month
    end = begin + timedelta(days=1) if bucket else (begin + timedelta(days=31)).replace(day=1)
    since, until = line.since or begin.date(), line.until or end.date()
    inside = begin.date() <= since and until <= end.date()
    return inside or (since <= begin.date() and end.date() <= until)


# -- the stage


def share_out(rows: Sequence[Row], uses: Sequence[Use], pools: Iterable[Pool]) -> Sharing:
    """What the pools take and give; raises `Overlap`."""
    return _Stage(rows, uses, dict(enumerate(sorted(pools, key=lambda pool: (pool.stage, pool.id)), 1))).run()


@dataclass
class _Stage:
    rows: Sequence[Row]
    uses: Sequence[Use]
    pools: dict[int, Pool]
    claims: dict[int, int] = field(default_factory=dict)
    given: Sharing = field(default_factory=Sharing)
    asked: list[int] = field(default_factory=list)

    def run(self) -> Sharing:
        for row in self.rows:
            self._claim(row)
        done: set[int] = set()
        for no in self.pools:
            circle = self._circle(no) if no not in done else []
            solved = self._solved(circle)
            costs = {member: self._costs(member, solved) for member in circle}
            for member in circle:
                self._give(member, costs[member])
            done |= set(circle)
        return self.given

    def _circle(self, no: int) -> list[int]:
        """The pools that this one feeds and is fed by, directly or not; alone where there are none."""
        fed = {one: self._fed_by(one) for one in self.pools}
        return [one for one in self.pools if one == no or (one in fed[no] and no in fed[one])]

    def _fed_by(self, no: int) -> set[int]:
        found: set[int] = set()
        more = {no}
        while more:
            ids = {share.pool for one in more for share in self.pools[one].to_pools}
            more = {other for other, pool in self.pools.items() if pool.id in ids} - found
            found |= more
        return found

    # who takes what

    def _claim(self, row: Row) -> None:
        mine = [n for n, p in self.pools.items() if meets(p.when.charge, row) and owned(p.when, row)]
        first = [n for n in mine if self.pools[n].stage == self.pools[mine[0]].stage]
        if len(first) > 1:
            raise Overlap(self.pools[first[0]].id, self.pools[first[1]].id)
        if first:
            self.claims[row.no] = first[0]

    def _claimed(self, no: int | None) -> list[Row]:
        return [row for row in self.rows if self.claims.get(row.no) == no]

    # who takes part, with what basis

    def _takes_part(self, pool: Pool, of: Row | Use) -> bool:
        known = of.owner["team"] not in (UNALLOCATED, "idle") and of.kind != "idle"
        charge = meets(pool.receivers.charge, of) if isinstance(of, Row) else True
        return known and charge and owned(pool.receivers, of)

    def _everybody(self, pool: Pool) -> list[To]:
        """All receivers of a pool, owners only."""
        if pool.split or pool.table_rows:
            return [named(each.owner) for each in (*pool.split, *pool.table_rows)]
        found: list[Row | Use] = [*self._claimed(None)]
        found += [use for use in self.uses if pool.method in USAGE and use.measure == pool.basis]
        return [self._receiver(pool, of) for of in found if self._takes_part(pool, of)]

    def _basis(self, no: int, currency: str, keys: tuple[str, ...], bucket: datetime | None) -> dict[To, Hours]:
        """What counts of each receiver in a cell, by hour where it is use; pools that take part among them."""
        pool = self.pools[no]
        sums = self._owners(pool, currency, keys, bucket)
        for share in pool.to_pools:
            other = next(n for n, each in self.pools.items() if each.id == share.pool)
            if self._can_give(other, currency):
                mine = self._of_pool(pool, other, currency, keys, bucket)
                sums[other, ()] = {None: share.weight} if pool.method in STATED else mine
        return sums

    def _owners(self, pool: Pool, currency: str, keys: tuple[str, ...], bucket: datetime | None) -> dict[To, Hours]:
        sums: dict[To, Hours] = {}
        if pool.method in STATED and pool.split:
            return {named(share.owner): {None: share.weight} for share in pool.split}
        if pool.method == "table":
            for line in (each for each in pool.table_rows if in_force(each, pool.time, bucket, self._month)):
                count(sums, named(line.owner), None, line.weight)
            return sums
        if pool.method in USAGE:
            for use in (each for each in self._used(pool, keys, bucket) if self._takes_part(pool, each)):
                count(sums, self._receiver(pool, use), use.hour, use.quantity)
            return sums
        rows = [row for row in self._claimed(None) if self._takes_part(pool, row) and fits(pool, row, keys)]
        for row, charge in ((mine, one) for mine in rows for one in within(pool, mine, bucket)):
            if pool.method == "even":
                sums[self._receiver(pool, row)] = {None: 1}
            elif row.currency == currency:
                counts = meets(pool.basis_when, row)
                count(sums, self._receiver(pool, row), None, (charge.metrics.get(pool.basis) or 0) * counts)
        self._add_shared(sums, pool, currency, keys if pool.with_shared and bucket is None else None)
        return sums

    def _add_shared(self, sums: dict[To, Hours], pool: Pool, currency: str, keys: tuple[str, ...] | None) -> None:
        """What earlier stages gave to receivers that have rows of their own; nothing where `keys` is None."""
        stages = {each.id: each.stage for each in self.pools.values()}
        taking_part = set(self._everybody(pool))
        for flow in self.given.flows if keys is not None else []:
            if not flow.to[0] and stages[flow.path[-1]] < pool.stage and flow.currency == currency:
                to = self._receiver(pool, flow)
                if to in taking_part and fits(pool, flow, keys):
                    count(sums, to, None, flow.metrics.get(pool.basis) or 0)

    def _of_pool(self, pool: Pool, other: int, currency: str, keys: tuple[str, ...], bucket: datetime | None) -> Hours:
        """What another pool matched: its cost, or what the workloads of its rows used."""
        sums: dict[To, Hours] = {NOBODY: {}}
        jobs = {row.job for row in self._claimed(other) if row.job is not None}
        for use in self._used(pool, keys, bucket) if pool.method in USAGE else []:
            if use.job in jobs:
                count(sums, NOBODY, use.hour, use.quantity)
        for row in self._claimed(other) if pool.method not in USAGE else []:
            if row.currency == currency and fits(pool, row, keys):
                for charge in within(pool, row, bucket):
                    count(sums, NOBODY, None, charge.metrics.get(pool.basis) or 0)
        return sums[NOBODY]

    def _used(self, pool: Pool, keys: tuple[str, ...], bucket: datetime | None) -> list[Use]:
        found = [use for use in self.uses if use.measure == pool.basis and fits(pool, use, keys)]
        return [use for use in found if bucket is None or floor(use.hour, pool.time) == bucket]

    def _can_give(self, no: int, currency: str) -> bool:
        if no in self.asked:  # round a circle: somebody else has to weigh
            return False
        self.asked.append(no)
        cell = self._cell(no, currency, (), None, own=False)
        self.asked.remove(no)
        return cell is not None

    def _receiver(self, pool: Pool, of: Row | Use | Flow) -> To:
        targets = [of.owner[name] if name in GRAINS[pool.grain] else UNALLOCATED for name in COLUMNS]
        return 0, (*targets, of.kind, of.job) if pool.grain == "job" else (*targets, None, None)

    @property
    def _month(self) -> datetime:
        return floor(self.rows[0].charges[0].start, "month")

    # cells

    def _cell(
        self, no: int, currency: str, keys: tuple[str, ...], bucket: datetime | None, *, own: bool
    ) -> Cell | None:
        """The narrowest cell in which somebody weighs, as far as the pool may look."""
        pool = self.pools[no]
        wider = pool.leftover == "wider" or not own
        levels = [(keys, bucket)] if bucket else []
        levels += [(keys[:length], None) for length in range(len(keys), -1 if wider else len(keys) - 1, -1)]
        for asked, time in levels:
            basis = self._basis(no, currency, asked, time)
            parts, whole = placed(weighed(pool, basis), {to: counted(pool, hours) for to, hours in basis.items()})
            if whole:
                return Cell(pool.id, currency, asked, time, "", parts, whole)
        last = {"even": self._everybody(pool), "owner": [named(pool.leftover_owner)]}.get(pool.leftover, [])
        parts, whole = placed(dict.fromkeys(last, 1), dict.fromkeys(last, 1))
        return Cell(pool.id, currency, (), None, pool.leftover, parts, whole) if whole else None

    # what pools give

    def _costs(self, no: int, solved: Callable[[Cell], Cell]) -> list[tuple[Flow, Cell]]:
        """What the pool took itself and got from others, added up, each with its cell; fills in `taken`."""
        pool = self.pools[no]
        sums: dict[tuple, Metrics] = {}
        for row in self._claimed(no):
            keys = tuple(row.says(name) for name in pool.within)
            cells = [(c, self._cell(no, row.currency, keys, c.bucket(pool.time), own=True)) for c in row.charges]
            for charge, found in cells if all(cell for _, cell in cells) else []:
                cell = solved(found)
                reported = tuple(row.fields.get(name) for name in REPORTED)
                origin = row.owner["team"], "idle" if row.kind == "idle" else None
                add(sums.setdefault((reported, row.currency, origin, cell), {}), charge.metrics)
                add(self.given.taken.setdefault((row.no, pool.id, cell), {}), charge.metrics)
        costs = [(Flow(*of, (), NOBODY, metrics), cell) for (*of, cell), metrics in sums.items()]
        for flow in [each for each in self.given.flows if each.to == (no, ())]:
            keys = tuple(flow.says(name) for name in pool.within)
            costs.append((flow, solved(self._cell(no, flow.currency, keys, None, own=False))))
        return costs

    def _solved(self, circle: list[int]) -> Callable[[Cell], Cell]:
        """What a cell of a pool of the circle becomes when what comes back is given on until nothing comes back."""
        if not any(no in self._fed_by(no) for no in circle):
            return lambda cell: cell

        def solved(cell: Cell) -> Cell:
            cells = {no: self._cell(no, cell.currency, (), None, own=False) for no in circle}
            able = {no: found for no, found in cells.items() if found}
            row = equations(able)[next(no for no, found in able.items() if found.pool == cell.pool)]
            return replace(cell, **tiled(row))

        return solved

    def _give(self, no: int, costs: list[tuple[Flow, Cell]]) -> None:
        for flow, cell in costs:
            self.given.cells += [] if cell in self.given.cells else [cell]
            for part in cell.parts:
                if part.high > part.low:
                    metrics = {name: piece(amount, part, cell.whole) for name, amount in flow.metrics.items()}
                    path = (*flow.path, self.pools[no].id)
                    self.given.flows.append(replace(flow, path=path, to=part.to, metrics=metrics))
