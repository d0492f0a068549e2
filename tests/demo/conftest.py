"""Two months of acme as files, and acme's own understanding of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.demo.metered import DIMENSIONS

from apportion.core.config_file import parse_config
from apportion.demo import write_company
from apportion.demo.acme import configuration
from apportion.tagging.normalise import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.fixture(scope="session")
def acme(tmp_path_factory) -> Path:
    """The last two months of acme, only written."""
    folder = tmp_path_factory.mktemp("meters") / "acme"
    write_company(folder, months=2)
    return folder


@pytest.fixture(scope="session")
def owned():
    """Team, project, model and environment as acme's configuration understands labels, the hierarchy behind them."""
    config = parse_config(configuration.text())
    vocabulary = Vocabulary.of(config)

    def understood(labels: Mapping[str, str]) -> tuple[str | None, ...]:
        found = vocabulary.of_tags(labels)
        behind = config.hierarchy.models.get(found.get("model", ""), {})
        return tuple(found.get(dimension) or behind.get(dimension) for dimension in DIMENSIONS)

    return understood
