"""Pulled from a real Prometheus and read, against plain counting of the same scrapes."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from tests.sources.prom_cluster import (
    GIB,
    HOUR,
    MIDNIGHT,
    NODES,
    OUTAGE,
    PART,
    PODS,
    STEP,
    cluster_series,
    workload_id,
)
from tests.sources.prom_server import program, prometheus_with

from apportion.core.config import SourceConfig
from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.sources.prometheus import SOURCE
from apportion.sources.readings.client import Client
from apportion.sources.readings.contract import Fault, RawFile, Sample, Window

START = datetime(2026, 3, 1)
NOW = datetime(2026, 3, 5)
CONFIG = SourceConfig("prom", "prometheus", (), options={"cluster": "lab"})
OUTAGE_HOURS = {10, 11, 12, 13}


@pytest.fixture(scope="module")
def pulled(tmp_path_factory):
    """What two days of pulls gave: samples and faults, each with its day."""
    folder = tmp_path_factory.mktemp("prometheus")
    found = []
    with prometheus_with(list(cluster_series()), folder) as url:
        for day in range(2):
            path = folder / f"{day}.jsonl"
            window = Window(START + timedelta(days=day), START + timedelta(days=day + 1), NOW)
            with path.open("w") as keep:
                client = Client("prom", url, keep, NOW)
                for _ in SOURCE.pull(client, window, CONFIG):
                    pass
                client.close()
            found += SOURCE.read(RawFile(path, path.name, NOW), CONFIG)
    return found


@pytest.fixture(scope="module")
def samples(pulled):
    return [found for found in pulled if isinstance(found, Sample)]


def hour_of(minute):
    return START + timedelta(hours=minute // 60)


def by_hour(samples, measure, basis):
    found = defaultdict(Decimal)
    for sample in samples:
        if (sample.measure, sample.basis) == (measure, basis):
            found[sample.workload.id, sample.resource.node, sample.start] += sample.quantity
    return dict(found)


def close(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert abs(Fraction(found[key]) - value) <= abs(value) * Fraction(1, 10**12), (key, found[key], value)


def test_gpu_seconds_requested_are_scrapes_times_interval_per_workload_node_and_hour(samples):
    expected = defaultdict(Fraction)
    for pod in PODS:
        for minute in pod.minutes() if pod.gpu else ():
            key = workload_id(pod), pod.node, hour_of(minute)
            expected[key] += Fraction(*PART[pod.gpu[0]]) * pod.gpu[1] * STEP
    close(by_hour(samples, Measure.GPU_SECONDS, Basis.REQUESTED), expected)


def test_cpu_and_memory_requests_end_with_the_pod_and_not_with_its_object(samples):
    for measure, size in ((Measure.CPU_CORE_SECONDS, 2), (Measure.MEMORY_BYTE_SECONDS, 4 * GIB)):
        expected = defaultdict(Fraction)
        for pod in PODS:
            for minute in pod.minutes():
                expected[workload_id(pod), pod.node, hour_of(minute)] += size * STEP
        close(by_hour(samples, measure, Basis.REQUESTED), expected)


def test_gauges_of_use_are_the_sum_of_their_samples(samples):
    names = {
        "container_memory_working_set_bytes": (Measure.MEMORY_BYTE_SECONDS, Fraction(1)),
        "DCGM_FI_DEV_GPU_UTIL": (Measure.GPU_BUSY_SECONDS, Fraction(1, 100)),
        "DCGM_FI_DEV_FB_USED": (Measure.GPU_MEMORY_BYTE_SECONDS, Fraction(1024 * 1024)),
    }
    expected = {measure: defaultdict(Fraction) for measure, _ in names.values()}
    for name, labels, points in cluster_series():
        if name in names:
            if labels.get("UUID", "").endswith("-idle"):
                continue
            measure, unit = names[name]
            pod_name = labels.get("exported_pod", labels["pod"])
            for minute, value in points:
                (pod,) = [p for p in PODS if p.name == pod_name and p.born <= minute < p.died]
                expected[measure][workload_id(pod), pod.node, hour_of(minute)] += value * unit * STEP
    for measure, found in expected.items():
        close(by_hour(samples, measure, Basis.USED), found)


def test_counters_add_up_to_every_second_counted_resets_and_outage_included(samples):
    wanted = {
        "container_cpu_usage_seconds_total": Measure.CPU_CORE_SECONDS,
        "container_network_receive_bytes_total": Measure.NETWORK_RX_BYTES,
        "request_predict_seconds_count": Measure.REQUESTS,
        "request_predict_seconds_sum": Measure.COMPUTE_SECONDS,
    }
    expected = {measure: defaultdict(Fraction) for measure in wanted.values()}
    for name, labels, points in cluster_series():
        if name in wanted and labels.get("container") != "":
            (pod,) = [p for p in PODS if f"/{p.uid}" == labels.get("id") or ("id" not in labels and p.uid == "u-fraud")]
            values = [Fraction(value) for _, value in points]
            grown = 0 if points[0][0] == 0 else values[0]
            for before, after in pairwise(values):
                grown += after - before if after >= before else after
            expected[wanted[name]][workload_id(pod), pod.node] += grown
    for measure, totals in expected.items():
        found = defaultdict(Decimal)
        for (workload, node, _), quantity in by_hour(samples, measure, Basis.USED).items():
            found[workload, node] += quantity
        close(found, totals)


def test_growth_over_the_outage_is_given_for_its_hours_together_with_their_coverage(samples):
    (bridge,) = [
        sample
        for sample in samples
        if sample.measure is Measure.REQUESTS and sample.start < START + timedelta(hours=13) < sample.end
    ]
    assert (bridge.start, bridge.end) == (START + timedelta(hours=11), START + timedelta(hours=14))
    assert bridge.quantity == 2 * (180 + 40)
    assert bridge.coverage == Decimal(40) / 180


def test_capacity_is_what_the_nodes_had_while_they_were_seen(samples):
    expected = defaultdict(Fraction)
    for node, (_, born, died, allocatable) in NODES.items():
        for resource, value in allocatable.items():
            if resource in PART:
                for minute in (m for m in range(born, died) if m not in OUTAGE):
                    expected[node, hour_of(minute)] += Fraction(*PART[resource]) * value * STEP
    found = {
        (sample.resource.node, sample.start): sample.quantity
        for sample in samples
        if sample.basis is Basis.CAPACITY and sample.measure is Measure.GPU_SECONDS
    }
    close(found, expected)
    assert all(sample.workload is None for sample in samples if sample.basis is Basis.CAPACITY)


def test_coverage_is_that_of_the_scraper_not_that_of_the_pod(samples):
    for sample in samples:
        hour = (sample.start - START) // timedelta(hours=1)
        looked = sum(minute not in OUTAGE for minute in range(hour * 60, hour * 60 + 60))
        if sample.end - sample.start == timedelta(hours=1):
            assert sample.coverage == Decimal(looked) / 60, sample
    assert {sample.coverage for sample in samples if hour_of(0) == sample.start} == {1}


def test_nodes_are_known_by_the_id_that_the_bill_has(samples):
    known = {(s.resource.node, s.resource.id, s.resource.provider) for s in samples if s.basis is Basis.CAPACITY}
    assert known == {
        ("n1", "i-0aaa", "AWS"),
        ("n2", "i-0bbb", "AWS"),
        ("n3", "gke-n3", "Google Cloud"),
        ("n4", "/subscriptions/s/resourcegroups/r/vms/n4", "Microsoft"),
    }
    assert {s.resource.instance_type for s in samples if s.resource.node == "n1"} == {"p4d"}


def test_volumes_belong_to_who_mounts_them_and_else_to_themselves(samples):
    expected = defaultdict(Fraction)
    job = [pod for pod in PODS if pod.owner == ("Job", "train-a")]
    (debug,) = [pod for pod in PODS if pod.uid == "u-debug-1"]
    for hour in range(48):
        seen = [minute for minute in range(hour * 60, hour * 60 + 60) if minute not in OUTAGE]
        weights = {
            workload_id(job[0]): sum(pod.born <= m < pod.died for pod in job for m in seen),
            workload_id(debug): sum(debug.born <= m < debug.died for m in seen),
        }
        whole = sum(weights.values())
        if not whole:
            weights, whole = {"k8s:lab/ml/PersistentVolumeClaim/data": 1}, 1
        for workload, weight in weights.items():
            if weight and seen:
                key = workload, None, START + timedelta(hours=hour)
                expected[key] = Fraction(weight, whole) * 100 * GIB * len(seen) * STEP
    close(by_hour(samples, Measure.STORAGE_BYTE_SECONDS, Basis.REQUESTED), expected)
    volumes = {sample.resource.id for sample in samples if sample.measure is Measure.STORAGE_BYTE_SECONDS}
    assert volumes == {"vol-0123"}


def test_workloads_have_kind_labels_and_links(samples):
    found = {sample.workload.id: sample.workload for sample in samples if sample.workload}
    chat = found["k8s:lab/llm/Deployment/chat"]
    assert (chat.kind, chat.name, chat.namespace) == (WorkloadKind.OTHER, "chat", "lab/llm")
    assert chat.labels == {"team": "nlp", "model": "chat"}
    assert {"pod:u-chat-a", "pod:u-chat-b", "host:n1", "gpu:GPU-u-chat-a-0"} <= set(chat.links)
    fraud = found["k8s:lab/serve/InferenceService/fraud"]
    assert (fraud.kind, fraud.model) == (WorkloadKind.INFERENCE_ENDPOINT, "fraud")
    train = found[workload_id(PODS[2])]
    assert (train.kind, train.labels) == (WorkloadKind.TRAINING_JOB, {"team": "risk", "cost_center": "c7"})
    assert found["k8s:lab/kube-system/DaemonSet/proxy"].kind is WorkloadKind.PLATFORM
    assert not any("queued" in workload for workload in found)


def test_requested_cards_are_named_where_dcgm_saw_them(samples):
    (sample,) = [
        s
        for s in samples
        if s.measure is Measure.GPU_SECONDS
        and s.workload
        and s.workload.id == workload_id(PODS[2])
        and s.resource.node == "n1"
        and s.start == START + timedelta(hours=5)
    ]
    assert sample.devices == tuple(f"GPU-u-train-0-{card}" for card in range(4))


def test_only_what_had_counted_before_anyone_looked_is_a_doubt(pulled):
    faults = [found for found in pulled if isinstance(found, Fault)]
    assert {(fault.code, fault.rejected) for fault in faults} == {("counter_without_beginning", False)}
    assert all(fault.row for fault in faults)


def test_no_hour_has_more_than_it_has_seconds(samples):
    assert MIDNIGHT % HOUR == 0
    chat = [s for s in samples if s.workload and s.workload.name == "chat" and s.measure is Measure.GPU_SECONDS]
    assert max(sample.quantity for sample in chat) == 3600
    assert len(chat) == 2 * (48 - len(OUTAGE_HOURS) + 2)
    assert {sample.key for sample in chat} == {"u-chat-a", "u-chat-b"}


def test_a_machine_without_prometheus_fails_and_says_what_to_run():
    with pytest.raises(pytest.fail.Exception, match=r"run scripts/install_servers\.sh first"):
        program("no-such-program")
