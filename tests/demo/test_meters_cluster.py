"""What OpenCost says of acme's cluster against the truth and the bill, counted without the product's source."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pyarrow.parquet as pq
from tests.demo.metered import DIMENSIONS, MONTHS, YEAR, allocations, assets, documents, worked

from apportion.core.period import Month
from apportion.demo.acme.aws_plan import NODES
from apportion.demo.acme.callers import SHARED_KEY
from apportion.demo.acme.cluster import pods_of
from apportion.demo.acme.company import MODELS, model_owner, project_owner
from apportion.demo.acme.meters_labels import labels_of
from apportion.demo.acme.meters_machines import MACHINES, NODE_MACHINES
from apportion.demo.acme.meters_works import works
from apportion.demo.acme.usage import digest, uses


def test_each_node_day_is_divided_as_planted_in_gpus_cores_and_memory_alike(acme):
    held: Counter[tuple[str, str, str, str]] = Counter()
    had: Counter[tuple[str, str, str]] = Counter()
    columns = {"gpuHours": "GPUHours", "cpuCoreHours": "cpuCoreHours", "ramByteHours": "ramByteHours"}
    for row in allocations(acme):
        for column in columns:
            model = row["properties"].get("controller", "").removesuffix("-predictor")
            held[column, row["properties"]["node"], row["start"][:10], model] += row[column]
    for asset in assets(acme):
        for column, name in columns.items():
            had[column, asset["properties"]["name"], asset["start"][:10]] += asset[name]
    rows = [row for row in worked(acme, "cluster") if row["model"]]
    for row in rows:
        name = row["model"] if row["environment"] == "prod" else row["workload"].rpartition("/")[2]
        for column in columns:
            key = (column, row["resource"], row["day"])
            assert held[(*key, name)] * 1000 == had[key] * row["parts"]
    assert len(rows) * len(columns) == sum(1 for key, hours in held.items() if key[-1] and hours)


def test_the_truth_about_workloads_divides_nodes_and_keys_as_the_shared_truth_does(acme):
    shared = {
        (row["day"], row["resource"], *(row[name] for name in (*DIMENSIONS, "pool"))): (row["parts"], row["whole"])
        for file in sorted((acme / "truth" / "shared").glob("*.parquet"))
        for row in pq.read_table(file).to_pylist()
    }
    ours = {
        (row["day"], row["resource"], *(row[name] for name in (*DIMENSIONS, "pool"))): (row["parts"], row["whole"])
        for source in ("cluster", "gateway")
        for row in worked(acme, source)
        if source == "cluster" or row["resource"] == SHARED_KEY
    }
    assert ours == shared


def test_every_days_parts_of_a_node_or_key_make_its_whole(acme):
    sums: Counter[tuple[str, str, int]] = Counter()
    for source in ("cluster", "gateway"):
        for row in worked(acme, source):
            sku = row["workload"] if source == "gateway" else ""
            sums[row["day"], row["resource"] + sku, row["whole"]] += row["parts"]
    assert sums
    assert all(total == whole for (_, _, whole), total in sums.items())


def test_a_cluster_node_is_metered_on_exactly_the_days_on_which_it_is_billed(acme):
    billed = {
        (digest(node.name, "aws"), f"{month}-{day:02d}", quantity)
        for month in YEAR
        if str(month) in MONTHS
        for node in NODES
        for day, quantity, _ in uses(node, month, YEAR)
    }
    metered = {
        (asset["properties"]["providerID"], asset["start"][:10]): Decimal(asset["minutes"]) / 60
        for asset in assets(acme)
    }
    assert {(f"i-0{hexed}", day) for hexed, day, _ in billed} == metered.keys()
    for hexed, day, hours in billed:
        missing = hours - metered[f"i-0{hexed}", day]
        assert 0 <= missing < Decimal("0.05")


def test_the_instance_ids_of_the_cluster_stand_in_the_bill(acme):
    named = {
        row["line_item_resource_id"]
        for file in (acme / "bills" / "aws").rglob("*.parquet")
        for row in pq.ParquetFile(file).read(columns=["line_item_resource_id"]).to_pylist()
    }
    assert {asset["properties"]["providerID"] for asset in assets(acme)} <= named
    assert {row["properties"]["providerID"] for row in allocations(acme)} <= named


def test_no_pod_is_seen_while_its_node_is_away(acme):
    there = {
        (asset["properties"]["name"], asset["start"][:10]): (asset["start"], asset["end"]) for asset in assets(acme)
    }
    for row in allocations(acme):
        start, end = there[row["properties"]["node"], row["start"][:10]]
        assert start <= row["start"] < row["end"] <= end
        assert row["window"]["start"] <= row["start"]
        assert row["end"] <= row["window"]["end"]


def test_the_last_month_was_asked_for_by_the_hour_and_the_one_before_by_the_day(acme):
    for month, windows in (("2026-09", 1), ("2026-10", 24)):
        sets = [answer["data"] for answer in documents(acme, "opencost", month) if isinstance(answer["data"], list)]
        assert {len(each) for each in sets} == {windows}


def test_some_node_days_ask_for_more_than_there_is():
    over = [
        (node.name, str(month))
        for month in YEAR
        for node in NODES
        for day in range(1, 29)
        for parts in [pods_of(node, month, day=day, plan=YEAR)]
        if sum(n for _, n in parts) > 1000
    ]
    assert over


def test_the_labels_of_every_pod_say_whose_it_is(acme, owned):
    models = Counter()
    owners = {(row["resource"], row["day"], row["workload"]): row for row in worked(acme, "cluster")}
    for row in allocations(acme):
        about = row["properties"]
        if "labels" not in about:
            assert row["name"].endswith("__idle__")
            continue
        name = about["labels"].get("serving_kserve_io_inferenceservice")
        kind = f"InferenceService/{name}" if name else f"job/{about['controller']}"
        owner = owners[about["node"], row["start"][:10], f"k8s:acme-ml/{about['namespace']}/{kind}"]
        assert owned(about["labels"]) == tuple(owner[dimension] for dimension in DIMENSIONS)
        models[owner["model"]] += 1
    assert len(models) == 8


def test_labels_say_whose_it_is_in_every_habit_and_habits_differ(owned):
    spelled = set()
    owners = [model_owner(model, environment) for model in MODELS for environment in ("prod", "staging", "dev")]
    for owner in (*owners, project_owner("fraud", "dev"), project_owner("insights", "prod")):
        labels = labels_of(owner)
        assert owned(labels) == (owner.team, owner.project, owner.model, owner.environment)
        spelled.add(tuple(sorted(labels)))
    assert len(spelled) >= 5


def test_the_machines_are_those_of_the_bills():
    assert {node.sku for node in NODES} == NODE_MACHINES.keys()
    assert {work.resource.sku for work in works(YEAR, Month(2026, 10))} <= MACHINES.keys()
    assert all(machine.memory % 1000 == 0 for machine in NODE_MACHINES.values())
