"""Ray. The files in tests/data/ray were recorded from a real Ray 2.60 head node with four pretended GPUs."""

from __future__ import annotations

import io
import json
import threading
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.sources.samples import DATA, only_faults, only_samples, read_file, read_text, totals
from tests.sources.scripted_server import serving

from apportion.core.config import SourceConfig
from apportion.core.measures import Rank, WorkloadKind
from apportion.core.progress import silent
from apportion.errors import UnknownShape
from apportion.sources.ray import SOURCE, _ran, pull
from apportion.sources.readings import pulling
from apportion.sources.readings.client import Client
from apportion.sources.readings.contract import Window

ENDED, LIVE = DATA / "ray" / "ended.jsonl", DATA / "ray" / "live.jsonl"
SAVED = "2026-11-24T12:28:45Z"
JOB = {"job_id": "01", "submission_id": "train", "status": "SUCCEEDED", "start_time": 1000, "end_time": 9000}
TASK = {
    "task_id": "t1",
    "state": "FINISHED",
    "job_id": "01",
    "node_id": "abc",
    "required_resources": {"GPU": 0.25, "CPU": 2},
    "start_time_ms": 2000,
    "end_time_ms": 6000,
}


def lists(entries, total=None):
    return {"result": True, "data": {"result": {"total": total or len(entries), "result": entries}}}


def read(tmp_path, *bodies, **options):
    text = "".join(json.dumps(body) + "\n" for body in bodies)
    return read_text(SOURCE, tmp_path, "ray.jsonl", text, cluster="c", **options)


def who(sample):
    return (sample.workload and sample.workload.id,)


def test_recorded_tasks_and_actors_give_what_a_hand_counts():
    found = totals(read_file(SOURCE, ENDED, cluster="lab", read_at="2026-11-24T12:29:00Z"), who)
    # three tasks of 1 GPU: 3.076 + 3.076 + 3.302 s; the actor holds 0.5 GPU for 8.882 s, whatever its tasks do
    assert found["ray:lab/raysubmit_train1", "gpu_seconds", "requested"] == Decimal("9.454") + Decimal("4.441")
    assert found["ray:lab/raysubmit_train1", "cpu_core_seconds", "requested"] == Decimal("4.727") + Decimal("8.882")
    assert found["ray:lab/raysubmit_train1", "run_seconds", "requested"] == Decimal("12.286")


def test_the_metadata_of_a_job_are_its_labels_and_name_its_run():
    found = {s.workload.id: s.workload for s in only_samples(read_file(SOURCE, ENDED, cluster="lab")) if s.workload}
    job = found["ray:lab/raysubmit_train1"]
    assert job.labels == {"team": "fraud", "model": "fraud-detector", "mlflow_run_id": "aa2d57"}
    assert job.links == ("ray:lab/raysubmit_train1", "mlflow:aa2d57")
    assert (job.kind, job.name, job.team) == (WorkloadKind.TRAINING_JOB, "raysubmit_train1", None)


def test_a_driver_without_submission_has_its_start_in_its_id_for_job_ids_begin_again():
    found = {s.workload.id for s in only_samples(read_file(SOURCE, ENDED, cluster="lab")) if s.workload}
    assert found == {"ray:lab/raysubmit_train1", "ray:lab/03000000@1795523280424"}


def test_a_node_has_its_resources_to_give_from_its_start():
    found = totals(read_file(SOURCE, ENDED, cluster="lab", read_at="2026-11-24T12:29:00Z"), who)
    seconds = Decimal(datetime(2026, 11, 24, 12, 29).timestamp()) - Decimal("1795523115.824")
    assert found[None, "gpu_seconds", "capacity"] == 4 * seconds
    assert found[None, "cpu_core_seconds", "capacity"] == 2 * seconds


def test_what_still_runs_counts_up_to_the_time_of_reading():
    found = [s for s in only_samples(read_file(SOURCE, LIVE, cluster="lab", read_at=SAVED)) if s.workload]
    live = [s for s in found if s.workload.id == "ray:lab/raysubmit_live"]
    assert {sample.end for sample in live} == {datetime(2026, 11, 24, 12, 28, 45)}
    # two tasks run; the third waits for a GPU of its own and holds nothing
    assert len([s for s in live if s.measure.value == "gpu_seconds"]) == 2


def test_what_still_runs_in_a_file_without_a_time_is_a_fault():
    found = only_faults(read_file(SOURCE, LIVE, cluster="lab"))
    assert {one.code for one in found} == {"ray_no_end", "ray_actor_unlisted"}
    assert found[0].fix == "Set the option read_at to the time at which the file was saved, or let Apportion pull."
    assert "One of the jobs has no end after its start" in found[0].what


def test_tasks_without_their_jobs_are_faults_not_guesses():
    found = read_file(SOURCE, DATA / "ray" / "tasks_only.json", cluster="lab")
    assert Counter(one.code for one in found) == {"ray_unknown_job": 6, "ray_actor_unlisted": 2}
    found = [one for one in found if one.code == "ray_unknown_job"]
    assert found[0].what == "One of the tasks belongs to job 03000000, which the file does not describe."


