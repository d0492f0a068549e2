# ruff: noqa: RUF001 - letters that look alike are tested
from __future__ import annotations

import random
import time
from datetime import date, datetime, timedelta
from itertools import pairwise

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tagging.bills import config, only, row, rule, shares, write

from apportion.core import tables
from apportion.core.arrow import schema
from apportion.core.config import Hierarchy, Maps, TagPolicy
from apportion.core.money import MAX_WHOLE
from apportion.core.targets import COLUMNS, DIMENSIONS
from apportion.engine import duck
from apportion.errors import ConfigError, UnknownName
from apportion.tagging.normalise import Vocabulary
from apportion.tagging.resolve import resolve

ALWAYS = (datetime(1, 1, 1), datetime(9999, 12, 31))


def said(share, dimension):
    """Value, tier and rule (without its version) of one dimension of a share."""
    word = dimension.capitalize()
    return share[COLUMNS[dimension]], share[f"x_{word}Evidence"], share[f"x_{word}RuleId"].partition("@")[0]


def intervals(found):
    return [(s["x_ShareLow"], s["x_ShareHigh"], s["x_ShareWhole"], s["x_Team"], s["x_Project"]) for s in found]


# --- the rungs ------------------------------------------------------------------------------------------------------

RUNGS = {
    "override": "T3",
    "provider-split": "T2",
    "tag:team": "T1",
    "model-map": "T1",
    "rule:plain": "T3",
    "resource-group-map": "T3",
    "account-map": "T3",
}


def everything(without=()):
    """A row and a configuration in which every rung but some has a team to give."""
    columns = {"x_ResourceGroup": "RG-1", "SubAccountId": "sub"}
    tags = {}
    if "provider-split" not in without:
        columns["AllocatedTags"] = '{"Team": "from-split"}'
    if "tag:team" not in without:
        tags["team"] = "from-tag"
    if "model-map" not in without:
        tags["model"] = "bert"
    rules = []
    if "rule:plain" not in without:
        rules.append(rule("plain", {"team": "from-rule"}))
    if "override" not in without:
        rules.append(rule("over", {"team": "from-override"}, override=True))
    maps = Maps(
        {} if "account-map" in without else {"sub": {"team": "from-account"}},
        {} if "resource-group-map" in without else {"rg-1": {"team": "from-group"}},
    )
    hierarchy = Hierarchy(models={"bert": {"team": "from-model"}})
    return row(tags, **columns), config(rules, hierarchy=hierarchy, maps=maps)


@pytest.mark.parametrize(
    ("place", "expected"),
    list(
        enumerate(
            [
                ("from-override", "T3", "rule:over"),
                ("from-split", "T2", "provider-split"),
                ("from-tag", "T1", "tag:team"),
                ("from-model", "T1", "model-map"),
                ("from-rule", "T3", "rule:plain"),
                ("from-group", "T3", "resource-group-map"),
                ("from-account", "T3", "account-map"),
                ("unallocated", "T5", "none"),
            ]
        )
    ),
)
def test_the_first_rung_that_answers_decides(tmp_path, place, expected):
    without = tuple(RUNGS)[:place]
    assert said(only(tmp_path, *everything(without)), "team") == expected


def test_each_dimension_climbs_on_its_own(tmp_path):
    rules = [rule("r", {"team": "rule-team", "project": "rule-project"})]
    maps = Maps({"sub": {"environment": "prod", "project": "map-project"}})
    share = only(tmp_path, row({"team": "core"}, SubAccountId="sub"), config(rules, maps=maps))
    assert [said(share, d)[:2] for d in DIMENSIONS] == [
        ("core", "T1"),
        ("rule-project", "T3"),
        ("unallocated", "T5"),
        ("prod", "T3"),
    ]


def test_every_rule_id_but_none_and_the_providers_split_carries_a_version(tmp_path):
    share = only(tmp_path, *everything(("override", "provider-split")))
    assert share["x_TeamRuleId"] == "tag:team@" + Vocabulary.of(config()).version("team")
    share = only(tmp_path, *everything(tuple(RUNGS)[:4]))
    assert share["x_TeamRuleId"] == "rule:plain@v1"
    share = only(tmp_path, *everything(tuple(RUNGS)[:5]))
    assert share["x_TeamRuleId"].startswith("resource-group-map@")
    assert len(share["x_TeamRuleId"]) == len("resource-group-map@") + 8


