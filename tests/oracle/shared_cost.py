"""The cases of `finops.json` that share a cost between owners: as pools of a configuration that a user could write."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.oracle.aggregates import IDLE, topology
from tests.oracle.book import HOUR, START, Settings
from tests.oracle.plan import Case, Plan, StrangeShape, number, only
from tests.oracle.sharing import plan_shared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.oracle.book import Scene
    from tests.oracle.plan import Answer, Planner
    from tests.oracle.seen import Seen

DAY = timedelta(days=1)
OWNED = Settings("max", "keep", (("team", ("owner",)),))
"""The bill's tag `owner` names the team."""
_IDLE = {"kept separate": "none", "separate": "none", "weighted": "weighted", "idle weighted": "weighted"}
_IDLE |= {"shared": "weighted", "idle kept separate": "none"}


def shared_cost(case: Case, scene: Scene) -> Plan:
    """A cost that owners share: by what each spends, in even or stated parts, by a table, or not at all."""
    inputs = case["inputs"]
    if "topology" in inputs:
        return _namespaces(inputs, scene)
    return _by_metric(inputs, scene) if "metric" in inputs else _owners(inputs, scene)


def _namespaces(inputs: Mapping[str, Any], scene: Scene) -> Plan:
    only(inputs, "topology", "shared", "method", "idle")
    split = {"even": "even", "weighted": "weighted", "proportional to own cost": "weighted"}[inputs["method"]]
    shared = inputs["shared"] if isinstance(inputs["shared"], list) else [inputs["shared"]]
    options = {
        "share_idle": _IDLE[inputs.get("idle", "kept separate")],
        "share": {"op": "in", "field": "namespace", "value": shared},
        "share_split": split,
    }
    return plan_shared(scene, topology(inputs["topology"]), ["namespace"], options)


_COSTS = ("direct_cost", "own_cost", "input_cost_share")
_SHARED = ("shared_cost", "shared_label", "shared_owner", "overhead_hourly", "hours")


def _owners(inputs: Mapping[str, Any], scene: Scene) -> Plan:
    """Each owner's own cost is a charge of its own; what only says how much weighs is no part of the answer."""
    only(inputs, *_COSTS, *_SHARED, "method", "percent", "idle", "figures", "figures_are_ours")
    (own,) = (inputs[name] for name in _COSTS if name in inputs)
    for owner, cost in own.items():
        scene.charge(f"of {owner}", number(cost), tags={"owner": owner})
    when = _shared(inputs, scene)
    method = str(inputs.get("method", "proportional"))
    if not method.startswith("none"):
        scene.pool("shared", when=when, grain="team", **_method(method, inputs, scene))
    _idle(inputs.get("idle"), scene)

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        found: dict[str, Decimal] = defaultdict(Decimal)
        for piece in seen[OWNED].pieces:
            if piece.pool or "input_cost_share" not in inputs:
                found[IDLE if piece.kind == "idle" else piece.owner["team"]] += piece.cost
        return dict(found)

    return Plan(scene, (OWNED,), answer, closed=True)


def _shared(inputs: Mapping[str, Any], scene: Scene) -> dict[str, Any]:
    """The charges of what is shared; gives the condition that a pool takes them by."""
    mine = {"charge_description": scene.described("shared")}
    if "overhead_hourly" in inputs:
        for hour in range(int(inputs["hours"])):
            at = START + hour * HOUR
            scene.charge("", number(inputs["overhead_hourly"]), at, at + HOUR, about="shared", account="overhead")
        return mine
    key, _, value = str(inputs.get("shared_label", "")).partition("=")
    tags = {key: value} if key else {}
    tags |= {"owner": inputs["shared_owner"]} if "shared_owner" in inputs else {}
    scene.charge("shared", number(inputs["shared_cost"]), tags=tags, about="shared")
    return {**mine, "tags": {key: value}} if key else mine


