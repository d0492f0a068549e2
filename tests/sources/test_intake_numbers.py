"""Numbers: exact, or refused; nothing is rounded unseen."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apportion.core.money import LIMIT, QUANTUM
from apportion.engine import duck
from apportion.sources.intake import numbers
from apportion.sources.intake.sql_text import filled

_READ = """
WITH mapped AS (SELECT place, text AS "t$$BilledCost" FROM given),
recognised AS (SELECT *, ${form} AS "k$$BilledCost" FROM mapped),
typed AS (SELECT *, ${value} AS "d$$BilledCost" FROM recognised)
SELECT "k$$BilledCost", "d$$BilledCost", ${finer} FROM typed ORDER BY place
"""


def read(texts, *, commas=True):
    """(form, value, finer than a quantum) of each text."""
    with duck.session(threads=1) as db:
        db.register("given", pa.table({"place": range(len(texts)), "text": pa.array(texts, pa.string())}))
        parts = {
            "form": numbers.form("BilledCost", commas=commas),
            "value": numbers.value("BilledCost"),
            "finer": numbers.is_finer("BilledCost"),
        }
        return db.rows(filled(_READ, parts))


def exact(text):
    """The number rounded half away from zero to the quantum, and whether that changed it."""
    with localcontext() as context:
        context.prec = 200
        number = Decimal(text)
        rounded = number.quantize(QUANTUM, rounding=ROUND_HALF_UP)
        return rounded, rounded != number


DIGITS = st.text("0123456789", min_size=1, max_size=24)
SIGNS = st.sampled_from(["", "-", "+"])
EXPONENTS = st.one_of(st.just(""), st.integers(-40, 25).map(lambda power: f"e{power}"))
WHOLE = st.text("0123456789", min_size=1, max_size=20)
PLAIN = st.tuples(SIGNS, WHOLE, st.one_of(st.just(""), DIGITS.map(lambda d: "." + d)), EXPONENTS).map("".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(PLAIN, min_size=1, max_size=40))
def test_a_number_is_read_exactly_or_rounded_with_a_mark_or_refused(texts):
    for text, (_, value, finer) in zip(texts, read(texts), strict=True):
        expected, changed = exact(text)
        if abs(expected) >= LIMIT:
            assert value is None, text
        else:
            assert (value, finer) == (expected, changed), text


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, max_value=1e17, min_value=-1e17), min_size=1))
def test_the_shortest_text_of_a_double_is_read_as_that_decimal(doubles):
    texts = [repr(number) for number in doubles]
    assert [value for _, value, _ in read(texts)] == [exact(text)[0] for text in texts]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$10,000.00 ", "10000"),
        (" 7 ", "7"),
        ("-$5.10", "-5.10"),
        ("(5.00)", "-5"),
        ("€ 1,234,567.5", "1234567.5"),
        (".5", "0.5"),
        ("5.", "5"),
    ],
)
def test_a_dressed_number_is_undressed(text, value):
    ((_, found, finer),) = read([text])
    assert (found, finer) == (Decimal(value), False)


@pytest.mark.parametrize(
    "text",
    [
        "1_000",
        "0x10",
        "NaN",
        "inf",
        "-",
        ".",
        "1e",
        "1,5",
        "1,00",
        "1.234,56",
        "ten",
        "1 000",
        "--1",
        "(-5)",
        "1e18",
        "12%",
    ],
)
def test_what_is_no_number_is_refused(text):
    assert read([text])[0][1] is None


def test_a_mantissa_of_more_than_20_digits_is_refused_rather_than_guessed():
    assert read(["100000000000000000000e-3"])[0][1] is None


def test_a_comma_is_no_thousand_where_the_file_uses_semicolons():
    assert read(["1,500"], commas=True)[0][1] == 1500
    assert read(["1,500"], commas=False)[0][1] is None


@pytest.mark.parametrize(
    ("text", "taken_for"),
    [("1_000", Decimal(1000)), ("0.0000000000000000015", Decimal("0.000000000000000002")), (" 7 ", Decimal(7))],
)
def test_duckdb_alone_would_take_these_without_a_word(text, taken_for):
    with duck.session() as db:
        assert db.rows("SELECT TRY_CAST($text AS DECIMAL(38,18))", {"text": text}) == [(taken_for,)]