def test_quantities_are_exact_and_fractions_of_gpus_stay(tmp_path):
    found = read(tmp_path, [JOB], lists([TASK]))
    assert totals(found) == {
        ("run_seconds", "requested"): 8,
        ("gpu_seconds", "requested"): 1,
        ("cpu_core_seconds", "requested"): 8,
    }
    assert only_samples(found)[1].resource.node == "abc"


def test_the_order_of_the_answers_does_not_matter(tmp_path):
    first, second = read(tmp_path, [JOB], lists([TASK])), read(tmp_path, lists([TASK]), [JOB])
    assert totals(first, who) == totals(second, who)


def test_a_task_that_ended_before_it_began_or_ended_unseen_is_a_fault(tmp_path):
    wrong = [TASK | {"end_time_ms": 1000}, TASK | {"end_time_ms": None}]
    found = only_faults(read(tmp_path, [JOB], lists(wrong), read_at=SAVED))
    assert [(one.code, one.example) for one in found] == [("ray_no_end", "t1 FINISHED")] * 2


def test_a_list_that_ray_cut_is_a_doubt(tmp_path):
    (found,) = only_faults(read(tmp_path, [JOB], lists([TASK], total=12_000)))
    assert (found.code, found.example, found.rejected) == ("ray_list_cut", "1 of 12000", False)
    assert found.what == "Ray gave 1 of 12000 tasks; what the others held is missing."


def test_actors_without_times_are_a_fault_that_says_where_the_times_are(tmp_path):
    actor = {"actor_id": "a", "job_id": "01", "required_resources": {"GPU": 1}}
    (found,) = only_faults(read(tmp_path, [JOB], lists([actor])))
    assert (found.code, found.fix) == (
        "ray_actors_without_times",
        "Save /logical/actors instead of /api/v0/actors.",
    )
    assert not only_faults(read(tmp_path, [JOB], lists([actor | {"required_resources": {}}])))


def test_an_actor_that_is_not_listed_yet_is_a_fault():
    # the dashboard listed the third job's actor only some seconds after its tasks
    (found,) = only_faults(read_file(SOURCE, LIVE, cluster="lab", read_at=SAVED))
    assert (found.code, found.example) == ("ray_actor_unlisted", "e284f8c6d68c9ad774c4e1c204000000")
    assert found.what == "An actor was made that the list of actors does not hold, so what it held was not counted."


def test_a_replica_of_ray_serve_belongs_to_its_endpoint(tmp_path):
    actor = {
        "className": "ServeReplica:shop:Ranker",
        "jobId": "01",
        "state": "DEAD",
        "startTime": 1000,
        "endTime": 3000,
        "requiredResources": {"GPU": 1},
        "address": {"nodeId": "abc"},
    }
    job = JOB | {"metadata": {"team": "search"}}
    found = [s for s in only_samples(read(tmp_path, [job], {"data": {"actors": {"a": actor}}})) if s.quantity == 2]
    assert [(s.workload.id, s.workload.kind, s.workload.labels) for s in found] == [
        ("ray:c/serve/shop/Ranker", WorkloadKind.INFERENCE_ENDPOINT, {"team": "search"})
    ]
    assert only_samples(read(tmp_path, {"data": {"actors": {"a": actor}}}))[0].workload.labels == {}


def test_metadata_may_say_what_kind_of_work_it_is(tmp_path):
    job = JOB | {"metadata": {"workload_kind": "batch_inference"}}
    assert read(tmp_path, [job])[0].workload.kind is WorkloadKind.BATCH_INFERENCE


def test_empty_lists_hold_nothing(tmp_path):
    assert read(tmp_path, [], lists([])) == []


def test_an_answer_that_is_none_of_rays_and_a_missing_cluster_are_refused(tmp_path):
    with pytest.raises(UnknownShape, match="answer 1 is none of a Ray dashboard, or says that it failed"):
        read(tmp_path, {"result": False, "data": {"result": None}})
    with pytest.raises(UnknownShape, match=r"does not say of which Ray cluster it is\. Set the option cluster"):
        read_file(SOURCE, ENDED)


# -- pull, against a server that gives out what a real one answered


@pytest.fixture
def dashboard():
    """(address, paths asked): a server on loopback with the recorded answers."""
    jobs, nodes, actors, tasks = (json.loads(line) for line in ENDED.read_text("utf-8").splitlines())
    asked = []

    class Recorded(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            parts = urlsplit(self.path)
            body = {"/api/jobs/": jobs, "/api/v0/nodes": nodes, "/logical/actors": actors}.get(parts.path)
            if parts.path == "/api/v0/tasks":
                (wanted,) = parse_qs(parts.query)["filter_values"]
                body = lists([t for t in tasks["data"]["result"]["result"] if t["job_id"] == wanted])
            text = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorded)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join(10)
    server.server_close()


