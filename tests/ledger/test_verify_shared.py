from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.pooled_company import write_company

from apportion import app
from apportion.errors import DamagedFile
from apportion.ledger import verify

QUANTUM = Decimal("1e-18")


@pytest.fixture(scope="module")
def pooled(tmp_path_factory):
    with app.open_project(write_company(tmp_path_factory.mktemp("pooled") / "company")) as project:
        app.ingest(project)
        app.run(project)
        yield project


class Tampered:
    """A store in which somebody changed files and also mended the hashes; `changes`: name of a file -> the change."""

    def __init__(self, store, changes, folder):
        self.store, self.changes, self.folder = store, changes, folder

    def snapshot(self, snapshot_id):
        return self.store.snapshot(snapshot_id)

    def checked(self, path):
        if path.name not in self.changes:
            return self.store.checked(path)
        target = self.folder / path.name
        pq.write_table(self.changes[path.name](pq.read_table(path)), target)
        return target


def faults(project, folder, **changes):
    """What `verify` says of the shared costs after these changes (name of a table -> change of its rows)."""
    changed = {
        f"{name}.parquet": lambda table, change=change: rewritten(table, change) for name, change in changes.items()
    }
    run = project.store.current_run()
    return [
        fault.removeprefix("shared costs of 2026-10: ")
        for fault in verify.verify(Tampered(project.store, changed, folder), run).faults
        if fault.startswith("shared costs of 2026-10: ")
    ]


def rewritten(table, change):
    rows = table.to_pylist()
    kept = change(rows)
    return pa.Table.from_pylist(rows if kept is None else kept, schema=table.schema)


def of_pool(rows, pool):
    return [row for row in rows if row["x_Path"] == pool]


def number_of(project, pool):
    (sharing,) = project.store.current_run().sharings
    pools = pq.read_table(sharing.folder / "pools.parquet")
    return pools.filter(pc.equal(pools["x_PoolId"], pool))["x_PoolNo"][0].as_py()


def cells_of(project, pool):
    (sharing,) = project.store.current_run().sharings
    cells = pq.read_table(sharing.folder / "cells.parquet")
    mine = pc.and_(pc.equal(cells["x_PoolNo"], number_of(project, pool)), pc.equal(cells["BillingCurrency"], "USD"))
    return cells.filter(mine)["x_CellNo"].to_pylist()


def test_right_shared_costs_are_certified_with_their_files(pooled):
    found = app.verify(pooled)
    assert found.faults == ()
    (sharing,) = pooled.store.current_run().sharings
    assert {file.name for file in sharing.stored} >= {"weights.parquet", "taken.parquet", "shared.parquet"}
    for file in sharing.stored:
        assert f"file {sharing.id}/{file.name} sha256 {file.sha256}" in found.text


@pytest.mark.parametrize("name", ["weights", "shared"])
def test_a_changed_file_is_refused(tmp_path, name):
    with app.open_project(write_company(tmp_path / "company")) as project:
        app.ingest(project)
        app.run(project)
        path = project.store.current_run().sharings[0].folder / f"{name}.parquet"
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(DamagedFile, match="is not the file that was stored"):
            app.verify(project)


def test_an_amount_moved_from_one_receiver_to_another_is_found(pooled, tmp_path):
    def moved(rows):
        first, second = of_pool(rows, "gpus")[:2]
        first["BilledCost"] += QUANTUM
        second["BilledCost"] -= QUANTUM

    found = faults(pooled, tmp_path, shared=moved)
    assert len(found) == 2
    assert all("cost of GPU fund from unallocated is not what the intervals give" in fault for fault in found)
    assert found[0].startswith("pool gpus, cell ")


def test_an_amount_made_of_nothing_is_found_twice(pooled, tmp_path):
    def more(rows):
        of_pool(rows, "support > platform")[0]["ListCost"] += QUANTUM

    wrong, sums = faults(pooled, tmp_path, shared=more)
    assert "pool support, cell " in wrong
    assert " > pool platform, cell " in wrong
    assert sums == (
        "pool support: ListCost of A-1 111 Support in USD: 8000000000000000000 came, 8000000000000000001 went"
    )


