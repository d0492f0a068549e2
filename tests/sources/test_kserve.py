from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from tests.sources.kubernetes_objects import END, START, claim, container, listed, node, pod, thing, volume
from tests.sources.metered import READ_AT, amounts, read, saved

from apportion.core.measures import Basis, Measure, Rank, WorkloadKind
from apportion.errors import UnknownShape
from apportion.sources.kserve import SOURCE

LABELS = {"serving.kserve.io/inferenceservice": "fraud", "component": "predictor", "team": "risk"}


def service(name="fraud", *, predictor=None, **fields):
    held = {"model": {"storageUri": "s3://models/fraud/7"}} if predictor is None else predictor
    return thing("InferenceService", name, spec={"predictor": held}, **fields)


def held(tmp_path, *items, **options):
    return read(SOURCE, saved(tmp_path, listed(*items)), options=options)


def test_a_service_is_an_endpoint_with_its_model_and_the_labels_of_its_pods(tmp_path):
    samples, faults = held(
        tmp_path, node(), service(labels={"team": "fraud-team"}), pod("p", labels=LABELS), cluster="eu"
    )
    assert faults == []
    (workload,) = {one.workload.id: one.workload for one in samples}.values()
    assert workload.id == "k8s:eu/ml/InferenceService/fraud/uid-fraud"
    assert (workload.kind, workload.name, workload.namespace) == (WorkloadKind.INFERENCE_ENDPOINT, "fraud", "eu/ml")
    assert workload.model == "s3://models/fraud/7"
    assert (workload.labels["team"], workload.labels["component"]) == ("fraud-team", "predictor")
    assert workload.links == (
        "k8s:eu/ml/InferenceService/fraud",
        "pod:uid-p",
        "k8s:eu/ml/Pod/p",
        "host:node-1",
    )


def test_a_pod_holds_its_requests_for_the_time_it_ran(tmp_path):
    samples, _ = held(tmp_path, node(), service(), pod("p", labels=LABELS))
    assert amounts(samples) == {
        ("run_seconds", "requested"): 7200,
        ("cpu_core_seconds", "requested"): 8 * 7200,
        ("memory_byte_seconds", "requested"): 64 * 1024**3 * 7200,
        ("gpu_seconds", "requested"): 4 * 7200,
    }
    assert {(one.start, one.end) for one in samples} == {(datetime(2026, 10, 1), datetime(2026, 10, 1, 2))}
    resource = samples[0].resource
    assert (resource.id, resource.node, resource.provider) == ("i-0abc", "node-1", "AWS")
    assert (resource.region, resource.instance_type) == ("eu-west-1", "p4d.24xlarge")


def test_a_pod_that_still_runs_has_no_end(tmp_path):
    samples, _ = held(tmp_path, service(), pod("p", labels=LABELS, phase="Running", end=None))
    assert {one.end for one in samples} == {None}
    assert amounts(samples)["run_seconds", "requested"] == (READ_AT - datetime(2026, 10, 1)).total_seconds()
    assert {one.resource.id for one in samples} == {None}


def test_a_pod_that_still_runs_in_a_file_of_unknown_time_is_a_fault(tmp_path):
    file = saved(tmp_path, listed(service(), pod("p", labels=LABELS, phase="Running", end=None)))
    samples, (fault,) = read(SOURCE, file, read_at=None)
    assert samples == []
    assert (fault.code, fault.example) == ("no_end", "Pod ml/p")
    assert fault.what == "It still ran when the file was saved, and the file does not say when that was."
    assert fault.fix == "Set 'read_at' in the options of the source to the time at which the file was saved."


@pytest.mark.parametrize("stated", ["2026-10-01T01:00:00Z", datetime(2026, 10, 1, 1)])
def test_the_option_says_when_a_file_was_saved(tmp_path, stated):
    file = saved(tmp_path, listed(service(), pod("p", labels=LABELS, phase="Running", end=None)))
    samples, faults = read(SOURCE, file, read_at=None, options={"read_at": stated})
    assert faults == []
    assert {one.end for one in samples} == {None}
    assert amounts(samples)["run_seconds", "requested"] == 3600


