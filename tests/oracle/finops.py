"""The cases of the kinds of `finops.json`, each as a bill and samples for the product to divide."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.oracle.aggregates import plan_rows, topology
from tests.oracle.book import START
from tests.oracle.plan import GIVEN, KEEP, Case, Plan, StrangeShape, number, only
from tests.oracle.shared_cost import OWNED

from apportion.sources._prom_gpus import part_of_profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.oracle.book import Scene
    from tests.oracle.plan import Answer, Planner
    from tests.oracle.seen import Seen

DAY = timedelta(days=1)


def metering(case: Case, scene: Scene) -> Plan:
    """Pods on one node that request and use: what counts of each is the larger; the rest of the node is idle."""
    inputs = case["inputs"]
    only(inputs, "formula", "capacity", "pods", "figures_are_ours")
    capacity = number(inputs["capacity"])
    scene.machine("node", has={"cpu": capacity})
    scene.charge("node", capacity)
    for at, pod in enumerate(inputs["pods"]):
        only(pod, "request", "usage")
        for basis, word in (("requested", "request"), ("used", "usage")):
            scene.hold(f"pod-{at}", "node", "cpu", number(pod[word]), basis=basis)

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        idle = seen[KEEP].cost(kind="idle")
        return {"effective": seen[KEEP].cost() - idle, "unallocated": idle}

    return Plan(scene, (KEEP,), answer)


def gpu_metering(case: Case, scene: Scene) -> Plan:
    """Slices of a card for some hours each: a slice counts as its part of the card, by the table of the sources."""
    inputs = case["inputs"]
    known = ("gpu", "max_slices", "month", "monthly_rate", "hourly_rate", "namespaces", "method")
    only(inputs, *known, "gpu_day_cost", "slices", "hours")
    if "gpu_day_cost" in inputs:
        return _sliced_day(inputs, scene)
    days = int(re.search(r"(\d+) days", inputs["month"]).group(1))  # type: ignore[union-attr]
    first = {28: datetime(2026, 2, 1), 29: datetime(2028, 2, 1), 30: datetime(2026, 9, 1), 31: datetime(2026, 10, 1)}[
        days
    ]
    end = first + days * DAY
    scene.machine("card", has={"gpu": Decimal(24 * days)}, start=first, end=end)
    scene.charge("card", number(inputs["monthly_rate"]), first, end)
    for name, held in inputs["namespaces"].items():
        only(held, "uptime_hours", "slices")
        hours = number(held["uptime_hours"])
        until = first + timedelta(seconds=float(hours * 3600))
        scene.hold(name, "card", "gpu", hours * _part(held["slices"], inputs), start=first, end=until)

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        found = {name: seen[KEEP].cost(workload=name) for name in inputs["namespaces"]}
        return {**found, "total": sum(found.values())}

    return Plan(scene, (KEEP,), answer)


def _sliced_day(inputs: Mapping[str, Any], scene: Scene) -> Plan:
    first = datetime(START.year, START.month, START.day)
    scene.machine("card", has={"gpu": Decimal(24)}, start=first, end=first + DAY)
    scene.charge("card", number(inputs["gpu_day_cost"]), first, first + DAY)
    hours = number(inputs["hours"])
    until = first + timedelta(seconds=float(hours * 3600))
    scene.hold("work", "card", "gpu", hours * _part(inputs["slices"], inputs), start=first, end=until)
    return Plan(
        scene,
        (KEEP,),
        lambda seen: {"allocated": seen[KEEP].cost(workload="work"), "unallocated": seen[KEEP].cost(kind="idle")},
    )


def _part(slices: Any, inputs: Mapping[str, Any]) -> Decimal:
    """The part of its card that a MIG profile of so many slices is, as the Prometheus source counts it."""
    cards = {7: "NVIDIA-A100", 4: "NVIDIA-A30"}
    if inputs["max_slices"] not in cards:
        raise StrangeShape(f"no card has {inputs['max_slices']} slices")
    return part_of_profile(f"{slices}g.40gb", cards[inputs["max_slices"]])


def idle_distribution(case: Case, scene: Scene) -> Plan:
    """A pool of idle given out by use: what the same run gives with idle given out and without, less one another."""
    inputs = case["inputs"]
    if "pools" in inputs:
        return _pools(inputs["pools"], scene)
    only(inputs, "pool", "pool_cost", "usage", "weights", "method", "effective_usage")
    uses = {name: number(amount) for name, amount in (inputs.get("usage") or inputs["weights"]).items()}
    component = "gpu" if "slice" in inputs["method"] else "cpu"
    _half_idle(scene, "pool", component, uses, {"pool": number(inputs["pool_cost"])})

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        found = {name: seen[GIVEN].cost(workload=name) - seen[KEEP].cost(workload=name) for name in uses}
        given_out = seen[GIVEN].cost(kind="idle") - seen[KEEP].cost(kind="idle")
        return {**found, **({inputs["pool"]: given_out} if "pool" in inputs else {})}

    return Plan(scene, (KEEP, GIVEN), answer)


def _pools(pools: Mapping[str, Mapping[str, Any]], scene: Scene) -> Plan:
    for name, pool in pools.items():
        only(pool, "infra_raw", "markup", "has_rates")
        costs = {word: number(pool[word]) for word in ("infra_raw", "markup") if word in pool}
        _half_idle(scene, name, "cpu", {f"work of {name}": Decimal(1)}, costs)

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        found: dict[str, Decimal] = {}
        for name in pools:
            before, after = (seen[settings].cost(kind="idle", resource=name) for settings in (KEEP, GIVEN))
            found |= {f"negation_{name}": after - before, f"net_{name}": after}
        return found

    return Plan(scene, (KEEP, GIVEN), answer)


def _half_idle(
    scene: Scene, name: str, component: str, uses: Mapping[str, Decimal], idle_costs: Mapping[str, Decimal]
) -> None:
    """A machine whose other half is used, so that its idle half costs what the case says."""
    scene.machine(name, has={component: 2 * sum(uses.values(), Decimal(0))})
    for cost in idle_costs.values():
        scene.charge(name, 2 * cost)
    for work, amount in uses.items():
        scene.hold(work, name, component, amount)


def filtering(case: Case, scene: Scene) -> Plan:
    """Clusters of namespaces, of which a filter lets some through."""
    inputs = case["inputs"]
    only(inputs, "topology", "filter", "aggregate", "idle")
    idle = {"separate": "none", "weighted": "weighted"}[inputs["idle"]]
    wanted = {"op": "eq", "field": "namespace", "value": inputs["filter"]}
    options = {"share_idle": idle, "idle_by": "cluster", "filter": wanted}
    return plan_rows(scene, topology(inputs["topology"]), [inputs["aggregate"]], options, {})


def component_weights(case: Case, scene: Scene) -> Plan:
    """A machine of cores and memory: one workload holds one core for the hour, another one GiB."""
    inputs = case["inputs"]
    only(inputs, "hourly_amortised_cost", "vcpu", "gb", "gpu", "weights")
    sizes = {"cpu": "vcpu", "ram": "gb", "gpu": "gpu"}
    has = {part: number(inputs[word]) for part, word in sizes.items() if inputs.get(word)}
    scene.machine("machine", has=has, weights=inputs["weights"])
    scene.charge("machine", number(inputs["hourly_amortised_cost"]))
    for part in has:
        scene.hold(sizes[part], "machine", part, Decimal(1))

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        hours = {f"{sizes[part]}_hour": seen[KEEP].cost(workload=sizes[part]) for part in has}
        unit = hours["gb_hour"] / number(inputs["weights"]["memory"])
        return {**hours, "unit": unit, "check_total": seen[KEEP].cost()}

    return Plan(scene, (KEEP,), answer)


TOKENS = {
    "input": ("tokens_input", Decimal(1)),
    "output": ("tokens_output", Decimal(5)),
    "cacheRead": ("tokens_cached", Decimal("0.1")),
    "cacheWrite": ("tokens_cache_write", Decimal("1.25")),
}
"""Component of a request's cost -> measure, and what a token of it weighs by default."""


