from __future__ import annotations

import io
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.metered import READ_AT, amounts, client, read, saved, served

from apportion.core.config import SourceConfig
from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.errors import UnknownShape
from apportion.sources._opencost_shapes import sets_of
from apportion.sources.opencost import PAGE, SOURCE
from apportion.sources.readings.contract import Window

RECORDED = Path(__file__).parents[1] / "data" / "opencost"
CONFIG = SourceConfig("oc", "opencost", ())
HOUR = {"start": "2026-10-01T00:00:00Z", "end": "2026-10-01T01:00:00Z"}


def row(name="c/node-1/ns/pod/main", /, **fields):
    """One allocation row; fields of its properties are given as `p_…`."""
    cluster, node, namespace, pod, container = name.split("/")
    properties = {"cluster": cluster, "node": node, "namespace": namespace, "pod": pod, "container": container}
    properties |= {key[2:]: value for key, value in fields.items() if key.startswith("p_")}
    return {"properties": properties, "window": HOUR, **HOUR, "minutes": 60} | {
        key: value for key, value in fields.items() if not key.startswith("p_")
    }


def answer(*sets):
    return {"code": 200, "data": list(sets)}


def idle(name, /, **fields):
    cluster, *node = name.split("/")
    return {"properties": {"cluster": cluster, **({"node": node[0]} if node else {})}, "window": HOUR, **HOUR} | fields


def test_the_recorded_container_of_kubecost_gives_base_units():
    samples, _ = read(SOURCE, RECORDED / "kubecost_allocation_container_1h.json")
    assert amounts(samples) == {
        ("cpu_core_seconds", "requested"): Decimal(48),
        ("cpu_core_seconds", "used"): Decimal("0.92544"),
        ("memory_byte_seconds", "requested"): Decimal(317089382400),
        ("memory_byte_seconds", "used"): Decimal("194719848261.81792"),
        ("network_rx_bytes", "used"): Decimal("1243829.277373"),
        ("network_tx_bytes", "used"): Decimal("797941.832389"),
        ("reported_cost", "estimated"): Decimal("0.004661"),
        ("storage_byte_seconds", "requested"): Decimal("15522517098014.1174"),
    }
    assert {(one.start, one.end, one.coverage) for one in samples} == {
        (datetime(2023, 1, 27, 23), datetime(2023, 1, 27, 23, 16), 1)
    }


def test_the_recorded_container_of_kubecost_names_its_workload_and_its_machine():
    samples, faults = read(SOURCE, RECORDED / "kubecost_allocation_container_1h.json")
    first = samples[0]
    assert first.workload.id == "k8s:aws-dev-1-niko/kubecost/deployment/kubecost-cost-analyzer"
    assert (first.workload.name, first.workload.namespace) == ("kubecost-cost-analyzer", "aws-dev-1-niko/kubecost")
    assert first.workload.labels["app"] == "cost-analyzer"
    assert first.workload.links == (
        "k8s:aws-dev-1-niko/kubecost/Pod/kubecost-cost-analyzer-5b84f94b7f-9lxx5",
        "host:ip-192-168-12-152.us-east-2.compute.internal",
    )
    assert (first.resource.id, first.resource.instance_type) == ("i-0f227c52893c7957f", "m5.large")
    assert samples[-1].resource.id == "pvc-16465f04-6464-483e-89af-9e68b4a59e72"
    assert [(one.code, one.example) for one in faults] == [("no_window", "...etc: None to None")]


def test_recorded_assets_say_what_nodes_and_disks_had():
    samples, faults = read(SOURCE, RECORDED / "opencost_assets_7d.json")
    assert faults == []
    assert {(one.workload, one.basis) for one in samples} == {(None, Basis.CAPACITY)}
    assert [(one.measure.value, one.quantity) for one in samples] == [
        ("cpu_core_seconds", Decimal("119099.9988")),
        ("memory_byte_seconds", Decimal("493727605555200.012")),
        ("storage_byte_seconds", Decimal(4654026561945600)),
    ]
    node, disk = samples[0], samples[-1]
    assert (node.resource.node, node.resource.instance_type) == (
        "gke-opencost-1-default-pool-a30d4801-81dm",
        "e2-small",
    )
    assert (node.resource.account, node.end) == ("testuser-opencost", datetime(2024, 6, 24, 18, 10))
    assert (disk.resource.id, disk.resource.node) == ("pvc-95211d76-7842-4182-bdb6-de4133f46b78", None)


