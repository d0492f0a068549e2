from __future__ import annotations

import pytest
from docs.write_reference import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_says_what_the_code_says(name):
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == PAGES[name]() + "\n", "run: python docs/write_reference.py"
