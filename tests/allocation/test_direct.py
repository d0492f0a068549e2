from __future__ import annotations

import random
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.allocation.bills import FIRST, LAST, Bill, bills, write

from apportion.allocation import direct
from apportion.allocation.statements import PIECES
from apportion.core import focus
from apportion.core.money import QUANTUM, from_quanta, piece, quanta
from apportion.engine.select import engine
from apportion.errors import NotConserved


def allocated(bill: Bill, name: str = "duckdb", url: str | None = None):
    with TemporaryDirectory() as folder, engine(name, url=url) as worker:
        return direct.allocate(worker, **write(bill, Path(folder)))


def added(amounts: list[Decimal]) -> Decimal:
    """An exact sum: Python's default context would round to 28 digits."""
    return from_quanta(sum(quanta(amount) for amount in amounts))


def by_reference(bill: Bill) -> dict[tuple[int, int], dict[str, Decimal | None]]:
    """The same sums by `core.money.piece`, charge by charge in Python."""
    sums: dict = defaultdict(dict)
    for number, start, metrics in bill.charges:
        (window,) = [w for w in bill.windows[number] if w[0] <= start < w[1]]
        weights = window[2]
        for i in range(len(weights)):
            low, high = sum(weights[:i]), sum(weights[: i + 1])
            key = (number, i + 1)
            for metric, amount in metrics.items():
                had = sums[key].setdefault(metric, None)
                if amount is not None:
                    sums[key][metric] = added([had or Decimal(0), piece(amount, low, high, sum(weights))])
    return dict(sums)


@settings(max_examples=60, deadline=None)
@given(bills())
def test_every_metric_is_conserved_and_the_sql_equals_the_python_reference(bill):
    table = allocated(bill)
    found = {(row["x_AttributeNo"], row["x_OwnerNo"]): {m: row[m] for m in focus.METRICS} for row in table.to_pylist()}
    assert found == by_reference(bill)
    for metric in focus.METRICS:
        came = [metrics[metric] for _, _, metrics in bill.charges if metrics[metric] is not None]
        assert direct.totals(table).get("USD", {}).get(metric) == (added(came) if came else None)
    assert direct.charge_count(table) == len(bill.charges)


@settings(max_examples=30, deadline=None)
@given(bills())
def test_each_piece_is_within_one_quantum_of_its_fair_part_and_has_the_sign_of_the_charge(bill):
    with TemporaryDirectory() as folder, engine("duckdb") as worker:
        for name, path in write(bill, Path(folder)).items():
            worker.read_parquet(name, [path])
        pieces = worker.ask(PIECES).to_pylist()
    for row in pieces:
        for metric in focus.METRICS:
            if row[f"{metric}_whole"] is None:
                assert row[metric] is None
                continue
            fair = Fraction(row[f"{metric}_whole"]) * (row["x_ShareHigh"] - row["x_ShareLow"]) / row["x_ShareWhole"]
            assert abs(Fraction(row[metric]) - fair) < Fraction(QUANTUM)
            assert row[metric] == 0 or (row[metric] > 0) == (row[f"{metric}_whole"] > 0)


@settings(max_examples=20, deadline=None)
@given(bills(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(bill, shuffler: random.Random):
    shuffled = list(bill.charges)
    shuffler.shuffle(shuffled)
    assert allocated(Bill(shuffled, bill.windows)).equals(allocated(bill))


@settings(max_examples=12, deadline=None)
@given(bills())
def test_spark_gives_the_same_digits_as_duckdb(spark_url, bill):
    assert allocated(bill, "spark", spark_url).equals(allocated(bill))


def test_a_credit_mirrors_a_charge():
    windows = {1: [(FIRST, LAST, [1, 1, 1])]}
    day = datetime(2026, 10, 1)
    charge = {m: Decimal("0.01") for m in focus.METRICS}
    credit = {m: Decimal("-0.01") for m in focus.METRICS}
    table = allocated(Bill([(1, day, charge), (1, day, credit)], windows))
    assert set(table["BilledCost"].to_pylist()) == {Decimal(0)}


def test_a_cent_divided_by_three_leaves_no_remainder():
    bill = Bill(
        [(1, datetime(2026, 10, 1), dict.fromkeys(focus.METRICS, Decimal("0.01")))], {1: [(FIRST, LAST, [1, 1, 1])]}
    )
    assert [str(x) for x in allocated(bill)["BilledCost"].to_pylist()] == [
        "0.003333333333333333",
        "0.003333333333333333",
        "0.003333333333333334",
    ]


def test_lost_money_is_refused_and_says_where():
    before, after = {"USD": {"BilledCost": Decimal("1.10")}}, {"USD": {"BilledCost": Decimal("1.00")}}
    with pytest.raises(
        NotConserved, match=r"aws 2026-10: BilledCost in USD was 1.1 and became 1\. Nothing was published"
    ):
        direct.require_conserved(before, after, rows_before=1, rows_after=1, where="aws 2026-10")


def test_a_lost_charge_of_no_money_is_refused_too():
    with pytest.raises(NotConserved, match="2 charges came in and 1 went out"):
        direct.require_conserved({}, {}, rows_before=2, rows_after=1, where="aws 2026-10")


def test_a_currency_that_appears_from_nowhere_is_refused():
    with pytest.raises(NotConserved, match="ListCost in EUR was nothing and became 2"):
        direct.require_conserved({}, {"EUR": {"ListCost": Decimal(2)}}, rows_before=0, rows_after=0, where="x")


def test_the_written_allocations_are_the_same_bytes_with_one_thread_and_two(tmp_path):
    from apportion.engine import duck

    rng = random.Random(11)  # noqa: S311
    charges = [
        (rng.randint(1, 3), datetime(2026, 10, 1), {m: Decimal(rng.randint(-9999, 9999)) / 1000 for m in focus.METRICS})
        for _ in range(5000)
    ]
    paths = write(Bill(charges, {n: [(FIRST, LAST, [3, 2, 1][:n])] for n in (1, 2, 3)}), tmp_path)
    written = []
    for threads in (1, 2):
        with duck.session(threads=threads) as db:
            pq.write_table(direct.allocate(db, **paths), tmp_path / f"{threads}.parquet")
        written.append((tmp_path / f"{threads}.parquet").read_bytes())
    assert written[0] == written[1]
