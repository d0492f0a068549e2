"""`apportion tags` as a user meets it; the bill is that of `tests.company`, and its figures can be checked by hand."""

from __future__ import annotations

import csv
import io
import json

import pytest
from tests.cli.test_commands import apportion
from tests.company import CONFIG, bill, write_company

from apportion import app
from apportion.cli.main import _outcome
from apportion.errors import UnknownName

POLICY = """
[tags.policy]
required = ["team"]
allowed = { team = ["risk", "growth"], environment = ["prod", "dev"] }

[[tags.policy.cases]]
when = { environment = "prod" }
required = ["model"]
"""

MISSPELLED = (
    ("10.00", "Compute", "a", "111", '{""team"": ""risk""}'),
    ("4.50", "Compute", "b", "111", '{""team"": ""growht""}'),
    ("-1.25", "Compute", "c", "111", '{""team"": ""r\u0456sk""}'),  # a Cyrillic letter
    ("3.00", "Compute", "d", "111", '{""acme:team"": ""growth""}'),
)

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: ranker
spec:
  template:
    metadata:
      labels:
        team: Risk
        env: prod
    spec:
      containers: []
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: cache
  labels: {team: growht}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The small company, ingested and run."""
    return posted(write_company(tmp_path_factory.mktemp("tags") / "tiny"))


@pytest.fixture(scope="module")
def misspelled(tmp_path_factory):
    """The small company with one bill in which teams are spelled in several ways."""
    folder = write_company(tmp_path_factory.mktemp("tags") / "misspelled")
    (folder / "bills" / "2026-09.csv").unlink()
    (folder / "bills" / "2026-10.csv").write_text(bill("2026-10", MISSPELLED), encoding="utf-8")
    return posted(folder)


def posted(folder):
    with app.open_project(folder) as opened:
        app.ingest(opened)
        app.run(opened)
    return folder


@pytest.fixture
def tags(capsys):
    """`apportion tags` in this process: exit code, and what it said on stdout and stderr."""

    def asked(folder, *words):
        code = _outcome(["--project", str(folder), "tags", *map(str, words)])
        return code, *capsys.readouterr()

    return asked


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_coverage_of_the_last_month_by_hand(project, tags):
    """October: 95 of the trainer, 0.01 split by a rule, 20 by the account map, 7.50 of nobody, 0 of the bucket."""
    code, said, told = tags(project, "coverage")
    assert (code, told) == (0, "")
    found = {row["dimension"]: row for row in rows(said)}
    assert list(found) == ["team", "project", "model", "environment"]
    assert found["team"] == {
        "dimension": "team",
        "provider": "Cloud",
        "currency": "USD",
        "charges": "6",
        "money": "122.51",
        "tagged_money": "95",
        "tagged": "0.775447",
        "tagged_charges": "3",
        "known_money": "115.01",
        "known": "0.938781",
        "known_charges": "5",
    }
    assert (found["project"]["tagged"], found["project"]["known"]) == ("0", "0")
    assert (found["model"]["tagged_money"], found["model"]["known_money"]) == ("95", "95.01")


def test_coverage_of_several_months_is_that_of_all_their_money(project, tags):
    """September adds 70 and 30, both tagged: attribute numbers of two snapshots must not meet."""
    _, said, _ = tags(project, "coverage", "--period", "2026-09..2026-10", "--json")
    document = json.loads(said)
    assert document["schema"] == "apportion.tags-coverage/1"
    team = document["sections"][0]["rows"][0]
    assert (team["charges"], team["money"], team["tagged_money"], team["known_money"]) == (8, "222.51", "195", "215.01")
    assert (team["tagged"], team["known"]) == ("0.876365", "0.966294")


def test_the_worklist_names_the_largest_first_and_the_coverage_then(project, tags):
    code, said, told = tags(project, "worklist", "--dimension", "project")
    assert code == 0
    assert told.startswith("USD 7.5 without project belongs to no resource (tax, support, fees): ")
    assert [(row["resource_id"], row["open"], row["coverage"]) for row in rows(said)] == [
        ("id/trainer", "95", "0.775447"),
        ("id/nat", "20", "0.938699"),
        ("id/ranker", "0.01", "0.938781"),
    ]


def test_the_worklist_says_what_no_tag_can_own(project, tags):
    _, said, _ = tags(project, "worklist", "--dimension", "project", "--limit", "1", "--json")
    document = json.loads(said)
    assert document["sections"][0]["title"] == "tag this resource: project coverage +77.5 % (0.0 % to 77.5 %)"
    assert document["notes"] == [
        "USD 7.5 without project belongs to no resource (tax, support, fees): "
        "a rule or an account map can own it, a tag cannot."
    ]


def test_the_table_of_a_worklist_reads_as_one(project, tags):
    _, said, _ = tags(project, "worklist", "--dimension", "model", "--format", "table")
    assert "tag this resource: model coverage +16.3 % (77.6 % to 93.9 %)" in said
    assert "nat" in said
    assert "USD 7.5 without model" in said


def test_variants_come_with_the_line_that_merges_them(misspelled, tags):
    code, said, told = tags(misspelled, "variants")
    assert (code, told) == (0, "")
    found = {row["spelling"]: row for row in rows(said)}
    assert list(found) == ["growht", "r\u0456sk", "acme:team"]
    assert found["growht"] == {
        "dimension": "team",
        "spelling": "growht",
        "into": "growth",
        "why": "differs in one letter",
        "charges": "1",
        "money": "USD 4.5",
        "toml": '[tags.values.team]\n"growht" = "growth"',
    }
    assert found["r\u0456sk"]["why"] == "looks the same but has other letters: check who sets it"
    assert found["r\u0456sk"]["money"] == "USD -1.25"
    assert found["acme:team"]["toml"] == '[tags.keys]\nteam = ["team", "owner", "acme:team"]'


def test_variants_are_empty_tables_where_all_is_spelled_alike(project, tags):
    code, said, _ = tags(project, "variants", "--json")
    assert (code, [section["rows"] for section in json.loads(said)["sections"]]) == (0, [[], []])


def test_variants_are_never_merged_by_themselves(misspelled):
    with app.open_project(misspelled) as opened:
        answer = app.report(opened, by="team")
    names = {row[0] for section in answer.sections for row in section.rows}
    assert {"risk", "growht", "r\u0456sk", "unallocated"} <= names


def test_a_manifest_that_breaks_the_policy_stops_with_exit_code_3(tmp_path, tags):
    (tmp_path / "apportion.toml").write_text(CONFIG + POLICY)
    (tmp_path / "k8s.yaml").write_text(MANIFEST)
    code, said, told = tags(tmp_path, "check", tmp_path / "k8s.yaml")
    assert (code, told) == (3, "")
    assert [
        (row["resource"], row["line"], row["code"], row["dimension"], row["what"], row["fix"]) for row in rows(said)
    ] == [
        (
            "Deployment/ranker",
            "8",
            "missing",
            "model",
            "has no tag for model, which is required where environment is prod",
            "Add model to spec.template.metadata.labels.",
        ),
        (
            "PersistentVolumeClaim/cache",
            "18",
            "not-allowed",
            "team",
            "'growht' is no allowed team",
            "Did you mean 'growth'? Allowed: risk, growth.",
        ),
    ]
    assert not (tmp_path / ".apportion").exists()


def test_a_pull_request_is_stopped_by_the_exit_code_of_the_process(tmp_path):
    (tmp_path / "apportion.toml").write_text(CONFIG + POLICY)
    (tmp_path / "k8s.yaml").write_text(MANIFEST)
    assert apportion("tags", "check", "k8s.yaml", cwd=tmp_path).returncode == 3


def test_a_plan_that_keeps_the_policy_passes(tmp_path, tags):
    (tmp_path / "apportion.toml").write_text(CONFIG + POLICY)
    (tmp_path / "k8s.yaml").write_text(MANIFEST.replace("env: prod", "env: dev").replace("growht", "growth"))
    code, said, _ = tags(tmp_path, "check", tmp_path / "k8s.yaml", "--json")
    document = json.loads(said)
    assert (code, document["title"], document["sections"][0]["rows"]) == (0, "The tag policy is kept", [])


def test_a_file_that_is_no_plan_fails_with_what_to_give(tmp_path, tags):
    (tmp_path / "apportion.toml").write_text(CONFIG + POLICY)
    (tmp_path / "notes.yaml").write_text("a: 1\n")
    code, said, told = tags(tmp_path, "check", tmp_path / "notes.yaml")
    assert (code, said) == (1, "")
    assert told == (
        f"Error: {tmp_path / 'notes.yaml'}: is none of cloudformation, kubernetes, terraform.\n"
        "Give the output of 'terraform show -json PLAN', a CloudFormation template, or Kubernetes manifests.\n"
    )


def test_a_month_without_a_bill_is_said_to_have_none(project, tags):
    code, said, told = tags(project, "coverage", "--period", "2025-01")
    assert (code, said) == (1, "")
    assert (
        "holds no bill of 2025-01.\nIt holds 2026-09 to 2026-10. Name one of its months, or ingest and allocate it.\n"
        in told
    )


def test_before_the_first_run_there_is_nothing_to_cover(company, tags):
    code, _, told = tags(company, "variants")
    assert code == 1
    assert told == "Error: Nothing has been allocated yet.\nRun 'apportion ingest' and then 'apportion run'.\n"


def test_a_dimension_that_is_none_is_refused_in_both_doors(allocated, tags):
    with pytest.raises(UnknownName, match=r"There is no dimension of tags 'tem'\. Did you mean 'team'\?"):
        app.tags_worklist(allocated, dimension="tem")
    assert tags(allocated.folder, "worklist", "--dimension", "tem")[0] == 2


@pytest.mark.parametrize("words", [(), ("coverage",), ("worklist",), ("variants",), ("check",)])
def test_every_command_has_help_with_an_example(tags, words):
    code, said, _ = tags(".", *words, "--help")
    assert code == 0
    assert "Example:" in said
    assert "apportion tags" in said


def test_what_the_bill_breaks_of_the_policy_is_listed(tmp_path):
    folder = write_company(tmp_path / "tiny")
    config = folder / "apportion.toml"
    config.write_text(config.read_text() + '\n[tags.policy]\nrequired = ["team"]\n')
    for verb in ("ingest", "run"):
        apportion(verb, cwd=folder)
    done = apportion("tags", "policy", "--json", "--period", "2026-10", cwd=folder)
    rows = json.loads(done.stdout)["sections"][0]["rows"]
    # ranker and nat have no team tag; the support charge is no resource
    assert [(r["code"], r["dimension"], r["resources"], r["amount"]) for r in rows] == [("missing", "team", 2, "20.01")]
    assert rows[0]["what"]
    assert rows[0]["fix"]
