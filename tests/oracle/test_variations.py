"""Cases in the form of the oracles with figures of our own: a planner knows a form, not a case."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from tests.oracle.reference import aggregated
from tests.oracle.replay import FAILED, PASSED, SKIPPED, replayed

TOPOLOGY = {
    "east": {
        "idle": {"cpu": "4", "ram": "8", "gpu": "2"},
        "web": {"cpu": "3", "ram": "5", "gpu": "1", "pv": "2", "net": "1", "lb": "6"},
        "ops": {"cpu": "1", "ram": "3", "gpu": "0", "pv": "1"},
    },
    "west": {
        "idle": {"cpu": "5", "ram": "0.5"},
        "ops": {"cpu": "2", "ram": "1"},
        "ml": {"cpu": "2.5", "ram": "7", "gpu": "9"},
    },
}
ROWS = [
    {
        **{{"net": "network"}.get(part, part): cost for part, cost in costs.items()},
        **({"idle": True} if space == "idle" else {"namespace": space}),
        "name": f"{cluster}/{space}",
        "cluster": cluster,
    }
    for cluster, spaces in TOPOLOGY.items()
    for space, costs in spaces.items()
]
OPS = {"share": {"op": "eq", "field": "namespace", "value": "ops"}}
METRIC = {"2024-01-30": {"x": 1, "y": 3}, "2024-02-02": {"x": 5}, "2024-02-03": {"y": 1}}


def meant(**options):
    return {key: str(cost) for key, cost in aggregated(ROWS, ["namespace"], options).items()}


def after_idle():
    """Ops is shared by what web and ml cost with their idle."""
    whole = aggregated(ROWS, ["namespace"], {"share_idle": "weighted"})
    others = whole["web"] + whole["ml"]
    return {name: str(whole[name] + whole["ops"] * whole[name] / others) for name in ("web", "ml")}


FINOPS = {
    "even": (
        "shared_cost",
        {"topology": TOPOLOGY, "shared": "ops", "method": "even"},
        meant(**OPS, share_split="even"),
    ),
    "idle given out": (
        "shared_cost",
        {"topology": TOPOLOGY, "shared": "ops", "method": "proportional to own cost", "idle": "weighted"},
        meant(**OPS, share_idle="weighted"),
    ),
    "idle, then even": (
        "two_stage",
        {"topology": TOPOLOGY, "stage1": "idle weighted", "stage2": "share ops (incl. its idle) even"},
        meant(**OPS, share_idle="weighted", share_split="even"),
    ),
    "idle, then overhead": (
        "two_stage",
        {"topology": TOPOLOGY, "stage1": "idle weighted", "stage2": "overhead 0.5*24 weighted by pre-idle cost"},
        meant(share_idle="weighted", shared_hourly_cost="0.5"),
    ),
    "weights after idle": (
        "two_stage",
        {"topology": TOPOLOGY, "stage1": "idle weighted", "stage2": "share ops weighted by POST-idle cost"},
        after_idle(),
    ),
    "percent": (
        "shared_cost",
        {
            "direct_cost": {"a": "0", "b c": "10", "D_e": "5"},
            "shared_cost": "90",
            "method": "fixed_percent",
            "percent": {"a": "33.3", "b c": "33.3", "D_e": "33.4"},
        },
        {"a": "29.97", "b c": "39.97", "D_e": "35.06"},
    ),
    "a credit": (
        "shared_cost",
        {
            "direct_cost": {"a": "30", "b": "10"},
            "shared_cost": "-8",
            "method": "proportional_to_direct_cost",
        },
        {"a": "24", "b": "8"},
    ),
    "overhead, even": (
        "shared_cost",
        {
            "own_cost": {"a": "28", "b": "0"},
            "overhead_hourly": "2.5",
            "hours": 48,
            "method": "even",
            "idle": "7.5 kept separate",
        },
        {"a": "88", "b": "60", "__idle__": "7.5"},
    ),
    "by day, over two months": (
        "shared_cost",
        {"metric": METRIC, "daily_cost": "12", "method": "per-day proportional"},
        {"x": "15", "y": "21"},
    ),
    "by month": (
        "shared_cost",
        {"metric": METRIC, "daily_cost": "12", "method": "period-pooled proportional"},
        {"x": "23", "y": "13"},
    ),
    "three years": ("commitment_amortisation", {"upfront": "1000", "term_days": 1095}, {"per_day": "1000/1095"}),
}
PRICES = {"cpu_core": 31.5, "ram_gib": 4.2, "gpu": 733.1, "storage_gib": 0.17}
OPENCOST = {
    "a month of 720 hours": (
        "pricing",
        {"monthly_price": PRICES, "gpu_count": 4, "pv_bytes": 5 * 2**30, "pv_hours": 3, "hours_per_month": 720},
        {
            "cpu_core_hour": "31.5/720",
            "ram_byte_hour": "4.2/720/1073741824",
            "gpu_node_hour": "2932.4/720",
            "pv": "2.55/720",
        },
    ),
    "mounts at odd minutes": (
        "pv_time_split",
        {
            "pvc_window": ["08:10", "09:00"],
            "pod_intervals": {"a": ["08:10", "08:35"], "b": ["08:20", "08:30"], "c": ["08:25", "08:27"]},
        },
        {"a": str(Fraction(118, 300)), "b": str(Fraction(28, 300)), "c": str(Fraction(4, 300)), "__unmounted__": "1/2"},
    ),
    "even idle": (
        "idle_share",
        {
            "split": "even",
            "row": {"cpu": 25, "gpu": 0, "ram": 10},
            "totals": {"cpu": 100, "gpu": 50, "ram": 200, "count": 4},
        },
        {"cpu": 0.25, "gpu": 0.25, "ram": 0.25},
    ),
    "nothing requested": (
        "efficiency",
        {
            "rows": [{"ram_usage": 9, "ram_cost": 3, "cpu_request": 4, "cpu_usage": 1, "cpu_cost": 1}],
            "measure": "total",
        },
        "13/16",
    ),
    "idle at nothing": (
        "idle_share",
        {"assets_cpu_ram": {"n": [10, 5]}, "allocated_cpu_ram": {"n": [12, 2.5]}, "by": "node"},
        {"n": {"cpu": 0, "ram": 2.5}},
    ),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("oracle") / "varied.json"
    cases = [
        {"id": name, "kind": kind, "inputs": inputs, "expected": expected, "tolerance": "0"}
        for name, (kind, inputs, expected) in FINOPS.items()
    ]
    cases += [
        {"id": name, "group": group, "input": inputs, "expected": expected, "upstream_tolerance": "relative 1e-6"}
        for name, (group, inputs, expected) in OPENCOST.items()
    ]
    wrong = {**cases[0], "id": "wrong", "expected": {**cases[0]["expected"], "web": "1"}}
    below = {**cases[-1], "id": "below", "expected": {"n": {"cpu": -2, "ram": 2.5}}}
    path.write_text(json.dumps({"cases": [*cases, wrong, below]}))
    return {entry.case["id"]: entry for entry in replayed([path])}


@pytest.mark.parametrize("name", [*FINOPS, *OPENCOST])
def test_a_case_with_other_figures_passes(found, name):
    assert (found[name].outcome, found[name].why) == (PASSED, ())


def test_a_wrong_figure_fails_and_idle_below_nothing_is_not_ours(found):
    assert found["wrong"].outcome == FAILED
    assert found["below"].outcome == SKIPPED
    assert found["below"].got == {"n": {"cpu": 0, "ram": Fraction("2.5")}}
