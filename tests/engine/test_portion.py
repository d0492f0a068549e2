"""The part of a measured quantity against whole-number arithmetic, on both sides of every limit."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest

from apportion.engine import duck
from apportion.engine.portion import portion

SECOND = 1_000_000
BILLIONTHS = [0, 1, 10**9, 7 * 10**12 + 5, 2**62 - 1, 2**62, 2**62 + 1, 10**27, -(2**62) - 1, -7]
TIMES = [
    (0, 3600 * SECOND, 3600 * SECOND),
    (0, 1800 * SECOND, 3600 * SECOND),
    (1799 * SECOND, 3600 * SECOND, 5400 * SECOND),
    (1, 3600 * SECOND, 3600 * SECOND),
    (7 * SECOND, 3600 * SECOND - 1, 3600 * SECOND),
    (SECOND, 2**31 * SECOND - SECOND, 2**31 * SECOND),
    (SECOND, 2**31 * SECOND - 2 * SECOND, 2**31 * SECOND - SECOND),
    (3, 5, 7),
]


def exact(units: int, low: int, high: int, whole: int) -> int:
    def up_to(end: int) -> int:
        return abs(units) * end // whole

    return (up_to(high) - up_to(low)) * (-1 if units < 0 else 1)


@pytest.fixture(scope="module")
def db():
    with duck.session() as found:
        yield found


@pytest.mark.parametrize(("units", "time"), [*product(BILLIONTHS, TIMES)])
def test_a_part_is_exact_on_both_sides_of_every_limit(db, units, time):
    low, high, whole = time
    quantity = Decimal(units).scaleb(-9)
    sql = f"SELECT {portion('q', 'low', 'high', 'whole')} FROM (SELECT $q::DECIMAL(38,9) AS q, "
    sql += "$low::BIGINT AS low, $high::BIGINT AS high, $whole::BIGINT AS whole)"
    ((found,),) = db.rows(sql, {"q": str(quantity), "low": low, "high": high, "whole": whole})
    assert int(found.scaleb(9)) == exact(units, *time)
