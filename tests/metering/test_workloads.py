from __future__ import annotations

from tests.metering.meters import (
    Meter,
    at,
    capacity,
    gpus,
    job,
    told,
    usage,
    used,
)

from apportion.core.measures import Basis, Measure, Rank, WorkloadKind
from apportion.sources.readings.contract import Resource


def total(rows, work, measure=Measure.GPU_SECONDS):
    return sum(row["x_Quantity"] for row in rows if row["work"] == work and row["x_Measure"] == measure)


# --- runs of trackers -------------------------------------------------------------------------------------------------

POD = job("k8s:pod-1", links=("pod:1",), labels={"team": "risk", "app": "train"})
RUN = job(
    "mlflow:r1",
    links=("pod:1",),
    labels={"team": "ads", "note": "x"},
    experiment="exp",
    model="bert",
    model_version="3",
    user="ada",
    status="FINISHED",
    parent="mlflow:sweep",
    team="from-run",
    project="p-run",
    environment="dev",
)


def meters_of(pods, runs, *, quantity=3600):
    cluster = Meter([used(pod, at(no), at(no + 1), quantity) for no, pod in enumerate(pods)], "prometheus")
    elsewhere = Resource(node="laptop")
    tracker = Meter(
        [
            used(run, at(no), at(no + 1), 999, measure, basis=Basis.ESTIMATED, resource=elsewhere)
            for no, run in enumerate(runs)
            for measure in (Measure.GPU_SECONDS, Measure.STORAGE_BYTE_SECONDS)
        ],
        "mlflow",
        Rank.TRACKER,
    )
    return cluster, tracker


def test_a_run_that_names_its_pod_is_that_work(tmp_path):
    (work,) = told(tmp_path, *meters_of([POD], [RUN]))
    assert work["x_WorkloadId"] == "k8s:pod-1"
    assert work["x_RunIds"] == ["mlflow:r1"]
    assert (work["x_Experiment"], work["x_ReportedModel"], work["x_ModelVersion"]) == ("exp", "bert", "3")
    assert (work["x_User"], work["x_Status"], work["x_ParentId"]) == ("ada", "FINISHED", "mlflow:sweep")
    assert dict(work["x_Labels"]) == {"team": "risk", "app": "train", "note": "x"}


def test_what_the_cluster_says_of_owners_stands_before_the_run(tmp_path):
    pod = job("k8s:pod-1", links=("pod:1",), team="from-pod")
    (work,) = told(tmp_path, *meters_of([pod], [RUN]))
    assert (work["x_ReportedTeam"], work["x_ReportedProject"], work["x_ReportedEnvironment"]) == (
        "from-pod", "p-run", "dev",
    )  # fmt: skip


def test_a_merged_run_computes_nothing_of_its_own_but_keeps_what_it_stored(tmp_path):
    rows = usage(tmp_path, *meters_of([POD], [RUN]))
    assert total(rows, "k8s:pod-1") == 3600
    assert total(rows, "k8s:pod-1", Measure.STORAGE_BYTE_SECONDS) == 999
    assert {row["work"] for row in rows} == {"k8s:pod-1"}


def test_a_pod_may_name_the_run_instead(tmp_path):
    pod, run = job("k8s:pod-1", links=("mlflow:r1",)), job("mlflow:r1")
    (work,) = told(tmp_path, *meters_of([pod], [run]))
    assert work["x_RunIds"] == ["mlflow:r1"]


def test_a_run_that_two_pods_claim_stays_apart(tmp_path):
    pods = [job(f"k8s:{no}", links=("pod:1",)) for no in (1, 2)]
    works = told(tmp_path, *meters_of(pods, [RUN]))
    assert [(work["x_WorkloadId"], work["x_RunIds"]) for work in works] == [
        ("k8s:1", []), ("k8s:2", []), ("mlflow:r1", []),
    ]  # fmt: skip


def test_a_pod_that_two_runs_claim_stays_apart(tmp_path):
    runs = [job(f"mlflow:{no}", links=("pod:1",)) for no in (1, 2)]
    works = told(tmp_path, *meters_of([POD], runs))
    assert [work["x_RunIds"] for work in works] == [[], [], []]


def test_a_common_host_makes_two_things_one_no_more_than_a_common_building(tmp_path):
    pod, run = job("k8s:1", links=("host:node-1",)), job("mlflow:1", links=("host:node-1",))
    assert len(told(tmp_path, *meters_of([pod], [run]))) == 2


TRACKED = job("track:1", links=("pod:1",), labels={"team": "ads"}, model="own", team="from-script", user="bo")


def nested_meter(*works):
    here = [used(work, at(no), at(no + 1), 777, resource=Resource(node="pod-host")) for no, work in enumerate(works)]
    return Meter(here, "scripts", Rank.NESTED)


def test_a_script_that_runs_inside_of_a_pod_is_that_work(tmp_path):
    cluster, _ = meters_of([POD], [])
    (work,) = told(tmp_path / "told", cluster, nested_meter(TRACKED))
    assert (work["x_WorkloadId"], work["x_RunIds"]) == ("k8s:pod-1", ["track:1"])
    assert (work["x_ReportedModel"], work["x_ReportedTeam"], work["x_User"]) == ("own", "from-script", "bo")
    assert dict(work["x_Labels"]) == {"team": "risk", "app": "train"}
    rows = usage(tmp_path / "usage", cluster, nested_meter(TRACKED))
    assert {(row["work"], row["x_Quantity"]) for row in rows} == {("k8s:pod-1", 3600)}


