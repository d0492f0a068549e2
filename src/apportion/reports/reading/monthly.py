"""The sums that the grouped question is answered from: per currency and group, what each month cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.core.period import Month
from apportion.core.tables import quoted
from apportion.core.targets import Evidence
from apportion.ledger.filters import condition
from apportion.ledger.lenses import CostKind
from apportion.reports.reading.change import Amount, added

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from apportion.reports.reading.contract import Asked

_MONTH = "date_trunc('month', BillingPeriodStart)"

COSTS = """
SELECT BillingCurrency, {group} AS name, {month} AS month, SUM({metric}) AS cost
FROM allocations
WHERE {chosen}
GROUP BY ALL
ORDER BY BillingCurrency, name NULLS FIRST, month
"""

# A month is known to a group when a bill of one of the group's billing accounts was loaded for it: then no charge
# means that nothing was spent; without a bill nothing is known.
KNOWN = """
WITH delivered AS (
    SELECT DISTINCT BillingCurrency, BillingAccountId, {month} AS month FROM allocations_before
),
group_accounts AS (
    SELECT BillingCurrency, {group} AS name, BillingAccountId FROM allocations WHERE {chosen}
    UNION
    SELECT BillingCurrency, {group} AS name, BillingAccountId FROM allocations_before WHERE {chosen}
)
SELECT DISTINCT g.BillingCurrency, g.name, d.month
FROM group_accounts AS g
JOIN delivered AS d
  ON d.BillingCurrency = g.BillingCurrency AND d.BillingAccountId IS NOT DISTINCT FROM g.BillingAccountId