def test_assets_that_are_sums_have_no_node_to_belong_to():
    samples, faults = read(SOURCE, RECORDED / "kubecost_assets-api_1.json")
    assert samples == []
    assert [(one.code, one.example) for one in faults] == [("summed_assets", "Disk"), ("summed_assets", "Node")]
    assert faults[0].what == "A row adds up several assets, so their capacity belongs to no node or volume."
    assert faults[0].fix == "Ask for /assets without 'aggregate'."


def test_gpu_hours_of_generated_assets_are_gpu_capacity():
    samples, _ = read(SOURCE, RECORDED / "generated_assets.json")
    gpus = {one.resource.id: one.quantity for one in samples if one.measure is Measure.GPU_SECONDS}
    assert gpus == {"gcp-node1": 86400, "gcp-node3": 172800}


def test_rows_that_are_sums_over_nodes_count_with_a_doubt():
    samples, faults = read(SOURCE, RECORDED / "opencost_allocation_namespace_7d.json")
    assert {one.workload.id for one in samples} == {
        "k8s:default-cluster/kube-system/namespace/kube-system",
        "k8s:default-cluster/opencost/deployment/opencost",
        "k8s:default-cluster/prometheus/namespace/prometheus",
    }
    assert [(one.code, one.example, one.rejected) for one in faults] == [
        ("no_node", "kube-system", False),
        ("no_node", "prometheus", False),
    ]
    assert faults[0].what == (
        "A row names no node: it adds up several, so its usage cannot be put beside the charge of one."
    )
    assert faults[0].fix == "Ask for /allocation without 'aggregate'."
    system = next(one for one in samples if one.workload.name == "kube-system")
    assert system.workload.kind is WorkloadKind.PLATFORM


def test_capacity_of_generated_rows_is_what_was_held_and_what_was_idle():
    samples, faults = read(SOURCE, RECORDED / "generated_allocation_containers_idle_2024-01-01.json")
    assert faults == []
    found = {(one.resource.cluster, one.measure.value): one.quantity for one in samples if one.basis is Basis.CAPACITY}
    # 6 containers of an hour in each cluster, and 2 idle CPU hours and 1 idle GPU hour
    assert found[("cluster1", "cpu_core_seconds")] == (6 + 2) * 3600
    assert found[("cluster2", "cpu_core_seconds")] == (6 + 2) * 3600
    assert found[("cluster1", "gpu_seconds")] == (6 + 1) * 3600


def test_idle_by_node_is_the_capacity_of_that_node(tmp_path):
    body = answer(
        {
            "a": row("c/node-1/ns/p1/x", cpuCoreHours=3),
            "b": row("c/node-2/ns/p2/x", cpuCoreHours=5),
            "c/node-1/__idle__": idle("c/node-1", cpuCoreHours=1),
        }
    )
    samples, _ = read(SOURCE, saved(tmp_path, body))
    assert [(one.resource.node, one.quantity) for one in samples if one.basis is Basis.CAPACITY] == [("node-1", 14400)]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6), st.integers(0, 10**9))
def test_capacity_less_what_was_held_is_what_was_idle(tmp_path_factory, held, spare):
    rows = {f"r{n}": row(f"c/n/ns/p{n}/x", cpuCoreHours=hours) for n, hours in enumerate(held)}
    body = answer({**rows, "c/n/__idle__": idle("c/n", cpuCoreHours=spare)})
    samples, _ = read(SOURCE, saved(tmp_path_factory.mktemp("idle"), body))
    capacity = sum(one.quantity for one in samples if one.basis is Basis.CAPACITY)
    assert capacity - sum(held) * 3600 == spare * 3600


def test_assets_are_believed_before_idle_rows(tmp_path):
    lines = tmp_path / "day.jsonl"
    node = {"n": {"type": "Node", "properties": {"name": "n", "cluster": "c"}, "cpuCoreHours": 9, **HOUR}}
    first = saved(tmp_path, answer({"c/__idle__": idle("c", cpuCoreHours=1)})).read_text()
    lines.write_text(first + "\n" + saved(tmp_path, {"code": 200, "data": node}).read_text())
    samples, _ = read(SOURCE, lines)
    assert [(one.quantity, one.row) for one in samples] == [(32400, 2)]


