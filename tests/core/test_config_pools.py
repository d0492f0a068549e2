"""[[pools]]: what comes out typed, and each fault with its line and fix."""

from __future__ import annotations

import pytest

from apportion.core.config_file import parse_config
from apportion.core.ready_made import ABOUT, READY_MADE
from apportion.errors import ConfigError

PROJECT = '[project]\nname = "a"\n'
POOL = PROJECT + '[[pools]]\nid = "p"\n'
ALL = 'when = { team = "shared" }\n'
TWO = (
    PROJECT + '[[pools]]\nid = "a"\nwhen = {{ team = "a" }}\nto_pools = [{{ pool = "b" }}]\n{a}'
    '[[pools]]\nid = "b"\nwhen = {{ team = "b" }}\n{b}'
)
FAULTS = [
    (POOL, "apportion.toml:3: pools[1].when: is missing. Add when = … there."),
    (
        POOL + 'when = { tema = "x" }\n',
        "apportion.toml:5: pools[1].when.tema: there is no field 'tema'. Did you mean 'team'? ",
    ),
    (POOL + 'when = { kind = "lazy" }\n', "pools[1].when.kind: there is no kind 'lazy'. Known: training_job, "),
    (
        POOL + ALL + 'use = "nothing"\n',
        "apportion.toml:6: pools[1].use: there is no ready-made pool 'nothing'. Known: ",
    ),
    (POOL + ALL + 'basis = "wishes"\n', "pools[1].basis: there is no basis 'wishes'. Known: BilledCost, "),
    (POOL + ALL + 'within = ["planet"]\n', "pools[1].within: there is no 'planet'. Known: provider, "),
    (POOL + ALL + 'method = "fixed"\n', "pools[1].method: fixed weights need named receivers. Name the receivers: "),
    (
        POOL + ALL + 'method = "fixed"\nsplit = [{ team = "a" }]\n',
        "pools[1].split: a receiver has no weight. Give each receiver a weight.",
    ),
    (
        POOL + ALL + 'method = "even"\nsplit = [{ team = "a", weight = 2 }]\n',
        'pools[1].split: even weighs by itself. Leave the weights out, or write method = "fixed".',
    ),
    (
        POOL + ALL + 'method = "even"\nsplit = [{ team = "a" }]\nreceivers = { team = "b" }\n',
        "pools[1].split: named receivers are not chosen by receivers. Leave one of the two out.",
    ),
    (
        POOL + ALL + 'reciprocal = true\ntime = "day"\n',
        "pools[1].reciprocal: equations are of whole months and of all receivers. Leave within and time out there.",
    ),
    (POOL + ALL + 'method = "tiered"\n', "pools[1].tiers: tiers and the method tiered belong together. Write method"),
    (
        POOL + ALL + 'method = "tiered"\ntiers = [{ up_to = 5, rate = 1 }, { up_to = 4, rate = 1 }, { rate = 1 }]\n',
        "pools[1].tiers: the tiers do not cover every quantity once. Give each tier but the last a larger up_to",
    ),
    (
        POOL + ALL + 'method = "even"\nsplit = [{ team = "a" }, { team = "a" }]\n',
        "pools[1].split: {'team': 'a'} stands there twice. Name each receiver once.",
    ),
    (
        POOL + ALL + 'method = "fixed"\nsplit = [{ team = "a", weight = 9999999999999999 }]\n',
        "pools[1].split: the weights add up to more than 1000000000000000 parts.",
    ),
    (POOL + ALL + 'method = "tiered"\ntiers = [{ rate = 0 }]\n', "pools[1].tiers: nothing weighs anything."),
    (
        POOL + ALL + 'method = "tiered"\ntiers = [{ up_to = 0, rate = 1 }, { rate = 1 }]\n',
        "pools[1].tiers: the tiers do not cover every quantity once.",
    ),
    (POOL + ALL + 'to_pools = [{ pool = "q" }]\n', "pools[1].to_pools: there is no pool 'q'. Known: p."),
    (POOL + ALL + 'leftover = "lost"\n', "pools[1].leftover: "),
    (POOL + ALL + 'leftover = { team = "idle" }\n', "'idle' is a name of Apportion's own."),
    (TWO.format(a="", b=""), "to_pools: 'b' is given out in stage 1, not after stage 1. Give 'b' a later stage."),
    (
        TWO.format(a="", b='stage = 2\nto_pools = [{ pool = "a" }]\n'),
        "pools[1].to_pools: pools feed each other in a circle: a → b → a. Take one of these receivers out, "
        "or write reciprocal = true in each of these pools.",
    ),
    (
        TWO.format(a="", b='stage = 2\nwithin = ["invoice"]\n'),
        "pools[1].to_pools: 'b' divides by what a cost given on no longer has. Let its within name provider, ",
    ),
]


