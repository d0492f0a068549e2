"""What meters count: measures in base units, the basis of a count, and the kinds of workloads."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Measure(StrEnum):
    """One thing a meter counts. Always in base units (seconds, byte-seconds, counts); hours and GiB are for display."""

    GPU_SECONDS = "gpu_seconds"
    """Whole GPUs × seconds held; a slice of a card counts as its fraction."""
    GPU_BUSY_SECONDS = "gpu_busy_seconds"
    """Utilisation × seconds: Σ of percent / 100 × time over the GPUs held."""
    GPU_MEMORY_BYTE_SECONDS = "gpu_memory_byte_seconds"
    CPU_CORE_SECONDS = "cpu_core_seconds"
    MEMORY_BYTE_SECONDS = "memory_byte_seconds"
    STORAGE_BYTE_SECONDS = "storage_byte_seconds"
    NETWORK_RX_BYTES = "network_rx_bytes"
    NETWORK_TX_BYTES = "network_tx_bytes"
    RUN_SECONDS = "run_seconds"
    """Wall-clock seconds a job, run or replica existed: identity and duration where nothing else was counted."""
    COMPUTE_SECONDS = "compute_seconds"
    """Seconds an inference server spent computing for a model: divides a server that serves several."""
    REQUESTS = "requests"
    TOKENS_INPUT = "tokens_input"
    """Input tokens that no cache served (without cached and cache-write tokens)."""
    TOKENS_CACHED = "tokens_cached"
    TOKENS_CACHE_WRITE = "tokens_cache_write"
    TOKENS_OUTPUT = "tokens_output"
    ENERGY_JOULES = "energy_joules"
    BILLING_UNITS = "billing_units"
    """The provider's own unit (DBU, compute unit)."""
    REPORTED_COST = "reported_cost"
    """What a tool says it cost: a list-price estimate, a weight at most, never money of record."""


UNITS = {
    Measure.GPU_SECONDS: "s",
    Measure.GPU_BUSY_SECONDS: "s",
    Measure.GPU_MEMORY_BYTE_SECONDS: "byte·s",
    Measure.CPU_CORE_SECONDS: "s",
    Measure.MEMORY_BYTE_SECONDS: "byte·s",
    Measure.STORAGE_BYTE_SECONDS: "byte·s",
    Measure.NETWORK_RX_BYTES: "byte",
    Measure.NETWORK_TX_BYTES: "byte",
    Measure.RUN_SECONDS: "s",
    Measure.COMPUTE_SECONDS: "s",
    Measure.REQUESTS: "count",
    Measure.TOKENS_INPUT: "count",
    Measure.TOKENS_CACHED: "count",
    Measure.TOKENS_CACHE_WRITE: "count",
    Measure.TOKENS_OUTPUT: "count",
    Measure.ENERGY_JOULES: "J",
    Measure.BILLING_UNITS: "count",
    Measure.REPORTED_COST: "currency",
}
"""Measure -> the unit of its quantity."""


class Basis(StrEnum):
    """How a quantity came about."""

    CAPACITY = "capacity"
    """What a resource had to give: a sample without workload."""
    REQUESTED = "requested"
    """What was set aside for the workload, used or not (requests of a pod, TRES of a job)."""
    USED = "used"
    """What the workload was seen to use."""
    ESTIMATED = "estimated"
    """Derived from a tracker (visible GPUs × duration): taken only where no meter counted."""


class WorkloadKind(StrEnum):
    """What a workload is, and the two parts of a resource that belong to none."""

    TRAINING_JOB = "training_job"
    INFERENCE_ENDPOINT = "inference_endpoint"
    BATCH_INFERENCE = "batch_inference"
    NOTEBOOK = "notebook"
    PIPELINE_STEP = "pipeline_step"
    DATA = "data"
    """A data set, volume, registry or data job."""
    API_KEY = "api_key"
    """A key, project or workspace of a model API."""
    PLATFORM = "platform"
    """What runs for all: monitoring, ingress, schedulers."""
    OTHER = "other"
    IDLE = "idle"
    """Capacity that was paid for and that nobody held."""
    UNMETERED = "unmetered"
    """Time in which no meter looked: its owner is what tags and rules say."""


class Rank(IntEnum):
    """Which meter's quantities count where several measured one resource in one hour: the lowest, the most exact."""

    BILLED = 1
    """Quantities the provider bills by."""
    SCHEDULER = 2
    """Exact starts and ends from what placed the work (Slurm)."""
    CLUSTER = 3
    """Scraped or aggregated cluster metrics (Prometheus, OpenCost)."""
    NESTED = 4
    """What runs inside of what a cluster meter sees (Ray on Kubernetes, the models of one server)."""
    TRACKER = 5
    """Experiment trackers: identity first, quantities as a fallback."""
