"""The exact part of a measured quantity, as SQL: the telescoping formula of money, in billionths of a unit."""

from __future__ import annotations

from apportion.core.tables import QUANTITY

_NANO = "CAST('0.000000001' AS DECIMAL(9,9))"
_SECOND = 1_000_000
_SMALL = 1 << 62
"""Units below it and times below `_LONG` seconds are divided in 64 bits, a hundred times as fast as in 128."""
_LONG = 1 << 31


def portion(quantity: str, low: str, high: str, whole: str) -> str:
    """SQL for the part [low, high) of a DECIMAL(38,9) quantity of `whole`; the bounds are microseconds as BIGINT.

    Parts of one quantity that tile its whole add up to it, and each is within a billionth of fair. Quantities below
    10^27 and wholes below 10^15 stay inside of 128 bits.
    """
    return quantity_of(part_of(units_of(quantity), low, high, whole))


def units_of(quantity: str) -> str:
    """SQL for a DECIMAL(38,9) quantity as a HUGEINT number of billionths: its digits without the point."""
    return f"CAST(REPLACE(CAST(CAST({quantity} AS {QUANTITY}) AS VARCHAR), '.', '') AS HUGEINT)"


def quantity_of(units: str) -> str:
    """SQL for a number of billionths as a DECIMAL(38,9) quantity."""
    return f"CAST(CAST({units} AS DECIMAL(38,0)) * {_NANO} AS {QUANTITY})"


def part_of(units: str, low: str, high: str, whole: str) -> str:
    """SQL for the part [low, high) of HUGEINT `units` of `whole` (above 0), in units.

    Each term is repeated a dozen times: give columns where the rows are many.
    """
    seconds = {name: f"({term} // {_SECOND})" for name, term in (("low", low), ("high", high), ("whole", whole))}
    small = f"CAST({units} AS BIGINT)"
    in_seconds = " AND ".join(f"{term} % {_SECOND} = 0" for term in (low, high, whole))
    few = f"{units} BETWEEN -{_SMALL} AND {_SMALL} AND {whole} < {_LONG * _SECOND}"
    wide = [f"CAST({term} AS HUGEINT)" for term in (low, high, whole)]
    return (
        f"CASE WHEN {low} = 0 AND {high} = {whole} THEN {units}"
        f" WHEN {few} AND {in_seconds} THEN CAST({_between(small, *seconds.values())} AS HUGEINT)"
        f" ELSE {_between(units, *wide)} END"
    )


def _between(units: str, low: str, high: str, whole: str) -> str:
    def up_to(end: str) -> str:
        return f"(({units} // {whole}) * {end} + (({units} % {whole}) * {end}) // {whole})"

    return f"({up_to(high)} - {up_to(low)})"
