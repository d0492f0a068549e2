"""What was used: CPU, memory and network of pods by cAdvisor, cards by DCGM.

Utilisation is DCGM_FI_DEV_GPU_UTIL (the part of the time in which some kernel ran, however small), where a card has it,
and else DCGM_FI_PROF_GR_ENGINE_ACTIVE, which MIG slices have too; a slice's counts as its part of the card. Where
several pods' series show one card at the same time (time slicing, MPS), they share what the card did, in equal parts.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.sources._prom_counters import Began, Growth, growths
from apportion.sources._prom_gpus import part_of_profile
from apportion.sources._prom_metrics import HOUR
from apportion.sources._prom_rows import without_copies
from apportion.sources._prom_time import ONE, Subject, scraper_of, subjects
from apportion.sources._prom_usage import Counted, Usage, hour_of
from apportion.sources.readings.contract import Workload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apportion.sources._prom_rows import Series

MEMORY = "container_memory_working_set_bytes"
GPU_UTIL = "DCGM_FI_DEV_GPU_UTIL"
ENGINE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
GPU_MEMORY = "DCGM_FI_DEV_FB_USED"
ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
_COUNTERS = {
    "container_cpu_usage_seconds_total": Measure.CPU_CORE_SECONDS,
    "container_network_receive_bytes_total": Measure.NETWORK_RX_BYTES,
    "container_network_transmit_bytes_total": Measure.NETWORK_TX_BYTES,
}
_NO_CONTAINER = frozenset({"", "POD"})
"""cAdvisor's sums over a pod, and its sandbox."""
_PERCENT = Decimal("0.01")
_MEBIBYTE = Decimal(1024 * 1024)
_MILLI = Decimal("0.001")

Cards = dict[tuple[str, str, str], dict[int, Decimal]]
"""Metric, UUID and instance of a card -> hour -> samples of all series that show it."""


def cpu_memory_network(usage: Usage) -> None:
    """What cAdvisor saw. Network belongs to the pod's sandbox, all else to its containers."""
    for subject in subjects(usage.rows, MEMORY):
        if subject.labels.get("container", "") in _NO_CONTAINER:
            continue
        for hour in sorted(subject.hours):
            amount = usage.clock.amount(subject, hour)
            if amount is not None:
                coverage = usage.of_subject(subject, hour)
                counted = hour_of(
                    Measure.MEMORY_BYTE_SECONDS, Basis.USED, amount, hour, coverage=coverage, row=subject.row
                )
                _to_pods(usage, subject.name, subject.labels, counted)
    for name, measure in _COUNTERS.items():
        for growth in growths(usage.rows, name, usage.clock, began(usage)):
            if _of_interest(name, growth.labels) and growth.amount:
                _to_pods(usage, name, growth.labels, _grown(usage, growth, measure, growth.amount))


def began(usage: Usage) -> Began:
    """Whether the pod of a series started in the hour, or in the hour before."""

    def started(series: Series, hour: int) -> bool:
        starts = [pod.start for pod, _ in usage.pods.sharing(series.labels, hour)]
        return any(start is not None and start >= hour - HOUR for start in starts)

    return started


def hold_cards(usage: Usage) -> None:
    """Which cards every pod was seen with, by hour."""
    for name in (GPU_UTIL, ENGINE, GPU_MEMORY):
        for subject in subjects(usage.rows, name):
            for hour in subject.hours if subject.labels.get("pod") else ():
                for pod, _ in usage.pods_of(subject.labels, hour, name=name):
                    device = subject.labels.get("UUID", "")
                    usage.devices.setdefault((pod.uid or "/".join(pod.name), hour), set()).add(device)
                    pod.devices.add(device)


