"""How well the cost is known: the money of the period by tier of evidence and rule, for the team dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.tables import quoted
from apportion.core.targets import EVIDENCE_NAMES, Evidence
from apportion.ledger.filters import condition
from apportion.reports.reading.change import added, ratio
from apportion.reports.reading.contract import RATIO, Answer, Asked, Column, Kind, Report, Section
from apportion.reports.reading.remarks import lens_title, missing_metric, sharing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

TIERS = """
SELECT BillingCurrency, x_TeamEvidence AS tier, x_TeamRuleId AS rule,
       SUM({metric}) AS cost, SUM(x_PieceCount) AS pieces
FROM allocations
WHERE {chosen} AND date_trunc('month', BillingPeriodStart) BETWEEN $first AND $last
GROUP BY ALL
ORDER BY BillingCurrency, tier, cost DESC NULLS LAST, rule
"""

_TierRow = tuple[str, str, "Decimal | None", int]


def _answer(asked: Asked) -> Answer:
    chosen, values = condition(asked.filters)
    bounds = {"first": asked.period.first.start, "last": asked.period.last.start}
    found: dict[str, list[_TierRow]] = {}
    sql = TIERS.format(metric=quoted(asked.metric), chosen=chosen)
    for currency, tier, rule, cost, pieces in asked.db.rows(sql, {**values, **bounds}):
        found.setdefault(currency, []).append((tier, rule, cost, int(pieces)))
    ordered = sorted(found, key=lambda currency: (currency != asked.currency, currency))
    sections = tuple(_section(currency, found[currency]) for currency in ordered)
    notes = (*missing_metric(asked), *sharing(asked)) if sections else ("No cost matches these filters.",)
    return Answer(lens_title(asked, REPORT.title), asked.period, asked.metric, sections, notes)


def _section(currency: str, found: Sequence[_TierRow]) -> Section:
    whole = added([cost for _, _, cost, _ in found])
    columns = (
        Column("evidence", "Evidence", Kind.TEXT),
        Column("tier", "Tier", Kind.TEXT),
        Column("rule", "Rule", Kind.TEXT),
        Column("cost", "Cost", Kind.MONEY, currency),
        Column("share", "Share", Kind.SHARE, RATIO),
        Column("pieces", "Pieces of charges", Kind.COUNT),
    )
    rows = tuple(
        (EVIDENCE_NAMES[Evidence(tier)], tier, rule, cost, ratio(cost, whole), pieces)
        for tier, rule, cost, pieces in found
    )
    total = ("Total", None, None, whole, ratio(whole, whole), sum(pieces for *_, pieces in found))
    return Section(currency, columns, rows, total)


REPORT = Report("evidence", "Cost by evidence", _answer)
