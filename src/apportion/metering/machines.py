"""What a machine type has: GPUs, virtual CPUs and memory of the usual ML and general machines of three clouds.

The table is `machines.csv` beside this file, `VERSION` says which one. Source: the public pages of the providers (AWS
"Amazon EC2 instance types", Google Cloud "GPU machine types" and "Machine families", Azure "Sizes for virtual
machines"), written down from memory in November 2026 and not checked row by row since: correct a row there, and raise
`VERSION`.

GPUs are all accelerators that a provider counts as one device (Trainium and Inferentia chips too). Sizes with a part of
a GPU (NV6ads_A10_v5 to NV18ads_A10_v5) are left out. Azure has no F sizes in its fifth version: F is `Fsv2`.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from apportion.core.config import MachineSize
from apportion.core.config_metering import GIB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apportion.core.config import MeteringConfig

VERSION = "2026-11"
"""Of the table: part of what made a result, raised with every change."""

_CUSTOM = re.compile(r"(?:(?:n1|n2|n2d|e2)-)?custom-(\d+)-(\d+)(?:-ext)?")
_MEBIBYTES = 1024


@dataclass(frozen=True, slots=True)
class Machine:
    """`gpus` whole cards of `gpu_type` (0 and empty without), `cpu_cores` virtual CPUs, `memory_gib` of main memory."""

    gpus: int
    gpu_type: str
    cpu_cores: int
    memory_gib: Decimal


def machine_of(name: str) -> Machine | None:
    """The machine of a type name as bills and clusters write it, None for one that the table does not hold.

    SageMaker's `ml.`, Azure's `Standard_`, spaces for underscores and capitals make no difference; custom types of
    Google Cloud are read from their names (memory in MiB).

    >>> machine_of("ml.p4d.24xlarge").gpus, machine_of("NC24ads A100 v4").gpu_type
    (8, 'A100-80GB')
    >>> machine_of("n2-custom-8-16384")
    Machine(gpus=0, gpu_type='', cpu_cores=8, memory_gib=Decimal('16'))
    """
    key = _key(name)
    if custom := _CUSTOM.fullmatch(key):
        return Machine(0, "", int(custom[1]), Decimal(custom[2]) / _MEBIBYTES)
    return machines().get(key)


def size_of(name: str | None, config: MeteringConfig) -> MachineSize | None:
    """What a machine of that type has, as `[metering.machines]` says, else as the shipped table does; else None."""
    if not name:
        return None
    known = config.machines.get(name)
    machine = machine_of(name)
    if known is not None or machine is None:
        return known
    return MachineSize(machine.gpus, machine.cpu_cores, int(machine.memory_gib * GIB))


@cache
def machines() -> Mapping[str, Machine]:
    """The whole table: type name in small letters, without `ml.` and `standard_` -> machine."""
    text = files("apportion.metering").joinpath("machines.csv").read_text(encoding="utf-8")
    return {_key(row["name"]): _machine(row) for row in csv.DictReader(text.splitlines())}


def _machine(row: Mapping[str, str]) -> Machine:
    return Machine(int(row["gpus"]), row["gpu_type"], int(row["cpu_cores"]), Decimal(row["memory_gib"]))


def _key(name: str) -> str:
    return "_".join(name.lower().split()).removeprefix("ml.").removeprefix("standard_")
