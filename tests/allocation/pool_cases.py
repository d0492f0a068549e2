"""Small random months of rows, use and pools that feed each other: few values, so that they meet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from tests.allocation.pool_facts import Charge, Row, Use

from apportion.core.config import Condition, Pool, PoolShare, RowChoice, TableRow, Tier
from apportion.core.targets import COLUMNS, UNALLOCATED

if TYPE_CHECKING:
    from collections.abc import Mapping

NOBODY = dict.fromkeys(COLUMNS, UNALLOCATED)
UNITS = {"ads": "shop", "search": "shop", "labs": "research"}
MEASURE = "gpu_seconds"
COSTS = ("BilledCost", "EffectiveCost")
POOL_IDS = ("a", "b", "c")
CARRIED = ("provider", "billing_account", "account", "service")
COUNTED = ("proportional_usage", "peak", "tiered", "shapley")


@dataclass(frozen=True)
class Month:
    rows: tuple[Row, ...]
    uses: tuple[Use, ...]
    pools: tuple[Pool, ...]


def owner(team: str = UNALLOCATED, model: str = UNALLOCATED) -> dict[str, str]:
    return {**NOBODY, "team": team, "model": model, "business_unit": UNITS.get(team, UNALLOCATED)}


OWNERS = [owner("ads", "rank"), owner("search", "rank"), owner("labs"), owner("ads"), owner()]
PLACES = [datetime(2026, 10, 1, 0), datetime(2026, 10, 1, 5), datetime(2026, 10, 2, 5)]
LENGTHS = [timedelta(hours=1), timedelta(days=1), timedelta(days=30)]

quanta = st.one_of(
    st.none(),
    st.integers(0, 20),
    st.integers(0, 10**5).map(lambda cents: cents * 10**16),
    st.integers(10**27, 10**30),
)


def signed(amounts):
    """Credits too, fewer than charges."""
    return st.tuples(amounts, st.integers(0, 4)).map(lambda a: -a[0] if a[0] is not None and not a[1] else a[0])


def charges(*, negative: bool):
    amount = signed(quanta) if negative else quanta
    metrics = st.fixed_dictionaries(dict.fromkeys((*COSTS, "ConsumedQuantity"), amount))
    one = st.builds(Charge, st.sampled_from(PLACES), st.sampled_from(LENGTHS), metrics)
    return st.lists(one, min_size=1, max_size=3).map(tuple)


def rows(*, negative: bool):
    fields = st.fixed_dictionaries(
        {
            "provider": st.sampled_from(["AWS", "GCP"]),
            "billing_account": st.just("payer"),
            "account": st.sampled_from([None, "one", "two"]),
            "service": st.sampled_from([*POOL_IDS, "own", "own", "own"]),
            "service_category": st.sampled_from(["Compute", "Storage"]),
            "charge_category": st.sampled_from(["Usage", "Usage", "Tax"]),
            "invoice": st.sampled_from([None, "i1"]),
            "resource": st.sampled_from([None, "r1"]),
            "cluster": st.sampled_from([None, "c1"]),
        }
    )
    work = st.sampled_from([(None, None), (None, None), ("idle", None), ("training_job", "j1"), ("notebook", "j2")])
    row = st.tuples(
        st.sampled_from(OWNERS), st.sampled_from(["USD", "USD", "EUR"]), fields, charges(negative=negative), work
    )
    return st.lists(row, min_size=4, max_size=9).map(_numbered)


def _numbered(found):
    return tuple(
        Row(no, owner, currency, fields, charges, *work)
        for no, (owner, currency, fields, charges, work) in enumerate(found, 1)
    )


def uses():
    fields = {"provider": ["AWS", "GCP"], "account": [None, "one"], "cluster": [None, "c1"], "resource": [None, "r1"]}
    use = st.builds(
        Use,
        owner=st.sampled_from(OWNERS),
        kind=st.sampled_from([None, "training_job"]),
        job=st.sampled_from(["j1", "j2"]),
        hour=st.sampled_from([*PLACES, datetime(2026, 10, 3, 7)]),
        measure=st.sampled_from([MEASURE, MEASURE, MEASURE, "requests"]),
        quantity=st.one_of(st.integers(1, 9), st.integers(1, 10**13)),
        fields=st.fixed_dictionaries({name: st.sampled_from(values) for name, values in fields.items()}),
    )
    return st.lists(use, min_size=2, max_size=6).map(tuple)


TABLE = (
    TableRow(owner("ads"), None, None, 3),
    TableRow(owner("search", "rank"), date(2026, 10, 1), date(2026, 10, 2), 10**18),
    TableRow(owner("ads"), date(2026, 10, 2), date(2026, 11, 1), 5),
    TableRow(owner("labs"), date(2026, 9, 1), date(2026, 10, 1), 7),
)
SPLIT = (PoolShare(2, owner("ads")), PoolShare(10**16 + 1, owner("labs")))
TIERS = (Tier(2, 2_000_000), Tier(4_000_000, 1_000_000), Tier(None, 10))


@st.composite
def pools(draw, *, reciprocal: bool = False):
    """Up to three pools, each of the rows of the service of its name; `reciprocal`: all in one circle."""
    ids = POOL_IDS[: draw(st.sampled_from([3, 2] if reciprocal else [3, 2, 1]))]
    pairs = [(one, other) for one in ids for other in ids if (one != other if reciprocal else one < other)]
    fed = {pair for pair in pairs if draw(st.sampled_from([True, False]))}
    fed |= set(zip(ids, [*ids[1:], ids[0]], strict=True)) if reciprocal else set()
    stages = dict.fromkeys(ids, 1)
    for one, other in () if reciprocal else sorted(fed):
        stages[other] = max(stages[other], stages[one] + draw(st.integers(1, 2)))
    takers = {other for _, other in fed}
    made = []
    for name in ids:
        plain = reciprocal or name in takers
        method = draw(st.sampled_from(["even", "fixed", "table", "proportional_cost", "proportional_cost", *COUNTED]))
        to = tuple(
            PoolShare(draw(st.integers(1, 5)) if method == "fixed" else 1, pool=o) for n, o in sorted(fed) if n == name
        )
        within = () if reciprocal or method == "table" else draw(_within(method, plain=plain))
        made.append(
            Pool(
                id=name,
                when=RowChoice(Condition({"service": (name,)})),
                stage=stages[name],
                method=method,
                **_basis(draw, method),
                with_shared=draw(st.booleans()) and not {*within} - {*CARRIED},
                within=within,
                time="month" if plain else draw(st.sampled_from(["month", "day", "hour"])),
                grain=draw(st.sampled_from(["business_unit", "team", "project", "model", "job"])),
                to_pools=to,
                reciprocal=reciprocal,
                leftover=draw(st.sampled_from(["wider", "owner", "even", "keep"])),
                leftover_owner=owner("labs"),
            )
        )
    return tuple(made)


def _basis(draw, method: str) -> Mapping[str, object]:
    if method == "fixed":
        return {"split": SPLIT}
    if method == "table":
        return {"table_rows": TABLE}
    if method == "even":
        return {"receivers": draw(st.sampled_from([RowChoice(), RowChoice(equals={"team": ("ads", "Search")})]))}
    if method == "proportional_cost":
        when = st.sampled_from([Condition(), Condition({"charge_category": ("usage",)})])
        return {"basis": draw(st.sampled_from(COSTS)), "basis_when": draw(when)}
    return {"basis": MEASURE, "tiers": TIERS if method == "tiered" else ()}


def _within(method: str, *, plain: bool):
    if method in COUNTED:
        names = ("provider", "account") if plain else ("provider", "account", "cluster", "resource", "team")
    else:
        names = CARRIED if plain else (*CARRIED, "cluster", "resource", "invoice", "team")
    return st.lists(st.sampled_from(names), max_size=2, unique=True).map(tuple)


def months(*, negative: bool = False, reciprocal: bool = False):
    return st.builds(Month, rows(negative=negative), uses(), pools(reciprocal=reciprocal))
