from __future__ import annotations

import json

import pytest
from tests.cli.test_commands import apportion
from tests.company import write_company


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """The folder of the small company with a tag policy, ingested and run."""
    folder = write_company(tmp_path_factory.mktemp("tags") / "tiny")
    config = folder / "apportion.toml"
    config.write_text(config.read_text() + '\n[tags.policy]\nrequired = ["team"]\n')
    for verb in ("ingest", "run"):
        assert apportion(verb, cwd=folder).returncode == 0
    return folder


def sections(folder, *words: str) -> list[dict]:
    done = apportion("tags", *words, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["sections"]


def test_coverage_counts_charges_and_money(tagged):
    (found,) = sections(tagged, "coverage", "--period", "2026-10")
    (team,) = [row for row in found["rows"] if row["dimension"] == "team"]
    # trainer 100 - 5 = 95 by its tag; ranker 0.01 by a rule and nat 20 by the account map; support 7.50 by nobody
    assert (team["charges"], team["money"], team["tagged_money"], team["known_money"]) == (6, "122.51", "95", "115.01")


def test_the_worklist_says_what_tagging_brings(tagged):
    found = sections(tagged, "worklist", "--dimension", "model", "--period", "2026-10")
    assert [row["resource_name"] for row in found[0]["rows"]] == ["nat"]
    assert found[0]["title"].startswith("tag this resource: model coverage +")


def test_variants_are_an_empty_table_where_all_is_spelled_alike(tagged):
    values, keys = sections(tagged, "variants", "--period", "2026-10")
    assert (values["rows"], keys["rows"]) == ([], [])


def test_a_plan_that_breaks_the_policy_stops_with_three(tagged, tmp_path):
    plan = tmp_path / "pod.yaml"
    plan.write_text("apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  labels: {env: prod}\n")
    done = apportion("tags", "check", str(plan), "--json", cwd=tagged)
    assert done.returncode == 3
    rows = json.loads(done.stdout)["sections"][0]["rows"]
    assert {row["dimension"] for row in rows} == {"team"}
    plan.write_text("apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  labels: {team: risk}\n")
    assert apportion("tags", "check", str(plan), cwd=tagged).returncode == 0
