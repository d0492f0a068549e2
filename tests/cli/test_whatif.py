"""`apportion whatif`, as a user runs it."""

from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner
from tests.company import write_company

from apportion.cli.main import cli
from apportion.errors import ApportionError

RULES = """
[[rules]]
id = "support"
when = { service = "Support" }
set = { team = "platform" }

[[pools]]
id = "network"
when = { service = "Network" }
grain = "team"
receivers = { team = "risk" }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = write_company(tmp_path_factory.mktemp("cli") / "tiny")
    (made / "new.toml").write_text(RULES)
    (made / "same.toml").write_text("[hierarchy]\nmodels = {}\n")
    (made / "idle.toml").write_text('[maps]\nresource_groups = { none = { team = "a" } }\n')
    for verb in ("ingest", "run"):
        asked(made, verb)
    return made


def asked(folder, *words):
    done = CliRunner().invoke(cli, ["--project", str(folder), *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def whatif(folder, *words, rules="new.toml"):
    return asked(folder, "whatif", "--rules", str(folder / rules), *words)


def test_a_table_says_who_pays_more_and_who_less_and_which_rules_differ(folder):
    shown = whatif(folder, "--format", "md").stdout
    assert [line for line in shown.splitlines() if line.startswith("|") and "---" not in line] == [
        "| Team | Before | After | Change | Change % |",
        "| risk | 95.00 | 115.00 | +20.00 | +21.0% |",
        "| platform | 20.00 | 7.50 | −12.50 | −62.5% |",
        "| unallocated | 7.50 | 0.01 | −7.49 | −99.9% |",
        "| growth | 0.01 | 0.00 | −0.01 | −100.0% |",
        "| Total | 122.51 | 122.51 | 0.00 | 0.0% |",
        "| What | Id | Becomes | Version | Proposed |",
        *[line for line in shown.splitlines() if line.startswith(("| rule", "| pool"))],
    ]
    assert "| rule | shared-endpoint | gone |" in shown
    assert "| rule | support | new | – |" in shown
    assert "| pool | network | new | – |" in shown
    assert "Nothing was stored: before is the current run, after what 'apportion run' would give." in shown


def test_in_a_pipe_it_is_csv_with_every_digit_and_notes_go_to_stderr(folder):
    done = whatif(folder, "--period", "2026-10", "--lens", "before")
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0] == ["currency", "team", "before", "after", "change", "change_ratio"]
    assert rows[1] == ["USD", "platform", "20", "27.5", "7.5", "0.375"]
    assert ["kind", "id", "fate", "version_before", "version_after"] in rows
    assert done.stderr.startswith("Nothing was stored")
    quiet = asked(folder, "-q", "whatif", "--rules", str(folder / "new.toml"))
    assert quiet.stderr == ""


def test_json_has_the_run_the_period_and_a_total(folder):
    document = json.loads(whatif(folder, "--period", "2026-09..2026-10", "--by", "business-unit", "--json").stdout)
    assert document["schema"] == "apportion.whatif/1"
    assert (document["period"], document["metric"], document["lens"]) == ("2026-09..2026-10", "BilledCost", "after")
    (money, rules) = document["sections"]
    assert money["currency"] == "USD"
    assert money["rows"][0]["business_unit"] == "Finance"
    assert money["total"] == {
        "business_unit": "Total",
        "before": "222.51",
        "after": "222.51",
        "change": "0",
        "change_ratio": "0",
    }
    assert [row["id"] for row in rules["rows"]] == ["support", "shared-endpoint", "network"]


def test_owners_whose_amount_stays_are_one_row(folder):
    document = json.loads(whatif(folder, "--by", "environment", "--json", rules="idle.toml").stdout)
    assert [row["environment"] for row in document["sections"][0]["rows"]] == ["(2 unchanged)"]
    assert document["notes"][1] == "They change nobody's amount."
    document = json.loads(whatif(folder, "--json", rules="same.toml").stdout)
    assert document["notes"][1] == "The proposed rules are those of the run."
    assert len(document["sections"]) == 1


def test_a_terminal_gets_a_table(folder):
    shown = whatif(folder, "--format", "table").stdout
    assert shown.splitlines()[0] == "What the proposed rules would change"
    assert "What the rules change" in shown


@pytest.mark.parametrize(
    ("words", "code"),
    [(("--rules", "none.toml"), 2), ((), 2), (("--rules", "new.toml", "--by", "service"), 2)],
)
def test_wrong_usage_is_refused(folder, monkeypatch, words, code):
    monkeypatch.chdir(folder)
    assert CliRunner().invoke(cli, ["whatif", *words]).exit_code == code


@pytest.mark.parametrize(
    ("text", "period", "said", "code"),
    [
        (RULES, "2027-01", "holds no bill of 2027-01.", 1),
        ('[[rules]]\nid = "a"\nwhn = 1\n', "2026-10", "bad.toml:3: rules[1].whn: is not known here. Did you mean", 2),
    ],
)
def test_what_cannot_be_answered_is_said(folder, monkeypatch, text, period, said, code):
    monkeypatch.chdir(folder)
    (folder / "bad.toml").write_text(text)
    with pytest.raises(ApportionError) as refused:
        cli.main(["whatif", "--rules", "bad.toml", "--period", period], standalone_mode=False)
    assert said in str(refused.value)
    assert refused.value.exit_code == code
