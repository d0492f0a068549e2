"""Tags: one canonical map from every form providers write."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apportion.sources.intake.tag_text import parse

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TAGS = st.dictionaries(TEXT, TEXT, max_size=8)


@given(TAGS)
def test_an_object_a_list_of_structs_and_bare_pairs_give_the_same_tags(tags):
    pairs = tuple(sorted(tags.items()))
    listed = [{"key": key, "value": value} for key, value in tags.items()]
    upper = [{"Key": key, "Value": value} for key, value in tags.items()]
    assert parse(json.dumps(tags)).pairs == parse(json.dumps(listed)).pairs == parse(json.dumps(upper)).pairs == pairs
    assert parse(json.dumps(tags)[1:-1]).pairs == pairs


@given(TAGS)
def test_equal_tags_have_equal_canonical_text_whatever_their_order(tags):
    backwards = dict(reversed(tags.items()))
    canonical = parse(json.dumps(tags)).canonical
    assert canonical == parse(json.dumps(backwards)).canonical
    assert json.loads(canonical) == tags


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ('{" org":"a","org":"b"}', ((" org", "a"), ("org", "b"))),
        ('{"gpu":null,"spot":true,"trial":false}', (("gpu", "true"), ("spot", "true"), ("trial", "false"))),
        ('{"team":""}', (("team", ""),)),
        ('{"cost":1.10}', (("cost", "1.10"),)),
        ('{"a":{"b":["x"]}}', (("a", '{"b":["x"]}'),)),
        ('[{"key":"only"}]', (("only", "true"),)),
        ("{}", ()),
        ("[]", ()),
    ],
)
def test_values_are_kept_as_they_are(text, pairs):
    assert parse(text).pairs == pairs
    assert not parse(text).unreadable


def test_of_a_key_that_comes_twice_the_first_value_stays():
    parsed = parse('{"team":"search","team":"ads"}')
    assert (parsed.pairs, parsed.duplicate) == ((("team", "search"),), True)


@pytest.mark.parametrize(
    "text", ["nope", '{"team":', "[1]", '"team"', '["team"]', '[{"value":"x"}]', '{"a":"\\ud800"}', "7"]
)
def test_other_text_has_no_tags_and_says_so(text):
    parsed = parse(text)
    assert (parsed.pairs, parsed.unreadable) == ((), True)