@pytest.mark.parametrize(("text", "said"), FAULTS)
def test_each_fault_names_line_key_and_the_fix(text, said):
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert said in str(caught.value)


def test_two_pools_of_one_name_are_refused():
    with pytest.raises(ConfigError, match=r"pools\[2\]\.id: 'p' is used twice"):
        parse_config(POOL + ALL + '[[pools]]\nid = "p"\n' + ALL)


def test_a_pool_comes_out_typed_with_a_version_of_its_content():
    (pool,) = parse_config(POOL + 'when = { service = ["S3", "EBS"], team_matches = "^sh" }\n').pools
    assert pool.when.charge.equals == {"service": ("S3", "EBS")}
    assert pool.when.matches == {"team": "^sh"}
    assert (pool.method, pool.basis, pool.grain, pool.time, pool.stage) == (
        "proportional_cost",
        "EffectiveCost",
        "model",
        "month",
        1,
    )
    (other,) = parse_config(POOL + 'when = { service = ["S3", "EBS"], team_matches = "^sh" }\nstage = 2\n').pools
    assert pool.version != other.version


def test_a_circle_of_reciprocal_pools_is_allowed():
    first, second = parse_config(
        TWO.format(a="reciprocal = true\n", b='reciprocal = true\nto_pools = [{ pool = "a" }]\n')
    ).pools
    assert first.reciprocal
    assert second.to_pools[0].pool == "a"


def test_stated_weights_of_owners_and_pools_are_whole_in_one_ratio():
    text = (
        PROJECT + '[[pools]]\nid = "a"\nwhen = { team = "a" }\nmethod = "fixed"\n'
        'split = [{ team = "x", weight = "45.5" }, { team = "y", weight = 30 }]\n'
        'to_pools = [{ pool = "b", weight = 25 }]\n'
        '[[pools]]\nid = "b"\nstage = 2\nwhen = { team = "b" }\n'
    )
    pool = parse_config(text).pools[0]
    assert [share.weight for share in pool.split] == [455, 300]
    assert [share.weight for share in pool.to_pools] == [250]


@pytest.mark.parametrize("name", READY_MADE)
def test_every_ready_made_pool_can_be_used_as_it_is_and_says_what_it_does(name):
    (pool,) = parse_config(f'{PROJECT}[[pools]]\nid = "mine"\nuse = "{name}"\n').pools
    assert pool.id == "mine"
    assert ABOUT.keys() == READY_MADE.keys()


def test_what_a_pool_says_itself_goes_before_what_it_starts_from():
    (pool,) = parse_config(f'{PROJECT}[[pools]]\nid = "t"\nuse = "tax"\nstage = 3\nleftover = "keep"\n').pools
    assert (pool.stage, pool.leftover, pool.within) == (3, "keep", ("billing_account", "invoice"))


def test_all_ready_made_pools_together_are_in_order():
    text = PROJECT + "".join(f'[[pools]]\nid = "{name}"\nuse = "{name}"\n' for name in READY_MADE)
    assert len(parse_config(text).pools) == len(READY_MADE)
