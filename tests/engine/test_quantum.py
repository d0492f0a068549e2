"""What docs/why/0002-quantum.md says of the engines, and that the piece is exact up to the bounds it sets."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest
from pyspark.errors import SparkRuntimeException

from apportion.core.money import BINARY_WHOLE, LIMIT, MAX_WHOLE, QUANTUM, SCALE, from_quanta, piece
from apportion.engine import duck, spark
from apportion.errors import EngineFailed

LARGEST = from_quanta(LIMIT * 10**SCALE - 1)
# Below 2^78 quanta DuckDB divides a whole of 2^49 by shifting.
SWITCH = [from_quanta(2**78 + more) for more in (-2, -1, 0, 1, 2)]
AMOUNTS = [Decimal(0), QUANTUM, Decimal("0.01"), Decimal("123456789.123456789123456789"), *SWITCH, LARGEST]
SHARES = [
    (0, 1, 1),
    (1, 2, 3),
    (2, 3, 3),
    (0, 1, MAX_WHOLE),
    (0, MAX_WHOLE, MAX_WHOLE),
    (MAX_WHOLE - 1, MAX_WHOLE, MAX_WHOLE),
    (0, BINARY_WHOLE, BINARY_WHOLE),
    (BINARY_WHOLE // 3, BINARY_WHOLE // 3 * 2 + 1, BINARY_WHOLE),
    (BINARY_WHOLE - 1, BINARY_WHOLE, BINARY_WHOLE),
    (333_333_333_333_333, 777_777_777_777_776, MAX_WHOLE - 1),
]
CASES = [(amount, *share) for amount, share in product([*AMOUNTS, *map(Decimal.copy_negate, AMOUNTS)], SHARES)]


@pytest.fixture(params=["duckdb", "spark"])
def worker(request):
    if request.param == "duckdb":
        with duck.session() as found:
            yield found
    else:
        with spark.session(request.getfixturevalue("spark_url")) as found:
            yield found


def listed(case) -> str:
    amount, low, high, whole = case
    return (
        f"SELECT CAST('{amount:.18f}' AS DECIMAL(38,18)) AS amount, CAST({low} AS BIGINT) AS low,"
        f" CAST({high} AS BIGINT) AS high, CAST({whole} AS BIGINT) AS whole"
    )


def test_a_piece_is_exact_up_to_the_bounds(worker):
    cases = " UNION ALL ".join(listed(case) for case in CASES)
    sql = f"SELECT amount, low, high, whole, ALLOC(amount, low, high, whole) AS piece FROM ({cases}) AS t"
    rows = worker.ask(sql).to_pylist()
    assert len(rows) == len(CASES)
    for row in rows:
        assert row["piece"] == piece(row["amount"], row["low"], row["high"], row["whole"]), row


@pytest.mark.parametrize(("text", "kind"), [("0.5", "DECIMAL(38,9)"), ("-12", "BIGINT"), ("7.25", "DECIMAL(5,2)")])
def test_an_amount_of_any_scale_has_its_quanta(worker, text, kind):
    sql = f"SELECT ALLOC(CAST('{text}' AS {kind}), 0, 1, 2) AS half"
    assert worker.ask(sql).to_pylist() == [{"half": Decimal(text) / 2}]


def test_duckdb_divides_decimals_as_floating_point():
    with duck.session() as db:
        assert db.rows("SELECT typeof(CAST(1 AS DECIMAL(38,18)) / CAST(3 AS DECIMAL(38,18)))") == [("DOUBLE",)]


def test_duckdb_cannot_multiply_two_amounts():
    with duck.session() as db, pytest.raises(EngineFailed, match=r"scale|overflow|range"):
        db.rows("SELECT CAST(2 AS DECIMAL(38,18)) * CAST(1000 AS DECIMAL(38,18))")


def test_a_hugeint_holds_the_quanta_of_the_largest_amount():
    with duck.session() as db:
        assert db.rows(f"SELECT CAST('{LIMIT * LIMIT - 1}' AS HUGEINT) + 1") == [(LIMIT * LIMIT,)]


def test_spark_divides_whole_numbers_as_bigint(spark_url):
    with spark.session(spark_url) as session:
        sql = "SELECT typeof(CAST(7 AS DECIMAL(38,0)) div CAST(2 AS DECIMAL(38,0))) AS t"
        assert session.session.sql(sql).toArrow().to_pylist() == [{"t": "bigint"}]


def divided(session, digits: int) -> int:
    sql = f"SELECT CAST('1{'0' * digits}' AS DECIMAL(38,0)) div CAST('1{'0' * digits}' AS DECIMAL(38,0)) AS quotient"
    return session.session.sql(sql).toArrow().to_pylist()[0]["quotient"]


def test_sail_multiplies_by_ten_thousand_inside_a_division(spark_url):
    with spark.session(spark_url) as session:
        assert divided(session, 33) == 1
        with pytest.raises(SparkRuntimeException, match=r"Overflow happened on: 10+ \* 10000"):
            divided(session, 35)
