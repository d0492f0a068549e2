from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.metering.meters import (
    HOUR,
    Meter,
    at,
    capacity,
    divided,
    gpus,
    has_gpus,
    holder,
    hourly,
    only_parts,
    parts_of,
    rounded,
    side_by_side,
    used,
    utc,
    whole,
)

from apportion.core.config import MeteringConfig, TokenWeights
from apportion.core.measures import Basis, Measure, Rank
from apportion.sources.readings.contract import Resource

DAY = [has_gpus(at(0), at(24), 8)]
"""Eight GPUs, all of the first of October."""


def by_charge(found):
    return {number: rounded(parts_of(shares)) for number, shares in found.items()}


# --- time -------------------------------------------------------------------------------------------------------------


def test_each_hour_is_divided_by_what_was_held_in_it_and_the_rest_is_idle(tmp_path):
    meter = Meter([*DAY, gpus("a", at(0), at(2), 4), gpus("b", at(1), at(3), 2)])
    assert by_charge(divided(tmp_path, meter, hourly(at(0), at(4)))) == {
        1: {"a": 0.5, "idle": 0.5},
        2: {"a": 0.5, "b": 0.25, "idle": 0.25},
        3: {"b": 0.25, "idle": 0.75},
        4: {"idle": 1},
    }


def test_six_hours_twenty_of_eight_gpus_are_their_part_of_each_charge(tmp_path):
    meter = Meter([*DAY, gpus("a", at(6, minute=30), at(12, minute=50), 8)])
    found = by_charge(divided(tmp_path, meter, hourly(at(6), at(13))))
    assert [each["a"] for each in found.values()] == [0.5, 1, 1, 1, 1, 1, round(5 / 6, 11)]


@pytest.mark.parametrize(
    "times",
    [
        (at(0), at(24)),
        (at(0), at(0, day=3)),
        (at(0, minute=7) + timedelta(seconds=13), at(0, day=2, minute=-5)),
        (at(23), at(23, minute=1)),
    ],
    ids=["a-day", "two-days", "odd", "a-minute"],
)
def test_a_charge_of_any_time_is_divided_by_the_use_in_that_time(tmp_path, times):
    start, end = times
    meter = Meter([has_gpus(at(0), at(0, day=4), 8), gpus("a", at(0), at(0, day=4), 2)])
    assert only_parts(tmp_path, meter, whole(start, end)) == {"a": 0.25, "idle": 0.75}


def test_a_charge_of_a_month_is_divided_by_the_use_of_the_month(tmp_path):
    end = utc("2026-11-01T00:00:00Z")
    meter = Meter([has_gpus(at(0), end, 8), gpus("a", at(0), at(0, day=4), 8)])
    assert only_parts(tmp_path, meter, whole(at(0), end)) == {"a": round(3 / 31, 11), "idle": round(28 / 31, 11)}


def test_a_charge_without_duration_is_divided_as_the_hour_that_begins_with_it(tmp_path):
    meter = Meter([*DAY, gpus("a", at(5), at(6), "0.5"), gpus("b", at(6), at(7), 8)])
    assert only_parts(tmp_path, meter, whole(at(5), at(5))) == {"a": 0.0625, "idle": 0.9375}


@pytest.mark.parametrize(("start", "hours"), [("2026-10-25T00:00:00+02:00", 25), ("2026-03-29T00:00:00+01:00", 23)])
def test_a_local_day_on_which_clocks_change_is_divided_by_its_true_hours(tmp_path, start, hours):
    begin = utc(start)
    end = begin + hours * HOUR
    meter = Meter([has_gpus(begin, end, 8), gpus("a", begin, begin + HOUR, 8)])
    assert only_parts(tmp_path, meter, whole(begin, end)) == {
        "a": round(1 / hours, 11), "idle": round(1 - 1 / hours, 11),
    }  # fmt: skip


def test_one_bill_may_hold_two_months_and_a_job_of_both(tmp_path):
    start, end = utc("2026-10-30T00:00:00Z"), utc("2026-11-03T00:00:00Z")
    meter = Meter([has_gpus(start, end, 8), gpus("long", start, end, 6)])
    charges = [whole(start, end), hourly(utc("2026-10-31T23:00:00Z"), utc("2026-11-01T01:00:00Z"), tags={"team": "x"})]
    found = divided(tmp_path, meter, charges)
    assert by_charge(found) == {no: {"long": 0.75, "idle": 0.25} for no in (1, 2, 3)}


# --- what nobody looked at --------------------------------------------------------------------------------------------

OTHER = Resource(id="i-other", node="node-2", cluster="east")


def test_while_no_meter_looked_a_charge_is_unmetered(tmp_path):
    """A scrape outage from 2 to 5 o'clock: the meter saw nothing, here or elsewhere."""
    meter = Meter(
        [
            each
            for low, high in ((0, 2), (5, 7))
            for each in (has_gpus(at(low), at(high), 8), gpus("a", at(low), at(high), 8))
        ]
    )
    found = by_charge(divided(tmp_path, meter, hourly(at(1), at(6))))
    assert found == {1: {"a": 1}, 2: {"unmetered": 1}, 3: {"unmetered": 1}, 4: {"unmetered": 1}, 5: {"a": 1}}


