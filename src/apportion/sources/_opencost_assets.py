"""The assets of OpenCost and Kubecost: what nodes and volumes had to give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apportion.core.measures import Basis, Measure
from apportion.sources._opencost_shapes import HOUR, Span, quantity, rows_of, span_of
from apportion.sources._prom_places import bill_id
from apportion.sources.readings.contract import Fault, Resource, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HOURS = {
    "Node": {
        "cpuCoreHours": Measure.CPU_CORE_SECONDS,
        "ramByteHours": Measure.MEMORY_BYTE_SECONDS,
        "GPUHours": Measure.GPU_SECONDS,
        "gpuHours": Measure.GPU_SECONDS,
    },
    "Disk": {"byteHours": Measure.STORAGE_BYTE_SECONDS},
}
"""Type of asset -> column in hours -> measure. Load balancers, networks and management fees give nothing to share."""


def holds_nodes(rows: Mapping[str, Any]) -> bool:
    """Whether a set of rows names nodes with their capacity."""
    return any(row.get("type") == "Node" for _, row in rows_of(rows))


def asset_samples(rows: Mapping[str, Any], number: int, cluster: str) -> Iterator[Sample | Fault]:
    """The capacity of each node and volume of a set, without a key (see `opencost`); sums of assets are faults."""
    for name, row in rows_of(rows):
        columns = _HOURS.get(str(row.get("type")))
        if columns is None:
            continue
        properties = row.get("properties") or {}
        if not properties.get("name"):
            yield _summed(name, number)
            continue
        span = span_of(row, number, name)
        if isinstance(span, Fault):
            yield span
            continue
        yield from _capacity(row, columns, span, _asset(row, properties, cluster), number, name)


def _capacity(
    row: Mapping[str, Any],
    columns: Mapping[str, Measure],
    span: Span,
    resource: Resource,
    number: int,
    name: str,
) -> Iterator[Sample | Fault]:
    for column, measure in columns.items():
        hours = quantity(row, column, number, name)
        if isinstance(hours, Fault):
            yield hours
        elif hours:
            yield Sample(
                resource=resource,
                workload=None,
                measure=measure,
                basis=Basis.CAPACITY,
                quantity=hours * HOUR,
                start=span.start,
                end=span.end,
                row=number,
            )


def _asset(row: Mapping[str, Any], properties: Mapping[str, Any], cluster: str) -> Resource:
    name = str(properties["name"])
    is_node = row.get("type") == "Node"
    return Resource(
        id=bill_id(str(properties.get("providerID") or "")) or name,
        node=name if is_node else None,
        cluster=properties.get("cluster") or cluster,
        provider=properties.get("provider"),
        account=properties.get("account") or properties.get("project"),
        instance_type=row.get("nodeType") or None,
    )


def _summed(name: str, number: int) -> Fault:
    return Fault(
        code="summed_assets",
        row=number,
        column="properties.name",
        example=name,
        what="A row adds up several assets, so their capacity belongs to no node or volume.",
        fix="Ask for /assets without 'aggregate'.",
    )
