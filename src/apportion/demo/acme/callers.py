"""Who called models through the one API key that everyone at acme knows: the bill does not say it, the gateway does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.demo.acme.company import Owner, project_owner
from apportion.demo.acme.usage import Plan, Resource, thousandths

if TYPE_CHECKING:
    from decimal import Decimal

    from apportion.core.period import Month
    from apportion.demo.acme.truth import Parts

SHARED_KEY = "key-everyone"
MILLION = 1_000_000
_CALLERS = (
    ("fraud", 240),
    ("credit-scoring", 190),
    ("disputes", 150),
    ("insights", 120),
    ("assistant", 210),
    ("ml-platform", 90),
)
"""Projects that try things out, with their thousandths of the key's tokens on a normal day."""


def callers_of(key: Resource, month: Month, *, day: int, quantity: Decimal, plan: Plan) -> Parts:
    """Who used the key on that day: owners with the tokens they were answered; `quantity` is in millions of tokens."""
    tokens = int(quantity * MILLION)
    if not is_shared(key):
        return ((key.owner, tokens),)
    wanted = [normal * thousandths(500, plan.seed, key.name, project, month, day) for project, normal in _CALLERS]
    bounds = [tokens * sum(wanted[:number]) // sum(wanted) for number in range(len(wanted) + 1)]
    owners: list[Owner] = [project_owner(project, "dev") for project, _ in _CALLERS]
    return tuple((owner, high - low) for owner, low, high in zip(owners, bounds, bounds[1:], strict=False))


def is_shared(key: Resource) -> bool:
    """Whether the key is the one that everyone knows, or its copy in a larger company."""
    return key.name == SHARED_KEY or key.name.startswith(f"{SHARED_KEY}-")
