from __future__ import annotations

import re
from pathlib import Path

import pytest

from apportion.app.project import read_config
from apportion.core.measures import Measure, WorkloadKind
from apportion.sources._usage_units import units_of
from apportion.sources.usage_file import COLUMNS

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{no}")
    for page in PAGES
    for no, block in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL), 1)
]
USAGE = (ROOT / "docs" / "how-to" / "record-usage.md").read_text("utf-8")
WORDS = frozenset(re.findall(r"`([^`\n]+)`", USAGE))


@pytest.mark.parametrize("block", BLOCKS)
def test_a_piece_of_configuration_is_one_that_a_project_takes(block, tmp_path):
    (tmp_path / "apportion.toml").write_text(f'[project]\nname = "acme"\n{block}', "utf-8")
    config, _ = read_config(tmp_path)
    assert config.sources or config.rules or config.pools or block.startswith("[metering")


def test_there_are_pieces_of_configuration():
    assert len(BLOCKS) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_found_from_the_front_page_and_from_the_tutorial(page):
    assert f"](docs/how-to/{page.name})" in (ROOT / "README.md").read_text("utf-8")
    assert f"](how-to/{page.name})" in (ROOT / "docs" / "tutorial.md").read_text("utf-8")


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "docs" / "tutorial.md", *PAGES], ids=lambda page: page.stem
)
def test_what_a_page_links_to_is_there(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_page_on_usage_names_every_column_measure_kind_and_unit():
    kinds = set(WorkloadKind) - {WorkloadKind.IDLE, WorkloadKind.UNMETERED}
    units = {unit for measure in Measure for unit in units_of(measure) if unit}
    spelled = {part for unit in units - WORDS for part in unit.rsplit("_", 1)}  # a size with a time
    assert (COLUMNS | set(Measure) | kinds | spelled) - WORDS - {"byte"} == set()