def test_an_outage_within_a_day_is_its_part_of_the_day_and_spread_over_nobody(tmp_path):
    meter = Meter(
        [
            each
            for low, high in ((0, 9), (15, 24))
            for each in (has_gpus(at(low), at(high), 8), gpus("a", at(low), at(high), 2))
        ]
    )
    assert only_parts(tmp_path, meter, whole(at(0), at(24))) == {"a": 0.1875, "idle": 0.5625, "unmetered": 0.25}


def test_an_hour_that_was_seen_in_part_is_unmetered_in_part(tmp_path):
    seen = Decimal("0.4")
    meter = Meter([has_gpus(at(0), at(1), "3.2", coverage=seen), gpus("a", at(0), at(1), "0.8", coverage=seen)])
    assert only_parts(tmp_path, meter, whole(at(0), at(1))) == {"a": 0.1, "idle": 0.3, "unmetered": 0.6}


def test_a_node_that_was_gone_while_others_were_seen_was_not_unmetered(tmp_path):
    """It was taken away from 2 to 5 o'clock: the day's charge is for the time it was there."""
    there = [
        each
        for low, high in ((0, 2), (5, 8))
        for each in (has_gpus(at(low), at(high), 8), gpus("a", at(low), at(high), 2))
    ]
    others = [gpus("b", at(0), at(8), 1, resource=OTHER)]
    assert only_parts(tmp_path, Meter(there + others), whole(at(0), at(8))) == {"a": 0.25, "idle": 0.75}


def test_what_somebody_wrote_down_of_one_machine_says_nothing_of_another(tmp_path):
    """A usage file names who used what; that it has no row of a machine does not say that the machine was not there."""
    other = Resource(id="i-other", node="node-2", cluster="east")
    rows = [gpus("a", at(0), at(2), 8), gpus("a", at(20), at(22), 8), gpus("b", at(0), at(24), 8, resource=other)]
    written = only_parts(tmp_path / "written", Meter(rows, rank=Rank.NESTED), whole(at(0), at(24)))
    assert written == {"a": round(4 / 24, 11), "unmetered": round(20 / 24, 11)}
    scraped = only_parts(tmp_path / "scraped", Meter(rows, rank=Rank.CLUSTER), whole(at(0), at(24)))
    assert scraped == {"a": 1}


def test_before_the_first_and_after_the_last_sample_a_resource_is_unmetered(tmp_path):
    meter = Meter([has_gpus(at(3), at(5), 8), gpus("a", at(3), at(5), 8)])
    found = by_charge(divided(tmp_path, meter, hourly(at(2), at(6))))
    assert found == {1: {"unmetered": 1}, 2: {"a": 1}, 3: {"a": 1}, 4: {"unmetered": 1}}


def test_a_complete_log_means_idle_where_it_says_nothing(tmp_path):
    sized = Resource(id="i-0abc", instance_type="p4d.24xlarge")
    meter = Meter(
        [gpus("a", at(3), at(4), 2, resource=sized), gpus("b", at(8), at(9), 1, resource=OTHER)], complete=True
    )
    found = by_charge(divided(tmp_path, meter, hourly(at(2), at(10))))
    assert found[2] == {"a": 0.25, "idle": 0.75}
    assert {number for number, parts in found.items() if parts == {"idle": 1}} == {3, 4, 5, 6, 7}
    assert {number for number, parts in found.items() if parts == {"unmetered": 1}} == {1, 8}


def test_two_meters_that_took_turns_leave_nothing_unmetered(tmp_path):
    first = Meter([has_gpus(at(0), at(4), 8), gpus("a", at(0), at(4), 2)], "s", Rank.SCHEDULER)
    second = Meter([has_gpus(at(4), at(8), 8), gpus("b", at(4), at(8), 4)], "t", Rank.CLUSTER)
    found = by_charge(divided(tmp_path, [first, second], hourly(at(0), at(8))))
    assert found == {no: {"a": 0.25, "idle": 0.75} if no <= 4 else {"b": 0.5, "idle": 0.5} for no in range(1, 9)}


def test_jobs_that_follow_each_other_within_an_hour_cover_it_together(tmp_path):
    meter = Meter([gpus("a", at(0), at(0, minute=30), 8), gpus("b", at(0, minute=30), at(1), 8)])
    assert only_parts(tmp_path, meter, whole(at(0), at(1))) == {"a": 0.5, "b": 0.5}


def test_what_is_unmetered_belongs_to_whom_tags_name(tmp_path):
    meter = Meter([has_gpus(at(0), at(1), 8), gpus("a", at(0), at(1), 8)])
    (share,) = divided(tmp_path, meter, whole(at(5), at(6), tags={"team": "platform"}))[1]
    assert (holder(share), share["x_Team"], share["x_TeamEvidence"], share["x_HostTeam"]) == (
        "unmetered", "platform", "T1", "platform",
    )  # fmt: skip