def token_cost(case: Case, scene: Scene) -> Plan:
    """One account's bill, divided by tokens of each kind as they weigh."""
    components = {name: number(cost) for name, cost in case["inputs"]["components"].items()}
    only(case["inputs"], "components")
    only(components, *TOKENS)
    scene.charge("", sum(components.values(), Decimal(0)), account="account")
    for name, cost in components.items():
        measure, weight = TOKENS[name]
        about = {"account": "account", "basis": "used", "workload_kind": "api_key"}
        scene.use(name, "", measure, cost / weight * 10**9, **about)

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        found = {name: seen[KEEP].cost(workload=name) for name in components}
        cached = found.get("cacheRead", Decimal(0)) + found.get("cacheWrite", Decimal(0))
        return {**found, "total": seen[KEEP].cost(), "unattributed_if_cache_dropped": cached}

    return Plan(scene, (KEEP,), answer)


def rule_evaluation(case: Case, scene: Scene) -> Plan:
    """Rules in their order decide who owns each row; or a rule's ratio, made anew for each month."""
    inputs = case["inputs"]
    if "prefill" in inputs:
        return _monthly(inputs, scene)
    only(inputs, "rules", "rows")
    rows = [row if isinstance(row, dict) else {"id": row, "tags": row} for row in inputs["rows"]]
    for row in rows:
        only(row, "id", "account", "unblended", "net_unblended", "tags")
        tags = {"Project": row["tags"]} if row.get("tags") else {}
        account = {"account": f"account {row['account']}"} if "account" in row else {}
        scene.charge(f"row {row['id']}", number(row.get("unblended", 1)), tags=tags, **account)
    for condition, team in inputs["rules"]:
        scene.rules.append((_when(condition, scene), team))

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        return {piece.resource.removeprefix("row "): piece.owner["team"] for piece in seen[KEEP].pieces}

    return Plan(scene, (KEEP,), answer)


