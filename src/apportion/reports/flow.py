"""Where shared cost came from and where it went: whose it was, through which pools, to which team and model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.tables import quoted
from apportion.ledger.filters import condition
from apportion.reports.reading.change import Amount, added, ratio
from apportion.reports.reading.contract import RATIO, Answer, Asked, Column, Kind, Report, Row, Section
from apportion.reports.reading.remarks import bounds, missing_metric

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

FLOWS = """
SELECT BillingCurrency, x_OriginTeam, ServiceName, x_OriginKind, x_Path, x_Team, x_Model, x_WorkloadId, SUM({metric})
FROM shared
WHERE {chosen} AND date_trunc('month', BillingPeriodStart) BETWEEN $first AND $last
GROUP BY ALL
ORDER BY BillingCurrency, x_OriginTeam, ServiceName, x_OriginKind NULLS FIRST, x_Path, SUM({metric}) DESC NULLS LAST,
         x_Team, x_Model, x_WorkloadId NULLS FIRST
"""

_Flow = tuple[str, str, str | None, str, str, str, str | None, "Decimal | None"]
"""Origin: team, service, kind; path; receiver: team, model, job; amount."""


def _answer(asked: Asked) -> Answer:
    chosen, values = condition(asked.filters)
    found: dict[str, list[_Flow]] = {}
    sql = FLOWS.format(metric=quoted(asked.metric), chosen=chosen)
    for currency, *flow in asked.db.rows(sql, {**values, **bounds(asked)}):
        found.setdefault(currency, []).append(tuple(flow))
    ordered = sorted(found, key=lambda currency: (currency != asked.currency, currency))
    sections = tuple(_section(currency, found[currency]) for currency in ordered)
    notes = tuple(missing_metric(asked)) if sections else (_nothing(asked),)
    return Answer(REPORT.title, asked.period, asked.metric, sections, notes)


def _nothing(asked: Asked) -> str:
    if asked.filters:
        return "No shared cost matches these filters; --team, --model and --job are here who got it."
    return f"No pool gave anything on in {asked.period}: docs/how-to/share-costs.md says how to write one."


def _section(currency: str, found: Sequence[_Flow]) -> Section:
    whole = added([flow[-1] for flow in found])
    columns = (
        Column("from_team", "Whose it was", Kind.TEXT),
        Column("from_service", "Service", Kind.TEXT),
        Column("from_kind", "Kind", Kind.TEXT, detail=not any(flow[2] for flow in found)),
        Column("path", "Through pools", Kind.TEXT),
        Column("team", "Team", Kind.TEXT),
        Column("model", "Model", Kind.TEXT),
        Column("job", "Job", Kind.TEXT, detail=True),
        Column("amount", "Amount", Kind.MONEY, currency),
        Column("share", "Share", Kind.SHARE, RATIO),
    )
    rows = tuple(_row(flow, whole) for flow in found)
    return Section(currency, columns, rows, ("Total", *[None] * 6, whole, ratio(whole, whole)))


def _row(flow: _Flow, whole: Amount) -> Row:
    *words, amount = flow
    return (*words, amount, ratio(amount, whole))


REPORT = Report("flow", "Shared cost from source to model", _answer)
