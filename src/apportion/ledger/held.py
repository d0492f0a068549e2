"""Which months a run holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.errors import NoData

if TYPE_CHECKING:
    from apportion.core.period import Period
    from apportion.store.records import Part, Run


def held_parts(run: Run, period: Period) -> list[Part]:
    """The parts of the run in the period; raises `NoData` unless it holds a bill of at least one of its months."""
    found = [part for part in run.parts if part.period in period]
    if found:
        return found
    months = sorted({part.period for part in run.parts})
    span = f"It holds {months[0]} to {months[-1]}." if months else "It holds no bill at all."
    raise NoData(
        f"Run {run.id} holds no bill of {period}.", f"{span} Name one of its months, or ingest and allocate it."
    )
