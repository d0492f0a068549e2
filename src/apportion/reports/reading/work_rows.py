"""What the rows of the metered reports share: their order, unit costs, and the note on what was not charged."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.tables import quoted
from apportion.ledger.filters import condition
from apportion.ledger.lenses import CostKind, Lens
from apportion.reports.reading.amounts import rounded_text
from apportion.reports.reading.change import ratio, rounded
from apportion.reports.reading.contract import Column, Kind
from apportion.reports.reading.work import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from fractions import Fraction

    from apportion.reports.reading.change import Amount
    from apportion.reports.reading.contract import Asked, Cell
    from apportion.reports.reading.work import Work

_Place = tuple[bool, Decimal, str, str]
_ENDPOINTS = ", ".join(f"'{kind}'" for kind in sorted(ENDPOINTS))

# Pieces of a commitment, and what it covers: their billed and their effective cost differ.
COMMITTED = f"""
SELECT count(*)
FROM charged
WHERE x_WorkloadKind IS NOT NULL AND (x_WorkloadKind IN ({_ENDPOINTS})) = $endpoints AND {{chosen}}
  AND EffectiveCost <> BilledCost
"""


ABOVE = """
SELECT BillingCurrency, SUM({metric})
FROM shown
WHERE x_PoolId IS NOT NULL AND x_WorkloadId IS NULL AND {chosen}
GROUP BY BillingCurrency
ORDER BY BillingCurrency
"""


def by_cost(currency: str) -> Callable[[Work], _Place]:
    """The order of rows: the costliest first, those without a cost last, then by name and id."""

    def place(work: Work) -> _Place:
        cost = work.costs[currency].chosen if currency in work.costs else None
        return (cost is None, (cost or Decimal(0)).copy_negate(), work.name, work.id)

    return place


def unit_cost(work: Work, currency: str, quantity: Decimal | None) -> Decimal | None:
    """What one unit of the quantity cost, at 18 digits: all that the workload cost, whatever filters choose of it.

    None where there is no cost, or nothing of the quantity.
    """
    return ratio(work.costs[currency].whole, quantity) if currency in work.costs else None


def kinds_of(work: Work, currency: str) -> tuple[Amount, ...]:
    """The chosen cost of the workload by `ledger.lenses.CostKind`."""
    return work.costs[currency].kinds if currency in work.costs else (None,) * len(CostKind)


def kind_columns(currency: str, total: Sequence[Cell], *, is_told: bool) -> tuple[Column, ...]:
    """A column per kind of cost; tables have those with an amount in them, and only where `is_told`."""
    return tuple(
        Column(f"cost_{kind}", kind.capitalize(), Kind.MONEY, currency, detail=not is_told or amount is None)
        for kind, amount in zip(CostKind, total, strict=True)
    )


def above(asked: Asked) -> Iterator[str]:
    """A sentence per currency in which pools gave to models and teams, not to the single jobs of these."""
    if asked.lens == Lens.BEFORE:
        return
    chosen, values = condition(asked.filters)
    for currency, amount in asked.db.rows(ABOVE.format(metric=quoted(asked.metric), chosen=chosen), values or None):
        told = rounded_text(amount or Decimal(0), currency)
        yield f"Shared cost of {told} {currency} stays with models and teams, in no job or endpoint: see --by flow."


def rounded_or_none(number: Fraction | None) -> Decimal | None:
    """The number at 18 digits; None stays None."""
    return None if number is None else rounded(number)


def uncharged_note(listed: Sequence[Work], one: str, many: str) -> Iterator[str]:
    """A sentence where some of these have usage and no charge."""
    count = sum(not work.costs for work in listed)
    if count:
        has = f"1 {one} has" if count == 1 else f"{count} {many} have"
        yield f"{has} usage and no charge in these bills: see 'apportion report --by metering-gaps'."


def commitments_note(asked: Asked, *, endpoints: bool) -> Iterator[str]:
    """A sentence where billed cost was asked for and commitments cover what the rows are charged for."""
    if asked.metric != "BilledCost":
        return
    chosen, values = condition(asked.filters)
    ((count,),) = asked.db.rows(COMMITTED.format(chosen=chosen), {**values, "endpoints": endpoints})
    if count:
        yield "Commitments: use --metric EffectiveCost to see what covered hours cost."


def distinct_names(listed: Sequence[Work]) -> Mapping[str, str]:
    """Id -> name: with the last part of the id where several have the same name, all of the id where that is shared."""
    often = Counter(work.name for work in listed)
    tails = Counter((work.name, _tail(work.id)) for work in listed)
    found = {}
    for work in listed:
        tail = _tail(work.id) if tails[work.name, _tail(work.id)] == 1 and _tail(work.id) != work.name else work.id
        found[work.id] = work.name if often[work.name] == 1 else f"{work.name} ({tail})"
    return found


def _tail(name: str) -> str:
    """The last part of an id.

    >>> _tail("openai:proj-1/key-2")
    'key-2'
    """
    return re.split(r"[/:]", name)[-1] or name
