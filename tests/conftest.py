"""Fixtures that several rooms share."""

from __future__ import annotations

import pytest
from tests.sail import sail_server


@pytest.fixture(scope="session")
def spark_url():
    """The address of a real Spark Connect server that lives as long as the test run."""
    with sail_server() as url:
        yield url
