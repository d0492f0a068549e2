"""What newer deliveries of the period's bills changed, per service, sub account and team tag; always in BilledCost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.errors import UnknownName
from apportion.reports.reading.change import added, difference, ratio
from apportion.reports.reading.contract import RATIO, Answer, Asked, Column, Kind, Report, Row, Section

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from apportion.store.records import Restatement, RestatementLine

FILTERS = ("account", "service")
"""Who owns a charge is not decided when its bill is restated, so there is nothing else to choose by."""

_Change = tuple["Restatement", "RestatementLine"]


def _answer(asked: Asked) -> Answer:
    for field in asked.filters:
        if field not in FILTERS:
            raise UnknownName("filter of the report 'restatements'", field, FILTERS)
    restated = asked.store.restatements(period=asked.period)
    lines = [(each, line) for each in restated for line in each.lines if _is_chosen(asked, each, line)]
    found: dict[str, list[_Change]] = {}
    for each, line in lines:
        found.setdefault(line.currency, []).append((each, line))
    ordered = sorted(found, key=lambda currency: (currency != asked.currency, currency))
    sections = tuple(_section(currency, found[currency]) for currency in ordered)
    notes = () if sections else (f"No bill of {asked.period} was restated.",)
    return Answer(REPORT.title, asked.period, "BilledCost", sections, notes)


def _is_chosen(asked: Asked, restated: Restatement, line: RestatementLine) -> bool:
    services = asked.filters.get("service", (line.service,))
    accounts = asked.filters.get("account", (line.sub_account,))
    return line.service in services and not {line.sub_account, restated.scope.billing_account_id}.isdisjoint(accounts)


def _section(currency: str, found: Sequence[_Change]) -> Section:
    ordered = sorted(found, key=lambda change: _place(*change))
    before = added([line.before for _, line in found])
    after = added([line.after for _, line in found])
    amounts = (before, after, difference(after, before), ratio(difference(after, before), before))
    return Section(
        currency,
        _columns(currency),
        tuple(_row(*change) for change in ordered),
        (*["Total", *[None] * 4], *amounts, *[None] * 3),
    )


def _row(restated: Restatement, line: RestatementLine) -> Row:
    change = difference(line.after, line.before)
    return (
        str(restated.scope.period),
        restated.scope.source_id,
        line.service,
        line.sub_account,
        line.tag,
        line.before,
        line.after,
        change,
        ratio(change, line.before),
        restated.at.isoformat(sep=" ", timespec="seconds") if restated.at else None,
        restated.old_snapshot,
        restated.new_snapshot,
    )


def _place(restated: Restatement, line: RestatementLine) -> tuple[Decimal, str, str, str, str, str, str]:
    size = (difference(line.before, line.after) or line.before).copy_abs().copy_negate()
    scope = restated.scope
    return (size, str(scope.period), scope.source_id, line.service, line.sub_account, line.tag, restated.new_snapshot)


def _columns(currency: str) -> tuple[Column, ...]:
    return (
        Column("month", "Month", Kind.TEXT),
        Column("source", "Source", Kind.TEXT),
        Column("service", "Service", Kind.TEXT),
        Column("account", "Account", Kind.TEXT),
        Column("team_tag", "Team tag", Kind.TEXT),
        Column("before", "Before", Kind.MONEY, currency),
        Column("after", "After", Kind.MONEY, currency),
        Column("change", "Change", Kind.CHANGE, currency),
        Column("change_ratio", "Change %", Kind.CHANGE, RATIO),
        Column("at", "Restated (UTC)", Kind.TEXT, detail=True),
        Column("old_snapshot", "Old snapshot", Kind.TEXT, detail=True),
        Column("new_snapshot", "New snapshot", Kind.TEXT, detail=True),
    )


REPORT = Report("restatements", "Restated bills", _answer)
