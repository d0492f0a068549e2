"""The replay of oracles: what is printed, the exit status, and that a file that should not pass does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.oracle.replay import FAILED, PASSED, SKIPPED, main, replayed

ROOT = Path(__file__).parents[2]

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


# -- exit statuses and what is printed


def test_a_case_is_printed_with_what_it_expects_and_what_came_out(tmp_path, capsys):
    later = {"id": "later", "kind": "detector"}
    path = written(tmp_path, pods(exact={"effective": "7.000000", "unallocated": "3.000000"}), later)
    assert main([str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pass           pods  (metering)",
        "               expected  effective 7.000000, unallocated 3.000000",
        "               got       effective 7, unallocated 3",
        "not applicable later  (detector)",
        "               detectors of waste come with issue #6",
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


@pytest.mark.parametrize(
    ("expectation", "why"),
    [
        ({"expectd": RIGHT}, "nobody here knows the expectation expectd"),
        ({"anti_oracle": True}, "no figure was compared: the case expects none that is known here"),
        ({"expected": RIGHT, "expected_maximum": {}}, "nobody here knows the expectation expected_maximum"),
    ],
)
def test_a_case_that_expects_nothing_known_counts_as_not_run(tmp_path, capsys, expectation, why):
    path = written(tmp_path, {"id": "pods", "kind": "metering", "inputs": PODS, **expectation})
    assert main([str(path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "NOT RUN        pods  (metering)",
        f"               StrangeShape: {why}",
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
    good = written(tmp_path, {"id": "later", "kind": "detector"}, name="good.json")
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


def test_even_idle_and_negative_idle_are_not_ours(tmp_path):
    below, nothing = (
        {"rows": [{"name": "i", "cluster": "c", "idle": True, "cpu": cpu}, TWO_ROWS[1]]} for cpu in (-1, -9)
    )
    path = written(
        tmp_path,
        summed("node", {}, share_idle="even"),
        {**summed("cluster", {"c": 7, "__idle__": -1}), "input": below},
        {**summed("pod", {"a": 7, "__idle__": -9}), "input": nothing},
    )
    found = outcomes(path)
    assert {outcome for outcome, _ in found.values()} == {SKIPPED}
    assert found["by-node"][1][0].startswith("OpenCost shares no idle in even parts")
    assert found["by-cluster"][1][0].startswith("a negative idle line")
    assert found["by-pod"] == found["by-cluster"]
    (entry,) = (entry for entry in replayed([path]) if entry.case["id"] == "by-cluster")
    assert entry.got == {"c": 6}


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
