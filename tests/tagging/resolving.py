"""What the tests of test_resolve share."""

from __future__ import annotations

from datetime import date, datetime

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from tests.tagging.bills import config, row, rule

from apportion.core.config import Hierarchy, Maps
from apportion.core.targets import COLUMNS, DIMENSIONS

ALWAYS = (datetime(1, 1, 1), datetime(9999, 12, 31))


def said(share, dimension):
    """Value, tier and rule (without its version) of one dimension of a share."""
    word = dimension.capitalize()
    return share[COLUMNS[dimension]], share[f"x_{word}Evidence"], share[f"x_{word}RuleId"].partition("@")[0]


def intervals(found):
    return [(s["x_ShareLow"], s["x_ShareHigh"], s["x_ShareWhole"], s["x_Team"], s["x_Project"]) for s in found]


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
