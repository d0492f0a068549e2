from __future__ import annotations

import io
import json
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.read_meters import client_of, read_of, read_text
from tests.sources.tracker_api import tracker_api

from apportion.core.config import SourceConfig
from apportion.core.measures import Measure, Rank, WorkloadKind
from apportion.errors import ConfigError, MeterUnreachable, UnknownShape
from apportion.sources._mlflow_runs import bucket
from apportion.sources.mlflow import SOURCE
from apportion.sources.readings.contract import Resource, Window

EPOCH = datetime(1970, 1, 1)
HOUR = 3_600_000
READ_AT = datetime(2026, 11, 24, 12)
CONFIG = SourceConfig("tracker", "mlflow", ())


def config(**options):
    return SourceConfig("tracker", "mlflow", (), options=options)


def moment(milliseconds):
    return EPOCH + timedelta(milliseconds=milliseconds)


def run(**about):
    tags = about.pop("tags", {})
    metrics = about.pop("metrics", {})
    base = {
        "run_id": "r1",
        "run_name": "one",
        "experiment_id": "1",
        "status": "FINISHED",
        "start_time": 1_764_590_400_000,
        "end_time": 1_764_590_460_000,
        "artifact_uri": "s3://b/1/r1/artifacts",
    }
    return {
        "info": {**base, **about},
        "data": {
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
            "metrics": [{"key": key, "value": value, "timestamp": 1, "step": 0} for key, value in metrics.items()],
        },
    }


def of(*documents, read_at=READ_AT, chosen=CONFIG):
    return list(read_text(SOURCE, "\n".join(map(json.dumps, documents)), chosen, read_at))


def test_an_answer_saved_by_hand_is_read_like_a_pulled_one(tmp_path):
    path = tmp_path / "runs.json"
    path.write_text(json.dumps({"runs": [run()]}, indent=2))
    (found,) = read_of(SOURCE, path, CONFIG, None)
    assert (found.quantity, found.measure, found.row, found.workload.experiment) == (60, Measure.RUN_SECONDS, 1, "1")


def test_gpus_are_distinct_indices_of_each_node():
    seen = ["gpu_0_utilization_percentage", "gpu_0_memory_usage_megabytes", "gpu_1_power_usage_watts"]
    keys = {f"system/{name}": 1 for name in seen} | {"system/node-b/gpu_0_utilization_percentage": 2, "gpu_7_x": 3}
    found = of({"runs": [run(metrics=keys)]})
    assert {s.measure: s.quantity for s in found} == {Measure.RUN_SECONDS: 60, Measure.GPU_SECONDS: 180}


def history(*values, run_id="r1"):
    key, begun = "system/gpu_0_utilization_percentage", 1_764_590_400_000
    points = [{"key": key, "value": value, "timestamp": begun + 10_000 * at} for at, value in enumerate(values)]
    asked = {
        "path": "/api/2.0/mlflow/metrics/get-history",
        "params": {"run_id": run_id},
        "read_at": "2026-11-24T12:00:00",
    }
    return {"apportion_answer": asked, "body": {"metrics": points}}


def test_a_utilisation_that_no_gpu_can_have_is_left_out_of_the_mean():
    found = of({"runs": [run()]}, history(50, 2**60, 70, -1, "NaN", 60))
    assert {s.measure: s.quantity for s in found}[Measure.GPU_BUSY_SECONDS] == 36  # 60 % of 60 s
    found = of({"runs": [run()]}, history(-1))
    assert {s.measure: s.quantity for s in found}[Measure.GPU_BUSY_SECONDS] == 0


def test_a_history_of_part_of_the_run_covers_that_part():
    found = of({"runs": [run()]}, history(50, 50, 50))
    assert {s.measure: s.coverage for s in found}[Measure.GPU_BUSY_SECONDS] == Decimal("0.5")
    found = of({"runs": [run(end_time=1_764_590_400_000)]}, history(50))
    assert {s.measure: s.coverage for s in found}[Measure.GPU_BUSY_SECONDS] == 1


def test_a_run_that_comes_twice_counts_once_as_it_was_last_seen():
    found = of({"runs": [run(), run(end_time=1_764_590_470_000)]})
    assert [s.quantity for s in found] == [70]


