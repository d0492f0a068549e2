from __future__ import annotations

import io
import json
import zipfile
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.read_meters import client_of, read_of, read_text
from tests.sources.tracker_api import tracker_api

from apportion.core.config import SourceConfig
from apportion.core.measures import Basis, Measure, Rank, WorkloadKind
from apportion.errors import MeterUnreachable, UnknownShape, UnreadableFile
from apportion.sources import _clearml_offline, clearml
from apportion.sources._clearml_tasks import gpu_reading, host_and_gpus
from apportion.sources.clearml import SOURCE
from apportion.sources.readings.contract import Resource, Window

RECORDED = Path(__file__).parents[1] / "data" / "clearml" / "offline-99e3f7789ae547febc9f8e783e852490"
CONFIG = SourceConfig("tracker", "clearml", ())
READ_AT = datetime(2026, 11, 25)
WINDOW = Window(datetime(2026, 11, 24), READ_AT, READ_AT)
GIVEN = "t0ken"
KEYS = ("CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY")


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


# -- offline


def zipped(folder, to, *, left_out=()):
    with zipfile.ZipFile(to, "w") as archive:
        for path in sorted(folder.iterdir()):
            if path.name not in left_out:
                archive.write(path, path.name)
    return to


def packed(tmp_path, task=None, metrics="", log=""):
    path = tmp_path / "offline-1.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "task.json", task if isinstance(task, str) else json.dumps({"id": "t", "name": "one"} | (task or {}))
        )
        archive.writestr("metrics.jsonl", metrics)
        archive.writestr("log.jsonl", log)
    return list(read_of(SOURCE, path, CONFIG, None))


def test_the_recorded_offline_task_counts_from_its_first_to_its_last_word():
    found = list(read_of(SOURCE, RECORDED / "task.json", CONFIG, None))
    length = Decimal("3.077")  # 12:25:17.811 in the log to 12:25:20.888 in the metrics
    assert {s.measure: s.quantity for s in found} == {
        Measure.RUN_SECONDS: length,
        Measure.GPU_SECONDS: 2 * length,
        Measure.GPU_BUSY_SECONDS: (Decimal("0.415") + Decimal("0.80")) * length,
    }
    assert {(s.start, s.end, s.basis) for s in found} == {
        (datetime(2026, 11, 24, 12, 25, 17, 811000), datetime(2026, 11, 24, 12, 25, 20, 888000), Basis.ESTIMATED)
    }
    one = found[0].workload
    assert (one.id, one.name, one.experiment, one.kind) == (
        "clearml:offline-99e3f7789ae547febc9f8e783e852490", "train fraud-detector", "fraud/scoring",
        WorkloadKind.TRAINING_JOB,
    )  # fmt: skip
    assert one.labels == {
        "team": "risk",
        "tags": "nightly,team:risk",
        "apportion.resource_id": "i-0abc",
        "k8s.pod.uid": "6b3f-uid",
    }
    assert one.links == ("clearml:offline-99e3f7789ae547febc9f8e783e852490", "pod:6b3f-uid", "host:train-1")
    assert found[0].resource == Resource(id="i-0abc", node="train-1")


def test_an_archive_is_read_like_its_folder(tmp_path):
    path = zipped(RECORDED, tmp_path / "offline-1.zip")
    assert list(read_of(SOURCE, path, CONFIG, None)) == list(read_of(SOURCE, RECORDED / "task.json", CONFIG, None))


@pytest.mark.parametrize("name", ["data/artifacts/table.json", "data/task.json.jsonl", "models.json"])
def test_artifacts_within_the_folder_of_a_task_say_nothing(tmp_path, name):
    below = tmp_path / name
    below.parent.mkdir(parents=True, exist_ok=True)
    below.write_text("[1]")
    (tmp_path / "task.json").write_text("{}")
    assert list(read_of(SOURCE, below, CONFIG, None)) == []


