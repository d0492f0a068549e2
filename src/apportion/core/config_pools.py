"""`[[pools]]` from their form: conditions, receivers, and the order in which pools feed each other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.core import focus
from apportion.core.config import Condition, Pool, PoolShare, Tier, version_of
from apportion.core.config_condition import choice_of, condition_of
from apportion.core.config_metering import millionths
from apportion.core.measures import Measure
from apportion.core.money import MAX_WHOLE
from apportion.core.ready_made import READY_MADE
from apportion.core.targets import COLUMNS, DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.core.config_form import PoolForm, ShareForm, ToPoolForm
    from apportion.core.config_text import ConfigText
    from apportion.core.toml_lines import Path

WITHIN = ("provider", "billing_account", "account", "service", "region", "invoice", "resource", "cluster", *COLUMNS)
"""What the two sides of a pool may have to have in common."""
CARRIED = ("provider", "billing_account", "account", "service")
"""Those of them that a cost still has after another pool gave it on."""


def completed(source: ConfigText, document: dict[str, Any]) -> dict[str, Any]:
    """The document with each pool that starts from a ready-made one completed by it: what it says itself goes first."""
    pools = document.get("pools")
    if not isinstance(pools, list):
        return document
    return {**document, "pools": [_completed(source, place, pool) for place, pool in enumerate(pools)]}


def _completed(source: ConfigText, place: int, pool: Any) -> Any:  # noqa: ANN401 - parsed TOML
    name = pool.get("use") if isinstance(pool, Mapping) else None
    if not isinstance(name, str):
        return pool
    if name not in READY_MADE:
        known = f"Known: {', '.join(READY_MADE)}."
        raise source.fault(("pools", place, "use"), f"there is no ready-made pool '{name}'.", known)
    return {**READY_MADE[name], "id": name, **pool}


def whole_parts(weights: Sequence[Decimal]) -> list[int]:
    """The weights as whole numbers in the same ratios.

    >>> whole_parts([Decimal("0.5"), Decimal(2)])
    [5, 20]
    """
    digits = max((-int(weight.as_tuple().exponent) for weight in weights), default=0)
    return [int(weight.scaleb(max(digits, 0))) for weight in weights]


def pools_of(source: ConfigText, forms: Sequence[PoolForm]) -> tuple[Pool, ...]:
    """The pools, checked one by one and against each other; raises `ConfigError` for the first fault."""
    pools = tuple(_pool(source, ("pools", place), form) for place, form in enumerate(forms))
    _refuse_wrong_order(source, pools)
    return pools


def _pool(source: ConfigText, path: Path, form: PoolForm) -> Pool:
    _check_words(source, path, form)
    split, to_pools = _shares(source, path, form)
    leftover, owner = ("owner", _plain(form.leftover)) if isinstance(form.leftover, dict) else (form.leftover, {})
    pool = Pool(
        id=form.id,
        when=choice_of(source, (*path, "when"), form.when),
        stage=form.stage,
        method=form.method,
        basis=form.basis or ("EffectiveCost" if form.method == "proportional_cost" else ""),
        basis_when=condition_of(source, (*path, "basis_when"), form.basis_when) if form.basis_when else Condition(),
        with_shared=form.with_shared,
        within=tuple(form.within),
        time=form.time,
        grain=form.grain,
        receivers=choice_of(source, (*path, "receivers"), form.receivers),
        split=split,
        to_pools=to_pools,
        reciprocal=form.reciprocal,
        table=form.table,
        tiers=_tiers(source, path, form),
        leftover=leftover,
        leftover_owner=owner,
    )
    return _versioned(pool)


def _versioned(pool: Pool) -> Pool:
    return replace(pool, version=version_of(asdict(pool)))


def _check_words(source: ConfigText, path: Path, form: PoolForm) -> None:
    known = [*focus.COSTS, *Measure]
    if form.basis and form.basis not in known:
        raise source.fault((*path, "basis"), f"there is no basis '{form.basis}'.", f"Known: {', '.join(known)}.")
    for field in form.within:
        if field not in WITHIN:
            raise source.fault((*path, "within"), f"there is no '{field}'.", f"Known: {', '.join(WITHIN)}.")
    if form.split and form.receivers:
        fix = "Leave one of the two out."
        raise source.fault((*path, "split"), "named receivers are not chosen by receivers.", fix)
    if form.reciprocal and (form.within or form.time != "month"):
        fix = "Leave within and time out there."
        raise source.fault((*path, "reciprocal"), "equations are of whole months and of all receivers.", fix)


def _shares(source: ConfigText, path: Path, form: PoolForm) -> tuple[tuple[PoolShare, ...], tuple[PoolShare, ...]]:
    receivers, pools = form.split or [], form.to_pools
    stated = form.method == "fixed"
    if stated and not receivers:
        fix = 'Name the receivers: split = [{ team = "ads", weight = 45 }, …].'
        raise source.fault((*path, "method"), "fixed weights need named receivers.", fix)
    both: list[tuple[str, ShareForm | ToPoolForm]] = [("split", each) for each in receivers]
    both += [("to_pools", each) for each in pools]
    for key, each in both:
        if stated and each.weight is None:
            raise source.fault((*path, key), "a receiver has no weight.", "Give each receiver a weight.")
        if not stated and each.weight is not None:
            fix = 'Leave the weights out, or write method = "fixed".'
            raise source.fault((*path, key), f"{form.method} weighs by itself.", fix)
    if not all(receiver.owner for receiver in receivers):
        raise source.fault((*path, "split"), "a receiver sets nothing.", f"Name one of {', '.join(DIMENSIONS)}.")
    _refuse_twice(source, (*path, "split"), [receiver.owner for receiver in receivers])
    _refuse_twice(source, (*path, "to_pools"), [each.pool for each in pools])
    weights = whole_parts([Decimal(1 if each.weight is None else each.weight) for _, each in both])
    if not all(weights):
        raise source.fault((*path, "split"), "a weight is 0.", "Leave that receiver out.")
    if sum(weights) > MAX_WHOLE:
        what = f"the weights add up to more than {MAX_WHOLE} parts."
        raise source.fault((*path, "split"), what, "Use smaller numbers or fewer digits.")
    split = tuple(PoolShare(w, each.owner) for w, each in zip(weights, receivers, strict=False))
    return split, tuple(PoolShare(w, pool=each.pool) for w, each in zip(weights[len(receivers) :], pools, strict=True))


def _refuse_twice(source: ConfigText, path: Path, named: Sequence[object]) -> None:
    for place, each in enumerate(named):
        if each in named[:place]:
            raise source.fault(path, f"{each} stands there twice.", "Name each receiver once.")


def _tiers(source: ConfigText, path: Path, form: PoolForm) -> tuple[Tier, ...]:
    if (form.method == "tiered") != bool(form.tiers):
        fix = 'Write method = "tiered" with tiers = [{ up_to = 100, rate = 1 }, { rate = "0.5" }].'
        raise source.fault((*path, "tiers"), "tiers and the method tiered belong together.", fix)
    tiers = tuple(Tier(None if t.up_to is None else millionths(t.up_to), millionths(t.rate)) for t in form.tiers)
    if tiers and not any(tier.rate for tier in tiers):
        raise source.fault((*path, "tiers"), "nothing weighs anything.", "Give one tier a rate above 0.")
    ends = [tier.up_to for tier in tiers]
    bounded = [end for end in ends[:-1] if end is not None]
    rising = all(low < high for low, high in itertools.pairwise([0, *bounded]))
    if tiers and (ends[-1] is not None or len(bounded) < len(ends) - 1 or not rising):
        fix = "Give each tier but the last a larger up_to than the one before; the last has none."
        raise source.fault((*path, "tiers"), "the tiers do not cover every quantity once.", fix)
    return tiers


def _refuse_wrong_order(source: ConfigText, pools: Sequence[Pool]) -> None:
    by_id = {pool.id: pool for pool in pools}
    for place, pool in enumerate(pools):
        for share in pool.to_pools:
            path = ("pools", place, "to_pools")
            if share.pool not in by_id:
                raise source.fault(path, f"there is no pool '{share.pool}'.", f"Known: {', '.join(sorted(by_id))}.")
            taker = by_id[share.pool]
            if set(taker.within) - set(CARRIED) or taker.time != "month":
                what = f"'{taker.id}' divides by what a cost given on no longer has."
                raise source.fault(path, what, f"Let its within name {', '.join(CARRIED)} only, and its time be month.")
    for place, pool in enumerate(pools):
        cycle = cycle_of(by_id, pool.id)
        if cycle and not all(by_id[name].reciprocal for name in cycle):
            what = f"pools feed each other in a circle: {' → '.join(cycle)}."
            fix = "Take one of these receivers out, or write reciprocal = true in each of these pools."
            raise source.fault(("pools", place, "to_pools"), what, fix)
        if cycle and len({by_id[name].stage for name in cycle}) > 1:
            what = f"pools that feed each other are of several stages: {' → '.join(cycle)}."
            raise source.fault(
                ("pools", place, "stage"), what, "Give them one stage: their equations are solved at once."
            )
        for share in pool.to_pools:
            if by_id[share.pool].stage <= pool.stage and not cycle_of(by_id, pool.id, through=share.pool):
                what = f"'{share.pool}' is given out in stage {by_id[share.pool].stage}, not after stage {pool.stage}."
                raise source.fault(("pools", place, "to_pools"), what, f"Give '{share.pool}' a later stage.")


def cycle_of(pools: Mapping[str, Pool], start: str, *, through: str = "") -> list[str]:
    """A way through `to_pools` from a pool back to itself (first by `through`, if given); empty if there is none."""
    ways = [[start, through]] if through else [[start, share.pool] for share in pools[start].to_pools]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        if way[-1] == start:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, share.pool] for share in pools[way[-1]].to_pools]
    return []


def _plain(owner: Mapping[Any, str]) -> dict[str, str]:
    return {str(dimension): value for dimension, value in owner.items()}