def test_of_what_is_served_nothing_is_unmetered(tmp_path):
    """Tokens and requests come when they come: an hour without any is no outage."""
    key = Resource(account="proj-1", provider="openai")
    served = [
        used(f"key-{no}", at(no * 5), at(no * 5 + 1), 100, Measure.REQUESTS, basis=Basis.USED, resource=key)
        for no in (0, 1)
    ]
    bill = whole(at(0), at(24), resource=None, columns={"SubAccountId": "proj-1"})
    assert only_parts(tmp_path, Meter(served), bill) == {"key-0": 0.5, "key-1": 0.5}


ORDER = (
    Measure.GPU_SECONDS,
    Measure.STORAGE_BYTE_SECONDS,
    Measure.COMPUTE_SECONDS,
    Measure.TOKENS_OUTPUT,
    Measure.REQUESTS,
    Measure.REPORTED_COST,
    Measure.RUN_SECONDS,
)

# --- other measures ---------------------------------------------------------------------------------------------------


def test_what_is_no_machine_is_divided_by_its_one_measure(tmp_path):
    cases = {
        measure: [used(work, at(0), at(1), count, measure, basis=Basis.USED) for work, count in (("a", 3), ("b", 1))]
        for measure in ORDER[1:]
    }
    assert list(side_by_side(tmp_path, cases).values()) == [{"a": 0.75, "b": 0.25}] * 6


def test_tokens_weigh_by_kind_and_add_up(tmp_path):
    weights = TokenWeights(input=2_000_000, cached=0, cache_write=1_000_000, output=8_000_000)
    tokens = [
        ("a", Measure.TOKENS_INPUT, 10),
        ("a", Measure.TOKENS_CACHED, 1000),
        ("b", Measure.TOKENS_CACHE_WRITE, 20),
        ("c", Measure.TOKENS_OUTPUT, 5),
    ]
    meter = Meter([used(work, at(0), at(1), count, measure, basis=Basis.USED) for work, measure, count in tokens])
    found = only_parts(tmp_path, meter, whole(at(0), at(1)), metering=MeteringConfig(tokens=weights))
    assert found == {"a": 0.25, "b": 0.25, "c": 0.5}


def test_the_first_kind_of_measure_that_work_has_divides_alone(tmp_path):
    """Machine time, then storage, compute, tokens, requests, reported cost, run time."""
    cases = {
        first: [used(measure.value, at(0), at(1), 1, measure, basis=Basis.USED) for measure in ORDER[place:]]
        for place, first in enumerate(ORDER)
    }
    assert {first: list(parts) for first, parts in side_by_side(tmp_path, cases).items()} == {
        first: [first.value] for first in ORDER
    }


def test_utilisation_and_energy_alone_divide_nothing(tmp_path):
    meter = Meter(
        [
            used("a", at(0), at(1), 5, measure, basis=Basis.USED)
            for measure in (Measure.GPU_BUSY_SECONDS, Measure.ENERGY_JOULES)
        ]
    )
    assert only_parts(tmp_path, meter, whole(at(0), at(1), tags={"team": "x"})) == {"team:x": 1}


def test_a_volume_has_what_its_claim_leaves_over_as_idle(tmp_path):
    disk = Resource(id="vol-1")
    meter = Meter([
        used("a", at(0), at(1), 30, Measure.STORAGE_BYTE_SECONDS, resource=disk),
        capacity(at(0), at(1), 120, Measure.STORAGE_BYTE_SECONDS, resource=disk),
    ])  # fmt: skip
    bill = whole(at(0), at(1), resource="arn:aws:ec2:eu:1:volume/vol-1")
    assert only_parts(tmp_path, meter, bill) == {"a": 0.25, "idle": 0.75}


def test_more_storage_than_the_largest_customer_has_does_not_stop_the_run(tmp_path):
    """An exabyte for a month, in one charge."""
    end = utc("2026-11-01T00:00:00Z")
    size = Decimal(10**18 * 31 * 86400)
    meter = Meter([used(work, at(0), end, size, Measure.STORAGE_BYTE_SECONDS, basis=Basis.USED) for work in "ab"])
    assert only_parts(tmp_path, meter, whole(at(0), end)) == {"a": 0.5, "b": 0.5}


def test_the_time_before_a_meter_began_is_unmetered_however_long_the_charge(tmp_path):
    """One charge of ten days, the meter put in on the sixth: by the hour its first five days would be unmetered too."""
    meter = Meter([gpus("a", at(5 * 24), at(10 * 24), 8), has_gpus(at(5 * 24), at(10 * 24), 8)])
    assert only_parts(tmp_path, meter, whole(at(0), at(10 * 24))) == {"a": 0.5, "unmetered": 0.5}
