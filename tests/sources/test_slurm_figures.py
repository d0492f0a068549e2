"""How Slurm writes nodes, times, sizes and comments."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Context, Decimal, localcontext
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apportion.sources._slurm_jobs import comment_pairs, evenly
from apportion.sources._slurm_nodes import expanded
from apportion.sources._slurm_units import BadText, duration, fitting, possible_times, size, tres_counts


@given(
    moment=st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)).map(lambda m: m.replace(microsecond=0)),
    seconds=st.integers(1, 10**7),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_any_local_interval_comes_back_as_utc_or_with_a_doubt(moment, seconds, zone):
    place, utc = ZoneInfo(zone), ZoneInfo("UTC")
    ends = (moment, moment + timedelta(seconds=seconds))
    texts = [at.replace(tzinfo=utc).astimezone(place).strftime("%Y-%m-%dT%H:%M:%S") for at in ends]
    start, end, doubt = fitting(*(possible_times(text, place) for text in texts), seconds)
    assert end - start == timedelta(seconds=seconds)
    assert doubt or (start, end) == ends


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("vm", ["vm"]),
        ("n[01-04,07]", ["n01", "n02", "n03", "n04", "n07"]),
        ("n[9-11]", ["n9", "n10", "n11"]),
        ("a[1,3]b,c", ["a1b", "a3b", "c"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
    ],
)
def test_lists_of_nodes_are_expanded_as_scontrol_does(text, nodes):
    assert expanded(text) == nodes


@pytest.mark.parametrize("text", ["", "n[1-", "n[2-1]", "n[a]", "a,,b", "n[]", "n[1-999999999]", "n[1-1000]m[1-1000]"])
def test_what_is_no_list_of_nodes_is_refused(text):
    with pytest.raises(BadText):
        expanded(text)


@given(first=st.integers(0, 500), many=st.integers(1, 300), width=st.integers(1, 5))
def test_a_range_has_as_many_nodes_as_it_says(first, many, width):
    names = [f"n{number:0{width}d}" for number in range(first, first + many)]
    assert expanded(f"n[{first:0{width}d}-{first + many - 1:0{width}d}]") == names


@given(st.integers(0, 10**38).map(lambda parts: Decimal(parts).scaleb(-9, Context(prec=60))), st.integers(1, 500))
def test_an_even_division_adds_up_and_differs_by_the_least_part(quantity, count):
    parts = evenly(quantity, count)
    with localcontext(prec=60):
        assert (len(parts), sum(parts)) == (count, quantity)
    assert max(parts) - min(parts) <= Decimal("1e-9")


@pytest.mark.parametrize("text", ["1.5", "1:2:3:4", "x", ""])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(BadText):
        duration(text)


@given(st.integers(0, 10**6), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_durations_are_exact(days, hours, minutes, seconds):
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert duration(f"{days}-{hours:02d}:{minutes:02d}:{seconds:02d}") == whole


def test_sizes_are_binary_and_in_mebibytes_without_a_unit():
    assert [size(text) for text in ("1K", "1M", "1G", "1", "1T")] == [2**10, 2**20, 2**30, 2**20, 2**40]
    with pytest.raises(BadText):
        size("1X")


def test_figures_that_are_not_counted_do_not_matter():
    assert tres_counts("cpu=1,energy=?") == {"cpu": 1}
    with pytest.raises(BadText):
        tres_counts("cpu")


def test_comments_give_pairs_and_keep_free_text():
    assert comment_pairs("second try, team=x") == {"team": "x", "comment": "second try, team=x"}
    assert comment_pairs("") == {}