def test_a_task_that_said_nothing_is_a_fault(tmp_path):
    (found,) = read_of(
        SOURCE, zipped(RECORDED, tmp_path / "a.zip", left_out=("metrics.jsonl", "log.jsonl")), CONFIG, None
    )
    assert (found.code, found.rejected) == ("clearml_task_without_times", True)
    assert found.what == "Task 'train fraud-detector' reported nothing with a time, so it is not known when it ran."


def event(second, variant="x", value=1, metric=":monitor:gpu"):
    return {"timestamp": 1_795_000_000_000 + 1000 * second, "metric": metric, "variant": variant, "value": value}


def test_gpu_readings_become_busy_time_memory_and_energy(tmp_path):
    lines = [
        [
            event(second, "gpu_0_utilization", 50.0),
            event(second, "gpu_0_mem_used_gb", 2),
            event(second, "gpu_0_power_draw", 70),
        ]
        for second in (0, 30, 60, 90, 120)
    ]
    found = packed(tmp_path, metrics="\n".join(map(json.dumps, lines)))
    assert {s.measure: s.quantity for s in found} == {
        Measure.RUN_SECONDS: 120,
        Measure.GPU_SECONDS: 120,
        Measure.GPU_BUSY_SECONDS: 60,
        Measure.GPU_MEMORY_BYTE_SECONDS: 2 * 1024**3 * 120,
        Measure.ENERGY_JOULES: 8400,
    }


def test_a_line_that_was_cut_off_is_a_doubt_and_the_others_are_counted(tmp_path):
    whole = json.dumps([event(0), event(9), {"timestamp": None}, 3])
    doubt, found = packed(tmp_path, metrics=f"{whole}\n\n{whole[:40]}", log=json.dumps(event(12)))
    assert (doubt.code, doubt.row, doubt.column, doubt.rejected) == (
        "clearml_line_unreadable",
        3,
        "metrics.jsonl",
        False,
    )
    assert doubt.what.startswith("Line 3 of metrics.jsonl is no JSON: the task was stopped while it wrote")
    assert found.quantity == 12


def test_what_is_no_reading_counts_nothing(tmp_path):
    lines = [
        [
            event(0, "gpu_0_utilization", "n/a"),
            event(5, "gpu_1_utilization", -1),
            event(9, "gpu_2_utilization", value=True),
        ]
    ]
    assert [s.measure for s in packed(tmp_path, metrics=json.dumps(lines[0]))] == [Measure.RUN_SECONDS]


def test_gpus_without_readings_are_those_of_the_workers_name(tmp_path):
    worded = json.dumps([{**event(0), "worker": "n1:gpu0,3"}, event(10)])
    assert [s.quantity for s in packed(tmp_path, log=worded)] == [10, 20]


@pytest.mark.parametrize(
    ("task", "error", "words"),
    [
        ("{", UnreadableFile, r"offline-1\.zip: task\.json is no JSON\. Copy it again"),
        ("[]", UnknownShape, r"offline-1\.zip: task\.json has no id, so it is no task of ClearML\. Give the archives"),
    ],
)
def test_a_task_that_is_none_is_refused(task, error, words, tmp_path):
    with pytest.raises(error, match=words):
        packed(tmp_path, task)


def test_an_archive_of_something_else_or_in_pieces_is_refused(tmp_path):
    path = zipped(RECORDED, tmp_path / "a.zip", left_out=("task.json",))
    with pytest.raises(UnknownShape, match=r"a\.zip: is a zip archive without task\.json\."):
        list(read_of(SOURCE, path, CONFIG, None))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UnreadableFile, match=r"a\.zip: is no whole zip archive\. Copy it again"):
        list(read_of(SOURCE, path, CONFIG, None))


def test_an_archive_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_clearml_offline, "LARGEST_PART", 0)
    with pytest.raises(UnreadableFile, match=r"task\.json in it has more than 0 MiB\. Unpack it and give the folder\."):
        packed(tmp_path)


