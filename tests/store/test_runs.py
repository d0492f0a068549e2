"""Runs and parts."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.store.deliveries import assert_whole, pair, problem, run_of

from apportion.errors import NoData, NotConserved


@pytest.fixture
def filled(store):
    store.publish_snapshots(pair(store, 1))
    return store


def test_a_published_run_is_current_and_read_back_as_it_was(state, filled):
    assert filled.current_run() is None
    assert filled.runs() == ()
    run, staged = run_of(filled, 1)
    faults = (problem("z", Decimal("0.1")), problem("a"))
    stored = filled.publish_run(replace(run, problems=faults), staged)
    parts = tuple(replace(part, folder=state / "lake" / "parts" / part.id) for part in run.parts)
    assert stored == replace(
        run,
        problems=faults,
        created_at=stored.created_at,
        parts=tuple(replace(p, stored=s.stored) for p, s in zip(parts, stored.parts, strict=True)),
    )
    assert stored.parts[0].allocations == parts[0].folder / "allocations.parquet"
    assert [file.name for file in stored.parts[0].stored] == ["allocations.parquet", "owners.parquet", "shares.parquet"]
    assert filled.current_run() == stored == filled.run("run")
    assert filled.part(stored.parts[0].id) == stored.parts[0]
    assert filled.part("part") is None
    assert not any(folder.exists() for folder in staged.values())
    assert_whole(filled)


def test_the_manifest_says_all_of_a_part(filled):
    part = filled.publish_run(*run_of(filled, 1)).parts[0]
    manifest = json.loads((part.folder / "manifest.json").read_text())
    assert [file["name"] for file in manifest.pop("stored")] == [
        "allocations.parquet",
        "owners.parquet",
        "shares.parquet",
    ]
    assert manifest == {
        "format": 1,
        "record": "part",
        "id": "part-aws111g000001-1",
        "snapshot_id": "aws111g000001",
        "period": "2026-01",
        "totals": {"USD": {"BilledCost": "0.000000000000000001", "EffectiveCost": "-0.000000000000000001"}},
    }


def test_stored_parts_are_reused_in_the_order_of_the_new_run(filled):
    first = filled.publish_run(*run_of(filled, 1))
    again, staged = run_of(filled, 2)
    mixed = replace(again, parts=(again.parts[1], first.parts[0]))
    stored = filled.publish_run(mixed, {again.parts[1].id: staged[again.parts[1].id]})
    assert [part.id for part in stored.parts] == [again.parts[1].id, first.parts[0].id]
    assert stored.parts[1] == first.parts[0]


def test_a_staged_part_that_is_stored_already_is_not_stored_again(filled):
    first = filled.publish_run(*run_of(filled, 1))
    same, staged = run_of(filled, 1)
    before = first.parts[0].shares.stat()
    stored = filled.publish_run(replace(same, id="other"), staged)
    assert stored.parts == first.parts
    assert first.parts[0].shares.stat() == before
    assert not any(folder.exists() for folder in staged.values())


def test_a_known_run_becomes_current_again_without_a_second_row(filled):
    first = filled.publish_run(*run_of(filled, 1))
    filled.publish_run(*run_of(filled, 2))
    assert filled.publish_run(first, {}) == first == filled.current_run()
    assert [run.id for run in filled.runs()] == ["run-2", "run-1"]


def test_runs_are_listed_newest_first_without_configuration_and_problems(filled):
    run, staged = run_of(filled, 1)
    first = filled.publish_run(replace(run, problems=(problem("x"),)), staged)
    second = filled.publish_run(*run_of(filled, 2))
    assert filled.runs() == (replace(second, config=""), replace(first, config="", problems=()))


def test_a_run_that_loses_money_is_not_published(filled):
    run, staged = run_of(filled, 1)
    with pytest.raises(NotConserved) as caught:
        filled.publish_run(replace(run, totals_out={"USD": {"BilledCost": Decimal("1.24")}}), staged)
    assert "1.25" in str(caught.value)
    assert "Nothing was published" in str(caught.value)
    assert filled.runs() == ()
    assert filled.part(run.parts[0].id) is None


def test_a_part_that_is_nowhere_is_refused(filled):
    run, _ = run_of(filled, 1)
    with pytest.raises(ValueError, match=r"parts neither stored nor staged: \['part-aws111g000001-1', "):
        filled.publish_run(run, {})
    assert filled.runs() == ()


def test_a_stored_folder_is_no_staging_folder(filled):
    first = filled.publish_run(*run_of(filled, 1))
    with pytest.raises(ValueError, match="is no staging folder"):
        filled.publish_run(replace(first, id="other"), {first.parts[0].id: first.parts[0].folder})
    assert_whole(filled)


def test_an_unknown_run_is_no_data(store):
    with pytest.raises(NoData) as caught:
        store.run("x")
    assert str(caught.value) == "There is no run 'x'. None has been stored yet."


def test_a_run_over_several_steps_is_written_under_one_lock(filled):
    with filled.writing():
        filled.publish_snapshots(pair(filled, 2))
        filled.publish_run(*run_of(filled, 2))
    assert filled.current_run().parts[0].snapshot_id == "aws111g000002"
