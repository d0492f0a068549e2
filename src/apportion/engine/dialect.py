"""One SQL text for every engine: DuckDB syntax plus named macros, compiled by sqlglot.

A macro hides what the engines do differently; each difference was measured and has a test:

- `ALLOC(amount, low, high, whole)`: the piece of a DECIMAL(38,18) amount (`core.money.piece`), exact. In DuckDB a
  decimal divided is DOUBLE, so HUGEINT quanta are divided. Spark's `div` gives BIGINT, and Sail's scales by 10^4
  inside, so there the amount is divided as two limbs of 18 digits and no step leaves 34 digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sqlglot
from sqlglot import exp

from apportion.core.tables import AMOUNT
from apportion.errors import EngineFailed

_LIMB = "1000000000000000000"
_QUANTUM = "CAST('0.000000000000000001' AS DECIMAL(18,18))"
_SIGN = "(CASE WHEN {amount} < 0 THEN CAST(-1 AS DECIMAL(2,0)) ELSE CAST(1 AS DECIMAL(2,0)) END)"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one engine writes `ALLOC`: whole numbers of up to 38 digits are `wide`; each step names the ones before."""

    name: str
    wide: str
    steps: tuple[tuple[str, str], ...]


_FRACTION = (
    f"CAST(CAST(ABS({{amount}}) - CAST(FLOOR(ABS({{amount}})) AS {AMOUNT}) AS DECIMAL(18,18))"
    f" * CAST({_LIMB} AS DECIMAL(19,0)) AS {{wide}})"
)
_SPARK_PIECE = (
    f"{_SIGN} * CAST(CAST(({{units}} // {{whole}}) * ({{high}} - {{low}})"
    f" + {{small}} // CAST({_LIMB} AS {{wide}}) AS {AMOUNT})"
    f" + CAST({{small}} % CAST({_LIMB} AS {{wide}}) AS DECIMAL(18,0)) * {_QUANTUM} AS DECIMAL(36,18))"
)
_LIMBS = (
    ("units", "CAST(FLOOR(ABS({amount})) AS {wide})"),
    ("fraction", _FRACTION),
)

DUCKDB = Dialect(
    "duckdb",
    "HUGEINT",
    (
        *_LIMBS,
        ("quanta", f"({{units}} * CAST({_LIMB} AS HUGEINT) + {{fraction}})"),
        ("floors", "({quanta} // {whole}) * ({high} - {low})"),
        ("rests", "(({quanta} % {whole}) * {high}) // {whole} - (({quanta} % {whole}) * {low}) // {whole}"),
        # DECIMAL(38,0) * DECIMAL(18,18) multiplies the stored whole numbers: the quanta themselves, at scale 18.
        ("piece", f"{_SIGN} * (CAST({{floors}} + {{rests}} AS DECIMAL(38,0)) * {_QUANTUM})"),
    ),
)

SPARK = Dialect(
    "spark",
    "DECIMAL(38, 0)",
    (
        *_LIMBS,
        ("rest", f"(({{units}} % {{whole}}) * CAST({_LIMB} AS {{wide}}) + {{fraction}})"),
        ("floors", "({rest} // {whole}) * ({high} - {low})"),
        ("rests", "(({rest} % {whole}) * {high}) // {whole} - (({rest} % {whole}) * {low}) // {whole}"),
        ("small", "({floors} + {rests})"),
        ("piece", _SPARK_PIECE),
    ),
)


@cache
def compile_sql(sql: str, dialect: Dialect) -> str:
    """The statement in the engine's own words; raises `EngineFailed` where the text cannot be compiled."""
    try:
        tree = sqlglot.parse_one(sql, read="duckdb").transform(lambda node: _expand(node, dialect))
        return tree.sql(dialect.name, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except sqlglot.errors.SqlglotError as error:
        what = f"A statement cannot be compiled for {dialect.name}: {error}."
        raise EngineFailed(what, "Please report this.") from error


def _expand(node: exp.Expr, dialect: Dialect) -> exp.Expr:
    if isinstance(node, exp.Anonymous) and node.name.upper() == "ALLOC":
        return sqlglot.parse_one(_alloc(*node.expressions, dialect=dialect), read="duckdb")
    return node


def _alloc(amount: exp.Expr, *bounds: exp.Expr, dialect: Dialect) -> str:
    low, high, whole = (f"CAST({bound.sql('duckdb')} AS {dialect.wide})" for bound in bounds)
    known = {"amount": amount.sql("duckdb"), "low": low, "high": high, "whole": whole, "wide": dialect.wide}
    for name, form in dialect.steps:
        known[name] = form.format(**known)
    return f"({known['piece']})"
