"""Snapshots: exact tables, the same bytes always, unchanged months untouched, restated months compared."""

from __future__ import annotations

from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from tests.sources.focus_bills import (
    SAMPLE,
    billed,
    charges,
    config,
    csv_text,
    found,
    ingest_into,
    only,
    put,
    row,
    table,
    take,
)

from apportion.core.period import Month
from apportion.core.tables import ATTRIBUTES, CHARGES, REJECTS
from apportion.engine import duck
from apportion.errors import DoubleDelivery
from apportion.store import open_store
from apportion.store.records import RestatementLine, Scope

OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)
IN_NOVEMBER = {
    "BillingPeriodStart": "2026-11-01T00:00:00Z",
    "BillingPeriodEnd": "2026-12-01T00:00:00Z",
    "ChargePeriodStart": "2026-11-03T00:00:00Z",
    "ChargePeriodEnd": "2026-11-04T00:00:00Z",
}


def columns(path):
    with duck.session() as db:
        return dict(
            db.rows("SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet($path))", {"path": str(path)})
        )


def stored_bytes(result):
    return {(str(s.scope), f.name): f.sha256 for s in result.published for f in s.stored if f.name != "manifest.json"}


def many(count, **changes):
    return [row(BilledCost=f"0.{n:06d}", ResourceId=f"i-{n % 97}", **changes) for n in range(count)]


def test_the_tables_are_those_of_the_contract(tmp_path):
    (snapshot,) = take(tmp_path, csv_text([row(), row(BilledCost="x")])).published
    assert list(columns(snapshot.charges).items()) == list(CHARGES.items())
    assert list(columns(snapshot.attributes).items()) == list(ATTRIBUTES.items())
    assert list(columns(snapshot.rejects).items()) == list(REJECTS.items())


@pytest.mark.parametrize("rows", [300, 130_000])
def test_bytes_do_not_depend_on_threads(tmp_path, rows):
    path = put(tmp_path, "bill.csv", csv_text([*many(rows), row(BilledCost="x")]))
    one = ingest_into(tmp_path / "one", config(path), threads=1)
    two = ingest_into(tmp_path / "two", config(path), threads=2)
    assert stored_bytes(one) == stored_bytes(two)
    assert [s.id for s in one.published] == [s.id for s in two.published]
    assert [charge["x_RowNo"] for charge in only(one)] == list(range(2, rows + 2))


def test_attributes_are_numbered_in_their_order_nulls_first(tmp_path):
    rows = [row(ResourceId=name, Tags=tags) for name in ("b", "", "a") for tags in ('{"t":"1"}', "")]
    attributes = table(take(tmp_path, csv_text(rows)).published[0].attributes)
    assert [(a["x_AttributeNo"], a["ResourceId"], dict(a["Tags"])) for a in attributes] == [
        (1, None, {"t": "1"}),
        (2, None, {}),
        (3, "a", {"t": "1"}),
        (4, "a", {}),
        (5, "b", {"t": "1"}),
        (6, "b", {}),
    ]


def test_totals_are_exact_sums_of_every_metric(tmp_path):
    (snapshot,) = take(tmp_path, csv_text([row(BilledCost="0.1")] * 3 + [row(BilledCost="-1e-18")])).published
    assert snapshot.totals["USD"]["BilledCost"] == Decimal("0.299999999999999999")
    assert snapshot.totals["USD"]["ListCost"] == 8
    assert "PricingQuantity" not in snapshot.totals["USD"], "a metric that no row has is absent, not 0"


def test_the_same_files_again_are_unchanged_and_are_not_read(tmp_path):
    source = config(put(tmp_path, "bill.csv", csv_text([row(), row(**IN_NOVEMBER)])))
    first = ingest_into(tmp_path / "state", source)
    again = ingest_into(tmp_path / "state", source)
    assert (again.published, again.files_read, again.restatements, again.problems) == ((), (), (), ())
    assert again.unchanged == tuple(s.scope for s in first.published)


