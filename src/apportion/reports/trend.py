"""What each month cost, how it changed, and how much of it has an owner; the total row carries the trend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.core.period import Month
from apportion.core.tables import quoted
from apportion.ledger.filters import condition
from apportion.ledger.lenses import CostKind
from apportion.reports.reading.change import Amount, added, difference, ratio, slope
from apportion.reports.reading.contract import RATIO, Answer, Asked, Column, Kind, Report, Row, Section
from apportion.reports.reading.remarks import is_shared, lens_title, missing_bills, sharing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MONTHS = """
SELECT BillingCurrency, date_trunc('month', BillingPeriodStart) AS month, SUM({metric}) AS cost,
       SUM({metric}) FILTER (WHERE x_TeamEvidence <> 'T5' AND x_Team <> 'idle') AS owned, {kinds}
FROM allocations
WHERE {chosen}
GROUP BY ALL
ORDER BY BillingCurrency, month
"""

_KINDS = ", ".join(f"SUM({{metric}}) FILTER (WHERE x_CostKind = '{kind}')" for kind in CostKind)


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a month cost, what of it has a team, and how much is of each `lenses.CostKind`, in their order."""

    cost: Amount = None
    owned: Amount = None
    kinds: tuple[Amount, ...] = (None,) * len(CostKind)


_NOTHING = _Cost()


def _answer(asked: Asked) -> Answer:
    chosen, values = condition(asked.filters)
    metric = quoted(asked.metric)
    found: dict[str, dict[Month, _Cost]] = {}
    sql = MONTHS.format(metric=metric, chosen=chosen, kinds=_KINDS.format(metric=metric))
    for currency, month, cost, owned, *kinds in asked.db.rows(sql, values):
        found.setdefault(currency, {})[Month(month.year, month.month)] = _Cost(cost, owned, tuple(kinds))
    months = list(asked.period) if asked.period.first < asked.period.last else asked.months[-asked.trend_months :]
    ordered = sorted(found, key=lambda currency: (currency != asked.currency, currency))
    is_told = is_shared(asked)
    sections = tuple(_section(currency, found[currency], months, is_told=is_told) for currency in ordered)
    notes = (
        f"Trend: least squares, per month over {len(months)} months ({months[0]}..{months[-1]}).",
        *missing_bills(asked, tuple(months)),
        *sharing(asked),
    )
    return Answer(lens_title(asked, REPORT.title), asked.period, asked.metric, sections, notes)


def _section(currency: str, costs: Mapping[Month, _Cost], months: Sequence[Month], *, is_told: bool) -> Section:
    """The months of one currency; `is_told`: whether a table has the kinds of cost."""
    rows: list[Row] = []
    for month in months:
        at, before = costs.get(month, _NOTHING), costs.get(month.plus(-1), _NOTHING)
        change = difference(at.cost, before.cost)
        shares = (at.owned, ratio(at.owned, at.cost), None)
        rows.append((str(month), at.cost, change, ratio(change, before.cost), *shares, *at.kinds))
    known = [costs[month] for month in months if month in costs]
    whole, owned = added([at.cost for at in known]), added([at.owned for at in known])
    trend = slope([costs.get(month, _NOTHING).cost for month in months])
    kinds = [added([at.kinds[place] for at in known]) for place in range(len(CostKind))]
    columns = (
        Column("month", "Month", Kind.TEXT),
        Column("cost", "Cost", Kind.MONEY, currency),
        Column("change", "Change", Kind.CHANGE, currency),
        Column("change_ratio", "Change %", Kind.CHANGE, RATIO),
        Column("owned", "With a team", Kind.MONEY, currency),
        Column("owned_share", "Share with a team", Kind.SHARE, RATIO),
        Column("trend", "Trend a month", Kind.TREND, f"{currency} a month"),
        *(
            Column(f"cost_{kind}", kind.capitalize(), Kind.MONEY, currency, detail=not is_told or amount is None)
            for kind, amount in zip(CostKind, kinds, strict=True)
        ),
    )
    total = ("Total", whole, None, None, owned, ratio(owned, whole), trend, *kinds)
    return Section(currency, columns, tuple(rows), total)


REPORT = Report("trend", "Cost by month", _answer)
