"""`[metering]` from its form: weights in whole millionths, sizes in base units."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.config import ComponentWeights, MachineSize, MeteringConfig, TokenWeights

if TYPE_CHECKING:
    from apportion.core.config_form import MeteringForm, TokensForm, WeightsForm

GIB = 2**30


def metering_of(form: MeteringForm) -> MeteringConfig:
    """The configuration that a checked form says."""
    return MeteringConfig(
        basis=form.basis,
        idle=form.idle,
        weights=form.weights,
        weight_sets={name: _weights(each) for name, each in form.weight_sets.items()},
        machine_weights={name: _weights(each) for name, each in form.machine_weights.items()},
        machines={
            name: MachineSize(each.gpus, each.cpu_cores, each.memory_gib * GIB) for name, each in form.machines.items()
        },
        tokens=_tokens(form.tokens),
        nodes=dict(form.nodes),
    )


def millionths(weight: str | int) -> int:
    """A weight in whole millionths.

    >>> millionths("0.031611"), millionths(2)
    (31611, 2000000)
    """
    return int(Decimal(weight).scaleb(6))


def _weights(form: WeightsForm) -> ComponentWeights:
    return ComponentWeights(millionths(form.gpu), millionths(form.cpu), millionths(form.memory), form.source)


def _tokens(form: TokensForm) -> TokenWeights:
    return TokenWeights(
        input=millionths(form.input),
        cached=millionths(form.cached),
        cache_write=millionths(form.cache_write),
        output=millionths(form.output),
    )
