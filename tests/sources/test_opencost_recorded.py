from __future__ import annotations

from pathlib import Path

from tests.sources.metered import read

from apportion.core.measures import Rank
from apportion.sources.opencost import SOURCE
from apportion.sources.readings.contract import Fault

RECORDED = Path(__file__).parents[1] / "data" / "opencost"


def test_it_ranks_as_a_cluster_meter_and_may_miss_time():
    assert (SOURCE.name, SOURCE.rank, SOURCE.complete) == ("opencost", Rank.CLUSTER, False)


def test_no_fault_says_less_than_a_sentence():
    faults = [
        fault
        for file in sorted(RECORDED.glob("*.json"))
        if "cloud-cost" not in file.name
        for fault in read(SOURCE, file)[1]
    ]
    assert faults
    assert all(isinstance(one, Fault) and one.what.endswith(".") and one.fix.endswith(".") for one in faults)
