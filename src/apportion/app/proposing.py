"""What-if: who would pay more, who less, under rules that are not adopted yet."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.app.asking import current_run, latest_month
from apportion.app.project import CONFIG_FILE, refuse_unknown, text_of, with_tables
from apportion.core.config_file import parse_config
from apportion.core.progress import Progress, silent
from apportion.errors import ConfigError
from apportion.ledger.lenses import Lens
from apportion.ledger.whatif import (
    NAMES,
    SETTINGS,
    WhatIf,
    compared,
    not_adopted,
    replay,
    rule_changes,
    with_settings,
)
from apportion.reports.reading.amounts import adding_up, rounded_text
from apportion.reports.reading.change import added
from apportion.reports.reading.opening import open_run
from apportion.reports.reading.remarks import missing_bills, missing_metric
from apportion.reports.reading.standing import known_dimension, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from apportion.app.project import Project
    from apportion.core.config import Config
    from apportion.core.period import Period
    from apportion.reports.reading.contract import Asked
    from apportion.reports.reading.standing import Standing
    from apportion.store.records import Run

SHOWN_SERVICES = 3
"""So many services with cost that nobody owns a note names."""


def whatif(
    project: Project,
    rules: Path,
    *,
    by: str = "team",
    period: Period | None = None,
    metric: str = "BilledCost",
    lens: Lens = Lens.AFTER,
    progress: Progress = silent,
) -> WhatIf:
    """What each owner would pay more or less under the rules of a file, by default in the last month of the run.

    A file with `[project]` is a whole `apportion.toml`: what it lacks is gone. Any other sets only some of
    `ledger.whatif.NAMES`, each whole, and what it does not name stays. `by` is team, project, model, environment or
    business-unit. Nothing is stored. Raises `ConfigError` for a fault of the file, `UnknownName`, `NoData`.
    """
    dimension = known_dimension(by)
    run = current_run(project)
    months = period or latest_month(run)
    config, given, notes = proposed(project, rules)
    new = replay(project.store, run, config, months, memory=project.memory, progress=progress)
    before, of_bills = _standing(project, run, months, dimension, metric=metric, lens=lens)
    after, _ = _standing(project, new, months, dimension, metric=metric, lens=lens)
    changes = rule_changes(run, before.pools, config)
    notes += [*_not_adopted(run, not_adopted(changes, given)), *_nobodys(before, after, by.replace("-", " "))]
    notes += [f"The pool '{name}' takes nothing in these months." for name in after.unused]
    owners = compared(before.amounts, after.amounts, first=project.config.currency)
    return WhatIf(run.id, months, by, metric, lens, owners, changes, (*notes, *of_bills))


def proposed(project: Project, rules: Path) -> tuple[Config, tuple[str, ...], list[str]]:
    """The project's configuration with what the file sets in place of its own, the names of that, and what to say."""
    text, file = text_of(rules), str(rules)
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        document = {"project": {}}  # the whole is read below, and its fault is told there
    # behind what is written, so that the lines of faults stay those of the file
    whole = text if "project" in document else f'{text}\n[project]\nname = "proposed"\n'
    config = with_tables(parse_config(whole, file=file), project.folder)
    given = NAMES if "project" in document else tuple(_given(document))
    if not given:
        fix = f"Give it at least one of {', '.join(SETTINGS)}."
        raise ConfigError(file=file, line=None, key="rules", what="says nothing of who owns or shares a cost.", fix=fix)
    merged = with_settings(project.config, config, given)
    refuse_unknown(merged, whole, file)
    return merged, given, list(_ignored(project.config, config, document, rules.name))


def _given(document: Mapping[str, Any]) -> Iterator[str]:
    """The names of `NAMES` that the document sets."""
    for table, keys in SETTINGS.items():
        if table in document:
            yield from (f"{table}.{key}" for key in keys if key in document[table])
            yield from () if keys else (table,)


def _ignored(own: Config, config: Config, document: Mapping[str, object], file: str) -> Iterator[str]:
    stays = f"of {file} is ignored: what was ingested is replayed as it is."
    if "project" in document and (own.name, own.currency, own.state) != (config.name, config.currency, config.state):
        yield f"[project] {stays}"
    if "sources" in document and own.sources != config.sources:
        yield f"[[sources]] {stays}"


def _standing(
    project: Project, run: Run, period: Period, dimension: str, *, metric: str, lens: Lens
) -> tuple[Standing, list[str]]:
    with open_run(
        project.store,
        run,
        period,
        metric=metric,
        trend_months=1,
        currency=project.config.currency,
        lens=lens,
        memory=project.memory,
        temp=project.store.stage(),
    ) as asked:
        return standing(asked, dimension), list(_of_bills(asked))


def _of_bills(asked: Asked) -> Iterator[str]:
    absent = [str(month) for month in asked.period if month not in {part.period for part in asked.run.parts}]
    if absent:
        yield f"There is no bill of {', '.join(absent)}."
    yield from missing_metric(asked)
    yield from missing_bills(asked, tuple(asked.period))


def _not_adopted(run: Run, tables: tuple[str, ...]) -> Iterator[str]:
    if tables:
        named = ", ".join(tables)
        yield f"{CONFIG_FILE} has changed since run {run.id} ({named}): that is part of these differences."


def _nobodys(before: Standing, after: Standing, dimension: str) -> Iterator[str]:
    """A sentence per currency in which the proposed rules leave cost to nobody: how much, and of which services."""
    for currency, services in after.nobodys.items():
        most = list(services.items())[:SHOWN_SERVICES]
        rest = [cost for _, cost in list(services.items())[SHOWN_SERVICES:]]
        costs = [cost for _, cost in most] + ([_sum(rest)] if rest else [])
        *texts, whole = adding_up(costs, currency)
        more = "1 more service" if len(rest) == 1 else f"{len(rest)} more services"
        names = [*(name for name, _ in most), *([more] if rest else [])]
        told = ", ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True))
        now = rounded_text(_sum(before.nobodys.get(currency, {}).values()), currency)
        yield f"The proposed rules leave {whole} {currency} without a {dimension} ({now} in the run): {told}."


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return added(list(amounts)) or Decimal(0)