def test_a_pod_that_is_read_before_it_starts_is_a_fault(tmp_path):
    samples, (fault,) = held(tmp_path, pod("p", labels=LABELS, end="2026-09-30T00:00:00Z"))
    assert samples == []
    assert fault.code == "ends_before_start"
    assert fault.what == "It ends, or was read, before it starts."
    assert fault.fix == "Set the clock of the node right; this object counts nothing."


@pytest.mark.parametrize("changes", [{"node": None}, {"status": {"startTime": None}}])
def test_a_pod_that_never_started_holds_nothing(tmp_path, changes):
    assert held(tmp_path, pod("p", labels=LABELS, phase="Pending", end=None, **changes)) == ([], [])


def test_an_evicted_pod_counts_until_it_was_last_ready(tmp_path):
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-10-01T01:00:00Z"}
    evicted = pod("p", labels=LABELS, phase="Failed", end=None, status={"conditions": [ready], "reason": "Evicted"})
    samples, (fault,) = held(tmp_path, evicted)
    assert amounts(samples)["run_seconds", "requested"] == 3600
    assert (fault.code, fault.rejected) == ("end_of_readiness", False)
    assert fault.what == (
        "The pod is over, but none of its containers says when it ended: it counts until it was last ready."
    )
    assert fault.fix == "Let a 'prometheus' source meter this cluster: it sees pods end."


def test_a_pod_that_is_over_without_any_end_counts_until_it_was_read(tmp_path):
    samples, (fault,) = held(tmp_path, pod("p", labels=LABELS, phase="Failed", end=None))
    assert amounts(samples)["run_seconds", "requested"] == 86400
    assert fault.code == "end_not_told"
    assert fault.what.endswith("says when it ended: it counts until it was read.")


def test_the_last_container_ends_a_pod(tmp_path):
    states = [{"state": {"terminated": {"finishedAt": at}}} for at in ("2026-10-01T01:00:00Z", END)]
    samples, _ = held(tmp_path, pod("p", labels=LABELS, status={"containerStatuses": states}))
    assert amounts(samples)["run_seconds", "requested"] == 7200


@pytest.mark.parametrize(
    ("spec", "cores"),
    [
        (
            {"containers": [container(limits={"cpu": "1500m"}), container(requests={"cpu": "1"}, limits={"cpu": "9"})]},
            "2.5",
        ),
        ({"containers": [container(requests={"cpu": "1"})], "initContainers": [container(requests={"cpu": "5"})]}, "5"),
        (
            {
                "containers": [container(requests={"cpu": "3"})],
                "initContainers": [
                    container(requests={"cpu": "1"}, restartPolicy="Always"),
                    container(requests={"cpu": "2"}),
                ],
            },
            "4",
        ),
        (
            {
                "containers": [container(requests={"cpu": "1"})],
                "initContainers": [
                    container(requests={"cpu": "1"}, restartPolicy="Always"),
                    container(requests={"cpu": "6"}),
                ],
            },
            "7",
        ),
        ({"containers": [container(requests={"cpu": "1"})], "overhead": {"cpu": "250m"}}, "1.25"),
        ({"containers": [container(requests={"cpu": "1"})], "resources": {"requests": {"cpu": "2"}}}, "2"),
    ],
)
def test_requests_add_up_as_the_scheduler_adds_them(tmp_path, spec, cores):
    samples, faults = held(tmp_path, pod("p", labels=LABELS, spec=spec))
    assert faults == []
    assert amounts(samples)["cpu_core_seconds", "requested"] == Decimal(cores) * 7200


