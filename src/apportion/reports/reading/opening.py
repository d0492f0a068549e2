"""A run opened for a question: one view over the allocations of the months that are needed, and no others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from apportion.core import focus
from apportion.engine import duck
from apportion.errors import UnknownName
from apportion.ledger.filters import as_known, job_names
from apportion.ledger.held import held_parts
from apportion.ledger.lenses import Lens, open_lenses
from apportion.reports.reading.contract import Asked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from apportion.core.period import Month, Period
    from apportion.ledger.filters import Filters
    from apportion.store import Store
    from apportion.store.records import Run

KNOWN = ("allocations", "allocations_before")
"""A team of which pools took everything is known all the same: it is asked what it gave."""
HOSTS = {"team": ("x_HostTeam",)}
"""A team may own machines and hold nothing: it is known all the same."""


@contextmanager
def open_run(  # noqa: PLR0913 - a question has that many parts
    store: Store,
    run: Run,
    period: Period,
    *,
    metric: str = "BilledCost",
    filters: Filters | None = None,
    trend_months: int = 6,
    currency: str = "",
    lens: Lens = Lens.AFTER,
    memory: str = "2GB",
    temp: Path | None = None,
) -> Iterator[Asked]:
    """The run with the months that a question about `period` needs; every file's SHA-256 is checked before it is read.

    Raises `NoData` where the run holds no bill of the period, `UnknownName` for a metric that is no cost and for a
    filter or a value that the opened months do not have, `DamagedFile` for a file that is not the stored one.
    """
    if metric not in focus.COSTS:
        raise UnknownName("cost metric", metric, focus.COSTS)
    months = needed(period, trend_months=trend_months)
    held_parts(run, period)
    parts = [part for part in run.parts if part.period in months]
    sharings = [part for part in run.sharings if part.period in months]
    with duck.session(memory=memory, temp=temp) as db:
        open_lenses(db, store, parts, sharings, lens)
        asked = filters or {}
        chosen = as_known(db, asked, also=HOSTS, jobs=job_names(db, store, run, asked), views=KNOWN)
        yield Asked(db, store, run, period, months, metric, chosen, trend_months, currency, lens)


def needed(period: Period, *, trend_months: int) -> tuple[Month, ...]:
    """The months that are read: the period, as many before it for the change, and those the trend looks at."""
    before = period.first.plus(-len(list(period)))
    first = min(before, period.last.plus(1 - trend_months))
    months = [first]
    while months[-1] < period.last:
        months.append(months[-1].plus(1))
    return tuple(months)
