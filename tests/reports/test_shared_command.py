"""`apportion report` through both lenses, as a user runs it, on a company with a pool."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest
from tests.cli.test_commands import apportion
from tests.company import CONFIG, write_company

POOL = """
[[pools]]
id = "platform"
when = { team = "platform" }
basis = "BilledCost"
grain = "team"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The folder of the small company, whose platform is shared."""
    folder = write_company(tmp_path_factory.mktemp("shared") / "tiny")
    (folder / "apportion.toml").write_text(CONFIG + POOL)
    for verb in ("ingest", "run"):
        done = apportion("--project", str(folder), verb)
        assert (done.returncode, done.stderr) == (0, "")
    return str(folder)


def report(project, *words):
    done = apportion("--project", project, "report", "--period", "2026-10", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_lens_after_is_the_usual_one(project):
    assert report(project) == report(project, "--lens", "after") != report(project, "--lens", "before")


def test_both_lenses_have_one_total_in_json(project):
    found = {lens: json.loads(report(project, "--json", "--lens", lens)) for lens in ("after", "before")}
    assert [found[lens]["title"] for lens in found] == ["Cost by team, after sharing", "Cost by team, before sharing"]
    totals = [found[lens]["sections"][0]["total"] for lens in found]
    assert [total["cost"] for total in totals] == ["122.51", "122.51"]
    assert [total["cost_shared"] for total in totals] == ["20", None]
    assert [total["given_to_pools"] for total in totals] == ["-20", "-20"]


def test_the_tiers_of_evidence_keep_their_keys(project):
    (rows,) = [section["rows"] for section in json.loads(report(project, "--json"))["sections"]]
    risk = next(row for row in rows if row["team"] == "risk")
    assert Decimal(risk["policy"]) == Decimal(risk["cost_shared"])
    assert {"direct", "metered", "inferred", "policy", "unallocated"} <= risk.keys()


def test_a_waterfall_comes_as_csv(project):
    rows = list(
        csv.DictReader(io.StringIO(report(project, "--by", "waterfall", "--team", "platform", "--format", "csv")))
    )
    assert [(row["step"], row["pool"], row["amount"], row["so_far"]) for row in rows] == [
        ("before sharing", "", "20", "20"),
        ("given to pools", "platform", "-20", "0"),
        ("total", "", "0", "0"),
    ]


def test_an_unknown_lens_is_wrong_usage(project):
    done = apportion("--project", project, "report", "--lens", "during")
    assert done.returncode == 2
    assert "'during' is not one of 'after', 'before'" in done.stderr