@given(st.integers(0, 99), st.integers(0, 99), st.sampled_from(["utilization", "mem_used_gb", "power_draw"]))
def test_all_spellings_of_a_reading_name_the_same_gpu(rank, index, name):
    expected = ((rank, index), name)
    assert gpu_reading(f":monitor:gpu:rank{rank:02d}", f"gpu_{index}_{name}") == expected
    assert gpu_reading(f":monitor:gpu_{index}_{name}", f"rank {rank:02d}") == expected
    assert gpu_reading(":monitor:machine", f"gpu_{index}_{name}") is None


@pytest.mark.parametrize(
    ("worker", "found"),
    [("n1", ("n1", None)), ("n1:gpu0", ("n1", 1)), ("n1:gpu0,1,2:service", ("n1", 3)), ("n1:0", ("n1", None)),
     (":", (None, None))],
)  # fmt: skip
def test_a_workers_name_says_host_and_gpus(worker, found):
    assert host_and_gpus(worker) == found


# -- a server


def task(**fields):
    return {
        "id": "t1", "name": "one", "type": "training", "status": "completed", "user": "u1", "project": "p1",
        "parent": "t0", "started": "2026-11-24T12:00:00.000000+00:00", "completed": "2026-11-24T13:00:00.250000+00:00",
        "last_worker": "n1:gpu0,1", "tags": ["nightly"],
        "hyperparams": {"properties": {"team": {"section": "properties", "name": "team", "value": "risk"}}}, **fields,
    }  # fmt: skip


def answered(**data):
    return {"meta": {"result_code": 200, "endpoint": {"name": "x"}}, "data": data}


def of(*documents, read_at=READ_AT):
    return list(read_text(SOURCE, "\n".join(map(json.dumps, documents)), CONFIG, read_at))


def test_an_answer_of_the_server_gives_run_and_gpu_seconds():
    found = of(answered(tasks=[task()]), answered(projects=[{"id": "p1", "name": "fraud/scoring"}]))
    assert {s.measure: s.quantity for s in found} == {
        Measure.RUN_SECONDS: Decimal("3600.25"),
        Measure.GPU_SECONDS: Decimal("7200.5"),
    }
    one = found[0].workload
    assert (one.id, one.parent, one.experiment, one.user, one.status) == (
        "clearml:t1", "clearml:t0", "fraud/scoring", "u1", "completed",
    )  # fmt: skip
    assert (one.labels, one.links) == ({"team": "risk", "tags": "nightly"}, ("clearml:t1", "host:n1"))


def test_gpus_with_readings_go_before_the_workers_name():
    metrics = {"h1": {"a": {"metric": ":monitor:gpu", "variant": "gpu_0_utilization", "value": 5},
                      "b": {"metric": "loss", "variant": "train", "value": 1}}}  # fmt: skip
    found = of(answered(tasks=[task(last_metrics=metrics)]))
    assert {s.measure: s.quantity for s in found}[Measure.GPU_SECONDS] == Decimal("3600.25")


def test_whole_objects_in_the_place_of_ids_are_understood():
    whole = task(
        user={"id": "u1", "name": "Mei"}, project={"id": "p1", "name": "fraud"}, parent={"id": "t0", "name": "x"}
    )
    one = of(answered(task=whole))[0].workload
    assert (one.user, one.experiment, one.parent) == ("Mei", "fraud", "clearml:t0")


def test_a_task_in_progress_has_no_end_and_a_waiting_one_has_used_nothing():
    tasks = [
        task(status="in_progress", completed=None),
        task(id="t2", status="queued"),
        task(id="t3", status="created"),
    ]
    found = of(answered(tasks=tasks))
    assert [(s.quantity, s.end) for s in found] == [(12 * 3600, None), (24 * 3600, None)]


@pytest.mark.parametrize(
    ("fields", "code", "what"),
    [
        ({"completed": None, "status": "stopped"}, "ended_run_without_end",
         "Run 'one' is stopped but has no end, so its duration is unknown."),
        ({"started": None}, "run_without_start", "Run 'one' has no start, so its duration is unknown."),
        ({"id": None}, "clearml_task_without_id", "This task has no id, so nothing can be counted for it."),
    ],
)  # fmt: skip
def test_what_the_server_leaves_open_is_said(fields, code, what):
    (found,) = of(answered(tasks=[task(**fields)]))
    assert (found.code, found.what) == (code, what)


