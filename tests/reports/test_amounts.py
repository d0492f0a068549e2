"""Amounts in sentences."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apportion.reports.reading.amounts import adding_up, digits_of

amounts = st.lists(
    st.decimals(-(10**15), 10**15, places=18, allow_nan=False, allow_infinity=False), min_size=1, max_size=6
)


@given(amounts, st.sampled_from(["USD", "JPY", "KWD"]))
def test_rounded_amounts_add_up_to_the_rounded_sum(exact, currency):
    *parts, whole = (Decimal(text.replace(",", "")) for text in adding_up(exact, currency))
    assert sum(parts) == whole
    assert all(
        abs(part - amount) <= Decimal(1).scaleb(-digits_of(currency)) for part, amount in zip(parts, exact, strict=True)
    )


@pytest.mark.parametrize(
    ("exact", "currency", "told"),
    [
        (["0.005", "2"], "USD", ("0.00", "2.00", "2.00")),
        (["1234.5"], "JPY", ("1,234", "1,234")),
        (["1.2345"], "KWD", ("1.234", "1.234")),
        (["0.00012"], "USD", ("0.00012000", "0.00012000")),
    ],
)
def test_amounts_have_the_digits_of_the_smallest_coin(exact, currency, told):
    assert adding_up([Decimal(each) for each in exact], currency) == told
