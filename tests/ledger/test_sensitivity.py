from __future__ import annotations

from decimal import Decimal

import pytest
from tests.metered_company import CONFIG, MIXED_CHARGES, MIXED_USES, write_company

from apportion import app
from apportion.core.money import quanta
from apportion.core.period import Period
from apportion.errors import NoData, UnknownName

OCTOBER = Period.parse("2026-10")
SETS = ("aws-split-cost", "cpu-only", "gpu-only", "opencost")


@pytest.fixture
def mixed(tmp_path):
    """1 GPU and 10 cores for 100 USD: risk has the GPU, ads the cores; 5 USD of data are not metered."""
    with app.open_project(write_company(tmp_path / "mixed", MIXED_CHARGES, MIXED_USES)) as project:
        app.ingest(project)
        app.run(project)
        yield project


def by_owner(found):
    return {each.owner: each for each in found.owners}


def test_each_owner_has_the_least_and_the_most_that_a_set_gives(mixed):
    found = app.sensitivity(mixed, period=OCTOBER)
    assert (found.dimension, found.metric, found.current, found.sets) == ("team", "BilledCost", "opencost", SETS)
    owners = by_owner(found)
    assert {name: (each.lowest, each.highest) for name, each in owners.items()} == {
        "risk": (0, 100),
        "ads": (0, 100),
        "data": (5, 5),
    }
    assert owners["risk"].sets(owners["risk"].lowest) == ("cpu-only",)
    assert owners["risk"].sets(owners["risk"].highest) == ("gpu-only",)
    assert owners["ads"].sets(owners["ads"].highest) == ("cpu-only",)
    assert owners["data"].spread == 0
    assert found.matters


def test_the_amounts_of_a_set_are_its_weights_worked_out_by_hand(mixed):
    risk = by_owner(app.sensitivity(mixed, period=OCTOBER))["risk"]
    # 10 GPU-hours and 100 core-hours: 270 : 9 x 10 and 0.95 : 0.031611 x 10
    assert round(risk.by_set["aws-split-cost"], 9) == 75
    assert round(risk.by_set["opencost"], 9) == round(Decimal(95000) / Decimal("1266.11"), 9)
    assert round(risk.current, 9) == round(risk.by_set["opencost"], 9)


def test_every_set_gives_out_the_whole_bill_and_the_current_one_what_the_run_gave(mixed):
    found = app.sensitivity(mixed, period=OCTOBER)
    for name in SETS:
        assert sum(quanta(each.by_set[name]) for each in found.owners) == quanta(Decimal(105))
    assert all(each.current == each.by_set["opencost"] for each in found.owners)
    (report,) = app.report(mixed, by="team", period=OCTOBER).sections
    at = [column.key for column in report.columns].index("cost")
    assert {row[0]: row[at] for row in report.rows} == {each.owner: each.current for each in found.owners}


def test_nothing_is_stored(mixed):
    before = sorted(path.relative_to(mixed.folder) for path in (mixed.folder / ".apportion" / "lake").rglob("*"))
    run = mixed.store.current_run().id
    app.sensitivity(mixed, period=OCTOBER)
    assert (
        sorted(path.relative_to(mixed.folder) for path in (mixed.folder / ".apportion" / "lake").rglob("*")) == before
    )
    assert mixed.store.current_run().id == run


def test_configured_sets_are_compared_too_and_fixed_machines_are_named(tmp_path):
    more = """
[metering]
weights = "even"

[metering.weight_sets.even]
gpu = "1"
cpu = "0.1"
memory = "0"
source = "a GPU as ten cores"

[metering.machine_weights."p3.2xlarge"]
gpu = "1"
cpu = "1"
memory = "1"
source = "ours"
"""
    folder = write_company(tmp_path / "even", MIXED_CHARGES, MIXED_USES, config=CONFIG + more)
    with app.open_project(folder) as project:
        app.ingest(project)
        app.run(project)
        found = app.sensitivity(project, period=OCTOBER)
    assert (found.current, found.sets, found.fixed) == ("even", (*SETS[:2], "even", *SETS[2:]), ("p3.2xlarge",))
    assert round(by_owner(found)["risk"].by_set["even"], 9) == 50


def test_a_bill_without_metered_machines_has_no_spread(allocated):
    found = app.sensitivity(allocated, period=OCTOBER, by="model")
    assert not found.matters
    assert all(set(each.by_set.values()) == {each.current} for each in found.owners)


def test_what_there_is_not_is_refused(mixed):
    with pytest.raises(UnknownName) as refused:
        app.sensitivity(mixed, by="service", period=OCTOBER)
    assert str(refused.value) == (
        "There is no dimension 'service'. Known: business-unit, environment, model, project, team."
    )
    with pytest.raises(UnknownName, match="There is no cost metric 'Cost'"):
        app.sensitivity(mixed, metric="Cost", period=OCTOBER)
    with pytest.raises(NoData, match="holds no bill of 2026-11"):
        app.sensitivity(mixed, period=Period.parse("2026-11"))
