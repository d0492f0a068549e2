"""What each endpoint and API key served and cost: by request, by token, and how much of its machines was idle."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from apportion.core.measures import Measure, WorkloadKind
from apportion.reports.reading.change import ratio, rounded
from apportion.reports.reading.contract import RATIO, Answer, Asked, Column, Kind, Report, Row, Section
from apportion.reports.reading.metered import open_metered
from apportion.reports.reading.places import open_places
from apportion.reports.reading.remarks import is_shared, lens_title, missing_metric
from apportion.reports.reading.sizes import open_sizes
from apportion.reports.reading.work import (
    ENDPOINTS,
    Work,
    currencies,
    in_hours,
    total_cost,
    total_held,
    total_kinds,
    works,
)
from apportion.reports.reading.work_rows import (
    above,
    by_cost,
    commitments_note,
    distinct_names,
    kind_columns,
    kinds_of,
    rounded_or_none,
    uncharged_note,
    unit_cost,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

TOKENS = (Measure.TOKENS_INPUT, Measure.TOKENS_CACHED, Measure.TOKENS_CACHE_WRITE, Measure.TOKENS_OUTPUT)
THOUSAND, MILLION = 1000, 1_000_000

# What was idle of all that the resources cost which the endpoint has a part of; its own share of them does not matter.
# Not known where the size of one of them is not.
IDLE_SHARES = f"""
WITH resources_costs AS (
    SELECT BillingCurrency, resource_key, resource_key IN (SELECT resource_key FROM unsized) AS unsized,
           SUM(cost) AS cost,
           coalesce(SUM(cost) FILTER (WHERE x_WorkloadKind = '{WorkloadKind.IDLE}'), 0) AS idle
    FROM place_costs
    WHERE resource_key IS NOT NULL
    GROUP BY ALL
),
used AS (
    SELECT DISTINCT BillingCurrency, resource_key, x_WorkloadId FROM place_costs WHERE x_WorkloadId IS NOT NULL
)
SELECT u.BillingCurrency, u.x_WorkloadId, CASE WHEN NOT bool_or(r.unsized) THEN SUM(r.idle) END, SUM(r.cost)
FROM used AS u
JOIN resources_costs AS r ON r.BillingCurrency = u.BillingCurrency AND r.resource_key = u.resource_key
GROUP BY ALL
ORDER BY ALL
"""

_Idle = dict[tuple[str, str], "Decimal | None"]


@dataclass(frozen=True, slots=True)
class _Served:
    """Requests and tokens, exact; None where nobody counted them."""

    requests: Fraction | None
    tokens: Mapping[Measure, Fraction]

    @property
    def all_tokens(self) -> Fraction | None:
        return sum(self.tokens.values(), Fraction(0)) if self.tokens else None


def _answer(asked: Asked) -> Answer:
    open_metered(asked)
    open_sizes(asked, open_places(asked))
    endpoints = [work for work in works(asked).values() if work.kind in ENDPOINTS]
    idle: _Idle = {(row[0], row[1]): ratio(row[2], row[3]) for row in asked.db.rows(IDLE_SHARES)}
    shown, is_told = currencies(asked, endpoints), is_shared(asked)
    sections = [
        _section(currency, endpoints, idle, uncharged=currency == shown[0], is_told=is_told) for currency in shown
    ]
    told = tuple(section for section in sections if section.rows)
    if not told:
        words = "No endpoint or API key was metered or named by these bills."
        return Answer(REPORT.title, asked.period, asked.metric, (), (words,))
    commitments = commitments_note(asked, endpoints=True)
    notes = (*uncharged_note(endpoints, "endpoint", "endpoints"), *commitments, *missing_metric(asked), *above(asked))
    return Answer(lens_title(asked, REPORT.title), asked.period, asked.metric, told, notes)


def _section(currency: str, endpoints: Sequence[Work], idle: _Idle, *, uncharged: bool, is_told: bool) -> Section:
    listed = [work for work in endpoints if currency in work.costs or (uncharged and not work.costs)]
    names, ordered = distinct_names(endpoints), sorted(listed, key=by_cost(currency))
    rows = tuple((names[work.id], *_row(work, currency, idle.get((currency, work.id)))) for work in ordered)
    served = _Served(
        total_held(listed, Measure.REQUESTS),
        {measure: held for measure in TOKENS if (held := total_held(listed, measure)) is not None},
    )
    hours = (in_hours(total_held(listed, measure)) for measure in (Measure.GPU_SECONDS, Measure.CPU_CORE_SECONDS))
    stored = [work.storage for work in listed if work.storage is not None]
    storage = rounded_or_none(sum(stored, Fraction(0)) if stored else None)
    figures = (*_counts(served), *hours, storage, total_cost(listed, currency))
    kinds = total_kinds(listed, currency)
    told = kind_columns(currency, kinds, is_told=is_told)
    total = ("Total", *[None] * 4, *figures, *[None] * 3, *kinds)
    return Section(currency, (*_columns(currency), *told), rows, total)


def _row(work: Work, currency: str, idle: Decimal | None) -> Row:
    served = _Served(
        work.held.get(Measure.REQUESTS), {measure: work.held[measure] for measure in TOKENS if measure in work.held}
    )
    cost = work.costs[currency].chosen if currency in work.costs else None
    return (
        work.id,
        work.kind,
        work.named("team"),
        work.named("model"),
        *_counts(served),
        work.hours(Measure.GPU_SECONDS),
        work.hours(Measure.CPU_CORE_SECONDS),
        rounded_or_none(work.storage),
        cost,
        unit_cost(work, currency, _by(served.requests, THOUSAND)),
        unit_cost(work, currency, _by(served.all_tokens, MILLION)),
        idle,
        *kinds_of(work, currency),
    )


def _counts(served: _Served) -> tuple[Decimal | None, ...]:
    return (_by(served.requests, 1), *(_by(served.tokens.get(measure), 1) for measure in TOKENS))


def _by(count: Fraction | None, units: int) -> Decimal | None:
    return None if count is None else rounded(count / units)


def _columns(currency: str) -> tuple[Column, ...]:
    return (
        Column("endpoint", "Endpoint", Kind.TEXT),
        Column("id", "Id", Kind.TEXT, detail=True),
        Column("kind", "Kind", Kind.TEXT, detail=True),
        Column("team", "Team", Kind.TEXT),
        Column("model", "Model", Kind.TEXT),
        Column("requests", "Requests", Kind.QUANTITY, "requests"),
        Column("tokens_input", "Tokens in", Kind.QUANTITY, "tokens", detail=True),
        Column("tokens_cached", "Cached", Kind.QUANTITY, "tokens", detail=True),
        Column("tokens_cache_write", "Cache written", Kind.QUANTITY, "tokens", detail=True),
        Column("tokens_output", "Tokens out", Kind.QUANTITY, "tokens", detail=True),
        Column("gpu_hours", "GPU-hours", Kind.QUANTITY, "GPU-hours"),
        Column("cpu_hours", "CPU-hours", Kind.QUANTITY, "core-hours", detail=True),
        Column("storage_gib_months", "GiB-months", Kind.QUANTITY, "GiB-months", detail=True),
        Column("cost", "Cost", Kind.MONEY, currency),
        Column("cost_per_1000_requests", "1,000 requests", Kind.MONEY, f"{currency} a thousand requests"),
        Column("cost_per_million_tokens", "A million tokens", Kind.MONEY, f"{currency} a million tokens"),
        Column("idle_share", "Idle beside it", Kind.SHARE, RATIO),
    )


REPORT = Report("cost_by_endpoint", "Cost by endpoint and API key", _answer)
