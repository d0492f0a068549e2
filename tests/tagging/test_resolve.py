from __future__ import annotations

from datetime import date, datetime

import pytest
from tests.tagging.bills import config, only, row, rule, shares
from tests.tagging.resolving import ALWAYS, RUNGS, everything, intervals, said

from apportion.core.config import Hierarchy, Maps
from apportion.core.targets import DIMENSIONS
from apportion.errors import UnknownName
from apportion.tagging.normalise import Vocabulary


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
