"""Fixtures that several rooms share."""

from __future__ import annotations

import pytest
from tests.company import write_company
from tests.sail import sail_server

from apportion import app


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
