"""The replay of independent oracles: the copied files pass, and a file that should not pass does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.applicable import NOT_APPLICABLE
from tests.oracle.judging import flat, judged
from tests.oracle.plan import StrangeShape, number, only
from tests.oracle.replay import FAILED, PASSED, SKIPPED, main, replayed

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COPIED = [HERE / "finops.json", HERE / "opencost.json"]

PODS = {"capacity": "10", "pods": [{"request": "2", "usage": "3"}, {"request": "4", "usage": "1"}]}
RIGHT = {"effective": "7", "unallocated": "3"}
TWO_ROWS = [
    {"name": "idle", "cluster": "c", "idle": True, "cpu": 2},
    {"name": "a", "cluster": "c", "namespace": "x", "cpu": 6, "pv": 1, "labels": {"team": "one"}},
    {"name": "b", "cluster": "c", "namespace": "y", "ram": 2, "lb": 3, "labels": {"team": "two"}},
    {"name": "bucket", "external": 5, "labels": {"team": "two"}},
]


def pods(**also):
    return {"id": "pods", "kind": "metering", "inputs": PODS, "expected": RIGHT, "tolerance": "0", **also}


def summed(by, expected, **options):
    case = {"id": f"by-{by}", "group": "aggregate", "input": "two", "aggregate_by": [by], "expected_exact": expected}
    return {**case, "options": {"share_idle": "none", "idle_by": "cluster", **options}}


def written(folder, *cases, name="cases.json", **document):
    path = folder / name
    path.write_text(json.dumps({"datasets": {"two": {"rows": TWO_ROWS}}, "cases": cases, **document}))
    return path


def outcomes(*files):
    return {entry.case["id"]: (entry.outcome, entry.why) for entry in replayed(files)}


# -- the copied files


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


def test_the_kinds_of_metering_are_all_run(copied):
    ours = {"metering", "gpu_metering", "component_weights", "token_cost", "rule_evaluation", "filtering", "aggregate"}
    ours |= {"gpu", "max_request_usage", "aggregate_multi", "filter", "idle_distribution"}
    found = {entry.case.get("kind", entry.case.get("group")) for entry in copied}
    assert ours <= found
    skipped = [e.case["id"] for e in copied if e.case.get("kind", e.case.get("group")) in ours and e.outcome == SKIPPED]
    assert not skipped


def test_what_a_source_says_wrong_is_not_what_comes_out(copied):
    (azure,) = (entry for entry in copied if entry.case["id"] == "azure-frozen-percentages")
    assert azure.outcome == PASSED
    assert (azure.got["month2_B"], azure.got["month2_C"]) == (25, 75)
    assert azure.why == ("must differ, and does: Azure keeps the percentages of the month in which the rule was made",)


def test_later_issues_are_named(copied):
    reasons = {entry.case["id"]: entry.why[0] for entry in copied if entry.outcome == SKIPPED}
    assert reasons["ff-shared-even"] == "shared cost is divided by issue #4"
    assert reasons["optscale-duplicate-objects"] == "detectors of waste come with issue #6"
    assert all(NOT_APPLICABLE.values())


# -- exit statuses and what is printed


def test_a_case_is_printed_with_what_it_expects_and_what_came_out(tmp_path, capsys):
    shared = {"id": "later", "kind": "shared_cost"}
    path = written(tmp_path, pods(exact={"effective": "7.000000", "unallocated": "3.000000"}), shared)
    assert main([str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pass           pods  (metering)",
        "               expected  effective 7.000000, unallocated 3.000000",
        "               got       effective 7, unallocated 3",
        "not applicable later  (shared_cost)",
        "               shared cost is divided by issue #4",
        f"{path}: 2 cases, 1 run: 1 passed, 0 failed; 1 not applicable, 0 not run",
    ]


def test_a_planted_wrong_expectation_fails(tmp_path, capsys):
    path = written(tmp_path, pods(expected={"effective": "7.00001", "unallocated": "3"}))
    assert main([str(path)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "FAIL           pods  (metering)"
    assert out[3] == "               expected: effective is 7, not 7.00001"
    assert out[-1] == f"{path}: 1 cases, 1 run: 0 passed, 1 failed; 0 not applicable, 0 not run"


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ({"id": "new", "kind": "tides"}, "StrangeShape: nobody here knows the kind 'tides'"),
        ({"id": "new", "group": "tides"}, "StrangeShape: nobody here knows the kind 'tides'"),
        ({"id": "new"}, "StrangeShape: nobody here knows the kind 'None'"),
        (
            {"id": "new", "kind": "metering", "inputs": {"capacity": "1", "pods": [], "moon": "full"}},
            "StrangeShape: nobody here knows what to do with moon",
        ),
        ({"id": "new", "kind": "metering", "inputs": {"pods": []}}, "KeyError: 'capacity'"),
        ({"id": "new", "kind": "metering", "inputs": {"capacity": None}}, "StrangeShape: 'None' is no figure"),
        (
            {"id": "new", "group": "aggregate", "input": "none", "aggregate_by": ["pod"], "options": {}},
            "StrangeShape: there is no data set 'none'",
        ),
        (
            {"id": "new", "group": "aggregate", "input": "two", "aggregate_by": ["pod"], "options": {"moon": 1}},
            "StrangeShape: nobody here knows what to do with moon",
        ),
    ],
)
def test_what_nobody_knows_how_to_run_counts_as_not_run(tmp_path, capsys, case, why):
    path = written(tmp_path, case)
    assert main([str(path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"NOT RUN        new  ({case.get('kind', case.get('group', 'no kind'))})",
        f"               {why}",
        f"{path}: 1 cases, 0 run: 0 passed, 0 failed; 0 not applicable, 1 not run",
    ]


def test_a_case_that_is_no_case_counts_as_not_run(tmp_path, capsys):
    assert main([str(written(tmp_path, "words"))]) == 1
    assert capsys.readouterr().out.startswith("NOT RUN        ?  (no kind)")


def test_a_file_without_cases_proves_nothing(tmp_path, capsys):
    path = written(tmp_path)
    assert main([str(path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: 0 cases, 0 run: 0 passed, 0 failed; 0 not applicable, 0 not run",
        f"{path}: it holds no case, so nothing was checked",
    ]


@pytest.mark.parametrize("text", ["", "[]", '{"cases": 3}', '{"title": "none"}', "no json"])
def test_what_is_no_oracle_is_a_wrong_use(tmp_path, capsys, text):
    path = tmp_path / "empty.json"
    path.write_text(text)
    assert main([str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_missing_file_and_no_file_are_a_wrong_use(tmp_path, capsys):
    assert main([]) == 2
    assert capsys.readouterr().err == "Usage: python -m tests.oracle.replay FILE [FILE ...]\n"
    assert main([str(tmp_path / "none.json")]) == 2


def test_one_bad_file_of_several_is_seen(tmp_path):
    good = written(tmp_path, {"id": "later", "kind": "pricing"}, name="good.json")
    bad = written(tmp_path, {"id": "new", "kind": "tides"}, name="bad.json")
    assert main([str(good)]) == 0
    assert main([str(good), str(bad)]) == 1


def test_it_runs_as_a_module(tmp_path):
    path = written(tmp_path, {"id": "new", "kind": "tides"})
    command = [sys.executable, "-m", "tests.oracle.replay", str(path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith("0 run: 0 passed, 0 failed; 0 not applicable, 1 not run\n")


# -- cases of our own


def test_rows_are_summed_by_labels_namespaces_and_what_the_bill_tags(tmp_path):
    path = written(
        tmp_path,
        summed("label:team", {"one": 7, "two": 10, "__idle__": 2}),
        summed("namespace", {"x": 7, "y": 5, "__unallocated__": 5, "__idle__": 2}),
        summed("cluster", {"c": 12, "__unallocated__": 5, "c/__idle__": 2}, split_idle=True),
        summed("pod", {"a": 7}, filter={"op": "eq", "field": "namespace", "value": "x"}),
        summed("label:none", {"__unallocated__": 17}),
    )
    found = outcomes(path)
    assert found["by-label:team"] == found["by-namespace"] == found["by-cluster"] == (PASSED, ())
    assert found["by-pod"] == (
        FAILED,
        (
            "expected_exact has a, which did not come out",
            "__idle__ is 2, which expected_exact lacks",
            "__unallocated__ is 7, which expected_exact lacks",
        ),
    )
    assert found["by-label:none"][0] == FAILED


def test_idle_that_is_given_out_goes_to_its_component(tmp_path):
    given_out = {"share_idle": "weighted"}
    path = written(tmp_path, summed("namespace", {"x": 9, "y": 5, "__unallocated__": 5}, **given_out))
    assert outcomes(path)["by-namespace"] == (PASSED, ())


def test_sharing_even_idle_and_negative_idle_are_not_ours(tmp_path):
    below = {"rows": [{"name": "i", "cluster": "c", "idle": True, "cpu": -1}, *TWO_ROWS[1:2]]}
    path = written(
        tmp_path,
        summed("pod", {}, share={"op": "eq", "field": "namespace", "value": "x"}),
        summed("node", {}, share_idle="even"),
        {**summed("cluster", {}), "input": below},
    )
    found = outcomes(path)
    assert {outcome for outcome, _ in found.values()} == {SKIPPED}
    assert found["by-pod"][1] == ("shared cost (issue #4): a pool is shared between teams",)
    assert found["by-node"][1][0].startswith("idle in even parts")
    assert found["by-cluster"][1][0].startswith("a negative idle line")


def test_what_the_product_refuses_fails_alone(tmp_path):
    weighing = {"hourly_amortised_cost": "1", "vcpu": 4, "gb": 16, "weights": {"cpu": "0.12345678", "memory": 1}}
    refused = {"id": "refused", "kind": "component_weights", "inputs": weighing, "expected": {}}
    negative = pods(id="negative", inputs={**PODS, "pods": [{"request": "-2", "usage": "3"}]})
    found = outcomes(written(tmp_path, refused, negative, pods()))
    assert found["pods"][0] == PASSED
    assert found["refused"][0] == FAILED
    assert "machine_weights" in found["refused"][1][0]
    assert found["negative"][0] == FAILED
    assert any("usage_bad_number" in why for why in found["negative"][1])


# -- judging


def case_of(**figures):
    return {"id": "one", **figures}


def test_figures_are_met_within_what_their_source_rounds():
    assert not judged(
        case_of(expected={"a": "1.72"}, tolerance="0.006"), {"a": Decimal("1.714286")}, closed=True
    ).faults
    assert judged(case_of(expected={"a": "1.73"}, tolerance="0.006"), {"a": Decimal("1.714286")}, closed=True).faults
    rounded = case_of(exact={"a": "1.714286"})
    assert not judged(rounded, {"a": Fraction(12, 7)}, closed=True).faults
    assert judged(rounded, {"a": Decimal("1.714288")}, closed=True).faults == ("exact: a is 1.714288, not 1.714286",)
    assert not judged(case_of(expected_share={"a": "7/12"}), {"a": Fraction(7, 12)}, closed=True).faults


@given(value=st.decimals(-(10**6), 10**6, places=4), off=st.decimals(Decimal("0.002"), 10, places=4))
def test_a_figure_that_is_off_never_passes_and_an_equal_one_always_does(value, off):
    assert not judged(case_of(expected={"a": str(value)}), {"a": value}, closed=True).faults
    assert judged(case_of(expected={"a": str(value)}), {"a": value + off}, closed=True).faults


def test_words_are_compared_as_words():
    assert not judged(case_of(expected={"i-1": "Team1"}), {"i-1": "Team1"}, closed=True).faults
    wrong = judged(case_of(expected={"i-1": "Team1"}), {"i-1": "team1"}, closed=True)
    assert wrong.faults == ("expected: i-1 is team1, not Team1",)


def test_a_missing_key_and_one_too_many_are_faults():
    case = case_of(expected_exact={"a": 1}, expected_count=1, expected_total_exact=1)
    assert judged(case, {}, closed=True).faults == (
        "expected_exact has a, which did not come out",
        "0 keys came out, not 1",
        "expected_total_exact: sum is 0, not 1",
    )
    more = judged(case, {"a": Decimal(1), "b": Decimal(2)}, closed=True)
    assert more.faults[0] == "b is 2, which expected_exact lacks"
    assert not judged(case_of(expected={"a": 1}), {"a": Decimal(1), "b": Decimal(2)}, closed=False).faults


def test_a_wrong_figure_of_the_source_must_be_missed_and_the_right_one_met():
    case = case_of(expected={"a": "5"}, corrected_expected={"a": "4"})
    assert judged(case, {"a": Decimal(4)}, closed=True).remarks == (
        "differs from what the source says wrong, as it must",
    )
    assert judged(case, {"a": Decimal(5)}, closed=True).faults == (
        "corrected_expected: a is 5, not 4",
        "it is what the source says wrong",
    )
    marked = case_of(expected={"a": "5"}, exact={"a": "4"}, anti_oracle=True)
    assert not judged(marked, {"a": Decimal(4)}, closed=True).faults
    assert "it is what the source says wrong" in judged(marked, {"a": Decimal(5)}, closed=True).faults
    told = case_of(exact={"a": "4"}, anti_oracle={"a": "5"})
    assert not judged(told, {"a": Decimal(4)}, closed=True).faults


def test_a_frozen_ratio_that_comes_out_is_a_fault():
    case = {"id": "azure-frozen-percentages", "expected": {"month2_B": "75"}}
    assert judged(case, {"month2_B": Decimal(75)}, closed=False).faults == (
        "month2_B is what the source says wrong, or did not come out",
    )


def test_an_error_that_is_expected_must_come():
    case = case_of(expected_error="zero duration")
    assert not judged(case, {"error": "The end does not lie after the start."}, closed=True).faults
    assert judged(case, {"a": Decimal(1)}, closed=True).faults == ("no error, where one should be: zero duration",)


def test_what_is_no_amount_is_passed_over_and_said_so():
    case = case_of(expected={"a": 1, "method": "compute_time"})
    assert judged(case, {"a": Decimal(1)}, closed=False).remarks == (
        "method is not compared: the name of one of OpenCost's methods",
    )


def test_figures_are_numbers_and_inputs_are_known():
    assert flat({"a": {"b": 1}, "c": 2}) == {"a.b": 1, "c": 2}
    assert flat(3) == {"value": 3}
    with pytest.raises(StrangeShape, match="'True' is no figure"):
        number(True)  # noqa: FBT003 - the very value
    with pytest.raises(StrangeShape, match="what to do with b, c"):
        only({"a": 1, "c": 2, "b": 3}, "a")
