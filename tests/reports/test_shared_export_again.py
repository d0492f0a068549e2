"""An export of shared costs that is read again: everybody has what they had, and no pool takes it twice."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from tests.reports.shared_books import october, posted
from tests.reports.test_focus_shared import OWNED, by, export

from apportion import app

PLAIN = """
[project]
name = "again"

[[sources]]
id = "first"
kind = "focus"
paths = ["first"]

[tags.keys]
team = ["team"]
model = ["model"]

[hierarchy.teams]
Ads = "Growth"
Risk = "Finance"
"""
READY_MADE = """
[[pools]]
id = "networking"
use = "networking"

[[pools]]
id = "idle"
use = "idle"

[[pools]]
id = "platform"
use = "platform"
"""


def tagged(found):
    """The charge as a bill has it: its tags say whose it is, which is what a second project has to go by."""
    (_, owned), *_ = found.shares
    tags = [(key, owned[f"x_{key.capitalize()}"]) for key in ("model", "team")]
    found.values["Tags"] = [(key, value) for key, value in tags if value not in ("unallocated", "idle")]
    found.values |= dict.fromkeys(("ProviderName", "HostProviderName"), found.values["ServiceProviderName"])
    return found


@pytest.mark.parametrize("pools", ["", READY_MADE])
def test_an_export_that_is_read_again_has_the_same_owners_and_amounts(store, tmp_path, pools):
    run = posted(store, [tagged(each) for each in october()])
    first = export(store, run, tmp_path / "first", form="csv")
    (tmp_path / "apportion.toml").write_text(PLAIN + pools)
    with app.open_project(tmp_path) as project:
        app.ingest(project)
        app.run(project)
        again = app.export_focus(project, to=tmp_path / "second")
        second = app.export_focus(project, to=tmp_path / "third", form="csv")
        taken = [part.folder for part in project.store.current_run().sharings]
    keys = (*OWNED, "x_PoolId", "x_Path", "x_OriginTeam", "x_PooledCostId", "x_Evidence")
    typed = export(store, run, tmp_path / "typed")
    assert by(again.files[0].path, *keys) == by(typed.files[0].path, *keys)
    assert second.files[0].path.read_text() == first.files[0].path.read_text()
    assert [pq.read_metadata(folder / "taken.parquet").num_rows for folder in taken] == [0 for _ in taken]
