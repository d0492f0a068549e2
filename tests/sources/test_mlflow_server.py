from __future__ import annotations

import time
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from tests.sources import mlflow_server
from tests.sources.mlflow_server import Writer
from tests.sources.mlflow_server import mlflow_server as served
from tests.sources.read_meters import client_of, read_of

from apportion.core.config import SourceConfig
from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.sources import mlflow
from apportion.sources.mlflow import SOURCE
from apportion.sources.readings.contract import Fault, Resource, Sample, Window

EPOCH = datetime(1970, 1, 1)
HOUR = 3_600_000
READ_AT = datetime(2026, 11, 24, 12)
CONFIG = SourceConfig("tracker", "mlflow", ())


def config(**options):
    return SourceConfig("tracker", "mlflow", (), options=options)


def moment(milliseconds):
    return EPOCH + timedelta(milliseconds=milliseconds)


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    """A real server with what a company did in the last hours, and what was written, in plain numbers."""
    with served(tmp_path_factory.mktemp("mlflow")) as url:
        yield Week(url)


class Week:
    """What is written to the server, and what must come back; times are milliseconds since 1970."""

    def __init__(self, url):
        self.url = url
        writer = Writer(url)
        self.begun = time.time_ns() // 1_000_000 - 4 * HOUR
        self.experiment = writer.experiment("fraud")
        other = writer.experiment("churn")
        self.sweep = writer.run(
            self.experiment, "sweep", self.begun + HOUR, self.begun + 3 * HOUR, tags={"mlflow.user": "mei"}
        )
        self.children = [self.child(writer, number) for number in range(7)]
        self.running = writer.run(self.experiment, "killed", self.begun + 2 * HOUR + 17)
        self.older_running = writer.run(other, "from before", self.begun - 30 * HOUR)
        self.spanning = writer.run(
            other, "across the start", self.begun - HOUR, self.begun + HOUR // 2, status="FAILED"
        )
        self.before = writer.run(other, "over before", self.begun - 3 * HOUR, self.begun - 2 * HOUR)
        self.endless = writer.run(other, "no end", self.begun + HOUR)
        writer.ask("POST", "mlflow/runs/update", {"run_id": self.endless, "status": "FAILED"})
        self.deleted = writer.run(other, "deleted", self.begun + HOUR, self.begun + HOUR + 5000)
        writer.ask("POST", "mlflow/runs/delete", {"run_id": self.deleted})
        self.write_artifacts(writer, other)
        self.pulled_at = moment(time.time_ns() // 1_000_000 + 1)

    def child(self, writer, number):
        tags = {
            "mlflow.parentRunId": self.sweep,
            "team": f"team-{number % 2}",
            "apportion.resource_id": f"i-{number}",
            "k8s.pod.uid": f"uid-{number}",
            "host.name": f"node-{number}",
            "slurm.job_id": str(100 + number),
            "slurm.cluster_name": "onprem",
        }
        start = self.begun + HOUR + 1000 * number
        run_id = writer.run(self.experiment, f"trial {number}", start, start + 60_000 * (number + 1) + 1, tags=tags)
        for gpu in range(number % 3):
            values = [(start + 10_000 * step, 10.0 * step + gpu) for step in range(4)]
            writer.metric(run_id, f"system/gpu_{gpu}_utilization_percentage", values)
            writer.metric(run_id, f"system/gpu_{gpu}_memory_usage_megabytes", values[:1])
        return run_id

    def write_artifacts(self, writer, other):
        address = f"mlflow-artifacts:/{self.experiment}/{self.children[2]}/artifacts"
        writer.artifact(address, "weights/shards/0.bin", 30_000)
        writer.artifact(address, "weights/shards/1.bin", 4_000)
        writer.artifact(address, "card.md", 17)
        writer.artifact(address, "logs/err.txt", 100)
        writer.artifact(f"mlflow-artifacts:/{other}/{self.before}/artifacts", "old.bin", 999)
        writer.registered("fraud-detector", address, run_id=self.children[2])
        self.model_id, at, self.model_made = writer.logged_model(self.experiment, "net", self.children[3])
        writer.artifact(at, "MLmodel", 512)
        writer.registered("fraud-detector", f"models:/{self.model_id}", model_id=self.model_id)
        of_4 = address.replace(self.children[2], self.children[4])
        writer.registered("a", of_4, run_id=self.children[4])
        writer.registered("b", of_4, run_id=self.children[4])

    def pulled(self, tmp_path, chosen=CONFIG):
        window = Window(moment(self.begun), self.pulled_at, self.pulled_at)
        path = tmp_path / "answers.jsonl"
        with path.open("w") as keep:
            client = client_of(self.url, keep, self.pulled_at)
            list(SOURCE.pull(client, window, chosen))
            client.close()
        return path, list(read_of(SOURCE, path, chosen, self.pulled_at))

    def expected(self):
        """Every sample, from what was written: measure, workload -> quantity and interval."""
        milli = Decimal(1000)
        read_ms = (self.pulled_at - EPOCH) // timedelta(milliseconds=1)
        intervals = {
            self.sweep: (self.begun + HOUR, self.begun + 3 * HOUR),
            self.running: (self.begun + 2 * HOUR + 17, None),
            self.older_running: (self.begun - 30 * HOUR, None),
            self.spanning: (self.begun - HOUR, self.begun + HOUR // 2),
            self.deleted: (self.begun + HOUR, self.begun + HOUR + 5000),
        }
        for number, run_id in enumerate(self.children):
            start = self.begun + HOUR + 1000 * number
            intervals[run_id] = (start, start + 60_000 * (number + 1) + 1)
        found = {}
        for run_id, (start, end) in intervals.items():
            found["run_seconds", run_id] = (((end or read_ms) - start) / milli, start, end)
        for number, run_id in enumerate(self.children):
            start, end = intervals[run_id]
            gpus = number % 3
            if gpus:
                found["gpu_seconds", run_id] = (gpus * (end - start) / milli, start, end)
                busy = sum(Decimal(15 + gpu) for gpu in range(gpus)) / 100  # the mean of 0, 10, 20, 30 is 15
                found["gpu_busy_seconds", run_id] = (busy * (end - start) / milli, start, end)
        ended = intervals[self.children[2]][1]
        found["storage_byte_seconds", self.children[2]] = (34_117 * (read_ms - ended) / milli, ended, read_ms)
        made = self.model_made
        found["storage_byte_seconds", self.children[3]] = (512 * (read_ms - made) / milli, made, read_ms)
        return found


def as_written(samples):
    found = {}
    for one in samples:
        key = (one.measure.value, one.workload.id.removeprefix("mlflow:"))
        assert key not in found
        found[key] = (one.quantity, one.start, one.end)
    return found


def test_a_real_server_gives_exactly_what_was_written(week, tmp_path):
    _, found = week.pulled(tmp_path)
    expected = {
        key: (quantity, moment(start), None if end is None else moment(end))
        for key, (quantity, start, end) in week.expected().items()
    }
    assert as_written(one for one in found if isinstance(one, Sample)) == expected


def test_every_page_of_a_real_server_is_asked_for(week, tmp_path, monkeypatch):
    _, whole = week.pulled(tmp_path)
    for name in ("RUNS_PER_PAGE", "OTHERS_PER_PAGE", "MODELS_PER_PAGE", "POINTS_PER_PAGE", "EXPERIMENTS_PER_REQUEST"):
        monkeypatch.setattr(mlflow, name, 2 if name != "EXPERIMENTS_PER_REQUEST" else 1)
    _, paged = week.pulled(tmp_path)
    samples = [[one for one in found if isinstance(one, Sample)] for found in (whole, paged)]
    assert as_written(samples[1]) == as_written(samples[0])
    assert len(samples[0]) > 20


def test_a_run_of_a_real_server_says_whose_it_is_and_where_it_ran(week, tmp_path):
    _, found = week.pulled(tmp_path)
    one = next(s for s in found if isinstance(s, Sample) and s.workload.id == f"mlflow:{week.children[2]}")
    assert one.resource == Resource(id="i-2", node="node-2")
    assert one.workload.links == (f"mlflow:{week.children[2]}", "pod:uid-2", "slurm:onprem/102", "host:node-2")
    assert (one.workload.name, one.workload.parent) == ("trial 2", f"mlflow:{week.sweep}")
    assert (one.workload.experiment, one.workload.status) == ("fraud", "FINISHED")
    assert one.workload.kind == WorkloadKind.TRAINING_JOB
    assert (one.workload.model, one.workload.model_version, one.workload.user) == ("fraud-detector", "1", None)
    assert (one.workload.labels["team"], one.workload.team) == ("team-0", None)
    assert not [key for key in one.workload.labels if key.startswith("mlflow.")]
    assert {s.basis for s in found if isinstance(s, Sample)} == {Basis.ESTIMATED}


def test_a_version_made_of_a_logged_model_names_the_model_of_its_run(week, tmp_path):
    _, found = week.pulled(tmp_path)
    (stored,) = [s for s in found if isinstance(s, Sample) and s.measure == Measure.STORAGE_BYTE_SECONDS
                 and s.workload.id == f"mlflow:{week.children[3]}"]  # fmt: skip
    assert (stored.workload.model, stored.workload.model_version) == ("fraud-detector", "2")
    assert stored.resource.id == "mlflow-artifacts:/"


def test_the_user_is_the_one_in_the_tag(week, tmp_path):
    _, found = week.pulled(tmp_path)
    assert {s.workload.user for s in found if isinstance(s, Sample) and s.workload.name == "sweep"} == {"mei"}


def test_a_real_server_with_doubts_says_them(week, tmp_path):
    _, found = week.pulled(tmp_path)
    assert {(f.code, f.what, f.rejected) for f in found if isinstance(f, Fault)} == {
        ("ended_run_without_end", "Run 'no end' is FAILED but has no end, so its duration is unknown.", True),
        (
            "run_with_several_models",
            "Run 'trial 4' is registered under 2 models, so its model is left open.",
            False,
        ),
    }


def test_the_artifacts_of_all_runs_of_a_real_server_are_counted_where_asked_for(week, tmp_path):
    _, found = week.pulled(tmp_path, config(artifacts="all", artifact_store="s3://models/mlflow"))
    samples = [one for one in found if isinstance(one, Sample)]
    old = [s for s in samples if s.workload.id == f"mlflow:{week.before}"]
    window = Decimal((week.pulled_at - moment(week.begun)) // timedelta(milliseconds=1)) / 1000
    assert [(s.measure, s.quantity, s.start) for s in old] == [
        (Measure.STORAGE_BYTE_SECONDS, 999 * window, moment(week.begun))
    ]
    assert {s.resource.id for s in samples if s.measure == Measure.STORAGE_BYTE_SECONDS} == {"models"}


def test_no_artifact_of_a_real_server_is_listed_where_none_are_wanted(week, tmp_path):
    path, found = week.pulled(tmp_path, config(artifacts="none"))
    assert "artifacts/list" not in path.read_text()
    assert not [s for s in found if isinstance(s, Sample) and s.measure == Measure.STORAGE_BYTE_SECONDS]


def test_a_missing_server_is_told_with_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_server, "COMMAND", tmp_path / "mlflow")
    with pytest.raises(AssertionError, match=r"is missing: run scripts/install_mlflow\.sh"), served(tmp_path):
        pass
