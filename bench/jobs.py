"""The pieces of work that are compared, each run in a process of its own: `python -m bench.jobs NAME PARQUET CSV`."""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = """
[project]
name = "bench"
currency = "USD"
[[sources]]
id = "bill"
kind = "focus"
paths = ["{path}"]
[tags.keys]
team = ["team"]
model = ["model"]
environment = ["env"]
[maps.accounts]
"100000000005" = {{ team = "team-0" }}
"""
MEMORY = "1400MB"


def plain_group(parquet: Path, _csv: Path) -> None:
    """DuckDB: the team tag and one sum, nothing else."""
    import duckdb

    with duckdb.connect() as db:
        db.execute(
            f"SELECT json_extract_string(Tags, '$.team') AS team, SUM(BilledCost) FROM '{parquet}' GROUP BY 1"
        ).fetchall()


def pandas_script(parquet: Path, _csv: Path) -> None:
    """The script a user would write: tags parsed row by row, floats, one sum."""
    import pandas

    frame = pandas.read_parquet(parquet, columns=["Tags", "BilledCost"])
    frame["team"] = frame["Tags"].map(lambda text: json.loads(text).get("team", "unallocated"))
    frame["BilledCost"] = frame["BilledCost"].astype(float)
    frame.groupby("team")["BilledCost"].sum()


def duckdb_copy(_parquet: Path, csv: Path) -> None:
    """DuckDB: csv to Parquet, types guessed, nothing checked."""
    import duckdb

    with duckdb.connect() as db:
        db.execute(f"SET memory_limit = '{MEMORY}'")
        db.execute(f"COPY (FROM read_csv('{csv}')) TO '{csv}.copy.parquet' (FORMAT parquet, COMPRESSION zstd)")


def ingest_csv(_parquet: Path, csv: Path) -> None:
    """Apportion: csv to a published snapshot."""
    _ingest(csv, "csv")


def ingest_parquet(parquet: Path, _csv: Path) -> None:
    """Apportion: Parquet to a published snapshot."""
    _ingest(parquet, "parquet")


def attribution(parquet: Path, _csv: Path) -> None:
    """Apportion: every metric of every charge to team, model, project and environment, conserved, published."""
    _run_under_a_new_rule(_project(parquet, "parquet"))


def _run_under_a_new_rule(folder: Path) -> None:
    """A rule that names no charge of the bill: all of it is allocated anew."""
    config = folder / "apportion.toml"
    config.write_text(config.read_text() + f'"{time.time_ns()}" = {{ team = "team-1" }}\n')
    _run(folder)


def _run(folder: Path) -> None:
    from apportion import app

    with app.open_project(folder) as project:
        app.run(project)


def metered(parquet: Path, _csv: Path) -> None:
    """Apportion: usage worked out per hour, and the cost of every tenth resource divided over the jobs on it."""
    _metered(parquet, "held")


def metered_hourly(parquet: Path, _csv: Path) -> None:
    """Apportion: the same for jobs whose use is another in every hour."""
    _metered(parquet, "measured")


def metered_again(parquet: Path, _csv: Path) -> None:
    """Apportion: the metered bill allocated anew, the month's usage known: charges × usage rows."""
    _run_with_a_new_machine(_project(parquet, "held"))


def metered_hourly_again(parquet: Path, _csv: Path) -> None:
    """Apportion: the same where no hour's use is like another's."""
    _run_with_a_new_machine(_project(parquet, "measured"))


def _run_with_a_new_machine(folder: Path) -> None:
    """A machine type that nobody has: all that meters divide is divided and allocated anew."""
    config = folder / "apportion.toml"
    size = "{ gpus = 1, cpu_cores = 1, memory_gib = 1 }"
    config.write_text(f'metering.machines."none-{time.time_ns()}" = {size}\n' + config.read_text())
    _run(folder)


METERS = """
[[sources]]
id = "meters"
kind = "usage_file"
paths = ["{path}"]
"""


def _metered(parquet: Path, kind: str) -> None:
    from apportion import app
    from bench import usage

    folder = _project(parquet, kind)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(_project(parquet, "parquet"), folder)
    config = folder / "apportion.toml"
    config.write_text(METERS.format(path=usage.path(parquet, kind)) + config.read_text())
    with app.open_project(folder) as project:
        app.ingest(project, source="meters")
    began = time.perf_counter()
    _run(folder)
    print(f"after its ingest: {time.perf_counter() - began:.2f} s", file=sys.stderr)


def pandas_metered(parquet: Path, _csv: Path) -> None:
    """The script a user would write: usage cut to hours, joined to the bill, cost by share of use, in floats."""
    import pandas

    from bench import usage

    frame = pandas.read_parquet(parquet, columns=["ResourceId", "ChargePeriodStart", "BilledCost"])
    frame["BilledCost"] = frame["BilledCost"].astype(float)
    used = pandas.read_parquet(usage.path(parquet))
    used = used[used["basis"] == "requested"]
    hours = used.loc[used.index.repeat(25)].copy()
    hours["hour"] = hours["start"] + pandas.to_timedelta(hours.groupby(level=0).cumcount(), unit="h")
    hours["gpus"] = hours["quantity"].astype(float) / 25 / 3600
    joined = frame.merge(hours, left_on=["ResourceId", "ChargePeriodStart"], right_on=["resource_id", "hour"])
    joined["part"] = joined["BilledCost"] * joined["gpus"] / 8
    joined.groupby(["team", "model"])["part"].sum()


def report(parquet: Path, _csv: Path) -> None:
    """Apportion: the table per team from the stored result."""
    from apportion import app

    with app.open_project(_project(parquet, "parquet")) as project:
        app.report(project)


def verify(parquet: Path, _csv: Path) -> None:
    """Apportion: the independent count with pyarrow and Python's whole numbers."""
    from apportion import app

    with app.open_project(_project(parquet, "parquet")) as project:
        assert app.verify(project).passed  # noqa: S101 - a benchmark of a wrong result is worth nothing


def _project(bill: Path, form: str) -> Path:
    return bill.parent / f"project-{form}-{bill.stem}"


def _ingest(bill: Path, form: str) -> None:
    from apportion import app

    folder = _project(bill, form)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "apportion.toml").write_text(CONFIG.format(path=bill))
    with app.open_project(folder) as project:
        app.ingest(project)


JOBS: dict[str, Callable[[Path, Path], None]] = {
    job.__name__: job
    for job in (
        plain_group,
        pandas_script,
        duckdb_copy,
        ingest_csv,
        ingest_parquet,
        attribution,
        report,
        verify,
        metered,
        metered_again,
        metered_hourly,
        metered_hourly_again,
        pandas_metered,
    )
}


def main() -> None:
    """Run one job and print seconds of wall and CPU time and the peak memory in MB as JSON."""
    name, parquet, csv = sys.argv[1:]
    began = time.perf_counter()
    JOBS[name](Path(parquet), Path(csv))
    wall = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