def test_a_rule_without_version_gets_one_from_its_content(tmp_path):
    from dataclasses import replace

    rules = [replace(rule("r", {"team": team}), version="") for team in ("a", "b")]
    ids = [only(tmp_path, row({}), config([one]))["x_TeamRuleId"] for one in rules]
    assert ids[0] != ids[1]
    assert all(name.startswith("rule:r@") and len(name) == 15 for name in ids)


def test_the_model_known_by_a_rule_answers_before_the_next_rule_but_not_before_its_own(tmp_path):
    hierarchy = Hierarchy(models={"claude": {"team": "owner", "project": "owned"}})
    names = rule("names", {"model": "claude", "project": "said"})
    settings_ = config([names, rule("later", {"team": "later", "project": "later"})], hierarchy=hierarchy)
    share = only(tmp_path, row({}), settings_)
    assert said(share, "team") == ("owner", "T3", "model-map")
    assert said(share, "project") == ("said", "T3", "rule:names")


def test_the_model_of_an_override_does_not_beat_the_resources_own_team(tmp_path):
    hierarchy = Hierarchy(models={"claude": {"team": "owner"}})
    rules = [rule("o", {"model": "claude"}, override=True)]
    assert said(only(tmp_path, row({"team": "core"}), config(rules, hierarchy=hierarchy)), "team")[0] == "core"
    assert said(only(tmp_path, row({}), config(rules, hierarchy=hierarchy)), "team") == ("owner", "T3", "model-map")


def test_the_model_of_the_providers_split_has_its_tier(tmp_path):
    hierarchy = Hierarchy(models={"Bert": {"team": "owner"}})
    share = only(tmp_path, row({}, AllocatedTags='{"model": "BERT"}'), config(hierarchy=hierarchy))
    assert said(share, "team") == ("owner", "T2", "model-map")
    assert said(share, "model") == ("Bert", "T2", "provider-split")


def test_the_business_unit_follows_the_team_in_any_spelling(tmp_path):
    hierarchy = Hierarchy({"Search ML": "Web"})
    found = shares(tmp_path, [row({"team": "search_ml"}), row({"team": "other"})], config(hierarchy=hierarchy))
    assert [(s["x_Team"], s["x_BusinessUnit"]) for s in found] == [("Search ML", "Web"), ("other", "unallocated")]


def test_the_sub_account_is_asked_before_the_billing_account(tmp_path):
    maps = Maps({"payer": {"team": "all", "environment": "prod"}, "SUB": {"team": "own"}})
    share = only(tmp_path, row({}, SubAccountId=" sub "), config(maps=maps))
    assert (share["x_Team"], share["x_Environment"]) == ("own", "prod")


def test_an_owner_in_another_spelling_is_the_same_owner(tmp_path):
    rules = [rule("r", {"team": "SEARCH_ml"})]
    share = only(tmp_path, row({}), config(rules, hierarchy=Hierarchy({"search-ml": "Web"})))
    assert (share["x_Team"], share["x_BusinessUnit"]) == ("search-ml", "Web")


def test_a_rule_can_say_that_nobody_owns_a_charge(tmp_path):
    rules = [rule("r", {"team": "unallocated"}, override=True)]
    assert said(only(tmp_path, row({"team": "a"}), config(rules)), "team") == ("unallocated", "T3", "rule:r")


@pytest.mark.parametrize("tags", ["nonsense", "[1]", '"team"', "", '{"team": null}', '{"team": "n/a"}', '{"team": {}'])
def test_allocated_tags_that_say_nothing_leave_the_charge_to_the_next_rung(tmp_path, tags):
    share = only(tmp_path, row({"team": "core"}, AllocatedTags=tags), config())
    assert said(share, "team") == ("core", "T1", "tag:team")


def test_a_piece_of_our_own_export_stays_whose_it_was(tmp_path):
    one = row({"team": "node"}, AllocatedMethodId="apportion/rule:x@1", AllocatedTags='{"apportion/team": "a"}')
    share = only(tmp_path, one, config([rule("o", {"team": "x", "project": "x"}, override=True)]))
    assert said(share, "team") == ("a", "T2", "provider-split")
    assert said(share, "project") == ("unallocated", "T5", "none")


def test_a_piece_of_a_providers_split_is_assigned_but_not_split_again(tmp_path):
    split = rule("s", shares=[(1, {"team": "a"}), (1, {"team": "b"})], override=True)
    plain = rule("r", {"team": "c"})
    found = shares(tmp_path, [row({}, AllocatedMethodId="aws-split")], config([split, plain]))
    assert intervals(found) == [(0, 1, 1, "c", "unallocated")]


