"""What has to be said under a table, so that no figure looks more complete than it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apportion.core.tables import quoted
from apportion.ledger.filters import condition
from apportion.ledger.lenses import Lens
from apportion.reports.reading.amounts import rounded_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from apportion.core.period import Month
    from apportion.reports.reading.contract import Asked

NO_METER = (
    "No meter was ingested yet: docs/how-to/connect-kubernetes.md, connect-prometheus.md, connect-schedulers.md, "
    "connect-trackers.md and connect-llm-usage.md say how to connect one, record-usage.md how to write usage by hand."
)
"""Said where a question about meters is asked of a run without any."""

MISSING_METRIC = """
SELECT BillingCurrency, SUM(x_PieceCount) FILTER (WHERE {metric} IS NULL) AS missing, SUM(x_PieceCount) AS pieces
FROM allocations
WHERE {chosen} AND date_trunc('month', BillingPeriodStart) BETWEEN $first AND $last
GROUP BY BillingCurrency
HAVING missing > 0
ORDER BY BillingCurrency
"""

BILLS = """
SELECT DISTINCT BillingAccountId, date_trunc('month', BillingPeriodStart) AS month
FROM allocations
ORDER BY BillingAccountId NULLS FIRST, month
"""


POOLED = """
SELECT BillingCurrency, count(DISTINCT x_PoolId), SUM({metric})
FROM taken_rows
WHERE date_trunc('month', BillingPeriodStart) BETWEEN $first AND $last
GROUP BY BillingCurrency
ORDER BY BillingCurrency
"""


def bounds(asked: Asked) -> dict[str, Any]:
    """The first and the last month asked for, to bind."""
    return {"first": asked.period.first.start, "last": asked.period.last.start}


def is_shared(asked: Asked) -> bool:
    """Whether pools took any cost of the months asked for."""
    return bool(_pooled(asked))


def lens_title(asked: Asked, title: str) -> str:
    """The title, with the lens wherever the other lens would show other amounts."""
    return f"{title}, {asked.lens} sharing" if is_shared(asked) else title


def sharing(asked: Asked) -> Iterator[str]:
    """A sentence per currency in which pools gave cost on: how much, and where the other lens and the rest are seen."""
    for currency, count, amount in _pooled(asked):
        pools = "1 pool" if count == 1 else f"{count} pools"
        of = "" if amount is None else f" {rounded_text(amount, currency)} {currency}"
        if asked.lens == Lens.BEFORE:
            yield f"Before sharing: {pools} gave on{of} of {asked.period}, which --lens after shows where it went."
        else:
            yield (
                f"After sharing: {pools} gave on{of} of {asked.period}. --lens before shows whose it was, "
                "--by pools what they left."
            )


def _pooled(asked: Asked) -> list[tuple[str, int, Decimal | None]]:
    return asked.db.rows(POOLED.format(metric=quoted(asked.metric)), bounds(asked))


def missing_metric(asked: Asked) -> Iterator[str]:
    """A sentence per currency in which charges of the period do not say the metric: they are not counted as 0."""
    chosen, values = condition(asked.filters)
    sql = MISSING_METRIC.format(metric=quoted(asked.metric), chosen=chosen)
    for currency, missing, pieces in asked.db.rows(sql, {**values, **bounds(asked)}):
        of = "1 piece" if pieces == 1 else f"{pieces} pieces"
        they = "it is" if missing == 1 else "they are"
        yield f"{asked.metric} is missing on at least {missing} of {of} in {currency}; {they} not in the sums."


def missing_bills(asked: Asked, window: tuple[Month, ...]) -> Iterator[str]:
    """A sentence per billing account that has a bill in some months of the window and not in others that are there."""
    billed: dict[str | None, set[Month]] = {}
    for account, moment in asked.db.rows(BILLS):
        billed.setdefault(account, set()).update(month for month in window if month.start == moment)
    there = set().union(*billed.values())
    for account, months in billed.items():
        if months and months != there:
            absent = ", ".join(str(month) for month in sorted(there - months))
            yield f"Account {account} has no bill for {absent} in this run: its cost there is missing from sums."
