"""What a GPU-hour weighs against a core-hour and a GiB-hour: named sets with their source.

The set matters: tools that divide the same machine by other weights give a tenant more than twice as much or less. So
the set is part of the rule's version, and `apportion sensitivity` shows what each would give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.config import ComponentWeights
from apportion.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apportion.core.config import MeteringConfig

SHIPPED: Mapping[str, ComponentWeights] = {
    "opencost": ComponentWeights(
        gpu=950_000,
        cpu=31_611,
        memory=4_237,
        source="OpenCost's default prices: 0.95 a GPU-hour, 0.031611 a vCPU-hour, 0.004237 a GiB-hour.",
    ),
    "aws-split-cost": ComponentWeights(
        gpu=270_000_000,
        cpu=9_000_000,
        memory=1_000_000,
        source="AWS split cost allocation data: vCPU to GiB as 9 to 1. A GPU as 30 vCPUs, near OpenCost's ratio.",
    ),
    "gpu-only": ComponentWeights(
        gpu=1_000_000,
        cpu=0,
        memory=0,
        source="A machine with GPUs is divided by GPU time alone; one without, by cores and memory alike.",
    ),
    "cpu-only": ComponentWeights(gpu=0, cpu=1_000_000, memory=0, source="A machine is divided by core time alone."),
}
"""Name -> weights; `[metering.weight_sets]` adds others."""


def weights_named(name: str, config: MeteringConfig) -> ComponentWeights:
    """The weight set of that name, the project's own before a shipped one; raises `UnknownName`."""
    known = {**SHIPPED, **config.weight_sets}
    if name not in known:
        raise UnknownName("weight set", name, known)
    return known[name]
