"""Who acme is: three business units, six teams, ten projects and twenty-one models, and how each model's use moves.

Ages count months back from the last month of the bill: 0 is the last month, 11 the first of a year.
"""

from __future__ import annotations

from dataclasses import dataclass

TEAMS = {
    "risk": "Consumer Finance",
    "lending": "Consumer Finance",
    "payments": "Merchant Services",
    "merchant": "Merchant Services",
    "assistant": "Technology",
    "platform": "Technology",
}
"""Team -> business unit."""

TEAM_CODES = {
    "risk": "rsk",
    "lending": "lnd",
    "payments": "pay",
    "merchant": "mrc",
    "assistant": "ast",
    "platform": "plt",
}
"""The short codes that finance uses and that some people put into tags."""

PROJECTS = {
    "fraud": "risk",
    "identity": "risk",
    "credit-scoring": "lending",
    "collections": "lending",
    "routing": "payments",
    "disputes": "payments",
    "insights": "merchant",
    "forecasting": "merchant",
    "assistant": "assistant",
    "ml-platform": "platform",
}
"""Project -> team."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model acme runs. `growth` is the change of its use per month in thousandths.

    It exists while its age is at most `born` and at least `retired`. `seasonal` models follow the shopping year.
    """

    project: str
    growth: int = 10
    born: int | None = None
    retired: int = 0
    seasonal: bool = False

    def alive(self, age: int) -> bool:
        """Whether the model runs in the month of that age."""
        return age >= self.retired and (self.born is None or age <= self.born)


MODELS = {
    "fraud-bert": Model("fraud", growth=-35),
    "fraud-gbm": Model("fraud", growth=15, seasonal=True),
    "device-graph": Model("fraud", growth=25),
    "face-match": Model("identity", growth=20),
    "doc-ocr": Model("identity", growth=60),
    "credit-xgb": Model("credit-scoring", growth=5),
    "income-llm": Model("credit-scoring", growth=45),
    "collect-rank": Model("collections", growth=-10),
    "auth-router": Model("routing", growth=15, seasonal=True),
    "route-bandit": Model("routing", growth=30, seasonal=True),
    "dispute-t5": Model("disputes", growth=-60, retired=5),
    "dispute-llm": Model("disputes", growth=90, born=6),
    "merchant-embed": Model("insights", growth=20),
    "merchant-churn": Model("insights", growth=10),
    "demand-tft": Model("forecasting", growth=10, seasonal=True),
    "cash-forecast": Model("forecasting", growth=5),
    "assist-llm": Model("assistant", growth=110),
    "assist-embed": Model("assistant", growth=80),
    "assist-rerank": Model("assistant", growth=70),
    "voice-asr": Model("assistant", growth=150, born=3),
    "drift-watch": Model("ml-platform", growth=10),
}

SEASON = (910, 880, 950, 960, 990, 1000, 1000, 1010, 1000, 1040, 1230, 1280)
"""Thousandths of a normal month, January first: what seasonal models do around the winter sales."""

WHOLE = 1_000_000
"""Trends are in parts per million of the model's use in the last month."""


def trend(model: str | None, *, age: int, month: int) -> int:
    """How much of its last month's use a model has at that age, in parts per million; 0 while it does not exist.

    `month` is the calendar month, 1 to 12. Without a model: what belongs to no model grows by one percent a month.
    """
    known = MODELS.get(model or "", Model("ml-platform"))
    if not known.alive(age):
        return 0
    level = WHOLE
    for _ in range(age):
        level = level * 1000 // (1000 + known.growth)
    return level * SEASON[month - 1] // 1000 if known.seasonal else level


@dataclass(frozen=True, slots=True)
class Owner:
    """Who really caused a cost. What nobody caused alone belongs to a `pool` instead of a team."""

    team: str | None = None
    project: str | None = None
    model: str | None = None
    environment: str | None = None
    pool: str | None = None


def model_owner(model: str, environment: str) -> Owner:
    """The owner of what one model caused in one environment."""
    project = MODELS[model].project
    return Owner(PROJECTS[project], project, model, environment)


def project_owner(project: str, environment: str) -> Owner:
    """The owner of what a project caused without one model being the cause (notebooks, data, dashboards)."""
    return Owner(PROJECTS[project], project, None, environment)


def pool(name: str) -> Owner:
    """The owner of what all share: `support`, `tax`, `credits`, `commitment`, `network`, `monitoring`, `idle` …."""
    return Owner(pool=name)
