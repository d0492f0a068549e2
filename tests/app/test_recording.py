from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from tests.cli.test_commands import apportion

from apportion import app
from apportion.app.recording import Usage, record
from apportion.errors import NoProject, UnusableUsage

START = datetime(2026, 10, 1, 8, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_spool(monkeypatch):
    monkeypatch.delenv("APPORTION_SPOOL", raising=False)


@pytest.fixture
def project(tmp_path):
    app.init(tmp_path)
    return tmp_path


def line(recorded):
    (text,) = recorded.path.read_text("utf-8").splitlines()
    return json.loads(text)


def test_gpus_and_hours_become_one_line_in_the_spool_of_the_project(project):
    asked = Usage(workload="retrain", gpus="4", hours="2.5", start=START, known={"team": "fraud"}, labels={"a": "b"})
    done = record(project, asked)
    assert (done.measure, done.quantity, done.path.parent) == ("gpu_seconds", 36000, project / ".apportion-usage")
    found = line(done)
    assert (found["workload"], found["team"], found["labels"]) == ("retrain", "fraud", {"a": "b"})
    assert found["start"] == "2026-10-01T08:00:00Z"


def test_the_interval_ends_at_the_end_and_lasts_the_hours(project):
    end = datetime(2026, 10, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    found = line(record(project, Usage(workload="w", gpus="1", hours="2.5", end=end)))
    assert (found["start"], found["end"]) == ("2026-10-01T07:30:00Z", "2026-10-01T10:00:00Z")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2d", 172800), ("7", 7)])
def test_a_time_is_that_long_for_one_gpu(project, text, seconds):
    hours = "1" if text == "7" else None
    done = record(project, Usage(workload="w", quantity=text, hours=hours))
    assert done.quantity == seconds
    took = datetime.fromisoformat(line(done)["end"]) - datetime.fromisoformat(line(done)["start"])
    assert took == timedelta(seconds=3600 if hours else seconds)


def test_two_records_of_one_workload_are_counted_beside_each_other(project):
    # without a key of their own, rows that overlap in time are one thing read twice
    lines = [line(record(project, Usage(workload="w", quantity="1h"))) for _ in range(2)]
    assert lines[0]["key"] != lines[1]["key"]


def test_other_measures_have_units(project):
    asked = Usage(workload="w", measure="tokens_output", quantity="1.5", unit="million_tokens", hours="1")
    assert record(project, asked).quantity == Decimal(1_500_000)


@pytest.mark.parametrize(
    ("asked", "what", "fix"),
    [
        ({}, "There is no quantity.", "Give --quantity, or --gpus with --hours."),
        ({"gpus": "4"}, "There is no quantity.", "Give --quantity, or --gpus with --hours."),
        ({"gpus": "1", "quantity": "5"}, "Both --gpus and --quantity say how much.", "Give --gpus with --hours, or"),
        ({"gpus": "many", "hours": "1"}, "'many' is no amount (--gpus).", "Write a number such as 4"),
        ({"quantity": "5"}, "Nothing says when this was used.", "Give --start (and --end), or --hours."),
        (
            {"quantity": "1h", "measure": "requests"},
            "'1h' is a time, and requests is counted in something else.",
            "Give",
        ),
        (
            {"quantity": "1h", "unit": "gpu_hours"},
            "'1h' is a time, and gpu_seconds is counted in",
            "Give a plain number",
        ),
        ({"quantity": "1h", "measure": "memory_byte_seconds"}, "'1h' is a time, and memory_byte_seconds is", "Give"),
        ({"quantity": "9999999999d"}, "863999999913600 seconds are longer than time is.", "Check the unit."),
        ({"quantity": "5", "hours": "1", "measure": "gpu"}, "There is no measure 'gpu'.", "Known: billing_units"),
        ({"quantity": "1h", "kind": "idle"}, "There is no workload_kind 'idle'.", "Known: api_key"),
        ({"quantity": "1h", "start": START, "end": START}, "The end does not lie after the start.", "Correct one"),
    ],
)
def test_usage_that_cannot_be_read_back_is_refused_and_not_written(project, asked, what, fix):
    with pytest.raises(UnusableUsage) as refused:
        record(project, Usage(workload="w", **asked))
    assert refused.value.what.startswith(what)
    assert refused.value.fix.startswith(fix)
    assert refused.value.fix.endswith("Nothing was written.")
    assert not (project / ".apportion-usage").exists()


def test_without_a_project_a_spool_folder_must_be_named(tmp_path, monkeypatch):
    with pytest.raises(NoProject):
        record(tmp_path, Usage(workload="w", quantity="1h"))
    assert record(tmp_path, Usage(workload="w", quantity="1h"), spool=tmp_path / "a").path.parent == tmp_path / "a"
    monkeypatch.setenv("APPORTION_SPOOL", str(tmp_path / "b"))
    assert record(tmp_path, Usage(workload="w", quantity="1h")).path.parent == tmp_path / "b"


def test_the_command_says_what_it_counted(project):
    words = (
        "--workload",
        "retrain",
        "--gpus",
        "4",
        "--hours",
        "2.5",
        "--resource-id",
        "i-1",
        "--label",
        "a=b",
        "--json",
    )
    done = apportion("--project", str(project), "record", *words)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["schema"] == "apportion.record/1"
    (row,) = document["sections"][0]["rows"]
    assert [str(cell) for cell in (row.values() if isinstance(row, dict) else row)][:2] == ["retrain", "gpu_seconds"]
    (path,) = (project / ".apportion-usage").iterdir()
    assert json.loads(path.read_text())["resource_id"] == "i-1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gpus", "4"), "There is no quantity.\nGive --quantity, or --gpus with --hours. Nothing was written."),
        (("--label", "x", "--quantity", "1h"), "'x' is no KEY=VALUE."),
        (("--start", "soon", "--quantity", "1h"), "'soon' is no time; write ISO 8601, such as 2026-10-01T08:30:00Z."),
    ],
)
def test_the_command_refuses_what_says_too_little(project, words, said):
    done = apportion("--project", str(project), "record", "--workload", "w", *words)
    assert done.returncode == 2
    assert said in done.stderr
