"""Presets are configuration that can be used as it is printed."""

from __future__ import annotations

import pytest

from apportion import app
from apportion.app.methods_checked import refuse_wrong_methods
from apportion.core.config_file import parse_config
from apportion.errors import UnknownName

PROJECT = '[project]\nname = "a"\n'


@pytest.mark.parametrize("name", app.presets())
def test_every_preset_is_a_configuration_with_pools(name):
    text = PROJECT + app.preset(name)
    config = parse_config(text)
    refuse_wrong_methods(config, text, "apportion.toml")
    assert config.pools


def test_a_ready_made_pool_is_printed_as_it_is_used():
    (printed,) = parse_config(PROJECT + app.preset("tax")).pools
    (used,) = parse_config(f'{PROJECT}[[pools]]\nid = "tax"\nuse = "tax"\n').pools
    assert printed == used


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(UnknownName, match=r"There is no preset 'taxes'\. Did you mean 'tax'"):
        app.preset("taxes")