def test_a_pod_a_script_inside_and_its_run_are_one_work(tmp_path):
    cluster, tracker = meters_of([POD], [RUN])
    (work,) = told(tmp_path, cluster, tracker, nested_meter(TRACKED))
    assert (work["x_WorkloadId"], work["x_RunIds"]) == ("k8s:pod-1", ["track:1", "mlflow:r1"])
    assert (work["x_ReportedModel"], work["x_Experiment"]) == ("own", "exp")
    assert dict(work["x_Labels"]) == {"team": "risk", "app": "train", "note": "x"}


def test_a_run_that_names_the_script_is_the_pod_that_the_script_ran_in(tmp_path):
    run = job("mlflow:r1", links=("track:1",), experiment="exp")
    cluster, tracker = meters_of([POD], [run])
    (work,) = told(tmp_path, cluster, tracker, nested_meter(TRACKED))
    assert (work["x_WorkloadId"], work["x_Experiment"]) == ("k8s:pod-1", "exp")


def test_two_scripts_of_one_pod_stay_apart(tmp_path):
    cluster, _ = meters_of([POD], [])
    works = told(tmp_path, cluster, nested_meter(TRACKED, job("track:2", links=("pod:1",))))
    assert [(work["x_WorkloadId"], work["x_RunIds"]) for work in works] == [
        ("k8s:pod-1", []), ("track:1", []), ("track:2", []),
    ]  # fmt: skip


def test_what_runs_inside_says_what_kind_of_work_a_pod_does_that_does_not_tell(tmp_path):
    served = job("kserve:1", links=("pod:1",), kind=WorkloadKind.INFERENCE_ENDPOINT)
    for kind, expected in (
        (WorkloadKind.OTHER, WorkloadKind.INFERENCE_ENDPOINT),
        (WorkloadKind.NOTEBOOK, WorkloadKind.NOTEBOOK),
    ):
        cluster, _ = meters_of([job("k8s:pod-1", links=("pod:1",), kind=kind)], [])
        (work,) = told(tmp_path / kind, cluster, nested_meter(served))
        assert work["x_WorkloadKind"] == expected


def test_two_meters_that_are_no_trackers_are_never_made_one_by_links(tmp_path):
    one = Meter([used(job("k8s:1", links=("pod:1",)), at(0), at(1), 1)], "a", Rank.CLUSTER)
    two = Meter([used(job("slurm:1", links=("pod:1",)), at(0), at(1), 1)], "b", Rank.SCHEDULER)
    assert len(told(tmp_path, one, two)) == 2


def test_a_run_that_used_the_same_card_on_another_day_is_other_work(tmp_path):
    """The UUID of a card says which card, not when: one that is used by turns links nothing by itself."""
    pod, run = job("k8s:1"), job("wandb:1")
    cluster = Meter([gpus(pod, at(0, day=20), at(1, day=20), 1, devices=("GPU-7",))], "prometheus")
    tracker = Meter([gpus(run, at(0, day=2), at(1, day=2), 1, devices=("GPU-7",))], "wandb", Rank.TRACKER)
    assert len(told(tmp_path, cluster, tracker)) == 2


# --- who says what ----------------------------------------------------------------------------------------------------


def test_the_later_file_says_what_a_workload_is(tmp_path):
    early = Meter([used(job("a", name="old", team="risk"), at(0), at(1), 1)])
    later = Meter([used(job("a", name="new", kind=WorkloadKind.NOTEBOOK), at(1), at(2), 1)])
    (work,) = told(tmp_path, early, later)
    assert (work["x_WorkloadName"], work["x_WorkloadKind"], work["x_ReportedTeam"]) == ("new", "notebook", "risk")


def test_a_file_that_says_nothing_of_labels_takes_none_away(tmp_path):
    labelled = Meter([used(job("a", labels={"team": "risk"}), at(0), at(1), 1)], "opencost")
    bare = Meter([used(job("a"), at(0), at(1), 5, Measure.GPU_BUSY_SECONDS, basis=Basis.USED)], "dcgm")
    (work,) = told(tmp_path, labelled, bare)
    assert dict(work["x_Labels"]) == {"team": "risk"}


def test_links_of_all_files_add_up(tmp_path):
    meters = [Meter([used(job("a", links=(link,)), at(no), at(no + 1), 1)]) for no, link in enumerate(["y", "x"])]
    (work,) = told(tmp_path, *meters)
    assert work["x_Links"] == ["x", "y"]


def test_the_later_file_says_what_a_resource_is_and_takes_nothing_away(tmp_path):
    typed = Meter([capacity(at(0), at(1), 1, resource=Resource(id="i-1", instance_type="p4d.24xlarge", node="n"))])
    moved = Meter([capacity(at(1), at(2), 1, resource=Resource(id="I-1", node="m"))])
    (found,) = told(tmp_path, typed, moved, table="resources")
    assert (found["x_MeteredId"], found["x_Node"], found["x_InstanceType"]) == ("I-1", "m", "p4d.24xlarge")


def test_an_account_is_a_resource_of_its_provider(tmp_path):
    accounts = [Resource(account="proj", provider=provider) for provider in ("OpenAI", "openai", "Anthropic", None)]
    meter = Meter([used(f"k{no}", at(0), at(1), 1, resource=one) for no, one in enumerate(accounts)])
    assert len(told(tmp_path, meter, table="resources")) == 3