@pytest.mark.parametrize("times", [0, 2])
def test_a_receiver_left_out_or_named_twice_is_found(pooled, tmp_path, times):
    found = faults(pooled, tmp_path, shared=lambda rows: [*rows[1:], *rows[:1] * times])
    assert any("did not go once to each that has a share" in fault for fault in found)
    assert any("came, " in fault for fault in found)


def test_a_pool_on_the_way_that_got_nothing_is_found(pooled, tmp_path):
    found = faults(pooled, tmp_path, shared=lambda rows: [r for r in rows if r["x_Path"] != "support > platform"])
    assert any(fault.startswith("pool support, cell ") and "did not go once to each" in fault for fault in found)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("x_Team", "somebody", "names another owner than its number does"),
        ("x_Path", "network", "names another pool, way or rule than its cells do"),
        ("x_TeamRuleId", "pool:gpus@0", "names another pool, way or rule than its cells do"),
        ("x_ChargeCount", 77, "is not what the intervals give"),
        ("ServiceName", "Other", "is not what the intervals give"),
        ("x_ReceiverNo", 10**6, "is not what the intervals give"),
    ],
)
def test_a_shared_row_that_says_something_else_is_found(pooled, tmp_path, column, value, said):
    def change(rows):
        of_pool(rows, "gpus")[0][column] = value

    assert any(said in fault for fault in faults(pooled, tmp_path, shared=change))


def test_intervals_that_are_not_those_of_the_weights_are_found(pooled, tmp_path):
    (cell,) = cells_of(pooled, "gpus")

    def moved(rows):
        first, second = (row for row in rows if row["x_CellNo"] == cell)
        first["x_ShareHigh"] += 1
        second["x_ShareLow"] += 1

    found = faults(pooled, tmp_path, weights=moved)
    assert any(f"cell {cell} (USD )" in fault and "by the weights it holds [" in fault for fault in found)
    assert any("is not what the intervals give" in fault for fault in found)


def test_a_gap_between_intervals_is_found_also_where_equations_made_them(pooled, tmp_path):
    (cell,) = cells_of(pooled, "it")

    def narrowed(rows):
        mine = [row for row in rows if row["x_CellNo"] == cell and row["x_ShareHigh"] > row["x_ShareLow"]]
        mine[0]["x_ShareHigh"] -= 1

    assert any("does not follow" in fault for fault in faults(pooled, tmp_path, weights=narrowed))

    def shortened(rows):
        mine = [row for row in rows if row["x_CellNo"] == cell and row["x_ShareHigh"] > row["x_ShareLow"]]
        mine[-1]["x_ShareHigh"] -= 1

    assert any(
        "the intervals end at 2, the whole at 3" in fault for fault in faults(pooled, tmp_path, weights=shortened)
    )


def test_shares_that_do_not_solve_the_equations_are_found(pooled, tmp_path):
    (cell,) = cells_of(pooled, "it")

    def moved(rows):
        first, second = (r for r in rows if r["x_CellNo"] == cell and r["x_ShareHigh"] > r["x_ShareLow"])
        first["x_ShareHigh"] = second["x_ShareLow"] = 3 - first["x_ShareHigh"]

    found = faults(pooled, tmp_path, weights=moved)
    assert any(f"cell {cell} (USD ): its shares do not solve the equations" in fault for fault in found)


