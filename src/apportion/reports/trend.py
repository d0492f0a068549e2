"""What each month cost, how it changed, and how much of it has an owner; the total row carries the trend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.period import Month
from apportion.core.tables import quoted
from apportion.ledger.filters import condition
from apportion.reports.reading.change import added, difference, ratio, slope
from apportion.reports.reading.contract import RATIO, Answer, Asked, Column, Kind, Report, Row, Section
from apportion.reports.reading.remarks import missing_bills

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

MONTHS = """
SELECT BillingCurrency, date_trunc('month', BillingPeriodStart) AS month, SUM({metric}) AS cost,
       SUM({metric}) FILTER (WHERE x_TeamEvidence <> 'T5' AND x_Team <> 'idle') AS owned
FROM allocations
WHERE {chosen}
GROUP BY ALL
ORDER BY BillingCurrency, month
"""

_Costs = dict[Month, tuple["Decimal | None", "Decimal | None"]]


def _answer(asked: Asked) -> Answer:
    chosen, values = condition(asked.filters)
    found: dict[str, _Costs] = {}
    for currency, month, cost, owned in asked.db.rows(
        MONTHS.format(metric=quoted(asked.metric), chosen=chosen), values
    ):
        found.setdefault(currency, {})[Month(month.year, month.month)] = (cost, owned)
    months = list(asked.period) if asked.period.first < asked.period.last else asked.months[-asked.trend_months :]
    ordered = sorted(found, key=lambda currency: (currency != asked.currency, currency))
    sections = tuple(_section(currency, found[currency], months) for currency in ordered)
    notes = (
        f"Trend: least squares, per month over {len(months)} months ({months[0]}..{months[-1]}).",
        *missing_bills(asked, tuple(months)),
    )
    return Answer(REPORT.title, asked.period, asked.metric, sections, notes)


def _section(
    currency: str, costs: Mapping[Month, tuple[Decimal | None, Decimal | None]], months: Sequence[Month]
) -> Section:
    rows: list[Row] = []
    for month in months:
        cost, owned = costs.get(month, (None, None))
        before, _ = costs.get(month.plus(-1), (None, None))
        change = difference(cost, before)
        rows.append((str(month), cost, change, ratio(change, before), owned, ratio(owned, cost), None))
    whole = added([costs[month][0] for month in months if month in costs])
    owned = added([costs[month][1] for month in months if month in costs])
    trend = slope([costs.get(month, (None, None))[0] for month in months])
    columns = (
        Column("month", "Month", Kind.TEXT),
        Column("cost", "Cost", Kind.MONEY, currency),
        Column("change", "Change", Kind.CHANGE, currency),
        Column("change_ratio", "Change %", Kind.CHANGE, RATIO),
        Column("owned", "With a team", Kind.MONEY, currency),
        Column("owned_share", "Share with a team", Kind.SHARE, RATIO),
        Column("trend", "Trend a month", Kind.TREND, f"{currency} a month"),
    )
    return Section(currency, columns, tuple(rows), ("Total", whole, None, None, owned, ratio(owned, whole), trend))


REPORT = Report("trend", "Cost by month", _answer)
