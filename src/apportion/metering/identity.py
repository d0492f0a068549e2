"""What a billing row says by itself about the job or endpoint it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apportion.core.measures import WorkloadKind


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledRow:
    """The text half of a charge, FOCUS columns in snake case; empty where the bill says nothing."""

    provider: str
    service: str
    resource_id: str
    resource_name: str
    resource_type: str
    sku_id: str
    sku_meter: str
    description: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """The workload a billing row is for. `instance_type` names the machine in `machines`, where the row says it."""

    id: str
    kind: WorkloadKind
    name: str
    parent: str | None = None
    experiment: str | None = None
    user: str | None = None
    instance_type: str | None = None


@dataclass(frozen=True, slots=True)
class BilledIdentity:
    """A managed service: `recognise` gives the workload of a row of this service, None for any other row."""

    name: str
    title: str
    recognise: Callable[[BilledRow], Billed | None]
