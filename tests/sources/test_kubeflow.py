from __future__ import annotations

import pytest
from tests.sources.kubernetes_objects import END, START, listed, pod, thing
from tests.sources.metered import amounts, read, saved

from apportion.core.measures import Measure, Rank, WorkloadKind
from apportion.sources.kubeflow import SOURCE

TRAINS = WorkloadKind.TRAINING_JOB
JOB_SET = "jobset.sigs.k8s.io/jobset-name"
STEP = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}


def owned(kind, name):
    return [{"kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}]


def held(tmp_path, *items, **options):
    return read(SOURCE, saved(tmp_path, listed(*items)), options=options)


def works(samples):
    return {(one.workload.id, one.workload.kind) for one in samples}


def test_a_train_job_owns_the_pods_of_its_job_set(tmp_path):
    samples, faults = held(
        tmp_path,
        thing("TrainJob", "bert", labels={"kueue.x-k8s.io/queue-name": "gpu", "team": "nlp"}),
        thing("JobSet", "bert", uid="js", ownerReferences=owned("TrainJob", "bert")),
        thing("Job", "bert-node-0", ownerReferences=owned("JobSet", "bert")),
        pod("bert-node-0-0", labels={JOB_SET: "bert"}, ownerReferences=owned("Job", "bert-node-0")),
        pod("bert-node-0-1", labels={JOB_SET: "bert"}, ownerReferences=owned("Job", "bert-node-0")),
    )
    assert faults == []
    assert works(samples) == {("k8s:meter/ml/TrainJob/bert/uid-bert", TRAINS)}
    assert amounts(samples)["gpu_seconds", "requested"] == 2 * 4 * 7200
    workload = samples[0].workload
    assert workload.labels["kueue.x-k8s.io/queue-name"] == "gpu"
    assert {"pod:uid-bert-node-0-0", "pod:uid-bert-node-0-1", "host:node-1"} <= set(workload.links)


def test_a_train_job_that_a_file_lacks_is_known_by_its_step(tmp_path):
    samples, _ = held(tmp_path, pod("p", labels={JOB_SET: "bert", **STEP}))
    assert works(samples) == {("k8s:meter/ml/TrainJob/bert", TRAINS)}


def test_a_job_set_by_itself_is_not_said_to_train(tmp_path):
    samples, _ = held(tmp_path, thing("JobSet", "etl"), pod("p", labels={JOB_SET: "etl"}))
    assert works(samples) == {("k8s:meter/ml/JobSet/etl/uid-etl", WorkloadKind.OTHER)}


@pytest.mark.parametrize("kind", ["PyTorchJob", "TFJob", "MPIJob"])
def test_a_job_of_the_older_operator_is_found_by_owner_or_by_name(tmp_path, kind):
    labels = {"training.kubeflow.org/job-name": "resnet", "training.kubeflow.org/replica-type": "worker"}
    direct = pod("a", labels=labels, ownerReferences=owned(kind, "resnet"))
    samples, _ = held(tmp_path, direct)
    assert works(samples) == {(f"k8s:meter/ml/{kind}/resnet/uid-resnet", TRAINS)}
    samples, _ = held(tmp_path, thing(kind, "resnet"), pod("a", labels=labels))
    assert works(samples) == {(f"k8s:meter/ml/{kind}/resnet/uid-resnet", TRAINS)}


def test_a_training_job_of_unknown_kind_is_still_one(tmp_path):
    samples, _ = held(tmp_path, pod("a", labels={"training.kubeflow.org/job-name": "x"}))
    assert works(samples) == {("k8s:meter/ml/TrainingJob/x", TRAINS)}


def test_a_job_whose_pods_were_swept_away_counts_its_time(tmp_path):
    done = {"startTime": START, "completionTime": END, "conditions": [{"type": "Succeeded", "status": "True"}]}
    (sample,), faults = held(tmp_path, thing("PyTorchJob", "old", status=done))
    assert faults == []
    assert (sample.measure, sample.quantity, sample.resource.node) == (Measure.RUN_SECONDS, 7200, None)
    assert (sample.end is not None, sample.workload.status) == (True, "Succeeded")


def test_a_train_job_ends_with_its_last_condition(tmp_path):
    conditions = [
        {"type": "Created", "status": "True", "lastTransitionTime": START},
        {"type": "Complete", "status": "True", "lastTransitionTime": END},
        {"type": "Failed", "status": "False", "lastTransitionTime": START},
    ]
    (sample,), _ = held(tmp_path, thing("TrainJob", "t", status={"conditions": conditions}))
    assert (sample.quantity, sample.workload.status) == (7200, "Complete")


def test_a_job_without_pods_and_end_in_a_file_of_unknown_time_is_a_fault(tmp_path):
    samples, (fault,) = read(SOURCE, saved(tmp_path, listed(thing("TrainJob", "t"))), read_at=None)
    assert (samples, fault.code, fault.example) == ([], "no_end", "TrainJob ml/t")


def test_a_job_that_does_not_say_when_it_was_made_counts_nothing(tmp_path):
    assert held(tmp_path, thing("TrainJob", "t", creationTimestamp=None)) == ([], [])


def test_a_step_of_a_pipeline_has_the_run_as_its_parent(tmp_path):
    notes = {"workflows.argoproj.io/node-name": "run-x.train"}
    step = pod("step-1", labels={"pipeline/runid": "r-1"}, annotations=notes)
    run = thing(
        "Workflow",
        "run-x",
        labels={"pipeline/runid": "r-1"},
        annotations={"pipelines.kubeflow.org/run_name": "Weekly"},
        status={"phase": "Succeeded", "startedAt": START, "finishedAt": END},
    )
    samples, _ = held(tmp_path, run, step)
    assert works(samples) == {
        ("k8s:meter/ml/Pod/step-1/uid-step-1", WorkloadKind.PIPELINE_STEP),
        ("kfp:r-1", WorkloadKind.OTHER),
    }
    by_kind = {one.workload.kind: one.workload for one in samples}
    part, whole = by_kind[WorkloadKind.PIPELINE_STEP], by_kind[WorkloadKind.OTHER]
    assert (part.parent, part.name, part.status) == ("kfp:r-1", "run-x.train", "Succeeded")
    assert (whole.parent, whole.name, whole.status) == (None, "Weekly", "Succeeded")


def test_a_training_job_that_a_pipeline_starts_stays_one(tmp_path):
    labels = {JOB_SET: "bert", **STEP, "pipeline/runid": "r-1"}
    samples, _ = held(tmp_path, pod("p", labels=labels))
    assert works(samples) == {("k8s:meter/ml/TrainJob/bert", TRAINS)}
    assert samples[0].workload.parent == "kfp:r-1"


def test_runs_of_the_pipelines_api_are_read(tmp_path):
    """The answer is written after the documentation of the API v2beta1; Pipelines does not run here."""
    run = {
        "run_id": "r-1",
        "display_name": "Weekly",
        "experiment_id": "e-1",
        "created_at": START,
        "finished_at": END,
        "state": "SUCCEEDED",
    }
    (sample,), faults = read(SOURCE, saved(tmp_path, {"runs": [run], "total_size": 1}))
    assert faults == []
    assert (sample.quantity, sample.workload.id, sample.workload.name) == (7200, "kfp:r-1", "Weekly")
    assert (sample.workload.experiment, sample.workload.status) == ("e-1", "SUCCEEDED")
    assert sample.workload.namespace == "meter"


def test_the_experiment_of_katib_is_the_experiment(tmp_path):
    labels = {"training.kubeflow.org/job-name": "t1", "katib.kubeflow.org/experiment": "tune"}
    samples, _ = held(tmp_path, pod("p", labels=labels))
    assert {one.workload.experiment for one in samples} == {"tune"}


@pytest.mark.parametrize(
    ("labels", "owner", "expected"),
    [
        ({"notebook-name": "ana"}, None, ("Notebook/ana", WorkloadKind.NOTEBOOK)),
        ({"ray.io/cluster": "tune"}, None, ("RayCluster/tune", WorkloadKind.OTHER)),
        ({"batch.kubernetes.io/job-name": "etl"}, None, ("Job/etl", WorkloadKind.OTHER)),
        ({"job-name": "etl"}, None, ("Job/etl", WorkloadKind.OTHER)),
        ({}, "Job", ("Job/etl/uid-etl", WorkloadKind.OTHER)),
    ],
)
def test_notebooks_ray_and_plain_jobs_are_named(tmp_path, labels, owner, expected):
    samples, _ = held(tmp_path, pod("p", labels=labels, ownerReferences=owned(owner, "etl") if owner else []))
    assert works(samples) == {(f"k8s:meter/ml/{expected[0]}", expected[1])}


@pytest.mark.parametrize("labels", [{}, {"serving.kserve.io/inferenceservice": "x"}])
def test_pods_of_others_are_not_its_own(tmp_path, labels):
    assert held(tmp_path, pod("p", labels=labels)) == ([], [])


def test_pods_in_different_phases_leave_the_status_open(tmp_path):
    labels = {JOB_SET: "b", **STEP}
    samples, _ = held(tmp_path, pod("a", labels=labels), pod("c", labels=labels, phase="Failed"))
    assert {one.workload.status for one in samples} == {None}


def test_the_later_of_two_copies_of_an_object_counts(tmp_path):
    lines = tmp_path / "kept.jsonl"
    labels = {"training.kubeflow.org/job-name": "x"}
    copies = [listed(pod("p", labels=labels, end=at), kind="PodList") for at in ("2026-10-01T01:00:00Z", END)]
    lines.write_text("".join(saved(tmp_path, one).read_text() + "\n" for one in copies))
    samples, _ = read(SOURCE, lines)
    assert (amounts(samples)["run_seconds", "requested"], samples[0].row) == (7200, 2)


def test_a_cluster_meter_comes_before_it():
    assert SOURCE.rank > Rank.CLUSTER
    assert not SOURCE.complete
