from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from tests.reports.books import charge, post
from tests.reports.test_cost_by import ADS, NOBODY, RISK_RULE, ask, table

from apportion.errors import UnknownName
from apportion.store.records import Restatement, RestatementLine, SnapshotDraft


@pytest.fixture
def books(store):
    return post(
        store,
        [
            charge("2026-08", "10", (1, ADS)),
            charge("2026-09", "20", (1, ADS)),
            charge("2026-10", "30", (1, ADS), (2, RISK_RULE)),
            charge("2026-10", "10", (1, NOBODY)),
        ],
    )


def test_evidence_tells_how_much_rests_on_which_rule(store, books):
    answer = ask(store, books, "evidence", "2026-10")
    assert table(answer, "evidence", "tier", "rule", "cost", "share", "pieces") == [
        ("direct", "T1", "tag:team@1", Decimal(10), Decimal("0.25"), 1),
        ("inferred", "T3", "rule:nightly@ab12", Decimal(20), Decimal("0.5"), 1),
        ("unallocated", "T5", "none", Decimal(10), Decimal("0.25"), 1),
        ("Total", None, None, Decimal(40), Decimal(1), 3),
    ]


def test_the_trend_gives_each_month_with_what_has_an_owner(store, books):
    answer = ask(store, books, "trend", "2026-10", trend_months=4)
    assert table(answer, "month", "cost", "change", "owned_share", "trend") == [
        ("2026-07", None, None, None, None),
        ("2026-08", Decimal(10), None, Decimal(1), None),
        ("2026-09", Decimal(20), Decimal(10), Decimal(1), None),
        ("2026-10", Decimal(40), Decimal(20), Decimal("0.75"), None),
        ("Total", Decimal(70), None, Decimal("0.857142857142857143"), Decimal(15)),
    ]
    assert answer.notes == ("Trend: least squares, per month over 4 months (2026-07..2026-10).",)


def test_the_trend_of_a_range_gives_the_months_of_the_range(store, books):
    answer = ask(store, books, "trend", "2026-09..2026-10", filters={"team": ("Ads",)})
    assert table(answer, "month", "cost", "change") == [
        ("2026-09", Decimal(20), Decimal(10)),
        ("2026-10", Decimal(10), Decimal(-10)),
        ("Total", Decimal(30), None),
    ]


@pytest.fixture
def restated(store, books):
    """The bill of October came again: compute is 1.50 more, storage is new, on another account's behalf."""
    old = store.snapshot(books.parts[2].snapshot_id)
    folder = store.stage()
    for name in ("charges.parquet", "attributes.parquet"):
        (folder / name).write_bytes((old.folder / name).read_bytes())
    again = replace(old, id="newer", folder=folder, stored=())
    lines = (
        RestatementLine("Compute", "S-1", "ads", "USD", Decimal(30), Decimal("31.5")),
        RestatementLine("Storage", "S-2", "", "USD", Decimal(0), Decimal(4)),
        RestatementLine("Storage", "S-2", "", "EUR", Decimal(2), Decimal(1)),
    )
    at = datetime(2026, 11, 3, 4, 5, 6)
    store.publish_snapshots([SnapshotDraft(again)], [Restatement(old.scope, old.id, again.id, at, lines)])
    return books


def test_restatements_show_what_changed_the_largest_first(store, restated):
    answer = ask(store, restated, "restatements", "2026-10", metric="ListCost", currency="USD")
    assert answer.metric == "BilledCost"
    assert table(answer, "month", "source", "service", "account", "team_tag", "before", "after", "change") == [
        ("2026-10", "hand", "Storage", "S-2", "", Decimal(0), Decimal(4), Decimal(4)),
        ("2026-10", "hand", "Compute", "S-1", "ads", Decimal(30), Decimal("31.5"), Decimal("1.5")),
        ("Total", None, None, None, None, Decimal(30), Decimal("35.5"), Decimal("5.5")),
    ]
    assert table(answer, "change_ratio", "at", currency="EUR")[0] == (Decimal("-0.5"), "2026-11-03 04:05:06")
    assert [section.currency for section in answer.sections] == ["USD", "EUR"]


def test_restatements_can_be_chosen_by_service_and_account(store, restated):
    answer = ask(store, restated, "restatements", "2026-10", filters={"service": ("Compute",), "account": ("A-1",)})
    assert table(answer, "service", "change") == [("Compute", Decimal("1.5")), (None, Decimal("1.5"))]


def test_restatements_know_no_owner(store, restated):
    with pytest.raises(UnknownName) as refused:
        ask(store, restated, "restatements", "2026-10", filters={"team": ("Ads",)})
    assert str(refused.value) == "There is no filter of the report 'restatements' 'team'. Known: account, service."


def test_a_month_that_was_never_restated_says_so(store, books):
    assert ask(store, books, "restatements", "2026-10").notes == ("No bill of 2026-10 was restated.",)
