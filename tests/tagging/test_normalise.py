# ruff: noqa: RUF001 - letters that look alike are tested
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tagging.bills import config, rule

from apportion.core.config import Hierarchy, Maps, TagPolicy
from apportion.tagging.lookalikes import skeleton
from apportion.tagging.normalise import (
    MISSING,
    SYSTEM_KEYS,
    Vocabulary,
    compared,
    is_missing,
    is_system_key,
    key_form,
    plain,
)

LOOKALIKES = [
    "sеarch",
    "seаrch",
    "searсh",
    "ѕearch",
    "ѕеагсһ",
    "seɑrch",
    "ｓearch\u200bx",
    "se\u200barch",
    "sea\u00adrch",
    "sear\u0441h",
    "\u03f2earch",
    "searcһ",
    "s\u0435\u0430r\u0441h",
    "5earch",
    "seerch",
    "search1",
    "searchı",
    "séarch",
]


@given(st.text(max_size=40))
def test_the_plain_form_of_a_plain_form_is_itself(text):
    assert plain(plain(text)) == plain(text)
    assert compared(plain(text)) == compared(text)


@given(st.text(max_size=20))
def test_outer_spaces_and_case_never_tell_two_values_apart(text):
    assert plain(f"  {text.casefold()}\t") == plain(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Team1", "Team1 "),
        ("search_ml", "Search  ML"),
        ("ｓｅａｒｃｈ", "search"),
        ("Straße", "STRASSE"),
        ("search-ml", "search–ml"),
        ("\ufeffsearch", "search\u200b"),
        ("llama 3.1", "llama-3-1"),
    ],
)
def test_values_that_differ_in_case_width_spaces_or_joints_compare_equal(one, other):
    assert compared(one) == compared(other)


@pytest.mark.parametrize(("one", "other"), [("v1.1", "v11"), ("team-1", "team-11"), ("a-b", "ab"), ("c++", "c")])
def test_values_that_differ_in_letters_or_digits_do_not_compare_equal(one, other):
    assert compared(one) != compared(other)


@pytest.mark.parametrize("value", LOOKALIKES)
def test_a_lookalike_of_a_known_team_is_never_taken_for_it(value):
    words = Vocabulary.of(config(hierarchy=Hierarchy({"search": "Web"})))
    assert words.spelled("team", "Search") == "search"
    assert words.spelled("team", value) not in {None, "search"}


@pytest.mark.parametrize("value", ["sеarch", "ѕеагсһ", "se\u200barch", "seаrch", "séarch", "searϲh"])
def test_letters_of_other_scripts_share_the_skeleton_of_the_latin_ones(value):
    assert skeleton(value) == skeleton("search")


@pytest.mark.parametrize(
    "value", ["", " ", "NULL", "None", "n/a", "N/A ", "unknown", "TBD", "Unallocated", "idle", "--"]
)
def test_values_that_say_nothing_count_as_missing(value):
    assert is_missing(value)
    assert Vocabulary.of(config()).spelled("team", value) is None


def test_a_tag_without_a_value_says_nothing():
    assert Vocabulary.of(config()).spelled("team", "true") is None


def test_the_value_map_can_make_a_name_of_a_word_that_says_nothing():
    words = Vocabulary.of(config(values={"team": {"na": "north-america", "ops": "n/a"}}))
    assert words.spelled("team", "NA") == "north-america"
    assert words.spelled("team", "ops") is None
    assert words.spelled("project", "NA") is None


def test_every_word_for_nothing_is_written_in_plain_form():
    assert [word for word in MISSING if plain(word) != word] == []


def test_the_spelling_is_the_value_maps_then_an_allowed_one_then_the_hierarchys_then_a_rules_then_the_plain_one():
    words = Vocabulary.of(
        config(
            [rule("r", {"team": "Rule Team"})],
            values={"team": {"SML": "Search ML"}},
            policy=TagPolicy(allowed={"team": ("Vision-Team",)}),
            hierarchy=Hierarchy({"vision_team": "A", "Speech": "B"}, {"LLaMA-3.1": {"team": "Owner Team"}}),
            maps=Maps({"1": {"team": "Map Team"}}),
        )
    )
    said = {
        value: words.spelled("team", value) for value in ("sml", "vision team", "SPEECH", "owner_team", "rule team")
    }
    assert said == {
        "sml": "Search ML",
        "vision team": "Vision-Team",
        "SPEECH": "Speech",
        "owner_team": "Owner Team",
        "rule team": "Rule Team",
    }
    assert words.spelled("team", "map-team") == "Map Team"
    assert words.spelled("model", "llama_3.1") == "LLaMA-3.1"
    assert words.spelled("team", " Some_New  Team.v2") == "some-new-team.v2"


def test_two_known_names_that_differ_in_a_dot_only_stay_two():
    words = Vocabulary.of(config(policy=TagPolicy(allowed={"model": ("llama-3.1", "llama-3-1")})))
    assert [words.spelled("model", v) for v in ("Llama 3.1", "Llama 3-1", "llama.3.1")] == [
        "llama-3.1",
        "llama-3-1",
        "llama-3.1",
    ]


@pytest.mark.parametrize("key", [" Cost_Center", "costCenter", "COST-CENTER", "cost.center", "Cost Center"])
def test_spellings_of_a_key_are_one_key(key):
    assert key_form(key) == "costcenter"


@pytest.mark.parametrize(
    "key",
    [
        "aws:createdBy",
        "aks-managed-cluster-name",
        "hidden-managedby",
        "ms-resource-usage",
        "goog-dataproc-cluster-name",
        "k8s-cluster",
        "AKS_managed_x",
        "app.kubernetes.io/name",
    ],
)
def test_keys_that_providers_write_are_system_keys(key):
    assert is_system_key(key)


@pytest.mark.parametrize("key", ["team", "env", "my-aws", "cost-center", "hidden"])
def test_keys_that_owners_write_are_not(key):
    assert not is_system_key(key)
    assert is_system_key(key, [key.upper()])


def test_system_patterns_are_written_in_lower_case():
    assert [pattern for pattern in SYSTEM_KEYS if pattern != pattern.lower()] == []


def test_keys_are_asked_in_order_and_an_exact_spelling_first():
    words = Vocabulary.of(config())
    assert words.of_tags({"squad": "b", "TEAM": "n/a", "Team": "a", "env": "prod"}) == {
        "team": "a",
        "environment": "prod",
    }
    assert words.of_tags({"TEAM": "x", "team": "y"}) == {"team": "y"}
    assert words.of_tags({"TEAM": "x", "Team": "y"}) == {"team": "x"}
    assert words.of_tags({"team": "?", "squad": "b"}) == {"team": "b"}
    assert words.of_tags({"other": "x"}) == {}


def test_one_key_can_answer_for_two_dimensions():
    words = Vocabulary.of(config(keys={"team": ("owner", "Owner"), "project": ("app", "owner")}))
    assert words.of_tags({"owner": "x"}) == {"team": "x", "project": "x"}


def test_the_version_of_a_dimension_changes_with_its_keys_and_values_only():
    base = Vocabulary.of(config())
    mapped = Vocabulary.of(config(values={"team": {"a": "b"}}))
    assert base.version("team") != mapped.version("team")
    assert base.version("project") == mapped.version("project")