@pytest.mark.parametrize("kind", ["service", "custom", "", None])
def test_a_type_that_may_be_anything_is_other(kind):
    assert of(answered(tasks=[task(type=kind)]))[0].workload.kind == WorkloadKind.OTHER


def test_a_document_of_something_else_is_refused():
    with pytest.raises(UnknownShape, match=r"document 1 is no answer of ClearML with tasks or projects\. Save"):
        of({"runs": []})


def test_every_page_is_asked_for_with_a_token_that_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(clearml, "PER_PAGE", 2)
    for name, value in zip(KEYS, ("access", "s3cret"), strict=True):
        monkeypatch.setenv(name, value)
    running = task(id="t9", status="in_progress", completed=None)
    answers = {
        "/auth.login": [answered(token=GIVEN)],
        "/projects.get_all": [answered(projects=[{"id": "p1", "name": "fraud"}])],
        "/tasks.get_all": [
            answered(tasks=[running]),
            answered(tasks=[task(), running]),
            answered(tasks=[task(id="t2", last_worker=None)]),
        ],
    }
    path = tmp_path / "answers.jsonl"
    with tracker_api(answers) as api, path.open("w") as keep:
        client = client_of(api.url, keep, READ_AT)
        list(SOURCE.pull(client, WINDOW, CONFIG))
        client.close()
    assert [(asked.path, asked.authorization) for asked in api.asked] == [
        ("/auth.login", "Basic YWNjZXNzOnMzY3JldA=="),
        ("/projects.get_all", f"Bearer {GIVEN}"),
        *[("/tasks.get_all", f"Bearer {GIVEN}")] * 3,
    ]
    bodies = [asked.body for asked in api.asked[2:]]
    assert [one.get("status") for one in bodies] == [["in_progress"], None, None]
    assert [(one.get("status_changed"), one["page"], one["page_size"]) for one in bodies[1:]] == [
        ([">=2026-11-24T00:00:00"], 0, 2),
        ([">=2026-11-24T00:00:00"], 1, 2),
    ]
    assert not any(secret in path.read_text() for secret in (GIVEN, "s3cret", "YWNj"))
    found = [s for s in read_of(SOURCE, path, CONFIG, None) if s.measure == Measure.RUN_SECONDS]
    assert [(s.workload.id, s.workload.experiment) for s in found] == [
        ("clearml:t9", "fraud"), ("clearml:t1", "fraud"), ("clearml:t2", "fraud"),
    ]  # fmt: skip


def test_the_general_credentials_need_no_token(monkeypatch):
    for name in (*KEYS, "APPORTION_TRACKER_TOKEN"):
        monkeypatch.setenv(name, "own")
    answers = {"/projects.get_all": [answered(projects=[])], "/tasks.get_all": [answered(tasks=[])] * 2}
    with tracker_api(answers) as api:
        client = client_of(api.url, io.StringIO(), READ_AT)
        list(SOURCE.pull(client, WINDOW, CONFIG))
        client.close()
    assert {asked.authorization for asked in api.asked} == {"Bearer own"}


def test_keys_that_get_no_token_are_told_without_being_named(monkeypatch):
    for name in KEYS:
        monkeypatch.setenv(name, "s3cret")
    with tracker_api({"/auth.login": [answered()]}) as api:
        client = client_of(api.url, io.StringIO(), READ_AT)
        with pytest.raises(MeterUnreachable) as told:
            list(SOURCE.pull(client, WINDOW, CONFIG))
    assert "/auth.login gives no token for these keys." in str(told.value)
    assert "s3cret" not in str(told.value)


def test_it_is_a_tracker_that_does_not_see_everything():
    assert (SOURCE.rank, SOURCE.complete) == (Rank.TRACKER, False)
