"""Whose pods ran on the machines of the Kubernetes cluster acme-ml: the bill does not say it, a meter would.

A node's day has a thousand parts. The models that live on the node take some of them, more as their use grows; what is
left is idle. Where they want more than there is, the whole grows instead, as it does on an overcommitted node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.demo.acme.company import WHOLE, model_owner, pool, trend
from apportion.demo.acme.usage import Plan, Resource, thousandths

if TYPE_CHECKING:
    from apportion.core.period import Month
    from apportion.demo.acme.truth import Parts

DAY = 1000
"""The parts of one node's day."""

_TENANTS = {
    "ng-g5": (
        ("device-graph", "prod", 260),
        ("route-bandit", "prod", 190),
        ("merchant-churn", "prod", 120),
        ("collect-rank", "prod", 90),
        ("drift-watch", "prod", 60),
    ),
    "ng-p4d": (("fraud-bert", "dev", 380), ("dispute-llm", "dev", 290), ("dispute-t5", "dev", 120)),
    "ng-p5": (("income-llm", "dev", 520), ("dispute-llm", "dev", 330)),
}
"""Node group -> the models on its nodes, with their parts of a normal day of the last month."""


def pods_of(node: Resource, month: Month, *, day: int, plan: Plan) -> Parts:
    """Who used the node on that day, and the idle rest: owners with their parts of its day."""
    age, taken = plan.age(month), []
    for model, environment, normal in _TENANTS[_group(node)]:
        wanted = normal * trend(model, age=age, month=month.month) // WHOLE
        parts = wanted * thousandths(200, plan.seed, node.name, model, month, day) // 1000
        if parts:
            taken.append((model_owner(model, environment), parts))
    idle = DAY - sum(parts for _, parts in taken)
    return (*taken, (pool("idle"), idle)) if idle > 0 else tuple(taken)


def _group(node: Resource) -> str:
    return next(group for group in _TENANTS if node.name.startswith(f"{group}-"))
