"""What inference servers say of themselves: requests, compute seconds and tokens per model.

KServe's Python server, Triton and vLLM. A server with one model is its endpoint, and the model is named there. Where
one has several, each model is a workload below the endpoint, `<endpoint>/model/<model>[/<version>]`, so that compute
seconds can divide what the endpoint cost. vLLM counts a prompt whole: tokens that its own
prefix cache served are among them.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.measures import Basis, Measure
from apportion.sources._prom_counters import Growth, growths
from apportion.sources._prom_time import scraper_of
from apportion.sources._prom_usage import Counted, keyed
from apportion.sources._prom_used import began

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apportion.sources._prom_pods import Pod
    from apportion.sources._prom_usage import Usage
    from apportion.sources.readings.contract import Workload

_ONE = Decimal(1)
COUNTERS = {
    "request_predict_seconds_count": (Measure.REQUESTS, _ONE),
    "request_predict_seconds_sum": (Measure.COMPUTE_SECONDS, _ONE),
    "nv_inference_request_success": (Measure.REQUESTS, _ONE),
    "nv_inference_request_failure": (Measure.REQUESTS, _ONE),
    "nv_inference_compute_infer_duration_us": (Measure.COMPUTE_SECONDS, Decimal("0.000001")),
    "vllm:prompt_tokens_total": (Measure.TOKENS_INPUT, _ONE),
    "vllm:generation_tokens_total": (Measure.TOKENS_OUTPUT, _ONE),
    "vllm:request_success_total": (Measure.REQUESTS, _ONE),
}
"""Metric -> what it counts, and what one of its unit is in ours."""


def note_models(usage: Usage) -> None:
    """Which models every endpoint served; to be known before workloads are made."""
    for name in COUNTERS:
        for series in usage.rows.series(name):
            for hour in series.hours if series.labels.get("pod") else ():
                for pod, _ in usage.pods.sharing(series.labels, hour):
                    usage.pods.models[usage.pods.workload_id(pod)].add(_model(series.labels))


def served(usage: Usage) -> None:
    """What was served."""
    for name, (measure, unit) in COUNTERS.items():
        for growth in growths(usage.rows, name, usage.clock, began(usage)):
            if not growth.labels.get("pod"):
                _without_pod(usage, growth)
            elif growth.amount:
                _count(usage, growth, measure, growth.amount * unit)


def _count(usage: Usage, growth: Growth, measure: Measure, amount: Decimal) -> None:
    coverage = usage.of_growth(growth, scraper_of(growth.series))
    for pod, part in usage.pods_of(growth.labels, growth.last, name=growth.series.name):
        quantity = amount if part == _ONE else amount * part
        counted = Counted(
            measure, Basis.USED, quantity, growth.hour, growth.last, coverage, growth.series.row, growth.key
        )
        resource = usage.places.node(pod.name[0], pod.node, growth.last)
        usage.add(_of_model(usage, pod, growth.labels), resource, keyed(counted, pod))


def _of_model(usage: Usage, pod: Pod, labels: Mapping[str, str]) -> Workload:
    endpoint = usage.pods.workload(pod)
    if len(usage.pods.models[endpoint.id]) == 1:
        return endpoint
    model, version = _model(labels), labels.get("version", "")
    return replace(
        endpoint,
        id=f"{endpoint.id}/model/{model}" + (f"/{version}" if version else ""),
        name=model,
        parent=endpoint.id,
        model=model,
        model_version=version or None,
        links=(),
    )


def _model(labels: Mapping[str, str]) -> str:
    return labels.get("model_name") or labels.get("model", "")


def _without_pod(usage: Usage, growth: Growth) -> None:
    usage.rows.doubt(
        growth.series,
        "server_without_pod",
        example=growth.labels.get("instance", ""),
        what="Series of an inference server do not say in which pod it runs: they are not counted.",
        fix="Scrape it through a PodMonitor, or add the labels namespace and pod by relabelling.",
        rejected=True,
    )
