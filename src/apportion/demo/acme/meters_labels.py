"""The labels and tags that people at acme give to pods, runs and keys: spelled in every way, but never too few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.demo.acme.habits import tags_of
from apportion.demo.acme.usage import chance

if TYPE_CHECKING:
    from apportion.demo.acme.company import Owner

_HABITS = ("clean", "suffixed", "capital", "model", "short")
_ENVIRONMENTS = frozenset({"environment", "env", "stage"})


def labels_of(owner: Owner) -> dict[str, str]:
    """Team, project, model and environment in the habit of the model's people.

    Where the habit leaves out the model, the project of what belongs to no model, or the environment, they add just
    that: acme's configuration knows all four from it.
    """
    subject = owner.model or owner.project or ""
    habit = _HABITS[chance(len(_HABITS), "labels", subject)] if owner.model else "clean"
    found = {k: v for k, v in tags_of(owner, habit, name=subject).items() if k not in {"Name", "cost-center"}}
    said = {key.lower() for key in found}
    if owner.model and "model" not in said:
        found["model"] = owner.model
    if owner.environment and not said & _ENVIRONMENTS:
        found["env"] = owner.environment.upper()
    return found
