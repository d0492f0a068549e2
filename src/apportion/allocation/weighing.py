"""How receivers weigh: the socket's contract, and the weights of a rule's receivers by the rule's method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from apportion.allocation.methods import SOCKET
from apportion.core.money import MAX_WHOLE
from apportion.errors import BadWeights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from apportion.core.config import Config, Rule, Tier


class Basis(StrEnum):
    """What a method counts of each receiver."""

    NOTHING = "nothing"
    """Every receiver counts 1."""
    STATED = "stated"
    """What the rule or its table says."""
    COST = "cost"
    """A cost metric of the receiver's own rows."""
    USAGE = "usage"
    """A measure of the receiver's workloads, in total."""
    PEAK = "peak"
    """The largest hour of a measure."""
    PROFILE = "profile"
    """A measure hour by hour."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the receivers of one cell, in their order.

    `basis`: what was counted, in quanta of cost, billionths of a measure's unit or stated parts, never below 0;
    `profiles`: the same by hour, all of one length (with `Basis.PROFILE` only); `tiers`: of the pool.
    """

    basis: Sequence[int]
    profiles: Sequence[Sequence[int]] = ()
    tiers: tuple[Tier, ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """A way to weigh: `weigh` gives one whole number per receiver, in order, none negative.

    Without `weigh` the basis is the weight. It never sees the money it divides. `most`: more receivers it cannot weigh.
    """

    name: str
    title: str
    basis: Basis
    weigh: Callable[[Known], Sequence[int]] | None = None
    most: int | None = None


def weighed(config: Config) -> Config:
    """The configuration with the weights of every splitting rule as its method says.

    A receiver that weighs nothing gets nothing and is left out. Raises `UnknownName` for an unknown method,
    `BadWeights` where a method breaks its promise.
    """
    return replace(config, rules=tuple(_weighed(rule) if len(rule.shares) > 1 else rule for rule in config.rules))


def _weighed(rule: Rule) -> Rule:
    method: Method = SOCKET.load(rule.method)
    stated = [share.weight if method.basis is Basis.STATED else 1 for share in rule.shares]
    weights = weights_of(method, Known(stated), where=rule.id)
    if not 0 < sum(weights) <= MAX_WHOLE:
        raise BadWeights(rule.id, method.name, weights)
    shares = tuple(replace(share, weight=w) for share, w in zip(rule.shares, weights, strict=True) if w)
    return replace(rule, shares=shares)


def weights_of(method: Method, known: Known, *, where: str) -> list[int]:
    """One weight per receiver; raises `BadWeights` where the method breaks its promise. `where`: the rule or pool."""
    weights = list(known.basis if method.weigh is None else method.weigh(known))
    if len(weights) != len(known.basis) or not all(isinstance(w, int) and w >= 0 for w in weights):
        raise BadWeights(where, method.name, weights)
    return weights
