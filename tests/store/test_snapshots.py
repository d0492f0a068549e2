"""Snapshots: current ones, history, restatements."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.store.deliveries import JANUARY, PAIR, A, B, draft, generations, pair, problem

from apportion.core.period import Month, Period
from apportion.errors import Busy, NoData
from apportion.store import open_store, snapshots
from apportion.store.records import Restatement, RestatementLine, Scope

LINE = RestatementLine("EC2", "123", "ml", "USD", Decimal("1.000000000000000001"), Decimal("-0.5"))


def test_a_published_snapshot_is_read_back_as_it_was_drafted(state, store):
    one = draft(store, A, 1)
    (stored,) = store.publish_snapshots([one])
    assert stored == replace(
        one.snapshot,
        folder=state / "lake" / "snapshots" / stored.id,
        stored=stored.stored,
        created_at=stored.created_at,
    )
    assert stored.created_at.tzinfo is None
    assert [(file.name, file.rows, file.size) for file in stored.stored] == [
        (name, 3, (stored.folder / name).stat().st_size) for name in ("attributes.parquet", "charges.parquet")
    ]
    assert store.current_snapshots() == (stored,) == store.snapshots(A)
    assert store.snapshot(stored.id) == stored
    assert not one.snapshot.folder.exists()


def test_the_manifest_says_all_of_a_snapshot_in_sorted_keys(store):
    (stored,) = store.publish_snapshots([draft(store, A, 7)])
    text = (stored.folder / "manifest.json").read_text()
    manifest = json.loads(text)
    assert list(manifest) == sorted(manifest)
    files = manifest.pop("stored")
    assert [(f["name"], f["sha256"], f["size"], f["rows"]) for f in files] == [
        (f.name, f.sha256, f.size, f.rows) for f in stored.stored
    ]
    assert manifest == {
        "format": 1,
        "record": "snapshot",
        "id": "aws111g000007",
        "scope": {"source_id": "aws", "billing_account_id": "111", "period": "2026-01", "part": ""},
        "kind": "focus",
        "form": "FOCUS 1.2",
        "rows": 3,
        "rejected": 0,
        "totals": {"USD": {"BilledCost": "0.000000000000000007", "EffectiveCost": "-0.000000000000000007"}},
        "files": [{"no": 1, "path": "bills/7.csv", "sha256": "sha-7", "size": 100, "rows": 3}],
    }


def test_a_given_time_of_creation_is_kept(store):
    at = datetime(2026, 1, 2, 3, 4, 5, 6)
    one = draft(store, A, 1)
    (stored,) = store.publish_snapshots([replace(one, snapshot=replace(one.snapshot, created_at=at))])
    assert stored.created_at == at


def test_current_snapshots_are_sorted_by_scope_and_chosen_by_month_and_source(store):
    other = Scope("azure", "111", JANUARY)
    store.publish_snapshots([draft(store, scope, 1) for scope in (other, B, A)])
    assert [s.scope for s in store.current_snapshots()] == [A, B, other]
    assert [s.scope for s in store.current_snapshots(period=Period.parse("2026-01"))] == [A, other]
    assert [s.scope for s in store.current_snapshots(period=Period.parse("2025-12..2026-01"), source_id="aws")] == [A]
    assert [s.scope for s in store.current_snapshots(period=Period.parse("2026-02..2026-03"))] == [B]


def test_the_same_delivery_again_changes_nothing(store):
    (before,) = store.publish_snapshots([draft(store, A, 1, problem("first"))])
    again = draft(store, A, 1, problem("second"))
    line = Restatement(A, before.id, before.id, None, (LINE,))
    assert store.publish_snapshots([again], [line]) == (before,)
    assert store.snapshots(A) == (before,)
    assert [p.what for p in store.problems()] == ["first"]
    assert store.restatements() == ()
    assert not again.snapshot.folder.exists()


def test_nothing_published_is_nothing_changed(store):
    store.save_problems("aws", [problem("stays")])
    assert store.publish_snapshots([]) == ()
    assert len(store.problems()) == 1


def test_an_older_delivery_may_come_back_and_is_then_the_newest(store):
    (one,) = store.publish_snapshots([draft(store, A, 1, problem("of one"))])
    (two,) = store.publish_snapshots([draft(store, A, 2)])
    assert store.snapshots(A) == (one, two)
    assert store.publish_snapshots([draft(store, A, 1)]) == (one,)
    assert store.snapshots(A) == (two, one)
    assert store.current_snapshots() == (one,)
    assert [p.what for p in store.problems()] == ["of one"]


def test_known_files_are_those_of_current_snapshots_with_every_scope_they_fed(store):
    store.publish_snapshots(pair(store, 1))
    store.publish_snapshots([draft(store, B, 2)])
    assert store.known_files("aws") == {"sha-1": frozenset({A}), "sha-2": frozenset({B})}
    assert store.known_files("azure") == {}


def test_a_restatement_is_kept_with_its_lines_in_order(store):
    at = datetime(2026, 3, 1)
    (one, _) = store.publish_snapshots(pair(store, 1))
    two = draft(store, A, 2)
    lines = (LINE, replace(LINE, service="A"))
    store.publish_snapshots([two], [Restatement(A, one.id, two.snapshot.id, at, lines)])
    expected = Restatement(A, one.id, two.snapshot.id, at, lines)
    assert store.restatements() == (expected,) == store.restatements(period=Period.parse("2026-01"))
    assert store.restatements(period=Period.parse("2026-02")) == ()


def test_a_restatement_without_time_happened_when_it_was_published(store):
    (one,) = store.publish_snapshots([draft(store, A, 1)])
    two = draft(store, A, 2)
    store.publish_snapshots([two], [Restatement(A, one.id, two.snapshot.id, None, ())])
    assert store.restatements()[0].at == store.snapshot(two.snapshot.id).created_at


def test_unclear_publishing_is_refused(store):
    with pytest.raises(ValueError, match="two drafts for one scope"):
        store.publish_snapshots([draft(store, A, 1), draft(store, A, 2)])
    with pytest.raises(ValueError, match="not among the drafts"):
        store.publish_snapshots([draft(store, A, 1)], [Restatement(A, "x", "y", None, ())])
    one = draft(store, A, 1)
    with pytest.raises(ValueError, match="cannot name a folder"):
        store.publish_snapshots([replace(one, snapshot=replace(one.snapshot, id="../up"))])
    (stored,) = store.publish_snapshots([draft(store, A, 1)])
    with pytest.raises(ValueError, match="is no staging folder"):
        store.publish_snapshots([replace(one, snapshot=stored)])
    assert stored.charges.exists()


def test_a_writer_whom_the_lock_file_does_not_stop_is_stopped_by_the_transaction(store, monkeypatch):
    store.publish_snapshots(pair(store, 1))
    real, asked = snapshots.current_id, []

    def overtaken(connection, scope):
        asked.append(scope)
        return real(connection, scope) if len(asked) <= 2 else "other"

    monkeypatch.setattr(snapshots, "current_id", overtaken)
    with pytest.raises(Busy, match=r"Another process replaced .*111.* meanwhile\. Wait"):
        store.publish_snapshots(pair(store, 2))
    assert generations(store) == (1, 1)


def test_an_id_may_be_shortened_as_long_as_it_is_clear(store):
    with pytest.raises(NoData) as caught:
        store.snapshot("a")
    assert str(caught.value) == "There is no snapshot 'a'. None has been stored yet."
    store.publish_snapshots(pair(store, 1))
    assert store.snapshot("aws1").scope == A
    with pytest.raises(NoData) as caught:
        store.snapshot("aws")
    assert str(caught.value) == (
        "Several snapshots begin with 'aws'. Write more of the id: aws111g000001, aws222g000001."
    )
    for wrong in ("", "AWS1", "aw%"):
        with pytest.raises(NoData) as caught:
            store.snapshot(wrong)
        assert str(caught.value) == (f"There is no snapshot '{wrong}'. The newest are: aws111g000001, aws222g000001.")


def test_at_most_five_ids_are_named(store):
    store.publish_snapshots([draft(store, Scope("aws", str(n), JANUARY), 1) for n in range(7)])
    with pytest.raises(NoData, match=r"aws4g000001 …\.$"):
        store.snapshot("aws")


STEPS = st.lists(st.lists(st.tuples(st.sampled_from(PAIR), st.integers(1, 3)), unique_by=lambda d: d[0]), max_size=6)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(steps=STEPS)
def test_any_deliveries_in_any_order_leave_the_last_of_each_scope_current(steps):
    history = {scope: [] for scope in PAIR}
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "state") as store:
        for step in steps:
            store.publish_snapshots([draft(store, scope, n, problem(f"{scope}{n}")) for scope, n in step])
            for scope, n in step:
                history[scope] = [each for each in history[scope] if each != n] + [n]
        for scope, numbers in history.items():
            assert [int(s.id[-1]) for s in store.snapshots(scope)] == numbers
        current = {scope: numbers[-1] for scope, numbers in history.items() if numbers}
        assert {s.scope: int(s.id[-1]) for s in store.current_snapshots()} == current
        assert sorted(p.what for p in store.problems()) == sorted(f"{scope}{n}" for scope, n in current.items())


def test_months_are_ordered_as_text(store):
    scopes = [Scope("aws", "1", Month(year, month)) for year, month in ((2025, 12), (2026, 1), (2026, 10))]
    store.publish_snapshots([draft(store, replace(s, part=str(s.period)), n) for n, s in enumerate(scopes)])
    found = store.current_snapshots(period=Period.parse("2025-12..2026-09"))
    assert [str(s.scope.period) for s in found] == ["2025-12", "2026-01"]
