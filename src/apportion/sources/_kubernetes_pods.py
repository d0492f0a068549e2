"""What a pod held on its node, and for how long.

A pod holds what it requests from `status.startTime` until its last container finished; of a pod that was evicted
without a word of its containers, until it was last seen ready. A pod that no node took yet holds nothing. Requests
follow the scheduler: the sum over containers and sidecars, or the largest init container where that is more, plus
overhead; a resource without request counts by its limit (so GPUs do); requests of the whole pod win. With HAMi a GPU
counts by the percent of its cores that the container may use (`nvidia.com/gpucores`).

Source: Kubernetes documentation, "Init containers: Resource sharing within containers", "Sidecar containers", "Pod
Lifecycle", "Assign Pod-level resources", "Schedule GPUs".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Basis, Measure
from apportion.sources._kubernetes import amount, bad_amount, moment
from apportion.sources._prom_gpus import Unknown, is_gpu, part_of_card
from apportion.sources._prom_places import PROVIDERS, bill_id
from apportion.sources.readings.contract import Fault, Resource, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from apportion.sources._kubernetes import Thing, Things
    from apportion.sources.readings.contract import Workload

_OVER = frozenset({"Succeeded", "Failed"})
_PLAIN = {"cpu": Measure.CPU_CORE_SECONDS, "memory": Measure.MEMORY_BYTE_SECONDS}
_GPU, _CORES = "nvidia.com/gpu", "nvidia.com/gpucores"
_PERCENT = Decimal(100)
_REGION = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
_MACHINE = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")


@dataclass(frozen=True, slots=True)
class Lived:
    """From when until when; `end` is None for what still ran when it was read at `until`."""

    start: datetime
    end: datetime | None
    until: datetime

    @property
    def seconds(self) -> Decimal:
        """How long, as far as it was seen."""
        return Decimal((self.until - self.start).days * 86400 + (self.until - self.start).seconds)


def lived(thing: Thing, start: datetime | None, end: datetime | None) -> Lived | Fault | None:
    """The life of an object; None where it has not begun, a `Fault` where it cannot be told when it was read."""
    if start is None:
        return None
    until = end or thing.read_at
    if until is None:
        return Fault(
            code="no_end",
            row=thing.row,
            column="status",
            example=f"{thing.kind} {thing.namespace}/{thing.name}",
            what="It still ran when the file was saved, and the file does not say when that was.",
            fix="Set 'read_at' in the options of the source to the time at which the file was saved.",
        )
    if until <= start:
        return Fault(
            code="ends_before_start",
            row=thing.row,
            column="status",
            example=f"{thing.kind} {thing.namespace}/{thing.name}: {start} to {until}",
            what="It ends, or was read, before it starts.",
            fix="Set the clock of the node right; this object counts nothing.",
        )
    return Lived(start, end, until)


def pod_samples(pod: Thing, workload: Workload, known: Things) -> Iterator[Sample | Fault]:
    """The time of a pod and its requests × that time, on its node; pods that never started give nothing."""
    end, doubt = _end(pod)
    life = lived(pod, moment(pod.status.get("startTime")) if pod.spec.get("nodeName") else None, end)
    if isinstance(life, Fault):
        yield life
        return
    if life is None:
        return
    if doubt is not None:
        yield doubt
    node = known.find("Node", str(pod.spec["nodeName"]))
    resource = _machine(str(pod.spec["nodeName"]), node, known.cluster)
    for measure, held in _held(pod, node):
        if isinstance(held, Fault):
            yield held
        elif held:
            yield sample_of(resource, workload, measure, held, life, pod)


def sample_of(
    resource: Resource, workload: Workload | None, measure: Measure, held: Decimal, life: Lived, thing: Thing
) -> Sample:
    """`held` of a measure for the life of an object: what was set aside, used or not."""
    return Sample(
        resource=resource,
        workload=workload,
        measure=measure,
        basis=Basis.REQUESTED,
        quantity=held * life.seconds,
        start=life.start,
        end=life.end,
        row=thing.row,
        key=thing.uid or thing.name,
    )


def requests(spec: Mapping[str, Any]) -> dict[str, Decimal | None]:
    """What a pod's specification asks for: resource -> amount, None where the amount is none of Kubernetes."""
    asked: dict[str, Decimal | None] = {}
    for name in _names(spec):
        try:
            asked[name] = _asked(spec, name)
        except ValueError:
            asked[name] = None
    return asked