# --- conditions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "columns"),
    [
        ({"equals": {"provider": ("aws",)}}, {}),
        ({"equals": {"provider": ("Microsoft", " aws ")}}, {"ServiceProviderName": None, "ProviderName": "AWS"}),
        ({"equals": {"service": ("ec2",)}}, {}),
        ({"equals": {"account": ("payer",)}}, {"SubAccountId": "other"}),
        ({"equals": {"account": ("Other",)}}, {"SubAccountId": "OTHER"}),
        ({"equals": {"account_name": ("prod",)}}, {"BillingAccountName": "Prod"}),
        ({"equals": {"resource_id": ("I-1",)}}, {"ResourceId": "i-1"}),
        ({"matches": {"resource_name": "^train"}}, {"ResourceName": "train-1"}),
        ({"matches": {"resource_type": "(?i)NOTEBOOK"}}, {"ResourceType": "notebook"}),
        ({"equals": {"resource_group": ("rg",)}}, {"x_ResourceGroup": "RG"}),
        ({"equals": {"region": ("eu west",)}}, {"RegionId": "eu-west-1", "RegionName": "EU West"}),
        ({"matches": {"sku": "^p5"}}, {"SkuPriceId": "p5.48xlarge"}),
        ({"matches": {"sku_meter": "Token"}}, {"SkuMeter": "InputTokens"}),
        ({"equals": {"charge_category": ("tax",)}}, {"ChargeCategory": "Tax"}),
        ({"matches": {"charge_description": "a.b"}}, {"ChargeDescription": "xa-bx"}),
        ({"equals": {"service": ("ec2",)}, "matches": {"resource_id": "x"}}, {"ResourceId": "x"}),
    ],
)
def test_a_rule_holds_where_all_its_parts_hold(tmp_path, when, columns):
    settings_ = config([rule("r", {"team": "hit"}, **when)])
    found = shares(
        tmp_path,
        [
            row({}, **columns),
            row({}, ServiceName="S3", BillingAccountId="0", ProviderName="X", ServiceProviderName="X"),
        ],
        settings_,
    )
    assert [s["x_Team"] for s in found] == ["hit", "unallocated"]


def test_a_rule_sees_tags_in_any_spelling_of_key_and_value(tmp_path):
    rules = [
        rule("value", {"team": "by-value"}, tags={"Cost Center": ("R&D 1", "x")}),
        rule("pattern", {"team": "by-pattern"}, tags_match={"job": "^train-"}),
    ]
    rows = [row({"cost_center": "r&d-1"}), row({"JOB": "train-7"}), row({"job": "x"}), row({"Cost Center": "R&D 2"})]
    found = shares(tmp_path, rows, config(rules))
    assert [s["x_Team"] for s in found] == ["by-value", "by-pattern", "unallocated", "unallocated"]


def test_a_rule_over_a_tag_that_no_row_has_holds_nowhere(tmp_path):
    rules = [rule("a", {"team": "x"}, tags={"zone": ("1",)}), rule("b", {"team": "x"}, tags_match={"zone": "1"})]
    assert only(tmp_path, row({"a": "b"}), config(rules))["x_Team"] == "unallocated"


def test_a_rule_with_no_values_to_equal_holds_nowhere(tmp_path):
    assert (
        only(tmp_path, row({}), config([rule("a", {"team": "x"}, equals={"service": ()})]))["x_Team"] == "unallocated"
    )


def test_a_field_no_bill_has_is_named(tmp_path):
    with pytest.raises(UnknownName) as caught:
        only(tmp_path, row({}), config([rule("a", {"team": "x"}, equals={"servce": ("x",)})]))
    assert str(caught.value).startswith(
        "There is no field of a bill for rules 'servce'. Did you mean 'service'? Known: "
    )


def test_the_first_rule_in_file_order_decides(tmp_path):
    rules = [rule("a", {"team": "first"}), rule("b", {"team": "second", "project": "p"})]
    share = only(tmp_path, row({}), config(rules))
    assert (share["x_Team"], share["x_Project"]) == ("first", "p")


# --- dates -----------------------------------------------------------------------------------------------------------


def test_without_dated_rules_one_segment_covers_all_time(tmp_path):
    share = only(tmp_path, row({"team": "a"}), config([rule("r", {"project": "p"})]))
    assert (share["x_ValidFrom"], share["x_ValidUntil"]) == ALWAYS
    assert (share["x_ShareLow"], share["x_ShareHigh"], share["x_ShareWhole"]) == (0, 1, 1)


