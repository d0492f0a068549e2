"""What acme's tracker, gateway and own counts say against the truth and the bills, counted without the product."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from tests.demo.metered import DIMENSIONS, MONTHS, YEAR, documents, planted, worked

from apportion.core.config_file import parse_config
from apportion.core.measures import Measure
from apportion.core.period import Month
from apportion.demo import write_company
from apportion.demo.acme import azure, configuration, gcp
from apportion.demo.acme.aws_plan import TRAINING
from apportion.demo.acme.callers import SHARED_KEY, callers_of
from apportion.demo.acme.company import TEAMS
from apportion.demo.acme.llm import KEYS
from apportion.demo.acme.meters_works import works
from apportion.demo.acme.usage import Resource, uses

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def runs(acme: Path, month: str) -> list[dict[str, Any]]:
    return [run for line in documents(acme, "mlflow", month) for run in line["body"].get("runs", ())]


def tags(run: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


def moment(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)


def test_every_training_job_of_the_bills_has_its_run_on_its_day_and_late_ones_too(acme):
    expected = {
        (work.name, work.resource_id, f"{work.start:%Y-%m-%d}")
        for month in MONTHS
        for work in works(YEAR, Month.parse(month))
        if work.kind == "training_job"
    }
    found = {
        (run["info"]["run_name"], tags(run)["apportion.resource_id"], f"{moment(run['info']['start_time']):%Y-%m-%d}")
        for month in MONTHS
        for run in runs(acme, month)
        if "mlflow.parentRunId" not in tags(run)
    }
    assert found == expected
    assert sum(name == "sweep-box-late" for name, _, _ in found) == 3


def test_a_run_lasts_as_long_as_its_machines_are_billed(acme):
    billed = {
        (work_name, f"{month}-{day:02d}"): quantity
        for month in map(Month.parse, MONTHS)
        for resource in jobs()
        for day, quantity, work_name in uses(resource, month, YEAR)
    }
    for month in MONTHS:
        for run in runs(acme, month):
            start, end = moment(run["info"]["start_time"]), moment(run["info"]["end_time"])
            count = {param["key"]: param["value"] for param in run["data"]["params"]}["instance_count"]
            key = (run["info"]["run_name"], f"{start:%Y-%m-%d}")
            assert start.date() == (end - timedelta(milliseconds=1)).date()
            if key in billed:
                assert (end - start) * int(count) == timedelta(milliseconds=3600) * int(billed.pop(key) * 1000)
    assert not billed


def jobs() -> list[Resource]:
    others = (*azure.RESOURCES, *gcp.RESOURCES)
    return [*TRAINING, *(r for r in others if r.sku in {"nc24", "a2"} or r.name == "credit-xgb-train")]


def test_the_trials_of_a_sweep_follow_one_another_and_fill_it(acme):
    for month in MONTHS:
        found = {run["info"]["run_id"]: run for run in runs(acme, month)}
        sweeps = defaultdict(list)
        for run in found.values():
            if parent := tags(run).get("mlflow.parentRunId"):
                sweeps[parent].append((run["info"]["start_time"], run["info"]["end_time"]))
        assert len(sweeps) > 5
        for parent, trials in sweeps.items():
            times = sorted(trials)
            assert len(times) > 1
            assert [end for _, end in times[:-1]] == [start for start, _ in times[1:]]
            about = found[parent]["info"]
            assert (times[0][0], times[-1][1]) == (about["start_time"], about["end_time"])


def test_the_tags_of_every_run_say_whose_it_is(acme, owned):
    owners = {row["resource"]: row for row in worked(acme, "runs")}
    for month in MONTHS:
        for run in runs(acme, month):
            name = run["info"]["run_name"].partition("-trial-")[0]
            assert owned(tags(run)) == tuple(owners[name][dimension] for dimension in DIMENSIONS)
            assert run["info"]["user_id"] == tags(run)["mlflow.user"]


def test_every_job_registers_a_version_and_versions_go_on_over_months(acme):
    last: Counter[str] = Counter()
    for month in MONTHS:
        registered = [v for line in documents(acme, "mlflow", month) for v in line["body"].get("model_versions", ())]
        named = {run["info"]["run_id"] for run in runs(acme, month)}
        for version in registered:
            assert version["run_id"] in named
            last[version["name"]] += 1
            assert int(version["version"]) == last[version["name"]]
    assert last


def usage(acme: Path) -> list[dict[str, Any]]:
    return [row for month in MONTHS for row in documents(acme, "usage", month)]


@pytest.mark.parametrize(
    "measure", [Measure.GPU_SECONDS, Measure.CPU_CORE_SECONDS, Measure.STORAGE_BYTE_SECONDS, Measure.REQUESTS]
)
def test_acmes_own_counts_add_up_to_the_truth(acme, measure):
    sums: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for row in usage(acme):
        if row["measure"] == measure:
            sums[row["workload"], row["resource_id"], row["start"][:10]] += Decimal(row["quantity"])
    keys = ("workload", "resource_id", "day")
    assert sums == planted(acme, "usage", measure, *keys) | planted(acme, "runs", measure, *keys)
    assert sums


def test_every_job_and_endpoint_has_cores_a_disk_and_gpus_where_its_machine_has_some(acme):
    measured = defaultdict(set)
    for row in usage(acme):
        measured[row["resource_id"], row["start"][:10]].add(row["measure"])
    for month in MONTHS:
        for work in works(YEAR, Month.parse(month)):
            found = measured[work.resource_id, f"{work.start:%Y-%m-%d}"]
            assert {"cpu_core_seconds", "storage_byte_seconds"} <= found
            assert ("gpu_seconds" in found) == (work.machine.gpus > 0)
            assert ("requests" in found) == (work.kind in {"inference_endpoint", "batch_inference"})


def test_the_machine_seconds_of_all_clouds_are_the_billed_hours():
    month = Month(2026, 10)
    for work in works(YEAR, month):
        billed = {(day, name): quantity for day, quantity, name in uses(work.resource, month, YEAR)}
        machine_time = (work.end - work.start) * work.count
        assert machine_time == int(billed[work.start.day, work.name] * 1000) * timedelta(milliseconds=3600)


def test_usage_rows_name_the_true_owner(acme):
    owners = {row["resource_id"]: row for source in ("usage", "runs") for row in worked(acme, source)}
    for row in usage(acme):
        assert all(row.get(dimension) == owners[row["resource_id"]][dimension] for dimension in DIMENSIONS)
        assert TEAMS[row["team"]]


def spend(acme: Path) -> list[dict[str, Any]]:
    return [row for month in MONTHS for day in documents(acme, "llm", month) for row in day]


def test_the_gateway_logged_the_tokens_that_are_billed_and_each_caller_of_the_shared_key(acme):
    billed: Counter[tuple[str, str, str]] = Counter()
    for month in map(Month.parse, MONTHS):
        for key in KEYS:
            for day, quantity, name in uses(key, month, YEAR):
                billed[name, key.sku, f"{month}-{day:02d}"] += int(quantity * 1_000_000)
    skus = {"gpt-4.1": "gpt", "gpt-4.1-mini": "gpt-mini", "claude-sonnet": "sonnet", "claude-haiku": "haiku"}
    logged: Counter[tuple[str, str, str]] = Counter()
    callers: Counter[tuple[str, str]] = Counter()
    for row in spend(acme):
        sku = skus[row["model"]]
        tokens = row["prompt_tokens"] if sku in {"gpt-mini", "haiku"} else row["completion_tokens"]
        logged[row["api_key"], sku, row["startTime"][:10]] += tokens
        if row["api_key"] == SHARED_KEY:
            assert row["prompt_tokens"] == 4 * row["completion_tokens"]
            callers[row["startTime"][:10], row["team_id"]] += tokens
    assert logged == billed
    truth = {
        (row["day"], row["team"]): row["parts"] for row in worked(acme, "gateway") if row["resource"] == SHARED_KEY
    }
    assert callers == truth
    assert {team for _, team in callers} == TEAMS.keys()


def test_the_truth_cuts_the_shared_keys_charge_by_tokens(acme):
    rows = [
        row
        for month in MONTHS
        for row in pq.read_table(acme / "truth" / "rows" / f"{month}.parquet").to_pylist()
        if row["resource"] == SHARED_KEY
    ]
    tokens = {
        (row["day"], row["project"]): (row["parts"], row["whole"])
        for row in worked(acme, "gateway")
        if row["resource"] == SHARED_KEY
    }
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        totals[row["day"]] += Decimal(row["billed"])
    for row in rows:
        parts, whole = tokens[row["day"], row["project"]]
        assert abs(Decimal(row["billed"]) - totals[row["day"]] * parts / whole) < Decimal("1e-15")


def test_the_tags_of_every_call_say_whose_it_is(acme, owned):
    owners = {(row["resource"], row["team"]): row for row in worked(acme, "gateway")}
    for row in spend(acme):
        said = dict(tag.split(":", 1) for tag in row["request_tags"])
        owner = owners[row["api_key"], row["team_id"]]
        assert owned(said) == tuple(owner[dimension] for dimension in DIMENSIONS)


def test_a_key_that_is_not_shared_has_one_caller():
    for key in KEYS:
        by = callers_of(key, Month(2026, 10), day=3, quantity=Decimal("1.001"), plan=YEAR)
        assert sum(tokens for _, tokens in by) == 1_001_000
        assert (len(by) == 1) == (key.name != SHARED_KEY)


def test_the_same_seed_writes_the_same_meters_and_another_seed_others(tmp_path):
    for name, seed in (("one", 7), ("two", 7), ("other", 8)):
        write_company(tmp_path / name, months=1, seed=seed)
    one, two, other = (digests(tmp_path / name / "meters") for name in ("one", "two", "other"))
    assert one == two
    assert one.keys() == other.keys()
    assert all(one[file] != other[file] for file in one)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.gz"))
    }


def test_the_meters_of_two_months_are_small(acme):
    assert sum(file.stat().st_size for file in (acme / "meters").rglob("*.gz")) < 3_000_000


def test_the_configuration_names_the_meters():
    sources = parse_config(configuration.text()).sources
    assert [(source.kind, source.paths) for source in sources][-4:] == [
        ("opencost", ("meters/opencost",)),
        ("mlflow", ("meters/mlflow",)),
        ("llm", ("meters/llm",)),
        ("usage_file", ("meters/usage",)),
    ]
