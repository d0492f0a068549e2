"""Problems: kept as they are, listed as long as they matter."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import StatementError
from tests.store.deliveries import JANUARY, A, B, draft, problem

from apportion.core.money import LIMIT
from apportion.core.period import Period
from apportion.core.problems import Severity
from apportion.store import open_store
from apportion.store.records import StoredProblem


def whats(found):
    return [each.what for each in found]


def test_a_problem_is_read_back_with_where_it_belongs(store):
    one = problem("x", Decimal("-1.000000000000000001"))
    (snapshot,) = store.publish_snapshots([draft(store, A, 1, one)])
    (found,) = store.problems()
    assert found == StoredProblem(**asdict(one), source_id="aws", period=JANUARY, snapshot_id=snapshot.id)
    assert found.severity is Severity.WARNING


def test_problems_are_chosen_by_month_source_and_snapshot(store):
    (first, _) = store.publish_snapshots(
        [draft(store, A, 1, problem("a1"), problem("a2")), draft(store, B, 1, problem("b"))]
    )
    store.save_problems("azure", [problem("unreadable")])
    assert whats(store.problems()) == ["unreadable", "a1", "a2", "b"]
    assert whats(store.problems(source_id="aws")) == ["a1", "a2", "b"]
    assert whats(store.problems(snapshot_id=first.id)) == ["a1", "a2"]
    assert whats(store.problems(period=Period.parse("2026-02"), source_id="aws")) == ["b"]


def test_a_file_that_never_became_a_snapshot_may_hold_any_month(store):
    store.save_problems("aws", [problem("unreadable")])
    assert whats(store.problems(period=Period.parse("2020-01"))) == ["unreadable"]
    assert store.problems()[0].period is None
    assert store.problems()[0].snapshot_id is None


def test_problems_of_superseded_snapshots_are_not_listed(store):
    (one,) = store.publish_snapshots([draft(store, A, 1, problem("old"))])
    store.publish_snapshots([draft(store, A, 2, problem("new"))])
    assert whats(store.problems()) == ["new"]
    assert store.problems(snapshot_id=one.id) == ()


def test_loose_problems_last_until_their_source_is_ingested_again(store):
    store.save_problems("aws", [problem("aws")])
    store.save_problems("azure", [problem("azure")])
    store.save_problems("aws", [problem("aws again")])
    assert whats(store.problems()) == ["aws again", "azure"]
    store.publish_snapshots([draft(store, A, 1)])
    assert whats(store.problems()) == ["azure"]
    store.save_problems("azure", [])
    assert store.problems() == ()


def test_a_problem_may_be_saved_as_it_was_listed(store):
    store.save_problems("aws", [problem("x")])
    store.save_problems("azure", store.problems())
    assert [(p.source_id, p.what) for p in store.problems()] == [("aws", "x"), ("azure", "x")]


def test_a_float_is_no_amount(store):
    with pytest.raises(StatementError, match=r"0\.1 is no Decimal"):
        store.save_problems("aws", [problem("x", 0.1)])
    assert store.problems() == ()


AMOUNTS = st.lists(st.decimals(min_value=-LIMIT, max_value=LIMIT, places=18), min_size=1, max_size=20)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(amounts=AMOUNTS)
def test_amounts_come_back_to_the_last_digit(amounts):
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "state") as store:
        store.save_problems("aws", [problem("x", amount) for amount in amounts])
        assert [found.amount for found in store.problems()] == amounts