def test_the_same_delivery_gets_the_same_id_in_another_project(tmp_path):
    text = csv_text([row()])
    first, second = take(tmp_path / "a", text), take(tmp_path / "b", text)
    assert first.published[0].id == second.published[0].id
    other = take(tmp_path / "c", text, billing_currency="EUR")
    assert other.published[0].id != first.published[0].id


def test_only_months_whose_files_changed_are_built_again(tmp_path):
    put(tmp_path, "bills/october.csv", csv_text([row()]))
    put(tmp_path, "bills/november.csv", csv_text([row(**IN_NOVEMBER)]))
    source = config(tmp_path / "bills")
    ingest_into(tmp_path / "state", source)
    put(tmp_path, "bills/november.csv", csv_text([row(**IN_NOVEMBER, BilledCost="7")]))
    result = ingest_into(tmp_path / "state", source)
    assert [s.scope.period for s in result.published] == [NOVEMBER]
    assert [scope.period for scope in result.unchanged] == [OCTOBER]
    assert result.files_read == (str(tmp_path / "bills/november.csv"),)


def test_a_known_file_is_read_again_where_a_new_one_shares_its_month(tmp_path):
    first = put(tmp_path, "bills/1.csv", csv_text([row(), row(**IN_NOVEMBER)]))
    source = config(tmp_path / "bills")
    ingest_into(tmp_path / "state", source)
    second = put(tmp_path, "bills/2.csv", csv_text([row(BilledCost="10", ResourceId="i-2")]))
    result = ingest_into(tmp_path / "state", source)
    assert result.files_read == (str(first), str(second))
    (snapshot,) = result.published
    assert (snapshot.scope.period, snapshot.rows) == (OCTOBER, 2)
    assert [(file.no, file.path, file.rows) for file in snapshot.files] == [(1, str(first), 1), (2, str(second), 1)]
    assert [scope.period for scope in result.unchanged] == [NOVEMBER]


def test_a_month_whose_files_are_gone_keeps_its_snapshot(tmp_path):
    put(tmp_path, "bills/october.csv", csv_text([row()]))
    source = config(tmp_path / "bills")
    ingest_into(tmp_path / "state", source)
    (tmp_path / "bills/october.csv").unlink()
    put(tmp_path, "bills/november.csv", csv_text([row(**IN_NOVEMBER)]))
    ingest_into(tmp_path / "state", source)
    with open_store(tmp_path / "state") as store:
        assert [s.scope.period for s in store.current_snapshots()] == [OCTOBER, NOVEMBER]


def test_a_month_that_lost_one_of_its_files_is_restated(tmp_path):
    put(tmp_path, "bills/1.csv", csv_text([row()]))
    second = put(tmp_path, "bills/2.csv", csv_text([row(BilledCost="10", ResourceId="i-2")]))
    source = config(tmp_path / "bills")
    assert billed(ingest_into(tmp_path / "state", source)) == Decimal("11.25")
    second.unlink()
    assert billed(ingest_into(tmp_path / "state", source)) == Decimal("1.25")


def test_a_restated_month_shows_what_changed_the_largest_change_first(tmp_path):
    before = [
        row(BilledCost="5", ServiceName="S3"),
        row(BilledCost="1", Tags=""),
        row(BilledCost="3"),
        row(BilledCost="8", ServiceName="Same"),
    ]
    after = [
        row(BilledCost="9", ServiceName="S3"),
        row(BilledCost="1", Tags='{"team":"ads"}'),
        row(BilledCost="3"),
        row(BilledCost="4", ServiceName="Same"),
        row(BilledCost="4", ServiceName="Same"),
    ]
    path = put(tmp_path, "bill.csv", csv_text(before))
    old = ingest_into(tmp_path / "state", config(path)).published[0]
    put(tmp_path, "bill.csv", csv_text(after))
    result = ingest_into(tmp_path / "state", config(path))
    (restatement,) = result.restatements
    assert (restatement.old_snapshot, restatement.new_snapshot) == (old.id, result.published[0].id)
    account = row()["SubAccountId"]
    assert restatement.lines == (
        RestatementLine("S3", account, "search", "USD", Decimal(5), Decimal(9)),
        RestatementLine("Amazon EC2", account, "", "USD", Decimal(1), Decimal(0)),
        RestatementLine("Amazon EC2", account, "ads", "USD", Decimal(0), Decimal(1)),
    )
    with open_store(tmp_path / "state") as store:
        assert [stored.lines for stored in store.restatements()] == [restatement.lines]


