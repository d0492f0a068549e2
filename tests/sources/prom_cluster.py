"""A small Kubernetes cluster as plain Python: two days of scrapes, written for promtool and kept for counting by hand.

Scrapes fall on full minutes, so on full hours too. From 10:20 to 13:20 of the first day nobody scraped.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

MIDNIGHT = 1772323200
# 2026-03-01T00:00:00Z
STEP = 60
HOUR = 3600
MINUTES = 2 * 24 * 60
OUTAGE = range(10 * 60 + 20, 13 * 60 + 20)
GIB = 1024**3
REST = MINUTES


@dataclass(frozen=True)
class PodOf:
    """A pod that lived in the minutes from `born` to `died`, and was shown as finished until `shown`."""

    name: str
    uid: str
    namespace: str
    node: str
    owner: tuple[str, str]
    born: int
    died: int
    gpu: tuple[str, int] | None = None
    labels: dict[str, str] = field(default_factory=dict)
    restarts: tuple[int, ...] = ()
    shown: int = 0

    def minutes(self):
        return (minute for minute in range(self.born, self.died) if minute not in OUTAGE)

    def shown_minutes(self):
        return (minute for minute in range(self.born, max(self.died, self.shown)) if minute not in OUTAGE)


NODES = {  # name: (provider id, from, until, allocatable)
    "n1": ("aws:///eu-west-1a/i-0aaa", 0, REST, {"cpu": 64, "memory": 512 * GIB, "nvidia_com_gpu": 8}),
    "n2": ("aws:///eu-west-1b/i-0bbb", 0, 24 * 60 + 317, {"cpu": 32, "memory": 256 * GIB, "nvidia_com_gpu": 8}),
    "n3": ("gce://project/zone/gke-n3", 0, REST, {"cpu": 16, "nvidia_com_mig_1g_5gb": 4, "nvidia_com_mig_3g_20gb": 1}),
    "n4": ("azure:///subscriptions/S/resourceGroups/R/VMs/n4", 390, REST, {"cpu": 8, "nvidia_com_gpu_shared": 4}),
}
NODE_LABELS = {"n4": {"label_nvidia_com_gpu_replicas": "4"}, "n1": {"label_node_kubernetes_io_instance_type": "p4d"}}
PODS = (
    PodOf(
        "chat-7d-a",
        "u-chat-a",
        "llm",
        "n1",
        ("ReplicaSet", "chat-7d"),
        0,
        REST,
        ("nvidia_com_gpu", 1),
        {"team": "nlp", "model": "chat"},
    ),
    PodOf(
        "chat-7d-b",
        "u-chat-b",
        "llm",
        "n1",
        ("ReplicaSet", "chat-7d"),
        0,
        REST,
        ("nvidia_com_gpu", 1),
        {"team": "nlp", "model": "chat"},
        restarts=(500, 2105, 2130),
    ),
    PodOf(
        "train-a-0",
        "u-train-0",
        "ml",
        "n1",
        ("Job", "train-a"),
        130,
        580,
        ("nvidia_com_gpu", 4),
        {"team": "risk"},
        shown=900,
    ),
    PodOf("train-a-1", "u-train-1", "ml", "n2", ("Job", "train-a"), 131, 581, ("nvidia_com_gpu", 4), {"team": "risk"}),
    PodOf("sampler-0", "u-samp-1", "ml", "n2", ("StatefulSet", "sampler"), 0, 870, ("nvidia_com_gpu", 1)),
    PodOf("sampler-0", "u-samp-2", "ml", "n2", ("StatefulSet", "sampler"), 871, 24 * 60 + 317, ("nvidia_com_gpu", 1)),
    PodOf("debug", "u-debug-1", "ml", "n1", ("", ""), 180, 430, ("nvidia_com_gpu", 2), {"team": "vision"}),
    PodOf("debug", "u-debug-2", "ml", "n1", ("", ""), 480, 1500, ("nvidia_com_gpu", 1), {"team": "nlp"}),
    PodOf("slice-1", "u-slice-1", "ml", "n3", ("", ""), 0, 2000, ("nvidia_com_mig_1g_5gb", 2)),
    PodOf("slice-3", "u-slice-3", "ml", "n3", ("", ""), 60, REST, ("nvidia_com_mig_3g_20gb", 1)),
    PodOf("share-1", "u-share-1", "ml", "n4", ("", ""), 390, REST, ("nvidia_com_gpu_shared", 1)),
    PodOf("share-2", "u-share-2", "ml", "n4", ("", ""), 400, 1999, ("nvidia_com_gpu_shared", 2)),
    PodOf(
        "fraud-predictor-1-x",
        "u-fraud",
        "serve",
        "n1",
        ("ReplicaSet", "fraud-1"),
        77,
        REST,
        None,
        {"serving_kserve_io_inferenceservice": "fraud", "team": "fraud"},
    ),
    PodOf("proxy-n1", "u-proxy-1", "kube-system", "n1", ("DaemonSet", "proxy"), 0, REST),
    PodOf("proxy-n2", "u-proxy-2", "kube-system", "n2", ("DaemonSet", "proxy"), 0, 24 * 60 + 317),
)
WAITING = PodOf("queued", "u-queued", "ml", "", ("Job", "queued"), 0, 300, ("nvidia_com_gpu", 8))
IDS = {
    "ReplicaSet/chat-7d": "k8s:lab/llm/Deployment/chat",
    "Job/train-a": f"k8s:lab/ml/Job/train-a/{MIDNIGHT + 130 * 60 - 20}",
    "StatefulSet/sampler": "k8s:lab/ml/StatefulSet/sampler",
    "ReplicaSet/fraud-1": "k8s:lab/serve/InferenceService/fraud",
    "DaemonSet/proxy": "k8s:lab/kube-system/DaemonSet/proxy",
}
PART = {
    "nvidia_com_gpu": (1, 1),
    "nvidia_com_mig_1g_5gb": (1, 7),
    "nvidia_com_mig_3g_20gb": (3, 7),
    "nvidia_com_gpu_shared": (1, 4),
}
# resource -> the part of a card one unit is


def workload_id(pod):
    return IDS.get("/".join(pod.owner)) or f"k8s:lab/{pod.namespace}/Pod/{pod.name}/{pod.uid}"


def cluster_series():
    """(metric, labels, [(minute, value)]) of all that was scraped."""
    yield from _nodes()
    for pod in (*PODS, WAITING):
        yield from _pod(pod)
    for pod in PODS:
        yield from _container(pod)
    yield from _idle_cards()
    yield from _owners()
    yield from _volumes()


def _always(value=1, minutes=None):
    return [(minute, value) for minute in (range(MINUTES) if minutes is None else minutes) if minute not in OUTAGE]


KSM = {"job": "kube-state-metrics", "instance": "ksm:8080"}


def _nodes():
    for node, (provider_id, born, died, allocatable) in NODES.items():
        minutes = range(born, died)
        yield "kube_node_info", {**KSM, "node": node, "provider_id": provider_id}, _always(1, minutes)
        yield "kube_node_labels", {**KSM, "node": node, **NODE_LABELS.get(node, {})}, _always(1, minutes)
        for resource, value in allocatable.items():
            labels = {**KSM, "node": node, "resource": resource}
            yield "kube_node_status_allocatable", labels, _always(value, minutes)


def _pod(pod):
    who = {**KSM, "namespace": pod.namespace, "pod": pod.name, "uid": pod.uid}
    minutes = list(pod.shown_minutes())
    yield "kube_pod_info", {**who, "node": pod.node}, _always(1, minutes)
    labels = {f"label_{key}": value for key, value in pod.labels.items()}
    yield "kube_pod_labels", {**who, **labels}, _always(1, minutes)
    owner = {"owner_kind": pod.owner[0] or "<none>", "owner_name": pod.owner[1] or "<none>"}
    yield "kube_pod_owner", {**who, **owner}, _always(1, minutes)
    start = MIDNIGHT + pod.born * 60 - (10 if pod.born else 3 * 24 * HOUR)
    yield "kube_pod_start_time", who, _always(start, minutes)
    ended = [(minute, int(minute >= pod.died)) for minute in minutes]
    yield "kube_pod_status_phase", {**who, "phase": "Succeeded"}, ended
    yield "kube_pod_status_phase", {**who, "phase": "Failed"}, [(minute, 0) for minute in minutes]
    asked = {"cpu": 2, "memory": 4 * GIB, **dict([pod.gpu] if pod.gpu else [])}
    for resource, value in asked.items():
        labels = {**who, "container": "main", "node": pod.node, "resource": resource}
        yield "kube_pod_container_resource_requests", labels, _always(value, minutes)


def _idle_cards():
    """dcgm-exporter shows cards that nobody holds, too."""
    for node in ("n1", "n2"):
        labels = {
            "job": "dcgm",
            "instance": f"{node}:9400",
            "UUID": f"GPU-{node}-idle",
            "Hostname": node,
            "pod": f"dcgm-{node}",
            "namespace": "gpu-operator",
            "exported_pod": "",
            "exported_namespace": "",
        }
        yield "DCGM_FI_DEV_GPU_UTIL", labels, _always(0, range(*NODES[node][1:3]))


def _container(pod):
    kubelet = {"job": "kubelet", "instance": f"{pod.node}:10250", "node": pod.node}
    who = {**kubelet, "namespace": pod.namespace, "pod": pod.name, "id": f"/{pod.uid}"}
    seed = random.Random(pod.uid)  # noqa: S311 - the same values every time
    cpu = 90000 if pod.born == 0 else 30
    received = 5_000_000
    values, traffic = [], []
    alive = set(pod.minutes())
    for minute in range(pod.born, pod.died):
        if minute in pod.restarts:
            cpu = seed.randrange(5)
        if minute in alive:
            values.append((minute, cpu))
            traffic.append((minute, received))
        cpu += seed.randrange(120)
        received += seed.randrange(10**6)
    yield "container_cpu_usage_seconds_total", {**who, "container": "main"}, values
    yield "container_cpu_usage_seconds_total", {**who, "container": ""}, [(at, 2 * value) for at, value in values]
    yield "container_network_receive_bytes_total", {**who, "interface": "eth0"}, traffic
    memory = [(minute, seed.randrange(GIB)) for minute in sorted(alive)]
    yield "container_memory_working_set_bytes", {**who, "container": "main"}, memory
    if pod.gpu and pod.gpu[0] == "nvidia_com_gpu":
        yield from _cards(pod, seed, sorted(alive))


def _cards(pod, seed, minutes):
    """Prometheus without honor_labels: the exporter's own pod stands in `pod`."""
    for card in range(pod.gpu[1]):
        labels = {
            "job": "dcgm",
            "instance": f"{pod.node}:9400",
            "UUID": f"GPU-{pod.uid}-{card}",
            "Hostname": pod.node,
            "pod": f"dcgm-{pod.node}",
            "exported_pod": pod.name,
            "namespace": "gpu-operator",
            "exported_namespace": pod.namespace,
            "container": "exporter",
            "exported_container": "main",
        }
        yield "DCGM_FI_DEV_GPU_UTIL", labels, [(minute, seed.randrange(101)) for minute in minutes]
        yield "DCGM_FI_DEV_FB_USED", labels, [(minute, seed.randrange(40000)) for minute in minutes]


