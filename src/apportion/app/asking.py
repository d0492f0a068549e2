"""Report, explain, problems: questions to the current run."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.money import from_quanta, plain, quanta
from apportion.core.period import Period
from apportion.core.problems import Severity
from apportion.core.progress import Progress, silent
from apportion.errors import NoData, UnknownName
from apportion.ledger.explain import AmountExplained, ChargeExplained, explain_amount, explain_charge
from apportion.ledger.lenses import Lens
from apportion.ledger.sensitivity import Sensitivity
from apportion.ledger.sensitivity import sensitivity as ledger_sensitivity
from apportion.reports import SOCKET
from apportion.reports.reading.opening import open_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apportion.app.project import Project
    from apportion.ledger.filters import Filters
    from apportion.reports.reading.contract import Answer
    from apportion.store.records import Run, StoredProblem

PREFIX = "cost_by_"


def current_run(project: Project) -> Run:
    """The run whose result is shown; raises `NoData` before the first."""
    run = project.store.current_run()
    if run is None:
        raise NoData("Nothing has been allocated yet.", "Run 'apportion ingest' and then 'apportion run'.")
    return run


def latest_month(run: Run) -> Period:
    """The last month that the run has a bill of."""
    month = max(part.period for part in run.parts)
    return Period(month, month)


def reports() -> tuple[str, ...]:
    """The names that `report` takes, as a user types them."""
    return tuple(name.removeprefix(PREFIX).replace("_", "-") for name in SOCKET.names())


def report(
    project: Project,
    *,
    by: str = "team",
    period: Period | None = None,
    metric: str = "BilledCost",
    filters: Filters | None = None,
    trend_months: int = 6,
    lens: Lens = Lens.AFTER,
) -> Answer:
    """The answer of a report to the current run: by default the last month there is.

    `by` is a name of `reports()`; `lens` says whether pools have given shared cost on (`after`) or not. Raises
    `UnknownName` or `NoData`.
    """
    run = current_run(project)
    name = by.replace("-", "_")
    if name not in {known.replace("-", "_") for known in reports()}:
        raise UnknownName("report", by, reports())
    chosen = SOCKET.load(PREFIX + name if PREFIX + name in SOCKET.names() else name)
    with open_run(
        project.store,
        run,
        period or latest_month(run),
        metric=metric,
        filters=filters,
        trend_months=trend_months,
        lens=lens,
        currency=project.config.currency,
        memory=project.memory,
        temp=project.store.stage(),
    ) as asked:
        answer: Answer = chosen.answer(asked)
    return answer


def amount_explained(
    project: Project,
    *,
    period: Period | None = None,
    metric: str = "BilledCost",
    filters: Filters | None = None,
    limit: int = 10,
    lens: Lens = Lens.AFTER,
) -> tuple[AmountExplained, ...]:
    """What an amount of the current run consists of, down to the delivered records; one answer per currency."""
    run = current_run(project)
    return explain_amount(
        project.store,
        run,
        period=period or latest_month(run),
        metric=metric,
        filters=filters or {},
        limit=limit,
        lens=lens,
        memory=project.memory,
    )


def charge_explained(
    project: Project, charge_id: str, *, metric: str = "BilledCost", limit: int = 10
) -> ChargeExplained:
    """Where a charge of the current run came from and where it went."""
    run = current_run(project)
    return explain_charge(project.store, run, charge_id, metric=metric, limit=limit, memory=project.memory)


def sensitivity(
    project: Project,
    *,
    by: str = "team",
    period: Period | None = None,
    metric: str = "BilledCost",
    progress: Progress = silent,
) -> Sensitivity:
    """What each owner of the current run would get under every named weight set; by default in the last month.

    `by` is team, project, model, environment or business-unit. Nothing is stored. Raises `UnknownName` or `NoData`.
    """
    run = current_run(project)
    return ledger_sensitivity(
        project.store,
        run,
        by=by,
        period=period or latest_month(run),
        metric=metric,
        memory=project.memory,
        progress=progress,
    )


@dataclass(frozen=True, slots=True)
class KeptOut:
    """Records of the bills that are in no result: how many, and what of their BilledCost could be read, by currency."""

    rows: int
    amounts: Mapping[str, Decimal]

    def sentence(self) -> str:
        """In words, such as `1 record is kept out of the money (2 USD): see …`; empty if there is none."""
        if not self.rows:
            return ""
        known = ", ".join(f"{plain(amount)} {currency}" for currency, amount in self.amounts.items())
        noun = "record is" if self.rows == 1 else "records are"
        read = f" ({known or 'amounts cannot be read'})"
        return f"{self.rows} {noun} kept out of the money{read}: see 'apportion problems --severity rejected'."


def kept_out(project: Project, *, period: Period | None = None) -> KeptOut:
    """What of the current bills of these months (None: all) is in no result because it could not be read."""
    snapshots = project.store.current_snapshots(period=period)
    amounts: dict[str, int] = {}
    for problem in project.store.problems(period=period):
        if problem.severity is Severity.REJECTED and problem.amount is not None:
            currency = problem.currency or "of unknown currency"
            amounts[currency] = amounts.get(currency, 0) + quanta(problem.amount)
    exact = {currency: from_quanta(amount) for currency, amount in sorted(amounts.items())}
    return KeptOut(sum(snapshot.rejected for snapshot in snapshots), exact)


def problems(project: Project, *, period: Period | None = None, source: str | None = None) -> tuple[StoredProblem, ...]:
    """The faults found in the bills as they stand, most severe first, then in order of money."""
    if source is not None and source not in (known := {config.id for config in project.config.sources}):
        raise UnknownName("source", source, known)
    found = project.store.problems(period=period, source_id=source)
    rank = {Severity.REJECTED: 0, Severity.WARNING: 1, Severity.REPAIRED: 2}
    return tuple(
        sorted(found, key=lambda p: (rank[p.severity], -abs(quanta(p.amount or Decimal(0))), p.file, p.code, p.rows))
    )
