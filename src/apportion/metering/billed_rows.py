"""Which managed jobs and endpoints the rows of a bill name by themselves, and what machines they ran on."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.core.arrow import from_rows
from apportion.metering.billed import SOCKET
from apportion.metering.identity import BilledRow
from apportion.metering.machines import size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.core.config import MeteringConfig
    from apportion.engine.duck import DuckDb
    from apportion.metering.identity import Billed, BilledIdentity

BILLED_VERSION = "billed-1"
"""Changes whenever the same rows would name other workloads: part of the id of every stored result."""

BILLED = {
    "x_AttributeNo": pa.int32(),
    "x_WorkloadId": pa.string(),
    "x_WorkloadKind": pa.string(),
    "x_WorkloadName": pa.string(),
    "x_ParentId": pa.string(),
    "x_Experiment": pa.string(),
    "x_User": pa.string(),
    "x_InstanceType": pa.string(),
    "x_Gpus": pa.int64(),  # of the machine that an hour on the bill is an hour of; null where the row names none
    "x_CpuCores": pa.int64(),
    "x_MemoryBytes": pa.int64(),
    "x_UnitSeconds": pa.int64(),  # seconds of that machine in one unit of ConsumedQuantity; null where it is no time
}
"""The table `billed`: one row per attribute row that is for a managed job or endpoint."""

_SECONDS = {"hour": 3600, "hours": 3600, "hr": 3600, "hrs": 3600, "second": 1, "seconds": 1, "s": 1, "minutes": 60}

_ROWS = """
SELECT x_AttributeNo, coalesce(ServiceProviderName, ProviderName, ''), coalesce(ServiceName, ''),
       coalesce(ResourceId, ''), coalesce(ResourceName, ''), coalesce(ResourceType, ''), coalesce(SkuId, ''),
       coalesce(SkuMeter, ''), coalesce(ChargeDescription, ''), coalesce(ConsumedUnit, ''), Tags
FROM attributes
ORDER BY x_AttributeNo
"""

NAMED = """
SELECT b.* REPLACE (coalesce(i.x_WorkloadKind, b.x_WorkloadKind) AS x_WorkloadKind,
                    coalesce(i.x_WorkloadId, b.x_WorkloadId) AS x_WorkloadId)
FROM base AS b
LEFT JOIN billed AS i ON i.x_AttributeNo = b.x_AttributeNo
"""
"""The shares of the attributes, with the workload that the bill itself names."""


def billed(db: DuckDb, config: MeteringConfig) -> pa.Table:
    """The table `billed` of the session's `attributes`, by attribute number."""
    plugs = _plugs()
    rows = []
    for number, *texts, unit, tags in db.rows(_ROWS):
        found = _recognised(plugs, texts, dict(tags or {}))
        if found is not None:
            rows.append((*_row(number, found, config), _SECONDS.get(unit.strip().casefold())))
    return from_rows(BILLED, rows)


@cache
def _plugs() -> tuple[BilledIdentity, ...]:
    return tuple(SOCKET.load(name) for name in SOCKET.names())


def _recognised(plugs: Sequence[BilledIdentity], texts: Sequence[str], tags: dict[str, str]) -> Billed | None:
    provider, service, resource_id, resource_name, resource_type, sku_id, sku_meter, description = texts
    row = BilledRow(
        provider=provider,
        service=service,
        resource_id=resource_id,
        resource_name=resource_name,
        resource_type=resource_type,
        sku_id=sku_id,
        sku_meter=sku_meter,
        description=description,
        tags=tags,
    )
    return next((found for plug in plugs if (found := plug.recognise(row)) is not None), None)


def _row(number: int, found: Billed, config: MeteringConfig) -> tuple[object, ...]:
    return (
        number,
        found.id,
        found.kind.value,
        found.name,
        found.parent,
        found.experiment,
        found.user,
        found.instance_type,
        *_size(found.instance_type, config),
    )


def _size(instance_type: str | None, config: MeteringConfig) -> tuple[int | None, int | None, int | None]:
    size = size_of(instance_type, config)
    return (None, None, None) if size is None else (size.gpus, size.cpu_cores, size.memory_bytes)
