"""From the receivers of a rule to the intervals' weights, by the rule's method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from apportion.allocation.methods import SOCKET
from apportion.core.money import MAX_WHOLE
from apportion.errors import BadWeights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from apportion.core.config import Config, Rule, RuleShare


@dataclass(frozen=True, slots=True)
class Method:
    """A way to weigh: `weigh` gives one whole number per receiver, in order, none negative, not all 0."""

    name: str
    title: str
    weigh: Callable[[Sequence[RuleShare]], Sequence[int]]


def weighed(config: Config) -> Config:
    """The configuration with the weights of every splitting rule as its method says.

    A receiver that weighs nothing gets nothing and is left out. Raises `UnknownName` for an unknown method,
    `BadWeights` where a method breaks its promise.
    """
    return replace(config, rules=tuple(_weighed(rule) if len(rule.shares) > 1 else rule for rule in config.rules))


def _weighed(rule: Rule) -> Rule:
    method: Method = SOCKET.load(rule.method)
    weights = list(method.weigh(rule.shares))
    sound = len(weights) == len(rule.shares) and all(isinstance(w, int) and w >= 0 for w in weights)
    if not sound or not 0 < sum(weights) <= MAX_WHOLE:
        raise BadWeights(rule.id, rule.method, weights)
    shares = tuple(replace(share, weight=w) for share, w in zip(rule.shares, weights, strict=True) if w)
    return replace(rule, shares=shares)
