import time

import pytest
import re2
from tests.tagging.bills import config, rule

from apportion.errors import ConfigError
from apportion.tagging.patterns import check_pattern, check_patterns


@pytest.mark.parametrize("pattern", ["(a+)+$", "^i-[0-9a-f]{8,17}$", "(?i)train", r"\pL+", "", "a{1000}"])
def test_patterns_of_re2_are_taken(pattern):
    check_pattern(pattern, file="apportion.toml", line=None, key="x")


@pytest.mark.parametrize("pattern", ["(?=x)", "(?<!a)b", r"(a)\1", "(", "a{1001}", "(a{500}){500}", "*"])
def test_patterns_re2_refuses_are_refused_with_the_place(pattern):
    with pytest.raises(ConfigError) as caught:
        check_pattern(pattern, file="apportion.toml", line=7, key="rules.r.when.matches.service")
    said = str(caught.value)
    assert said.startswith(f"apportion.toml:7: rules.r.when.matches.service: RE2 cannot read the pattern '{pattern}' (")
    assert said.endswith("Write it in RE2 syntax: no look-around, no back-references, at most 1000 repetitions.")


def test_a_very_long_pattern_is_refused():
    with pytest.raises(ConfigError) as caught:
        check_pattern("x" * 1001, file="apportion.toml", line=None, key="k")
    assert str(caught.value) == (
        "apportion.toml: k: the pattern has 1001 characters, more than 1000. Split it into several rules."
    )


def test_the_first_bad_pattern_of_the_rules_is_named():
    rules = [rule("ok", {"team": "a"}, matches={"service": "x"}), rule("bad", {"team": "a"}, tags_match={"job": "("})]
    with pytest.raises(ConfigError, match=r"apportion.toml: rules.bad.when.tags_match.job: RE2 cannot read"):
        check_patterns(config(rules))


def test_re2_reads_nested_repetition_in_linear_time():
    start = time.perf_counter()
    assert re2.search("(a+)+$", "a" * 100_000 + "b") is None
    assert time.perf_counter() - start < 1
