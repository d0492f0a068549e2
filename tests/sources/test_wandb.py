from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.sources.read_meters import client_of, read_of, read_text
from tests.sources.tracker_api import tracker_api
from tests.sources.wandb_files import log
from wandb.proto.wandb_internal_pb2 import Record

from apportion.core.config import SourceConfig
from apportion.core.measures import Basis, Measure, Rank
from apportion.errors import ConfigError, MeterUnreachable, MissingExtra, UnknownShape
from apportion.sources._wandb_log import BLOCK
from apportion.sources.readings.contract import Fault, Resource, Sample, Window
from apportion.sources.wandb import RUNS_PER_PAGE, SOURCE

DATA = Path(__file__).parents[1] / "data" / "wandb"
ENDED, KILLED = DATA / "run-7n7a7z8o.wandb", DATA / "run-as1jij79.wandb"
CONFIG = SourceConfig("tracker", "wandb", (), options={"projects": ["acme/fraud"]})
READ_AT = datetime(2026, 11, 25)
START = datetime(2026, 11, 24, 12)
EPOCH = datetime(1970, 1, 1)


# -- recorded and real runs


def test_the_recorded_run_says_who_it_is_and_how_long_it_took():
    (found,) = read_of(SOURCE, ENDED, CONFIG, None)
    assert (found.measure, found.basis, found.row) == (Measure.RUN_SECONDS, Basis.ESTIMATED, 2)
    assert (found.start, found.quantity) == (datetime(2026, 11, 24, 12, 37, 14, 38536), Decimal("4.030763"))
    assert found.end == datetime(2026, 11, 24, 12, 37, 18, 69299)
    one = found.workload
    assert (one.id, one.name, one.namespace, one.experiment) == ("wandb:acme/fraud/7n7a7z8o", "trial", "acme", "fraud")
    assert (one.parent, one.user) == ("wandb:acme/fraud/sweeps/swp123", "mei")
    assert one.links == ("wandb:7n7a7z8o", "pod:6b3f-uid", "slurm:onprem/4711", "host:train-1")
    assert found.resource == Resource(id="i-0abc", node="train-1")
    assert one.labels == {
        "team": "risk",
        "tags": "nightly,team:risk",
        "group": "ablation-1",
        "job_type": "train",
        "model": "fraud-detector",
        "k8s.pod.uid": "6b3f-uid",
        "apportion.resource_id": "i-0abc",
    }


def test_the_recorded_file_of_a_killed_run_is_a_fault():
    (found,) = read_of(SOURCE, KILLED, CONFIG, None)
    assert (found.code, found.rejected) == ("wandb_file_without_run", True)
    assert found.what == "This file has no record that says which run it is, so nothing can be counted."


REAL = """
    import time, wandb
    run = wandb.init(project="real", entity="acme", name="live", config={"model": "m"}, group="g",
                     settings=wandb.Settings(host="here", disable_code=True, disable_git=True, save_code=False))
    for step in range(3):
        run.log({"note": "n" * 30_000, "step": step})
        time.sleep(0.7)
    run.finish()
"""


