from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

import apportion
from apportion.app import tracking
from apportion.app.tracking import decimal_seconds, links, stamp, visible_gpus, whole_gpus
from apportion.core.config import SourceConfig
from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.sources.readings.contract import RawFile, Sample
from apportion.sources.usage_file import SOURCE

NAMES = ("POD_UID", "POD_NAME", "NODE_NAME", "SLURM_JOB_ID", "SLURM_CLUSTER_NAME", "INSTANCE_ID", "EC2_INSTANCE_ID")
NAMES += ("APPORTION_RESOURCE_ID", "APPORTION_SPOOL", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """An environment that says nothing, and a spool folder of its own."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tracking, "_DRIVER", tmp_path / "no-driver")
    monkeypatch.chdir(tmp_path)


def spooled(folder=".apportion-usage"):
    """The samples that the source reads from the spool folder, by measure."""
    found = []
    for path in sorted(Path(folder).glob("*.ndjson")):
        found += SOURCE.read(RawFile(path, path.name, None), SourceConfig("s", "usage_file", ()))
    assert all(isinstance(one, Sample) for one in found), found
    return {one.measure: one for one in found}


def test_a_tracked_body_is_read_back_with_its_times_and_owner():
    with apportion.track(model="fraud-detector", team="fraud", gpus=2, labels={"sprint": "7"}) as work:
        time.sleep(0.05)
    found = spooled()
    run, gpu = found[Measure.RUN_SECONDS], found[Measure.GPU_SECONDS]
    assert run.quantity >= 0.05
    assert gpu.quantity == 2 * run.quantity
    assert abs((run.end - run.start).total_seconds() - float(run.quantity)) < 1e-5
    assert (run.workload.id, run.workload.kind) == (work.workload, WorkloadKind.TRAINING_JOB)
    assert (run.workload.model, run.workload.team, run.workload.status) == ("fraud-detector", "fraud", "FINISHED")
    assert run.workload.labels["sprint"] == "7"
    assert found[Measure.CPU_CORE_SECONDS].basis is Basis.USED


def test_a_body_that_raises_is_written_down_as_failed_and_still_raises():
    with pytest.raises(ZeroDivisionError), apportion.track("broken"):
        _ = 1 / 0
    found = spooled()[Measure.RUN_SECONDS]
    assert (found.workload.name, found.workload.status) == ("broken", "FAILED")


def test_the_line_is_there_while_the_body_runs():
    with apportion.track("now"):
        assert spooled()[Measure.RUN_SECONDS].workload.status == "RUNNING"


def test_a_killed_process_leaves_a_line_that_is_right_up_to_its_last_heartbeat(tmp_path):
    code = "import apportion, time\nwith apportion.track('long', gpus=4, heartbeat_seconds=0.05):\n    time.sleep(60)\n"
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=path) as process:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            found = spooled().get(Measure.GPU_SECONDS)
            if found and found.quantity > 1:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    found = spooled()
    assert found[Measure.GPU_SECONDS].quantity > 1
    assert found[Measure.GPU_SECONDS].quantity == 4 * found[Measure.RUN_SECONDS].quantity
    assert found[Measure.RUN_SECONDS].workload.status == "RUNNING"


def test_a_disk_that_fails_is_one_warning_and_the_script_goes_on(tmp_path):
    (tmp_path / "file").touch()
    done = []
    with pytest.warns(RuntimeWarning, match="apportion.track could not write down this run") as seen:  # noqa: SIM117
        with apportion.track("x", spool=tmp_path / "file" / "below"):
            done.append(1)
    assert (done, len(seen)) == ([1], 1)


def test_where_warnings_are_errors_the_script_goes_on_too(tmp_path):
    (tmp_path / "file").touch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with apportion.track("x", spool=tmp_path / "file"):
            pass


@pytest.mark.parametrize("gpus", ["many", -1, "-0.5", float("nan"), float("inf"), "1e999999", True, [4], ""])
def test_gpus_that_cannot_be_are_a_warning_and_those_of_the_environment_count(monkeypatch, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    with pytest.warns(RuntimeWarning, match="apportion.track cannot hold .* GPUs and takes what the") as seen:
        tracked = apportion.track("x", gpus=gpus)
    assert (len(seen), seen[0].filename) == (1, __file__)
    with tracked:
        pass
    assert spooled()[Measure.GPU_SECONDS].quantity == 3 * spooled()[Measure.RUN_SECONDS].quantity


@pytest.mark.parametrize("kind", ["train", "idle", "unmetered", None, 7])
def test_a_kind_that_is_none_is_a_warning_and_the_usual_one_counts(kind):
    with pytest.warns(RuntimeWarning, match=f"knows no kind '{kind}' and takes training_job. Known: api_key"):
        tracked = apportion.track("x", kind=kind)
    with tracked:
        pass
    assert spooled()[Measure.RUN_SECONDS].workload.kind is WorkloadKind.TRAINING_JOB


@pytest.mark.parametrize("kind", sorted(set(WorkloadKind) - {WorkloadKind.IDLE, WorkloadKind.UNMETERED}))
def test_every_kind_of_work_can_be_tracked(kind):
    with apportion.track("x", kind=kind):
        pass
    assert spooled()[Measure.RUN_SECONDS].workload.kind is kind


def test_where_warnings_are_errors_what_cannot_be_is_ignored_too():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with apportion.track("x", kind="train", gpus="many", labels=7, spool=7):
            pass


def test_what_it_ran_on_can_be_said_and_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("APPORTION_RESOURCE_ID", "i-9")
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "slurm")
    with apportion.track("night", workload="retrain", resource_id="i-1", node="n1", cluster="c1") as work:
        assert work.workload == "retrain"
    found = spooled()[Measure.RUN_SECONDS]
    assert (found.workload.id, found.workload.name) == ("retrain", "night")
    assert (found.resource.id, found.resource.node, found.resource.cluster) == ("i-1", "n1", "c1")


def files():
    return [SOURCE.read(RawFile(p, p.name, None), SourceConfig("s", "usage_file", ())) for p in spool_files()]


def spool_files():
    return sorted(Path(".apportion-usage").glob("*.ndjson"))


def test_two_bodies_of_one_workload_are_counted_beside_each_other():
    # without a key of their own, rows that overlap in time are one thing read twice
    with apportion.track(workload="retrain"), apportion.track(workload="retrain"):
        pass
    samples = [sample for file in files() for sample in file]
    assert {sample.workload.id for sample in samples} == {"retrain"}
    assert len({sample.key for sample in samples}) == len(spool_files()) == 2


def test_a_body_entered_again_is_another_piece_of_work():
    tracked = apportion.track("x")
    with tracked:
        first = tracked.workload
    with tracked:
        assert tracked.workload != first
    assert len(spool_files()) == 2


def test_each_call_of_a_decorated_function_is_tracked():
    @apportion.track("step", team="fraud")
    def twice(number, *, deeper=True):
        """Doubles."""
        return twice(number, deeper=False) if deeper else 2 * number

    assert (twice.__name__, twice.__doc__, spool_files()) == ("twice", "Doubles.", [])
    assert twice(4) == 8
    samples = [sample for file in files() for sample in file]
    assert len({sample.workload.id for sample in samples}) == len(spool_files()) == 2
    assert {(sample.workload.team, sample.workload.status) for sample in samples} == {("fraud", "FINISHED")}


def test_a_decorated_function_that_raises_is_written_down_as_failed():
    @apportion.track("step")
    def broken():
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        broken()
    assert spooled()[Measure.RUN_SECONDS].workload.status == "FAILED"


def test_a_decorated_coroutine_is_tracked_until_it_was_awaited():
    @apportion.track("step")
    async def slow():
        await asyncio.sleep(0.05)
        return 7

    assert asyncio.run(slow()) == 7
    assert spooled()[Measure.RUN_SECONDS].quantity >= 0.05


def test_a_change_of_the_working_directory_does_not_move_the_line(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    with apportion.track("x"):
        os.chdir("other")
    assert list((tmp_path / ".apportion-usage").glob("*.ndjson"))
    assert not list((tmp_path / ".apportion-usage").glob(".*"))


def test_the_environment_names_the_spool_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("APPORTION_SPOOL", str(tmp_path / "spool"))
    with apportion.track("x"):
        pass
    assert spooled(tmp_path / "spool")


def test_a_child_that_was_forked_within_the_body_does_not_write_its_parents_line(monkeypatch):
    with apportion.track("x") as work:
        monkeypatch.setattr(work, "_process", -1)
    assert spooled()[Measure.RUN_SECONDS].workload.status == "RUNNING"


def test_a_heartbeat_that_hangs_on_a_disk_does_not_hold_the_script(monkeypatch):
    monkeypatch.setattr(tracking, "LONGEST_WAIT", 0.01)
    with pytest.warns(RuntimeWarning, match="does not answer"), apportion.track("x") as work:
        work._writing.acquire()


@pytest.mark.parametrize(
    ("environment", "seen", "whole"),
    [
        ({}, None, None),
        ({"CUDA_VISIBLE_DEVICES": "0,1,2"}, ("0", "1", "2"), "3"),
        ({"CUDA_VISIBLE_DEVICES": ""}, (), "0"),
        ({"CUDA_VISIBLE_DEVICES": "0,-1,1"}, ("0",), "1"),
        ({"CUDA_VISIBLE_DEVICES": "0", "NVIDIA_VISIBLE_DEVICES": "GPU-a,GPU-b"}, ("0",), "1"),
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-a,GPU-b"}, ("GPU-a", "GPU-b"), "2"),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, (), "0"),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, None, None),
        ({"NVIDIA_VISIBLE_DEVICES": "MIG-1"}, ("MIG-1",), None),
    ],
)
def test_the_gpus_are_those_the_environment_shows(monkeypatch, environment, seen, whole):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (visible_gpus(), whole_gpus()) == (seen, whole)


def test_all_gpus_are_those_of_the_driver(monkeypatch, tmp_path):
    for card in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "gpus" / card).mkdir(parents=True)
    monkeypatch.setattr(tracking, "_DRIVER", tmp_path / "gpus")
    assert (visible_gpus(), whole_gpus()) == (("0", "1"), "2")


def test_an_unknown_number_of_gpus_gives_no_gpu_time():
    with apportion.track("x"):
        pass
    assert Measure.GPU_SECONDS not in spooled()


def test_a_stamp_holds_what_the_environment_says_and_the_labels_given(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "vm1")
    assert stamp() == {"host.name": "vm1"}
    said = {"POD_UID": "u-1", "POD_NAME": "p", "NODE_NAME": "n1", "SLURM_JOB_ID": "7", "SLURM_CLUSTER_NAME": "c"}
    said |= {"NVIDIA_VISIBLE_DEVICES": "GPU-a,GPU-b", "INSTANCE_ID": "i-1"}
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    found = apportion.stamp(team="fraud")
    assert found == {
        "host.name": "n1",
        "k8s.pod.uid": "u-1",
        "k8s.pod.name": "p",
        "k8s.node.name": "n1",
        "slurm.job_id": "7",
        "slurm.cluster_name": "c",
        "gpu.uuids": "GPU-a,GPU-b",
        "apportion.resource_id": "i-1",
        "team": "fraud",
    }
    assert links(found) == ["pod:u-1", "slurm:c/7", "gpu:GPU-a", "gpu:GPU-b", "host:n1"]


def test_a_tracked_body_carries_the_keys_of_its_stamp(monkeypatch):
    monkeypatch.setenv("POD_UID", "u-1")
    monkeypatch.setenv("APPORTION_RESOURCE_ID", "i-9")
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "GPU-a")
    with apportion.track("x", kind="notebook", parent="sweep"):
        pass
    found = spooled()[Measure.GPU_SECONDS]
    assert (found.resource.id, found.devices) == ("i-9", ("GPU-a",))
    assert found.workload.links[:2] == ("pod:u-1", "gpu:GPU-a")
    assert (found.workload.kind, found.workload.parent) == (WorkloadKind.NOTEBOOK, "sweep")


def test_nanoseconds_are_written_exactly():
    assert decimal_seconds(12_345_678_901) == "12.345678901"


def test_tracking_needs_the_standard_library_only():
    code = (
        "import sys, apportion\napportion.track, apportion.stamp\nprint(sorted({m.split('.')[0] for m in sys.modules}))"
    )
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env=path)
    names = set(json.loads(done.stdout.replace("'", '"')))
    assert names - set(sys.stdlib_module_names) <= {"__main__", "apportion"}


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="module 'apportion' has no attribute 'trace'"):
        _ = apportion.trace