def cards(usage: Usage) -> None:
    """What DCGM saw of cards while a pod or a batch job held them."""
    shown = _shown(usage)
    slices = {_card(subject.labels) for subject in subjects(usage.rows, ENGINE) if subject.labels.get("GPU_I_ID")}
    measured = {
        (_card(subject.labels), hour)
        for subject in subjects(usage.rows, GPU_UTIL)
        for hour, seen in subject.hours.items()
        if seen.total is not None and _card(subject.labels) not in slices
    }
    for subject in subjects(usage.rows, GPU_UTIL):
        if _card(subject.labels) not in slices:
            _gauge(usage, subject, Measure.GPU_BUSY_SECONDS, _PERCENT, shown)
    for subject in subjects(usage.rows, ENGINE):
        hours = {hour: seen for hour, seen in subject.hours.items() if (_card(subject.labels), hour) not in measured}
        left = Subject(subject.name, subject.labels, subject.row, subject.scraper, hours)
        part = part_of_profile(subject.labels.get("GPU_I_PROFILE", ""), subject.labels.get("modelName", ""))
        _gauge(usage, left, Measure.GPU_BUSY_SECONDS, part, shown)
    for subject in subjects(usage.rows, GPU_MEMORY):
        _gauge(usage, subject, Measure.GPU_MEMORY_BYTE_SECONDS, _MEBIBYTE, shown)
    for growth in growths(usage.rows, ENERGY, usage.clock, began(usage)):
        if growth.amount and _held(growth.labels):
            amount = growth.amount * _MILLI * _once(usage, growth.series, growth.last, shown)
            _to_holder(usage, ENERGY, growth.labels, _grown(usage, growth, Measure.ENERGY_JOULES, amount))


def _gauge(usage: Usage, subject: Subject, measure: Measure, unit: Decimal, shown: Cards) -> None:
    if not _held(subject.labels):
        return
    interval = usage.clock.interval(subject.scraper)
    for hour, seen in sorted(subject.hours.items()):
        if seen.total is None:
            continue
        count = shown[subject.name, *_card(subject.labels)][hour]
        amount = seen.total * unit * interval * usage.clock.once(count, subject.scraper, hour)
        coverage = usage.of_subject(subject, hour)
        counted = hour_of(measure, Basis.USED, amount, hour, coverage=coverage, row=subject.row)
        _to_holder(usage, subject.name, subject.labels, counted)


def _shown(usage: Usage) -> Cards:
    """A card's energy is shown by all of its slices, so its slices are one there."""
    found: Cards = defaultdict(lambda: defaultdict(Decimal))
    for name in (GPU_UTIL, ENGINE, GPU_MEMORY, ENERGY):
        for series in without_copies(usage.rows.series(name)):
            card = (series.labels.get("UUID", ""), "") if name == ENERGY else _card(series.labels)
            for hour, seen in series.hours.items():
                found[name, *card][hour] += seen.count
    return found


def _once(usage: Usage, series: Series, hour: int, shown: Cards) -> Decimal:
    return usage.clock.once(shown[ENERGY, series.labels.get("UUID", ""), ""][hour], scraper_of(series), hour)


def _card(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get("UUID", ""), labels.get("GPU_I_ID", "")


def _held(labels: Mapping[str, str]) -> bool:
    return bool(labels.get("pod") or labels.get("hpc_job"))


def _to_holder(usage: Usage, name: str, labels: Mapping[str, str], counted: Counted) -> None:
    if labels.get("pod"):
        _to_pods(usage, name, labels, counted)
        return
    cluster, node = labels["cluster"], labels.get("node", "")
    resource = usage.places.node(cluster, node, counted.hour)
    usage.add(_batch_job(cluster, node, labels), resource, counted, [labels.get("UUID", "")])


def _batch_job(cluster: str, node: str, labels: Mapping[str, str]) -> Workload:
    """The Slurm job that dcgm-exporter's label `hpc_job` names."""
    job, uuid = labels["hpc_job"], labels.get("UUID", "")
    known = f"slurm:{cluster}/{job}"
    links = (known, *([f"host:{node}"] if node else []), *([f"gpu:{uuid}"] if uuid else []))
    return Workload(id=known, kind=WorkloadKind.OTHER, name=job, links=links)


def _to_pods(usage: Usage, name: str, labels: Mapping[str, str], counted: Counted) -> None:
    for pod, part in usage.pods_of(labels, counted.last, name=name):
        quantity = counted.quantity if part == ONE else counted.quantity * part
        usage.of_pod(pod, replace(counted, quantity=quantity))


def _grown(usage: Usage, growth: Growth, measure: Measure, amount: Decimal) -> Counted:
    coverage = usage.of_growth(growth, scraper_of(growth.series))
    return Counted(measure, Basis.USED, amount, growth.hour, growth.last, coverage, growth.series.row, growth.key)


def _of_interest(name: str, labels: Mapping[str, str]) -> bool:
    if name.startswith("container_network"):
        return labels.get("interface") != "lo" and bool(labels.get("pod"))
    return labels.get("container", "") not in _NO_CONTAINER
