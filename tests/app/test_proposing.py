from __future__ import annotations

import pytest
from tests.company import CONFIG
from tests.company import write_company as write_tiny
from tests.proposals import HALVES, NETWORK, UNITS, adopted, asked, moved

from apportion import app
from apportion.core.period import Period
from apportion.errors import ConfigError, NoData, UnknownName


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The small company, allocated; as nothing is stored, all tests may ask it."""
    folder = write_tiny(tmp_path_factory.mktemp("whatif") / "tiny")
    with app.open_project(folder) as project:
        app.ingest(project)
        app.run(project)
        yield project


def test_a_pool_that_takes_nothing_is_named(tiny):
    assert asked(tiny, NETWORK.replace("Network", "Ballet")).notes[1] == (
        "The pool 'network' takes nothing in these months."
    )


def test_cost_that_nobody_owns_is_named(tiny):
    found = asked(tiny, "[maps]\naccounts = {}\n")
    assert found.notes[0] == (
        "The proposed rules leave 27.50 USD without a team (7.50 in the run): Network 20.00, Support 7.50."
    )
    assert not [note for note in asked(tiny, HALVES).notes if "without a team" in note]


def test_services_with_little_cost_that_nobody_owns_are_summed(tiny):
    found = asked(tiny, "rules = []\n[maps]\naccounts = {}\n", by="model")
    assert found.notes[0] == (
        "The proposed rules leave 57.51 USD without a model (57.50 in the run): "
        "Storage 30.00, Network 20.00, Support 7.50, 1 more service 0.01."
    )


def test_a_whole_file_lacks_what_it_does_not_say(tiny):
    found = asked(tiny, CONFIG[: CONFIG.index("[maps.accounts]")])
    assert [each.id for each in found.rules] == ["maps.accounts"]
    assert moved(found) == {"platform": -20, "unallocated": 20}
    assert not [note for note in found.notes if "ignored" in note]


def test_what_a_whole_file_says_of_project_and_sources_is_ignored_and_said(tiny):
    text = CONFIG.replace('"tiny"', '"other"').replace('"bills"', '"elsewhere"')
    assert asked(tiny, text).notes[:2] == (
        "[project] of new.toml is ignored: what was ingested is replayed as it is.",
        "[[sources]] of new.toml is ignored: what was ingested is replayed as it is.",
    )


def test_a_file_that_changed_since_the_run_is_said(company):
    with app.open_project(company) as project:
        app.ingest(project)
        run = app.run(project).run
    (company / "apportion.toml").write_text(adopted(CONFIG, UNITS) + HALVES[HALVES.rindex("[[rules]]") :])
    with app.open_project(company) as project:
        found = asked(project, NETWORK)
        assert found.notes[0] == (
            f"apportion.toml has changed since run {run.id} (rules, hierarchy.teams): "
            "that is part of these differences."
        )
        assert not [note for note in asked(project, UNITS + HALVES).notes if "has changed" in note]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[rules]]\nid = "a"\nwhen = { servis = "x" }\nset = { team = "b" }\n', "new.toml:3: rules[1].when.servis"),
        ("\n\n[hierarchy.teams]\nrisk = 1\n", "new.toml:4: hierarchy.teams.risk"),
        ("[rules\n", "new.toml:1: TOML"),
        ('[metering]\nweights = "heavy"\n', "new.toml:2: metering.weights: 'heavy' is not known here."),
        ('[[pools]]\nid = "a"\nmethod = "wheel"\nwhen = { service = "x" }\n', "new.toml:3: pools[1].method"),
        (
            '[[pools]]\nid = "a"\nmethod = "table"\ntable = "none.csv"\nwhen = { service = "x" }\n',
            "none.csv: pools.a.table: cannot be read.",
        ),
        ("colour = 1\n", "new.toml:1: colour: is not known here."),
        ("", "new.toml: rules: says nothing of who owns or shares a cost. Give it at least one of tags, rules,"),
        ("[maps]\n", "new.toml: rules: says nothing of who owns or shares a cost."),
    ],
)
def test_a_fault_of_the_file_is_told_with_its_line(tiny, text, said):
    with pytest.raises(ConfigError) as refused:
        asked(tiny, text)
    assert said in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_file_in_another_encoding_is_refused(tiny):
    (tiny.folder / "new.toml").write_bytes(b'[maps.accounts]\n"1" = { team = "\xff" }\n')
    with pytest.raises(ConfigError, match=r"new\.toml:2: text: is not written in UTF-8\."):
        app.whatif(tiny, tiny.folder / "new.toml")


def test_what_there_is_not_is_refused(tiny):
    with pytest.raises(UnknownName, match=r"There is no dimension 'service'\. Known: business-unit, environment"):
        asked(tiny, HALVES, by="service")
    with pytest.raises(UnknownName, match="There is no cost metric 'Cost'"):
        asked(tiny, HALVES, metric="Cost")
    with pytest.raises(NoData, match="holds no bill of 2027-01"):
        asked(tiny, HALVES, period=Period.parse("2027-01"))


def test_a_month_without_a_bill_is_said(tiny):
    found = asked(tiny, HALVES, period=Period.parse("2026-10..2026-12"))
    assert "There is no bill of 2026-11, 2026-12." in found.notes


def test_before_the_first_run_there_is_nothing_to_compare_with(company):
    with app.open_project(company) as project:
        app.ingest(project)
        with pytest.raises(NoData, match="Nothing has been allocated yet"):
            asked(project, HALVES)
