from __future__ import annotations

import gzip
import json
import time
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.scripted_server import ok, serving

from apportion.core.config import SourceConfig
from apportion.core.measures import Rank
from apportion.core.progress import silent
from apportion.errors import ConfigError, MeterUnreachable, UnreadableFile
from apportion.sources.readings import client as clients
from apportion.sources.readings.answers import answers, exact, kept, pulled_at
from apportion.sources.readings.contract import MeterSource, RawFile
from apportion.sources.readings.pulling import days_to_ask, pull

NOW = datetime(2026, 10, 10, 12, 30)

# --- what is kept -----------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(max_size=9), st.dictionaries(st.text(max_size=5), st.integers()), JSON), max_size=4))
def test_what_is_kept_reads_as_it_was_answered(tmp_path_factory, several):
    path = tmp_path_factory.mktemp("kept") / "2026-10-01.jsonl"
    lines = [kept(where, params, read_at=NOW, text=json.dumps(body, indent=1)) for where, params, body in several]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    found = list(answers(RawFile(path, path.name, None)))
    assert [(each.path, each.params, each.body, each.read_at) for each in found] == [
        (where, params, body, NOW) for where, params, body in several
    ]
    assert [each.row for each in found] == list(range(1, len(several) + 1))
    assert pulled_at(path) == (NOW if several else None)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_answer_with_line_ends_of_any_kind_is_one_kept_line(tmp_path, end):
    text = end.join(['{"a":', '"left\u2028right\u0085\\r\\n",', '"b": [1,', "2]}", ""])
    path = tmp_path / "2026-10-01.jsonl"
    with path.open("w", encoding="utf-8", newline="\n") as keep:
        keep.write(kept("day", {}, read_at=NOW, text=text) * 2)
    found = list(answers(RawFile(path, path.name, None)))
    assert [(each.row, each.body) for each in found] == [
        (row, {"a": "left\u2028right\u0085\r\n", "b": [1, 2]}) for row in (1, 2)
    ]
    assert b"\r" not in path.read_bytes()


@pytest.mark.parametrize("name", ["saved.json", "saved.json.gz", "saved.jsonl", "saved.ndjson.gz"])
def test_what_a_user_saved_reads_alike(tmp_path, name):
    lines = '\ufeff{"a": 0.5}\n'.encode()
    (tmp_path / name).write_bytes(gzip.compress(lines) if name.endswith(".gz") else lines)
    (found,) = answers(RawFile(tmp_path / name, name, NOW))
    assert (found.row, found.path, found.params, found.read_at, found.body) == (1, "", {}, NOW, {"a": Decimal("0.5")})
    assert pulled_at(tmp_path / name) is None


def test_a_file_with_a_broken_line_names_it(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n\n{"a": \n')
    with pytest.raises(UnreadableFile, match=r"x\.jsonl.*line 3 is no JSON") as error:
        list(answers(RawFile(tmp_path / "x.jsonl", "x.jsonl", None)))
    assert error.value.fix == "Fetch or export it again, whole."


def test_a_kept_line_that_lost_its_moment_says_none(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"apportion_answer": {"path": "x"}}\n')
    assert pulled_at(tmp_path / "x.jsonl") is None


def test_exact_numbers_have_no_nan():
    assert exact("[NaN, Infinity, 1.10]") == [None, None, Decimal("1.10")]


# --- days -------------------------------------------------------------------------------------------------------------


def config(**options):
    return SourceConfig(id="my-meter", kind="toy", paths=(), options=options)


SETTLED = datetime(2026, 12, 1)


def had(folder, *days, read_at=SETTLED):
    """A folder with kept answers of these days, read so long after them that nothing is missing."""
    for day in days:
        (folder / f"{day}.jsonl").write_text(kept("day", {}, read_at=read_at, text="{}"))
    return folder


def test_the_first_time_the_last_five_weeks_are_asked_for(tmp_path):
    days = list(days_to_ask(config(), tmp_path, NOW))
    assert (days[0], days[-1], len(days)) == (date(2026, 9, 5), date(2026, 10, 10), 36)


def test_or_from_the_day_that_is_configured(tmp_path):
    assert list(days_to_ask(config(since="2026-10-08"), tmp_path, NOW)) == [date(2026, 10, day) for day in (8, 9, 10)]


def test_the_last_three_days_and_today_are_asked_for_again(tmp_path):
    had(tmp_path, *(f"2026-10-{day:02}" for day in range(1, 11)), read_at=NOW)
    assert list(days_to_ask(config(), tmp_path, NOW)) == [date(2026, 10, day) for day in (7, 8, 9, 10)]


def test_a_day_that_is_missing_is_asked_for(tmp_path):
    had(
        tmp_path,
        "2026-09-20",
        *(f"2026-09-{day}" for day in range(22, 31)),
        *(f"2026-10-{day:02}" for day in range(1, 11)),
    )
    assert next(days_to_ask(config(), tmp_path, NOW)) == date(2026, 9, 21)


def test_a_day_is_asked_for_until_it_was_read_three_days_after_its_end(tmp_path):
    had(tmp_path, "2026-09-20", "2026-09-21", "2026-09-22")
    had(tmp_path, "2026-09-23", read_at=datetime(2026, 9, 23, 9))
    had(tmp_path, "2026-09-24", read_at=datetime(2026, 9, 27, 23, 59, 59))
    had(tmp_path, "2026-09-25", read_at=datetime(2026, 9, 29))
    assert list(days_to_ask(config(), tmp_path, datetime(2026, 9, 25, 1))) == [date(2026, 9, 23), date(2026, 9, 24)]


@given(st.integers(0, 30), st.integers(0, 20 * 24))
def test_a_day_that_pulls_left_alone_was_read_when_all_of_it_was_known(tmp_path_factory, day, hours):
    folder = tmp_path_factory.mktemp("days")
    pulled_day = date(2026, 10, 1) + timedelta(days=day)
    begun = datetime(pulled_day.year, pulled_day.month, pulled_day.day)
    had(folder, pulled_day, read_at=begun + timedelta(hours=hours))
    again = pulled_day in days_to_ask(config(), folder, begun + timedelta(days=60))
    assert again == (hours < 4 * 24)


def test_a_day_that_was_half_over_when_it_was_pulled_is_completed_later(tmp_path):
    with serving(ok({"a": 1})) as (url, asked):
        given_config = config(url=url, since="2026-10-10")
        for now in (NOW, datetime(2026, 11, 20, 3), datetime(2026, 11, 20, 4)):
            pull(TOY, given_config, folder=tmp_path, now=now, progress=silent)
    ends = [params["end"] for _, _, params, _, _ in asked if params["start"] == "2026-10-10T00:00:00"]
    assert ends == ["2026-10-10T12:30:00", "2026-10-11T00:00:00"]


def test_a_kept_file_without_an_answer_is_asked_for_again(tmp_path):
    had(tmp_path, "2026-09-20", "2026-09-22")
    (tmp_path / "2026-09-21.jsonl").write_text("")
    assert next(days_to_ask(config(), tmp_path, NOW)) == date(2026, 9, 21)


def test_an_earlier_first_day_asks_for_what_lies_before(tmp_path):
    had(tmp_path, *(f"2026-10-{day:02}" for day in range(1, 11)))
    days = list(days_to_ask(config(since="2026-09-29"), tmp_path, NOW))
    assert days[:2] == [date(2026, 9, 29), date(2026, 9, 30)]


def test_a_first_day_in_the_future_asks_for_nothing(tmp_path):
    assert list(days_to_ask(config(since="2027-01-01"), tmp_path, NOW)) == []


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "20261399"])
def test_a_first_day_that_is_none_is_refused(tmp_path, since):
    with pytest.raises(ConfigError, match="is no day") as error:
        list(days_to_ask(config(since=since), tmp_path, NOW))
    assert "sources.my-meter.options.since" in str(error.value)
    assert error.value.fix == 'Write it like "2026-10-01".'


