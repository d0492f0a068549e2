from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from decimal import Decimal

import pytest
from tests.company import CONFIG, OCTOBER, bill


def apportion(*words: str, cwd=None, **environment: str) -> subprocess.CompletedProcess:
    """The command as a user runs it, in a process of its own."""
    run = "from apportion.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", run, *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The folder of the small company, ingested and run through the command line."""
    from tests.company import write_company

    folder = write_company(tmp_path_factory.mktemp("cli") / "tiny")
    for verb in ("ingest", "run"):
        done = apportion("--project", str(folder), verb)
        assert (done.returncode, done.stderr) == (0, "")
    return str(folder)


def test_help_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from apportion.cli.main import _outcome\n"
        "assert _outcome(['--help']) == 0\n"
        "heavy = {'duckdb', 'pyarrow', 'sqlalchemy', 'pydantic', 'rich', 'sqlglot', 'alembic'} & set(sys.modules)\n"
        "print(heavy, file=sys.stderr)\n"
    )
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=path)
    assert done.stderr.strip() == "set()"
    for group in ("Get started", "Monthly run", "Read"):
        assert group in done.stdout


def test_every_command_has_help_with_an_example():
    from apportion.cli.main import GROUPS

    for commands in GROUPS.values():
        for name in commands:
            done = apportion(name, "--help")
            assert done.returncode == 0
            if name not in {"tags", "export"}:
                assert re.search(r"Examples?:\n +apportion ", done.stdout), name


def test_a_pipe_gets_csv_with_every_digit(project):
    done = apportion("--project", project, "report", "--by", "team", "--period", "2026-10")
    rows = {row["team"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert rows["risk"]["cost"] == "95.004"
    assert rows["growth"]["cost"] == "0.006"
    assert {row["currency"] for row in rows.values()} == {"USD"}


def test_json_has_a_versioned_schema_and_money_as_text(project):
    done = apportion("--project", project, "report", "--by", "model", "--period", "2026-10", "--json")
    document = json.loads(done.stdout)
    assert document["schema"] == "apportion.report/1"
    (section,) = document["sections"]
    costs = {row["model"]: row["cost"] for row in section["rows"]}
    assert costs == {"fraud": "95", "feed": "0.006", "search": "0.004", "unallocated": "27.5"}
    assert sum(map(Decimal, costs.values())) == Decimal(section["total"]["cost"])


def test_a_table_is_drawn_when_asked_for(project):
    done = apportion("--project", project, "report", "--format", "table", "--period", "2026-10")
    assert re.search(r"risk +Finance +95\.00", done.stdout)
    assert "\x1b" not in done.stdout


def test_markdown_is_a_table_too(project):
    done = apportion("--project", project, "report", "--format", "md", "--period", "2026-10")
    assert "| risk | Finance |" in done.stdout


def test_every_option_can_be_set_in_the_environment(project):
    done = apportion(
        "report", APPORTION_PROJECT=project, APPORTION_REPORT_BY="service", APPORTION_REPORT_PERIOD="2026-10"
    )
    assert done.stdout.splitlines()[0].startswith("currency,service")


def test_an_unknown_command_is_answered_with_the_nearest():
    done = apportion("reprt")
    assert done.returncode == 2
    assert "There is no command 'reprt'. Did you mean 'report'?" in done.stderr


def test_a_wrong_period_is_wrong_usage(project):
    done = apportion("--project", project, "report", "--period", "2026-13")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'2026-13' is not a period." in done.stderr


def test_a_folder_without_project_says_what_to_do(tmp_path):
    done = apportion("run", cwd=tmp_path)
    assert done.returncode == 2
    assert "Run 'apportion init' there, or name the folder with --project." in done.stderr


def test_a_fault_in_the_configuration_names_file_and_line(tmp_path):
    (tmp_path / "apportion.toml").write_text(CONFIG.replace("currency", "curency"))
    done = apportion("ingest", cwd=tmp_path)
    assert done.returncode == 2
    assert "apportion.toml:4: project.curency: is not known here." in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(tmp_path):
    assert "Traceback" in apportion("--debug", "run", cwd=tmp_path).stderr
    assert "Traceback" in apportion("run", cwd=tmp_path, APPORTION_DEBUG="1").stderr
    assert "Traceback" not in apportion("run", cwd=tmp_path, APPORTION_DEBUG="0").stderr


def test_explain_names_rule_file_row_and_hash(project):
    done = apportion("--project", project, "explain", "--team", "risk", "--period", "2026-10", "--json")
    why, largest = json.loads(done.stdout)["sections"]
    assert why["total"]["amount"] == "95.004"
    assert largest["rows"][0]["row"] == "2"
    assert len(largest["rows"][0]["file_sha256"]) == 64
    charge = apportion("--project", project, "explain", "charge", largest["rows"][0]["charge_id"], "--json")
    assert json.loads(charge.stdout)["row"] == 2


def test_explain_with_other_words_is_wrong_usage(project):
    done = apportion("--project", project, "explain", "risk")
    assert done.returncode == 2
    assert "Write: apportion explain charge ID" in done.stderr


def test_verify_certifies_and_writes_the_certificate(project, tmp_path):
    target = tmp_path / "certificate.txt"
    done = apportion("--project", project, "verify", "--files", "--certificate", str(target), "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["holds"], document["charges"]) == (0, True, 8)
    assert target.read_text().endswith("holds\n")


def test_doctor_says_what_is_up_to_date(project):
    done = apportion("--project", project, "doctor", "--json")
    states = {row["check"]: row["state"] for row in json.loads(done.stdout)["sections"][0]["rows"]}
    assert done.returncode == 0
    assert set(states.values()) == {"ok"}


def test_doctor_fails_on_a_broken_configuration(tmp_path):
    (tmp_path / "apportion.toml").write_text("x =")
    assert apportion("doctor", cwd=tmp_path).returncode == 3


def test_init_writes_a_configuration_that_doctor_reads(tmp_path):
    assert apportion("init", str(tmp_path / "new")).returncode == 0
    again = apportion("init", str(tmp_path / "new"))
    assert (again.returncode, "give --force" in again.stderr) == (2, True)
    done = apportion("doctor", cwd=tmp_path / "new")
    assert 'configuration,ok,"1 sources, 0 rules"' in done.stdout
    assert "source cloud,warn,no files found" in done.stdout


def test_ingest_lists_new_unchanged_and_restated_months(project, tmp_path):
    from tests.company import write_company

    folder = write_company(tmp_path / "tiny")
    first = apportion("ingest", cwd=folder)
    assert first.stdout.count(",new,") == 2
    assert apportion("ingest", cwd=folder).stdout.count(",unchanged,") == 2
    (folder / "bills" / "2026-10.csv").write_text(bill("2026-10", OCTOBER[:2]))
    third = apportion("ingest", cwd=folder)
    assert (third.stdout.count(",restated,"), third.stdout.count(",unchanged,")) == (1, 1)


def test_problems_are_listed_with_file_and_rows(tmp_path):
    from tests.company import write_company

    folder = write_company(tmp_path / "tiny")
    bad = (folder / "bills" / "2026-10.csv").read_text().replace("100.00,payer", "lots,payer", 1)
    (folder / "bills" / "2026-10.csv").write_text(bad)
    apportion("ingest", cwd=folder)
    done = apportion("problems", "--severity", "rejected", "--json", cwd=folder)
    (row,) = json.loads(done.stdout)["sections"][0]["rows"]
    assert (row["code"], row["rows"], row["example"]) == ("cost_unreadable", "2", "lots")
    assert row["file"].endswith("2026-10.csv")


def test_a_formula_in_a_name_is_made_harmless_in_csv(tmp_path):
    from tests.company import write_company

    folder = write_company(tmp_path / "tiny")
    text = (folder / "bills" / "2026-10.csv").read_text().replace(",Network,", ",=HYPERLINK(1),")
    (folder / "bills" / "2026-10.csv").write_text(text)
    apportion("ingest", cwd=folder)
    apportion("run", cwd=folder)
    done = apportion("report", "--by", "service", "--period", "2026-10", cwd=folder)
    assert ",'=HYPERLINK(1)," in done.stdout


def test_money_that_is_kept_out_is_said_by_every_verb(tmp_path):
    from tests.company import write_company

    folder = write_company(tmp_path / "tiny")
    path = folder / "bills" / "2026-10.csv"
    path.write_text(path.read_text().replace("7.50,payer,Payer,USD", "7.50,payer,Payer,", 1))
    said = "1 record is kept out of the money (7.5 of unknown currency): see 'apportion problems --severity rejected'."
    assert apportion("ingest", cwd=folder).returncode == 0
    for verb in (("run",), ("report", "--period", "2026-10"), ("verify", "--files")):
        assert json.loads(apportion(*verb, "--json", cwd=folder).stdout)["notes"][-1] == said, verb
    files = json.loads(apportion("verify", "--files", "--json", cwd=folder).stdout)["sections"][-1]["rows"]
    assert files[-1]["state"] == "holds: BilledCost adds up to 122.51, 7.5 of it kept out"
    doctor = {
        row["check"]: row for row in json.loads(apportion("doctor", "--json", cwd=folder).stdout)["sections"][0]["rows"]
    }
    assert doctor["kept out"]["detail"] == "1 records are in no result"


def test_doctor_sees_bills_that_changed_since(tmp_path):
    from tests.company import write_company

    folder = write_company(tmp_path / "tiny")
    apportion("ingest", cwd=folder)
    (folder / "bills" / "2026-10.csv").write_text(bill("2026-10", OCTOBER[:2]))
    rows = json.loads(apportion("doctor", "--json", cwd=folder).stdout)["sections"][0]["rows"]
    (stale,) = [row for row in rows if row["check"] == "files of cloud"]
    assert stale["state"] == "warn"
    assert stale["detail"].startswith("1 files are new or changed since they were ingested")


def test_names_are_found_whatever_their_case(project):
    done = apportion("--project", project, "report", "--team", "RISK", "--period", "2026-10")
    assert ",risk," in done.stdout


def test_a_path_that_cannot_be_written_is_no_defect_of_ours(project):
    done = apportion("--project", project, "verify", "--certificate", "/nowhere/c.txt")
    assert done.returncode == 1
    assert "/nowhere/c.txt: No such file or directory" in done.stderr
    assert "defect" not in done.stderr


def test_unknown_sources_and_reports_are_answered_with_the_known(project):
    assert (
        "There is no source 'clod'.\nDid you mean 'cloud'?"
        in apportion("--project", project, "problems", "--source", "clod").stderr
    )
    assert (
        "There is no report 'tema'.\nDid you mean 'team'?"
        in apportion("--project", project, "report", "--by", "tema").stderr
    )


def test_a_pattern_in_a_relative_project_stays_inside_it(tmp_path):
    from tests.company import write_company

    folder = write_company(tmp_path / "g[1]")
    (folder / "apportion.toml").write_text(CONFIG.replace('["bills"]', '["bills/*.csv"]'))
    assert apportion("--project", "g[1]", "ingest", cwd=tmp_path).stdout.count(",new,") == 2
    apportion("run", cwd=folder)
    files = json.loads(apportion("verify", "--files", "--json", cwd=folder).stdout)["sections"][-1]["rows"]
    assert [row["state"].split(":")[0] for row in files] == ["holds", "holds"]
    assert all(row["file"].startswith(str(folder)) for row in files)
    (folder / "apportion.toml").write_text(CONFIG.replace('["bills"]', '["*.csv"]'))
    assert "source cloud,warn,no files found" in apportion("doctor", cwd=folder).stdout


def test_notes_of_csv_go_to_stderr_unless_quiet(tmp_path):
    from tests.company import write_company

    folder = write_company(tmp_path / "tiny")
    path = folder / "bills" / "2026-10.csv"
    path.write_text(path.read_text().replace("7.50,payer,Payer,USD", "7.50,payer,Payer,", 1))
    assert "See 'apportion problems'." in apportion("ingest", cwd=folder).stderr
    assert "1 record is kept out of the money" in apportion("run", cwd=folder).stderr
    for words in (("report",), ("explain",), ("export", "focus", "--to", "out")):
        assert "1 record is kept out of the money" in apportion(*words, cwd=folder).stderr
    assert apportion("--quiet", "report", cwd=folder).stderr == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"[project]\nname = 'caf\xe9'\n", "apportion.toml:2: text: is not written in UTF-8. Save the file as UTF-8.")],
)
def test_a_configuration_in_another_encoding_is_the_files_fault(tmp_path, content, said):
    (tmp_path / "apportion.toml").write_bytes(content)
    done = apportion("run", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr.replace("\n", " ")


def test_a_configuration_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "apportion.toml").write_text(CONFIG, encoding="utf-8-sig")
    done = apportion("doctor", cwd=tmp_path)
    assert "configuration,ok" in done.stdout
    assert not (tmp_path / ".apportion").exists()


def test_doctor_knows_the_rules_of_a_run_with_a_method(tmp_path):
    from tests.company import write_company

    folder = write_company(tmp_path / "tiny")
    (folder / "apportion.toml").write_text(CONFIG.replace("split = [", 'method = "even"\nsplit = ['))
    for verb in ("ingest", "run"):
        apportion(verb, cwd=folder)
    assert "is up to date" in apportion("doctor", cwd=folder).stdout


def test_the_largest_pieces_are_listed_per_currency(tmp_path):
    from tests.company import write_company

    folder = write_company(tmp_path / "tiny")
    path = folder / "bills" / "2026-10.csv"
    path.write_text(path.read_text().replace("100.00,payer,Payer,USD", "100000,payer,Payer,JPY", 1))
    apportion("ingest", cwd=folder)
    apportion("run", cwd=folder)
    found = json.loads(apportion("explain", "--limit", "1", "--period", "2026-10", "--json", cwd=folder).stdout)
    assert [(s["currency"], len(s["rows"])) for s in found["sections"] if "largest" in s["title"]] == [
        ("JPY", 1),
        ("USD", 1),
    ]


def test_a_quantity_too_large_to_add_up_is_said_as_such(tmp_path):
    from tests.company import write_company

    folder = write_company(tmp_path / "tiny")
    path = folder / "bills" / "2026-10.csv"
    header, first, *_ = path.read_text().splitlines()
    path.write_text("\n".join([header, *[first.replace(",1,Hours", ",900000000000000000,Hours", 1)] * 140]) + "\n")
    done = apportion("ingest", cwd=folder)
    assert done.returncode == 1
    assert "cannot be kept exactly" in done.stderr
    assert "export a larger one" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "focus"', 'kind = "fokus"', ":8: sources[1].kind: 'fokus' is not known here."),
        ("split = [", 'method = "evn"\nsplit = [', ":23: rules[1].method: 'evn' is not known here."),
        (
            'paths = ["bills"]',
            'paths = ["bills"]\n[sources.options]\nnonsense = "x"',
            ":11: sources[1].options.nonsense: 'nonsense' is not known here.",
        ),
    ],
)
def test_names_that_no_plug_in_has_are_said_with_their_line(tmp_path, old, new, said):
    (tmp_path / "apportion.toml").write_text(CONFIG.replace(old, new))
    done = apportion("ingest", cwd=tmp_path)
    assert done.returncode == 2
    assert f"apportion.toml{said}" in done.stderr
    assert "Known: " in done.stderr
