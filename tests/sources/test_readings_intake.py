from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.metering.meters import at, gpus, used

from apportion.core.config import SourceConfig
from apportion.core.problems import Severity
from apportion.core.progress import silent
from apportion.engine import duck
from apportion.errors import ConfigError, UnknownShape, UnreadableFile
from apportion.sources.readings import cutting
from apportion.sources.readings.columns import FileOfSamples, Subjects
from apportion.sources.readings.ingest import ingest
from apportion.store import open_store

HEAD = "start,end,workload,measure,quantity,resource_id,coverage\n"
FEW = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "state") as opened:
        yield opened


def row(start, end, quantity, work="a", measure="gpu_seconds", resource="i-1", coverage=""):
    return f"{start},{end},{work},{measure},{quantity},{resource},{coverage}\n"


def bring(store, folder, *rows, name="u.csv", **options):
    """Ingest one file of these rows."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(HEAD + "".join(rows))
    return bring_again(store, folder, name, **options)


def bring_again(store, folder, *names, **options):
    config = SourceConfig(id="u", kind="usage_file", paths=(), options=options)
    with store.writing():
        return ingest(config, store=store, paths=names, base=folder, progress=silent)


def samples(store):
    """(month, start, end, quantity) of all current samples."""
    found = []
    for snapshot in store.current_readings():
        month, rows = str(snapshot.scope.period), pq.read_table(snapshot.samples).to_pylist()
        found += [(month, one["x_Start"], one["x_End"], one["x_Quantity"]) for one in rows]
    return sorted(found)


def told(result):
    return [
        (each.code.lower(), each.severity, Path(each.file).name, each.rows, each.row_count) for each in result.problems
    ]


# --- cutting ----------------------------------------------------------------------------------------------------------


def cut(folder, found, read_at=None):
    """The samples as they are kept, month by month."""
    taken = FileOfSamples(Subjects()).take(found, read_at=read_at)
    kept = []
    with duck.session(memory="500MB", threads=1) as db:
        db.register("raw_samples", taken.table)
        db.register("all_subjects", taken.subjects.table)
        for month in cutting.months(db):
            place = folder / str(month)
            place.mkdir(parents=True)
            assert cutting.write(db, month, place) == pq.read_metadata(place / "samples.parquet").num_rows
            kept += [one | {"month": month} for one in pq.read_table(place / "samples.parquet").to_pylist()]
        overlaps = [no for (no,) in db.rows(cutting.OVERLAPS)]
    return kept, overlaps, taken


@FEW
@given(
    st.lists(
        st.tuples(st.integers(0, 10**14), st.integers(1, 10**14), st.decimals(0, 10**15, places=9)),
        min_size=1,
        max_size=6,
    )
)
def test_the_months_of_samples_add_up_to_them_exactly(tmp_path_factory, intervals):
    found = [
        used(
            f"j{no}", at(0) + timedelta(microseconds=low), at(0) + timedelta(microseconds=low + long), quantity, row=no
        )
        for no, (low, long, quantity) in enumerate(intervals)
    ]
    kept, overlaps, _ = cut(tmp_path_factory.mktemp("months"), found)
    assert overlaps == []
    for no, sample in enumerate(found):
        mine = [one for one in kept if one["x_RowNo"] == no]
        assert sum(one["x_Quantity"] for one in mine) == sample.quantity
        assert (mine[0]["x_Start"], mine[-1]["x_End"]) == (sample.start, sample.end)
        for one, two in pairwise(mine):
            assert one["x_End"] == two["x_Start"] == two["month"].start
        assert all(one["month"].start <= one["x_Start"] < one["x_End"] <= one["month"].end for one in mine)


def test_a_job_of_three_months_is_a_sample_in_each(tmp_path, store):
    bring(store, tmp_path / "in", row("2026-09-30T00:00:00Z", "2026-11-02T00:00:00Z", 33))
    assert [(month, quantity) for month, _, _, quantity in samples(store)] == [
        ("2026-09", 1), ("2026-10", 31), ("2026-11", 1),
    ]  # fmt: skip


def test_a_sample_that_ends_with_the_month_is_not_of_the_next(tmp_path, store):
    bring(store, tmp_path / "in", row("2026-10-31T00:00:00Z", "2026-11-01T00:00:00Z", 1))
    assert [month for month, *_ in samples(store)] == ["2026-10"]


def test_local_times_are_kept_in_utc(tmp_path, store):
    bring(store, tmp_path / "in", row("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", 25))
    assert samples(store) == [("2026-10", datetime(2026, 10, 24, 22), datetime(2026, 10, 25, 23), 25)]


# --- one thing at a time ----------------------------------------------------------------------------------------------


def test_a_row_that_stands_twice_counts_once_and_is_told(tmp_path, store):
    one = row("2026-10-01T00:00:00Z", "2026-10-01T04:00:00Z", 4)
    result = bring(store, tmp_path / "in", one, one)
    assert [quantity for *_, quantity in samples(store)] == [4]
    assert told(result) == [("overlap", Severity.WARNING, "u.csv", "2", 1)]
    assert "A later sample of the same thing covers part of this time" in result.problems[0].what
    assert result.problems[0].fix.startswith("Nothing, if the file was exported twice")


def test_where_samples_overlap_the_one_that_starts_later_counts_from_there_on(tmp_path, store):
    rows = [
        row("2026-10-01T00:00:00Z", "2026-10-01T04:00:00Z", 40),
        row("2026-10-01T03:00:00Z", "2026-10-01T05:00:00Z", 2),
    ]
    result = bring(store, tmp_path / "in", *rows)
    assert [quantity for *_, quantity in samples(store)] == [30, 2]
    assert told(result) == [("overlap", Severity.WARNING, "u.csv", "2", 1)]


def test_of_samples_that_start_together_the_one_read_last_counts(tmp_path, store):
    rows = [row("2026-10-01T00:00:00Z", f"2026-10-01T0{hours}:00:00Z", hours) for hours in (2, 3)]
    bring(store, tmp_path / "in", *rows)
    assert [quantity for *_, quantity in samples(store)] == [3]


@pytest.mark.parametrize("other", [{"work": "b"}, {"measure": "cpu_core_seconds"}, {"resource": "i-2"}])
def test_other_things_of_the_same_time_are_no_overlap(tmp_path, store, other):
    time = ("2026-10-01T00:00:00Z", "2026-10-01T04:00:00Z")
    result = bring(store, tmp_path / "in", row(*time, 4), row(*time, 4, **other))
    assert (len(samples(store)), result.problems) == (2, ())


def test_keys_tell_things_of_one_workload_apart(tmp_path):
    kept, overlaps, _ = cut(tmp_path, [gpus("a", at(0), at(2), 1, key=key, row=no) for no, key in enumerate("xy")])
    assert (len(kept), overlaps) == (2, [])


@FEW
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=8))
def test_after_cutting_nothing_of_one_key_overlaps_and_nothing_grows(tmp_path_factory, intervals):
    found = [gpus("a", at(low), at(low + long), 1, row=no) for no, (low, long) in enumerate(intervals, 1)]
    kept, overlaps, _ = cut(tmp_path_factory.mktemp("single"), found)
    kept.sort(key=lambda one: one["x_Start"])
    assert all(one["x_End"] <= two["x_Start"] for one, two in pairwise(kept))
    assert all(one["x_Quantity"] == (one["x_End"] - one["x_Start"]).total_seconds() for one in kept)
    whole = {no: (one.start, one.end) for no, one in enumerate(found, 1)}
    untouched = {one["x_RowNo"] for one in kept if (one["x_Start"], one["x_End"]) == whole[one["x_RowNo"]]}
    assert set(overlaps) == set(whole) - untouched


# --- what cannot be used ----------------------------------------------------------------------------------------------


def test_faults_become_problems_with_file_and_rows(tmp_path, store):
    good = row("2026-10-01T00:00:00Z", "2026-10-01T01:00:00Z", 1)
    bad = row("2026-10-01T00:00:00Z", "2026-10-01T01:00:00Z", "many")
    result = bring(store, tmp_path / "in", good, bad, bad, good.replace(",a,", ",b,"), bad)
    assert told(result) == [("usage_bad_number", Severity.REJECTED, "u.csv", "3-4, 6", 3)]
    problem = result.problems[0]
    assert (problem.column, problem.example) == ("quantity", "many")
    assert problem.what.endswith(".")
    assert problem.fix.endswith(".")
    (snapshot,) = store.current_readings()
    assert (snapshot.rows, snapshot.rejected) == (2, 3)
    assert [each.code.lower() for each in store.problems()] == ["usage_bad_number"]


def test_a_file_of_faults_alone_is_told_and_gives_nothing(tmp_path, store):
    result = bring(store, tmp_path / "in", row("2026-10-01T00:00:00Z", "", 1))
    assert told(result) == [("no_end", Severity.REJECTED, "u.csv", "2", 1)]
    assert store.current_readings() == ()
    assert [each.code for each in store.problems()] == ["no_end"]


def test_problems_of_a_file_of_two_months_are_told_once(tmp_path, store):
    rows = [
        row("2026-10-31T00:00:00Z", "2026-11-02T00:00:00Z", 1),
        row("2026-10-31T00:00:00Z", "2026-11-02T00:00:00Z", "x"),
    ]
    result = bring(store, tmp_path / "in", *rows)
    assert len(result.problems) == len(store.problems()) == 1
    assert [snapshot.rejected for snapshot in store.current_readings()] == [1, 0]


# --- again ------------------------------------------------------------------------------------------------------------

ONE = row("2026-10-01T00:00:00Z", "2026-10-01T04:00:00Z", 4)
TWO = row("2026-11-01T00:00:00Z", "2026-11-01T02:00:00Z", 2)


def test_the_same_file_again_changes_nothing(tmp_path, store):
    first = bring(store, tmp_path / "in", ONE, TWO)
    ids = [snapshot.id for snapshot in store.current_readings()]
    again = bring_again(store, tmp_path / "in", "u.csv")
    assert (len(first.published), again.published, len(again.unchanged)) == (2, (), 2)
    assert [snapshot.id for snapshot in store.current_readings()] == ids


def test_equal_files_have_equal_ids_in_every_project(tmp_path):
    ids = []
    for name in ("one", "two"):
        with open_store(tmp_path / name) as each:
            bring(each, tmp_path / "in", ONE)
            ids.append([snapshot.id for snapshot in each.current_readings()])
    assert ids[0] == ids[1]


def test_a_file_that_says_more_replaces_what_it_said(tmp_path, store):
    bring(store, tmp_path / "in", ONE)
    bring(store, tmp_path / "in", ONE.replace("T04", "T06").replace(",4,", ",6,"))
    assert [quantity for *_, quantity in samples(store)] == [6]


def test_a_file_that_says_nothing_more_of_a_month_takes_it_back(tmp_path, store):
    bring(store, tmp_path / "in", ONE, TWO)
    bring(store, tmp_path / "in", TWO)
    assert [month for month, *_ in samples(store)] == ["2026-11"]
    bring(store, tmp_path / "in", ONE, TWO)
    assert [month for month, *_ in samples(store)] == ["2026-10", "2026-11"]


def test_a_file_that_says_nothing_more_at_all_takes_everything_back(tmp_path, store):
    bring(store, tmp_path / "in", ONE)
    bring(store, tmp_path / "in", row("2026-10-01T00:00:00Z", "", 4))
    assert samples(store) == []
    again = bring_again(store, tmp_path / "in", "u.csv")
    assert (samples(store), len(store.current_readings())) == ([], 1)
    assert told(again) == [("no_end", Severity.REJECTED, "u.csv", "2", 1)]


def test_files_beside_each_other_both_stay(tmp_path, store):
    bring(store, tmp_path / "in", ONE, name="one.csv")
    bring(store, tmp_path / "in", ONE.replace(",a,", ",b,"), name="two.csv")
    assert len(samples(store)) == 2


def test_other_options_read_the_file_anew(tmp_path, store):
    open_end = row("2026-10-01T00:00:00Z", "", 4)
    bring(store, tmp_path / "in", open_end, read_at="2026-10-01T02:00:00Z")
    assert [end for _, _, end, _ in samples(store)] == [datetime(2026, 10, 1, 2)]
    bring_again(store, tmp_path / "in", "u.csv", read_at="2026-10-01T05:00:00+02:00")
    assert [end for _, _, end, _ in samples(store)] == [datetime(2026, 10, 1, 3)]


def test_a_moment_without_a_zone_is_utc(tmp_path, store):
    bring(store, tmp_path / "in", row("2026-10-01T00:00:00Z", "", 4), read_at="2026-10-01T02:00:00")
    assert [end for _, _, end, _ in samples(store)] == [datetime(2026, 10, 1, 2)]


def test_an_option_that_is_no_moment_is_refused(tmp_path, store):
    with pytest.raises(ConfigError, match="'yesterday' is no moment") as refused:
        bring(store, tmp_path / "in", ONE, read_at="yesterday")
    assert "sources.u.options.read_at" in str(refused.value)
    assert refused.value.fix == 'Write it like "2026-11-01T00:00:00Z".'


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [("u.csv", "a,b\n1,2\n", UnknownShape), ("u.parquet", "no parquet", UnreadableFile)],
)
def test_a_file_that_cannot_be_read_stores_nothing(tmp_path, store, name, text, error):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_text(HEAD + ONE)
    (folder / name).write_text(text)
    with pytest.raises(error, match=name):
        bring_again(store, folder, "a.csv", name)
    assert samples(store) == []


def test_a_zipped_file_reads_like_any_other(tmp_path, store):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "u.csv.gz").write_bytes(gzip.compress((HEAD + ONE).encode()))
    bring_again(store, tmp_path / "in", "u.csv.gz")
    assert [quantity for *_, quantity in samples(store)] == [4]


def test_subjects_that_no_sample_of_a_month_is_of_are_not_in_it(tmp_path, store):
    bring(store, tmp_path / "in", ONE, TWO.replace(",a,", ",b,"))
    found = [pq.read_table(snapshot.subjects)["x_WorkloadId"].to_pylist() for snapshot in store.current_readings()]
    assert found == [["a"], ["b"]]


def test_a_job_that_is_told_twice_counts_once_though_its_status_changed(store, tmp_path):
    """A log that a cron job appends to: first while it ran, then when it had ended."""
    head = HEAD.strip() + ",status\n"
    running = "2026-10-01T08:00:00Z,2026-10-01T09:00:00Z,a,gpu_seconds,7200,i-1,,RUNNING\n"
    ended = "2026-10-01T08:00:00Z,2026-10-01T10:00:00Z,a,gpu_seconds,14400,i-1,,COMPLETED\n"
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "u.csv").write_text(head + running + ended)
    bring_again(store, tmp_path / "log", "u.csv")
    assert [quantity for *_, quantity in samples(store)] == [14400]


def test_a_file_that_is_gone_still_counts_and_is_listed(store, tmp_path):
    bring(store, tmp_path / "log", row("2026-10-01T08:00:00Z", "2026-10-01T09:00:00Z", 60), name="old.csv")
    config = SourceConfig(id="u", kind="usage_file", paths=())
    (tmp_path / "log" / "new.csv").write_text(HEAD + row("2026-10-02T08:00:00Z", "2026-10-02T09:00:00Z", 7))
    with store.writing():
        found = ingest(config, store=store, paths=("new.csv",), base=tmp_path / "log", progress=silent, whole=True)
    assert [problem.code for problem in found.problems] == ["file_gone"]
    assert [quantity for *_, quantity in samples(store)] == [60, 7]
