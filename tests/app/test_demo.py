from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from decimal import Decimal

import pytest

from apportion import app


def commanded(*words, check=True):
    """The finished command `apportion <words>`."""
    return subprocess.run(
        [sys.executable, "-c", "from apportion.cli import main; main()", *words],
        capture_output=True,
        text=True,
        check=check,
        timeout=900,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The folder of the demo, and what the command printed."""
    folder = tmp_path_factory.mktemp("shown") / "demo"
    return folder, commanded("demo", str(folder))


def test_the_demo_ends_with_totals_that_agree_coverage_and_commands_to_try(shown):
    folder, done = shown
    assert "USD BilledCost in 20.52022672899 = out 20.52022672899, to the last digit" in done.stdout
    assert re.search(r"acme: 27,780 charges, certificate holds\n +USD BilledCost in ([\d,.]+) = out \1,", done.stdout)
    assert re.search(r"Coverage: 9\d\.\d% of BilledCost 2026-10 has a team", done.stdout)
    assert re.findall(r"^  apportion --project \S+ (\w+)", done.stdout, re.MULTILINE) == [
        "explain",
        "report",
        "tags",
        "export",
    ]
    assert re.search(r"Team +Business unit +Direct +Metered +Idle +Shared +Cost", done.stdout)
    assert re.search(r"\n assist-llm +assistant +– +[\d,.]+ ", done.stdout)
    again = app.demo(folder)
    assert (again.company.ingested, again.company.posted.unchanged) == ((), True)
    assert again.sample.posted.run.totals_out["USD"]["BilledCost"] == Decimal("20.520226728990000000")


def test_the_demo_is_one_json_document_and_leaves_edited_projects_alone(shown, tmp_path):
    shutil.copytree(shown[0], tmp_path / "demo")
    words = ("--quiet", "demo", str(tmp_path / "demo"), "--json")
    done = commanded(*words)
    document = json.loads(done.stdout)
    assert document["schema"] == "apportion.demo/1"
    assert [(p["charges"], p["holds"]) for p in document["projects"]] == [(1000, True), (27780, True)]
    config = tmp_path / "demo" / "acme" / "apportion.toml"
    config.write_text("# mine")
    again = commanded(*words, check=False)
    assert again.returncode == 2
    assert config.read_text() == "# mine"
