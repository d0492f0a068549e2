"""The copied oracles: every case passes or is not ours to run, for exactly the reasons that are written here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.oracle import opencost
from tests.oracle.plan import NotApplicable
from tests.oracle.replay import PASSED, SKIPPED, replayed

COPIED = [Path(__file__).parent / name for name in ("finops.json", "opencost.json")]


@pytest.fixture(scope="module")
def copied():
    return replayed(COPIED)


def test_every_copied_case_passes_or_says_why_it_is_not_ours(copied):
    open_ = {entry.case["id"]: entry.why for entry in copied if entry.outcome not in (PASSED, SKIPPED)}
    assert not open_
    assert all(entry.why for entry in copied if entry.outcome == SKIPPED)


def test_no_copied_case_is_left_out(copied):
    documents = [json.loads(path.read_text()) for path in COPIED]
    held = [case["id"] for one in documents for case in [*one["cases"], *one.get("transcribed_cases", [])]]
    assert [entry.case["id"] for entry in copied] == held


SHARED = "shared cost is divided by issue #4"
POOL = "shared cost (issue #4): a pool is shared between teams"
STAGES = "stages, one after the other, come with shared cost in issue #4"
NEGATIVE = (
    "a negative idle line: use beyond capacity scales to the machine here (design §4), a machine never owes its tenants"
)
MOUNTS = "mounts that share a part of an hour: an hour of a volume is divided by how long each mounted it"
EFFICIENCY = "used over requested by cost is OpenCost's figure: reports here show how busy GPUs were, and idle"
JOINED = "names that differ are joined by [tags.values], written by the user: nothing is guessed from parts of a name"
NOT_OURS = {
    "finops.json": {
        "ff-shared-proportional": SHARED,
        "ff-shared-even": SHARED,
        "ff-shared-fixed": SHARED,
        "ff-pizza-unshared": SHARED,
        "opencost-4b-share-weighted": SHARED,
        "opencost-4c-share-label-even": SHARED,
        "opencost-4d-overhead-weighted": SHARED,
        "opencost-6g-idle-then-share": STAGES,
        "opencost-6i-idle-share-overhead": STAGES,
        "optscale-duplicate-objects": "detectors of waste come with issue #6",
        "aws-ri-amortised": "commitments and their amortisation come with issue #4",
        "vantage-cost-based": SHARED,
        "vantage-business-metric": SHARED,
    },
    "opencost.json": {
        "agg_4b": SHARED,
        "agg_4d": SHARED,
        "agg_6e": POOL,
        "x02_share_weighted_label_app": POOL,
        "x03_overhead_even": POOL,
        "x04_share_label_weighted": POOL,
        "x05_share_ns_even_by_cluster": POOL,
        "x06_share_ns_weighted_by_cluster": POOL,
        "x11_idle_weighted_share_label_even": POOL,
        "x14_share_two_namespaces_one_target": POOL,
        "g03_gpu_idle_shared_monitoring_shared_weighted": POOL,
        "g06_negative_idle_separate": NEGATIVE,
        "g12_unmounted_even": POOL,
        "pv_four_pods_overlap": MOUNTS,
        "pv_two_pods_total_overlap": MOUNTS,
        "custom_price_monthly": "a list's price per hour: the bill's cost is divided here, no list is priced",
        "assets_set0_node_cluster2_node1": NEGATIVE,
        "assets_set0_node_cluster2_node2": NEGATIVE,
        "assets_set1_node_cluster2_node1": NEGATIVE,
        "eff_ram_two": EFFICIENCY,
        "eff_ram_norequest_nocost": EFFICIENCY,
        "eff_total_zero_cost": EFFICIENCY,
        "eff_total_idle_ignored": EFFICIENCY,
        "llm_prefix_caching_off": "the name of one of OpenCost's methods, no amount",
        "llm_model_name_join": JOINED,
    },
}
"""File -> case that is not ours to run -> why. Whatever else is skipped is a planner that gave up."""


@pytest.mark.parametrize("path", COPIED, ids=lambda path: path.stem)
def test_exactly_these_copied_cases_are_not_ours(copied, path):
    skipped = {e.case["id"]: e.why for e in copied if e.file == str(path) and e.outcome == SKIPPED}
    assert skipped == {case: (why,) for case, why in NOT_OURS[path.name].items()}


def test_a_planner_that_gives_up_on_its_kind_is_seen(monkeypatch):
    def gives_up(*_):
        raise NotApplicable(POOL)

    monkeypatch.setitem(opencost.GROUPS, "inference_tokens", gives_up)
    (path,) = (path for path in COPIED if path.name == "opencost.json")
    found = {entry.case["id"] for entry in replayed([path]) if entry.outcome == SKIPPED}
    assert found > NOT_OURS[path.name].keys()


def test_what_a_source_says_wrong_is_not_what_comes_out(copied):
    (azure,) = (entry for entry in copied if entry.case["id"] == "azure-frozen-percentages")
    assert azure.outcome == PASSED
    assert (azure.got["month2_B"], azure.got["month2_C"]) == (25, 75)
    assert azure.why == ("must differ, and does: Azure keeps the percentages of the month in which the rule was made",)