# --- pulling ----------------------------------------------------------------------------------------------------------


def ask(client, window, given_config):
    yield client.get("day", {"start": window.start.isoformat(), "end": window.end.isoformat()})


TOY = MeterSource("toy", "Toy", read=lambda *_: iter(()), rank=Rank.CLUSTER, pull=ask)


def test_each_day_becomes_a_file_and_today_ends_now(tmp_path):
    said = []
    with serving(ok({"a": 1})) as (url, asked):
        files = pull(
            TOY,
            config(url=url, since="2026-10-09"),
            folder=tmp_path / "p",
            now=NOW,
            progress=lambda *all_: said.append(all_),
        )
    assert [file.name for file in files] == ["2026-10-09.jsonl", "2026-10-10.jsonl"]
    assert [params for _, _, params, _, _ in asked] == [
        {"start": "2026-10-09T00:00:00", "end": "2026-10-10T00:00:00"},
        {"start": "2026-10-10T00:00:00", "end": "2026-10-10T12:30:00"},
    ]
    assert [pulled_at(file) for file in files] == [NOW, NOW]
    assert [text for text, *_ in said] == ["asking my-meter for 2026-10-09", "asking my-meter for 2026-10-10"]


def test_a_day_that_fails_leaves_the_days_before_it_and_no_half_day(tmp_path):
    with serving(ok({"a": 1}), (401, {}, {})) as (url, _), pytest.raises(MeterUnreachable):
        pull(TOY, config(url=url, since="2026-10-09"), folder=tmp_path, now=NOW, progress=silent)
    assert [file.name for file in tmp_path.glob("*.jsonl")] == ["2026-10-09.jsonl"]
    with serving(ok({"a": 2})) as (url, _):
        files = pull(TOY, config(url=url, since="2026-10-09"), folder=tmp_path, now=NOW, progress=silent)
    assert len(files) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name for file in files]


def test_a_kind_without_an_api_is_told(tmp_path):
    source = MeterSource("toy", "Toy", read=TOY.read, rank=Rank.CLUSTER)
    with pytest.raises(ConfigError, match="'toy' has no API to ask") as error:
        pull(source, config(url="http://127.0.0.1:9"), folder=tmp_path, now=NOW, progress=silent)
    assert error.value.fix == "Give paths of files instead."


@pytest.mark.parametrize("seconds", ["soon", 0, -1, "nan", "inf"])
def test_a_time_out_that_is_none_is_refused(tmp_path, seconds):
    given_config = config(url="http://127.0.0.1:9", timeout_seconds=seconds)
    with pytest.raises(ConfigError, match="is no number of seconds") as error:
        pull(TOY, given_config, folder=tmp_path, now=NOW, progress=silent)
    assert "sources.my-meter.options.timeout_seconds" in str(error.value)
    assert error.value.fix == "Write a number above 0, such as 60."


def test_a_time_out_is_taken_from_the_options(tmp_path, monkeypatch):
    monkeypatch.setattr(clients, "ATTEMPTS", 1)
    with serving(5.0) as (url, _):
        begun = time.monotonic()
        with pytest.raises(MeterUnreachable, match=r"in 0\.1 seconds \(the option timeout_seconds\)"):
            pull(
                TOY,
                config(url=url, since="2026-10-10", timeout_seconds="0.1"),
                folder=tmp_path,
                now=NOW,
                progress=silent,
            )
        assert time.monotonic() - begun < 5