ORDER BY g.BillingCurrency, g.name NULLS FIRST, d.month
"""

TIERS = """
SELECT BillingCurrency, {group} AS name, {evidence} AS tier, SUM({metric}) AS cost
FROM allocations
WHERE {chosen} AND {month} BETWEEN $first AND $last
GROUP BY ALL
ORDER BY BillingCurrency, name NULLS FIRST, tier
"""

KINDS = """
SELECT BillingCurrency, {group} AS name, x_CostKind, SUM({metric}) AS cost
FROM allocations
WHERE {chosen} AND {month} BETWEEN $first AND $last
GROUP BY ALL
ORDER BY BillingCurrency, name NULLS FIRST, x_CostKind
"""

# A group of which pools took everything still has its row: it cost nothing, and that is worth knowing.
BEFORE = """
SELECT BillingCurrency, {group} AS name, {month} AS month, SUM({metric}) AS cost
FROM allocations_before
WHERE {chosen}
GROUP BY ALL
ORDER BY BillingCurrency, name NULLS FIRST, month
"""

GIVEN = """
SELECT BillingCurrency, {group} AS name, SUM({metric}) AS cost
FROM taken_rows
WHERE {chosen} AND {month} BETWEEN $first AND $last
GROUP BY ALL
ORDER BY BillingCurrency, name NULLS FIRST
"""

BESIDE = """
SELECT BillingCurrency, {group} AS name, {beside} AS value, SUM({metric}) AS cost
FROM {rows}
WHERE {chosen} AND {month} BETWEEN $first AND $last AND {beside} IS NOT NULL
GROUP BY ALL
ORDER BY BillingCurrency, name NULLS FIRST, cost DESC NULLS LAST, value
"""


@dataclass(slots=True)
class Group:
    """One row to be.

    `months`: what each known month cost, 0 where nothing was charged, None where the metric is missing; `charged`: the
    months it has pieces in, before or after sharing; `tiers`: its cost in the period by evidence tier; `kinds`: that by
    `lenses.CostKind`; `before`: what each month cost before sharing; `given`: what pools took from it in the period,
    below 0, None where they took nothing; `beside`: values, costliest first.
    """

    name: str | None
    months: dict[Month, Amount] = field(default_factory=dict)
    charged: set[Month] = field(default_factory=set)
    tiers: dict[str, Amount] = field(default_factory=dict)
    kinds: dict[str, Amount] = field(default_factory=dict)
    before: dict[Month, Amount] = field(default_factory=dict)
    given: Amount = None
    beside: dict[str, list[str]] = field(default_factory=dict)

    def cost(self, months: Sequence[Month]) -> Amount:
        """The sum over the known ones of these months; None where none is known."""
        return added([self.months.get(month) for month in months])

    def cost_before(self, months: Sequence[Month]) -> Amount:
        """The same before sharing."""
        return added([self.before.get(month) for month in months])

    def full_cost(self, months: Sequence[Month]) -> Amount:
        """The sum over these months; None unless every one of them is known."""
        found = [self.months.get(month) for month in months]
        return None if None in found else added(found)


@dataclass(frozen=True, slots=True)
class Question:
    """What is grouped by which column, whose evidence column counts, and which columns are shown beside the name."""

    group: str
    evidence: str
    beside: Mapping[str, str] = field(default_factory=dict)


def groups(asked: Asked, question: Question) -> dict[str, list[Group]]:
    """Currency -> its groups by name, with the sums of all opened months."""
    found: dict[tuple[str, str | None], Group] = {}
    for currency, name, month in _rows(asked, question, KNOWN):
        group = found.setdefault((currency, name), Group(name))
        group.months[Month(month.year, month.month)] = Decimal(0)
    for currency, name, month, cost in _rows(asked, question, COSTS):
        group = found[currency, name]
        group.months[Month(month.year, month.month)] = cost
        group.charged.add(Month(month.year, month.month))
    _add_lenses(asked, question, found)
    for currency, name, tier, cost in _rows(asked, question, TIERS, within=True):
        found[currency, name].tiers[tier] = cost
    _add_beside(asked, question, found)
    sections: dict[str, list[Group]] = {}
    for (currency, _), group in found.items():
        sections.setdefault(currency, []).append(group)
    return sections


def _add_lenses(asked: Asked, question: Question, found: dict[tuple[str, str | None], Group]) -> None:
    for currency, name, moment, cost in _rows(asked, question, BEFORE):
        month = Month(moment.year, moment.month)
        found[currency, name].before[month] = cost
        found[currency, name].charged.add(month)
    for currency, name, kind, cost in _rows(asked, question, KINDS, within=True):
        found[currency, name].kinds[kind] = cost
    for currency, name, cost in _rows(asked, question, GIVEN, within=True):
        found[currency, name].given = None if cost is None else cost.copy_negate()


def _add_beside(asked: Asked, question: Question, found: dict[tuple[str, str | None], Group]) -> None:
    """What stands beside a name is of the rows that are shown; of those before only where pools took all of them."""
    for key, column in question.beside.items():
        told: set[tuple[str, str | None]] = set()
        for rows in ("allocations", "allocations_before"):
            values = list(_rows(asked, question, BESIDE, within=True, beside=column, rows=rows))
            for currency, name, value, _ in values:
                if (currency, name) not in told:
                    found[currency, name].beside.setdefault(key, []).append(value)
            told |= {(currency, name) for currency, name, *_ in values}


def total(parts: Sequence[Group]) -> Group:
    """The sum of the groups, month by month, tier by tier and kind by kind."""
    whole = Group("Total")
    for month in sorted({month for part in parts for month in part.months}):
        whole.months[month] = added([part.months.get(month) for part in parts])
    for tier in Evidence:
        whole.tiers[tier] = added([part.tiers.get(tier) for part in parts])
    for kind in CostKind:
        whole.kinds[kind] = added([part.kinds.get(kind) for part in parts])
    for month in sorted({month for part in parts for month in part.before}):
        whole.before[month] = added([part.before.get(month) for part in parts])
    whole.given = added([part.given for part in parts])
    return whole


def _rows(
    asked: Asked, question: Question, statement: str, *, within: bool = False, beside: str = "", rows: str = ""
) -> Iterator[tuple[Any, ...]]:
    chosen, values = condition(asked.filters)
    sql = statement.format(
        group=quoted(question.group),
        evidence=quoted(question.evidence),
        beside=quoted(beside),
        rows=rows,
        metric=quoted(asked.metric),
        month=_MONTH,
        chosen=chosen,
    )
    bounds = {"first": asked.period.first.start, "last": asked.period.last.start} if within else {}
    yield from asked.db.rows(sql, {**values, **bounds} or None)
