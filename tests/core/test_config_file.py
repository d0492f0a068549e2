from __future__ import annotations

from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apportion.core.config_file import DEFAULT_KEYS, parse_config
from apportion.core.toml_lines import line_of
from apportion.errors import ConfigError

PROJECT = '[project]\nname = "a"\n'
RULE = PROJECT + '[[rules]]\nid = "x"\n'

FAULTS = [
    (
        "[project\n",
        "apportion.toml:1: TOML: Expected ']' at the end of a table declaration. "
        "Mend the syntax: texts stand in quotes, tables in [brackets].",
    ),
    (
        '[project]\nname = "a"\ncurency = "USD"\n',
        "apportion.toml:3: project.curency: is not known here. Did you mean 'currency'? Known: currency, name, state.",
    ),
    ("", "apportion.toml: project: is missing. Add project = … there."),
    (
        PROJECT + '[[sources]]\nid = "x"\nkind = "focus"\n',
        "apportion.toml:3: sources[1].paths: is missing. Add paths = … there.",
    ),
    (
        PROJECT + '[[sources]]\nid = "x"\nkind = "focus"\npath = "a"\n',
        "apportion.toml:6: sources[1].path: is not known here. Did you mean 'paths'? "
        "Known: delivery, id, kind, options, paths.",
    ),
    (
        PROJECT + '[[sources]]\nid = "x"\nkind = "focus"\npaths = ["a"]\n' * 2,
        "apportion.toml:8: sources[2].id: 'x' is used twice. Give each its own id.",
    ),
    (
        RULE + 'when = { servce = "a" }\nset = { team = "b" }\n',
        "apportion.toml:5: rules[1].when.servce: there is no field 'servce'. Did you mean 'service'? Known: provider, "
        "service, account, account_name, resource_id, resource_name, resource_type, resource_group, region, sku, "
        "sku_meter, charge_category, charge_description, charge_class, service_category, service_subcategory, "
        "pricing_category, commitment, commitment_status, invoice, each also with _matches, tags, tags_match.",
    ),
    (
        RULE + 'when = { service_matches = "(?=a)" }\nset = { team = "b" }\n',
        "apportion.toml:5: rules[1].when.service_matches: is not a pattern: invalid perl operator: (?=. "
        "Write it in RE2 syntax: no look-around, no back-references.",
    ),
    (
        RULE + 'when = { service = [1] }\nset = { team = "b" }\n',
        'apportion.toml:5: rules[1].when.service: is neither a text nor a list of texts. Write "a" or ["a", "b"].',
    ),
    (
        RULE + 'when = { tags = "a" }\nset = { team = "b" }\n',
        'apportion.toml:5: rules[1].when.tags: is not a table. Write { "tag key" = "value" }.',
    ),
    (
        RULE + 'when = { tags = {} }\nset = { team = "b" }\n',
        "apportion.toml:5: rules[1].when: asks for nothing, so it would take every charge. "
        "Name at least one field or tag.",
    ),
    (
        RULE + 'when = { service = "a" }\n',
        "apportion.toml:3: rules[1]: a rule sets something or splits, one of the two. Give it either set or split.",
    ),
    (
        RULE + 'when = { service = "a" }\nsplit = [{ weight = 33.3, team = "a" }]\n',
        'apportion.toml:6: rules[1].split[1].weight: 33.3 is not exact. Write it as text, such as "33.3".',
    ),
    (
        RULE + 'when = { service = "a" }\nsplit = [{ weight = "0.0", team = "a" }]\n',
        "apportion.toml:6: rules[1].split: a weight is 0. Leave that receiver out.",
    ),
    (
        RULE + 'when = { service = "a" }\nsplit = [{ weight = 1 }]\n',
        "apportion.toml:6: rules[1].split: a receiver sets nothing. "
        "Name at least one of team, project, model, environment.",
    ),
    (
        RULE + 'when = { service = "a" }\nsplit = [{ weight = 1000000000000001, team = "a" }]\n',
        "apportion.toml:6: rules[1].split: the weights add up to more than 1000000000000000 parts. "
        "Use smaller numbers or fewer digits.",
    ),
    (
        RULE + 'when = { service = "a" }\nset = { team = "b" }\nvalid_from = 2026-02-01\nvalid_until = 2026-01-01\n',
        "apportion.toml:8: rules[1].valid_until: 2026-01-01 is not after valid_from 2026-02-01. "
        "The rule holds up to, not including, valid_until.",
    ),
    (
        RULE + 'when = { service = "a" }\nset = { team = "idle" }\n',
        "apportion.toml:6: rules[1].set.team: 'idle' is a name of Apportion's own. Choose another name.",
    ),
    (
        RULE + 'when = { service = "a" }\nset = { team = "Unallocated" }\n',
        "apportion.toml:6: rules[1].set.team: 'Unallocated' is a name of Apportion's own. Choose another name.",
    ),
    (
        RULE + 'when = { service = "a" }\nmethod = "even"\nset = { team = "b" }\n',
        "apportion.toml:6: rules[1].method: set has one receiver, so there is nothing to weigh. "
        "Leave the method out, or name receivers with split.",
    ),
    (
        RULE + 'when = { service = "a" }\nsplit = [{ weight = 1, team = " " }]\n',
        "apportion.toml:6: rules[1].split[1].team: a name is blank. Found: ' '.",
    ),
    (
        PROJECT + '[hierarchy.models.m]\nteam = ""\n',
        "apportion.toml:4: hierarchy.models.m.team: a name is blank. Found: ''.",
    ),
    (
        PROJECT + '[hierarchy.models.m]\nteam = "idle"\n',
        "apportion.toml:4: hierarchy.models.m.team: 'idle' is a name of Apportion's own. Choose another name.",
    ),
    (
        PROJECT + '[hierarchy.teams]\nrisk = "idle"\n',
        "apportion.toml:4: hierarchy.teams.risk: 'idle' is a name of Apportion's own. Choose another name.",
    ),
    (
        PROJECT + "x = " + "[" * 3000 + "]" * 3000,
        "apportion.toml: TOML: is nested too deep. No setting needs more than a few brackets in each other.",
    ),
    (
        PROJECT + '[hierarchy.teams]\nunallocated = "Unit"\n',
        "apportion.toml:4: hierarchy.teams.unallocated: 'unallocated' is a name of Apportion's own. "
        "Choose another name.",
    ),
    (
        PROJECT + '[tags.policy.allowed]\nenv = ["a"]\n',
        "apportion.toml:4: tags.policy.allowed.env: Input should be 'team', 'project', 'model' or 'environment'. "
        "Found: 'env'.",
    ),
]


