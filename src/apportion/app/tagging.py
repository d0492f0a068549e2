"""Tags: how much of the bill has an owner, what to tag first, what to spell alike, and whether a plan may pass."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from apportion.app.asking import current_run, latest_month
from apportion.app.project import read_config
from apportion.core.targets import DIMENSIONS
from apportion.engine import duck
from apportion.errors import UnknownName
from apportion.ledger.held import held_parts
from apportion.ledger.together import open_together
from apportion.tagging.coverage import Coverage, tag_coverage
from apportion.tagging.plan_check import PlanFinding, check_plan
from apportion.tagging.policy import Breach, policy_breaches
from apportion.tagging.variants import Variants, find_variants
from apportion.tagging.worklist import Worklist, worklist

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from apportion.app.project import Project
    from apportion.core.period import Period
    from apportion.engine.duck import DuckDb


def tags_coverage(project: Project, *, period: Period | None = None) -> tuple[Coverage, ...]:
    """By dimension, provider and currency: what a tag answers for and what is known in any way; the last month."""
    with _opened(project, period) as db:
        return tag_coverage(db)


def tags_worklist(
    project: Project, *, dimension: str | None = None, period: Period | None = None, limit: int = 12
) -> tuple[Worklist, ...]:
    """The resources to tag first, ranked by money, with the coverage that tagging them reaches; the last month.

    One list per dimension (all unless one is named) and currency. Raises `UnknownName` for a dimension that is none.
    """
    if dimension not in {None, *DIMENSIONS}:
        raise UnknownName("dimension of tags", str(dimension), DIMENSIONS)
    with _opened(project, period) as db:
        lists = worklist(db, limit=limit)
    return tuple(found for found in lists if dimension in {None, found.dimension})


def tags_variants(project: Project, *, period: Period | None = None) -> Variants:
    """Spellings of one value or key that should be made one, each with the line that does it; the last month."""
    with _opened(project, period) as db:
        return find_variants(db, project.config)


def tags_policy(project: Project, *, period: Period | None = None) -> tuple[Breach, ...]:
    """What the tags of the bill break of the tag policy, per dimension and currency; the last month."""
    with _opened(project, period) as db:
        return policy_breaches(db, project.config)


def tags_check(folder: Path, path: Path) -> tuple[PlanFinding, ...]:
    """What a Terraform plan, CloudFormation template or Kubernetes manifest breaks of the project's tag policy.

    Needs `apportion.toml` only, no bill. Raises what reading the configuration or the plan raises.
    """
    config, _ = read_config(folder)
    return check_plan(path, config)


@contextmanager
def _opened(project: Project, period: Period | None) -> Iterator[DuckDb]:
    run = current_run(project)
    parts = held_parts(run, period or latest_month(run))
    with duck.session(memory=project.memory, temp=project.store.stage()) as db:
        open_together(db, project.store, parts)
        yield db