def _when(condition: str, scene: Scene) -> str:
    """A condition of a case in the words of our rules; only rows of the case are meant."""
    mine = f"account_matches = '^{scene.prefix}-'"
    if condition == "otherwise":
        return mine
    if found := re.fullmatch(r"account in (\d+)\.\.(\d+)", condition):
        ids = [scene.id(f"account {no}") for no in range(int(found[1]), int(found[2]) + 1)]
        return f"account = {ids}"
    if found := re.fullmatch(r"(\w+) (?:in \{([^}]*)\}|= (\w+))", condition):
        values = [value.strip() for value in (found[2] or found[3]).split(",")]
        return f"{mine}, tags = {{ {found[1]} = {values} }}"
    raise StrangeShape(f"nobody here knows the condition '{condition}'")


def _monthly(inputs: Mapping[str, Any], scene: Scene) -> Plan:
    """A cost that two share by what each spent: weights are of the same month, whatever they were before."""
    only(inputs, "prefill", "month1", "month2", "shared", "figures_are_ours")
    months = {"month1": START, "month2": START + 31 * DAY}
    for month, start in months.items():
        for name, cost in inputs[month].items():
            scene.charge(f"of {name}", number(cost), start, tags={"owner": name})
        scene.charge("shared", number(inputs["shared"]), start, about=month)
        receivers = {"charge_description": scene.described()}
        scene.pool(month, when={"charge_description": scene.described(month)}, grain="team", receivers=receivers)

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        found = {f"{month}_{name}": Decimal(0) for month in months for name in inputs[month]}
        for piece in seen[OWNED].pieces:
            if piece.pool:
                found[f"{piece.pool}_{piece.owner['team']}"] += piece.cost
        return found

    return Plan(scene, (OWNED,), answer)


KINDS: Mapping[str, Planner] = {
    "metering": metering,
    "gpu_metering": gpu_metering,
    "idle_distribution": idle_distribution,
    "filtering": filtering,
    "component_weights": component_weights,
    "token_cost": token_cost,
    "rule_evaluation": rule_evaluation,
}
