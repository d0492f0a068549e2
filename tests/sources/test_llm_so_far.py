"""Counts of an hour or day that is not over: they are all of it so far, and a later answer replaces them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.metering.meters import Meter, usage
from tests.sources.llm_files import config, document, spend_row, written

from apportion.core.measures import Measure
from apportion.sources.llm import SOURCE
from apportion.sources.readings.columns import FileOfSamples, Subjects
from apportion.sources.readings.contract import RawFile

NOON = datetime(2026, 10, 1, 12)
MINUTE = timedelta(minutes=1)


def samples(folder, content, read_at):
    """What a file that was read at that moment holds."""
    folder.mkdir(exist_ok=True)
    return list(SOURCE.read(RawFile(written(folder, content), "usage.json", read_at), config()))


def taken(folder, content, read_at):
    """Measure -> sum of what the intake takes, and the faults' codes."""
    found = FileOfSamples(Subjects()).take(samples(folder, content, read_at), read_at=read_at)
    sums = {}
    for row in found.table.to_pylist():
        sums[row["x_Measure"]] = sums.get(row["x_Measure"], Decimal(0)) + row["x_Quantity"]
    return sums, [fault.code for fault in found.faults]


def day(tokens):
    return [
        {"date": "2026-10-01", "team_id": "t", "api_key": "k", "model": "m", "custom_llm_provider": "openai"}
        | {"prompt_tokens": tokens, "completion_tokens": 0, "cache_read_input_tokens": 0, "api_requests": 1}
        | {"cache_creation_input_tokens": 0, "spend": 0}
    ]


def row(began, tokens=1000):
    return spend_row(startTime=f"{began.isoformat()}Z", prompt_tokens=tokens, metadata={}, completion_tokens=0)


def openai(start, tokens):
    page = document("openai_completions.json")
    hour = {"start_time": int((start - datetime(1970, 1, 1)).total_seconds())}
    first = page["data"][0]
    result = {**first["results"][0], "input_tokens": tokens, "input_cached_tokens": 0, "input_cache_write_tokens": 0}
    page["data"] = [{**first, **hour, "end_time": hour["start_time"] + 3600, "results": [result]}]
    return page


def test_a_day_that_was_read_at_six_keeps_all_its_tokens(tmp_path):
    sums, faults = taken(tmp_path, day(1000), datetime(2026, 10, 1, 6))
    assert (sums["tokens_input"], sums["requests"], faults) == (1000, 1, [])


@pytest.mark.parametrize(
    ("began", "read_at"),
    [
        (NOON + MINUTE, NOON + 6 * MINUTE),
        (NOON, NOON + timedelta(microseconds=1)),
        (NOON, NOON),
        (NOON - MINUTE, NOON),
        (NOON + 7 * MINUTE, NOON + 6 * MINUTE),
    ],
)
def test_a_request_keeps_its_tokens_whenever_its_log_was_read(tmp_path, began, read_at):
    sums, faults = taken(tmp_path, [row(began)], read_at)
    assert (sums["tokens_input"], sums["requests"], faults) == (1000, 1, [])


def test_requests_up_to_the_moment_of_reading_are_added_up_in_one_hour(tmp_path):
    sums, faults = taken(tmp_path, [row(NOON - MINUTE), row(NOON)], NOON)
    assert (sums["tokens_input"], sums["requests"], faults) == (2000, 2, [])


def test_a_request_that_begins_hours_after_its_log_was_read_has_not_happened(tmp_path):
    sums, faults = taken(tmp_path, [row(NOON + timedelta(hours=2))], NOON)
    assert (sums, set(faults)) == ({}, {"not_yet"})


@given(st.integers(1, 3600 * 10**6), st.integers(0, 10**9))
def test_a_bucket_that_is_not_over_holds_all_that_was_counted_so_far(tmp_path_factory, passed, tokens):
    read_at = NOON + timedelta(microseconds=passed)
    sums, faults = taken(tmp_path_factory.mktemp("llm"), openai(NOON, tokens), read_at)
    assert (sums.get("tokens_input", 0), faults) == (tokens, [])


def test_an_interval_ends_where_it_was_read_and_one_that_is_over_stays_whole(tmp_path):
    assert {one.end for one in samples(tmp_path, openai(NOON, 5), NOON + MINUTE)} == {NOON + MINUTE}
    assert {one.end for one in samples(tmp_path, openai(NOON, 5), NOON + 90 * MINUTE)} == {NOON + 60 * MINUTE}
    assert {one.end for one in samples(tmp_path, openai(NOON, 5), None)} == {NOON + 60 * MINUTE}


@pytest.mark.parametrize("content", [day, lambda tokens: openai(NOON, tokens), lambda tokens: [row(NOON, tokens)]])
def test_the_answer_of_the_whole_time_replaces_what_was_so_far(tmp_path, content):
    early, late = NOON + 6 * MINUTE, NOON + timedelta(days=1)
    meters = [
        Meter(samples(tmp_path / f"{no}", content(tokens), read_at), read_at=read_at)
        for no, (tokens, read_at) in enumerate([(1000, early), (5000, late)])
    ]
    rows = usage(tmp_path / "usage", *meters)
    assert sum(one["x_Quantity"] for one in rows if one["x_Measure"] == Measure.TOKENS_INPUT) == 5000


def test_a_bucket_that_begins_as_it_is_read_is_told_and_counts_when_it_is_asked_for_again(tmp_path):
    sums, faults = taken(tmp_path, openai(NOON, 5), NOON)
    assert (sums, set(faults)) == ({}, {"not_yet"})
    assert taken(tmp_path, openai(NOON, 5), NOON + MINUTE)[0]["tokens_input"] == 5
