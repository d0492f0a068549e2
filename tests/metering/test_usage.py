from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.metering.meters import (
    HOUR,
    Meter,
    at,
    gpus,
    has_gpus,
    told,
    usage,
    usage_parts,
    used,
    utc,
)

from apportion.core.measures import Basis, Measure, Rank
from apportion.sources.readings.contract import Resource

FEW = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def per_hour(rows, *, measure=Measure.GPU_SECONDS, basis=None):
    """(workload, hour of October) -> quantity."""
    found = defaultdict(Decimal)
    for row in rows:
        if row["x_Measure"] == measure and basis in (None, row["x_Basis"]):
            found[row["work"], int((row["x_Hour"] - at(0)) / HOUR)] += row["x_Quantity"]
    return dict(found)


def total(rows, work, measure=Measure.GPU_SECONDS):
    return sum(row["x_Quantity"] for row in rows if row["work"] == work and row["x_Measure"] == measure)


# --- hours ------------------------------------------------------------------------------------------------------------


def test_an_interval_is_cut_at_hours_in_proportion_to_time(tmp_path):
    rows = usage(tmp_path, Meter([gpus("a", at(6, minute=30), at(8, minute=15), 4)]))
    assert per_hour(rows) == {("a", 6): 7200, ("a", 7): 14400, ("a", 8): 3600}


def test_coverage_of_a_part_of_an_hour_is_that_part(tmp_path):
    rows = usage(tmp_path, Meter([gpus("a", at(6, minute=30), at(8), 4, coverage=Decimal("0.5"))]))
    assert [row["x_Coverage"] for row in rows] == [Decimal("0.25"), Decimal("0.5")]


