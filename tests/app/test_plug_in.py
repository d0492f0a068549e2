from __future__ import annotations

import pytest

from apportion import app, reports, sources
from apportion.allocation import methods

SOURCE = '''
"""A toy source: two columns."""
from apportion.sources.intake.contract import BillSource, ColumnMapping, Delivery

def mapping(columns, config):
    text = {"BilledCost": '"euros"', "ServiceName": '"thing"', "BillingCurrency": "'EUR'", "BillingAccountId": "'me'",
            "ChargePeriodStart": "'2026-10-01T00:00:00Z'"}
    return ColumnMapping("toy", text, frozenset({"euros", "thing"}))

SOURCE = BillSource("toy", "A toy", lambda columns: "euros" in columns,
                    lambda place, config: Delivery(tuple(place.files())), mapping)
'''

REPORT = '''
"""A toy report: how many charges there are."""
from apportion.reports.reading.contract import Answer, Column, Kind, Report, Section

def answer(asked):
    ((count,),) = asked.db.rows("SELECT CAST(SUM(x_ChargeCount) AS BIGINT) FROM allocations")
    columns = (Column("charges", "Charges", Kind.COUNT),)
    return Answer("Charges", asked.period, asked.metric, (Section("EUR", columns, ((count,),), (count,)),))

REPORT = Report("charge_count", "How many charges there are", answer)
'''

METHOD = '''
"""A toy method: the first receiver gets three quarters, the others one quarter each of the same size."""
from apportion.allocation.weighing import Basis, Method

METHOD = Method("first_most", "Most for the first", Basis.NOTHING, lambda known: [3] + [1] * (len(known.basis) - 1))
'''

CONFIG = """
[project]
name = "toy"
currency = "EUR"
[[sources]]
id = "toys"
kind = "toy"
paths = ["toys.csv"]
[[rules]]
id = "balls"
when = { service = "ball" }
method = "first_most"
split = [{ team = "red" }, { team = "blue" }]
"""


@pytest.fixture
def one_file_more(tmp_path, monkeypatch):
    """Put one file into a room for the length of a test."""

    def add(room, name: str, text: str) -> None:
        folder = tmp_path / f"more-{name}"
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
        monkeypatch.setattr(room, "__path__", [*room.__path__, str(folder)])

    return add


def test_a_source_a_method_and_a_report_need_one_new_file_each(tmp_path, one_file_more):
    one_file_more(sources, "toy", SOURCE)
    one_file_more(methods, "first_most", METHOD)
    one_file_more(reports, "charge_count", REPORT)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "apportion.toml").write_text(CONFIG)
    (folder / "toys.csv").write_text("euros,thing\n1.25,ball\n-0.25,ball\n3,car\n")
    with app.open_project(folder) as project:
        app.ingest(project)
        run = app.run(project).run
        assert str(run.totals_out["EUR"]["BilledCost"]) == "4"
        (section,) = app.report(project, by="charge-count").sections
        (teams,) = app.report(project, by="team").sections
    assert section.rows == ((3,),)
    costs = {row[0]: str(row[2]) for row in teams.rows}
    assert costs == {
        "red": "0.750000000000000000",
        "blue": "0.250000000000000000",
        "unallocated": "3.000000000000000000",
    }
