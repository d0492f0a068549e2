"""The product's own sources read acme's meters and come to the truth."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from tests.demo.metered import planted, worked

from apportion.core.config import SourceConfig
from apportion.core.measures import Basis, Measure
from apportion.sources import llm, mlflow, opencost, usage_file
from apportion.sources.readings.contract import Fault, RawFile, Sample

if TYPE_CHECKING:
    from pathlib import Path


def read_by_the_product(acme: Path, meter: str, source) -> list[Sample]:
    """The samples of the last month; a fault would be a defect of acme's files."""
    (file,) = (acme / "meters" / meter).glob("2026-10.*")
    config = SourceConfig(meter, source.name, ())
    found = list(source.read(RawFile(file, file.name, None), config))
    assert [each for each in found if isinstance(each, Fault)] == []
    return found


READINGS = {
    "cluster": (
        *("opencost", opencost.SOURCE, Basis.REQUESTED, ("cluster",)),
        (Measure.GPU_SECONDS, Measure.CPU_CORE_SECONDS, Measure.MEMORY_BYTE_SECONDS, Measure.STORAGE_BYTE_SECONDS),
    ),
    "machines": (
        *("usage", usage_file.SOURCE, Basis.REQUESTED, ("usage", "runs")),
        (Measure.GPU_SECONDS, Measure.CPU_CORE_SECONDS, Measure.STORAGE_BYTE_SECONDS),
    ),
    "counts": (
        *("usage", usage_file.SOURCE, Basis.USED, ("usage",)),
        (Measure.REQUESTS, Measure.TOKENS_INPUT, Measure.TOKENS_OUTPUT),
    ),
    "runs": (*("mlflow", mlflow.SOURCE, Basis.ESTIMATED, ("runs",)), (Measure.GPU_SECONDS, Measure.RUN_SECONDS)),
}
"""Meter, the product's source, the basis, where the truth says it, and the measures that must come to the truth."""


@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS)
def test_the_product_reads_what_is_true(acme, reading):
    meter, source, basis, known, measures = reading
    samples = [each for each in read_by_the_product(acme, meter, source) if each.workload and each.basis is basis]
    sweeps = {each.workload.parent for each in samples if meter == "mlflow"}
    for measure in measures:
        read = sum(each.quantity for each in samples if each.measure is measure and each.workload.id not in sweeps)
        true = [planted(acme, said, measure, "month").get(("2026-10",), Decimal(0)) for said in known]
        assert read == sum(true) > 0


def test_the_product_reads_the_tokens_of_each_caller(acme):
    read: Counter[tuple[str | None, str | None, str]] = Counter()
    for each in read_by_the_product(acme, "llm", llm.SOURCE):
        output = each.workload.labels["gen_ai.request.model"] in {"gpt-4.1", "claude-sonnet"}
        if each.measure is (Measure.TOKENS_OUTPUT if output else Measure.TOKENS_INPUT):
            read[each.resource.id, each.workload.team, f"{each.start:%Y-%m-%d}"] += each.quantity
    true: Counter[tuple[str, str, str]] = Counter()
    for row in worked(acme, "gateway"):
        if row["month"] == "2026-10":
            true[row["resource"], row["team"], row["day"]] += row["parts"]
    assert read == true


def test_the_product_knows_the_cluster_workloads_by_the_ids_of_the_truth(acme):
    read = {each.workload.id for each in read_by_the_product(acme, "opencost", opencost.SOURCE) if each.workload}
    true = {row["workload"] for row in worked(acme, "cluster") if row["month"] == "2026-10" and row["pool"] is None}
    assert read == true