def test_a_month_that_a_file_no_longer_brings_is_restated_to_nothing(tmp_path):
    path = put(tmp_path, "bill.csv", csv_text([row(), row(**IN_NOVEMBER, BilledCost="2")]))
    ingest_into(tmp_path / "state", config(path))
    put(tmp_path, "bill.csv", csv_text([row(), row(BilledCost="2")]))
    result = ingest_into(tmp_path / "state", config(path))
    assert [(s.scope.period, s.rows) for s in result.published] == [(OCTOBER, 2), (NOVEMBER, 0)]
    assert billed(result) == Decimal("3.25")
    again = ingest_into(tmp_path / "state", config(path))
    assert (again.published, len(again.unchanged)) == ((), 2)


def test_another_account_in_the_options_moves_the_money_and_does_not_double_it(tmp_path):
    path = put(tmp_path, "bill.csv", csv_text([row(BillingAccountId=None)]))
    ingest_into(tmp_path / "state", config(path, billing_account_id="old"))
    ingest_into(tmp_path / "state", config(path, billing_account_id="new"))
    with open_store(tmp_path / "state") as store:
        found_totals = {s.scope.billing_account_id: s.rows for s in store.current_snapshots()}
    assert found_totals == {"new": 1, "old": 0}


def test_a_month_in_which_nothing_can_be_read_keeps_its_last_good_snapshot(tmp_path):
    path = put(tmp_path, "bill.csv", csv_text([row()]))
    ingest_into(tmp_path / "state", config(path))
    put(tmp_path, "bill.csv", csv_text([row(BilledCost="x")]))
    result = ingest_into(tmp_path / "state", config(path))
    assert (result.published, len(found(result, "cost_unreadable"))) == ((), 1)
    with open_store(tmp_path / "state") as store:
        assert [s.rows for s in store.current_snapshots()] == [1]


def test_a_month_delivered_twice_in_two_files_is_refused(tmp_path):
    first = put(tmp_path, "bills/day-10.csv", csv_text(many(40)))
    second = put(tmp_path, "bills/day-20.csv", csv_text(many(60)))
    with pytest.raises(DoubleDelivery) as caught:
        ingest_into(tmp_path / "state", config(tmp_path / "bills"))
    assert str(caught.value) == (
        f"{first} brings charges of 2026-10 that are also in {second}. Remove the older of the two, or set "
        'delivery = "append" for the source if both are to be counted; nothing was imported.'
    )
    with open_store(tmp_path / "state") as store:
        assert store.current_snapshots() == ()


def test_two_halves_of_a_month_may_share_some_rows(tmp_path):
    put(tmp_path, "bills/1.csv", csv_text(many(40)))
    put(tmp_path, "bills/2.csv", csv_text([*many(10), *many(40, ServiceName="S3")]))
    assert ingest_into(tmp_path / "state", config(tmp_path / "bills")).published[0].rows == 90


