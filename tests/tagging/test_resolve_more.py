# ruff: noqa: RUF001 - letters that look alike are tested
from __future__ import annotations

import random
import time
from datetime import date, timedelta
from itertools import pairwise

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tagging.bills import config, only, row, rule, shares, write
from tests.tagging.resolving import ALWAYS, HOSTILE, QUICK, TAGS, bills, intervals, said

from apportion.core import tables
from apportion.core.arrow import schema
from apportion.core.config import Hierarchy, Maps, TagPolicy
from apportion.core.money import MAX_WHOLE
from apportion.core.targets import COLUMNS, DIMENSIONS
from apportion.engine import duck
from apportion.errors import ConfigError
from apportion.tagging.normalise import Vocabulary
from apportion.tagging.resolve import resolve


def test_a_split_can_start_and_end(tmp_path):
    split = rule("s", shares=[(1, {"team": "a"}), (2, {"team": "b"})], valid_from=date(2026, 10, 10))
    found = shares(tmp_path, [row({})], config([split]))
    assert [(s["x_ValidFrom"].year, *interval) for s, interval in zip(found, intervals(found), strict=True)] == [
        (1, 0, 1, 1, "unallocated", "unallocated"),
        (2026, 0, 1, 3, "a", "unallocated"),
        (2026, 1, 3, 3, "b", "unallocated"),
    ]


def test_a_split_sets_its_dimensions_and_leaves_the_others_equal_on_every_piece(tmp_path):
    split = rule("s", shares=[(60, {"team": "a"}), (40, {"team": "b"})])
    found = shares(tmp_path, [row({"project": "p"})], config([split]))
    assert intervals(found) == [(0, 60, 100, "a", "p"), (60, 100, 100, "b", "p")]
    assert {said(s, "team")[1:] for s in found} == {("T3", "rule:s")}
    assert {said(s, "project")[1:] for s in found} == {("T1", "tag:project")}


def test_a_dimension_that_only_some_shares_set_is_left_to_the_next_rung_on_the_others(tmp_path):
    split = rule("s", shares=[(1, {"team": "a", "project": "x"}), (1, {"team": "b"})])
    found = shares(tmp_path, [row({})], config([split, rule("r", {"project": "rest"})]))
    assert intervals(found) == [(0, 1, 2, "a", "x"), (1, 2, 2, "b", "rest")]


def test_of_two_splits_the_first_wins_and_the_later_is_passed_over_whole(tmp_path):
    first = rule("s", shares=[(60, {"team": "a"}), (40, {"team": "b"})])
    later = rule("t", shares=[(1, {"project": "x"}), (1, {"project": "y"})])
    found = shares(tmp_path, [row({})], config([first, later]))
    assert intervals(found) == [(0, 60, 100, "a", "unallocated"), (60, 100, 100, "b", "unallocated")]


def test_a_split_that_settles_nothing_leaves_the_charge_to_the_next_split(tmp_path):
    first = rule("s", shares=[(60, {"team": "a"}), (40, {"team": "b"})])
    later = rule("t", shares=[(1, {"project": "x"}), (1, {"project": "y"})])
    found = shares(tmp_path, [row({"team": "own"})], config([first, later]))
    assert intervals(found) == [(0, 1, 2, "own", "x"), (1, 2, 2, "own", "y")]


def test_a_split_by_override_beats_the_resources_own_tag(tmp_path):
    split = rule("s", shares=[(3, {"team": "a"}), (1, {"team": "b"})], override=True)
    assert intervals(shares(tmp_path, [row({"team": "own"})], config([split])))[0] == (0, 3, 4, "a", "unallocated")


def test_neighbouring_shares_of_one_owner_are_one_piece_and_shares_of_weight_zero_are_none(tmp_path):
    split = rule("s", shares=[(1, {"team": "a"}), (2, {"team": "A"}), (0, {"team": "c"}), (1, {"team": "b"})])
    assert intervals(shares(tmp_path, [row({})], config([split]))) == [
        (0, 3, 4, "a", "unallocated"),
        (3, 4, 4, "b", "unallocated"),
    ]
    same = rule("s", shares=[(1, {"team": "a"}), (2, {"team": "A"})])
    assert intervals(shares(tmp_path, [row({})], config([same]))) == [(0, 1, 1, "a", "unallocated")]


