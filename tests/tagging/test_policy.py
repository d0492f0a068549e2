# ruff: noqa: RUF001 - letters that look alike are tested
from __future__ import annotations

from tests.tagging.bills import billed, config, row, rule

from apportion.core.config import PolicyCase, TagPolicy
from apportion.tagging.policy import policy_breaches


def breaches(tmp_path, rows, amounts, settings):
    with billed(tmp_path, rows, amounts, settings) as db:
        return policy_breaches(db, settings)


def test_missing_tags_are_counted_with_their_money(tmp_path):
    rows = [
        row({}, ResourceId="i-1"),
        row({}, ResourceId="i-1", ChargeCategory="Credit"),
        row({"team": "tbd"}, ResourceId="i-2"),
        row({"team": "a"}, ResourceId="i-3"),
        row({}, ChargeCategory="Tax"),
    ]
    settings = config([rule("r", {"team": "by-rule"})], policy=TagPolicy(required=("team",)))
    (found,) = breaches(tmp_path, rows, ["5", "-2", ("USD", "1", 4), "9", "9"], settings)
    assert (found.code, found.dimension, found.value, found.currency) == ("missing", "team", "", "USD")
    assert (found.resources, found.charges, found.size, found.amount) == (2, 6, 8, 4)
    assert (found.what, found.fix) == ("no tag tells the team", "Tag them with team, or write a rule.")


def test_a_case_asks_for_more_where_it_holds(tmp_path):
    policy = TagPolicy(cases=(PolicyCase({"environment": ("Production", "staging")}, ("model",)),))
    settings = config(values={"environment": {"production": "prod"}}, policy=policy)
    rows = [row({"env": "prod"}, ResourceId="a"), row({"env": "dev"}, ResourceId="b"), row({}, ResourceId="c")]
    (found,) = breaches(tmp_path, rows, ["1", "2", "4"], settings)
    assert (found.size, found.what) == (1, "no tag tells the model where environment is Production or staging")


def test_values_outside_the_allowed_ones_are_listed_and_still_count(tmp_path):
    settings = config(policy=TagPolicy(allowed={"team": ("search", "Vision")}))
    rows = [row({"team": t}, ResourceId=t) for t in ("SEARCH", "vision", "serach", "sеarch", "zzz")]
    found = {one.value: one for one in breaches(tmp_path, rows, ["1", "1", "2", "3", "4"], settings)}
    assert set(found) == {"serach", "sеarch", "zzz"}
    assert found["serach"].code == found["zzz"].code == "not-allowed"
    assert found["serach"].what == "'serach' is no allowed team"
    assert found["serach"].fix == "Did you mean 'search'? Allowed: search, Vision."
    assert found["zzz"].fix == "Allowed: search, Vision."
    assert (found["sеarch"].code, found["sеarch"].size) == ("look-alike", 3)
    assert found["sеarch"].what == r"team 's\u0435arch' looks like 'search' but has other letters"
    assert found["sеarch"].fix == "Check who set it; if it is a slip, tag with 'search'."
    with billed(tmp_path, rows, ["1"] * 5, settings) as db:
        assert {team for (team,) in db.rows("SELECT x_Team FROM owners")} == {"search", "Vision", *found}


def test_no_policy_is_never_broken(tmp_path):
    assert breaches(tmp_path, [row({}, ResourceId="a")], ["1"], config()) == ()


def test_each_currency_has_its_own_line(tmp_path):
    settings = config(policy=TagPolicy(required=("team",)))
    rows = [row({}, ResourceId="a"), row({}, ResourceId="b")]
    found = breaches(tmp_path, rows, ["1", ("EUR", "2", 1)], settings)
    assert [(one.currency, one.size) for one in found] == [("EUR", 2), ("USD", 1)]
