"""Allocations and assets of OpenCost in files of their own, as the how-to has them saved: one capacity per node."""

from __future__ import annotations

import pytest
from tests.metering.meters import Meter, at, only_parts, usage, whole
from tests.sources.metered import read, saved

from apportion.core.measures import Basis, Measure
from apportion.sources.opencost import SOURCE

NODE = "node-1"
AWS = "aws:///eu-west-1a/i-0abc"
CORES = 4
HELD = 3


def span(start, end):
    return {"start": f"{at(start).isoformat()}Z", "end": f"{at(end).isoformat()}Z"}


def cuts(length, hours):
    """The intervals of so many hours that a time of `length` hours is asked for in."""
    return [(start, start + hours) for start in range(0, length, hours)]


def allocations(*intervals):
    """Per interval a pod that holds 3 of the 4 cores of the node, and the node's idle row."""
    pod = {"cluster": "c", "node": NODE, "namespace": "ml", "pod": "train", "container": "main", "providerID": AWS}
    rows = [
        {
            f"c/{NODE}/ml/train/main": {
                "properties": pod,
                "cpuCoreRequestAverage": HELD,
                "cpuCoreHours": HELD * (end - start),
                **span(start, end),
            },
            f"c/{NODE}/__idle__": {
                "properties": {"cluster": "c", "node": NODE},
                "cpuCoreHours": (CORES - HELD) * (end - start),
                **span(start, end),
            },
        }
        for start, end in intervals
    ]
    return {"code": 200, "data": rows}


def assets(*intervals, cores=CORES):
    """Per interval what the node had, named as OpenCost names assets."""
    node = {"type": "Node", "properties": {"name": NODE, "cluster": "c", "providerID": AWS}}
    return {
        "code": 200,
        "data": [
            {f"GCP/__undefined__/c/Node/{NODE}": {**node, "cpuCoreHours": cores * (end - start), **span(start, end)}}
            for start, end in intervals
        ],
    }


def meter(folder, body, name):
    """A saved file as one delivery of one source."""
    folder.mkdir(exist_ok=True)
    samples, faults = read(SOURCE, saved(folder, body, name))
    assert faults == []
    return Meter(samples)


def capacities(folder, *meters):
    """Hour of October -> core-seconds there were on the node."""
    rows = [row for row in usage(folder, *meters) if row["work"] is None and row["x_Basis"] == Basis.CAPACITY]
    assert {row["x_Measure"] for row in rows} == {Measure.CPU_CORE_SECONDS}
    found = {row["x_Hour"]: row["x_Quantity"] for row in rows}
    assert len(found) == len(rows)
    return list(found.values())


@pytest.mark.parametrize("names", [("allocation",), ("assets",), ("allocation", "assets"), ("assets", "allocation")])
def test_a_node_of_four_cores_of_which_three_are_held_is_a_quarter_idle(tmp_path, names):
    bodies = {"allocation": allocations((0, 1)), "assets": assets((0, 1))}
    meters = [meter(tmp_path / "files", bodies[name], f"{name}.json") for name in names]
    if names == ("assets",):
        assert capacities(tmp_path, *meters) == [CORES * 3600]
        return
    found = only_parts(tmp_path / "shares", meters, whole(at(0), at(1)))
    assert found == {"k8s:c/ml/pod/train": 0.75, "idle": 0.25}


@pytest.mark.parametrize("hours", [(1, 24), (24, 1), (1, 1), (6, 4)])
@pytest.mark.parametrize("assets_later", [True, False])
def test_however_two_files_cut_a_day_each_hour_has_the_capacity_of_the_node(tmp_path, hours, assets_later):
    of_rows, of_assets = hours
    meters = [
        meter(tmp_path / "files", allocations(*cuts(24, of_rows)), "allocation.json"),
        meter(tmp_path / "files", assets(*cuts(24, of_assets)), "assets.json"),
    ]
    found = capacities(tmp_path, *(meters if assets_later else reversed(meters)))
    assert found == [CORES * 3600] * 24


def test_where_the_two_files_differ_the_later_one_counts_for_its_own_time(tmp_path):
    meters = [
        meter(tmp_path / "files", allocations((0, 4)), "allocation.json"),
        meter(tmp_path / "files", assets((1, 3), cores=8), "assets.json"),
    ]
    assert capacities(tmp_path, *meters) == [CORES * 3600, 8 * 3600, 8 * 3600, CORES * 3600]


def test_a_volume_that_both_files_list_is_one_volume(tmp_path):
    disk = "aws:///eu-west-1a/vol-1"
    pvs = {"cluster=c:name=pv-1": {"byteHours": 10, "providerID": disk}}
    loose = {"properties": {"cluster": "c", "namespace": "__unmounted__"}, "pvs": pvs, **span(0, 1)}
    asset = {"type": "Disk", "properties": {"name": "pv-1", "cluster": "c", "providerID": disk}, "byteHours": 10}
    bodies = {
        "allocation.json": {"c/__unmounted__/__unmounted__/__unmounted__": loose},
        "assets.json": {"GCP/c/Disk/pv-1": {**asset, **span(0, 1)}},
    }
    meters = [meter(tmp_path / "files", {"code": 200, "data": body}, name) for name, body in bodies.items()]
    assert [row["x_Quantity"] for row in usage(tmp_path, *meters)] == [36000]


def test_a_row_of_assets_that_a_later_file_calls_otherwise_is_the_same_node(tmp_path):
    first = assets((0, 2))
    later = {
        "code": 200,
        "data": [dict(zip(["GCP/proj-1/c/Node/n"], one.values(), strict=True)) for one in first["data"]],
    }
    meters = [meter(tmp_path / "files", body, f"{no}.json") for no, body in enumerate((first, later))]
    assert capacities(tmp_path, *meters) == [CORES * 3600] * 2


def test_one_file_with_both_says_the_capacity_of_a_node_once(tmp_path):
    both = {"code": 200, "data": [*allocations((0, 1))["data"], *assets((0, 1))["data"]]}
    found = only_parts(tmp_path / "shares", [meter(tmp_path / "files", both, "day.json")], whole(at(0), at(1)))
    assert found == {"k8s:c/ml/pod/train": 0.75, "idle": 0.25}
