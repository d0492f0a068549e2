"""How much of a card one unit of a Kubernetes resource is: MIG slices, shared cards, HAMi's percent, whole cards.

MIG: a slice counts as its compute slices of the card's (7; 4 on A30 and RTX PRO 6000), so the slices of a card add up
to it as far as they use it. Shared cards (time slicing, MPS): 1 / replicas, from the node label of GPU feature
discovery. HAMi: `gpucores` is percent of a card per unit; without it the whole card, which then nobody else can hold.

Source: NVIDIA MIG user guide, "Supported MIG profiles"; k8s-device-plugin, "Shared access to GPUs"; labels of GPU
feature discovery; HAMi, "Resource allocation". Names are as kube-state-metrics writes them, with `_`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WHOLE_CARDS = frozenset({"nvidia_com_gpu", "amd_com_gpu", "habana_ai_gaudi", "gpu_intel_com_i915", "gpu_intel_com_xe"})
"""Resources of which one unit is one card, if it is not shared."""
HAMI_CORES = "nvidia_com_gpucores"
HAMI = frozenset({HAMI_CORES, "nvidia_com_gpumem", "nvidia_com_gpumem_percentage", "nvidia_com_priority"})
"""Resources that only say how much of `nvidia_com_gpu` a container may use."""

_SHARED = "_shared"
_MIG = re.compile(r"nvidia_com_mig_(?:(?P<compute>\d+)c_)?(?P<slices>\d+)g_(?P<memory>\d+)gb(?:_me)?(?:_all|_gfx)?")
_MIG_PRODUCT = re.compile(r"MIG-(?:(?P<compute>\d+)c\.)?(?P<slices>\d+)g\.(?P<memory>\d+)gb")
_MIG_PROFILE = re.compile(r"(?:(?P<compute>\d+)c\.)?(?P<slices>\d+)g\.(?P<memory>\d+)gb")
_OF_FOUR = frozenset({("1", "6"), ("2", "12"), ("4", "24"), ("2", "48"), ("4", "96")})
"""(slices, GB) of profiles that only cards with four slices have."""
_FOUR_SLICES = re.compile(r"\bA30\b|RTX[- ]PRO[- ]6000")


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why the part of a card cannot be told: what is wrong and what to do."""

    what: str
    fix: str


def is_gpu(resource: str) -> bool:
    """Whether units of this resource are cards or parts of them.

    >>> is_gpu("nvidia_com_mig_1g_5gb"), is_gpu("nvidia_com_gpu_shared"), is_gpu("nvidia_com_gpumem")
    (True, True, False)
    """
    name = resource.removesuffix(_SHARED)
    return name in WHOLE_CARDS or _MIG.fullmatch(name) is not None


def part_of_card(resource: str, node_labels: Mapping[str, str]) -> Decimal | Unknown:
    """The part of a card that one unit is, at most 1. `node_labels` as kube-state-metrics shows them, without `label_`.

    >>> part_of_card("nvidia_com_gpu_shared", {"nvidia_com_gpu_replicas": "4"})
    Decimal('0.25')
    """
    name = resource.removesuffix(_SHARED)
    product = node_labels.get("nvidia_com_gpu_product", "")
    slices = _MIG.fullmatch(name) or (_MIG_PRODUCT.search(product) if name == "nvidia_com_gpu" else None)
    whole = Decimal(1) if slices is None else _slices(slices, product)
    shared = resource.endswith(_SHARED) or (name == "nvidia_com_gpu" and product.endswith("-SHARED"))
    replicas = node_labels.get(f"{name}_replicas", "")
    if replicas.isdecimal() and int(replicas) > 0:
        return whole / int(replicas)
    return _without_replicas(name) if shared else whole


def part_of_profile(profile: str, product: str) -> Decimal:
    """The part of the card that a MIG profile (`1g.5gb`) is; 1 where it is none.

    >>> part_of_profile("2g.12gb", "NVIDIA A30"), part_of_profile("", "")
    (Decimal('0.5'), Decimal('1'))
    """
    slices = _MIG_PROFILE.fullmatch(profile.removesuffix(".me").removesuffix("+me"))
    return Decimal(1) if slices is None else _slices(slices, product)


def _slices(profile: re.Match[str], product: str) -> Decimal:
    of_four = (profile["slices"], profile["memory"]) in _OF_FOUR or _FOUR_SLICES.search(product)
    held = Decimal(profile["compute"] or profile["slices"])
    return min(held / (4 if of_four else 7), Decimal(1))


def _without_replicas(name: str) -> Unknown:
    return Unknown(
        what=f"Cards are shared, but the node label {name}_replicas does not say among how many.",
        fix="Let kube-state-metrics show the labels of nodes: --metric-labels-allowlist=nodes=[*].",
    )
