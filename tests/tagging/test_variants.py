# ruff: noqa: RUF001 - letters that look alike are tested
from __future__ import annotations

import time
import tomllib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tagging.bills import KEYS, billed, config, row

from apportion.core.config import Hierarchy, TagPolicy
from apportion.tagging.nearness import is_slip, near_pairs
from apportion.tagging.normalise import Vocabulary
from apportion.tagging.variants import find_variants, quote

WORDS = st.text("abc-.1", min_size=1, max_size=7)


def distance(one, other):
    """Optimal string alignment distance, as the textbook has it."""
    table = {(i, 0): i for i in range(len(one) + 1)} | {(0, j): j for j in range(len(other) + 1)}
    for i, a in enumerate(one, 1):
        for j, b in enumerate(other, 1):
            best = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, table[i - 2, j - 2] + 1)
            table[i, j] = best
    return table[len(one), len(other)]


@given(WORDS, WORDS)
def test_a_slip_is_one_step_of_the_textbook_distance(one, other):
    said = is_slip(one, other)
    assert said == is_slip(other, one)
    assert not said or distance(one, other) == 1
    digits = [[c for c in word if c.isdigit()] for word in (one, other)]
    if distance(one, other) == 1 and digits == [[], []] and min(len(one), len(other)) > 4:
        assert said


@given(st.lists(WORDS, max_size=12))
def test_near_pairs_are_found_without_comparing_all_with_all(words):
    found = near_pairs(words)
    for one in set(words):
        for other in set(words):
            if one < other and is_slip(one, other):
                assert (one, other) in found
    assert all(one < other for one, other in found)


@pytest.mark.parametrize(
    ("one", "other"),
    [("team1", "team2"), ("v1.1", "v11"), ("gpt-4", "gpt-5"), ("dev", "div"), ("core", "code"), ("ml-1-1", "ml-11")],
)
def test_different_things_are_not_near(one, other):
    assert near_pairs([one, other]) == {}


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("search", "serach", "slip"),
        ("prd", "prod", "slip"),
        ("searchml", "search-ml", "joints"),
        ("search", "sеarch", "look-alike"),
        ("payments", "payrnents", "look-alike"),
        ("se\u200barch", "search", "look-alike"),
    ],
)
def test_near_words_are_told_with_the_reason(one, other, why):
    assert near_pairs([one, other]) == {tuple(sorted((one, other))): why}


def test_ten_thousand_names_take_no_time():
    start = time.perf_counter()
    assert near_pairs(f"project-{place:05}-x" for place in range(10_000)) == {}
    assert time.perf_counter() - start < 10


def test_variants_by_hand(tmp_path):
    rows = [
        row({"team": "search"}),
        row({"team": "Search"}),
        row({"team": "serach"}),
        row({"Team": "Serach "}),
        row({"team": "sеarch"}),
        row({"company/team": "search", "aws:team": "x", "tmp-team": "x"}),
        row({"projcet": "p"}),
    ]
    amounts = [("USD", "100", 5), ("EUR", "1", 5), ("USD", "2", 2), ("USD", "-1", 2), "8", "16", "32"]
    settings_ = config(policy=TagPolicy(ignore=("tmp-*",)))
    with billed(tmp_path, rows, amounts, settings_) as db:
        found = find_variants(db, settings_)
    slip, alike = found.values
    assert (slip.dimension, slip.value, slip.into, slip.why) == ("team", "serach", "search", "differs in one letter")
    assert slip.spellings == ("Serach ", "serach")
    assert (slip.use.rows, slip.use.charges, slip.use.size, slip.use.amount) == (2, 4, {"USD": 3}, {"USD": 1})
    assert slip.toml == '[tags.values.team]\n"serach" = "search"'
    assert (alike.value, alike.into) == ("sеarch", "search")
    assert alike.why == "looks the same but has other letters: check who sets it"
    keys = {one.key: one for one in found.keys}
    assert set(keys) == {"company/team", "projcet"}
    assert keys["company/team"].why == "is the key behind a prefix"
    assert keys["company/team"].toml == '[tags.keys]\nteam = ["team", "squad", "company/team"]'
    assert (keys["projcet"].like, keys["projcet"].use.size) == ("project", {"USD": Decimal(32)})


def test_following_the_advice_merges_the_values(tmp_path):
    rows = [row({"team": "search"}), row({"team": "se\u200barch"}), row({"team": "sеarch"}), row({"team": 'searc"h'})]
    amounts = [("USD", "1", 9), "1", "1", "1"]
    with billed(tmp_path, rows, amounts, config()) as db:
        found = find_variants(db, config()).values
    assert len(found) == 3
    spellings = {}
    for one in found:
        spellings |= tomllib.loads(one.toml)["tags"]["values"]["team"]
    words = Vocabulary.of(config(values={"team": spellings}))
    assert {words.spelled("team", one["Tags"][0][1]) for one in rows} == {"search"}
    with billed(tmp_path, rows, amounts, config(values={"team": spellings})) as db:
        assert find_variants(db, config(values={"team": spellings})).values == ()


def test_the_known_name_wins_over_the_more_used_and_two_known_names_stay_two(tmp_path):
    settings_ = config(hierarchy=Hierarchy({"search": "Web", "searchx": "Lab"}))
    rows = [row({"team": "serach"}), row({"team": "searchx"}), row({"team": "search"})]
    with billed(tmp_path, rows, [("USD", "1", 99), "1", "1"], settings_) as db:
        found = find_variants(db, settings_).values
    assert [(one.value, one.into) for one in found] == [("serach", "search")]


def test_a_key_that_differs_in_spaces_and_case_only_is_merged_already(tmp_path):
    with billed(tmp_path, [row({" TEAM ": "a"})], ["1"], config()) as db:
        assert find_variants(db, config()).keys == ()


@given(st.text())
def test_a_quoted_text_reads_back(text):
    assert tomllib.loads(f"x = {quote(text)}")["x"] == text


def test_no_bill_has_no_variants(tmp_path):
    with billed(tmp_path, [], [], config(keys=KEYS)) as db:
        found = find_variants(db, config())
    assert (found.values, found.keys) == ((), ())