def pulled(dashboard, tmp_path, start, end):
    keep = io.StringIO()
    client = Client("ray", dashboard[0], keep, end)
    config = SourceConfig("ray", "ray", (), options={"cluster": "lab"})
    assert list(pull(client, Window(start, end, end), config))
    client.close()
    return read_text(SOURCE, tmp_path, "pulled.jsonl", keep.getvalue(), cluster="lab")


def test_what_a_pull_keeps_reads_like_the_saved_file(dashboard, tmp_path):
    end = datetime(2026, 11, 24, 12, 29)
    found = pulled(dashboard, tmp_path, datetime(2026, 11, 24), end)
    assert not only_faults(found)
    assert totals(found, who) == totals(read_file(SOURCE, ENDED, cluster="lab", read_at=end.isoformat()), who)
    assert len([path for path in dashboard[1] if path.startswith("/api/v0/tasks")]) == 2


def test_a_pull_asks_for_the_tasks_of_jobs_of_the_window_only(dashboard, tmp_path):
    end = datetime(2026, 11, 24)
    pulled(dashboard, tmp_path, end - timedelta(days=1), end)
    assert not [path for path in dashboard[1] if path.startswith("/api/v0/tasks")]


def test_a_job_that_the_head_forgot_counts_as_the_pull_before_saw_it(dashboard, tmp_path):
    end = datetime(2026, 11, 24, 23)
    config = SourceConfig("ray", "ray", (), options={"cluster": "lab", "url": dashboard[0]})
    (first,) = pulling.pull(SOURCE, config, folder=tmp_path, now=end, progress=silent)
    before = totals(read_file(SOURCE, first, cluster="lab"), who)
    nothing = [[], lists([]), {"data": {"actors": {}}}]
    with serving(*((200, {}, body) for body in nothing)) as (url, _):
        config = SourceConfig("ray", "ray", (), options={"cluster": "lab", "url": url})
        files = pulling.pull(SOURCE, config, folder=tmp_path, now=end + timedelta(days=1), progress=silent)
    assert [file.name for file in files] == ["2026-11-24T230000.jsonl", "2026-11-25T230000.jsonl"]
    assert totals(read_file(SOURCE, first, cluster="lab"), who) == before
    assert before["ray:lab/raysubmit_train1", "gpu_seconds", "requested"] > 0


def test_what_runs_inside_of_a_cluster_ranks_below_its_meter():
    assert (SOURCE.rank, SOURCE.complete) == (Rank.NESTED, False)


# --- answers that are not built as they should be ---------------------------------------------------------------------


@pytest.mark.parametrize("value", ["1e400", "1e30", "1e999999999", "-1", '"x"', "{}", "[]", "[1]", "true"])
@pytest.mark.parametrize("column", ["start_time_ms", "end_time_ms"])
def test_a_time_that_is_none_is_a_fault_and_the_others_are_read(tmp_path, column, value):
    bodies = [[JOB], lists([{**TASK, column: "AT"}, TASK])]
    text = "".join(json.dumps(body) + "\n" for body in bodies).replace('"AT"', value)
    found = read_text(SOURCE, tmp_path, "ray.jsonl", text, cluster="c")
    (fault,) = only_faults(found)
    assert (fault.code, fault.column, fault.fix) == (
        "ray_no_moment",
        "start",
        "Save the answer of the dashboard again, as it came.",
    )
    assert fault.what == "One of the tasks has a start or an end that is no time in milliseconds since 1970."
    assert fault.example.startswith("t1 ")
    assert totals(found, who)["ray:c/train", "gpu_seconds", "requested"] == 1


@pytest.mark.parametrize("entry", ["x", None, 7, ["x"]])
@pytest.mark.parametrize("shape", ["jobs", "tasks", "actors"])
def test_an_entry_that_is_no_object_is_a_fault_and_the_others_are_read(tmp_path, entry, shape):
    odd = {
        "jobs": [entry],
        "tasks": lists([TASK, entry]),
        "actors": {"data": {"actors": {"a": entry}}},
    }[shape]
    found = read(tmp_path, [JOB], lists([TASK]), odd)
    (fault,) = only_faults(found)
    assert (fault.code, fault.column, fault.example) == ("ray_odd_entry", shape, str(entry))
    assert fault.what == f"One of the {shape} is not built as Ray builds it, so what it held was not counted."
    assert totals(found, who)["ray:c/train", "gpu_seconds", "requested"] > 0


@pytest.mark.parametrize("said", [["x"], {"GPU": "x"}, {"GPU": {}}, "GPU", {"GPU": None}])
def test_resources_that_are_no_numbers_are_a_fault(tmp_path, said):
    (fault,) = only_faults(read(tmp_path, [JOB], lists([{**TASK, "required_resources": said}])))
    assert (fault.code, fault.example) == ("ray_odd_entry", "t1")


def test_a_job_whose_times_are_none_is_asked_for_when_pulled():
    window = Window(datetime(2026, 10, 1), datetime(2026, 10, 2), datetime(2026, 10, 2))
    assert _ran({"start_time": Decimal("1e400")}, window)
    assert _ran({"start_time": "x"}, window)
    assert not _ran({"start_time": None}, window)
