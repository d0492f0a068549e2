"""Fifty workers that ingest and run are killed at random moments; after each death the project is looked at.

Run as a process of its own (`python -m tests.app.nursery FOLDER KILLS SEED`): everything is imported once, and each
worker is a fork. Prints one JSON line: how many died in the middle, and every fault found.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from decimal import Decimal
from pathlib import Path

from tests.company import OCTOBER, bill

from apportion import app
from apportion.errors import ApportionError

# Every verb is loaded before the first fork, so that a worker spends its time at work.
VERBS = (app.ingest, app.run, app.verify)

DELIVERIES = {Decimal("122.51"): OCTOBER, Decimal("95.01"): OCTOBER[:3]}
"""What October may add up to: one of two whole deliveries, never anything between."""
SEPTEMBER = Decimal("100.00")


def work(folder: Path, start: int) -> None:
    """Deliver October in one form and the other, ingest and run, for ever."""
    for turn in range(start, start + 1000):
        rows = list(DELIVERIES.values())[turn % 2]
        target = folder / "bills" / "2026-10.csv"
        target.with_suffix(".part").write_text(bill("2026-10", rows))
        target.with_suffix(".part").rename(target)
        with app.open_project(folder) as project:
            app.ingest(project)
            app.run(project)


def faults(folder: Path) -> list[str]:
    """What is wrong with the project as a reader finds it now."""
    found = []
    with app.open_project(folder) as project:
        snapshots = project.store.current_snapshots()
        for snapshot in snapshots:
            project.store.check(snapshot.folder, snapshot.stored)
        billed = {str(s.scope.period): s.totals["USD"]["BilledCost"] for s in snapshots}
        if billed.get("2026-09") != SEPTEMBER or billed.get("2026-10") not in DELIVERIES:
            found.append(f"bills: {billed}")
        run = project.store.current_run()
        if run is None:
            return [*found, "the run is lost"]
        out = run.totals_out["USD"]["BilledCost"]
        if run.totals_in != run.totals_out or out - SEPTEMBER not in DELIVERIES:
            found.append(f"run: in {run.totals_in} out {out}")
        if not app.verify(project).passed:
            found.append("the certificate does not hold")
    return found


def in_a_fork(job: object, *arguments: object) -> int:
    """The pid of a child that does the job and leaves."""
    pid = os.fork()
    if pid:
        return pid
    try:
        job(*arguments)  # type: ignore[operator]
    except ApportionError as error:
        sys.stderr.write(f"{error}\n")
        os._exit(1)
    os._exit(0)


def looked_at(folder: Path, report: Path) -> None:
    """Write the faults where the parent reads them."""
    report.write_text(json.dumps(faults(folder)))


def main() -> None:
    """Ingest and run once in peace, then kill and look."""
    folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    with app.open_project(folder) as project:
        app.ingest(project)
        app.run(project)
    died, found = 0, []
    for kill in range(kills):
        pid = in_a_fork(work, folder, kill)
        time.sleep(chance.uniform(0.05, 1.2))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        died += os.WIFSIGNALED(status)
        report = folder / "report.json"
        report.unlink(missing_ok=True)
        os.waitpid(in_a_fork(looked_at, folder, report), 0)
        found += json.loads(report.read_text()) if report.exists() else ["the project cannot be opened"]
    print(json.dumps({"died": died, "faults": found}))  # noqa: T201 - the answer to the test


if __name__ == "__main__":
    main()
