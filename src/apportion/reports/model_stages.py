"""What each model cost by stage of its life: experiment, training, inference, storage, and what is shared.

A piece is in the first stage that fits:

1. shared: what pools gave, and nobody's time (`idle`, `unmetered`);
2. storage: data, which is a service of the category Storage, or a workload of kind `data`;
3. inference: an endpoint, an API key, a batch inference;
4. experiment: a notebook, or a training job that belongs to a sweep or parent run (`x_ParentId`);
5. training: any other training job, and a pipeline step;
6. shared: all else, such as platforms and charges that no workload is known for.

The environment does not matter: most training is done in one called dev.
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
from apportion.reports.reading.metered import open_metered
from apportion.reports.reading.remarks import lens_title, missing_metric, sharing

if TYPE_CHECKING:
    from collections.abc import Mapping

STAGES = ("experiment", "training", "inference", "storage", "shared")
RULE = (
    "Experiments are notebooks and training jobs of a sweep or parent run; training is every other training job and "
    "pipeline step; shared is all that no stage of a model is for."
)


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in words)


_SERVING = (WorkloadKind.INFERENCE_ENDPOINT, WorkloadKind.API_KEY, WorkloadKind.BATCH_INFERENCE)
_JOBS = (WorkloadKind.TRAINING_JOB, WorkloadKind.PIPELINE_STEP)
_OF_A_SWEEP = "x_WorkloadId IN (SELECT x_WorkloadId FROM known_work WHERE x_ParentId IS NOT NULL)"

STAGE = f"""
CASE WHEN x_PoolId IS NOT NULL THEN 'shared'
     WHEN x_WorkloadKind IN ({_listed((WorkloadKind.IDLE, WorkloadKind.UNMETERED))}) THEN 'shared'
     WHEN x_WorkloadKind = '{WorkloadKind.DATA}' OR ServiceCategory = 'Storage' THEN 'storage'
     WHEN x_WorkloadKind IN ({_listed(_SERVING)}) THEN 'inference'
     WHEN x_WorkloadKind = '{WorkloadKind.NOTEBOOK}' THEN 'experiment'
     WHEN x_WorkloadKind = '{WorkloadKind.TRAINING_JOB}' AND {_OF_A_SWEEP} THEN 'experiment'
     WHEN x_WorkloadKind IN ({_listed(_JOBS)}) THEN 'training'
     ELSE 'shared'
END
"""

COSTS = f"""
SELECT BillingCurrency, x_Model, {STAGE} AS stage, SUM({{metric}})
FROM shown
WHERE {{chosen}}
GROUP BY ALL
ORDER BY BillingCurrency, x_Model, stage
"""

_Stages = dict[str, "Amount"]


def _answer(asked: Asked) -> Answer:
    open_metered(asked)
    chosen, values = condition(asked.filters)
    found: dict[str, dict[str, _Stages]] = {}
    sql = COSTS.format(metric=quoted(asked.metric), chosen=chosen)
    for currency, model, stage, cost in asked.db.rows(sql, values or None):
        found.setdefault(currency, {}).setdefault(model, {})[stage] = cost
    ordered = sorted(found, key=lambda currency: (currency != asked.currency, currency))
    sections = tuple(_section(currency, found[currency]) for currency in ordered)
    notes = (RULE, *missing_metric(asked), *sharing(asked)) if sections else ("No cost matches these filters.",)
    return Answer(lens_title(asked, REPORT.title), asked.period, asked.metric, sections, notes)


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
