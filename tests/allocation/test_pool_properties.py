from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.allocation.pool_cases import months, owner
from tests.allocation.pool_engine import MONTH, by_engine
from tests.allocation.pool_facts import REPORTED, Charge, Overlap, Row, add
from tests.allocation.pool_reference import share_out

from apportion.core.config import Condition, Pool, RowChoice
from apportion.errors import PoolsOverlap

if TYPE_CHECKING:
    from tests.allocation.pool_cases import Month
    from tests.allocation.pool_engine import Answer
    from tests.allocation.pool_facts import Cell

# Each month starts an engine. One found wrong is small as it is; making it smaller takes minutes.
FEW = settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])


def said(metrics) -> dict[str, int]:
    """Without the metrics that no charge had."""
    return {name: size for name, size in metrics.items() if size is not None}


def asked(month: Month) -> Answer:
    return by_engine(month.rows, month.uses, month.pools)


def plain(cell: Cell) -> tuple:
    """A cell of the reference as the engine's answer has it."""
    parts = tuple((part.to, part.low, part.high) for part in cell.parts if part.high > part.low)
    return cell.pool, cell.currency, cell.keys, cell.bucket, parts, cell.whole


def require_agreement(month: Month) -> None:
    wanted, found = share_out(month.rows, month.uses, month.pools), asked(month)
    taken = {(no, pool, plain(cell)): said(metrics) for (no, pool, cell), metrics in wanted.taken.items()}
    assert {key: said(metrics) for key, metrics in found.taken.items()} == taken
    shared = {key: said(metrics) for key, metrics in wanted.shared.items()}
    assert {key: said(metrics) for key, metrics in found.shared.items()} == shared


@FEW
@given(months())
def test_the_engine_gives_what_the_reference_gives(month):
    require_agreement(month)


@FEW
@given(months(negative=True))
def test_it_does_so_with_credits(month):
    require_agreement(month)


@FEW
@given(months(reciprocal=True))
def test_it_does_so_where_pools_give_to_each_other(month):
    require_agreement(month)


def sums(keyed) -> dict:
    found: dict = {}
    for key, metrics in keyed:
        add(found.setdefault(key, {}), metrics)
    return {key: said(metrics) for key, metrics in found.items()}


@FEW
@given(st.one_of(months(negative=True), months(reciprocal=True)))
def test_what_a_pool_takes_it_gives_to_the_last_digit(month):
    """Per pool, currency, metric and reported field; pools that it went through keep nothing."""
    found, rows = asked(month), {row.no: row for row in month.rows}
    taken = (
        ((tuple(rows[no].fields.get(name) for name in REPORTED), rows[no].currency, pool), metrics)
        for (no, pool, _), metrics in found.taken.items()
    )
    given_on = (((reported, currency, path[0]), m) for (reported, currency, _, path, _), m in found.shared.items())
    assert sums(given_on) == sums(taken)
    for pool in month.pools:
        before = sum(path[0] == pool.id for (_, _, _, path, _) in found.shared)
        assert bool(before) == any(name == pool.id for _, name, _ in found.taken)


@FEW
@given(months(negative=True))
def test_a_row_is_taken_whole_or_not_at_all(month):
    rows = {row.no: row for row in month.rows}
    for no, metrics in sums(((no, m) for (no, _, _), m in asked(month).taken.items())).items():
        assert metrics == sums((no, charge.metrics) for charge in rows[no].charges)[no]


@FEW
@given(st.one_of(months(), months(reciprocal=True)), st.randoms())
def test_the_order_of_rows_use_and_pools_changes_no_byte(month, chance):
    def shuffled(things):
        return tuple(chance.sample(things, len(things)))

    other = type(month)(shuffled(month.rows), shuffled(month.uses), shuffled(month.pools))
    first, second = asked(month).tables, asked(other).tables
    for name, table in first.items():
        assert sorted(map(repr, table.to_pylist())) == sorted(map(repr, second[name].to_pylist())), name


@FEW
@given(months())
def test_a_pool_that_takes_nothing_changes_nothing(month):
    empty = Pool("z", RowChoice(Condition({"service": ("nothing",)})), stage=99, basis="BilledCost", leftover="even")
    found, other = asked(month), by_engine(month.rows, month.uses, (*month.pools, empty))
    assert (other.taken, other.shared) == (found.taken, found.shared)


def test_two_pools_of_one_stage_may_not_take_the_same_row():
    row = Row(1, owner("ads"), "USD", {"service": "a"}, (Charge(MONTH, timedelta(hours=1), {"BilledCost": 5}),))
    one = Pool("one", RowChoice(equals={"team": ("ads",)}), basis="BilledCost")
    two = Pool("two", RowChoice(Condition({"service": ("a",)})), basis="BilledCost")
    with pytest.raises(PoolsOverlap, match=r"'one' and 'two' of stage 1 both take cost of a\."):
        by_engine([row], [], [two, one])
    with pytest.raises(Overlap):
        share_out([row], [], [two, one])
    later = replace(one, stage=2)
    assert by_engine([row], [], [later, two]).taken == {}
