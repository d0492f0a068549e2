"""Which series of Prometheus are asked for, how, and what tells one subject of a metric from another.

Names: kube-state-metrics 2.20 `docs/metrics`, cAdvisor, dcgm-exporter 4.5 `default-counters.csv`, KServe's Python
server, Triton, vLLM `v1/metrics/loggers.py`. Labels are never joined in PromQL: every query is one function over one
selector, so what an answer says about a series is what Prometheus holds of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

HOUR = 3600
"""Seconds: the range of every function asked for."""
_GPU_NAMES = "cpu|memory|.*(gpu|mig_|gaudi|tpu|neuron).*"
_IN_POD = 'pod!=""'


class Form(StrEnum):
    """What the value of a series is."""

    GAUGE = "gauge"
    COUNTER = "counter"
    LABELS = "labels"
    """The value says nothing; the labels do."""


FUNCTIONS = {
    Form.GAUGE: ("sum_over_time", "count_over_time"),
    Form.COUNTER: ("min_over_time", "last_over_time", "count_over_time", "resets"),
    Form.LABELS: ("count_over_time",),
}
"""Form -> the functions over one hour that are asked for; `min_over_time` is the first value of a counter's hour."""


@dataclass(frozen=True, slots=True)
class Metric:
    """`by`: labels that make a subject; empty: all of them. `family`: whose scrapes count when no label `job` is there.

    `selector` is what stands in braces. `from_zero`: the counter began at 0 together with its series.
    """

    name: str
    form: Form
    family: str
    by: tuple[str, ...] = ()
    selector: str = ""
    from_zero: bool = True


_POD = ("namespace", "pod", "uid")
_CLAIM = ("namespace", "persistentvolumeclaim")
_CONTAINER = ("namespace", "pod", "container")
_DEVICE = ("UUID", "GPU_I_ID", "GPU_I_PROFILE", "node", *_CONTAINER, "pod_uid", "vgpu", "hpc_job")


def _kube(name: str, form: Form, *by: str, selector: str = "") -> Metric:
    return Metric(f"kube_{name}", form, "kube", by, selector)


def _served(name: str) -> Metric:
    return Metric(name, Form.COUNTER, "serving")


def _device(name: str) -> Metric:
    return Metric(f"DCGM_FI_{name}", Form.GAUGE, "dcgm", _DEVICE)


def _contained(name: str, form: Form, *by: str, selector: str = f'{_IN_POD},container!=""') -> Metric:
    return Metric(f"container_{name}", form, "cadvisor", by, selector)


_ALL = (
    _kube("node_info", Form.LABELS, "node", "provider_id"),
    _kube("node_labels", Form.LABELS, "node"),
    _kube("namespace_labels", Form.LABELS, "namespace"),
    _kube("pod_info", Form.LABELS, *_POD, "node"),
    _kube("pod_labels", Form.LABELS, *_POD),
    _kube("pod_owner", Form.LABELS, *_POD, "owner_kind", "owner_name"),
    _kube("pod_start_time", Form.GAUGE, *_POD),
    _kube("replicaset_owner", Form.LABELS, "namespace", "replicaset", "owner_kind", "owner_name"),
    _kube("job_owner", Form.LABELS, "namespace", "job_name", "owner_kind", "owner_name"),
    _kube("job_labels", Form.LABELS, "namespace", "job_name"),
    _kube("job_created", Form.GAUGE, "namespace", "job_name"),
    _kube("pod_status_phase", Form.GAUGE, *_POD, "phase", selector='phase=~"Failed|Succeeded"'),
    _kube(
        "pod_container_resource_requests",
        Form.GAUGE,
        *_POD,
        "container",
        "node",
        "resource",
        selector=f'resource=~"{_GPU_NAMES}"',
    ),
    _kube("node_status_allocatable", Form.GAUGE, "node", "resource", selector=f'resource=~"{_GPU_NAMES}"'),
    _kube("persistentvolumeclaim_resource_requests_storage_bytes", Form.GAUGE, *_CLAIM),
    _kube("persistentvolumeclaim_info", Form.LABELS, *_CLAIM, "volumename"),
    _kube("persistentvolumeclaim_labels", Form.LABELS, *_CLAIM),
    _kube("persistentvolume_info", Form.LABELS, "persistentvolume"),
    _kube("pod_spec_volumes_persistentvolumeclaims_info", Form.LABELS, *_POD, "persistentvolumeclaim"),
    _contained("cpu_usage_seconds_total", Form.COUNTER),
    _contained("memory_working_set_bytes", Form.GAUGE, *_CONTAINER),
    _contained("network_receive_bytes_total", Form.COUNTER, selector=_IN_POD),
    _contained("network_transmit_bytes_total", Form.COUNTER, selector=_IN_POD),
    _device("DEV_GPU_UTIL"),
    _device("PROF_GR_ENGINE_ACTIVE"),
    _device("DEV_FB_USED"),
    # the counter belongs to the card, not to the pod that holds it now
    Metric("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", Form.COUNTER, "dcgm", from_zero=False),
    _served("request_predict_seconds_count"),
    _served("request_predict_seconds_sum"),
    _served("nv_inference_request_success"),
    _served("nv_inference_request_failure"),
    _served("nv_inference_compute_infer_duration_us"),
    _served("vllm:prompt_tokens_total"),
    _served("vllm:generation_tokens_total"),
    _served("vllm:request_success_total"),
)
METRICS = {metric.name: metric for metric in _ALL}
"""Name -> how it is read. A series of another name in a file is a fault, never passed over."""