@FEW
@given(
    st.lists(
        st.tuples(
            st.integers(0, 50 * 3600 * 10**6),
            st.integers(1, 3000 * 3600 * 10**6),
            st.decimals(0, 10**15, places=9),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_the_hours_of_an_interval_add_up_to_it_exactly(tmp_path_factory, intervals):
    samples = [
        used(f"job-{no}", at(0) + timedelta(microseconds=low), at(0) + timedelta(microseconds=low + long), quantity)
        for no, (low, long, quantity) in enumerate(intervals)
    ]
    rows = usage(tmp_path_factory.mktemp("hours"), Meter(samples))
    for sample in samples:
        assert total(rows, sample.workload.id) == sample.quantity
        hours = [row["x_Hour"] for row in rows if row["work"] == sample.workload.id]
        assert len(hours) == len(set(hours))
        assert min(hours) <= sample.start < min(hours) + HOUR
        assert max(hours) < sample.end <= max(hours) + HOUR


def test_a_job_longer_than_a_month_is_in_every_month_and_adds_up(tmp_path):
    start, end = utc("2026-09-20T00:00:00Z"), utc("2026-12-02T12:00:00Z")
    parts = usage_parts([Meter([gpus("long", start, end, 8)])], tmp_path)
    assert [part.id for part in parts] == [f"part-2026-{month:02}" for month in (9, 10, 11, 12)]
    rows = usage(tmp_path / "again", Meter([gpus("long", start, end, 8)]))
    assert total(rows, "long") == 8 * int((end - start).total_seconds())
    assert len(rows) == (end - start) / HOUR


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", 25),
        ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", 23),
    ],
    ids=["clocks-go-back", "clocks-go-forward"],
)
def test_a_local_day_on_which_clocks_change_has_its_true_number_of_hours(tmp_path, start, end, hours):
    rows = usage(tmp_path, Meter([used("a", utc(start), utc(end), hours * 3600)]))
    assert len(rows) == hours
    assert {row["x_Quantity"] for row in rows} == {Decimal(3600)}
    assert min(row["x_Hour"] for row in rows) == utc(start)


# --- what several files of one source say -----------------------------------------------------------------------------


def test_the_same_file_twice_counts_once(tmp_path):
    once = Meter([gpus("a", at(0), at(5), 4), has_gpus(at(0), at(5), 8)])
    assert usage(tmp_path / "twice", once, once) == usage(tmp_path / "once", once)


def test_where_two_exports_overlap_the_later_one_counts(tmp_path):
    first = Meter([gpus("a", at(0), at(5), 4)])
    later = Meter([gpus("a", at(3), at(8), 2)])
    rows = per_hour(usage(tmp_path, first, later))
    assert rows == {("a", hour): 14400 if hour < 3 else 7200 for hour in range(8)}


def test_late_samples_complete_an_hour_that_was_half_told(tmp_path):
    first = Meter([gpus("a", at(0), at(2, minute=20), 4)])
    later = Meter([gpus("a", at(0), at(4), 4)])
    assert per_hour(usage(tmp_path, first, later)) == {("a", hour): 14400 for hour in range(4)}


def test_two_exports_that_meet_within_an_hour_both_count(tmp_path):
    """A day of India or Nepal ends at half past or a quarter to a UTC hour."""
    first = Meter([gpus("a", at(0), at(5, minute=30), 4)])
    later = Meter([gpus("a", at(5, minute=30), at(8), 4)])
    assert per_hour(usage(tmp_path, first, later)) == {("a", hour): 14400 for hour in range(8)}


def test_two_exports_that_overlap_within_an_hour_count_that_time_once(tmp_path):
    first = Meter([gpus("a", at(0), at(5, minute=40), 4)])
    later = Meter([gpus("a", at(5, minute=20), at(8), 2)])
    rows = per_hour(usage(tmp_path, first, later))
    assert rows[("a", 5)] == 20 * 60 * 4 + 40 * 60 * 2


def test_three_exports_within_an_hour_are_each_taken_where_no_later_one_speaks(tmp_path):
    files = [Meter([gpus("a", at(5, minute=10 * no), at(6), no + 1)]) for no in range(3)]
    assert per_hour(usage(tmp_path, *files)) == {("a", 5): 600 * 1 + 600 * 2 + 40 * 60 * 3}
    assert per_hour(usage(tmp_path / "back", *reversed(files))) == {("a", 5): 3600}


def test_an_older_export_still_says_what_was_after_a_later_one(tmp_path):
    older = Meter([gpus("a", at(5), at(6), 4)])
    later = Meter([gpus("a", at(5, minute=20), at(5, minute=40), 1)])
    assert per_hour(usage(tmp_path, older, later)) == {("a", 5): 40 * 60 * 4 + 20 * 60}


def test_things_with_keys_of_their_own_count_beside_each_other(tmp_path):
    meter = Meter([gpus("a", at(0), at(1), 1, key="pod-1"), gpus("a", at(0), at(1), 2, key="pod-2")])
    assert per_hour(usage(tmp_path, meter)) == {("a", 0): 3 * 3600}


def test_halves_of_an_hour_told_one_by_one_cover_the_hour(tmp_path):
    meter = Meter([gpus("a", at(0), at(0, minute=30), 1), gpus("a", at(0, minute=30), at(1), 3)])
    (row,) = usage(tmp_path, meter)
    assert (row["x_Quantity"], row["x_Coverage"]) == (7200, 1)


# --- several meters ---------------------------------------------------------------------------------------------------

CLUSTER = Meter([gpus("a", at(0), at(4), 4)], "prometheus", Rank.CLUSTER)
SCHEDULER = Meter([gpus("slurm:1", at(2), at(3), 8)], "slurm", Rank.SCHEDULER)


def test_in_each_hour_of_a_resource_the_most_exact_meter_counts(tmp_path):
    rows = usage(tmp_path, CLUSTER, SCHEDULER)
    assert per_hour(rows) == {("a", 0): 14400, ("a", 1): 14400, ("slurm:1", 2): 28800, ("a", 3): 14400}
    assert {row["source"] for row in rows if row["work"] == "slurm:1"} == {"slurm"}


@pytest.mark.parametrize("better", list(Rank)[:-1])
def test_the_lower_rank_is_the_more_exact_one(tmp_path, better):
    meters = [Meter([gpus(rank.name, at(0), at(1), 1)], f"source-{9 - rank}", rank) for rank in Rank if rank >= better]
    assert per_hour(usage(tmp_path, *meters)) == {(better.name, 0): 3600}


def test_of_two_meters_of_one_rank_the_first_by_name_counts(tmp_path):
    one = Meter([gpus("one", at(0), at(1), 1)], "b")
    other = Meter([gpus("other", at(0), at(1), 1)], "a")
    assert per_hour(usage(tmp_path, one, other)) == {("other", 0): 3600}


def test_utilisation_is_kept_from_every_meter(tmp_path):
    seen = [
        used("a", at(0), at(1), quantity, measure, basis=Basis.USED)
        for measure, quantity in (
            (Measure.GPU_BUSY_SECONDS, 1800),
            (Measure.ENERGY_JOULES, 7),
            (Measure.RUN_SECONDS, 9),
        )
    ]
    rows = usage(
        tmp_path, Meter([gpus("a", at(0), at(1), 1), *seen]), Meter([gpus("s", at(0), at(1), 1)], "s", Rank(2))
    )
    assert {(row["work"], row["x_Measure"]) for row in rows} == {
        ("a", "gpu_busy_seconds"), ("a", "energy_joules"), ("s", "gpu_seconds"),
    }  # fmt: skip


def test_what_does_not_measure_work_takes_no_work_from_another_meter(tmp_path):
    """A better meter that only says how long something ran, or what it is said to cost, counts nothing."""
    better = Meter(
        [used("t", at(0), at(1), 3600, Measure.RUN_SECONDS), used("t", at(0), at(1), 5, Measure.REPORTED_COST)],
        "s",
        Rank.SCHEDULER,
    )
    assert per_hour(usage(tmp_path, CLUSTER, better))["a", 0] == 14400


def test_a_better_meter_of_requests_takes_no_gpus_from_the_meter_that_counts_them(tmp_path):
    """Two meters measure the same only where they measure the same kind of thing."""
    better = Meter([used("endpoint", at(0), at(1), 500, Measure.REQUESTS, basis=Basis.USED)], "s", Rank.SCHEDULER)
    rows = usage(tmp_path, CLUSTER, better)
    assert per_hour(rows)["a", 0] == 14400
    assert total(rows, "endpoint", Measure.REQUESTS) == 500


# --- capacity ---------------------------------------------------------------------------------------------------------


def test_a_node_that_two_clusters_list_is_one_node(tmp_path):
    """By the cloud's id; its capacity is the most that anybody said, never the sum."""
    other = Resource(id="I-0ABC", node="other-name", cluster="west")
    meter = Meter(
        [
            has_gpus(at(0), at(1), 8),
            has_gpus(at(0), at(1), 8, resource=other),
            gpus("a", at(0), at(1), 3),
            gpus("b", at(0), at(1), 2, resource=other),
        ]
    )
    rows = usage(tmp_path, meter)
    assert per_hour(rows) == {(None, 0): 8 * 3600, ("a", 0): 3 * 3600, ("b", 0): 2 * 3600}
    assert len({row["x_ResourceNo"] for row in rows}) == 1


def test_nodes_of_one_name_in_two_clusters_are_two_nodes_where_no_id_says_otherwise(tmp_path):
    one, two = Resource(node="node-1", cluster="east"), Resource(node="node-1", cluster="west")
    meter = Meter([gpus("a", at(0), at(1), 3, resource=one), gpus("b", at(0), at(1), 2, resource=two)])
    assert len({row["x_ResourceNo"] for row in usage(tmp_path, meter)}) == 2


def test_capacity_of_cards_of_one_node_adds_up(tmp_path):
    meter = Meter([has_gpus(at(0), at(1), 1, key=f"card-{no}") for no in range(8)])
    assert per_hour(usage(tmp_path, meter)) == {(None, 0): 8 * 3600}


def test_capacity_that_two_meters_say_stays_apart_by_meter(tmp_path):
    rows = usage(tmp_path, Meter([has_gpus(at(0), at(1), 8)], "a"), Meter([has_gpus(at(0), at(1), 7)], "b"))
    assert [(row["source"], row["x_Quantity"]) for row in rows] == [("a", 28800), ("b", 25200)]


def test_usage_of_no_resource_is_kept(tmp_path):
    meter = Meter([used("a", at(0), at(1), 5, Measure.REQUESTS, basis=Basis.USED, resource=Resource())])
    (row,) = usage(tmp_path, meter)
    assert (row["x_ResourceNo"], row["x_Quantity"]) == (None, 5)


def test_the_order_of_rows_and_the_number_of_threads_change_nothing(tmp_path):
    samples = [gpus(f"job-{no % 7}", at(no), at(no + 5), 1 + no % 3, key=f"k{no}") for no in range(30)]
    samples += [has_gpus(at(0), at(40), 64), gpus("other", at(2), at(9), 1, resource=Resource(id="i-2"))]
    one = usage_parts([Meter(samples)], tmp_path / "one", threads=1)
    two = usage_parts([Meter(samples[::-1])], tmp_path / "two", threads=4)
    for name in ("usage", "workloads", "meters", "resources"):
        same = [(part.folder / f"{name}.parquet").read_bytes() for part in (*one, *two)]
        assert same[0] == same[1], name


def test_no_sample_gives_no_usage(tmp_path):
    assert usage(tmp_path, Meter([])) == []


# --- hours alike ------------------------------------------------------------------------------------------------------


def twins(folder, *meters):
    """Hour of the first of October -> its twin, of `NODE`."""
    found = told(folder, *meters, table="hours")
    return {row["x_Hour"].hour: row["x_Twin"].hour for row in found}


def test_hours_of_equal_use_are_twins_of_the_first(tmp_path):
    meter = Meter([gpus("a", at(0), at(3), 4), gpus("a", at(3), at(4), 2), gpus("a", at(5), at(6), 4)])
    assert twins(tmp_path, meter) == {0: 0, 1: 0, 2: 0, 3: 3, 5: 0}


def test_hours_in_which_two_jobs_swap_what_they_hold_are_no_twins(tmp_path):
    swapped = [("a", 0, 2), ("b", 0, 4), ("a", 1, 4), ("b", 1, 2)]
    assert twins(tmp_path, Meter([gpus(work, at(no), at(no + 1), n) for work, no, n in swapped])) == {0: 0, 1: 1}


def test_how_busy_a_card_was_tells_no_hours_apart(tmp_path):
    busy = [used("a", at(no), at(no + 1), 100 + no, Measure.GPU_BUSY_SECONDS, basis=Basis.USED) for no in range(3)]
    assert twins(tmp_path, Meter([gpus("a", at(0), at(3), 4), *busy])) == {0: 0, 1: 0, 2: 0}