def test_a_real_offline_run_longer_than_a_block_is_read(tmp_path):
    before = datetime.now(UTC).replace(tzinfo=None)
    env = {**os.environ, "WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "HOME": str(tmp_path),
           "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false", "WANDB_PROJECT": "real"}  # fmt: skip
    subprocess.run([sys.executable, "-c", textwrap.dedent(REAL)], cwd=tmp_path, env=env, check=True, timeout=120)
    after = datetime.now(UTC).replace(tzinfo=None)
    (path,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert path.stat().st_size > 2 * BLOCK
    found = [one for one in read_of(SOURCE, path, CONFIG, None) if isinstance(one, Sample)]
    (one,) = [sample for sample in found if sample.measure == Measure.RUN_SECONDS]
    assert before <= one.start < one.end <= after
    assert 2 <= one.quantity <= Decimal((after - before) / timedelta(seconds=1))
    assert (one.workload.name, one.workload.parent) == ("live", "wandb:acme/real/groups/g")


# -- written runs


def stamp(into, moment):
    whole = moment - EPOCH
    into.seconds, into.nanos = whole // timedelta(seconds=1), whole.microseconds * 1000


def run_record(**fields):
    record = Record()
    for name, value in {"run_id": "r1", "entity": "acme", "project": "fraud", "display_name": "one", **fields}.items():
        setattr(record.run, name, value)
    stamp(record.run.start_time, START)
    return record


def stats(second, **readings):
    record = Record()
    stamp(record.stats.timestamp, START + timedelta(seconds=second))
    for key, value in readings.items():
        record.stats.item.add(key=key.replace("__", "."), value_json=json.dumps(value))
    return record


def ended(runtime):
    record = Record()
    record.exit.runtime = runtime
    return record


def environment(**fields):
    record = Record()
    uuids = fields.pop("uuids", ())
    for name, value in fields.items():
        setattr(record.environment, name, value)
    for uuid in uuids:
        record.environment.gpu_nvidia.add(uuid=uuid)
    record.environment.writer_id = "w"
    return record


def written(tmp_path, *records, cut=None, chosen=CONFIG, read_at=None):
    path = tmp_path / "run-r1.wandb"
    path.write_bytes(log([record.SerializeToString() for record in records])[:cut])
    return list(read_of(SOURCE, path, chosen, read_at))


def test_gpu_readings_become_busy_time_memory_and_energy(tmp_path):
    readings = [
        stats(
            15 * step, gpu__0__gpu=50.0, gpu__1__gpu=10 * step, gpu__0__memoryAllocatedBytes=1000, gpu__0__powerWatts=70
        )
        for step in range(4)
    ]
    found = written(tmp_path, run_record(), environment(uuids=("GPU-b", "GPU-a")), *readings, ended(60))
    assert {s.measure: (s.quantity, s.coverage) for s in found} == {
        Measure.RUN_SECONDS: (60, 1),
        Measure.GPU_SECONDS: (120, 1),
        Measure.GPU_BUSY_SECONDS: (Decimal("39.0"), 1),  # (0.50 + 0.15) × 60
        Measure.GPU_MEMORY_BYTE_SECONDS: (60_000, 1),
        Measure.ENERGY_JOULES: (4_200, 1),
    }
    assert {s.devices for s in found} == {("GPU-a", "GPU-b")}
    assert found[0].workload.links == ("wandb:r1", "gpu:GPU-a", "gpu:GPU-b")


def test_readings_of_part_of_the_run_cover_that_part(tmp_path):
    found = written(tmp_path, run_record(), stats(0, gpu__0__gpu=80), stats(15, gpu__0__gpu=80), ended(120))
    assert {s.measure: s.coverage for s in found}[Measure.GPU_BUSY_SECONDS] == Decimal("0.25")
    found = written(tmp_path, run_record(), stats(3, gpu__0__gpu=80), ended(150))
    assert {s.measure: s.coverage for s in found}[Measure.GPU_BUSY_SECONDS] == Decimal("0.1")


def test_a_gpu_that_cannot_tell_is_not_taken_at_its_word(tmp_path):
    found = written(tmp_path, run_record(), stats(0, gpu__0__powerWatts=2**63), stats(0, gpu__0__gpu=None), ended(9))
    assert [s.measure for s in found] == [Measure.RUN_SECONDS]


def test_gpus_without_readings_are_those_the_machine_had(tmp_path):
    found = written(tmp_path, run_record(), environment(host="h"), environment(gpu_count=8), ended(10))
    assert {s.measure: s.quantity for s in found} == {Measure.RUN_SECONDS: 10, Measure.GPU_SECONDS: 80}
    assert found[0].resource.node == "h"


def test_a_changed_configuration_counts_as_it_was_last(tmp_path):
    change = Record()
    change.config.update.add(key="team", value_json='"risk"')
    change.config.update.add(key="lr", value_json="0.1")
    change.config.remove.add(key="model")
    first = run_record()
    first.run.config.update.add(key="team", value_json='"none"')
    first.run.config.update.add(key="model", value_json='"m"')
    first.run.config.update.add(key="odd", value_json="{")
    (found,) = written(tmp_path, first, change, ended(1))
    assert found.workload.labels == {"team": "risk"}


def test_a_run_without_exit_counts_to_its_last_sign_of_life(tmp_path):
    doubt, found = written(tmp_path, run_record(), stats(0, cpu=1), stats(42, cpu=1))
    assert (found.quantity, found.end) == (42, START + timedelta(seconds=42))
    assert (doubt.code, doubt.rejected) == ("run_without_exit", False)
    assert doubt.what == "Run 'one' says nowhere that it ended; it counts to its last sign of life."


def test_a_run_without_exit_and_readings_needs_to_know_when_it_was_read(tmp_path):
    (found,) = written(tmp_path, run_record())
    assert found.code == "run_without_end"
    (found,) = written(tmp_path, run_record(), read_at=START + timedelta(hours=1))
    assert (found.quantity, found.end) == (3600, None)


def test_a_run_without_start_is_a_fault(tmp_path):
    record = run_record()
    record.run.ClearField("start_time")
    (found,) = written(tmp_path, record, ended(1))
    assert (found.code, found.what) == ("run_without_start", "Run 'one' has no start, so its duration is unknown.")


def test_a_torn_tail_is_a_doubt_and_the_rest_is_read(tmp_path):
    torn, killed, found = written(tmp_path, run_record(), stats(5, cpu=1), ended(7), cut=-3)
    assert (torn.code, torn.row, torn.rejected) == ("wandb_tail_torn", 3, False)
    assert torn.what == "The file ends in the middle of a record: wandb was stopped, or still writes it."
    assert (killed.code, found.quantity) == ("run_without_exit", 5)


def test_a_broken_record_is_a_doubt_and_the_rest_is_read(tmp_path):
    path = tmp_path / "run-r1.wandb"
    records = [run_record().SerializeToString(), b"\xff\xff\xff", ended(7).SerializeToString()]
    path.write_bytes(log(records))
    doubt, found = read_of(SOURCE, path, CONFIG, None)
    assert (doubt.code, doubt.row, doubt.rejected, found.quantity) == ("wandb_record_broken", 2, False, 7)
    assert doubt.what == "A record's checksum does not match, so it and the rest of its block were left out."


def test_a_file_without_the_header_is_refused(tmp_path):
    path = tmp_path / "run-x.wandb"
    path.write_bytes(b"not wandb")
    with pytest.raises(UnknownShape, match=r"run-x\.wandb: does not begin like a file of wandb\. Give the file run-"):
        list(read_of(SOURCE, path, CONFIG, None))


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb.proto.wandb_internal_pb2", None)
    with pytest.raises(MissingExtra, match=r"Reading an offline run of wandb needs packages.*apportion\[wandb\]"):
        list(read_of(SOURCE, ENDED, CONFIG, None))


# -- the API


def node(**fields):
    return {
        "name": "r1", "displayName": "one", "state": "finished", "group": None, "jobType": "train", "sweepName": "s7",
        "createdAt": "2026-11-24T12:00:00", "heartbeatAt": "2026-11-24T13:00:00.500Z", "tags": ["team:risk"],
        "config": json.dumps({"model": {"value": "m", "desc": None}, "lr": {"value": 0.1}, "host": {"value": "n1"},
                              "_wandb": {"value": {"cli_version": "0.31"}}}),
        "systemMetrics": json.dumps({"system.gpu.0.gpu": 55.5, "system.gpu.1.gpu": 3, "system.gpu.1.powerWatts": 60}),
        "user": {"username": "mei"}, **fields,
    }  # fmt: skip


def page(*nodes, cursor="c", more=False):
    edges = [{"node": one} for one in nodes]
    runs = {"edges": edges, "pageInfo": {"endCursor": cursor, "hasNextPage": more}}
    return {"data": {"project": {"name": "fraud", "entityName": "acme", "runs": runs}}}


def of(*documents, read_at=READ_AT, chosen=CONFIG):
    return list(read_text(SOURCE, "\n".join(map(json.dumps, documents)), chosen, read_at))


def test_an_answer_of_the_api_gives_run_and_gpu_seconds():
    found = of(page(node()))
    assert {s.measure: s.quantity for s in found} == {
        Measure.RUN_SECONDS: Decimal("3600.5"),
        Measure.GPU_SECONDS: Decimal("7201.0"),
    }
    one = found[0].workload
    assert (one.id, one.parent, one.user, one.status) == ("wandb:acme/fraud/r1", "wandb:acme/fraud/sweeps/s7", "mei",
                                                          "finished")  # fmt: skip
    assert one.labels == {"team": "risk", "tags": "team:risk", "job_type": "train", "model": "m", "host": "n1"}
    assert (one.links, found[0].resource.node) == (("wandb:r1", "host:n1"), "n1")


def test_a_running_run_has_no_end_and_a_waiting_one_has_used_nothing():
    found = of(page(node(state="running", systemMetrics=None), node(name="r2", state="pending")))
    assert [(s.quantity, s.end) for s in found] == [(12 * 3600, None)]


@pytest.mark.parametrize(
    ("fields", "code", "what"),
    [
        ({"heartbeatAt": None, "state": "crashed"}, "ended_run_without_end",
         "Run 'one' is crashed but has no end, so its duration is unknown."),
        ({"createdAt": None}, "run_without_start", "Run 'one' has no start, so its duration is unknown."),
        ({"name": None}, "wandb_run_without_id",
         "This run has no id (the field `name`), so nothing can be counted for it."),
        ({"heartbeatAt": "2026-11-24T11:00:00"}, "run_ends_before_start",
         "Run 'one' ends before it starts, so its duration is unknown."),
    ],
)  # fmt: skip
def test_what_the_api_leaves_open_is_said(fields, code, what):
    (found,) = of(page(node(**fields)))
    assert (found.code, found.what) == (code, what)


def test_a_document_of_something_else_is_refused():
    with pytest.raises(UnknownShape, match=r"document 1 is no answer of W&B with the runs of a project\. Save"):
        of({"data": {"viewer": {}}})


def test_settings_that_are_no_json_are_none():
    (found,) = of(page(node(config="{", systemMetrics="[1]", tags=None)))
    assert found.workload.labels == {"job_type": "train"}


def test_every_page_is_asked_for_and_a_run_that_moves_is_counted_once(tmp_path):
    pages = [
        page(node(), node(name="r2"), cursor="one", more=True),
        page(node(name="r2"), node(name="r3"), cursor="two"),
    ]
    path = tmp_path / "answers.jsonl"
    window = Window(datetime(2026, 11, 24), datetime(2026, 11, 25), READ_AT)
    with tracker_api({"/graphql": pages}) as api, path.open("w") as keep:
        client = client_of(api.url, keep, READ_AT)
        list(SOURCE.pull(client, window, CONFIG))
        client.close()
    variables = [asked.body["variables"] for asked in api.asked]
    assert [one["cursor"] for one in variables] == [None, "one"]
    assert {(one["entity"], one["project"], one["perPage"], one["order"]) for one in variables} == {
        ("acme", "fraud", RUNS_PER_PAGE, "+created_at")
    }
    assert json.loads(variables[0]["filters"]) == {
        "$and": [
            {"created_at": {"$lt": "2026-11-25T00:00:00Z"}},
            {"heartbeat_at": {"$gte": "2026-11-24T00:00:00Z"}},
        ]
    }
    found = [s for s in read_of(SOURCE, path, CONFIG, None) if s.measure == Measure.RUN_SECONDS]
    assert [(s.workload.links[0], s.row) for s in found] == [("wandb:r1", 1), ("wandb:r2", 1), ("wandb:r3", 2)]


def test_a_cursor_that_does_not_move_ends_the_pages():
    with tracker_api({"/graphql": [page(node(), more=True), page(node(), more=True)]}) as api:
        client = client_of(api.url, io.StringIO(), READ_AT)
        assert len(list(SOURCE.pull(client, Window(START, READ_AT, READ_AT), CONFIG))) == 2
        client.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"data": {"project": None}}, ""),
        ({"errors": [{"message": "permission denied"}], "data": None}, " (permission denied)"),
    ],
)
def test_a_refusal_names_the_project_and_no_key(answer, reason, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "s3cret")
    keep = io.StringIO()
    with tracker_api({"/graphql": [answer]}) as api:
        client = client_of(api.url, keep, READ_AT)
        with pytest.raises(MeterUnreachable) as told:
            list(SOURCE.pull(client, Window(START, READ_AT, READ_AT), CONFIG))
        client.close()
    assert f"/graphql does not give the runs of acme/fraud{reason}." in str(told.value)
    assert [asked.authorization for asked in api.asked] == ["Basic YXBpOnMzY3JldA=="]
    assert not any(secret in str(told.value) + keep.getvalue() for secret in ("s3cret", "YXBp"))


@pytest.mark.parametrize("projects", [None, [], "acme/fraud", ["fraud"], ["a/b/c"], ["/b"]])
def test_the_projects_to_ask_for_must_be_named(projects):
    chosen = SourceConfig("tracker", "wandb", (), options={"projects": projects} if projects is not None else {})
    with pytest.raises(ConfigError) as told:
        list(
            SOURCE.pull(
                client_of("http://127.0.0.1:9", io.StringIO(), READ_AT), Window(START, READ_AT, READ_AT), chosen
            )
        )
    assert str(told.value) == (
        "apportion.toml: sources.tracker.options.projects: the API has to be told which projects to read. "
        'Write, for example: projects = ["my-team/fraud", "my-team/churn"]'
    )


def test_it_is_a_tracker_that_does_not_see_everything():
    assert (SOURCE.rank, SOURCE.complete) == (Rank.TRACKER, False)
    assert not [fault for fault in of(page(node())) if isinstance(fault, Fault)]
