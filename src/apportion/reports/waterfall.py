"""How each team's cost came about: what it was before sharing, what pools took, what they gave, and what it is now."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.tables import quoted
from apportion.core.targets import UNALLOCATED
from apportion.ledger.filters import condition
from apportion.reports.reading.change import Amount, added
from apportion.reports.reading.contract import Answer, Asked, Column, Kind, Report, Row, Section
from apportion.reports.reading.remarks import bounds, missing_metric

if TYPE_CHECKING:
    from collections.abc import Mapping

BEFORE, GIVEN, RECEIVED, TOTAL = "before sharing", "given to pools", "received from pools", "total"
"""The steps of a team, in this order."""

# What pools took and gave of a month is there by the pool that took it, and by the way it went.
SUMS = """
WITH steps AS (
    SELECT BillingCurrency, x_Team, 1 AS step, CAST(NULL AS VARCHAR) AS pool, {metric} AS amount
    FROM allocations_before
    WHERE {chosen} AND {month}
    UNION ALL
    SELECT BillingCurrency, x_Team, 2, x_PoolId, -{metric} FROM taken_rows WHERE {chosen} AND {month}
    UNION ALL
    SELECT BillingCurrency, x_Team, 3, x_Path, {metric} FROM shared WHERE {chosen} AND {month}
)
SELECT BillingCurrency, x_Team, step, pool, SUM(amount)
FROM steps
GROUP BY ALL
ORDER BY BillingCurrency, x_Team, step, pool
"""

_MONTH = "date_trunc('month', BillingPeriodStart) BETWEEN $first AND $last"
_WORDS = {1: BEFORE, 2: GIVEN, 3: RECEIVED}


@dataclass(slots=True)
class _Team:
    """The steps of a team: word, pool (or the pools that it came through), amount."""

    name: str
    steps: list[tuple[str, str | None, Amount]] = field(default_factory=list)

    @property
    def total(self) -> Amount:
        return added([amount for _, _, amount in self.steps])


def _answer(asked: Asked) -> Answer:
    chosen, values = condition(asked.filters)
    sql = SUMS.format(metric=quoted(asked.metric), chosen=chosen, month=_MONTH)
    found: dict[str, dict[str, _Team]] = {}
    for currency, name, step, pool, amount in asked.db.rows(sql, {**values, **bounds(asked)}):
        team = found.setdefault(currency, {}).setdefault(name, _Team(name))
        team.steps.append((_WORDS[step], pool, amount))
    ordered = sorted(found, key=lambda currency: (currency != asked.currency, currency))
    sections = tuple(_section(currency, found[currency]) for currency in ordered)
    notes = tuple(missing_metric(asked)) if sections else ("No cost matches these filters.",)
    return Answer(REPORT.title, asked.period, asked.metric, sections, notes)


def _section(currency: str, found: Mapping[str, _Team]) -> Section:
    teams = sorted(found.values(), key=_place)
    rows = tuple(row for team in teams for row in _rows(team))
    columns = (
        Column("team", "Team", Kind.TEXT),
        Column("step", "Step", Kind.TEXT),
        Column("pool", "Pool", Kind.TEXT),
        Column("amount", "Amount", Kind.MONEY, currency),
        Column("so_far", "So far", Kind.MONEY, currency),
    )
    whole = added([team.total for team in teams])
    return Section(currency, columns, rows, ("Total", None, None, whole, whole))


def _rows(team: _Team) -> list[Row]:
    rows: list[Row] = []
    so_far: Amount = None
    for word, pool, amount in team.steps:
        so_far = added([so_far, amount])
        rows.append((team.name, word, pool, amount, so_far))
    return [*rows, (team.name, TOTAL, None, so_far, so_far)]


def _place(team: _Team) -> tuple[bool, Decimal, str]:
    return (team.name == UNALLOCATED, (team.total or Decimal(0)).copy_negate(), team.name)


REPORT = Report("waterfall", "From cost before sharing to cost after", _answer)