@pytest.mark.parametrize(
    ("pool", "column", "said"),
    [
        ("gpus", "x_Weight", "the weights add up to"),
        ("gpus", "x_Weight", "its basis is"),
        ("gpus", "x_Basis", "the basis adds up to"),
        ("tiers", "x_Weight", "by the weights it holds"),
        ("orphans", "x_Weight", "weighs 3, its basis is None"),
        ("it", "x_Weight", "the weights add up to"),
    ],
)
def test_a_changed_weight_or_basis_is_found(pooled, tmp_path, pool, column, said):
    (cell,) = cells_of(pooled, pool)

    def change(rows):
        row = next(row for row in rows if row["x_CellNo"] == cell and row["x_Weight"])
        row[column] += 2 if row[column] < 10 else row[column] // 2

    assert any(said in fault for fault in faults(pooled, tmp_path, weights=change))


def test_another_whole_than_that_of_the_weights_is_found(pooled, tmp_path):
    (cell,) = cells_of(pooled, "orphans")

    def change(rows):
        next(row for row in rows if row["x_CellNo"] == cell)["x_ShareWhole"] = 4

    found = faults(pooled, tmp_path, cells=change)
    assert any("the whole is 4, by the weights it is 2" in fault for fault in found)


def test_a_row_taken_otherwise_than_its_bill_says_is_found(pooled, tmp_path):
    def more(rows):
        rows[0]["EffectiveCost"] += QUANTUM

    assert any("took is not what the result says" in fault for fault in faults(pooled, tmp_path, taken=more))

    def unknown(rows):
        rows[0]["x_OwnerNo"] = 999

    assert any("took a row that no result has" in fault for fault in faults(pooled, tmp_path, taken=unknown))


def test_a_row_taken_by_two_pools_is_found(pooled, tmp_path):
    first, (second,) = number_of(pooled, "gpus"), cells_of(pooled, "tiers")

    def twice(rows):
        row = next(row for row in rows if row["x_PoolNo"] == first)
        rows.append({**row, "x_PoolNo": number_of(pooled, "tiers"), "x_CellNo": second})

    assert any("taken by pools " in fault for fault in faults(pooled, tmp_path, taken=twice))

    def into_another(rows):
        next(row for row in rows if row["x_PoolNo"] == first)["x_CellNo"] = second

    found = faults(pooled, tmp_path, taken=into_another)
    assert any("took it into the cell of another" in fault for fault in found)


@pytest.mark.parametrize(("pool", "keys"), [("network", ["222"]), ("credits", ["111", "Storage"])])
def test_a_cell_of_other_values_than_its_rows_is_found(pooled, tmp_path, pool, keys):
    cell = cells_of(pooled, pool)[-1]

    def change(rows):
        next(row for row in rows if row["x_CellNo"] == cell)["x_Keys"] = keys

    assert any("is not its own" in fault for fault in faults(pooled, tmp_path, cells=change))


def test_a_cell_of_another_currency_than_what_came_on_to_it_is_found(pooled, tmp_path):
    cell = next(iter(cells_of(pooled, "platform")))

    def change(rows):
        next(row for row in rows if row["x_CellNo"] == cell)["BillingCurrency"] = "EUR"

    assert any("went on into a cell not its own" in fault for fault in faults(pooled, tmp_path, cells=change))


def test_cells_and_pools_that_are_not_there_are_said_and_nothing_else(pooled, tmp_path):
    def lost(rows):
        of_pool(rows, "gpus")[0]["x_CellNos"] = [999]

    assert faults(pooled, tmp_path, shared=lost) == ["an amount went through cell 999, which is not there"]

    def taken(rows):
        rows[0]["x_CellNo"] = 998

    assert faults(pooled, tmp_path, taken=taken) == ["a row is taken into cell 998, which is not there"]

    def pool(rows):
        rows[-1]["x_PoolNo"] = 99

    (fault,) = faults(pooled, tmp_path, cells=pool)
    assert fault.endswith("is of pool 99, which is not there")


def test_many_faults_of_a_kind_are_cut_short(pooled, tmp_path):
    def all_of_them(rows):
        for row in rows:
            row["BilledCost"] += QUANTUM

    found = faults(pooled, tmp_path, shared=all_of_them)
    assert any("more of this kind" in fault for fault in found)