def test_each_piece_follows_the_owner_of_its_model(tmp_path):
    split = rule("s", shares=[(1, {"model": "m"}), (1, {"model": "n"})])
    hierarchy = Hierarchy(models={"m": {"team": "tm"}, "n": {"team": "tn"}})
    found = shares(tmp_path, [row({})], config([split], hierarchy=hierarchy))
    assert [s["x_Team"] for s in found] == ["tm", "tn"]


@pytest.mark.parametrize("weights", [(0, 0), (-1, 2), (MAX_WHOLE, 1)])
def test_weights_that_cannot_tile_a_whole_are_refused(tmp_path, weights):
    split = rule("s", shares=[(weight, {"team": "a"}) for weight in weights])
    with pytest.raises(ConfigError) as caught:
        only(tmp_path, row({}), config([split]))
    assert str(caught.value) == (
        f"apportion.toml: rules.s.shares: the weights add up to {sum(weights)}, or one is negative. Give each share a "
        f"weight of 0 or more; together between 1 and {MAX_WHOLE}."
    )


@pytest.mark.parametrize("where", ["value", "key", "rule", "account", "allocated"])
def test_hostile_texts_are_only_texts(tmp_path, where):
    rows, rules, accounts = [], [], {}
    for place, text in enumerate(HOSTILE):
        if where == "value":
            rows.append(row({"team": text}))
        elif where == "key":
            rows.append(row({text: "core", "team": f"t{place}"}))
        elif where == "rule":
            rows.append(row({}, ResourceName=text))
            rules.append(rule(f"r{place}", {"team": f"t{place}"}, equals={"resource_name": (text,)}))
        elif where == "account":
            rows.append(row({}, SubAccountId=text))
            accounts[text] = {"team": f"t{place}"}
        else:
            import json

            rows.append(row({}, AllocatedTags=json.dumps({"team": text})))
    found = shares(tmp_path, rows, config(rules, maps=Maps(accounts)))
    words = Vocabulary.of(config())
    spelled = [words.spelled("team", text) for text in HOSTILE]
    expected = spelled if where in {"value", "allocated"} else [f"t{place}" for place in range(len(HOSTILE))]
    assert [s["x_Team"] for s in found] == expected


def test_a_runaway_pattern_over_long_texts_takes_no_time(tmp_path):
    settings_ = config([rule("r", {"team": "x"}, matches={"resource_name": "(a+)+$"}, tags_match={"job": "(a+)+$"})])
    rows = [row({"job": "a" * 50_000 + "b"}, ResourceName="a" * 100_000 + "b") for _ in range(5)]
    start = time.perf_counter()
    found = shares(tmp_path, rows, settings_)
    assert time.perf_counter() - start < 5
    assert {s["x_Team"] for s in found} == {"unallocated"}


def test_a_lookalike_team_gets_its_own_line_not_the_real_teams(tmp_path):
    settings_ = config(hierarchy=Hierarchy({"search": "Web"}))
    found = shares(tmp_path, [row({"team": "Search "}), row({"team": "sеarch"})], settings_)
    assert [(s["x_Team"], s["x_BusinessUnit"]) for s in found] == [("search", "Web"), ("sеarch", "unallocated")]


