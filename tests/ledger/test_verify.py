from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from tests.allocation.bills import bills, write

from apportion import app
from apportion.allocation import direct
from apportion.engine import duck
from apportion.errors import DamagedFile
from apportion.ledger import recount, verify


def test_a_right_result_is_certified(allocated):
    found = app.verify(allocated, files=True)
    assert found.passed
    assert found.charges == 8
    billed = {(b.period, b.came) for b in found.balances if b.metric == "BilledCost"}
    assert billed == {("2026-09", Decimal("100.00")), ("2026-10", Decimal("122.51"))}
    assert [file.state for file in found.files] == [
        "holds: BilledCost adds up to 100",
        "holds: BilledCost adds up to 122.51",
    ]


def test_the_certificate_is_the_same_text_twice_and_names_every_file(allocated):
    first, second = app.verify(allocated), app.verify(allocated)
    assert (first.text, first.sha256) == (second.text, second.sha256)
    for snapshot in allocated.store.current_snapshots():
        for file in snapshot.stored:
            assert f"file {snapshot.id}/{file.name} sha256 {file.sha256}" in first.text


def test_a_changed_stored_file_is_refused(allocated):
    path = allocated.store.current_snapshots()[0].charges
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFile, match="is not the file that was stored"):
        app.verify(allocated)


class Tampered:
    """A store whose allocations were changed by somebody who also mended the hashes."""

    def __init__(self, store, change, folder):
        self.store, self.change, self.folder = store, change, folder

    def snapshot(self, snapshot_id):
        return self.store.snapshot(snapshot_id)

    def checked(self, path):
        if path.name != "allocations.parquet":
            return self.store.checked(path)
        target = self.folder / f"{path.parent.name}.parquet"
        pq.write_table(self.change(pq.read_table(path)), target)
        return target


def with_amounts(table: pa.Table, amounts: list[Decimal]) -> pa.Table:
    place = table.column_names.index("BilledCost")
    return table.set_column(place, "BilledCost", pa.array(amounts, pa.decimal128(38, 18)))


def one_quantum_more(table: pa.Table) -> pa.Table:
    first, *others = table["BilledCost"].to_pylist()
    return with_amounts(table, [first + Decimal("1e-18"), *others])


def moved_between_owners(table: pa.Table) -> pa.Table:
    first, second, *others = table["BilledCost"].to_pylist()
    return with_amounts(table, [second, first, *others])


def named_otherwise(table: pa.Table) -> pa.Table:
    place = table.column_names.index("x_Team")
    return table.set_column(place, "x_Team", pa.array(["somebody"] * table.num_rows))


def test_a_result_that_names_another_owner_than_its_shares_is_found(allocated, tmp_path):
    run = allocated.store.current_run()
    found = verify.verify(Tampered(allocated.store, named_otherwise, tmp_path), replace(run, parts=run.parts[-1:]))
    assert any("the stored sums name another owner" in fault for fault in found.faults)


def one_share_lost(table: pa.Table) -> pa.Table:
    return table.slice(1)


@pytest.mark.parametrize("change", [one_quantum_more, moved_between_owners, one_share_lost])
def test_a_wrong_result_is_found_even_with_right_hashes(allocated, tmp_path, change):
    run = allocated.store.current_run()
    (october,) = [part for part in run.parts if str(part.period) == "2026-10"]
    found = verify.verify(Tampered(allocated.store, change, tmp_path), replace(run, parts=(october,)))
    assert not found.passed
    assert any("the stored sums are not the recounted ones" in fault for fault in found.faults)


def test_a_bill_that_changed_since_is_not_read_as_if_it_were_the_same(allocated):
    (allocated.folder / "bills" / "2026-10.csv").write_text("other")
    (allocated.folder / "bills" / "2026-09.csv").unlink()
    assert [file.state for file in app.verify(allocated, files=True).files] == [
        "not on this machine: not read again",
        "changed since it was ingested: not read again",
    ]


