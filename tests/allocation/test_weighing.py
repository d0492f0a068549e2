from __future__ import annotations

import pytest

from apportion.allocation import weighing
from apportion.allocation.weighing import Basis, Method, weighed
from apportion.core.config_file import parse_config
from apportion.errors import BadWeights, ConfigError, UnknownName

TEXT = """
[project]
name = "a"
[[rules]]
id = "x"
when = {{ service = "s" }}
method = "{method}"
split = [{split}]
"""


def weights(method: str, split: str) -> list[int]:
    (rule,) = weighed(parse_config(TEXT.format(method=method, split=split))).rules
    return [share.weight for share in rule.shares]


def test_fixed_takes_the_stated_weights():
    assert weights("fixed", '{ team = "a", weight = 60 }, { team = "b", weight = "39.5" }') == [600, 395]


def test_even_gives_everyone_the_same():
    assert weights("even", '{ team = "a" }, { team = "b" }, { team = "c" }') == [1, 1, 1]


def test_fixed_needs_a_weight_for_everyone():
    with pytest.raises(
        ConfigError, match=r"a receiver has no weight\. Give each receiver a weight, or the rule a method"
    ):
        weights("fixed", '{ team = "a", weight = 1 }, { team = "b" }')


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(UnknownName, match=r"There is no allocation method 'evn'\. Did you mean 'even'"):
        weights("evn", '{ team = "a" }, { team = "b" }')


@pytest.mark.parametrize("given", [[0, 0], [1, -1], [1], [1.0, 2], [10**15, 1]])
def test_a_method_that_breaks_its_promise_is_refused(monkeypatch, given):
    class Loads:
        def load(self, _name):
            return Method("bad", "Bad", Basis.NOTHING, lambda _known: given)

    monkeypatch.setattr(weighing, "SOCKET", Loads())
    with pytest.raises(BadWeights, match="The method 'bad' gave rule 'x' the weights"):
        weights("even", '{ team = "a" }, { team = "b" }')


def test_who_weighs_nothing_gets_nothing(monkeypatch):
    class Loads:
        def load(self, _name):
            return Method("one", "One", Basis.NOTHING, lambda known: [0] * (len(known.basis) - 1) + [7])

    monkeypatch.setattr(weighing, "SOCKET", Loads())
    assert weights("even", '{ team = "a" }, { team = "b" }') == [7]