def test_idle_that_is_less_than_nothing_is_said(tmp_path):
    samples, faults = read(SOURCE, saved(tmp_path, answer({"c/__idle__": idle("c", ramByteHours=-1)})))
    assert samples == []
    assert [(one.code, one.column, one.example) for one in faults] == [
        ("negative_capacity", "ramByteHours", "c/__idle__: -1")
    ]
    assert faults[0].what == "What was held and what was idle add up to less than nothing."
    assert faults[0].fix == "Ask for /assets too: it says what the nodes had."


def test_an_unmounted_volume_is_capacity_and_no_workload(tmp_path):
    volume = {"cluster=c:name=pv-1": {"byteHours": 10, "providerID": "aws:///eu-west-1a/vol-1"}}
    used = {"cluster=c:name=pv-1": {"byteHours": 4, "providerID": "aws:///eu-west-1a/vol-1"}}
    loose = row("c//__unmounted__/__unmounted__/__unmounted__", pvs=volume)
    body = answer({"a": row(pvs=used), "c/__unmounted__/__unmounted__/__unmounted__": loose})
    samples, faults = read(SOURCE, saved(tmp_path, body))
    assert faults == []
    assert [(one.resource.id, one.basis.value, one.quantity) for one in samples] == [
        ("vol-1", "requested", 14400),
        ("vol-1", "capacity", 50400),
    ]


def test_storage_without_named_volumes_has_no_resource(tmp_path):
    (sample,), _ = read(SOURCE, saved(tmp_path, answer({"a": row(pvs=None, pvByteHours=2)})))
    assert (sample.resource.id, sample.resource.cluster, sample.quantity) == (None, "c", 7200)


def test_an_unallocated_row_belongs_to_nobody(tmp_path):
    samples, faults = read(SOURCE, saved(tmp_path, answer({"__unallocated__": idle("c", cpuCoreHours=1)})))
    assert samples == []
    assert [(one.code, one.rejected) for one in faults] == [("unallocated_row", True)]
    assert faults[0].what == "A row has no namespace, so what it used belongs to no workload."
    assert faults[0].fix == "Ask for /allocation without 'aggregate'."


@pytest.mark.parametrize("inner", [True, False])
def test_gpu_use_is_a_mean_over_the_gpus_held(tmp_path, inner):
    use = {"gpuAllocation": {"gpuUsageAverage": 0.25, "gpuUUID": "GPU-7"}} if inner else {"gpuUsageAverage": 0.25}
    samples, faults = read(SOURCE, saved(tmp_path, answer({"a": row(gpuHours=8, **use)})))
    assert faults == []
    assert [(one.measure.value, one.basis.value, one.quantity) for one in samples] == [
        ("gpu_seconds", "requested", 28800),
        ("gpu_busy_seconds", "used", 7200),
    ]
    assert samples[0].devices == (("GPU-7",) if inner else ())


def test_a_shared_gpu_is_counted_with_a_doubt(tmp_path):
    body = answer({"a": row(gpuHours=1, gpuAllocation={"isGPUShared": True, "gpuUsageAverage": 0})})
    samples, (fault,) = read(SOURCE, saved(tmp_path, body))
    assert [one.measure for one in samples] == [Measure.GPU_SECONDS]
    assert (fault.code, fault.rejected) == ("shared_gpu", False)
    assert fault.what == "The GPU is shared, and OpenCost counts each part of it as a whole GPU."
    assert fault.fix == "Let a 'prometheus' source meter this cluster: it knows how many parts a GPU has."


@pytest.mark.parametrize("column", ["cpuCoreUsageAverage", "totalCost", "gpuHours", "gpuUsageAverage", "pvByteHours"])
def test_a_negative_quantity_is_said_and_the_rest_is_read(tmp_path, column):
    fields = {"gpuHours": 1, "networkReceiveBytes": 5, column: -1}
    samples, faults = read(SOURCE, saved(tmp_path, answer({"a": row(**fields)})))
    assert [(one.code, one.column, one.example) for one in faults] == [("bad_quantity", column, "a: -1")]
    assert faults[0].what == "A quantity is negative or no number."
    assert faults[0].fix == "Ask the tool for this time again; corrections of its cost are of no use here."
    assert Measure.NETWORK_RX_BYTES in {one.measure for one in samples}