def test_appended_files_add_up_and_are_scopes_of_their_own(tmp_path):
    put(tmp_path, "bills/1.csv", csv_text([row()]))
    source = config(tmp_path / "bills", delivery="append")
    ingest_into(tmp_path / "state", source)
    second = put(tmp_path, "bills/2.csv", csv_text([row(BilledCost="2")]))
    result = ingest_into(tmp_path / "state", source)
    (snapshot,) = result.published
    assert snapshot.scope == Scope("cloud", row()["BillingAccountId"], OCTOBER, snapshot.files[0].sha256)
    assert result.files_read == (str(second),)
    with open_store(tmp_path / "state") as store:
        assert sum(s.totals["USD"]["BilledCost"] for s in store.current_snapshots()) == Decimal("3.25")


def test_an_appended_file_that_changed_is_refused(tmp_path):
    path = put(tmp_path, "bills/1.csv", csv_text([row()]))
    source = config(tmp_path / "bills", delivery="append")
    ingest_into(tmp_path / "state", source)
    put(tmp_path, "bills/1.csv", csv_text([row(BilledCost="2")]))
    with pytest.raises(
        DoubleDelivery, match='has changed and, with delivery = "append", would be counted beside what'
    ) as caught:
        ingest_into(tmp_path / "state", source)
    assert caught.value.second == str(path)


def test_columns_no_focus_column_carries_stay_beside_the_charge_verbatim(tmp_path):
    put(tmp_path, "bills/1.csv", csv_text([row() | {"x_B": " NULL ", "x_Empty": ""}]))
    put(tmp_path, "bills/2.csv", csv_text([row(ResourceId="i-2") | {"x_A": "1", "X_b": "two"}]))
    (snapshot,) = ingest_into(tmp_path / "state", config(tmp_path / "bills")).published
    assert table(snapshot.extras) == [
        {"x_ChargeNo": 1, "x_A": None, "x_B": " NULL ", "x_Empty": None},
        {"x_ChargeNo": 2, "x_A": "1", "x_B": "two", "x_Empty": None},
    ]


def test_there_is_no_extras_file_where_nothing_is_beside(tmp_path):
    assert take(tmp_path, csv_text([row() | {"x_Empty": ""}])).published[0].extras is None


def test_charges_are_numbered_in_the_order_of_files_and_rows(tmp_path):
    put(tmp_path, "bills/b.csv", csv_text(many(3)))
    put(tmp_path, "bills/a.csv", csv_text(many(3, ServiceName="S3")))
    (snapshot,) = ingest_into(tmp_path / "state", config(tmp_path / "bills")).published
    numbers = [(c["x_ChargeNo"], c["x_FileNo"], c["x_RowNo"]) for c in charges(snapshot)]
    assert numbers == [(1, 1, 2), (2, 1, 3), (3, 1, 4), (4, 2, 2), (5, 2, 3), (6, 2, 4)]


def test_progress_is_told(tmp_path):
    heard = []
    with open_store(tmp_path / "state") as store:
        from apportion.sources.intake.ingest import ingest

        ingest(config(SAMPLE), store=store, base=tmp_path, progress=lambda *said: heard.append(said))
    assert heard == [
        ("fetching files", 0, 1),
        ("reading files", 0, 1),
        *(("writing snapshots", done, 4) for done in range(4)),
    ]


def test_parquet_scans_are_numbered_in_file_order_by_duckdb(tmp_path):
    with duck.session(threads=2) as db:
        paths = [tmp_path / f"{part}.parquet" for part in range(2)]
        for part, path in enumerate(paths):
            db.copy(f"SELECT {part} * 400000 + i AS n, i % 3 AS k FROM range(400000) t(i)", path)
        db.run(
            "CREATE TABLE numbered AS SELECT row_number() OVER () AS no, n FROM "
            f"(SELECT * FROM '{paths[0]}' UNION ALL BY NAME SELECT * FROM '{paths[1]}') WHERE k <> 1"
        )
        misplaced = (
            "SELECT count(*) FROM (SELECT no, row_number() OVER (ORDER BY n) AS place FROM numbered) WHERE no <> place"
        )
        assert db.rows(misplaced) == [(0,)]
    assert pq.read_metadata(paths[0]).num_rows == 400_000
