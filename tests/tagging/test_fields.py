from __future__ import annotations

from apportion.core.config_condition import FIELDS
from apportion.tagging import conditions


def test_every_field_that_a_rule_can_name_is_looked_up_somewhere():
    assert set(conditions.FIELDS) == set(FIELDS)
