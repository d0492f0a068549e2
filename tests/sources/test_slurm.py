"""Slurm. The files in tests/data/slurm were recorded from a real Slurm 22.05 with two nodes of four pretended GPUs."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from tests.sources.samples import DATA, only_faults, only_samples, read_file, read_text, totals

from apportion.core.measures import Basis, Measure, Rank, WorkloadKind
from apportion.errors import UnknownShape
from apportion.sources.slurm import SOURCE

RECORDED = DATA / "slurm"
HEAD = "JobIDRaw|JobID|JobName|User|Account|Cluster|Partition|State|Start|End|ElapsedRaw|AllocTRES|NodeList|Comment"
ROW = "1|1|train|ada|fraud|lab|gpu|COMPLETED|1790000000|1790003600|3600|cpu=8,gres/gpu=2,mem=1000M|n01|"


def table(*rows, head=HEAD):
    return "\n".join((head, *rows)) + "\n"


def read(tmp_path, *rows, head=HEAD, **options):
    return read_text(SOURCE, tmp_path, "jobs.txt", table(*rows, head=head), **options)


def with_cells(**cells):
    """The row `ROW` with other cells."""
    names = HEAD.split("|")
    values = dict(zip(names, ROW.split("|"), strict=True)) | cells
    return "|".join(values[name] for name in names)


def fault(tmp_path, *rows, **options):
    (found,) = only_faults(read(tmp_path, *rows, **options))
    return found


# -- recorded


def test_a_recorded_table_gives_what_a_hand_counts():
    # jobs: 2 GPUs x 7 s, 2 x 5 s, four sweeps and requeues of 1 GPU: 3 + 3 + 3 + 3 + 8 s
    found = read_file(SOURCE, RECORDED / "sacct_steps.txt")
    assert not only_faults(found)
    assert totals(found) == {
        ("gpu_seconds", "requested"): 2 * 7 + 2 * 5 + 3 * 3 + 3 + 8,
        ("cpu_core_seconds", "requested"): 7 + 2 * 5 + 1 + 3 * 3 + 3 + 8,
        ("cpu_core_seconds", "used"): Decimal("3.820"),
        ("memory_byte_seconds", "used"): 1024
        * (4848 * 7 + 10856 * 5 + 3352 * 5 + 3260 * 3 + 3 * (3196 + 3276 + 3328) + 3256 * 8),
    }


def test_the_json_of_the_same_jobs_says_the_same_as_the_table():
    by = lambda sample: (sample.workload.id, sample.resource.node, sample.start, sample.end)  # noqa: E731
    text, answer = (read_file(SOURCE, RECORDED / name) for name in ("sacct_steps.txt", "sacct.json"))
    held = [{key: v for key, v in totals(found, by).items() if key[-1] == "requested"} for found in (text, answer)]
    assert held[0] == held[1]
    named = [{one.workload.id: one.workload for one in only_samples(found)} for found in (text, answer)]
    assert named[0] == named[1]
    # the table rounds CPU time to milliseconds
    used = [totals(found)["cpu_core_seconds", "used"] for found in (text, answer)]
    assert abs(used[0] - used[1]) < Decimal("0.01")


def test_local_times_with_their_zone_are_the_epoch_times():
    when = lambda sample: (sample.workload.id, sample.resource.node, sample.start, sample.end)  # noqa: E731
    local = read_file(SOURCE, RECORDED / "sacct_local_berlin.txt", timezone="Europe/Berlin")
    epoch = totals(read_file(SOURCE, RECORDED / "sacct_steps.txt"), when)
    assert totals(local, when) == {key: v for key, v in epoch.items() if key[-1] == "requested"}


def test_local_times_without_a_zone_are_faults_that_say_what_to_do():
    found = read_file(SOURCE, RECORDED / "sacct_local_berlin.txt")
    assert not only_samples(found)
    assert len(found) == 8
    assert (found[0].code, found[0].row, found[0].example) == ("slurm_no_zone", 2, "2026-11-24T13:24:40")
    assert found[0].what == "Job 1 has the local Start 2026-11-24T13:24:40, and nothing says of which time zone."
    assert "timezone (such as Europe/Berlin)" in found[0].fix


def test_the_cpu_time_of_a_job_without_its_steps_is_not_taken():
    # with -X Slurm prints 00:00:00 for a job that used 3.796 s
    found = read_file(SOURCE, RECORDED / "sacct_running.txt")
    assert ("cpu_core_seconds", "used") not in totals(found)


def test_a_job_that_still_runs_counts_up_to_its_elapsed_time():
    live = [s for s in only_samples(read_file(SOURCE, RECORDED / "sacct_running.txt")) if s.workload.name == "live"]
    assert {(one.measure.value, one.quantity) for one in live} == {("gpu_seconds", 2), ("cpu_core_seconds", 2)}
    assert {one.end - one.start for one in live} == {timedelta(seconds=2)}
    assert live[0].workload.status == "RUNNING"


def test_a_job_on_two_nodes_is_divided_evenly_and_its_batch_step_stays_on_the_first():
    found = [s for s in only_samples(read_file(SOURCE, RECORDED / "sacct_steps.txt")) if s.workload.id == "slurm:lab/2"]
    by_node = totals(found, lambda sample: (sample.resource.node,))
    assert by_node["n01", "gpu_seconds", "requested"] == by_node["n02", "gpu_seconds", "requested"] == 5
    assert by_node["n01", "cpu_core_seconds", "used"] == Decimal("0.012")
    assert by_node["n02", "cpu_core_seconds", "used"] == Decimal("0.002")


def test_a_requeued_job_is_one_workload_with_two_intervals():
    found = [s for s in only_samples(read_file(SOURCE, RECORDED / "sacct_steps.txt")) if s.workload.id == "slurm:lab/5"]
    held = {(one.start, one.end, one.quantity) for one in found if one.measure is Measure.GPU_SECONDS}
    assert sorted((end - start, quantity) for start, end, quantity in held) == [
        (timedelta(seconds=3), 3),
        (timedelta(seconds=8), 8),
    ]


def test_array_tasks_have_the_array_as_parent_though_its_number_is_one_of_theirs():
    found = {s.workload.id: s.workload for s in only_samples(read_file(SOURCE, RECORDED / "sacct_steps.txt"))}
    assert {found[f"slurm:lab/{raw}"].parent for raw in (3, 7, 8)} == {"slurm:lab/array/3"}
    assert found["slurm:lab/7"].links == ("slurm:lab/7", "slurm:lab/3_0")
    assert found["slurm:lab/3"].labels["comment"] == "sweep"


def test_who_a_job_is():
    found = {s.workload.id: s.workload for s in only_samples(read_file(SOURCE, RECORDED / "sacct_steps.txt"))}
    job = found["slurm:lab/1"]
    assert (job.kind, job.name, job.user, job.status, job.namespace) == (
        WorkloadKind.TRAINING_JOB,
        "train-fraud",
        "root",
        "COMPLETED",
        "lab/gpu",
    )
    assert job.labels == {
        "account": "fraud",
        "qos": "normal",
        "team": "fraud",
        "model": "fraud-detector",
        "run": "aa2d57",
    }
    assert (job.team, job.model, job.parent) == (None, None, None)


def test_nodes_have_to_give_what_they_are_configured_with_since_their_boot():
    options = {"cluster": "lab", "timezone": "UTC", "read_at": "2026-11-24T12:04:49Z"}
    found = read_file(SOURCE, RECORDED / "nodes.txt", **options)
    by_node = totals(found, lambda sample: (sample.resource.node, sample.workload))
    for node in ("n01", "n02"):
        assert by_node[node, None, "gpu_seconds", "capacity"] == 4 * 4 * 3600
        assert by_node[node, None, "cpu_core_seconds", "capacity"] == 2 * 4 * 3600
        assert by_node[node, None, "memory_byte_seconds", "capacity"] == 4000 * 1024**2 * 4 * 3600
    assert {(one.start, one.end) for one in found} == {
        (datetime(2026, 11, 24, 8, 4, 49), datetime(2026, 11, 24, 12, 4, 49))
    }


# -- the table


def test_columns_may_stand_in_any_order_and_lines_may_end_in_a_bar(tmp_path):
    names, values = HEAD.split("|"), ROW.split("|")
    turned = ["|".join(reversed(cells)) + "|" for cells in (names, values)]
    straight = read(tmp_path, ROW)
    assert read(tmp_path, turned[1], head=turned[0]) == straight
    assert len(straight) == 3


def test_a_second_header_of_appended_files_is_passed_over(tmp_path):
    assert len(read(tmp_path, ROW, HEAD, with_cells(JobIDRaw="2"))) == 6


def test_what_a_job_asked_for_but_never_held_is_not_counted(tmp_path):
    # as recorded: a job cancelled in the queue has ReqTRES, and no AllocTRES
    cells = {"State": "CANCELLED by 0", "End": "1790000000", "ElapsedRaw": "0", "AllocTRES": ""}
    assert not read(tmp_path, with_cells(**cells, NodeList="None assigned"))
    assert not read(tmp_path, with_cells(**cells | {"Start": "None", "State": "PENDING"}, NodeList="None assigned"))


def test_a_suspended_job_holds_its_elapsed_time_within_a_longer_interval(tmp_path):
    found = read(tmp_path, with_cells(ElapsedRaw="1800"))
    assert totals(found)["gpu_seconds", "requested"] == 3600
    assert {one.end - one.start for one in found} == {timedelta(hours=1)}


def test_gpus_by_type_are_the_same_cards_as_all_gpus(tmp_path):
    typed = read(tmp_path, with_cells(AllocTRES="cpu=1,gres/gpu:a100=2,gres/gpu:h100=1"))
    both = read(tmp_path, with_cells(AllocTRES="cpu=1,gres/gpu:a100=2,gres/gpu=3"))
    assert totals(typed)["gpu_seconds", "requested"] == totals(both)["gpu_seconds", "requested"] == 3 * 3600


def test_more_gpus_by_type_than_in_all_are_a_doubt(tmp_path):
    found = fault(tmp_path, with_cells(AllocTRES="cpu=1,gres/gpu=1,gres/gpu:a100=2"))
    assert (found.code, found.rejected) == ("slurm_gpu_types_differ", False)
    assert found.what == "Job 1 holds more GPUs by type than in all; gres/gpu was taken."


def test_a_part_of_a_gpu_is_a_doubt_and_no_gpu_time(tmp_path):
    found = read(tmp_path, with_cells(AllocTRES="cpu=1,gres/shard=4"))
    assert [(one.code, one.example, one.rejected) for one in only_faults(found)] == [
        ("slurm_gpu_fraction", "gres/shard=4", False)
    ]
    assert totals(found) == {("cpu_core_seconds", "requested"): 3600}


def test_a_comment_may_say_what_kind_of_work_it_is_and_which_run(tmp_path):
    comment = "workload_kind=notebook, mlflow_run_id=abc wandb_run_id=def"
    work = read(tmp_path, with_cells(Comment=comment))[0].workload
    assert work.kind is WorkloadKind.NOTEBOOK
    assert work.links == ("slurm:lab/1", "mlflow:abc", "wandb:def")
    assert read(tmp_path, with_cells(Comment="workload_kind=idle"))[0].workload.kind is WorkloadKind.TRAINING_JOB


def test_a_part_of_a_heterogeneous_job_has_it_as_parent(tmp_path):
    assert read(tmp_path, with_cells(JobID="7+1"))[0].workload.parent == "slurm:lab/het/7"


def test_the_cluster_may_come_from_the_options(tmp_path):
    head, row = (text.replace(f"|{word}|", "|") for text, word in ((HEAD, "Cluster"), (ROW, "lab")))
    assert read(tmp_path, row, head=head, cluster="x")[0].workload.id == "slurm:x/1"
    with pytest.raises(UnknownShape, match=r"does not say of which cluster the jobs are\. Add Cluster to --format"):
        read(tmp_path, row, head=head)


def test_a_file_that_is_no_table_of_sacct_is_refused_with_the_command_to_run(tmp_path):
    with pytest.raises(UnknownShape, match=r"is no table of sacct: JobIDRaw, .* missing\. Run: SLURM_TIME_FORMAT=%s"):
        read_text(SOURCE, tmp_path, "x.txt", "a|b\n1|2\n")


@pytest.mark.parametrize(
    ("cells", "code", "column", "what"),
    [
        ({"ElapsedRaw": "1:00"}, "slurm_bad_elapsed", "ElapsedRaw", "has an ElapsedRaw that is no number of seconds."),
        ({"Start": "soon"}, "slurm_bad_time", "Start", "has a Start that is no time."),
        ({"End": "1780000000"}, "slurm_ends_first", "End", "ends before it starts."),
        (
            {"AllocTRES": ""},
            "slurm_nothing_held",
            "AllocTRES",
            "ran for 3600 s, but AllocTRES does not say what it held.",
        ),
        (
            {"NodeList": "None assigned"},
            "slurm_nothing_held",
            "NodeList",
            "ran for 3600 s, but NodeList does not say what it held.",
        ),
        ({"NodeList": "n[01-x]"}, "slurm_bad_list", "NodeList", "has a NodeList that cannot be read."),
        ({"AllocTRES": "cpu=many"}, "slurm_bad_list", "AllocTRES", "has a AllocTRES that cannot be read."),
    ],
)
def test_what_cannot_be_read_is_a_fault_of_its_row(tmp_path, cells, code, column, what):
    found = read(tmp_path, with_cells(**cells), with_cells(JobIDRaw="2"))
    (bad,) = only_faults(found)
    assert (bad.code, bad.column, bad.row, bad.what, bad.rejected) == (code, column, 2, f"Job 1 {what}", True)
    assert bad.fix.endswith(".")
    assert len(only_samples(found)) == 3


def test_a_bar_in_a_comment_is_a_fault_not_a_shift(tmp_path):
    found = fault(tmp_path, with_cells(Comment="a|b|c"))
    assert (found.code, found.what) == ("slurm_row_width", "Row 2 has 16 fields where the header has 14.")


def test_a_step_without_its_job_is_a_fault(tmp_path):
    found = fault(tmp_path, with_cells(JobIDRaw="9.batch"))
    assert (found.code, found.what) == ("slurm_lost_step", "Job 9.batch is a step whose job does not stand above it.")


def test_a_step_with_a_figure_that_cannot_be_read_is_a_fault(tmp_path):
    found = fault(tmp_path, f"{ROW}|", f"{with_cells(JobIDRaw='1.0')}|fast", head=f"{HEAD}|TotalCPU")
    assert (found.code, found.what) == ("slurm_bad_figure", "Job 1.0 has the figure 'fast', which cannot be read.")


def test_a_zone_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UnknownShape, match=r"no time zone 'Mars' \(option timezone of source 'slurm'\)"):
        read(tmp_path, ROW, timezone="Mars")


# -- summer time


def berlin(tmp_path, start, end, seconds):
    return read(tmp_path, with_cells(Start=start, End=end, ElapsedRaw=str(seconds)), timezone="Europe/Berlin")


def test_a_time_that_clocks_jumped_over_is_a_fault(tmp_path):
    (found,) = berlin(tmp_path, "2026-03-29T02:30:00", "2026-03-29T04:00:00", 1800)
    assert found.what == "Job 1 has the Start 2026-03-29T02:30:00, which clocks in Europe/Berlin jumped over."


def test_a_night_in_which_clocks_go_forward_is_as_long_as_slurm_says(tmp_path):
    found = berlin(tmp_path, "2026-03-29T01:30:00", "2026-03-29T03:30:00", 3600)
    assert {(one.start, one.end) for one in found} == {(datetime(2026, 3, 29, 0, 30), datetime(2026, 3, 29, 1, 30))}


@pytest.mark.parametrize(("seconds", "hour"), [(3600, 0), (7200, 1)])
def test_a_time_that_came_twice_is_told_apart_by_the_elapsed_time(tmp_path, seconds, hour):
    found = berlin(tmp_path, "2026-10-25T01:30:00", "2026-10-25T02:30:00", seconds)
    assert not only_faults(found)
    assert {one.end for one in found} == {datetime(2026, 10, 25, hour, 30)}


def test_two_times_that_came_twice_are_the_earlier_ones_with_a_doubt(tmp_path):
    found = berlin(tmp_path, "2026-10-25T02:10:00", "2026-10-25T02:40:00", 1800)
    (doubt,) = only_faults(found)
    assert (doubt.code, doubt.rejected) == ("slurm_time_twice", False)
    assert "came twice when clocks in Europe/Berlin went back; the earlier was taken." in doubt.what
    assert {one.start for one in only_samples(found)} == {datetime(2026, 10, 25, 0, 10)}


# -- nodes and JSON that are not as they should be


def test_a_list_of_nodes_says_itself_when_it_was_read(tmp_path):
    text = "ReadAt=2026-11-24T12:04:49Z\n" + (RECORDED / "nodes.txt").read_text()
    found = read_text(SOURCE, tmp_path, "nodes.txt", text, cluster="lab", timezone="UTC")
    assert {one.end for one in found} == {datetime(2026, 11, 24, 12, 4, 49)}


def test_a_list_of_nodes_without_a_time_or_cluster_is_not_guessed(tmp_path):
    (found,) = read_file(SOURCE, RECORDED / "nodes.txt", cluster="lab", timezone="UTC")
    assert found.code == "slurm_nodes_undated"
    assert found.fix == "Begin the file with: date -u +ReadAt=%FT%TZ (or set the option read_at)."
    with pytest.raises(UnknownShape, match="does not say of which cluster the nodes are"):
        read_file(SOURCE, RECORDED / "nodes.txt")


def test_a_node_that_is_down_or_has_no_zone_is_a_fault(tmp_path):
    text = (RECORDED / "nodes.txt").read_text().replace("State=IDLE", "State=DOWN*+DRAIN", 1)
    found = read_text(SOURCE, tmp_path, "nodes.txt", text, cluster="lab", read_at="2026-11-25T00:00:00")
    assert [(one.code, one.rejected) for one in found] == [("slurm_node_down", False), ("slurm_node_unreadable", True)]
    assert found[0].what == "Node n01 was down when it was read; what it had to give is not known."
    assert found[1].what == "Node n02 does not say since when it is up, or what it has."


def test_a_job_of_a_json_answer_that_cannot_be_read_is_a_fault(tmp_path):
    jobs = json.loads((RECORDED / "sacct.json").read_text())["jobs"][:2]
    jobs[0]["time"]["start"] = "soon"
    found = read_text(SOURCE, tmp_path, "jobs.json", json.dumps({"jobs": jobs}))
    (bad,) = only_faults(found)
    assert (bad.code, bad.row, bad.what) == ("slurm_bad_job", 1, "Job 5 cannot be read.")
    assert only_samples(found)


def test_newer_answers_wrap_numbers_and_list_states(tmp_path):
    old = json.loads((RECORDED / "sacct.json").read_text())["jobs"][1]
    new = json.loads(json.dumps(old))
    new["job_id"] = {"set": True, "infinite": False, "number": 1}
    new["array"]["task_id"] = {"set": False, "infinite": False, "number": 0}
    new["array"]["job_id"] = 0
    new["state"]["current"] = ["COMPLETED"]
    new["time"]["elapsed"] = {"set": True, "number": 7}
    first, second = (read_text(SOURCE, tmp_path, "j.json", json.dumps({"jobs": [job]})) for job in (old, new))
    assert first == second


@pytest.mark.parametrize("change", [{"nodes": ""}, {"cluster": None}, {"time": {"elapsed": 5, "start": 9, "end": 8}}])
def test_a_job_of_an_answer_without_nodes_cluster_or_order_is_a_fault(tmp_path, change):
    job = json.loads((RECORDED / "sacct.json").read_text())["jobs"][1] | change
    (found,) = read_text(SOURCE, tmp_path, "j.json", json.dumps({"jobs": [job]}))
    assert (found.code, found.rejected) == ("slurm_bad_job", True)
    assert found.fix == "Export again with sacct --json -a -D, or as text with sacct -P."


def test_a_job_of_an_answer_that_never_ran_holds_nothing(tmp_path):
    job = json.loads((RECORDED / "sacct.json").read_text())["jobs"][1]
    job |= {"nodes": "None assigned", "time": job["time"] | {"elapsed": 0}}
    assert read_text(SOURCE, tmp_path, "j.json", json.dumps({"jobs": [job]})) == []


def test_a_node_that_booted_after_it_was_read_is_a_fault():
    found = read_file(SOURCE, RECORDED / "nodes.txt", cluster="lab", timezone="UTC", read_at="2026-11-24T08:00:00Z")
    assert [one.code for one in found] == ["slurm_node_unreadable"] * 2


def test_a_time_of_reading_that_is_none_is_a_fault(tmp_path):
    text = "ReadAt=today\n" + (RECORDED / "nodes.txt").read_text()
    (found,) = read_text(SOURCE, tmp_path, "nodes.txt", text, cluster="lab")
    assert (found.code, found.example) == ("slurm_nodes_undated", "today")


def test_an_answer_without_jobs_is_refused(tmp_path):
    with pytest.raises(UnknownShape, match="is no answer of sacct: it has no jobs"):
        read_text(SOURCE, tmp_path, "j.json", "{}")


def test_the_log_is_whole_and_ranks_as_a_scheduler():
    assert (SOURCE.rank, SOURCE.complete, SOURCE.pull) == (Rank.SCHEDULER, True, None)
    assert Basis.REQUESTED in {one.basis for one in only_samples(read_file(SOURCE, RECORDED / "sacct.json"))}