@QUICK
@given(bills())
def test_shares_tile_the_whole_of_every_attribute_for_all_time(tmp_path, bill):
    rows, settings_ = bill
    found = shares(tmp_path, rows, settings_)
    assert {s["x_AttributeNo"] for s in found} == set(range(1, len(rows) + 1))
    for number in range(1, len(rows) + 1):
        own = [s for s in found if s["x_AttributeNo"] == number]
        segments = sorted({(s["x_ValidFrom"], s["x_ValidUntil"]) for s in own})
        assert (segments[0][0], segments[-1][1]) == ALWAYS
        assert all(one[1] == following[0] for one, following in pairwise(segments))
        for start, _ in segments:
            pieces = [s for s in own if s["x_ValidFrom"] == start]
            ends = [0, *(s["x_ShareHigh"] for s in pieces)]
            assert [s["x_ShareLow"] for s in pieces] == ends[:-1]
            assert all(low < high for low, high in pairwise(ends))
            assert {s["x_ShareWhole"] for s in pieces} == {ends[-1]}
    metered = {"x_WorkloadKind", "x_WorkloadId", "x_HostTeam"}
    assert all((value is None) == (name in metered) for s in found for name, value in s.items())
    assert all(
        (s[f"x_{d.capitalize()}Evidence"] == "T5") == (s[f"x_{d.capitalize()}RuleId"] == "none")
        for s in found
        for d in DIMENSIONS
    )


@QUICK
@given(bills(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_of_tags_changes_nothing(tmp_path, bill, chance: random.Random):
    rows, settings_ = bill
    numbered = [{"x_AttributeNo": place} | one for place, one in enumerate(rows, 1)]
    expected = shares(tmp_path, numbered, settings_)
    mixed = [
        one | {"Tags": None if one["Tags"] is None else chance.sample(one["Tags"], len(one["Tags"]))}
        for one in chance.sample(numbered, len(numbered))
    ]
    assert shares(tmp_path, mixed, settings_) == expected


@QUICK
@given(st.lists(TAGS, min_size=1, max_size=6))
def test_the_joins_say_what_the_vocabulary_says(tmp_path, tags):
    settings_ = config(policy=TagPolicy(allowed={"team": ("X-Y",)}), values={"model": {"m": "Bert"}})
    words = Vocabulary.of(settings_)
    found = shares(tmp_path, [row(one) for one in tags], settings_)
    for one, share in zip(tags, found, strict=True):
        own = words.of_tags(one)
        assert [share[COLUMNS[d]] for d in DIMENSIONS] == [own.get(d, "unallocated") for d in DIMENSIONS]


def test_the_table_has_the_schema_of_shares_and_no_row_for_no_attribute(tmp_path):
    with duck.session() as db:
        table = resolve(db, write(tmp_path, []), config([rule("r", {"team": "x"})]))
    assert table.schema == schema(tables.RESOLVED)
    assert table.num_rows == 0


def test_one_session_resolves_one_snapshot_after_another(tmp_path):
    settings_ = config([rule("r", {"project": "x"}, tags={"zone": ("1",)})])
    with duck.session() as db:
        first = resolve(db, write(tmp_path, [row({"team": "a", "zone": "1"})]), settings_).to_pylist()
        second = resolve(db, write(tmp_path, [row({"squad": "b"})]), settings_).to_pylist()
    assert [(s["x_Team"], s["x_Project"]) for s in first + second] == [("a", "x"), ("b", "unallocated")]


def test_thread_count_does_not_change_a_byte(tmp_path):
    chance = random.Random(7)  # noqa: S311 - any numbers will do
    rows = [
        row(
            {"team": f"t{chance.randrange(9)}", "Team": f"u{chance.randrange(9)}"},
            SubAccountId=str(chance.randrange(5)),
        )
        for _ in range(3000)
    ]
    split = rule("s", shares=[(1, {"project": "a"}), (2, {"project": "b"})], equals={"account": ("3",)})
    path = write(tmp_path, rows)
    tables_ = []
    for threads in (1, 2, 4):
        with duck.session(threads=threads) as db:
            pq.write_table(resolve(db, path, config([split])), tmp_path / f"{threads}.parquet")
        tables_.append((tmp_path / f"{threads}.parquet").read_bytes())
    assert len(set(tables_)) == 1


def test_the_last_moment_of_time_is_not_passed(tmp_path):
    rules = [rule("r", {"team": "x"}, valid_from=date(1, 1, 1), valid_until=date.max)]
    share = only(tmp_path, row({}), config(rules))
    assert (share["x_ValidFrom"], share["x_ValidUntil"], share["x_Team"]) == (*ALWAYS, "x")
    assert ALWAYS[1] - ALWAYS[0] > timedelta(days=3_000_000)