def test_the_registry_of_the_models_own_answer_is_understood():
    latest = [{"name": "m", "version": "3", "run_id": "r1"}, {"name": "m", "version": "2", "run_id": "r1"}]
    (found,) = of({"runs": [run()]}, {"registered_models": [{"name": "m", "latest_versions": latest}]})
    assert (found.workload.model, found.workload.model_version) == ("m", None)


def test_a_run_on_databricks_names_its_cluster():
    (found,) = of({"runs": [run(tags={"mlflow.databricks.cluster.id": "0923-1"})]})
    assert found.resource == Resource(id="0923-1", provider="Databricks")


def test_a_logged_model_of_an_unknown_run_stands_for_itself():
    made = {"model_id": "m-1f", "name": "net", "creation_timestamp_ms": 1_764_590_400_000, "artifact_uri": "gs://b/x",
            "source_run_id": "gone", "experiment_id": "1"}  # fmt: skip
    files = {"root_uri": "gs://b/x", "files": [{"path": "a", "is_dir": False, "file_size": 10}]}
    versions = {"model_versions": [{"name": "net", "version": "9", "source": "models:/m-1f"}]}
    at = datetime(2025, 12, 1, 13)
    (found,) = of({"models": [{"info": made}]}, files, versions, {"experiments": [{"experiment_id": "1", "name": "e"}]},
                  read_at=at)  # fmt: skip
    assert (found.quantity, found.end, found.resource.id) == (36_000, None, "b")
    one = found.workload
    assert (one.id, one.kind, one.parent, one.model, one.model_version, one.experiment) == (
        "mlflow:m-1f", WorkloadKind.DATA, "mlflow:gone", "net", "9", "e",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("document", "code", "what"),
    [
        ({"runs": [run(end_time=None, status="RUNNING")]}, "run_without_end",
         "Run 'one' has no end, and the file does not say when it was read."),
        ({"runs": [run(end_time=None, status="KILLED")]}, "ended_run_without_end",
         "Run 'one' is KILLED but has no end, so its duration is unknown."),
        ({"runs": [run(start_time=None)]}, "run_without_start",
         "Run 'one' has no start, so its duration is unknown."),
        ({"runs": [run(end_time=1_764_590_000_000)]}, "run_ends_before_start",
         "Run 'one' ends before it starts, so its duration is unknown."),
        ({"runs": [{"info": {}}]}, "mlflow_entry_without_id",
         "This run has no id, so nothing can be counted for it."),
        ({"models": [{"info": {}}]}, "mlflow_entry_without_id",
         "This logged model has no id, so nothing can be counted for it."),
        ({"models": [{"info": {"model_id": "m-1"}}]}, "run_without_start",
         "Run 'm-1' has no start, so its duration is unknown."),
        ({"metrics": [{"key": "x", "value": 1, "timestamp": 5}]}, "history_of_no_run",
         "This metric history does not say which run it belongs to."),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_is_said(document, code, what):
    (found,) = of(document, read_at=None)
    assert (found.code, found.what) == (code, what)


def test_artifacts_of_no_time_are_said():
    files = {"root_uri": "s3://b/1/r1/artifacts", "files": [{"path": "a", "is_dir": False, "file_size": 10}]}
    _, found = of({"runs": [run()]}, files, read_at=None)
    assert (found.code, found.example) == ("artifacts_at_no_time", "s3://b/1/r1/artifacts")
    assert found.what.startswith("This list of artifacts does not say when it was read")


def test_artifacts_of_a_run_that_ended_after_they_were_read_count_nothing():
    files = {"root_uri": "s3://b/1/r1/artifacts", "files": [{"path": "a", "is_dir": False, "file_size": 10}]}
    found = of({"runs": [run()]}, files, read_at=datetime(2025, 12, 1, 11))
    assert [s.measure for s in found] == [Measure.RUN_SECONDS]


def test_a_slurm_job_of_no_cluster_is_a_doubt_that_the_cluster_option_ends():
    documents = {"runs": [run(tags={"slurm.job_id": "7"})]}
    doubt, sample = of(documents)
    assert (doubt.code, doubt.rejected, sample.workload.links) == ("slurm_job_without_cluster", False, ("mlflow:r1",))
    assert doubt.what == ("Run 'one' is Slurm job 7 of a cluster that is not named, so the two cannot be joined.")
    (sample,) = of(documents, chosen=config(cluster="onprem"))
    assert sample.workload.links == ("mlflow:r1", "slurm:onprem/7")


def test_the_option_read_at_ends_what_runs():
    (found,) = of(
        {"runs": [run(end_time=None, status="RUNNING")]},
        read_at=None,
        chosen=config(read_at="2025-12-01T13:00:00+01:00"),
    )
    assert (found.quantity, found.end) == (0, None)


def test_a_file_of_something_else_is_refused():
    with pytest.raises(UnknownShape, match=r"document 1 is no answer of an MLflow server\. Save the answers"):
        of({"tasks": []})


def test_an_empty_answer_holds_nothing():
    assert of({}) == []


@given(
    st.integers(1, 10**13),
    st.integers(0, 10**10),
    st.integers(0, 9),
)
def test_gpu_seconds_are_run_seconds_times_gpus(start, length, gpus):
    keys = {f"system/gpu_{index}_utilization_percentage": 1 for index in range(gpus)}
    found = {s.measure: s for s in of({"runs": [run(start_time=start, end_time=start + length, metrics=keys)]})}
    assert found[Measure.RUN_SECONDS].quantity * 1000 == length
    if gpus:
        assert found[Measure.GPU_SECONDS].quantity == gpus * found[Measure.RUN_SECONDS].quantity
    else:
        assert len(found) == 1


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("s3://models/1/r/artifacts", "models"),
        ("gs://models/x", "models"),
        ("wasbs://box@account.blob.core.windows.net/x", "account"),
        ("abfss://box@account.dfs.core.windows.net/x", "account"),
        ("mlflow-artifacts:/1/r/artifacts", "mlflow-artifacts:/"),
        ("dbfs:/databricks/x", "dbfs:/"),
        ("/srv/mlruns/x", "file:/srv/mlruns/x"),
    ],
)
def test_a_bill_knows_the_place_of_artifacts_by_its_bucket(address, place):
    assert bucket(address, CONFIG) == place