def _method(method: str, inputs: Mapping[str, Any], scene: Scene) -> dict[str, Any]:
    """What a pool says of its method and receivers."""
    if method.startswith("fixed"):
        parts = {owner: number(part) for owner, part in inputs["percent"].items()}
        return {"method": "fixed", "split": [{"team": o, "weight": f"{part:f}"} for o, part in parts.items() if part]}
    known = {"proportional": "proportional_cost", "even": "even"}
    found = next((ours for word, ours in known.items() if method.startswith(word)), None)
    if found is None:
        raise StrangeShape(f"nobody here knows the method '{method}'")
    return {"method": found, "receivers": {"charge_description": scene.described()}}


def _idle(said: str | None, scene: Scene) -> None:
    """A machine that costs so much and that nobody uses."""
    if said is None:
        return
    found = re.fullmatch(r"([\d.]+) kept separate", said)
    if found is None:
        raise StrangeShape(f"nobody here knows what to do with idle: {said}")
    scene.machine("machine", has={"cpu": Decimal(found[1])})
    scene.charge("machine", Decimal(found[1]))
    scene.hold("kubelet", "machine", "cpu", Decimal(0))


def _by_metric(inputs: Mapping[str, Any], scene: Scene) -> Plan:
    """A cost of each day, divided by a table of what each team counted that day, or in the month."""
    only(inputs, "metric", "daily_cost", "figures", "method")
    times = {"per-day proportional": "day", "period-pooled proportional": "month"}
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["team", "day", "weight"])
    for day, counted in inputs["metric"].items():
        at = datetime.fromisoformat(day)
        scene.charge("", number(inputs["daily_cost"]), at, at + DAY, about="shared", account="shared")
        table.writerows([team, day, f"{number(count):f}"] for team, count in counted.items())
    scene.tables[f"{scene.prefix}.csv"] = text.getvalue()
    when, time = {"charge_description": scene.described("shared")}, times[inputs["method"]]
    scene.pool("shared", when=when, method="table", table=f"{scene.prefix}.csv", time=time, grain="team")

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        found: dict[str, Decimal] = defaultdict(Decimal)
        for piece in seen[OWNED].pieces:
            found[piece.owner["team"]] += piece.cost
        return dict(found)

    return Plan(scene, (OWNED,), answer, closed=True)


def two_stage(case: Case, scene: Scene) -> Plan:
    """Idle first, then what is shared. A filter only selects: what it leaves out is answered as well."""
    inputs = case["inputs"]
    only(inputs, "topology", "stage1", "stage2", "filter")
    options: dict[str, Any] = {"share_idle": _IDLE[inputs["stage1"]]}
    said = str(inputs["stage2"])
    options["share_split"] = "even" if re.search(r"\beven", said) else "weighted"
    options["with_idle"] = bool(re.search(r"post-idle|after idle", said, re.IGNORECASE))
    if found := re.match(r"share (\S+)", said):
        options["share"] = {"op": "eq", "field": "namespace", "value": found[1]}
    elif found := re.match(r"overhead ([\d.]+)\*(\d+)", said):
        options |= {"shared_hourly_cost": found[1], "hours": found[2]}
    else:
        raise StrangeShape(f"nobody here knows the stage '{said}'")
    return plan_shared(scene, topology(inputs["topology"]), ["namespace"], options)


def commitment_amortisation(case: Case, scene: Scene) -> Plan:
    """A term that is paid at once: what each of its days costs those who use it."""
    inputs = case["inputs"]
    only(inputs, "upfront", "term_days")
    start = datetime(2026, 10, 1)
    end = f"{start + int(inputs['term_days']) * DAY:%Y-%m-%d}"
    scene.price("commitment", number(inputs["upfront"]), "term", start, end=end)

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        days = [cost for (_, category, _), cost in seen[PRICED].days.items() if category == "Usage"]
        if max(days) - min(days) > Decimal("1e-12"):
            raise StrangeShape("the days of the term do not cost the same")
        return {"per_day": days[0], "unused": seen[PRICED].cost(category="Purchase")}

    return Plan(scene, (PRICED,), answer)


PRICED = Settings("max", "keep", (("team", ("owner",)), ("model", ("model",))))
"""Cases with a cost file: a project of their own, for its months."""

KINDS: Mapping[str, Planner] = {
    "shared_cost": shared_cost,
    "two_stage": two_stage,
    "commitment_amortisation": commitment_amortisation,
}
