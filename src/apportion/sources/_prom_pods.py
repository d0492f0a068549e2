"""Pods, whose they are, and the workload that all pods of one owner make together.

A pod is its uid: names come again (StatefulSets, Jobs). What has no uid (cAdvisor, DCGM) is joined by name and hour.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.sources._prom_kinds import KSERVE, TRAINJOB_STEP, kind_of
from apportion.sources._prom_places import plain_labels
from apportion.sources._prom_time import subjects
from apportion.sources.readings.contract import Workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from apportion.sources._prom_rows import Rows

_EPOCH = datetime(1970, 1, 1)
_PRESENCE = ("kube_pod_info", "kube_pod_labels", "kube_pod_owner", "kube_pod_container_resource_requests")
"""Metrics that say a pod was there, the surest first."""
_UNOWNED = ("", "<none>")

PodName = tuple[str, str, str]
"""Cluster, namespace, name."""
OwnerKey = tuple[str, str, str, str]
"""Cluster, namespace, kind, name."""


@dataclass(slots=True)
class Pod:
    """One pod. `hours`: hour -> samples in which it was seen; `start` in Unix seconds."""

    name: PodName
    uid: str
    node: str = ""
    owner: tuple[str, str] = ("", "")
    labels: dict[str, str] = field(default_factory=dict)
    hours: dict[int, Decimal] = field(default_factory=dict)
    start: int | None = None
    seen_by: tuple[str, str] = ("", "")
    """The scraper that saw it in `hours`."""
    devices: set[str] = field(default_factory=set)

    @property
    def last(self) -> int:
        """The hour in which it was seen last."""
        return max(self.hours, default=0)


@dataclass(slots=True)
class Pods:
    """All pods of one file, and the workloads they make."""

    pods: dict[tuple[PodName, str], Pod] = field(default_factory=dict)
    by_name: dict[PodName, list[Pod]] = field(default_factory=lambda: defaultdict(list))
    owners: dict[OwnerKey, tuple[str, str]] = field(default_factory=dict)
    created: dict[OwnerKey, list[int]] = field(default_factory=dict)
    inherited: dict[OwnerKey, dict[str, str]] = field(default_factory=dict)
    models: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Workload id -> models that its pods served."""
    _made: dict[str, Workload] = field(default_factory=dict)
    _members: dict[str, list[Pod]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Rows) -> Pods:
        """The pods that kube-state-metrics showed."""
        pods = cls()
        for name in _PRESENCE:
            pods._seen(rows, name)
        for subject in subjects(rows, "kube_pod_start_time"):
            pod = pods._pod(subject.labels)
            totals = [seen.total / seen.count for seen in subject.hours.values() if seen.total and seen.count]
            pod.start = int(totals[0]) if totals else None
        pods._owned(rows, "kube_replicaset_owner", "ReplicaSet", "replicaset")
        pods._owned(rows, "kube_job_owner", "Job", "job_name")
        pods._born(rows)
        for subject in subjects(rows, "kube_job_labels"):
            pods.inherited[_owner_key(subject.labels, "Job", "job_name")] = plain_labels(subject.labels)
        for subject in subjects(rows, "kube_namespace_labels"):
            pods.inherited[subject.labels["cluster"], subject.labels.get("namespace", ""), "", ""] = plain_labels(
                subject.labels
            )
        return pods

    def get(self, labels: Mapping[str, str]) -> Pod:
        """The pod that labels with a uid name."""
        return self._pod(labels)

    def sharing(self, labels: Mapping[str, str], hour: int) -> list[tuple[Pod, Decimal]]:
        """The pods that had this name in the hour, each with its part of the time, which add up to 1.

        Where nobody looked in that hour, the pod of that name seen closest to it; a pod that nobody ever described is
        known by its name only.
        """
        uid = labels.get("uid") or labels.get("pod_uid")
        name = _pod_name(labels)
        if uid or not self.by_name.get(name):
            return [(self._pod({**labels, "uid": uid or ""}), Decimal(1))]
        there = [(pod, pod.hours[hour]) for pod in self.by_name[name] if pod.hours.get(hour)]
        if not there:
            return [(min(self.by_name[name], key=lambda pod: _distance(pod, hour)), Decimal(1))]
        whole = sum((count for _, count in there), Decimal(0))
        return [(pod, count / whole) for pod, count in there]

    def identity(self, pod: Pod) -> OwnerKey:
        """Who stands for the pod: its InferenceService, its top owner, or itself."""
        cluster, namespace, name = pod.name
        if pod.labels.get(KSERVE):
            return cluster, namespace, "InferenceService", pod.labels[KSERVE]
        kind, owner = pod.owner
        while kind in ("ReplicaSet", "Job") and (above := self.owners.get((cluster, namespace, kind, owner))):
            if above[0] == "CronJob":
                break
            kind, owner = above
        if kind == "JobSet" and pod.labels.get(TRAINJOB_STEP):
            kind = "TrainJob"
        return (cluster, namespace, kind, owner) if kind else (cluster, namespace, "Pod", name)

    def workload_id(self, pod: Pod) -> str:
        """`k8s:<cluster>/<namespace>/<kind>/<name>`; for a Job `/<created>` and for a lone pod `/<uid>` follows."""
        cluster, namespace, kind, name = self.identity(pod)
        last = pod.uid if kind == "Pod" else ""
        if created := self.created.get((cluster, namespace, kind, name)):
            last = str(max((born for born in created if pod.start is None or born <= pod.start), default=created[0]))
        return f"k8s:{cluster}/{namespace}/{kind}/{name}" + (f"/{last}" if last else "")

    def workload(self, pod: Pod) -> Workload:
        """The workload of a pod, the same value for all of its pods."""
        found = self.workload_id(pod)
        if found not in self._made:
            self._made[found] = self._make(found, self._of_workload(found) or [pod])
        return self._made[found]

    def _make(self, workload_id: str, members: list[Pod]) -> Workload:
        latest = max(members, key=lambda pod: (pod.last, pod.name, pod.uid))
        cluster, namespace, kind, name = self.identity(latest)
        job_labels = self.inherited.get((cluster, namespace, *latest.owner), {})
        labels = {**self.inherited.get((cluster, namespace, "", ""), {}), **job_labels, **latest.labels}
        models = self.models.get(workload_id, set())
        plain = f"k8s:{cluster}/{namespace}/{kind}/{name}"
        return Workload(
            id=workload_id,
            kind=kind_of(namespace=namespace, owner=kind, labels=labels, serves=bool(models)),
            name=name,
            namespace=f"{cluster}/{namespace}",
            parent=self._parent(cluster, namespace, kind, name),
            model=next(iter(models)) if len(models) == 1 else None,
            labels=labels,
            links=tuple(dict.fromkeys([plain, *(link for pod in members for link in _links(pod))])),
        )

    def _parent(self, cluster: str, namespace: str, kind: str, name: str) -> str | None:
        above = self.owners.get((cluster, namespace, kind, name))
        return f"k8s:{cluster}/{namespace}/{above[0]}/{above[1]}" if above else None

    def _of_workload(self, workload_id: str) -> list[Pod]:
        if not self._members:
            for pod in self.pods.values():
                self._members.setdefault(self.workload_id(pod), []).append(pod)
        return self._members.get(workload_id, [])

    def _seen(self, rows: Rows, name: str) -> None:
        for subject in subjects(rows, name):
            pod = self._pod(subject.labels)
            pod.node = subject.labels.get("node") or pod.node
            pod.seen_by = subject.scraper
            pod.labels.update(plain_labels(subject.labels))
            if subject.labels.get("owner_kind", "") not in _UNOWNED:
                pod.owner = subject.labels["owner_kind"], subject.labels.get("owner_name", "")
            for hour, seen in subject.hours.items():
                pod.hours[hour] = max(pod.hours.get(hour, Decimal(0)), seen.count)

    def _pod(self, labels: Mapping[str, str]) -> Pod:
        key = _pod_name(labels), labels.get("uid", "")
        if key not in self.pods:
            self.pods[key] = Pod(*key)
            self.by_name[key[0]].append(self.pods[key])
        return self.pods[key]

    def _owned(self, rows: Rows, metric: str, kind: str, label: str) -> None:
        for subject in subjects(rows, metric):
            if subject.labels.get("owner_kind", "") not in _UNOWNED:
                self.owners[_owner_key(subject.labels, kind, label)] = (
                    subject.labels["owner_kind"],
                    subject.labels.get("owner_name", ""),
                )

    def _born(self, rows: Rows) -> None:
        for subject in subjects(rows, "kube_job_created"):
            values = {seen.total / seen.count for seen in subject.hours.values() if seen.total and seen.count}
            # an hour with two Jobs of one name has a mean of their times, which is mostly no whole second
            if born := sorted(int(value) for value in values if value == int(value)):
                self.created[_owner_key(subject.labels, "Job", "job_name")] = born


def moment(second: int) -> datetime:
    """Unix seconds as naive UTC."""
    return _EPOCH + timedelta(seconds=second)


def _links(pod: Pod) -> Iterator[str]:
    yield f"k8s:{'/'.join(pod.name[:2])}/Pod/{pod.name[2]}"
    if pod.uid:
        yield f"pod:{pod.uid}"
    if pod.node:
        yield f"host:{pod.node}"
    for device in sorted(pod.devices):
        yield f"gpu:{device}"


def _pod_name(labels: Mapping[str, str]) -> PodName:
    return labels["cluster"], labels.get("namespace", ""), labels.get("pod", "")


def _owner_key(labels: Mapping[str, str], kind: str, label: str) -> OwnerKey:
    return labels["cluster"], labels.get("namespace", ""), kind, labels.get(label, "")


def _distance(pod: Pod, hour: int) -> tuple[int, int]:
    return min(((abs(seen - hour), seen) for seen in pod.hours), default=(hour, hour))
