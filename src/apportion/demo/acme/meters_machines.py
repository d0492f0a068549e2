"""What the machines of acme's bills have to give: GPUs, cores and memory, by the name in a provider's plan."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine: whole GPUs, cores (vCPU), and the bytes of memory that pods or jobs can have."""

    instance: str
    gpus: int
    cores: int
    memory: int


def _machine(instance: str, gpus: int, cores: int, gibibytes: int) -> Machine:
    return Machine(instance, gpus, cores, gibibytes * GIB)


NODE_MACHINES = {
    "g5.12": Machine("g5.12xlarge", 4, 48, 192_000 * 1024**2),
    "p4d": Machine("p4d.24xlarge", 8, 96, 1_152_000 * 1024**2),
    "p5": Machine("p5.48xlarge", 8, 192, 2_048_000 * 1024**2),
}
"""The nodes of the cluster. Their memory is what a kubelet leaves to pods; a thousandth of it is whole bytes."""

MACHINES = {
    "host c6i": _machine("ml.c6i.xlarge", 0, 4, 8),
    "host g5": _machine("ml.g5.xlarge", 1, 4, 16),
    "host g5.2": _machine("ml.g5.2xlarge", 1, 8, 32),
    "host g5.12": _machine("ml.g5.12xlarge", 4, 48, 192),
    "train m5": _machine("ml.m5.4xlarge", 0, 16, 64),
    "train g5.2": _machine("ml.g5.2xlarge", 1, 8, 32),
    "train g5.12": _machine("ml.g5.12xlarge", 4, 48, 192),
    "train p4d": _machine("ml.p4d.24xlarge", 8, 96, 1152),
    "notebook": _machine("ml.t3.xlarge", 0, 4, 16),
    "notebook gpu": _machine("ml.g4dn.xlarge", 1, 4, 16),
    "p4d": _machine("p4d.24xlarge", 8, 96, 1152),
    "g5.12 spot": _machine("g5.12xlarge", 4, 48, 192),
    "p4d spot": _machine("p4d.24xlarge", 8, 96, 1152),
    "endpoint": _machine("Standard_NC4as_T4_v3", 1, 4, 28),
    "nc24": _machine("Standard_NC24ads_A100_v4", 1, 24, 220),
    "d8": _machine("Standard_D8s_v5", 0, 8, 32),
    "predict": _machine("g2-standard-12", 1, 12, 48),
    "a2": _machine("a2-highgpu-8g", 8, 96, 680),
    "n2": _machine("n2 core", 0, 1, 4),
}
"""Name in the plan of AWS, Azure or Google Cloud -> the machine that one hour of it is an hour of."""
