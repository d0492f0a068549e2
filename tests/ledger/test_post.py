from __future__ import annotations

from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from tests.company import CONFIG, OCTOBER, bill

from apportion import app
from apportion.allocation import direct
from apportion.errors import NoData, NotConserved


def owners(project, month: str) -> dict[tuple[str, str], Decimal]:
    found: dict[tuple[str, str], Decimal] = {}
    for part in project.store.current_run().parts:
        if str(part.period) == month:
            for row in pq.read_table(part.allocations).to_pylist():
                key = (row["x_Team"], row["x_Model"])
                found[key] = found.get(key, Decimal(0)) + row["BilledCost"]
    return found


def test_every_charge_goes_where_a_controller_would_put_it(allocated):
    assert owners(allocated, "2026-10") == {
        ("risk", "fraud"): Decimal("95.00"),
        ("growth", "feed"): Decimal("0.006"),
        ("risk", "search"): Decimal("0.004"),
        ("platform", "unallocated"): Decimal("20.00"),
        ("unallocated", "unallocated"): Decimal("7.50"),
        ("growth", "unallocated"): Decimal(0),
    }


def test_totals_in_are_totals_out(allocated):
    run = allocated.store.current_run()
    assert run.totals_in == run.totals_out
    assert run.totals_in["USD"]["BilledCost"] == Decimal("222.51")


def test_a_second_run_changes_nothing_and_says_so(allocated):
    before = allocated.store.current_run().id
    again = app.run(allocated)
    assert again.unchanged
    assert (again.fresh, again.run.id) == (0, before)


def test_a_restated_month_is_calculated_anew_and_the_other_is_reused(allocated):
    (allocated.folder / "bills" / "2026-10.csv").write_text(bill("2026-10", OCTOBER[:3]))
    app.ingest(allocated)
    again = app.run(allocated)
    assert (again.fresh, again.reused) == (1, 1)
    assert again.run.totals_out["USD"]["BilledCost"] == Decimal("195.01")


def test_a_changed_rule_changes_every_part_and_a_changed_comment_none(company):
    with app.open_project(company) as project:
        app.ingest(project)
        app.run(project)
    (company / "apportion.toml").write_text(CONFIG + "# a comment\n")
    with app.open_project(company) as project:
        assert app.run(project).fresh == 0
    (company / "apportion.toml").write_text(CONFIG.replace("weight = 60", "weight = 50"))
    with app.open_project(company) as project:
        assert app.run(project).fresh == 2


def test_spark_posts_the_same_parts_as_duckdb(company, spark_url, tmp_path):
    from tests.company import write_company

    found = []
    for folder, engine in ((company, "duckdb"), (write_company(tmp_path / "other"), "spark")):
        with app.open_project(folder) as project:
            app.ingest(project)
            run = app.run(project, engine=engine, engine_url=spark_url).run
            found.append([(part.id, [(f.name, f.sha256) for f in part.stored]) for part in run.parts])
    assert found[0] == found[1]


def test_nothing_to_allocate_is_said(company):
    with app.open_project(company) as project, pytest.raises(NoData, match="No bill has been ingested yet"):
        app.run(project)


def test_a_run_that_would_lose_money_publishes_nothing(company, monkeypatch):
    true_totals = direct.totals

    def off_by_one_quantum(table):
        totals = true_totals(table)
        totals["USD"]["BilledCost"] += Decimal("1e-18")
        return totals

    monkeypatch.setattr(direct, "totals", off_by_one_quantum)
    with app.open_project(company) as project:
        app.ingest(project)
        with pytest.raises(NotConserved, match="Nothing was published"):
            app.run(project)
        assert project.store.current_run() is None
