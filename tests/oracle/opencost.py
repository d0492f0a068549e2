"""The cases of `opencost.json` that are not aggregates, each as a bill and samples for the product to divide."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import gcd
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.oracle.aggregates import NEGATIVE
from tests.oracle.book import HOUR, START
from tests.oracle.plan import GIVEN, KEEP, USED, Case, NotApplicable, Plan, StrangeShape, number, only
from tests.oracle.prices import joined
from tests.oracle.shared_cost import OWNED
from tests.sources.prom_answers import CPU, POD, answer, held, read, samples_of, series

from apportion.core.measures import Basis, Measure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tests.oracle.book import Scene
    from tests.oracle.plan import Answer, Planner
    from tests.oracle.seen import Seen

METHOD = "the name of one of OpenCost's methods, no amount"
PARTS = ("cpu", "ram", "gpu")


def max_request_usage(case: Case, scene: Scene) -> Plan:
    """What a container is charged for: the larger of what it requested and used, of cores and of bytes."""
    inputs = case["input"]
    only(inputs, *(f"{part}_{word}" for part in ("cpu", "ram") for word in ("request", "usage")))
    units = {"cpu": ("cpu_core_seconds", "cpu_hours"), "ram": ("memory_byte_seconds", "byte_hours")}
    for part, (measure, unit) in units.items():
        asked, used = (number(inputs[f"{part}_{word}"]) for word in ("request", "usage"))
        capacity = 2 * max(asked, used, Decimal(1))
        scene.weights[part] = {"cpu": 1, "memory": 1}
        scene.charge(part, capacity)
        scene.use("", part, measure, capacity, unit=unit)
        scene.use("container", part, measure, asked, unit=unit)
        scene.use("container", part, measure, used, unit=unit, basis="used")
    return Plan(
        scene,
        (KEEP,),
        lambda seen: {f"{part}_allocated": seen[KEEP].cost(workload="container", resource=part) for part in units},
    )


def gpu(case: Case, scene: Scene) -> Plan:
    """How many cards a node has, and how many may be requested; or what a node of so many cards costs."""
    inputs = case["input"]
    if "node_capacity" in inputs:
        return Plan(scene, (), lambda _seen: _cards(inputs))
    only(inputs, "price_per_gpu_hour", "gpu_count")
    cards = inputs["gpu_count"]
    for card in range(cards):
        scene.machine(f"card {card}", has={"gpu": Decimal(1)})
        scene.charge(f"card {card}", number(inputs["price_per_gpu_hour"]))
        scene.hold("work", f"card {card}", "gpu", Decimal(1))
    return Plan(scene, (KEEP,), lambda seen: {"node_gpu_cost_per_hour": seen[KEEP].cost(workload="work")})


def _cards(inputs: Mapping[str, Any]) -> Answer:
    """Read by the Prometheus source: a pod that requests one unit holds a part of a card."""
    only(inputs, "node_capacity", "node_labels")
    labels = {f"label_{_metric(name)}": str(value) for name, value in inputs["node_labels"].items()}
    found = [series("kube_node_labels", {"node": "n1", **labels}, [1] * 60)]
    for resource, count in inputs["node_capacity"].items():
        shown = {"node": "n1", "resource": _metric(resource)}
        found.append(series("kube_node_status_allocatable", shown, [count] * 60))
    resource = max(inputs["node_capacity"], key=lambda name: number(inputs["node_capacity"][name]))
    with TemporaryDirectory(prefix="oracle-") as folder:
        read_ = read(Path(folder), answer(*found, held(_metric(resource), 1)))
    cards, unit = (_sum(read_, Measure.GPU_SECONDS, basis) / 3600 for basis in (Basis.CAPACITY, Basis.REQUESTED))
    return {"physical_gpus": cards, "virtual_gpus": cards / unit if unit else unit}


def _sum(found: list[Any], measure: Measure, basis: Basis) -> Decimal:
    return sum((sample.quantity for sample in samples_of(found, measure, basis)), Decimal(0))


def _metric(name: str) -> str:
    """A name as kube-state-metrics shows it."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def pv_time_split(case: Case, scene: Scene) -> Plan:
    """A volume of one GiB that pods mount for a time each; in what nobody mounts it, it is idle.

    Played slower: what the times have in common is an hour, which is a charge of the bill. Use is even within an hour
    here, so the hours in which pods mount a volume together are hours of the bill.
    """
    inputs = case["input"]
    only(inputs, "pvc_window", "pod_intervals")
    start, end = map(_at, inputs["pvc_window"])
    mounts = {pod: tuple(map(_at, each)) for pod, each in inputs["pod_intervals"].items()}
    moments = {moment for each in ((start, end), *mounts.values()) for moment in each}
    step = gcd(*(_minutes(moment - start) for moment in moments)) or 60
    hours = _minutes(end - start) // step
    for at in range(hours):
        scene.charge("volume", Decimal(1), START + at * HOUR)
    if hours:
        scene.hold("", "volume", "pv", Decimal(hours), start=START, end=START + hours * HOUR)
    else:
        scene.charge("volume", Decimal(1), START)
    for pod, each in mounts.items():
        low, high = (_minutes(moment - start) // step for moment in each)
        scene.hold(pod, "volume", "pv", Decimal(high - low), start=START + low * HOUR, end=START + high * HOUR)

    def told(seen: Mapping[Any, Seen]) -> Answer:
        if seen[KEEP].faults:
            return {"error": "; ".join(sorted(set(seen[KEEP].faults)))}
        whole = Fraction(seen[KEEP].cost())
        unmounted = Fraction(seen[KEEP].cost(kind="idle"))
        found = {pod: Fraction(seen[KEEP].cost(workload=pod)) / whole for pod in mounts}
        return {**found, **({"__unmounted__": unmounted / whole} if unmounted else {})}

    return Plan(scene, (KEEP,), told, closed=True)


def _at(text: str) -> datetime:
    return START.replace(hour=int(text[:2]), minute=int(text[3:]))


def _minutes(time: timedelta) -> int:
    return time // timedelta(minutes=1)


def reconciliation(case: Case, scene: Scene) -> Plan:
    """A node's bill after discount and correction, and how the correction falls on who used it."""
    inputs = case["input"]
    for first, planner in {
        "cpu_cost": _rated,
        "node_total_after_adjustment": _rate,
        "list_cost": _asset,
        "discount": _node,
    }.items():
        if first in inputs:
            return planner(inputs, scene)
    raise StrangeShape("nobody here knows such a reconciliation")


def _corrected(scene: Scene, name: str, has: Mapping[str, Decimal], cost: Decimal, correction: Decimal) -> None:
    """A machine with a charge, and a correction of it as a charge of its own."""
    scene.machine(name, has={part: size for part, size in has.items() if size})
    scene.charge(name, cost)
    scene.charge(name, correction, category="Adjustment")


def _rated(inputs: Mapping[str, Any], scene: Scene) -> Plan:
    only(inputs, "cpu_cost", "discount", "adjustment_rate")
    cost = number(inputs["cpu_cost"]) * (1 - number(inputs["discount"]))
    _corrected(scene, "node", {"cpu": Decimal(1)}, cost, cost * (number(inputs["adjustment_rate"]) - 1))
    scene.hold("work", "node", "cpu", Decimal(1))

    def told(seen: Mapping[Any, Seen]) -> Answer:
        parts = {category: seen[KEEP].cost(workload="work", category=category) for category in ("Usage", "Adjustment")}
        after = sum(parts.values())
        return {"discounted": parts["Usage"], "adjustment": parts["Adjustment"], "adjusted": after, "total": after}

    return Plan(scene, (KEEP,), told)


def _rate(inputs: Mapping[str, Any], scene: Scene) -> Plan:
    only(inputs, "node_total_after_adjustment", "adjustment")
    correction = number(inputs["adjustment"])
    before = number(inputs["node_total_after_adjustment"]) - correction
    _corrected(scene, "node", {"cpu": Decimal(4)}, before, correction)
    scene.hold("work", "node", "cpu", Decimal(1))

    def told(seen: Mapping[Any, Seen]) -> Answer:
        return {
            "adjustment_rate": seen[KEEP].cost(workload="work") / seen[KEEP].cost(workload="work", category="Usage")
        }

    return Plan(scene, (KEEP,), told)


def _asset(inputs: Mapping[str, Any], scene: Scene) -> Plan:
    """`whole` shows what each component costs after the correction, `asset` what is left of it beside the allocated."""
    only(inputs, "asset_key", "list_cost", "adjustment_total", "allocated")
    has = {part: number(cost) for part, cost in inputs["list_cost"].items()}
    listed, correction = sum(has.values(), Decimal(0)), number(inputs["adjustment_total"])
    held_ = {part: number(cost) * listed / (listed + correction) for part, cost in inputs["allocated"].items()}
    differs = NEGATIVE if any(held_[part] > has[part] for part in held_) else ""
    for name, of in (("whole", has), ("asset", held_)):
        _corrected(scene, name, has, listed, correction)
        for part, amount in of.items():
            scene.hold(part, name, part, amount)

    def told(seen: Mapping[Any, Seen]) -> Answer:
        costs = {n: {part: seen[KEEP].cost(workload=part, resource=n) for part in has} for n in ("whole", "asset")}
        left = {part: costs["whole"][part] - costs["asset"][part] for part in has}
        return {"reconciled": costs["whole"], "idle": left, "all_idle": seen[KEEP].cost(kind="idle")}

    return Plan(scene, (KEEP,), told, differs=differs)


def _node(inputs: Mapping[str, Any], scene: Scene) -> Plan:
    """Each component is held by a workload of its own; the discount is of cores and memory alone."""
    only(inputs, *PARTS, "discount", "adjustment")
    left = 1 - number(inputs["discount"])
    has = {part: number(inputs[part]) * (1 if part == "gpu" else left) for part in PARTS}
    _corrected(scene, "node", has, sum(has.values(), Decimal(0)), number(inputs["adjustment"]))
    for part, size in has.items():
        if size:
            scene.hold(part, "node", part, size)

    def told(seen: Mapping[Any, Seen]) -> Answer:
        found = {"total_cost": seen[KEEP].cost()}
        for part in PARTS:
            word = part if part == "gpu" else f"{part}_after_discount"
            found[word] = seen[KEEP].cost(workload=part, category="Usage")
            found[f"{part}_adjustment"] = seen[KEEP].cost(workload=part, category="Adjustment")
        return found

    return Plan(scene, (KEEP,), told)


def idle_share(case: Case, scene: Scene) -> Plan:
    """What part of idle a row is given; or how much of each machine is idle."""
    inputs = case["input"]
    if "row" in inputs:
        return _coefficients(inputs, scene)
    only(inputs, "assets_cpu_ram", "allocated_cpu_ram", "by")
    differs = ""
    for name, costs in inputs["assets_cpu_ram"].items():
        used = inputs["allocated_cpu_ram"].get(name, (0, 0))
        for part, cost, amount in zip(("cpu", "ram"), costs, used, strict=True):
            scene.machine(f"{part} of {name}", has={part: number(cost)})
            scene.charge(f"{part} of {name}", number(cost))
            scene.hold(f"work of {name}", f"{part} of {name}", part, number(amount))
            differs = NEGATIVE if number(amount) > number(cost) else differs

    def told(seen: Mapping[Any, Seen]) -> Answer:
        idle = {
            name: {part: seen[KEEP].cost(kind="idle", resource=f"{part} of {name}") for part in ("cpu", "ram")}
            for name in inputs["assets_cpu_ram"]
        }
        if inputs["by"] == "node":
            return idle
        return {"cluster1": {part: sum((each[part] for each in idle.values()), Decimal(0)) for part in ("cpu", "ram")}}

    return Plan(scene, (KEEP,), told, differs=differs)


def _coefficients(inputs: Mapping[str, Any], scene: Scene) -> Plan:
    only(inputs, "split", "row", "totals")
    if inputs["split"] == "even":
        return _even(inputs, scene)
    totals = {part: number(total) for part, total in inputs["totals"].items() if part != "count"}
    for part, total in totals.items():
        scene.machine(part, has={part: 2 * total})
        scene.charge(part, 2 * total)
        scene.hold("row", part, part, number(inputs["row"][part]))
        scene.hold("others", part, part, total - number(inputs["row"][part]))

    def told(seen: Mapping[Any, Seen]) -> Answer:
        given = {
            part: seen[GIVEN].cost(workload="row", resource=part) - seen[KEEP].cost(workload="row", resource=part)
            for part in totals
        }
        return {part: cost / seen[KEEP].cost(kind="idle", resource=part) for part, cost in given.items()}

    return Plan(scene, (KEEP, GIVEN), told)


def _even(inputs: Mapping[str, Any], scene: Scene) -> Plan:
    """As many rows as there are on one machine, half of which is idle: a pool gives that to each in even parts."""
    only(inputs["totals"], *PARTS, "count")
    totals = {part: number(inputs["totals"][part]) for part in PARTS if part in inputs["totals"]}
    count = int(inputs["totals"]["count"])
    scene.machine("machine", has={part: 2 * total for part, total in totals.items() if total})
    scene.charge("machine", 2 * sum(totals.values(), Decimal(0)))
    for part, total in totals.items():
        mine = number(inputs["row"].get(part, 0))
        scene.hold("row", "machine", part, mine)
        for other in range(1, count):
            scene.hold(f"row {other}", "machine", part, (total - mine) / (count - 1))
    mine_ = {"charge_description": scene.described()}
    receivers = {**mine_, "team_matches": ".*"}
    scene.pool("idle", when={**mine_, "kind": "idle"}, method="even", grain="job", receivers=receivers)

    def told(seen: Mapping[Any, Seen]) -> Answer:
        return dict.fromkeys(totals, seen[OWNED].cost(pool="idle", workload="row") / seen[OWNED].cost(pool="idle"))

    return Plan(scene, (OWNED,), told)


def inference_tokens(case: Case, scene: Scene) -> Plan:
    """What a million tokens cost; what a server computed for prompts and answers; how far a counter grew."""
    inputs, wanted = case["input"], case["expected"]
    if "counter_start" in inputs:
        only(inputs, "counter_start", "counter_end")
        return Plan(scene, (), lambda _seen: {"delta": _grown(inputs)})
    if "cost_keys" in inputs:
        return joined(inputs, scene)
    if set(wanted) == {"method"}:
        raise NotApplicable(METHOD)
    tokens = {"tokens_input": "prompt_tokens", "tokens_output": "generation_tokens"}
    seconds = {"prefill": "prefill_seconds", "decode": "decode_seconds"}
    costs = ("allocation_cost", "usage_cost")
    only(inputs, *costs, "cached_tokens", "prefix_caching", *tokens.values(), *seconds.values())
    if inputs.get("cached_tokens"):
        raise NotApplicable("what a cache saved is an estimate of what was not computed, no part of the bill")
    scene.machine("server", has={"cpu": number(inputs["allocation_cost"])})
    scene.charge("server", number(inputs["allocation_cost"]))
    for basis, word in (("requested", "allocation_cost"), ("used", "usage_cost")):
        scene.hold("endpoint", "server", "cpu", number(inputs[word]), basis=basis)
    for measure, word in tokens.items():
        scene.use("endpoint", "server", measure, number(inputs[word]), basis="used")
    if "prefill_seconds" in inputs:
        for cost, (phase, word) in product(costs, seconds.items()):
            scene.use(phase, cost, "compute_seconds", number(inputs[word]), basis="used")
        for cost in costs:
            scene.charge(cost, number(inputs[cost]))
    return Plan(scene, (KEEP, USED), lambda seen: _per_million(seen, phases="prefill_seconds" in inputs))


def _per_million(seen: Mapping[Any, Seen], *, phases: bool) -> Answer:
    words = {"tokens_input": "prefill", "tokens_output": "decode"}
    counted = {phase: seen[KEEP].quantities["endpoint", measure, "used"] for measure, phase in words.items()}
    million = sum(counted.values(), Decimal(0)) / 10**6
    costs = {"allocation": seen[KEEP].cost(workload="endpoint"), "usage": seen[USED].cost(workload="endpoint")}
    found: dict[str, Any] = {"per_million": {basis: cost / million for basis, cost in costs.items()}}
    if phases:
        for phase, word in (("prefill", "input_per_million"), ("decode", "output_per_million")):
            found[word] = {
                basis: seen[KEEP].cost(workload=phase, resource=f"{basis}_cost") * 10**6 / counted[phase]
                for basis in costs
            }
    return found


def _grown(inputs: Mapping[str, Any]) -> Decimal:
    """Read by the Prometheus source: half an hour of one value, then half an hour of the other."""
    values = [inputs["counter_start"]] * 30 + [inputs["counter_end"]] * 30
    labels = {**POD, "container": "c", "id": "p"}
    labels.pop("uid")
    with TemporaryDirectory(prefix="oracle-") as folder:
        found = read(Path(folder), answer(series(CPU, labels, values)))
    return _sum(found, Measure.CPU_CORE_SECONDS, Basis.USED)


GROUPS: Mapping[str, Planner] = {
    "max_request_usage": max_request_usage,
    "gpu": gpu,
    "pv_time_split": pv_time_split,
    "reconciliation": reconciliation,
    "idle_share": idle_share,
    "inference_tokens": inference_tokens,
}
