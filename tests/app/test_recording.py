from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
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


@pytest.mark.parametrize("hours", ["2.5", "2.5h", "150m", "9000s"])
def test_hours_after_a_start_say_the_end(project, hours):
    done = record(project, Usage(workload="w", gpus="2", hours=hours, start=START))
    assert (line(done)["start"], line(done)["end"]) == ("2026-10-01T08:00:00Z", "2026-10-01T10:30:00Z")
    assert done.quantity == 18_000


def test_a_time_after_a_start_says_the_end_unless_hours_do(project):
    asked = Usage(workload="w", measure="cpu_core_seconds", quantity="90m", start=START)
    assert line(record(project, asked))["end"] == "2026-10-01T09:30:00Z"
    assert line(record(project, replace(asked, hours="1")))["end"] == "2026-10-01T09:00:00Z"


def test_start_and_end_say_the_hours(project):
    until = START + timedelta(hours=2, microseconds=1)
    done = record(project, Usage(workload="w", gpus="2", start=START, end=until))
    assert (done.start, done.end) == (START.replace(tzinfo=None), until.replace(tzinfo=None))
    assert done.quantity == Decimal("14400.000002")


def test_hours_that_agree_with_start_and_end_may_be_said_too(project):
    asked = Usage(workload="w", gpus="2", hours="2.0", start=START, end=START + timedelta(hours=2))
    assert record(project, asked).quantity == 14_400


def test_a_quantity_may_lie_within_a_longer_time(project):
    asked = Usage(workload="w", quantity="1h", start=START, end=START + timedelta(hours=5))
    done = record(project, asked)
    assert (done.quantity, done.end - done.start) == (3600, timedelta(hours=5))


def test_a_plain_quantity_since_a_start_lasts_until_now(project):
    done = record(project, Usage(workload="w", quantity="5", start=START))
    assert timedelta(0) <= datetime.now(UTC).replace(tzinfo=None) - done.end < timedelta(minutes=1)


@given(
    minutes=st.integers(1, 100_000),
    gpus=st.decimals("0.01", 1000, places=2),
    start=st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1)),
)
def test_any_two_of_start_end_and_hours_say_the_third(tmp_path_factory, minutes, gpus, start):
    spool = tmp_path_factory.getbasetemp() / "spool"
    end, hours = start + timedelta(minutes=minutes), f"{minutes}m"
    told = ({"start": start, "hours": hours}, {"end": end, "hours": hours}, {"start": start, "end": end})
    done = [record(spool, Usage(workload="w", gpus=str(gpus), **two), spool=spool) for two in told]
    assert {(one.start, one.end, one.quantity) for one in done} == {(start, end, gpus * minutes * 60)}


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
        ({}, "There is no quantity.", "Give --quantity, or --gpus with --hours or with --start and --end."),
        ({"gpus": "4"}, "There is no quantity.", "Give --quantity, or --gpus with --hours"),
        ({"gpus": "4", "start": START}, "There is no quantity.", "Give --quantity, or --gpus with --hours"),
        ({"gpus": "4", "end": START}, "There is no quantity.", "Give --quantity, or --gpus with --hours"),
        ({"gpus": "1h", "hours": "1"}, "'1h' is a time, not a number of GPUs.", "Write how many, such as 4 or 0.5."),
        ({"gpus": "1", "hours": "1", "unit": "gpu_hours"}, "--gpus with --hours has a unit already.", "Leave --unit"),
        (
            {"gpus": "1", "hours": "2", "start": START, "end": START + timedelta(hours=1)},
            "From --start to --end it is 3600 seconds, and --hours says 7200.",
            "Leave one of the three out;",
        ),
        ({"gpus": "1", "start": START, "end": START - timedelta(hours=1)}, "The end does not lie after", "Correct one"),
        ({"measure": "foo"}, "There is no measure 'foo'.", "Known: billing_units"),
        ({"measure": "foo", "quantity": "1h"}, "There is no measure 'foo'.", "Known: billing_units"),
        ({"measure": "foo", "gpus": "x", "hours": "y"}, "There is no measure 'foo'.", "Known: billing_units"),
        ({"kind": "foo"}, "There is no workload_kind 'foo'.", "Known: api_key"),
        ({"unit": "foo"}, "'foo' is no unit of gpu_seconds.", "Known: days, gpu_days"),
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
        "--start",
        "2026-10-01T08:00:00+02:00",
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
    assert [row["start"], row["end"]] == ["2026-10-01T06:00:00Z", "2026-10-01T08:30:00Z"]
    (path,) = (project / ".apportion-usage").iterdir()
    assert json.loads(path.read_text())["resource_id"] == "i-1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gpus", "4"), "There is no quantity.\nGive --quantity, or --gpus with --hours or with --start"),
        (("--measure", "foo"), "There is no measure 'foo'.\nKnown: billing_units,"),
        (("--label", "x", "--quantity", "1h"), "'x' is no KEY=VALUE."),
        (("--start", "soon", "--quantity", "1h"), "'soon' is no time; write ISO 8601, such as 2026-10-01T08:30:00Z."),
    ],
)
def test_the_command_refuses_what_says_too_little(project, words, said):
    done = apportion("--project", str(project), "record", "--workload", "w", *words)
    assert done.returncode == 2
    assert said in done.stderr
