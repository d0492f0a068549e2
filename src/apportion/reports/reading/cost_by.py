"""The grouped question: what did each team, model, service … cost, how did it change, how well is it known."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.targets import COLUMNS as TARGET_COLUMNS
from apportion.core.targets import EVIDENCE_NAMES, UNALLOCATED, Evidence
from apportion.ledger.lenses import CostKind, Lens
from apportion.reports.reading.change import LEAST_MONTHS, Amount, difference, ratio, slope
from apportion.reports.reading.contract import RATIO, Answer, Asked, Cell, Column, Kind, Report, Section
from apportion.reports.reading.monthly import Group, Question, groups, total
from apportion.reports.reading.remarks import lens_title, missing_bills, missing_metric, sharing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from apportion.core.period import Month, Period


def by_dimension(dimension: str, *, beside: tuple[str, ...] = ()) -> Report:
    """The report of one target dimension, other dimensions of the same pieces shown beside it."""
    # the business unit follows from the team, and is known as well as the team is
    decided = "team" if dimension == "business_unit" else dimension
    question = Question(
        group=TARGET_COLUMNS[dimension],
        evidence=f"x_{decided.capitalize()}Evidence",
        beside={other: TARGET_COLUMNS[other] for other in beside},
    )
    return by_column(dimension, question)


def by_column(key: str, question: Question) -> Report:
    """The report named `cost_by_<key>` over any column of `allocations`."""
    title = f"Cost by {_words(key)}"
    return Report(f"cost_by_{key}", title, lambda asked: _answer(asked, question, key=key, title=title))


@dataclass(frozen=True, slots=True)
class _Shown:
    """A column and how its cell comes from a group and the total of its section."""

    column: Column
    cell: Callable[[Group, Group], Cell]


def _answer(asked: Asked, question: Question, *, key: str, title: str) -> Answer:
    found = groups(asked, question)
    ordered = sorted(found, key=lambda currency: (currency != asked.currency, currency))
    sections = [
        _section(asked, currency, _columns(asked, question, key, currency, found[currency]), found[currency])
        for currency in ordered
    ]
    told = tuple(each for each in sections if each.rows)
    notes = (*_notes(asked), *(() if told else ("No cost matches these filters.",)))
    return Answer(lens_title(asked, title), asked.period, asked.metric, told, notes)


def _section(asked: Asked, currency: str, shown: Sequence[_Shown], found: Sequence[Group]) -> Section:
    whole = total(found)
    window = {*asked.period, *_before(asked.period)}
    rows = sorted((group for group in found if group.charged & window), key=lambda group: _place(group, asked.period))
    return Section(
        currency,
        tuple(each.column for each in shown),
        tuple(tuple(each.cell(group, whole) for each in shown) for group in rows),
        tuple(each.cell(whole, whole) for each in shown),
    )


def _columns(asked: Asked, question: Question, key: str, currency: str, found: Sequence[Group]) -> list[_Shown]:
    months, before = list(asked.period), _before(asked.period)
    trend_months = asked.months[-asked.trend_months :]

    def cost(group: Group) -> Amount:
        return group.cost(months)

    def change(group: Group) -> Amount:
        return difference(group.full_cost(months), group.full_cost(before))

    shown = [_Shown(Column(key, _words(key).capitalize(), Kind.TEXT), lambda group, _: group.name)]
    shown += [_beside(other) for other in question.beside]
    if len(months) > 1:
        shown += [_month(month, currency) for month in months]
    is_shared, is_before = any(group.given is not None for group in found), asked.lens == Lens.BEFORE
    shown += [_kind(kind, currency, found, detail=not is_shared) for kind in CostKind]
    shown += [
        _Shown(Column("cost", "Cost", Kind.MONEY, currency), lambda group, _: cost(group)),
        _Shown(
            Column("previous", f"Cost in {_span(before)}", Kind.MONEY, currency, detail=True),
            lambda group, _: group.full_cost(before),
        ),
        _Shown(Column("change", "Change", Kind.CHANGE, currency), lambda group, _: change(group)),
        _Shown(
            Column("change_ratio", "Change %", Kind.CHANGE, RATIO),
            lambda group, _: ratio(change(group), group.full_cost(before)),
        ),
        _Shown(
            Column("trend", "Trend a month", Kind.TREND, f"{currency} a month"),
            lambda group, _: slope([group.months.get(month) for month in trend_months]),
        ),
        _Shown(
            Column("months", f"{_span(trend_months)}", Kind.SERIES, currency, detail=True),
            lambda group, _: tuple(group.months.get(month) for month in trend_months),
        ),
        _Shown(Column("share", "Share", Kind.SHARE, RATIO), lambda group, whole: ratio(cost(group), cost(whole))),
    ]
    shown += [
        _Shown(
            Column("before_sharing", "Before sharing", Kind.MONEY, currency, detail=not is_shared or is_before),
            lambda group, _: group.cost_before(months),
        ),
        _Shown(
            Column("given_to_pools", "Given to pools", Kind.MONEY, currency, detail=not is_shared),
            lambda group, _: group.given,
        ),
    ]
    return shown + [_tier(tier, currency) for tier in Evidence]


def _kind(kind: CostKind, currency: str, found: Sequence[Group], *, detail: bool) -> _Shown:
    """What of the cost is of one kind; a table leaves the column out where no row has any."""
    empty = all(group.kinds.get(kind) is None for group in found)
    column = Column(f"cost_{kind}", kind.capitalize(), Kind.MONEY, currency, detail=detail or empty)
    return _Shown(column, lambda group, _: group.kinds.get(kind))


def _beside(dimension: str) -> _Shown:
    def names(group: Group, whole: Group) -> Cell:
        known = () if group is whole or group.name == UNALLOCATED else group.beside.get(dimension, ())
        return ", ".join(known) or None

    return _Shown(Column(dimension, _words(dimension).capitalize(), Kind.TEXT), names)


def _month(month: Month, currency: str) -> _Shown:
    return _Shown(Column(str(month), str(month), Kind.MONEY, currency), lambda group, _: group.months.get(month))


def _tier(tier: Evidence, currency: str) -> _Shown:
    name = EVIDENCE_NAMES[tier]
    column = Column(name, name.capitalize(), Kind.MONEY, currency, detail=True)
    return _Shown(column, lambda group, _: group.tiers.get(tier))


def _place(group: Group, period: Period) -> tuple[bool, bool, Decimal, str]:
    cost = group.cost(list(period))
    # copy_negate, for a unary minus would round to 28 digits
    return (group.name == UNALLOCATED, cost is None, (cost or Decimal(0)).copy_negate(), group.name or "")


def _before(period: Period) -> list[Month]:
    """As many months as the period has, just before it, oldest first."""
    count = len(list(period))
    return [period.first.plus(step) for step in range(-count, 0)]


def _span(months: Sequence[Month]) -> str:
    return str(months[0]) if len(months) == 1 else f"{months[0]}..{months[-1]}"


def _notes(asked: Asked) -> Iterator[str]:
    span = _span(asked.months[-asked.trend_months :])
    yield (
        f"Trend: least squares, per month over {asked.trend_months} months ({span}); "
        f"empty with fewer than {LEAST_MONTHS} months of bills."
    )
    yield from missing_metric(asked)
    yield from missing_bills(asked, (*_before(asked.period), *asked.period))
    yield from sharing(asked)


def _words(key: str) -> str:
    return key.replace("_", " ")
