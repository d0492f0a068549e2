from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from apportion.core.money import from_quanta, quanta
from apportion.core.period import Month
from apportion.demo import write_company
from apportion.demo.acme.aws_plan import NODES
from apportion.demo.acme.callers import SHARED_KEY
from apportion.demo.acme.cluster import DAY, pods_of
from apportion.demo.acme.company import MODELS
from apportion.demo.acme.usage import Plan

YEAR = Plan(Month(2026, 10), months=12, seed=7)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster") / "acme"
    write_company(folder, months=1)
    return folder / "truth"


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_a_node_day_is_shared_by_living_models_and_idle_and_never_less_than_whole(node):
    for month in YEAR:
        by = pods_of(node, month, day=1, plan=YEAR)
        models = [owner.model for owner, _ in by if owner.model]
        assert models
        assert all(MODELS[model].alive(YEAR.age(month)) for model in models)
        assert all(parts > 0 for _, parts in by)
        whole = sum(parts for _, parts in by)
        has_idle = by[-1][0].pool == "idle"
        assert whole == DAY if has_idle else whole >= DAY


def test_the_truth_cuts_every_node_row_among_its_pods_to_the_last_digit(truth):
    pieces: dict[tuple[str, int], list[dict[str, object]]] = defaultdict(list)
    for row in pq.read_table(truth / "rows" / "2026-10.parquet").to_pylist():
        pieces[row["file"], row["row"]].append(row)
    cut = [rows for rows in pieces.values() if len(rows) > 1]
    assert {rows[0]["resource"] for rows in cut} == {node.name for node in NODES} | {SHARED_KEY}
    full_day = next(rows for rows in cut if rows[0]["resource"] == "ng-g5-3" and rows[0]["day"] == "2026-10-04")
    # g5.12xlarge, 24 hours at 5.672
    assert from_quanta(sum(quanta(Decimal(row["billed"])) for row in full_day)) == Decimal("136.128")


def test_the_shared_truth_says_what_a_meter_would_have_seen(truth):
    shared = pq.read_table(truth / "shared" / "2026-10.parquet").to_pylist()
    rows = [row for row in shared if row["resource"] != SHARED_KEY]
    wholes: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        wholes[row["resource"], row["day"]] += row["parts"]
    assert {row["resource"] for row in rows} == {node.name for node in NODES}
    assert all(wholes[row["resource"], row["day"]] == row["whole"] for row in rows)
    assert {"idle", None} == {row["pool"] for row in rows}