def _owners():
    owned = {**KSM, "owner_kind": "Deployment"}
    yield (
        "kube_replicaset_owner",
        {**owned, "namespace": "llm", "replicaset": "chat-7d", "owner_name": "chat"},
        _always(),
    )
    fraud = {**owned, "namespace": "serve", "replicaset": "fraud-1", "owner_name": "fraud-predictor"}
    yield "kube_replicaset_owner", fraud, _always()
    created = {**KSM, "namespace": "ml", "job_name": "train-a"}
    yield "kube_job_created", created, _always(MIDNIGHT + 130 * 60 - 20, range(130, 900))
    yield "kube_namespace_labels", {**KSM, "namespace": "ml", "label_cost_center": "c7"}, _always()


def _volumes():
    claim = {**KSM, "namespace": "ml", "persistentvolumeclaim": "data"}
    yield "kube_persistentvolumeclaim_resource_requests_storage_bytes", claim, _always(100 * GIB)
    yield "kube_persistentvolumeclaim_info", {**claim, "volumename": "pv-1"}, _always()
    volume = {**KSM, "persistentvolume": "pv-1", "csi_volume_handle": "vol-0123"}
    yield "kube_persistentvolume_info", volume, _always()
    for pod in PODS:
        if pod.owner == ("Job", "train-a") or pod.uid == "u-debug-1":
            mount = {**claim, "pod": pod.name, "uid": pod.uid, "volume": "v"}
            yield "kube_pod_spec_volumes_persistentvolumeclaims_info", mount, _always(1, pod.shown_minutes())
    server = {"job": "serving", "instance": "10.0.0.7:8080", "namespace": "serve", "pod": "fraud-predictor-1-x"}
    seen = [(minute, 3 + (minute - 77) * 2) for minute in range(77, MINUTES) if minute not in OUTAGE]
    yield "request_predict_seconds_count", {**server, "model_name": "fraud"}, seen
    yield "request_predict_seconds_sum", {**server, "model_name": "fraud"}, [(at, count / 4) for at, count in seen]


def openmetrics(series, days):
    """The text that `promtool tsdb create-blocks-from openmetrics` takes, for some days."""
    by_metric = {}
    for name, labels, points in series:
        by_metric.setdefault(name, []).append((labels, points))
    for name, found in by_metric.items():
        family = name.removesuffix("_total")
        kind = "counter" if name.endswith("_total") else "gauge"
        yield f"# TYPE {family} {kind}\n"
        for labels, points in found:
            text = ",".join(f'{key}="{value}"' for key, value in labels.items())
            for minute, value in points:
                if minute // (24 * 60) in days:
                    yield f"{name}{{{text}}} {value} {MIDNIGHT + minute * STEP}\n"
    yield "# EOF\n"