def _held(pod: Thing, node: Thing | None) -> Iterator[tuple[Measure, Decimal | Fault]]:
    yield Measure.RUN_SECONDS, Decimal(1)
    asked = requests(pod.spec)
    labels = {_spelt(key): value for key, value in node.labels.items()} if node else {}
    for name, count in sorted(asked.items()):
        measure = _PLAIN.get(name, Measure.GPU_SECONDS)
        if measure is Measure.GPU_SECONDS and not is_gpu(_spelt(name)):
            continue
        if count is None:
            yield measure, bad_amount(pod, f"resources.{name}", name)
        elif measure is not Measure.GPU_SECONDS:
            yield measure, count
        else:
            yield measure, _cards(pod, name, count, labels)


def _cards(pod: Thing, name: str, count: Decimal, labels: Mapping[str, str]) -> Decimal | Fault:
    part = part_of_card(_spelt(name), labels)
    if isinstance(part, Unknown):
        return Fault(
            code="unknown_part_of_gpu",
            row=pod.row,
            column=f"resources.{name}",
            example=f"{pod.namespace}/{pod.name}",
            what=part.what,
            fix="Save the nodes too, with their labels.",
        )
    return count * part


def _names(spec: Mapping[str, Any]) -> set[str]:
    held = [*(spec.get("containers") or []), *(spec.get("initContainers") or []), spec]
    named = {name for one in held for part in ("requests", "limits") for name in _part(one, part)}
    return named | set(spec.get("overhead") or {})


def _asked(spec: Mapping[str, Any], name: str) -> Decimal:
    whole = _part(spec, "requests").get(name, _part(spec, "limits").get(name))
    overhead = _number((spec.get("overhead") or {}).get(name, 0))
    if whole is not None:
        return _number(whole) + overhead
    sidecars = largest = Decimal(0)
    for one in spec.get("initContainers") or []:
        if one.get("restartPolicy") == "Always":
            sidecars += _of(one, name)
            largest = max(largest, sidecars)
        else:
            largest = max(largest, sidecars + _of(one, name))
    together = sum((_of(one, name) for one in spec.get("containers") or []), sidecars)
    return max(together, largest) + overhead


def _of(container: Mapping[str, Any], name: str) -> Decimal:
    count = _stated(container, name)
    cores = _stated(container, _CORES) if name == _GPU else Decimal(0)
    return count * min(cores, _PERCENT) / _PERCENT if cores else count


def _stated(container: Mapping[str, Any], name: str) -> Decimal:
    return _number(_part(container, "requests").get(name, _part(container, "limits").get(name, 0)))


def _part(held: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    return (held.get("resources") or {}).get(part) or {}


def _number(text: object) -> Decimal:
    found = amount(text)
    if found is None:
        raise ValueError(text)
    return found


def _end(pod: Thing) -> tuple[datetime | None, Fault | None]:
    """When a pod that is over ended, and the doubt about it."""
    if pod.status.get("phase") not in _OVER:
        return None, None
    states = [*(pod.status.get("containerStatuses") or []), *(pod.status.get("initContainerStatuses") or [])]
    ended = [moment(((one.get("state") or {}).get("terminated") or {}).get("finishedAt")) for one in states]
    last = max((one for one in ended if one), default=None)
    if last:
        return last, None
    ready = [one for one in pod.status.get("conditions") or [] if one.get("type") == "Ready"]
    seen = next((moment(one.get("lastTransitionTime")) for one in ready if one.get("status") == "False"), None)
    return seen, _doubtful(pod, seen)


def _doubtful(pod: Thing, seen: datetime | None) -> Fault:
    return Fault(
        code="end_of_readiness" if seen else "end_not_told",
        row=pod.row,
        column="status.containerStatuses",
        example=f"{pod.namespace}/{pod.name}",
        what="The pod is over, but none of its containers says when it ended: "
        + ("it counts until it was last ready." if seen else "it counts until it was read."),
        fix="Let a 'prometheus' source meter this cluster: it sees pods end.",
        rejected=False,
    )


def _machine(name: str, node: Thing | None, cluster: str) -> Resource:
    if node is None:
        return Resource(node=name, cluster=cluster)
    reported = str(node.spec.get("providerID") or "")
    return Resource(
        id=bill_id(reported) or None,
        node=name,
        cluster=cluster,
        provider=PROVIDERS.get(reported.partition(":")[0]),
        region=_first(node.labels, _REGION),
        instance_type=_first(node.labels, _MACHINE),
    )


def _first(labels: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    return next((labels[key] for key in keys if labels.get(key)), None)


def _spelt(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", key)