@settings(max_examples=25, deadline=None)
@given(bills())
def test_the_recount_equals_the_allocation_for_any_bill(tmp_path_factory, bill):
    paths = write(bill, tmp_path_factory.mktemp("bill"))
    with duck.session() as db:
        table = direct.allocate(db, **paths)
    path = paths["charges"].parent / "allocations.parquet"
    pq.write_table(table, path)
    shares = recount.shares_of(paths["shares"])
    pieces, whole = recount.recounted(paths["charges"], shares)
    assert recount.stored(path) == pieces
    assert sum(sums.charges for sums in whole.values()) == len(bill.charges)
    assert recount.gaps(shares) == []


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        ([0, 60], [60, 90], "the whole ends at 90"),
        ([0, 50], [60, 100], "the interval [50, 100) does not follow 60"),
        ([10, 60], [60, 100], "the interval [10, 60) does not follow 0"),
    ],
)
def test_shares_that_do_not_tile_are_found(low, high, said):
    first, last = datetime(1, 1, 1), datetime(9999, 12, 31)
    shares = {7: [recount.ShareOf(first, last, a, b, 100, 1) for a, b in zip(low, high, strict=True)]}
    (found,) = recount.gaps(shares)
    assert found == f"attribute 7: {said}"


def test_costs_finer_than_a_quantum_are_no_false_alarm(company):
    path = company / "bills" / "2026-10.csv"
    path.write_text(path.read_text().replace("100.00,payer", "0.0000123456789012345678,payer"))
    with app.open_project(company) as project:
        app.ingest(project)
        app.run(project)
        assert app.verify(project, files=True).passed


FIRST, LAST, MARCH = datetime(1, 1, 1), datetime(9999, 12, 31), datetime(2026, 3, 1)


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ([(FIRST, LAST, 0, 1, 2), (FIRST, LAST, 1, 3, 3)], "the share at 1 is of another whole or time"),
        ([(FIRST, LAST, 0, 1, 2), (FIRST, MARCH, 1, 2, 2)], "the share at 1 is of another whole or time"),
        ([(MARCH, LAST, 0, 1, 1)], "nobody holds the time before 2026-03-01"),
        ([(FIRST, MARCH, 0, 1, 1)], "nobody holds the time at the end"),
        ([(FIRST, MARCH, 0, 1, 1), (datetime(2026, 4, 1), LAST, 0, 1, 1)], "nobody holds the time before 2026-04-01"),
    ],
)
def test_wholes_and_times_that_do_not_fit_are_found(shares, said):
    (found,) = recount.gaps({7: [recount.ShareOf(*share, 1) for share in shares]})
    assert found.startswith(f"attribute 7: {said}")


@pytest.mark.parametrize(("money", "records"), [(0, -1), (0, 3), (5, 0)])
def test_records_lost_or_counted_twice_are_no_excuse(allocated, monkeypatch, money, records):
    from apportion.ledger import source_files

    true = source_files._stored

    def wrong(store, fed, control):
        kept, rejected, rows = true(store, fed, control)
        return kept + money, rejected, rows + records

    monkeypatch.setattr(source_files, "_stored", wrong)
    found = app.verify(allocated, files=True)
    assert not found.passed
    assert all(file.state.startswith("differs: ") for file in found.files)


def test_a_file_whose_other_month_was_replaced_is_not_accused(company):
    from tests.company import OCTOBER, SEPTEMBER, bill

    both = company / "bills" / "2026-10.csv"
    both.write_text(bill("2026-09", SEPTEMBER) + bill("2026-10", OCTOBER).partition("\n")[2])
    (company / "bills" / "2026-09.csv").unlink()
    later = company / "later.csv"
    later.write_text(bill("2026-09", SEPTEMBER[:1]))
    with app.open_project(company) as project:
        app.ingest(project)
        app.ingest(project, source="cloud", paths=("later.csv",))
        app.run(project)
        found = app.verify(project, files=True)
    assert found.passed
    assert "not checked: 2 of its 8 records are in snapshots not in this run" in {file.state for file in found.files}


def test_sums_beyond_38_digits_do_not_wrap():
    from apportion.core import focus, tables
    from apportion.core.arrow import schema

    rows = [{"x_AttributeNo": 1, **dict.fromkeys(focus.METRICS, Decimal(9 * 10**17))}] * 200
    table = pa.Table.from_pylist([{c: row.get(c) for c in tables.CHARGES} for row in rows], schema(tables.CHARGES))
    total = recount.Sums()
    for _, sums in recount._summed(table):
        total.join(sums)
    assert (total.charges, set(total.quanta)) == (200, {200 * 9 * 10**35})