@pytest.mark.parametrize("minutes", ["x", True, -5])
def test_minutes_that_are_no_number_are_a_fault(tmp_path, minutes):
    samples, (fault,) = read(SOURCE, saved(tmp_path, answer({"a": row(minutes=minutes)})))
    assert samples == []
    assert (fault.code, fault.column) == ("bad_quantity", "minutes")


@pytest.mark.parametrize("start", [None, "never", "2026-10-01T01:00:00Z"])
def test_a_row_without_time_is_a_fault(tmp_path, start):
    asked = row(start=start, window=None)
    samples, (fault,) = read(SOURCE, saved(tmp_path, answer({"a": asked})))
    assert samples == []
    assert (fault.code, fault.example) == ("no_window", f"a: {start} to 2026-10-01T01:00:00Z")
    assert fault.what == "A row has no start before its end."
    assert fault.fix == "Save the answer whole, as the API gave it."


def test_an_asset_without_time_or_with_a_bad_number_is_a_fault(tmp_path):
    node = {"type": "Node", "properties": {"name": "n"}}
    data = {"a": node, "b": {**node, **HOUR, "cpuCoreHours": -1}}
    samples, faults = read(SOURCE, saved(tmp_path, {"code": 200, "data": data}))
    assert samples == []
    assert [one.code for one in faults] == ["no_window", "bad_quantity"]


def test_minutes_count_where_they_are_fewer_than_the_interval(tmp_path):
    (sample,), _ = read(SOURCE, saved(tmp_path, answer({"a": row(minutes=30, cpuCoreRequestAverage=2)})))
    assert sample.quantity == 3600


def test_the_interval_counts_where_there_are_no_minutes(tmp_path):
    (sample,), _ = read(SOURCE, saved(tmp_path, answer({"a": row(minutes=None, cpuCoreRequestAverage=2)})))
    assert sample.quantity == 7200


def test_times_with_an_offset_become_utc(tmp_path):
    fields = {"start": "2026-10-01T02:00:00+02:00", "end": "2026-10-01T03:00:00+02:00", "totalCost": 1}
    (sample,), _ = read(SOURCE, saved(tmp_path, answer({"a": row(**fields)})))
    assert (sample.start, sample.end) == (datetime(2026, 10, 1), datetime(2026, 10, 1, 1))


@pytest.mark.parametrize(
    ("labels", "properties", "expected"),
    [
        (
            {"serving_kserve_io_inferenceservice": "fraud"},
            {"controller": "fraud-predictor", "controllerKind": "deployment"},
            ("k8s:c/ns/InferenceService/fraud", WorkloadKind.INFERENCE_ENDPOINT, None),
        ),
        (
            {"training_kubeflow_org_job_name": "bert"},
            {"controller": "bert", "controllerKind": "pytorchjob"},
            ("k8s:c/ns/pytorchjob/bert", WorkloadKind.TRAINING_JOB, None),
        ),
        (
            {"pipeline_runid": "r-1"},
            {"controller": "wf", "controllerKind": "workflow"},
            ("k8s:c/ns/workflow/wf", WorkloadKind.PIPELINE_STEP, "kfp:r-1"),
        ),
        ({}, {}, ("k8s:c/ns/pod/pod", WorkloadKind.OTHER, None)),
        ({}, {"controller": "x"}, ("k8s:c/ns/controller/x", WorkloadKind.OTHER, None)),
    ],
)
def test_labels_name_the_work(tmp_path, labels, properties, expected):
    asked = row(totalCost=1, p_labels=labels, **{f"p_{key}": value for key, value in properties.items()})
    (sample,), _ = read(SOURCE, saved(tmp_path, answer({"a": asked})))
    assert (sample.workload.id, sample.workload.kind, sample.workload.parent) == expected


def test_labels_win_over_annotations_and_those_over_labels_of_the_namespace(tmp_path):
    tags = {"p_namespaceLabels": {"team": "n", "a": "n", "b": "n"}, "p_annotations": {"team": "a", "a": "a"}}
    (sample,), _ = read(SOURCE, saved(tmp_path, answer({"a": row(totalCost=1, p_labels={"team": "l"}, **tags)})))
    assert sample.workload.labels == {"team": "l", "a": "a", "b": "n"}


def test_the_cluster_is_the_option_or_the_source_where_a_row_does_not_say_it(tmp_path):
    file = saved(tmp_path, answer({"a": row(totalCost=1, p_cluster="")}))
    assert read(SOURCE, file)[0][0].resource.cluster == "meter"
    assert read(SOURCE, file, options={"cluster": "eu"})[0][0].workload.namespace == "eu/ns"


