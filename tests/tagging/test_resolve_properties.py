"""Whatever the rows and the rules are: shares tile everything, once, and are those of the ladder."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from itertools import groupby, pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tagging import bills
from tests.tagging.reference import holders

from apportion.core import tables
from apportion.core.config import Hierarchy, Maps
from apportion.core.targets import COLUMNS, DIMENSIONS
from apportion.engine import duck
from apportion.tagging.ladder import BEGINNING, END
from apportion.tagging.resolve import resolve

OWNERS = tuple(tables.OWNER)
TICK = timedelta(microseconds=1)

values = st.sampled_from(["ads", "Ads ", "ADS", "risk", "none", "", "true", "m 1", "M-1", "m.2", "prod", "idle", "ädς"])
keys = st.sampled_from(["team", "Team", " team", "squad", "SQUAD", "project", "model", "env", "Environment", "cost"])
splits = st.sampled_from(
    [
        None,
        '{"team": "ml"}',
        '{"Squad": "A_B", "model": "m-1"}',
        '{"model": "none"}',
        "no json",
        "[1]",
        "{}",
        '{"model": 3, "team": null}',
        '{"model": 3, "team": null}',
    ]
)
rows = st.lists(
    st.builds(
        bills.row,
        st.none() | st.dictionaries(keys, values, max_size=5),
        ServiceName=st.sampled_from(["EC2", "ec2 ", "S3"]),
        SubAccountId=st.sampled_from([None, "A1", "a1 ", "b2"]),
        BillingAccountId=st.sampled_from(["payer", "b2"]),
        x_ResourceGroup=st.sampled_from([None, "RG-ml", "rg-ML ", "rg"]),
        ResourceId=st.sampled_from([None, "i-train-1", "i-serve"]),
        AllocatedTags=splits,
    ),
    min_size=1,
    max_size=6,
)

names = {
    "team": st.sampled_from(["ads", "Risk", "ML"]),
    "project": st.sampled_from(["p", "Q"]),
    "model": st.sampled_from(["M-1", "m-2", "m3"]),
    "environment": st.sampled_from(["prod", "dev"]),
}
owners = st.fixed_dictionaries({}, optional=names).filter(bool)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "equals": st.fixed_dictionaries(
            {}, optional={"service": st.just((" EC2",)), "account": st.sampled_from([("a1",), ("B2", "a1")])}
        ),
        "matches": st.just({"resource_id": "train-[0-9]$"}),
        "tags": st.sampled_from([{"Cost": ("ads", "m1")}, {"TEAM": ("ads",)}]),
        "tags_match": st.just({"squad": "^[aA]"}),
    },
)
days = st.none() | st.sampled_from([date(2026, 9, 1), date(2026, 10, 1), date(2026, 10, 15), date(2026, 11, 1)])


@st.composite
def rules(draw):
    name = f"r{draw(st.integers(0, 999))}"
    start, end = draw(days), draw(days)
    if start and end and start >= end:
        start = None
    parts = draw(st.lists(st.tuples(st.integers(1, 3), owners), min_size=1, max_size=3))
    when = draw(conditions)
    return bills.rule(name, shares=parts, valid_from=start, valid_until=end, override=draw(st.booleans()), **when)


configs = st.builds(
    lambda several, models, accounts, groups: bills.config(
        several,
        values={"team": {"A_B": "Risk"}},
        hierarchy=Hierarchy({"Risk": "Finance"}, models),
        maps=Maps(accounts, groups),
    ),
    st.lists(rules(), max_size=5),
    st.dictionaries(names["model"], st.fixed_dictionaries({}, optional={k: names[k] for k in ("team", "project")})),
    st.dictionaries(st.sampled_from(["a1", "B2", "payer"]), owners),
    st.dictionaries(st.just("rg-ml"), owners),
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """The shares of rows under a configuration, as a table; one session serves every example."""
    folder = tmp_path_factory.mktemp("attributes")
    with duck.session(memory="500MB", threads=1) as db:
        yield lambda rows, config: resolve(db, bills.write(folder, rows), config)


def some(examples):
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def owned(share):
    return tuple(share[name] for name in OWNERS)


def by_segment(shares):
    """(row number, start, end) -> its shares, in order."""
    grouped = groupby(shares, key=lambda s: (s["x_AttributeNo"], s["x_ValidFrom"], s["x_ValidUntil"]))
    return {key: list(parts) for key, parts in grouped}


@some(60)
@given(rows, configs)
def test_every_row_is_held_wholly_and_for_all_time(asked, rows, config):
    segments = by_segment(asked(rows, config).to_pylist())
    for number in range(1, len(rows) + 1):
        spans = [(start, end) for no, start, end in segments if no == number]
        assert spans[0][0] == BEGINNING
        assert spans[-1][1] == END
        assert all(before[1] == after[0] for before, after in pairwise(spans))
    for parts in segments.values():
        bounds = [0, *(part["x_ShareHigh"] for part in parts)]
        assert [part["x_ShareLow"] for part in parts] == bounds[:-1]
        assert bounds == sorted(set(bounds))
        assert {part["x_ShareWhole"] for part in parts} == {bounds[-1]}


@some(60)
@given(rows, configs)
def test_neighbours_that_agree_are_one(asked, rows, config):
    segments = by_segment(asked(rows, config).to_pylist())
    told = [
        (key[0], [(s["x_ShareLow"], s["x_ShareHigh"], *owned(s)) for s in parts]) for key, parts in segments.items()
    ]
    assert all(before != after for before, after in pairwise(told))
    for parts in segments.values():
        assert all(owned(before) != owned(after) for before, after in pairwise(parts))


@some(60)
@given(rows, configs, st.randoms(use_true_random=False))
def test_the_order_of_rows_and_of_keys_changes_nothing(asked, rows, config, chance):
    first = asked(rows, config)
    numbered = [{"x_AttributeNo": place} | one for place, one in enumerate(rows, 1)]
    turned = [one | {"Tags": one["Tags"] and chance.sample(one["Tags"], len(one["Tags"]))} for one in numbered]
    assert asked(chance.sample(turned, len(turned)), config).equals(first)


@some(150)
@given(rows, configs)
def test_shares_are_those_of_the_ladder_climbed_row_by_row(asked, rows, config):
    cuts = {BEGINNING, END - TICK}
    for day in (d for rule in config.rules for d in (rule.valid_from, rule.valid_until) if d):
        cuts |= {datetime(day.year, day.month, day.day), datetime(day.year, day.month, day.day) - TICK}
    shares = asked(rows, config).to_pylist()
    for number, one in enumerate(rows, 1):
        for moment in cuts:
            held = [
                s for s in shares if s["x_AttributeNo"] == number and s["x_ValidFrom"] <= moment < s["x_ValidUntil"]
            ]
            assert [(s["x_ShareHigh"] - s["x_ShareLow"], answers(s)) for s in held] == holders(one, config, moment)


def answers(share):
    words = {d: d.capitalize() for d in DIMENSIONS}
    return {d: (share[COLUMNS[d]], share[f"x_{w}Evidence"], share[f"x_{w}RuleId"]) for d, w in words.items()}


@some(30)
@given(rows, configs)
def test_the_business_unit_is_that_of_the_team(asked, rows, config):
    units = {"Risk": "Finance"}
    for share in asked(rows, config).to_pylist():
        assert share["x_BusinessUnit"] == units.get(share["x_Team"], "unallocated")


def test_a_share_of_a_million_parts_stays_exact(asked):
    config = bills.config([bills.rule("r", shares=[(1, {"team": "a"}), (10**15 - 1, {"team": "b"})])])
    parts = asked([bills.row()], config).to_pylist()
    assert [(p["x_ShareLow"], p["x_ShareHigh"], p["x_ShareWhole"]) for p in parts] == [
        (0, 1, 10**15),
        (1, 10**15, 10**15),
    ]


def test_the_same_rows_give_the_same_bytes_on_any_number_of_threads(tmp_path):
    chance = random.Random(7)  # noqa: S311 - rows to try, no secret
    rows = [bills.row({"team": f"t{chance.randrange(40)}"}, ServiceName=f"s{n % 7}") for n in range(5000)]
    config = bills.config([bills.rule("r", {"project": "p"}, equals={"service": ("s3",)})])
    path, found = bills.write(tmp_path, rows), []
    for threads in (1, 2):
        with duck.session(memory="500MB", threads=threads) as db:
            found.append(resolve(db, path, config))
    assert found[0].equals(found[1])
    assert found[0].num_rows == 5000
