"""The folder of an offline task of ClearML: its three files tell of one task, in whatever order they grow."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.metering.meters import Meter, usage
from tests.sources.read_meters import read_of

from apportion.core.config import SourceConfig
from apportion.core.measures import Measure
from apportion.core.progress import silent
from apportion.sources.clearml import SOURCE
from apportion.sources.readings.contract import Sample
from apportion.sources.readings.ingest import ingest
from apportion.store import open_store

RECORDED = Path(__file__).parents[1] / "data" / "clearml" / "offline-99e3f7789ae547febc9f8e783e852490"
CONFIG = SourceConfig("tracker", "clearml", ("runs",))
PARTS = ("task.json", "metrics.jsonl", "log.jsonl")
FIRST = 1_795_000_000_000


def event(second):
    return {
        "timestamp": FIRST + 1000 * second,
        "worker": "train-1",
        "metric": ":monitor:gpu",
        "variant": "gpu_0_utilization",
        "value": 50,
    }


@pytest.fixture
def task(tmp_path):
    """The folder of a task that has reported for a minute."""
    folder = tmp_path / "runs" / "offline-1"
    folder.mkdir(parents=True)
    (folder / "task.json").write_text(json.dumps({"id": "offline-1", "name": "one"}))
    (folder / "metrics.jsonl").write_text(f"{json.dumps([event(0), event(60)])}\n")
    (folder / "log.jsonl").write_text(f"{json.dumps([event(1)])}\n")
    return folder


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "state") as opened:
        yield opened


def grow(folder, name, second):
    with (folder / name).open("a") as stream:
        stream.write(f"{json.dumps([event(second)])}\n")


def bring(store, folder):
    with store.writing():
        return ingest(CONFIG, store=store, paths=("runs",), base=folder.parents[1], progress=silent)


def stored(store):
    """(file, seconds the run took) of all current samples."""
    return {
        Path(snapshot.scope.part).name: row["x_Quantity"]
        for snapshot in store.current_readings()
        for row in pq.read_table(snapshot.samples).to_pylist()
        if row["x_Measure"] == Measure.RUN_SECONDS
    }


@pytest.mark.parametrize("name", PARTS)
def test_each_of_the_three_files_tells_of_the_whole_task(name):
    of_task = list(read_of(SOURCE, RECORDED / "task.json", CONFIG, None))
    assert list(read_of(SOURCE, RECORDED / name, CONFIG, None)) == of_task


def test_the_three_files_together_count_the_task_once(tmp_path):
    files = [Meter(list(read_of(SOURCE, RECORDED / name, CONFIG, None))) for name in PARTS]
    once = usage(tmp_path / "once", files[0])
    assert once
    assert usage(tmp_path / "all", *files) == once


@pytest.mark.parametrize("name", ["metrics.jsonl", "log.jsonl"])
def test_a_folder_that_grew_is_read_again(store, task, name):
    assert bring(store, task).files_read
    grow(task, name, 600)
    again = bring(store, task)
    assert [Path(path).name for path in again.files_read] == [name]
    assert stored(store)[name] == 600
    assert bring(store, task).files_read == ()


@pytest.mark.parametrize("name", ["metrics.jsonl", "log.jsonl"])
def test_what_a_grown_folder_says_replaces_what_it_said_before(tmp_path, task, name):
    def said(part):
        return Meter([one for one in read_of(SOURCE, task / part, CONFIG, None) if isinstance(one, Sample)])

    before = [said(part) for part in PARTS]
    grow(task, name, 600)
    rows = usage(tmp_path / "usage", *before, said(name))
    totals = {}
    for row in rows:
        totals[row["x_Measure"]] = totals.get(row["x_Measure"], Decimal(0)) + row["x_Quantity"]
    assert totals[Measure.RUN_SECONDS] == totals[Measure.GPU_SECONDS] == 600
    assert totals[Measure.GPU_BUSY_SECONDS] == 300


def test_a_doubt_is_told_by_the_file_that_it_is_about(tmp_path):
    folder = tmp_path / "offline-2"
    shutil.copytree(RECORDED, folder)
    with (folder / "log.jsonl").open("a") as stream:
        stream.write('[{"timestamp"')
    told = {
        name: [one.code for one in read_of(SOURCE, folder / name, CONFIG, None) if not isinstance(one, Sample)]
        for name in PARTS
    }
    assert told == {"task.json": [], "metrics.jsonl": [], "log.jsonl": ["clearml_line_unreadable"]}


def test_a_task_that_said_nothing_is_told_once(task):
    for name in ("metrics.jsonl", "log.jsonl"):
        (task / name).write_text("")
    told = {name: [one.code for one in read_of(SOURCE, task / name, CONFIG, None)] for name in PARTS}
    assert told == {"task.json": ["clearml_task_without_times"], "metrics.jsonl": [], "log.jsonl": []}


def test_a_task_whose_first_words_come_later_counts_from_then_on(store, task):
    for name in ("metrics.jsonl", "log.jsonl"):
        (task / name).write_text("")
    assert [one.code for one in bring(store, task).problems if one.code != "duplicate_file"] == [
        "clearml_task_without_times"
    ]
    grow(task, "metrics.jsonl", 0)
    grow(task, "metrics.jsonl", 60)
    assert bring(store, task).problems == ()
    assert set(stored(store).values()) == {60}
