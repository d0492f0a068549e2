"""One SQL text for every engine: DuckDB syntax plus named macros, compiled by sqlglot.

A macro hides what the engines do differently; each difference was measured and has a test:

- `QUANTA(amount)`: the quanta of a DECIMAL(38,18) amount, signed, as the engine divides them.
- `PART(quanta, low, high, whole)`: those quanta's piece (`core.money.piece`), in the same form: it can be summed.
- `AMOUNT(quanta)`: the DECIMAL(38,18) amount of (a sum of) quanta.
- `ALLOC(amount, low, high, whole)`: the three in one, the piece of an amount.

In DuckDB a decimal divided is DOUBLE, so HUGEINT quanta are divided. An amount becomes quanta by its text: the digits
without the point are the quanta, and reading them takes a third of the time that arithmetic does. It is still done once
per charge and not once per piece. A HUGEINT division takes as long as a hundred multiplications, so a whole of 2^49 is
divided by shifting; a shift rounds down where division cuts, which a bias of 2^49 - 1 puts right for negative quanta.
Spark's `div` gives BIGINT, and Sail's scales by 10^4 inside, so there the amount itself is divided as two limbs of 18
digits and no step leaves 34 digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from apportion.core.money import BINARY_WHOLE
from apportion.core.tables import AMOUNT
from apportion.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LIMB = "1000000000000000000"
_QUANTUM = "CAST('0.000000000000000001' AS DECIMAL(18,18))"
_SIGN = "(CASE WHEN {amount} < 0 THEN CAST(-1 AS DECIMAL(2,0)) ELSE CAST(1 AS DECIMAL(2,0)) END)"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one engine writes the macros.

    `quanta`, `part` and `amount` are steps: each names the ones before by their names, the last is the result. Whole
    numbers of up to 38 digits are `wide`.
    """

    name: str
    wide: str
    quanta: tuple[tuple[str, str], ...]
    part: tuple[tuple[str, str], ...]
    amount: tuple[tuple[str, str], ...]


_FRACTION = (
    f"CAST(CAST(ABS({{amount}}) - CAST(FLOOR(ABS({{amount}})) AS {AMOUNT}) AS DECIMAL(18,18))"
    f" * CAST({_LIMB} AS DECIMAL(19,0)) AS {{wide}})"
)
_SPARK_PIECE = (
    f"{_SIGN} * CAST(CAST(({{units}} // {{whole}}) * ({{high}} - {{low}})"
    f" + {{small}} // CAST({_LIMB} AS {{wide}}) AS {AMOUNT})"
    f" + CAST({{small}} % CAST({_LIMB} AS {{wide}}) AS DECIMAL(18,0)) * {_QUANTUM} AS DECIMAL(36,18))"
)
_UNITS = ("units", "CAST(FLOOR(ABS({amount})) AS {wide})")
_BITS = BINARY_WHOLE.bit_length() - 1
_BIAS = f"(({{amount}} >> 127) & CAST({BINARY_WHOLE - 1} AS HUGEINT))"
_SHIFTED = f"((({{amount}} * {{high}} + {_BIAS}) >> {_BITS}) - (({{amount}} * {{low}} + {_BIAS}) >> {_BITS}))"
_SMALL = (1 << 127 - _BITS) - 1  # DuckDB multiplies up to 2^127 - 1 only, on either side of 0
_DIVIDED = (
    "(({size} // {whole}) * ({high} - {low})"
    " + (({size} % {whole}) * {high}) // {whole} - (({size} % {whole}) * {low}) // {whole})"
)

DUCKDB = Dialect(
    "duckdb",
    "HUGEINT",
    quanta=(("result", f"CAST(REPLACE(CAST(CAST({{amount}} AS {AMOUNT}) AS VARCHAR), '.', '') AS HUGEINT)"),),
    part=(
        ("size", "ABS({amount})"),
        ("shifted", _SHIFTED),
        ("divided", _DIVIDED),
        ("binary", f"{{whole}} = {BINARY_WHOLE} AND {{amount}} BETWEEN -{_SMALL} AND {_SMALL}"),
        (
            "result",
            "CASE WHEN {binary} THEN {shifted} WHEN {amount} < 0 THEN -{divided} ELSE {divided} END",
        ),
    ),
    # DECIMAL(38,0) * DECIMAL(18,18) multiplies the stored whole numbers: the quanta themselves, at scale 18.
    amount=(("result", f"CAST({{amount}} AS DECIMAL(38,0)) * {_QUANTUM}"),),
)

SPARK = Dialect(
    "spark",
    "DECIMAL(38, 0)",
    quanta=(("result", "{amount}"),),
    part=(
        _UNITS,
        ("fraction", _FRACTION),
        ("rest", f"(({{units}} % {{whole}}) * CAST({_LIMB} AS {{wide}}) + {{fraction}})"),
        ("floors", "({rest} // {whole}) * ({high} - {low})"),
        ("rests", "(({rest} % {whole}) * {high}) // {whole} - (({rest} % {whole}) * {low}) // {whole}"),
        ("small", "({floors} + {rests})"),
        ("result", _SPARK_PIECE),
    ),
    amount=(("result", f"CAST({{amount}} AS {AMOUNT})"),),
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
    if not isinstance(node, exp.Anonymous) or node.name.upper() not in _MACROS:
        return node
    given = [part.transform(lambda inner: _expand(inner, dialect)).sql("duckdb") for part in node.expressions]
    return sqlglot.parse_one(_MACROS[node.name.upper()](dialect, *given), read="duckdb")


def _quanta(dialect: Dialect, amount: str) -> str:
    return _stepped(dialect.quanta, amount=amount, wide=dialect.wide)


def _part(dialect: Dialect, quanta: str, *bounds: str) -> str:
    low, high, whole = (f"CAST({bound} AS {dialect.wide})" for bound in bounds)
    return _stepped(dialect.part, amount=quanta, low=low, high=high, whole=whole, wide=dialect.wide)


def _amount(dialect: Dialect, quanta: str) -> str:
    return _stepped(dialect.amount, amount=quanta, wide=dialect.wide)


def _alloc(dialect: Dialect, amount: str, *bounds: str) -> str:
    return _amount(dialect, _part(dialect, _quanta(dialect, amount), *bounds))


_MACROS: Mapping[str, Callable[..., str]] = {"QUANTA": _quanta, "PART": _part, "AMOUNT": _amount, "ALLOC": _alloc}


def _stepped(steps: tuple[tuple[str, str], ...], **known: str) -> str:
    for name, form in steps:
        known[name] = form.format(**known)
    return f"({known['result']})"
