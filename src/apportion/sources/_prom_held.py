"""What was set aside: requests of pods, what nodes had to give, and volumes.

A pod holds its requests from when it is bound to a node until its phase is Succeeded or Failed: finished pods stay in
kube-state-metrics for long. Init containers hold nothing of their own. A volume belongs to the workloads whose pods
mount it, by the time each did; while nobody mounts it, to the claim itself.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.sources._prom_gpus import HAMI, HAMI_CORES, Unknown, is_gpu, part_of_card
from apportion.sources._prom_places import plain_labels
from apportion.sources._prom_rows import REQUESTS
from apportion.sources._prom_time import Subject, subjects
from apportion.sources._prom_usage import hour_of
from apportion.sources.readings.contract import Workload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apportion.sources._prom_pods import Pod
    from apportion.sources._prom_usage import Usage

ALLOCATABLE = "kube_node_status_allocatable"
STORAGE = "kube_persistentvolumeclaim_resource_requests_storage_bytes"
MOUNTS = "kube_pod_spec_volumes_persistentvolumeclaims_info"
CLAIM_LABELS = "kube_persistentvolumeclaim_labels"
_PLAIN = {"cpu": Measure.CPU_CORE_SECONDS, "memory": Measure.MEMORY_BYTE_SECONDS}
_PERCENT = Decimal(100)

Ended = dict[tuple[str, str], dict[int, Decimal]]
"""Cluster and uid of a pod -> hour -> the part of the hour's samples in which it was over."""


def requested(usage: Usage) -> None:
    """Requests of all pods."""
    found = subjects(usage.rows, REQUESTS)
    cores = {_container(subject): subject for subject in found if subject.labels.get("resource") == HAMI_CORES}
    ended = _ended(usage)
    for subject in found:
        labels = subject.labels
        resource, node = labels.get("resource", ""), labels.get("node", "")
        measure = _measure(usage, subject, resource)
        if not node or measure is None:
            continue
        part = _part(usage, subject, resource, node)
        pod = usage.pods.get(labels)
        for hour in sorted(subject.hours):
            amount = usage.clock.amount(subject, hour)
            if amount is None or part is None:
                continue
            limit = _percent_of_card(cores.get(_container(subject)), hour) if measure is Measure.GPU_SECONDS else 1
            over = ended.get(_uid(labels), {}).get(hour, Decimal(0))
            _hold(usage, pod, subject, measure, amount * part * limit * (1 - over), hour)


def capacity(usage: Usage) -> None:
    """What every node had to give."""
    hami = {
        (subject.labels["cluster"], subject.labels.get("node", ""))
        for subject in subjects(usage.rows, REQUESTS)
        if subject.labels.get("resource") == HAMI_CORES
    }
    for subject in subjects(usage.rows, ALLOCATABLE):
        cluster, node = subject.labels["cluster"], subject.labels.get("node", "")
        resource = subject.labels.get("resource", "")
        measure = _measure(usage, subject, resource)
        part = None if measure is None else _part(usage, subject, resource, node)
        if measure is None or part is None:
            continue
        cards = usage.places.node_labels(cluster, node).get("nvidia_com_gpu_count", "")
        virtual = resource == "nvidia_com_gpu" and (cluster, node) in hami
        if virtual and not cards.isdecimal():
            _virtual(usage, subject, node)
            continue
        for hour, seen in sorted(subject.hours.items()):
            amount = usage.clock.amount(subject, hour)
            if amount is None or not seen.total:
                continue
            if virtual:
                amount = amount * int(cards) * seen.count / seen.total
            coverage = usage.of_subject(subject, hour)
            counted = hour_of(measure, Basis.CAPACITY, amount * part, hour, coverage=coverage, row=subject.row)
            usage.add(None, usage.places.node(cluster, node, hour), counted)


def stored(usage: Usage) -> None:
    """Volumes by the size that was asked for."""
    mounts: dict[tuple[str, str, str], list[Subject]] = defaultdict(list)
    for subject in subjects(usage.rows, MOUNTS):
        mounts[_claim(subject.labels)].append(subject)
    labels = {_claim(subject.labels): plain_labels(subject.labels) for subject in subjects(usage.rows, CLAIM_LABELS)}
    ended = _ended(usage)
    for subject in subjects(usage.rows, STORAGE):
        claim = _claim(subject.labels)
        for hour in sorted(subject.hours):
            amount = usage.clock.amount(subject, hour)
            if amount is None:
                continue
            coverage = usage.of_subject(subject, hour)
            resource = usage.places.volume(*claim, hour)
            users = _users(usage, mounts[claim], ended, hour) or [(_volume(claim, labels.get(claim, {})), Decimal(1))]
            for workload, part in users:
                counted = hour_of(
                    Measure.STORAGE_BYTE_SECONDS,
                    Basis.REQUESTED,
                    amount * part,
                    hour,
                    coverage=coverage,
                    row=subject.row,
                )
                usage.add(workload, resource, replace(counted, key=claim[2]))


