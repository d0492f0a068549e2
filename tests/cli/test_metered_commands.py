"""The commands that show metering, as a user runs them."""

from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner
from tests.metered_company import CHARGES, CONFIG, MIXED_CHARGES, MIXED_USES, USES, write_company

from apportion.cli.main import cli


def said(folder, *words):
    done = CliRunner().invoke(cli, ["--project", str(folder), *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def metered(tmp_path_factory):
    return ready(tmp_path_factory.mktemp("cli") / "metered", CHARGES, USES)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return ready(tmp_path_factory.mktemp("cli") / "mixed", MIXED_CHARGES, MIXED_USES)


def ready(folder, *given):
    write_company(folder, *given)
    for verb in ("ingest", "run"):
        said(folder, "-q", verb)
    return folder


@pytest.mark.parametrize("by", ["job", "endpoint", "model-stages", "cost-of-experiment", "idle", "metering-gaps"])
@pytest.mark.parametrize("form", ["table", "md", "csv", "json"])
def test_every_metered_report_is_shown_in_every_form(metered, by, form):
    assert said(metered, "report", "--by", by, "--format", form)


def test_a_job_table_reads_in_hours(metered):
    shown = said(metered, "report", "--by", "job", "--format", "md")
    (row,) = [line for line in shown.splitlines() if "bert training" in line]
    assert row == "| bert training | training_job | risk | fraud-bert | 25.00 | – | 40.0% | 57.75 | 2.31 |"


def test_explain_says_how_a_piece_was_metered(metered):
    shown = said(metered, "explain", "--model", "fraud-bert", "--format", "md")
    assert "**USD: how they were metered**" in shown
    assert (
        "6 h 15 min of 4 GPUs on i-00000000000000001, 25 % of its GPU time | platform | opencost | max | meter" in shown
    )


def test_explain_in_json_has_the_figures_of_the_words(metered):
    document = json.loads(said(metered, "explain", "--model", "fraud-bert", "--service", "EC2", "--json"))
    (row,) = document["sections"][2]["rows"]
    told = {key: row[key] for key in ("workload_id", "measure", "held", "capacity", "held_share", "seconds")}
    assert told == {
        "workload_id": "job-1",
        "measure": "gpu_seconds",
        "held": "90000",
        "capacity": "360000",
        "held_share": "0.25",
        "seconds": "22500",
    }
    assert (row["weights"], row["basis"], row["meters"]) == ("opencost", "max", "meter")


def test_explain_of_a_charge_has_one_line_per_metered_piece(metered):
    document = json.loads(said(metered, "explain", "--model", "fraud-bert", "--service", "EC2", "--json"))
    charge_id = document["sections"][1]["rows"][0]["charge_id"]
    found = json.loads(said(metered, "explain", "charge", charge_id, "--json"))
    (section,) = [each for each in found["sections"] if each["title"] == "How it was metered"]
    assert {row["workload"] for row in section["rows"]} == {"bert training", "job-2", "nb-1", "idle"}


@pytest.mark.parametrize("asked", ["bert training", "BERT Training", "job-1"])
def test_one_job_is_asked_for_by_its_name_or_its_id(metered, asked):
    document = json.loads(said(metered, "explain", "--job", asked, "--json"))
    assert {row["workload_id"] for row in document["sections"][2]["rows"]} == {"job-1"}
    parts = [row["part"] for row in document["sections"][1]["rows"]]
    assert set(parts) == {"0.25"}
    rows = list(csv.DictReader(io.StringIO(said(metered, "report", "--by", "job", "--job", asked))))
    assert [row["id"] for row in rows] == ["job-1"]


def test_a_job_that_nobody_knows_is_refused_with_what_is_like_it(metered):
    done = CliRunner().invoke(cli, ["--project", str(metered), "explain", "--job", "bert trainin"])
    assert done.exit_code != 0
    assert "Did you mean 'bert training'?" in str(done.exception) + done.output


def test_sensitivity_prints_the_least_the_most_and_their_sets(mixed):
    rows = list(csv.DictReader(io.StringIO(said(mixed, "sensitivity", "--format", "csv"))))
    risk = next(row for row in rows if row["team"] == "risk")
    assert (risk["lowest"], risk["lowest_sets"], risk["highest"], risk["highest_sets"], risk["spread"]) == (
        *("0", "cpu-only", "100", "gpu-only", "100"),
    )
    assert risk["current"] == risk["set_opencost"]
    assert {row["currency"] for row in rows} == {"USD"}


def test_sensitivity_names_machines_with_weights_of_their_own(tmp_path):
    own = '\n[metering.machine_weights."p3.2xlarge"]\ngpu = "1"\ncpu = "1"\nmemory = "1"\nsource = "ours"\n'
    folder = write_company(tmp_path / "own", MIXED_CHARGES, MIXED_USES, config=CONFIG + own)
    for verb in ("ingest", "run"):
        said(folder, "-q", verb)
    shown = said(folder, "sensitivity", "--format", "md")
    assert "Machines with weights of their own are not changed by a set: p3.2xlarge." in shown


def test_sensitivity_says_what_it_did(mixed, metered):
    document = json.loads(said(mixed, "sensitivity", "--by", "business-unit", "--period", "2026-10", "--json"))
    assert (document["schema"], document["current_set"]) == ("apportion.sensitivity/1", "opencost")
    assert document["notes"] == [
        "Calculated anew under each of the sets aws-split-cost, cpu-only, gpu-only, opencost; nothing was stored.",
        "No set changes anybody's amount by more than a billionth of it.",
    ]
    assert "No set changes" in said(metered, "sensitivity", "--format", "md")
