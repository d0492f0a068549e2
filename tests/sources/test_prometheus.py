"""Hours, pods and places of what a user saved from Prometheus."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.prom_answers import (
    AT_10,
    AT_11,
    END,
    HOUR_0,
    POD,
    REQUESTS,
    UTIL,
    answer,
    faults_of,
    held,
    info,
    kept,
    read,
    samples_of,
    series,
    unnamed,
)

from apportion.core.config import SourceConfig
from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.sources._prom_kinds import kind_of
from apportion.sources._prom_places import bill_id
from apportion.sources.prometheus import SOURCE
from apportion.sources.readings.contract import RawFile


def test_a_whole_hour_of_samples_is_a_whole_hour(tmp_path):
    (sample,) = samples_of(read(tmp_path, answer(held("nvidia_com_gpu", 2), info())), Measure.GPU_SECONDS)
    assert (sample.quantity, sample.start, sample.end, sample.coverage) == (7200, AT_10, AT_11, 1)
    assert (sample.basis, sample.resource.node, sample.row) == (Basis.REQUESTED, "n1", 1)


def test_a_pod_of_ten_minutes_holds_ten_minutes_and_was_fully_seen(tmp_path):
    node = series("kube_node_info", {"node": "n1"}, [1] * 60)
    (sample,) = samples_of(read(tmp_path, answer(held("nvidia_com_gpu", 1, count=10), node)), Measure.GPU_SECONDS)
    assert (sample.quantity, sample.coverage) == (600, 1)


def test_an_outage_lowers_coverage_and_is_never_bridged(tmp_path):
    (sample,) = samples_of(read(tmp_path, answer(held("nvidia_com_gpu", 1, count=45))), Measure.GPU_SECONDS)
    assert (sample.quantity, sample.coverage) == (45 * 60, Decimal("0.75"))


def test_the_option_scrape_seconds_overrides_what_the_data_say(tmp_path):
    found = read(tmp_path, answer(held("nvidia_com_gpu", 1, count=30)), scrape_seconds=120)
    (sample,) = samples_of(found, Measure.GPU_SECONDS)
    assert (sample.quantity, sample.coverage) == (3600, 1)


def test_the_hour_in_which_a_file_was_read_ends_then(tmp_path):
    now = datetime(2026, 3, 1, 10, 20)
    found = read(tmp_path, answer(held("nvidia_com_gpu", 1, count=20)), read_at=now)
    (sample,) = samples_of(found, Measure.GPU_SECONDS)
    assert (sample.quantity, sample.end, sample.coverage) == (1200, now, 1)


@pytest.mark.parametrize("text", ["2026-03-01T10:20:00", "2026-03-01T11:20:00+01:00"])
def test_the_option_read_at_says_when_a_file_was_saved(tmp_path, text):
    found = read(tmp_path, answer(held("nvidia_com_gpu", 1, count=20)), read_at=None, cluster="c")
    (whole,) = samples_of(found, Measure.GPU_SECONDS)
    assert whole.end == AT_11
    path = tmp_path / "saved.jsonl"
    config = SourceConfig("prom", "prometheus", (), options={"read_at": text})
    (sample, *_) = SOURCE.read(RawFile(path, path.name, None), config)
    assert sample.end == datetime(2026, 3, 1, 10, 20)


def test_two_exporters_that_say_the_same_count_once(tmp_path):
    first = held("nvidia_com_gpu", 1, instance="a")
    second = held("nvidia_com_gpu", 1, instance="b")
    (sample,) = samples_of(read(tmp_path, answer(first, second)), Measure.GPU_SECONDS)
    assert (sample.quantity, sample.coverage) == (3600, 1)


def test_an_exporter_that_restarts_elsewhere_goes_on(tmp_path):
    first = held("nvidia_com_gpu", 1, count=20, instance="a")
    second = {**held("nvidia_com_gpu", 1, instance="b")}
    second["values"] = second["values"][20:]
    (sample,) = samples_of(read(tmp_path, answer(first, second)), Measure.GPU_SECONDS)
    assert (sample.quantity, sample.coverage) == (3600, 1)


def test_of_two_prometheus_that_scrape_the_same_the_fuller_one_counts(tmp_path):
    full = held("nvidia_com_gpu", 1, prometheus_replica="a")
    partial = held("nvidia_com_gpu", 1, count=50, prometheus_replica="b")
    (sample,) = samples_of(read(tmp_path, answer(partial, full)), Measure.GPU_SECONDS)
    assert sample.quantity == 3600


@given(gpus=st.integers(1, 16), count=st.integers(1, 60), step=st.sampled_from([15, 30, 60]))
def test_gauges_are_their_sum_times_the_interval(tmp_path_factory, gpus, count, step):
    many = series("kube_node_info", {"node": "n1"}, [1] * (3600 // step), step=step)
    one = series(REQUESTS, {**POD, "node": "n1", "resource": "nvidia_com_gpu"}, [gpus] * count, step=step)
    found = read(tmp_path_factory.mktemp("p"), answer(many, one))
    (sample,) = samples_of(found, Measure.GPU_SECONDS)
    assert (sample.quantity, sample.coverage) == (gpus * count * step, 1)


def test_many_short_pods_do_not_make_the_interval_look_longer(tmp_path):
    """Counts of full hours say it: here one node of a whole hour among jobs of ten minutes."""
    found = [unnamed({**POD, "uid": f"u{at}", "node": "n", "resource": "cpu"}, [10], start=END) for at in range(5)]
    node = unnamed({"node": "n"}, [60], start=END)
    documents = [kept(f"{function}_over_time({REQUESTS}[1h])", *found) for function in ("sum", "count")]
    counted = samples_of(
        read(tmp_path, *documents, kept("count_over_time(kube_node_info[1h])", node)), Measure.CPU_CORE_SECONDS
    )
    assert [(sample.quantity, sample.coverage) for sample in counted] == [(600, 1)] * 5


def test_a_long_interval_derived_from_few_samples_is_doubted(tmp_path):
    (fault,) = faults_of(read(tmp_path, answer(series("kube_node_info", {"node": "n"}, [1] * 4, step=600))))
    assert (fault.code, fault.example, fault.rejected) == ("scrape_interval_doubted", "600", False)
    assert fault.what == "The samples of `kube` seem to be 600 seconds apart, which is unusually long."
    assert fault.fix == "Set the option scrape_seconds of this source to the scrape interval."


def test_a_pod_that_waits_for_a_node_holds_nothing(tmp_path):
    assert read(tmp_path, answer(held("nvidia_com_gpu", 8, node=""))) == []


def test_a_finished_pod_holds_nothing_however_long_it_is_shown(tmp_path):
    phase = series("kube_pod_status_phase", {**POD, "phase": "Failed"}, [0] * 15 + [1] * 45)
    (sample,) = samples_of(read(tmp_path, answer(held("nvidia_com_gpu", 1), phase)), Measure.GPU_SECONDS)
    assert sample.quantity == 15 * 60


def test_a_name_used_again_is_another_pod(tmp_path):
    first, second = info(uid="u1", count=20), info(uid="u2", count=30, start=HOUR_0 + 30 * 60)
    memory = series("container_memory_working_set_bytes", {"namespace": "ml", "pod": "p", "container": "c"}, [100] * 50)
    found = read(tmp_path, answer(first, second, memory))
    used = {s.workload.id: s.quantity for s in samples_of(found, Measure.MEMORY_BYTE_SECONDS)}
    assert used == {
        "k8s:prom/ml/Pod/p/u1": 100 * 3000 * Decimal("0.4"),
        "k8s:prom/ml/Pod/p/u2": 100 * 3000 * Decimal("0.6"),
    }
    (fault,) = [fault for fault in faults_of(found) if fault.code == "pod_name_used_twice"]
    assert (fault.example, fault.rejected) == ("ml/p", False)
    assert fault.what == (
        "Pods of different workloads had one name within an hour, and this metric has no uid: "
        "it is divided by the time that each of them was seen."
    )
    assert fault.fix == "For DCGM: let dcgm-exporter write the label pod_uid."


def test_a_uid_on_a_card_is_believed(tmp_path):
    first, second = info(uid="u1", count=20), info(uid="u2", count=30, start=HOUR_0 + 30 * 60)
    card = series(UTIL, {"UUID": "G", "namespace": "ml", "pod": "p", "pod_uid": "u2"}, [100] * 10)
    (sample,) = samples_of(read(tmp_path, answer(first, second, card)), Measure.GPU_BUSY_SECONDS)
    assert sample.workload.id == "k8s:prom/ml/Pod/p/u2"


def test_where_kube_state_metrics_did_not_look_the_pod_seen_closest_counts(tmp_path):
    later = HOUR_0 + 3 * 3600
    first, second = info(uid="u1"), info(uid="u2", start=later)
    memory = {"namespace": "ml", "pod": "p", "container": "c"}
    gauge = series("container_memory_working_set_bytes", memory, [1] * 60, start=HOUR_0 + 3600)
    (sample,) = samples_of(read(tmp_path, answer(first, second, gauge)), Measure.MEMORY_BYTE_SECONDS)
    assert sample.workload.id == "k8s:prom/ml/Pod/p/u1"


def test_a_pod_that_nobody_described_is_known_by_its_name(tmp_path):
    labels = {"namespace": "ml", "pod": "p", "container": "c", "node": "n9", "cluster": "east"}
    gauge = series("container_memory_working_set_bytes", labels, [1] * 60)
    (sample,) = samples_of(read(tmp_path, answer(gauge)), Measure.MEMORY_BYTE_SECONDS)
    assert (sample.workload.id, sample.resource.node, sample.resource.cluster) == ("k8s:east/ml/Pod/p", "n9", "east")


def test_labels_are_those_seen_last(tmp_path):
    before = series("kube_pod_labels", {**POD, "label_team": "nlp"}, [1] * 60, start=HOUR_0 + 3600)
    after = series("kube_pod_labels", {**POD, "label_team": "risk"}, [1] * 60, start=HOUR_0 + 7200)
    for documents in ((before, after), (after, before)):
        found = read(tmp_path, answer(held("cpu", 1)), answer(*documents))
        assert samples_of(found, Measure.CPU_CORE_SECONDS)[0].workload.labels == {"team": "risk"}


def owner(kind, name):
    return series("kube_pod_owner", {**POD, "owner_kind": kind, "owner_name": name}, [1] * 60)


def test_a_train_job_is_what_its_job_sets_pods_make(tmp_path):
    above = {"namespace": "ml", "job_name": "j-node-0", "owner_kind": "JobSet", "owner_name": "j"}
    labels = {**POD, "label_trainer_kubeflow_org_trainjob_ancestor_step": "trainer", "label_team": "risk"}
    found = read(
        tmp_path,
        answer(held("cpu", 1), owner("Job", "j-node-0"), series("kube_job_owner", above, [1] * 60)),
        answer(series("kube_pod_labels", labels, [1] * 60)),
    )
    (sample,) = samples_of(found, Measure.CPU_CORE_SECONDS)
    assert (sample.workload.id, sample.workload.kind) == ("k8s:prom/ml/TrainJob/j", WorkloadKind.TRAINING_JOB)
    assert sample.workload.labels["team"] == "risk"


def test_a_job_of_a_cron_job_is_one_run_below_it(tmp_path):
    above = {"namespace": "ml", "job_name": "n-1", "owner_kind": "CronJob", "owner_name": "n"}
    labels = {"namespace": "ml", "job_name": "n-1"}
    found = read(
        tmp_path,
        answer(held("cpu", 1), owner("Job", "n-1"), series("kube_job_owner", above, [1] * 60)),
        answer(series("kube_job_created", labels, [HOUR_0 - 7] * 60)),
        answer(series("kube_job_labels", {**labels, "label_team": "risk"}, [1] * 60)),
    )
    (sample,) = samples_of(found, Measure.CPU_CORE_SECONDS)
    assert sample.workload.id == f"k8s:prom/ml/Job/n-1/{HOUR_0 - 7}"
    assert (sample.workload.parent, sample.workload.labels) == ("k8s:prom/ml/CronJob/n", {"team": "risk"})


def test_a_job_made_again_under_its_name_is_another_one(tmp_path):
    created = {"namespace": "ml", "job_name": "j"}
    pods = []
    for uid, start in (("u1", HOUR_0), ("u2", HOUR_0 + 3600)):
        who = {"namespace": "ml", "pod": f"j-{uid}", "uid": uid}
        pods += [
            series(REQUESTS, {**who, "node": "n", "resource": "cpu"}, [1] * 60, start=start),
            series("kube_pod_owner", {**who, "owner_kind": "Job", "owner_name": "j"}, [1] * 60, start=start),
            series("kube_pod_start_time", who, [start] * 60, start=start),
            series("kube_job_created", created, [start - 5] * 60, start=start),
        ]
    found = read(tmp_path, *(answer(one) for one in pods))
    ids = {sample.workload.id for sample in samples_of(found, Measure.CPU_CORE_SECONDS)}
    assert ids == {f"k8s:prom/ml/Job/j/{HOUR_0 - 5}", f"k8s:prom/ml/Job/j/{HOUR_0 + 3595}"}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"namespace": "kube-system", "owner": "Job"}, WorkloadKind.PLATFORM),
        ({"labels": {"serving_kserve_io_inferenceservice": "x"}}, WorkloadKind.INFERENCE_ENDPOINT),
        ({"serves": True}, WorkloadKind.INFERENCE_ENDPOINT),
        ({"labels": {"notebook_name": "x"}, "owner": "StatefulSet"}, WorkloadKind.NOTEBOOK),
        ({"labels": {"component": "singleuser-server"}}, WorkloadKind.NOTEBOOK),
        ({"owner": "Notebook"}, WorkloadKind.NOTEBOOK),
        ({"labels": {"pipeline_runid": "r"}, "owner": "Workflow"}, WorkloadKind.PIPELINE_STEP),
        ({"owner": "Job"}, WorkloadKind.TRAINING_JOB),
        ({"owner": "PyTorchJob"}, WorkloadKind.TRAINING_JOB),
        ({"labels": {"training_kubeflow_org_job_name": "x"}}, WorkloadKind.TRAINING_JOB),
        ({"owner": "Deployment"}, WorkloadKind.OTHER),
    ],
)
def test_the_kind_is_what_the_first_rule_says(said, kind):
    plain = {"namespace": "ml", "owner": "", "labels": {}, "serves": False}
    assert kind_of(**{**plain, **said}) is kind


@pytest.mark.parametrize(
    ("reported", "known"),
    [
        ("aws:///us-east-1a/i-0abc", "i-0abc"),
        ("gce://p/europe-west1-b/gke-node", "gke-node"),
        ("projects/p/zones/z/disks/pvc-1", "pvc-1"),
        ("aws://us-east-1a/vol-1", "vol-1"),
        ("/subscriptions/S/resourceGroups/R/disks/D", "/subscriptions/s/resourcegroups/r/disks/d"),
        ("kind://docker/kind/kind-control-plane", "kind-control-plane"),
        ("", ""),
    ],
)
def test_ids_are_those_of_the_bill(reported, known):
    assert bill_id(reported) == known


def test_a_node_name_used_again_is_another_machine(tmp_path):
    node = {"node": "n1", "provider_id": "aws:///a/i-1"}
    first = series("kube_node_info", node, [1] * 60)
    second = series("kube_node_info", {**node, "provider_id": "aws:///a/i-2"}, [1] * 60, start=HOUR_0 + 3600)
    cpus = series("kube_node_status_allocatable", {"node": "n1", "resource": "cpu"}, [4] * 120)
    found = samples_of(read(tmp_path, answer(first, second, cpus)), Measure.CPU_CORE_SECONDS)
    assert [(sample.resource.id, sample.quantity) for sample in found] == [("i-1", 14400), ("i-2", 14400)]


def test_the_option_nodes_names_the_resource(tmp_path):
    cpus = series("kube_node_status_allocatable", {"node": "rack-1", "resource": "cpu"}, [4] * 60)
    (sample,) = read(tmp_path, answer(cpus), nodes=["rack-1=asset-77"])
    assert (sample.resource.id, sample.resource.node, sample.workload) == ("asset-77", "rack-1", None)


def test_a_volume_that_nobody_mounts_is_its_own_workload(tmp_path):
    claim = {"namespace": "ml", "persistentvolumeclaim": "d"}
    found = read(
        tmp_path,
        answer(series("kube_persistentvolumeclaim_resource_requests_storage_bytes", claim, [1000] * 60)),
        answer(series("kube_persistentvolumeclaim_labels", {**claim, "label_team": "risk"}, [1] * 60)),
    )
    (sample,) = found
    assert (sample.quantity, sample.resource.id, sample.key) == (3_600_000, None, "d")
    assert (sample.workload.kind, sample.workload.labels) == (WorkloadKind.DATA, {"team": "risk"})