@pytest.mark.parametrize(("text", "said"), FAULTS)
def test_each_fault_names_file_line_key_and_the_fix(text, said):
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert str(caught.value) == said


def test_a_rule_comes_out_typed_with_a_version_of_its_content():
    text = RULE + (
        'when = { service = "A", resource_name_matches = "^n-", tags = { k = ["v", "w"] }, '
        'tags_match = { m = "x+" } }\n'
        'valid_from = 2026-01-01\nset = { team = "b" }\n'
    )
    (rule,) = parse_config(text).rules
    assert rule.when.equals == {"service": ("A",)}
    assert rule.when.matches == {"resource_name": "^n-"}
    assert (rule.when.tags, rule.when.tags_match) == ({"k": ("v", "w")}, {"m": "x+"})
    assert (rule.valid_from, rule.valid_until, rule.shares[0].owner) == (date(2026, 1, 1), None, {"team": "b"})
    (other,) = parse_config(text.replace('"b"', '"c"')).rules
    assert len(rule.version) == len(other.version) == 8
    assert rule.version != other.version


def test_decimal_weights_become_whole_parts_exactly():
    text = RULE + 'when = { service = "a" }\nsplit = [{ weight = "33.35", team = "a" }, { weight = 60, model = "m" }]\n'
    (rule,) = parse_config(text).rules
    assert [(share.weight, share.owner) for share in rule.shares] == [(3335, {"team": "a"}), (6000, {"model": "m"})]


def test_dimensions_without_keys_get_the_usual_ones():
    config = parse_config(PROJECT + '[tags.keys]\nteam = "squad"\n')
    assert config.tags.keys == {**DEFAULT_KEYS, "team": ("squad",)}


def test_comments_and_sources_do_not_change_the_ownership_version():
    one = parse_config(PROJECT)
    two = parse_config("# hello\n" + PROJECT + '[[sources]]\nid = "s"\nkind = "focus"\npaths = ["b"]\n')
    other = parse_config(PROJECT + '[maps.accounts]\n1 = { team = "t" }\n')
    assert one.ownership_version == two.ownership_version != other.ownership_version


@given(st.text(max_size=200))
def test_any_text_is_either_a_configuration_or_one_clear_error(text):
    with suppress(ConfigError):
        assert parse_config(text).name


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("project", "name"), 2),
        (("rules", 0, "id"), 4),
        (("rules", 1, "set", "team"), 9),
        (("maps", "accounts", "a.b", "team"), 11),
        (("maps", "nowhere"), None),
    ],
)
def test_the_line_of_a_key_is_found_also_in_arrays_and_quotes(path, line):
    text = (
        '[project]\nname = "a"\n[[rules]]\nid = "1"\nset = { team = "t" }\n'
        '# comment\n[[rules]]\nid = "2"\nset = { team = "t" }\n[maps.accounts]\n"a.b" = { team = "x" }\n'
    )
    assert line_of(text, path) == line