def _measure(usage: Usage, subject: Subject, resource: str) -> Measure | None:
    if is_gpu(resource):
        return Measure.GPU_SECONDS
    if resource not in _PLAIN and resource not in HAMI:
        usage.rows.doubt(
            next(usage.rows.series(subject.name)),
            "unknown_resource",
            example=resource,
            what="A resource of nodes looks like an accelerator that is not known: it is not counted.",
            fix="Tell us its name and what part of a card one unit is.",
            rejected=True,
        )
    return _PLAIN.get(resource)


def _part(usage: Usage, subject: Subject, resource: str, node: str) -> Decimal | None:
    if not is_gpu(resource):
        return Decimal(1)
    part = part_of_card(resource, usage.places.node_labels(subject.labels["cluster"], node))
    if isinstance(part, Unknown):
        usage.rows.doubt(
            next(usage.rows.series(subject.name)),
            "part_of_card_unknown",
            example=f"{resource} on {node}",
            what=part.what,
            fix=part.fix,
            rejected=True,
        )
        return None
    return part


def _virtual(usage: Usage, subject: Subject, node: str) -> None:
    usage.rows.doubt(
        next(usage.rows.series(subject.name)),
        "cards_of_node_unknown",
        example=node,
        what="HAMi shows virtual cards, and the node label nvidia_com_gpu_count does not say how many cards there are.",
        fix="Let kube-state-metrics show the labels of nodes: --metric-labels-allowlist=nodes=[*].",
        rejected=True,
    )


def _percent_of_card(cores: Subject | None, hour: int) -> Decimal:
    seen = cores.hours.get(hour) if cores else None
    if seen is None or not seen.total:
        return Decimal(1)
    return min(seen.total / seen.count / _PERCENT, Decimal(1))


def _ended(usage: Usage) -> Ended:
    """Pods that were over."""
    found: Ended = defaultdict(dict)
    for subject in subjects(usage.rows, "kube_pod_status_phase"):
        of = found[_uid(subject.labels)]
        for hour, seen in subject.hours.items():
            if seen.total and seen.count and subject.labels.get("phase") in ("Succeeded", "Failed"):
                of[hour] = min(Decimal(1), of.get(hour, Decimal(0)) + seen.total / seen.count)
    return found


def _hold(usage: Usage, pod: Pod, subject: Subject, measure: Measure, quantity: Decimal, hour: int) -> None:
    if quantity:
        coverage = usage.of_subject(subject, hour)
        usage.of_pod(pod, hour_of(measure, Basis.REQUESTED, quantity, hour, coverage=coverage, row=subject.row))


def _users(usage: Usage, mounts: list[Subject], ended: Ended, hour: int) -> list[tuple[Workload, Decimal]]:
    """The workloads that mounted a volume in the hour, and their parts of it, which add up to 1."""
    counts: dict[str, Decimal] = defaultdict(Decimal)
    workloads: dict[str, Workload] = {}
    for mount in mounts:
        if hour in mount.hours:
            workload = usage.pods.workload(usage.pods.get(mount.labels))
            workloads[workload.id] = workload
            over = ended.get(_uid(mount.labels), {}).get(hour, Decimal(0))
            counts[workload.id] += mount.hours[hour].count * (1 - over)
    whole = sum(counts.values(), Decimal(0))
    return [(workloads[key], count / whole) for key, count in sorted(counts.items()) if count] if whole else []


def _volume(claim: tuple[str, str, str], labels: Mapping[str, str]) -> Workload:
    cluster, namespace, name = claim
    return Workload(
        id=f"k8s:{cluster}/{namespace}/PersistentVolumeClaim/{name}",
        kind=WorkloadKind.DATA,
        name=name,
        namespace=f"{cluster}/{namespace}",
        labels=labels,
    )


def _claim(labels: Mapping[str, str]) -> tuple[str, str, str]:
    return labels["cluster"], labels.get("namespace", ""), labels.get("persistentvolumeclaim", "")


def _uid(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels["cluster"], labels.get("uid", "")


def _container(subject: Subject) -> tuple[str, ...]:
    labels = subject.labels
    return labels["cluster"], labels.get("uid", ""), labels.get("pod", ""), labels.get("container", "")