@pytest.mark.parametrize(
    ("limits", "labels", "gpus"),
    [
        ({"nvidia.com/mig-1g.5gb": "7"}, {}, Decimal(1)),
        ({"nvidia.com/gpu": "1"}, {"nvidia.com/gpu.replicas": "4"}, Decimal("0.25")),
        ({"nvidia.com/gpu": "2", "nvidia.com/gpucores": "30", "nvidia.com/gpumem": "4000"}, {}, Decimal("0.6")),
        ({"amd.com/gpu": "8"}, {}, Decimal(8)),
        ({"example.com/fpga": "1"}, {}, None),
    ],
)
def test_parts_of_gpus_count_as_their_part(tmp_path, limits, labels, gpus):
    samples, faults = held(tmp_path, node(**labels), pod("p", labels=LABELS, containers=[container(limits=limits)]))
    assert faults == []
    found = amounts(samples).get(("gpu_seconds", "requested"))
    assert found == (gpus if gpus is None else pytest.approx(gpus * 7200, abs=Decimal("1e-20")))


def test_shared_gpus_of_an_unknown_node_are_a_fault(tmp_path):
    asked = container(requests={"cpu": "1"}, limits={"nvidia.com/gpu.shared": "1"})
    samples, (fault,) = held(tmp_path, pod("p", labels=LABELS, containers=[asked]))
    assert {one.measure for one in samples} == {Measure.RUN_SECONDS, Measure.CPU_CORE_SECONDS}
    assert (fault.code, fault.column) == ("unknown_part_of_gpu", "resources.nvidia.com/gpu.shared")
    assert fault.what.endswith("does not say among how many.")
    assert fault.fix == "Save the nodes too, with their labels."


def test_a_quantity_that_is_none_is_a_fault_and_the_rest_is_read(tmp_path):
    asked = container(requests={"cpu": "lots", "memory": "1Gi"})
    samples, (fault,) = held(tmp_path, pod("p", labels=LABELS, containers=[asked]))
    assert {one.measure for one in samples} == {Measure.RUN_SECONDS, Measure.MEMORY_BYTE_SECONDS}
    assert (fault.code, fault.column, fault.example) == ("bad_quantity", "resources.cpu", "ml/p: cpu")
    assert fault.what == "A quantity is not one of Kubernetes."
    assert fault.fix == "Save the object anew, as the API gives it."


@pytest.mark.parametrize(
    ("predictor", "model"),
    [
        ({"sklearn": {"storageUri": "gs://kfserving/iris"}, "minReplicas": 1}, "gs://kfserving/iris"),
        ({"model": {"storageUris": [{"uri": "hf://a"}, {"uri": "s3://b"}]}}, "hf://a, s3://b"),
        ({"containers": [{"name": "own"}]}, None),
    ],
)
def test_the_model_is_where_the_predictor_takes_it_from(tmp_path, predictor, model):
    samples, _ = held(tmp_path, service(predictor=predictor), pod("p", labels=LABELS))
    assert {one.workload.model for one in samples} == {model}


def test_a_service_scaled_to_zero_counts_its_time_on_no_node(tmp_path):
    ready = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": START}]}
    (sample,), faults = held(tmp_path, service(status=ready), cluster="eu")
    assert faults == []
    assert (sample.measure, sample.basis, sample.quantity) == (Measure.RUN_SECONDS, Basis.REQUESTED, 86400)
    assert (sample.end, sample.resource.node, sample.resource.cluster) == (None, None, "eu")
    assert sample.workload.status == "Ready"


def test_a_service_that_a_file_lacks_is_known_by_its_pods(tmp_path):
    samples, _ = held(tmp_path, pod("p", labels=LABELS))
    assert {(one.workload.id, one.workload.model) for one in samples} == {("k8s:meter/ml/InferenceService/fraud", None)}


def test_pods_of_others_are_not_its_own(tmp_path):
    assert held(tmp_path, pod("p", labels={"training.kubeflow.org/job-name": "t"}), claim("data")) == ([], [])