def test_a_dated_rule_holds_from_its_first_day_until_before_its_last(tmp_path):
    rules = [rule("r", {"team": "x"}, valid_from=date(2026, 10, 5), valid_until=date(2026, 11, 1))]
    found = shares(tmp_path, [row({})], config(rules))
    assert [(s["x_ValidFrom"], s["x_ValidUntil"], s["x_Team"]) for s in found] == [
        (ALWAYS[0], datetime(2026, 10, 5), "unallocated"),
        (datetime(2026, 10, 5), datetime(2026, 11, 1), "x"),
        (datetime(2026, 11, 1), ALWAYS[1], "unallocated"),
    ]


def test_segments_that_agree_are_one(tmp_path):
    rules = [rule("r", {"team": "x"}, valid_from=date(2026, 10, 5)), rule("s", {"team": "y"})]
    found = shares(tmp_path, [row({"team": "own"})], config(rules))
    assert [(s["x_ValidFrom"], s["x_ValidUntil"]) for s in found] == [ALWAYS]


def test_a_rule_whose_end_is_not_after_its_start_never_holds(tmp_path):
    rules = [rule("r", {"team": "x"}, valid_from=date(2026, 10, 5), valid_until=date(2026, 10, 5))]
    assert only(tmp_path, row({}), config(rules))["x_Team"] == "unallocated"


def test_a_split_can_start_and_end(tmp_path):
    split = rule("s", shares=[(1, {"team": "a"}), (2, {"team": "b"})], valid_from=date(2026, 10, 10))
    found = shares(tmp_path, [row({})], config([split]))
    assert [(s["x_ValidFrom"].year, *interval) for s, interval in zip(found, intervals(found), strict=True)] == [
        (1, 0, 1, 1, "unallocated", "unallocated"),
        (2026, 0, 1, 3, "a", "unallocated"),
        (2026, 1, 3, 3, "b", "unallocated"),
    ]


# --- splits ----------------------------------------------------------------------------------------------------------


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


# --- hostile and odd tags --------------------------------------------------------------------------------------------

HOSTILE = [
    "'; DROP TABLE attributes; --",
    '" OR 1=1 --',
    "$p0",
    "{0}",
    "{rules}",
    "%s",
    "\\'; SELECT 1; --",
    "x" * 10_000,
    "a" * 5_000 + "!",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "\u202egnp.exe",
    "\x00nul\x00",
    "новая-команда",
    "研究",
    "🚀",
    "a\nb",
    '{"team": "x"}',
    "getvariable('x')",
]


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


# --- the whole table -------------------------------------------------------------------------------------------------

VALUES = st.sampled_from(["a", "A", "b", "n/a", "m", "x y", "X_y", "", "true"])
TAGS = st.dictionaries(
    st.sampled_from(["team", "Team", "squad", "model", "env", "zone", "project"]), VALUES, max_size=5
)
ALLOCATED = st.sampled_from([None, '{"team": "b"}', '{"model": "M", "model": "a"}', "broken"])
OWNERS = st.dictionaries(st.sampled_from(DIMENSIONS), st.sampled_from(["a", "b", "m", "X y"]), min_size=1)
DAYS = st.one_of(st.none(), st.dates(date(2026, 9, 28), date(2026, 10, 4)))
WHENS = st.sampled_from(
    [{}, {"equals": {"service": ("ec2",)}}, {"tags": {"team": ("a",)}}, {"matches": {"service": "^S"}}]
)


@st.composite
def bills(draw):
    rows = draw(
        st.lists(
            st.builds(
                lambda tags, allocated, service, account: row(
                    tags, AllocatedTags=allocated, ServiceName=service, SubAccountId=account
                ),
                st.one_of(st.none(), TAGS),
                ALLOCATED,
                st.sampled_from(["EC2", "S3"]),
                st.sampled_from([None, "1", "2"]),
            ),
            max_size=8,
        )
    )
    rules = [
        rule(
            f"r{place}",
            shares=draw(st.lists(st.tuples(st.integers(1, 5), OWNERS), min_size=1, max_size=3)),
            valid_from=draw(DAYS),
            valid_until=draw(DAYS),
            override=draw(st.booleans()),
            **draw(WHENS),
        )
        for place in range(draw(st.integers(0, 4)))
    ]
    hierarchy = Hierarchy({"a": "unit"}, {"m": {"team": "b"}})
    return rows, config(rules, hierarchy=hierarchy, maps=Maps({"1": {"project": "q"}}))


QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


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
    assert all(value is not None for s in found for value in s.values())
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
    assert table.schema == schema(tables.SHARES)
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
