"""`python -m bench [ROWS …]`: measure every job at each size, print one table with the ratios that were promised."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench import sharing, usage
from bench.bill import paths
from bench.jobs import JOBS

FOLDER = Path("build/bench")
REPEATS = 3
SHORT = {"plain_group", "report", "attribution", "metered_again", "metered_hourly_again"}
AIMS = (
    ("attribution", "plain_group", "attribution ≤ 3 × DuckDB's plain group by"),
    ("pandas_script", "attribution", "the pandas script ≥ 10 × attribution"),
    ("ingest_csv", "duckdb_copy", "csv → snapshot against DuckDB COPY"),
    ("metered_again", "attribution", "charges × usage rows ≤ 2 × attribution without meters"),
    ("metered_hourly_again", "attribution", "the same where no hour is like another"),
    ("pandas_metered", "metered_again", "the pandas script of the same split, one metric, against it"),
)


def main() -> None:
    """Measure and print; the best of a few runs counts for the short jobs."""
    sizes = [int(argument) for argument in sys.argv[1:]] or [1_000_000, 10_000_000]
    for rows in sizes:
        # In a process of its own: a child's peak memory begins with what its parent held.
        subprocess.run([sys.executable, "-m", "bench.bill", str(FOLDER), str(rows)], check=True)  # noqa: S603
        parquet, csv = paths(FOLDER, rows)
        usage.write(parquet, rows)
        print(f"\n{rows:,} rows")
        measured = {name: _measured(name, parquet, csv) for name in JOBS}
        for name, figures in measured.items():
            rate = figures["wall"] / rows * 1_000_000
            print(
                f"  {name:20} {figures['wall']:8.2f} s  {figures['cpu']:8.2f} s CPU  {figures['peak']:7.0f} MB"
                f"  {rate:6.2f} s/M rows   {JOBS[name].__doc__}"
            )
        for above, below, words in AIMS:
            print(f"  {words}: {measured[above]['wall'] / measured[below]['wall']:.2f} ×")
    sharing.measure()


def _measured(name: str, parquet: Path, csv: Path) -> dict[str, float]:
    repeats = REPEATS if name in SHORT else 1
    runs = []
    for _ in range(repeats):
        command = [sys.executable, "-m", "bench.jobs", name, str(parquet.resolve()), str(csv.resolve())]
        runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))  # noqa: S603
    return min(runs, key=lambda run: run["wall"])


if __name__ == "__main__":
    main()
