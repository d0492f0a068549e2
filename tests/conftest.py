"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings
from tests.company import write_company
from tests.sail import sail_server

from apportion import app

# How long an example takes says nothing on a machine that does other work beside it.
settings.register_profile("side by side", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("side by side")

# A process of pytest-xdist is told a width, which would be that of every table. Its `__main__` is nothing at all, which
# pyspark takes for one of its own doctests; now it is what `python -m pytest` has, which fork servers do not run again.
os.environ.pop("COLUMNS", None)
if "PYTEST_XDIST_WORKER" in os.environ:
    sys.modules["__main__"].__spec__ = find_spec("pytest.__main__")


@pytest.fixture(scope="session")
def spark_url():
    """The address of a real Spark Connect server that lives as long as the test run."""
    with sail_server() as url:
        yield url


@pytest.fixture
def company(tmp_path):
    """The folder of a small company, not yet ingested."""
    return write_company(tmp_path / "tiny")


@pytest.fixture
def allocated(company):
    """The open project of the small company, ingested and run."""
    with app.open_project(company) as project:
        app.ingest(project)
        app.run(project)
        yield project
