"""What each model cost by stage of its life: experiment, training, inference, storage, and what is shared.

A piece is in the first stage that fits:

1. shared: nobody's time (`idle`, `unmetered`);
2. storage: a service of the category Storage, or a workload of kind `data`;
3. inference: an endpoint, an API key, a batch inference;
4. experiment: a notebook, or a job or pipeline step in an environment of `EXPERIMENTAL`;
5. training: any other job or pipeline step;
6. shared: all else, such as platforms and charges that no workload is known for.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.measures import WorkloadKind
from apportion.core.tables import quoted
from apportion.core.targets import UNALLOCATED
from apportion.ledger.filters import condition
from apportion.reports.reading.change import Amount, added
from apportion.reports.reading.contract import Answer, Asked, Column, Kind, Report, Row, Section
from apportion.reports.reading.remarks import missing_metric

if TYPE_CHECKING:
    from collections.abc import Mapping

STAGES = ("experiment", "training", "inference", "storage", "shared")

EXPERIMENTAL = (
    *("dev", "development", "experiment", "experiments", "experimentation", "exploration", "lab", "playground"),
    *("research", "sandbox", "test", "testing"),
)
"""Environments, without regard to case, in which a job is an experiment."""


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in words)


_SERVING = (WorkloadKind.INFERENCE_ENDPOINT, WorkloadKind.API_KEY, WorkloadKind.BATCH_INFERENCE)
_JOBS = (WorkloadKind.TRAINING_JOB, WorkloadKind.PIPELINE_STEP)

STAGE = f"""
CASE WHEN x_WorkloadKind IN ({_listed((WorkloadKind.IDLE, WorkloadKind.UNMETERED))}) THEN 'shared'
     WHEN x_WorkloadKind = '{WorkloadKind.DATA}' OR ServiceCategory = 'Storage' THEN 'storage'
     WHEN x_WorkloadKind IN ({_listed(_SERVING)}) THEN 'inference'
     WHEN x_WorkloadKind = '{WorkloadKind.NOTEBOOK}' THEN 'experiment'
     WHEN x_WorkloadKind IN ({_listed(_JOBS)})
         THEN CASE WHEN lower(x_Environment) IN ({_listed(EXPERIMENTAL)}) THEN 'experiment' ELSE 'training' END
     ELSE 'shared'
END
"""

COSTS = f"""
SELECT BillingCurrency, x_Model, {STAGE} AS stage, SUM({{metric}})
FROM allocations
WHERE {{chosen}} AND date_trunc('month', BillingPeriodStart) BETWEEN $first AND $last
GROUP BY ALL
ORDER BY BillingCurrency, x_Model, stage
"""

_Stages = dict[str, "Amount"]


def _answer(asked: Asked) -> Answer:
    chosen, values = condition(asked.filters)
    bounds = {"first": asked.period.first.start, "last": asked.period.last.start}
    found: dict[str, dict[str, _Stages]] = {}
    sql = COSTS.format(metric=quoted(asked.metric), chosen=chosen)
    for currency, model, stage, cost in asked.db.rows(sql, {**values, **bounds}):
        found.setdefault(currency, {}).setdefault(model, {})[stage] = cost
    ordered = sorted(found, key=lambda currency: (currency != asked.currency, currency))
    sections = tuple(_section(currency, found[currency]) for currency in ordered)
    rule = "Stages follow from the kind of workload and its environment; shared is all that no stage of a model is for."
    notes = (rule, *missing_metric(asked)) if sections else ("No cost matches these filters.",)
    return Answer(REPORT.title, asked.period, asked.metric, sections, notes)


def _section(currency: str, found: Mapping[str, _Stages]) -> Section:
    columns = (
        Column("model", "Model", Kind.TEXT),
        *(Column(stage, stage.capitalize(), Kind.MONEY, currency) for stage in STAGES),
        Column("cost", "Cost", Kind.MONEY, currency),
    )
    rows = sorted((_row(model, stages) for model, stages in found.items()), key=_place)
    whole = {stage: added([stages.get(stage) for stages in found.values()]) for stage in STAGES}
    return Section(currency, columns, tuple(rows), _row("Total", whole))


def _row(model: str, stages: Mapping[str, Amount]) -> Row:
    return (model, *(stages.get(stage) for stage in STAGES), added(list(stages.values())))


def _place(row: Row) -> tuple[bool, bool, Decimal, str]:
    model, cost = str(row[0]), row[-1]
    known = cost if isinstance(cost, Decimal) else None
    return (model == UNALLOCATED, known is None, (known or Decimal(0)).copy_negate(), model)


REPORT = Report("model_stages", "Cost by model and stage", _answer)
