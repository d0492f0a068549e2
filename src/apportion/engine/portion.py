"""The exact part of a measured quantity, as SQL: the telescoping formula of money, in billionths of a unit."""

from __future__ import annotations

from apportion.core.tables import QUANTITY

_NANO = "CAST('0.000000001' AS DECIMAL(9,9))"


def portion(quantity: str, low: str, high: str, whole: str) -> str:
    """SQL for the part [low, high) of a DECIMAL(38,9) quantity of `whole`; the bounds are whole numbers, such as µs.

    Parts of one quantity that tile its whole add up to it, and each is within a billionth of fair. Quantities below
    10^27 and wholes below 10^15 stay inside of 128 bits.
    """
    # a DECIMAL(38,9) times 10^9 would leave 38 digits from 10^20 on
    units = (
        f"(CAST(trunc({quantity}) AS HUGEINT) * 1000000000"
        f" + CAST(({quantity} - CAST(trunc({quantity}) AS {QUANTITY})) * 1000000000 AS HUGEINT))"
    )
    wide_low, wide_high, wide = (f"CAST({each} AS HUGEINT)" for each in (low, high, whole))

    def up_to(end: str) -> str:
        return f"(({units} // {wide}) * {end} + (({units} % {wide}) * {end}) // {wide})"

    return f"CAST(CAST({up_to(wide_high)} - {up_to(wide_low)} AS DECIMAL(38,0)) * {_NANO} AS {QUANTITY})"
