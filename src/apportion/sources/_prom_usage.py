"""Samples in the making: what all pods of one workload did on one resource in one hour is one sample."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.sources._prom_pods import Pod, Pods, moment
from apportion.sources._prom_time import ONE, Clock, Subject, place_of
from apportion.sources.readings.contract import Resource, Sample, Workload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from apportion.core.measures import Basis, Measure
    from apportion.sources._prom_counters import Growth
    from apportion.sources._prom_places import Places
    from apportion.sources._prom_rows import Rows


@dataclass(frozen=True, slots=True)
class Counted:
    """One quantity of one pod or node in the hours from `hour` to `last` (starts in Unix seconds)."""

    measure: Measure
    basis: Basis
    quantity: Decimal
    hour: int
    last: int
    coverage: Decimal
    row: int
    key: str = ""
    """What is counted beside others of its workload: the pod, unless this says it."""


@dataclass(slots=True)
class _Draft:
    counted: Counted
    quantity: Decimal
    coverage: Decimal
    devices: set[str] = field(default_factory=set)
    workload: Workload | None = None


@dataclass(slots=True)
class Usage:
    """What a file says, as far as it was understood."""

    rows: Rows
    clock: Clock
    pods: Pods
    places: Places
    devices: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    """Pod uid or name, and hour -> UUIDs of the cards it held."""
    _drafts: dict[tuple[object, ...], _Draft] = field(default_factory=dict)

    def add(self, workload: Workload | None, resource: Resource, counted: Counted, devices: Iterable[str] = ()) -> None:
        """One more quantity; those of equal workload, resource, measure, basis, key and hours are added up."""
        what = (counted.measure, counted.basis, counted.key)
        key = (workload and workload.id, resource, what, counted.hour, counted.last)
        draft = self._drafts.get(key)
        if draft is None:
            draft = self._drafts[key] = _Draft(counted, Decimal(0), ONE, workload=workload)
        draft.quantity += counted.quantity
        draft.coverage = min(draft.coverage, counted.coverage)
        draft.devices.update(devices)

    def of_pod(self, pod: Pod, counted: Counted) -> None:
        """A quantity of a pod, on its node."""
        resource = self.places.node(pod.name[0], pod.node, counted.hour)
        self.add(self.pods.workload(pod), resource, keyed(counted, pod), self.devices_of(pod, counted.hour))

    def devices_of(self, pod: Pod, hour: int) -> set[str]:
        """UUIDs of the cards a pod was seen with in the hour."""
        return self.devices.get((pod.uid or "/".join(pod.name), hour), set())

    def pods_of(self, labels: Mapping[str, str], hour: int, *, name: str) -> Iterator[tuple[Pod, Decimal]]:
        """The pods that labels name in the hour, each with its part; says so where two had the name."""
        there = self.pods.sharing(labels, hour)
        if len({self.pods.workload_id(pod) for pod, _ in there}) > 1:
            series = next(self.rows.series(name))
            self.rows.doubt(
                series,
                "pod_name_used_twice",
                example="/".join(there[0][0].name[1:]),
                what="Pods of different workloads had one name within an hour, and this metric has no uid: "
                "it is divided by the time that each of them was seen.",
                fix="For DCGM: let dcgm-exporter write the label pod_uid.",
            )
        for pod, part in there:
            pod.node = pod.node or labels.get("node", "")
            yield pod, part

    def coverage(self, name: str, labels: Mapping[str, str], scraper: tuple[str, str], hours: Iterable[int]) -> Decimal:
        """The part of the hours that the scraper of these series looked at their target."""
        place = place_of(name, labels)
        found = [self.clock.coverage(scraper, place, hour, self._existed(labels, place, hour)) for hour in hours]
        return sum(found, Decimal(0)) / len(found)

    def of_subject(self, subject: Subject, hour: int) -> Decimal:
        """Coverage of a gauge's hour."""
        return self.coverage(subject.name, subject.labels, subject.scraper, (hour,))

    def of_growth(self, growth: Growth, scraper: tuple[str, str]) -> Decimal:
        """Coverage of the hours of a growth."""
        return self.coverage(growth.series.name, growth.labels, scraper, growth.hours)

    def samples(self) -> Iterator[Sample]:
        """The samples, in file order, then by time."""
        for key, draft in sorted(self._drafts.items(), key=lambda item: (item[1].counted.row, item[0][3])):
            counted = draft.counted
            resource = key[1]
            assert isinstance(resource, Resource)  # noqa: S101 - add() put it there
            yield Sample(
                resource=resource,
                workload=draft.workload,
                measure=counted.measure,
                basis=counted.basis,
                quantity=draft.quantity,
                start=moment(counted.hour),
                end=moment(counted.last + self.clock.length(counted.last)),
                row=counted.row,
                coverage=draft.coverage,
                key=counted.key,
                devices=tuple(sorted(draft.devices)),
            )

    def _pod_existed(self, labels: Mapping[str, str], hour: int) -> Decimal:
        """The part of an hour in which the pod that is its own target was there."""
        there = [pod for pod, _ in self.pods.sharing(labels, hour) if pod.seen_by[1] and pod.hours.get(hour)]
        if not there:
            return ONE
        whole = self.clock.looked[there[0].seen_by, ""][hour]
        return min(ONE, sum((pod.hours[hour] for pod in there), Decimal(0)) / whole)

    def _existed(self, labels: Mapping[str, str], place: str, hour: int) -> Decimal:
        """The part of an hour in which a target was there, by what kube-state-metrics saw of its node."""
        if labels.get("pod") and not labels.get("node"):
            return self._pod_existed(labels, hour)
        node = self.places.seen(labels["cluster"], labels.get("node", ""), hour)
        if not place or node is None:
            return ONE
        whole = self.clock.looked.get((node.scraper, ""), {}).get(hour, Decimal(0))
        return min(ONE, node.hours[hour].count / whole) if whole else ONE


def keyed(counted: Counted, pod: Pod) -> Counted:
    """The quantity as one of this pod; where it spans several hours, its series is kept apart."""
    return replace(counted, key=" ".join(filter(None, (pod.uid or pod.name[2], counted.key))))


def hour_of(measure: Measure, basis: Basis, quantity: Decimal, hour: int, *, coverage: Decimal, row: int) -> Counted:
    """A quantity of one hour."""
    return Counted(measure, basis, quantity, hour, hour, coverage, row)