def test_a_claim_of_one_service_is_its_storage(tmp_path):
    samples, _ = held(tmp_path, service(), pod("p", labels=LABELS, volumes=["data"]), claim("data"), volume())
    (storage,) = (one for one in samples if one.measure is Measure.STORAGE_BYTE_SECONDS)
    assert (storage.resource.id, storage.quantity, storage.end) == ("vol-0def", 100 * 1024**3 * 86400, None)
    assert storage.workload.name == "fraud"


def test_a_claim_of_several_services_is_data_of_its_own(tmp_path):
    others = [pod(name, labels={**LABELS, "serving.kserve.io/inferenceservice": name}, volumes=["d"]) for name in "ab"]
    samples, _ = held(tmp_path, *others, claim("d"))
    (storage,) = (one for one in samples if one.measure is Measure.STORAGE_BYTE_SECONDS)
    assert (storage.workload.kind, storage.workload.id) == (
        WorkloadKind.DATA,
        "k8s:meter/ml/PersistentVolumeClaim/d/uid-d",
    )
    assert storage.resource.id == "pv-1"


@pytest.mark.parametrize(
    ("spec", "known"),
    [
        ({"awsElasticBlockStore": {"volumeID": "aws://eu-west-1a/vol-9"}}, "vol-9"),
        ({"gcePersistentDisk": {"pdName": "disk-1"}}, "disk-1"),
        ({"azureDisk": {"diskURI": "/subscriptions/S/disks/D"}}, "/subscriptions/s/disks/d"),
        ({"hostPath": {"path": "/x"}}, "pv-1"),
    ],
)
def test_a_volume_is_known_by_the_id_of_its_cloud(tmp_path, spec, known):
    samples, _ = held(tmp_path, pod("p", labels=LABELS, volumes=["d"]), claim("d"), volume(**spec))
    assert {one.resource.id for one in samples if one.measure is Measure.STORAGE_BYTE_SECONDS} == {known}


def test_a_claim_without_a_size_or_time_is_a_fault(tmp_path):
    mounting = pod("p", labels=LABELS, volumes=["d", "e"])
    late = claim("e")
    late["metadata"]["creationTimestamp"] = "2027-01-01T00:00:00Z"
    _, faults = held(tmp_path, mounting, claim("d", size=""), late)
    assert [(one.code, one.example.partition(":")[0]) for one in faults] == [
        ("bad_quantity", "ml/d"),
        ("ends_before_start", "PersistentVolumeClaim ml/e"),
    ]


def test_annotations_that_hold_manifests_are_no_tags(tmp_path):
    notes = {"cost-center": "7", "kubectl.kubernetes.io/last-applied-configuration": "x" * 300}
    samples, _ = held(tmp_path, service(annotations=notes), pod("p", labels=LABELS))
    assert samples[0].workload.labels == {**LABELS, "cost-center": "7"}


def test_answers_of_the_api_and_single_objects_read_like_saved_lists(tmp_path):
    one = read(SOURCE, saved(tmp_path, listed(pod("p", labels=LABELS), kind="PodList"), "a.json"))
    assert one == read(SOURCE, saved(tmp_path, pod("p", labels=LABELS), "b.json"))
    assert len(one[0]) == 4
    assert read(SOURCE, saved(tmp_path, listed(kind="PodList"), "c.json")) == ([], [])
    assert read(SOURCE, saved(tmp_path, {"apiVersion": "v1", "kind": "PodList", "items": None}, "d.json")) == ([], [])


@pytest.mark.parametrize("body", [[], {"kind": "Pod"}, {"apiVersion": "v1"}, {"runs": 5}, 7])
def test_another_document_is_refused(tmp_path, body):
    with pytest.raises(UnknownShape, match="holds no objects of Kubernetes") as caught:
        read(SOURCE, saved(tmp_path, body))
    assert "kubectl get pods,nodes" in caught.value.fix


def test_a_cluster_meter_comes_before_it():
    assert SOURCE.rank > Rank.CLUSTER
    assert not SOURCE.complete
