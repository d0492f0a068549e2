"""Times: UTC, with their offset counted, or not read at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apportion.engine import duck
from apportion.sources.intake import times
from apportion.sources.intake.sql_text import filled

_READ = """
WITH mapped AS (SELECT place, text AS "t$$ChargePeriodStart" FROM given),
recognised AS (SELECT *, ${form} AS "k$$ChargePeriodStart" FROM mapped)
SELECT "k$$ChargePeriodStart", ${value} FROM recognised ORDER BY place
"""


def read(texts, *, order=""):
    """(form, time) of each text."""
    with duck.session(threads=1) as db:
        db.register("given", pa.table({"place": range(len(texts)), "text": pa.array(texts, pa.string())}))
        form, value = times.form("ChargePeriodStart"), times.value("ChargePeriodStart", order=order)
        return db.rows(filled(_READ, form=form, value=value))


MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)).map(lambda moment: moment.replace(microsecond=0))
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(MOMENTS, OFFSETS), min_size=1, max_size=30))
def test_an_offset_is_counted(moments):
    texts = [moment.replace(tzinfo=zone).isoformat() for moment, zone in moments]
    expected = [moment.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None) for moment, zone in moments]
    assert [value for _, value in read(texts)] == expected


@settings(max_examples=20, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=30))
def test_the_form_focus_demands_is_canonical(moments):
    assert read([f"{moment.isoformat()}Z" for moment in moments]) == [(times.CANONICAL, moment) for moment in moments]


@pytest.mark.parametrize(
    ("text", "form", "moment"),
    [
        ("2026-10-05T10:00Z", times.ZONED, datetime(2026, 10, 5, 10)),
        ("2026-10-05 10:00:00 UTC", times.ZONED, datetime(2026, 10, 5, 10)),
        ("2026-10-05 10:00:00.000 Z", times.ZONED, datetime(2026, 10, 5, 10)),
        ("2026-10-05T00:30:00+02", times.ZONED, datetime(2026, 10, 4, 22, 30)),
        ("2026-10-05 10:00:00", times.UNZONED, datetime(2026, 10, 5, 10)),
        ("2026-10-05", times.UNZONED, datetime(2026, 10, 5)),
        ("20261005", times.COMPACT, datetime(2026, 10, 5)),
        ("2026-10-05T10:00:00.5Z", times.CANONICAL, datetime(2026, 10, 5, 10, 0, 0, 500000)),
    ],
)
def test_other_forms_of_a_time_are_read(text, form, moment):
    assert read([text]) == [(form, moment)]


@pytest.mark.parametrize(
    ("text", "order", "moment"),
    [
        ("4/1/25", "mdy", datetime(2025, 4, 1)),
        ("4/1/25", "dmy", datetime(2025, 1, 4)),
        ("09/02/2023", "mdy", datetime(2023, 9, 2)),
        ("9/2/2023 1:05:00 PM", "mdy", datetime(2023, 9, 2, 13, 5)),
        ("13/2/2023 10:00", "dmy", datetime(2023, 2, 13, 10)),
        ("13/2/2023", "mdy", None),
        ("4/1/25", "", None),
    ],
)
def test_dates_with_slashes_need_their_order(text, order, moment):
    assert read([text], order=order) == [(times.SLASHED, moment)]


@pytest.mark.parametrize(
    "text", ["2026-02-30T00:00:00Z", "2026-10-05T30:00:00Z", "2026-13-01", "infinity", "epoch", "soon"]
)
def test_what_is_no_time_is_not_read(text):
    assert read([text])[0][1] is None


def test_duckdb_alone_would_drop_the_offset():
    with duck.session() as db:
        cast = "SELECT CAST('2026-10-05T10:00:00+02:00' AS TIMESTAMP)"
        assert db.rows(cast) == [(datetime(2026, 10, 5, 10),)]