# -- asking


def test_a_token_that_cannot_be_sent_is_told_by_its_variable_alone(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "s3cr\u00e9t")
    window = Window(datetime(2026, 10, 1), datetime(2026, 10, 2), READ_AT)
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_TOKEN: The token holds") as error:
        list(SOURCE.pull(client_of("http://127.0.0.1:9", io.StringIO(), READ_AT), window, config()))
    assert "s3cr" not in str(error.value)


def test_an_unknown_choice_of_artifacts_is_told():
    window = Window(READ_AT, READ_AT, READ_AT)
    with pytest.raises(ConfigError) as told:
        list(SOURCE.pull(client_of("http://127.0.0.1:9", io.StringIO(), READ_AT), window, config(artifacts="some")))
    assert str(told.value) == (
        "apportion.toml: sources.tracker.options.artifacts: 'some' says nothing about artifacts. "
        "Write one of: window, all, none."
    )


@pytest.mark.parametrize(
    ("names", "header"),
    [
        ({"MLFLOW_TRACKING_TOKEN": "t0k"}, "Bearer t0k"),
        ({"MLFLOW_TRACKING_USERNAME": "mei", "MLFLOW_TRACKING_PASSWORD": "pa"}, "Basic bWVpOnBh"),
        ({"MLFLOW_TRACKING_TOKEN": "t0k", "APPORTION_TRACKER_TOKEN": "own"}, "Bearer own"),
        ({}, None),
    ],
)
def test_the_credentials_of_mlflow_are_sent_and_never_said(names, header, monkeypatch):
    for name in ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    keep = io.StringIO()
    with tracker_api({}) as api:
        client = client_of(api.url, keep, READ_AT)
        with pytest.raises(MeterUnreachable) as told:
            list(SOURCE.pull(client, Window(READ_AT, READ_AT, READ_AT), CONFIG))
        client.close()
    assert [asked.authorization for asked in api.asked] == [header]
    assert "experiments/search answered 404" in str(told.value)
    assert not any(secret in str(told.value) + keep.getvalue() for secret in ("t0k", "own", "bWVp"))


def test_it_is_a_tracker_that_does_not_see_everything():
    assert (SOURCE.rank, SOURCE.complete) == (Rank.TRACKER, False)
