from __future__ import annotations

import json
import os
import subprocess
import sys

KILLS, SEED = 50, 20261124


def test_fifty_kills_in_ingest_and_run_leave_whole_months_and_a_whole_run(company):
    done = subprocess.run(
        [sys.executable, "-m", "tests.app.nursery", str(company), str(KILLS), str(SEED)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=600,
        check=True,
    )
    assert json.loads(done.stdout) == {"died": KILLS, "faults": []}, f"seed {SEED}: {done.stdout} {done.stderr}"


def test_the_look_after_a_kill_sees_a_lost_month(company):
    from tests.app.nursery import faults

    from apportion import app

    (company / "bills" / "2026-09.csv").unlink()
    with app.open_project(company) as project:
        app.ingest(project)
        app.run(project)
    assert any(fault.startswith("bills") for fault in faults(company))
