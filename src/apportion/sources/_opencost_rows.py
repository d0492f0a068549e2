"""The allocation rows of OpenCost and Kubecost: one container each, and what nobody held."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.sources._kubernetes_labels import EXPERIMENT_LABEL, RUN_LABEL, SYSTEM_NAMESPACES, Named, label, named
from apportion.sources._opencost_shapes import HOUR, Span, quantity, rows_of, span_of
from apportion.sources._prom_places import bill_id
from apportion.sources.readings.contract import Fault, Resource, Sample, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

IDLE = "__idle__"
UNMOUNTED = "__unmounted__"
UNALLOCATED = "__unallocated__"

_HOURS = {
    "cpuCoreHours": Measure.CPU_CORE_SECONDS,
    "ramByteHours": Measure.MEMORY_BYTE_SECONDS,
    "gpuHours": Measure.GPU_SECONDS,
}
_AVERAGES = (
    ("cpuCoreRequestAverage", Measure.CPU_CORE_SECONDS, Basis.REQUESTED),
    ("cpuCoreUsageAverage", Measure.CPU_CORE_SECONDS, Basis.USED),
    ("ramByteRequestAverage", Measure.MEMORY_BYTE_SECONDS, Basis.REQUESTED),
    ("ramByteUsageAverage", Measure.MEMORY_BYTE_SECONDS, Basis.USED),
)
_COUNTS = (
    ("networkReceiveBytes", Measure.NETWORK_RX_BYTES, Basis.USED),
    ("networkTransferBytes", Measure.NETWORK_TX_BYTES, Basis.USED),
    ("totalCost", Measure.REPORTED_COST, Basis.ESTIMATED),
)


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    number: int
    fields: Mapping[str, Any]
    properties: Mapping[str, Any]
    cluster: str
    span: Span

    def value(self, column: str) -> Decimal | Fault | None:
        return quantity(self.fields, column, self.number, self.name)

    @property
    def node(self) -> str | None:
        return self.properties.get("node") or None

    @property
    def resource(self) -> Resource:
        return Resource(
            id=bill_id(str(self.properties.get("providerID") or "")) or None,
            node=self.node,
            cluster=self.cluster,
            instance_type=label(self.properties.get("labels") or {}, "node.kubernetes.io/instance-type") or None,
        )

    def sample(self, measure: Measure, basis: Basis, amount: Decimal, workload: Workload | None) -> Sample:
        return Sample(
            resource=self.resource,
            workload=workload,
            measure=measure,
            basis=basis,
            quantity=amount,
            start=self.span.start,
            end=self.span.end,
            row=self.number,
            key=self.name if workload else "",
            devices=_devices(self.fields),
        )


def set_samples(rows: Mapping[str, Any], number: int, cluster: str, *, capacity: bool) -> Iterator[Sample | Fault]:
    """What the containers of one set asked for and used; with `capacity`, also what their nodes had, from idle rows.

    Containers are told apart by their rows' names. Capacity has no key (see `opencost`).
    """
    idle: list[_Row] = []
    held: list[_Row] = []
    for name, fields in rows_of(rows):
        if "type" in fields:
            continue  # an asset
        row = _row(name, number, fields, cluster)
        if isinstance(row, Fault):
            yield row
        elif _is(row, IDLE):
            idle.append(row)
        elif _is(row, UNMOUNTED):
            held.append(row)
        elif _is(row, UNALLOCATED) or not row.properties.get("namespace"):
            held.append(row)
            yield _ownerless(row)
        else:
            held.append(row)
            yield from _container(row)
    if capacity:
        yield from _from_idle(idle, held)
        yield from _volumes(held)


def _row(name: str, number: int, fields: Mapping[str, Any], cluster: str) -> _Row | Fault:
    span = span_of(fields, number, name)
    if isinstance(span, Fault):
        return span
    properties = fields.get("properties") or {}
    return _Row(name, number, fields, properties, properties.get("cluster") or cluster, span)


def _is(row: _Row, mark: str) -> bool:
    return row.name.rpartition("/")[2] == mark or row.properties.get("namespace") == mark


def _container(row: _Row) -> Iterator[Sample | Fault]:
    workload = _workload(row)
    if row.node is None:
        yield _nowhere(row)
    for column, measure, basis in _AVERAGES:
        average = row.value(column)
        if isinstance(average, Fault):
            yield average
        elif average is not None:
            yield row.sample(measure, basis, average * row.span.seconds, workload)
    for column, measure, basis in _COUNTS:
        count = row.value(column)
        if isinstance(count, Fault):
            yield count
        elif count:
            yield row.sample(measure, basis, count, workload)
    yield from _gpus(row, workload)
    yield from _storage(row, workload)


def _gpus(row: _Row, workload: Workload) -> Iterator[Sample | Fault]:
    hours = row.value("gpuHours")
    if isinstance(hours, Fault):
        yield hours
        return
    if not hours:
        return
    inner = row.fields.get("gpuAllocation") or {}
    yield row.sample(Measure.GPU_SECONDS, Basis.REQUESTED, hours * HOUR, workload)
    if inner.get("isGPUShared"):
        yield _shared(row)
    busy = quantity(inner if "gpuUsageAverage" in inner else row.fields, "gpuUsageAverage", row.number, row.name)
    if isinstance(busy, Fault):
        yield busy
    elif busy:
        yield row.sample(Measure.GPU_BUSY_SECONDS, Basis.USED, busy * hours * HOUR, workload)


def _storage(row: _Row, workload: Workload) -> Iterator[Sample | Fault]:
    for volume, hours in _volume_hours(row):
        if isinstance(hours, Fault):
            yield hours
        elif hours:
            yield _volume_sample(row, volume, hours, workload)


def _volume_hours(row: _Row) -> Iterator[tuple[str | None, Decimal | Fault | None]]:
    """Volume id (None where rows do not name their volumes) and byte-hours."""
    volumes = row.fields.get("pvs")
    if not volumes:
        yield None, row.value("pvByteHours")
        return
    for key, held in volumes.items():
        name = key.rpartition("name=")[2]
        yield bill_id(str(held.get("providerID") or "")) or name, quantity(held, "byteHours", row.number, row.name)


def _volume_sample(row: _Row, volume: str | None, hours: Decimal, workload: Workload | None) -> Sample:
    return Sample(
        resource=Resource(id=volume, cluster=row.cluster),
        workload=workload,
        measure=Measure.STORAGE_BYTE_SECONDS,
        basis=Basis.REQUESTED if workload else Basis.CAPACITY,
        quantity=hours * HOUR,
        start=row.span.start,
        end=row.span.end,
        row=row.number,
        key=row.name if workload else "",
    )


def _workload(row: _Row) -> Workload:
    properties = row.properties
    namespace, pod = str(properties["namespace"]), properties.get("pod")
    labels = {**(properties.get("namespaceLabels") or {}), **(properties.get("annotations") or {})}
    labels |= properties.get("labels") or {}
    owner = _owner(properties, labels)
    run = label(labels, RUN_LABEL)
    place = f"{row.cluster}/{namespace}"
    return Workload(
        id=f"k8s:{place}/{owner.object_kind}/{owner.name}",
        kind=WorkloadKind.PIPELINE_STEP if run and owner.kind is WorkloadKind.OTHER else owner.kind,
        name=owner.name,
        namespace=place,
        parent=f"kfp:{run}" if run else None,
        experiment=label(labels, EXPERIMENT_LABEL) or None,
        labels=labels,
        links=tuple(
            link for link in (f"k8s:{place}/Pod/{pod}" if pod else "", f"host:{row.node}" if row.node else "") if link
        ),
    )


def _owner(properties: Mapping[str, Any], labels: Mapping[str, str]) -> Named:
    known = named(labels)
    controller = properties.get("controller")
    if known and known.object_kind and (known.kind is not WorkloadKind.OTHER or not controller):
        return known
    namespace = properties["namespace"]
    kind = WorkloadKind.PLATFORM if namespace in SYSTEM_NAMESPACES else WorkloadKind.OTHER
    if known:
        kind = known.kind
    if controller:
        return Named(properties.get("controllerKind") or "controller", controller, kind)
    pod = properties.get("pod")
    return Named("pod", pod, kind) if pod else Named("namespace", namespace, kind)


def _from_idle(idle: list[_Row], held: list[_Row]) -> Iterator[Sample | Fault]:
    places: dict[tuple[str, str | None], list[_Row]] = defaultdict(list)
    for one in held:
        for place in {(one.cluster, one.node), (one.cluster, None)}:
            places[place].append(one)
    for row in idle:
        mine = places[row.cluster, row.node]
        for column, measure in _HOURS.items():
            spare = row.fields.get(column)
            if not isinstance(spare, (int, Decimal)):
                continue
            taken = [found for one in mine if isinstance(found := one.value(column), Decimal)]
            whole = sum(taken, Decimal(spare))
            if whole < 0:
                yield _below_nothing(row, column, whole)
            elif whole:
                yield row.sample(measure, Basis.CAPACITY, whole * HOUR, None)


def _volumes(held: list[_Row]) -> Iterator[Sample]:
    """Volumes that an unmounted row names: all of their bytes."""
    loose = {volume for row in held if _is(row, UNMOUNTED) for volume, _ in _volume_hours(row) if volume}
    total: dict[str, Decimal] = defaultdict(Decimal)
    last: dict[str, _Row] = {}
    for row in held:
        for volume, hours in _volume_hours(row):
            if volume in loose and isinstance(hours, Decimal):
                total[volume] += hours
                last[volume] = row if _is(row, UNMOUNTED) else last.get(volume, row)
    for volume, hours in total.items():
        if hours:
            yield _volume_sample(last[volume], volume, hours, None)


def _devices(fields: Mapping[str, Any]) -> tuple[str, ...]:
    uuid = (fields.get("gpuAllocation") or {}).get("gpuUUID")
    return (str(uuid),) if uuid else ()


def _ownerless(row: _Row) -> Fault:
    return Fault(
        code="unallocated_row",
        row=row.number,
        column="properties.namespace",
        example=row.name,
        what="A row has no namespace, so what it used belongs to no workload.",
        fix="Ask for /allocation without 'aggregate'.",
    )


def _nowhere(row: _Row) -> Fault:
    return Fault(
        code="no_node",
        row=row.number,
        column="properties.node",
        example=row.name,
        what="A row names no node: it adds up several, so its usage cannot be put beside the charge of one.",
        fix="Ask for /allocation without 'aggregate'.",
        rejected=False,
    )


def _shared(row: _Row) -> Fault:
    return Fault(
        code="shared_gpu",
        row=row.number,
        column="gpuAllocation.isGPUShared",
        example=row.name,
        what="The GPU is shared, and OpenCost counts each part of it as a whole GPU.",
        fix="Let a 'prometheus' source meter this cluster: it knows how many parts a GPU has.",
        rejected=False,
    )


def _below_nothing(row: _Row, column: str, whole: Decimal) -> Fault:
    return Fault(
        code="negative_capacity",
        row=row.number,
        column=column,
        example=f"{row.name}: {whole}",
        what="What was held and what was idle add up to less than nothing.",
        fix="Ask for /assets too: it says what the nodes had.",
    )
