"""Samples of one thing that overlap, against an account minute by minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.metering.meters import session

from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.sources.readings import cutting
from apportion.sources.readings.columns import FileOfSamples, Subjects
from apportion.sources.readings.contract import Resource, Sample, Workload

START = datetime(2026, 10, 1)
WORK = Workload(id="job-1", kind=WorkloadKind.TRAINING_JOB, name="job-1")


def sample(low, high, rate, row, *, key=""):
    """`rate` GPUs from minute `low` to minute `high`."""
    start, end = START + timedelta(minutes=low), START + timedelta(minutes=high)
    quantity = Decimal(rate) * 60 * (high - low)
    return Sample(
        workload=WORK,
        measure=Measure.GPU_SECONDS,
        quantity=quantity,
        start=start,
        end=end,
        resource=Resource(id="i-1"),
        basis=Basis.REQUESTED,
        row=row,
        key=key,
    )


def counted(folder, samples):
    """The rows that the import of these samples writes, and the rows that it says it shortened."""
    taken = FileOfSamples(Subjects()).take(samples, read_at=None)
    with session() as db:
        db.register("raw_samples", taken.table)
        db.register("all_subjects", taken.subjects.table)
        (month,) = cutting.months(db)
        folder.mkdir(exist_ok=True)
        cutting.write(db, month, folder)
        shortened = {row for (row,) in db.rows(cutting.OVERLAPS)}
    return pq.read_table(folder / "samples.parquet").to_pylist(), shortened


def test_a_short_sample_inside_of_a_long_one_leaves_what_is_before_and_after(tmp_path):
    rows, shortened = counted(tmp_path, [sample(0, 1440, 8, 1), sample(360, 420, 2, 2)])
    assert [(row["x_RowNo"], row["x_Start"].hour, row["x_Quantity"]) for row in rows] == [
        (1, 0, 8 * 6 * 3600), (1, 7, 8 * 17 * 3600), (2, 6, 2 * 3600),
    ]  # fmt: skip
    assert shortened == {1}


def test_samples_of_two_keys_count_both(tmp_path):
    rows, shortened = counted(tmp_path, [sample(0, 60, 8, 1, key="a"), sample(0, 60, 8, 2, key="b")])
    assert sum(row["x_Quantity"] for row in rows) == 16 * 3600
    assert shortened == set()


times = st.tuples(st.integers(0, 40), st.integers(1, 40), st.integers(1, 9))


@settings(max_examples=60, deadline=None)
@given(st.lists(times, min_size=1, max_size=7))
def test_each_minute_counts_once_as_the_last_sample_that_covers_it_says(tmp_path_factory, found):
    samples = [sample(low, low + long, rate, row) for row, (low, long, rate) in enumerate(found, 1)]
    rows, _ = counted(tmp_path_factory.mktemp("cut"), samples)
    expected = Fraction(0)
    for minute in range(81):
        here = [(low, row, rate) for row, (low, long, rate) in enumerate(found, 1) if low <= minute < low + long]
        expected += max(here)[2] * 60 if here else 0
    assert sum(row["x_Quantity"] for row in rows) == expected
    covered = sorted((row["x_Start"], row["x_End"]) for row in rows)
    assert all(one[1] <= two[0] for one, two in pairwise(covered))
