from __future__ import annotations

import pytest

from apportion.store import open_store


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "state") as opened:
        yield opened
