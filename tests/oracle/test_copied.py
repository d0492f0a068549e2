"""The copied oracles: every case passes or is not ours to run, for exactly the reasons that are written here."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from tests.oracle import opencost
from tests.oracle.applicable import WRONG_AT_THE_SOURCE
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


NEGATIVE = (
    "a negative idle line: use beyond capacity scales to the machine here (design §4), a machine never owes its tenants"
)
NOT_OURS = {
    "finops.json": {
        "optscale-duplicate-objects": "detectors of waste come with issue #6",
    },
    "opencost.json": {
        "g06_negative_idle_separate": NEGATIVE,
        "assets_set0_node_cluster2_node1": NEGATIVE,
        "assets_set0_node_cluster2_node2": NEGATIVE,
        "assets_set1_node_cluster2_node1": NEGATIVE,
        "llm_prefix_caching_off": "the name of one of OpenCost's methods, no amount",
    },
}
"""File -> case that is not ours to run -> why. Whatever else is skipped is a planner that gave up."""


@pytest.mark.parametrize("path", COPIED, ids=lambda path: path.stem)
def test_exactly_these_copied_cases_are_not_ours(copied, path):
    skipped = {e.case["id"]: e.why for e in copied if e.file == str(path) and e.outcome == SKIPPED}
    assert skipped == {case: (why,) for case, why in NOT_OURS[path.name].items()}


def test_a_planner_that_gives_up_on_its_kind_is_seen(monkeypatch):
    def gives_up(*_):
        raise NotApplicable("later")

    monkeypatch.setitem(opencost.GROUPS, "inference_tokens", gives_up)
    (path,) = (path for path in COPIED if path.name == "opencost.json")
    found = {entry.case["id"] for entry in replayed([path]) if entry.outcome == SKIPPED}
    assert found > NOT_OURS[path.name].keys()


def test_what_a_source_says_wrong_is_not_what_comes_out(copied):
    (azure,) = (entry for entry in copied if entry.case["id"] == "azure-frozen-percentages")
    assert azure.outcome == PASSED
    assert (round(azure.got["month2_B"], 9), round(azure.got["month2_C"], 9)) == (25, 75)
    assert azure.got["month2_B"] + azure.got["month2_C"] == 100
    assert azure.why == ("must differ, and does: Azure keeps the percentages of the month in which the rule was made",)


def test_idle_below_nothing_shows_what_ours_gives_instead(copied):
    (negative,) = (entry for entry in copied if entry.case["id"] == "g06_negative_idle_separate")
    assert {name: round(cost, 6) for name, cost in negative.got.items()} == {
        "__idle__": 2,
        "a": Decimal("8.363636"),
        "b": Decimal("5.636364"),
    }


def test_the_documented_differences_are_those_of_the_oracle(copied):
    page = (Path(__file__).parents[2] / "docs/why/oracle-differences.md").read_text()
    apart = {case for cases in NOT_OURS.values() for case in cases}
    apart |= {
        entry.case["id"]
        for entry in copied
        if entry.case["id"] in WRONG_AT_THE_SOURCE or any(key in entry.case for key in WRONG)
    }
    assert sorted(case for case in apart if f"`{case}`" not in page) == []


WRONG = ("anti_oracle", "correct", "corrected_expected", "correct_exact")