@pytest.mark.parametrize(
    "data",
    [
        [{"a": row(totalCost=1)}, None, {}],
        {"a": row(totalCost=1)},
        {"sets": [{"allocations": {"a": row(totalCost=1)}, "window": HOUR}]},
    ],
)
def test_all_wrappings_of_rows_are_read(tmp_path, data):
    (sample,), faults = read(SOURCE, saved(tmp_path, {"code": 200, "data": data}))
    assert (sample.quantity, faults) == (1, [])


def test_a_row_of_two_pages_counts_once(tmp_path):
    lines = tmp_path / "pages.jsonl"
    page = saved(tmp_path, answer({"a": row(totalCost=1)})).read_text()
    lines.write_text(f"{page}\n{page}\n")
    assert len(read(SOURCE, lines)[0]) == 1


@pytest.mark.parametrize("body", [{"code": 500, "message": "no"}, {"data": 5}, {"data": ["x"]}, []])
def test_another_document_is_refused(tmp_path, body):
    with pytest.raises(UnknownShape, match="is no answer of /allocation or /assets of OpenCost or Kubecost"):
        read(SOURCE, saved(tmp_path, body))


def test_the_recorded_answer_about_cloud_costs_is_refused():
    with pytest.raises(UnknownShape, match="cloudCost and customCost have no usage"):
        read(SOURCE, RECORDED / "kubecost_cloud-cost-api_1.json")


def test_what_pull_keeps_of_opencost_is_what_read_reads(tmp_path):
    """The server answers with documented shapes; OpenCost itself does not run here."""

    def answers(path, params, headers):
        if path == "/assets":
            node = {"type": "Node", "properties": {"name": "node-1", "cluster": "c"}, **HOUR, "cpuCoreHours": 4}
            return 200, {"code": 200, "data": {"n": node}}
        start, end = params["window"].split(",")
        return 200, answer({"a": row(start=start, end=end, cpuCoreRequestAverage=1)})

    keep = io.StringIO()
    window = Window(datetime(2026, 10, 1), datetime(2026, 10, 1, 2, 30), READ_AT)
    with served(answers) as (url, asked):
        list(SOURCE.pull(client(url, keep), window, CONFIG))
    assert asked[0] == (
        "/allocation/compute",
        {"window": "2026-10-01T00:00:00Z,2026-10-01T01:00:00Z", "includeIdle": "true", "idleByNode": "true"},
    )
    assert [path for path, _ in asked] == ["/allocation/compute"] * 3 + ["/assets"]
    assert asked[2][1]["window"] == "2026-10-01T02:00:00Z,2026-10-01T02:30:00Z"
    assert asked[3][1] == {"window": "2026-10-01T00:00:00Z,2026-10-01T02:30:00Z"}
    kept = tmp_path / "kept.jsonl"
    kept.write_text(keep.getvalue())
    samples, faults = read(SOURCE, kept)
    assert faults == []
    assert [(one.basis.value, one.row) for one in samples] == [
        ("requested", 1),
        ("requested", 2),
        ("requested", 3),
        ("capacity", 4),
    ]


@pytest.mark.parametrize("ignores_pages", [True, False])
def test_kubecost_is_asked_in_pages(ignores_pages):
    """The server answers with documented shapes; Kubecost itself does not run here."""
    rows = {f"r{n}": row(totalCost=1) for n in range(PAGE + (0 if ignores_pages else 7))}

    def answers(path, params, headers):
        if path == "/model/assets":
            return 200, {"code": 200, "data": {}}
        first = 0 if ignores_pages else int(params["offset"])
        return 200, answer(dict(list(rows.items())[first : first + int(params["limit"])]))

    window = Window(datetime(2026, 10, 1), datetime(2026, 10, 1, 1), READ_AT)
    with served(answers) as (url, asked):
        found = list(SOURCE.pull(client(f"{url}/model"), window, CONFIG))
    assert [(path, params.get("offset")) for path, params in asked] == [
        ("/model/allocation", "0"),
        ("/model/allocation", "1000"),
        ("/model/assets", None),
    ]
    assert asked[0][1]["idle"] == "true"
    assert len(found) == 3
    assert {name for one in found[:2] for rows in sets_of(one) for name in rows} == set(rows)
