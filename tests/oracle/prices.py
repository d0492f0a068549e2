"""The cases of `opencost.json` that ask for prices and for how well requests were used, and the joining of names."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.oracle.book import HOUR, START
from tests.oracle.plan import KEEP, Plan, StrangeShape, number, only
from tests.oracle.shared_cost import PRICED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.oracle.book import Scene
    from tests.oracle.plan import Answer, Case, Planner
    from tests.oracle.seen import Seen

DAY = timedelta(days=1)
GIB = 2**30
OCTOBER = datetime(2026, 10, 1)
_PRICES = {"cpu_core": "cpu", "ram_gib": "ram", "gpu": "gpu", "storage_gib": "pv"}


def pricing(case: Case, scene: Scene) -> Plan:
    """A rate card by the month, as a cost file: what an hour of each thing costs who holds it.

    A month of 730 hours is the twelfth part of a year of 365 days: twelve prices are a term of 365 days.
    """
    inputs = case["input"]
    only(inputs, "monthly_price", "gpu_count", "pv_bytes", "pv_hours", "hours_per_month")
    only(inputs["monthly_price"], *_PRICES)
    cards = int(inputs.get("gpu_count", 1))
    volume, held = int(inputs.get("pv_bytes", GIB)), Decimal(str(inputs.get("pv_hours", 1)))
    sizes = {"cpu_core": 1, "ram_gib": 1, "gpu": cards, "storage_gib": -(-volume // GIB)}
    amounts = {"cpu_core": Decimal(1), "ram_gib": Decimal(1), "gpu": Decimal(cards)}
    amounts["storage_gib"] = Decimal(volume) * held / GIB
    for name, price in inputs["monthly_price"].items():
        _priced(scene, name, number(price) * sizes[name], number(inputs["hours_per_month"]))
        scene.hold("", name, _PRICES[name], Decimal(31 * 24 * sizes[name]), start=OCTOBER, end=OCTOBER + 31 * DAY)
        end = START + (timedelta(hours=float(held)) if name == "storage_gib" else HOUR)
        scene.hold("work", name, _PRICES[name], amounts[name], end=end)

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        costs = {name: seen[PRICED].cost(workload="work", resource=name) for name in inputs["monthly_price"]}
        words = {"cpu_core": "cpu_core_hour", "ram_gib": "ram_byte_hour", "gpu": "gpu_node_hour", "storage_gib": "pv"}
        return {words[name]: Fraction(cost) / (GIB if name == "ram_gib" else 1) for name, cost in costs.items()}

    return Plan(scene, (PRICED,), answer)


def _priced(scene: Scene, name: str, monthly: Decimal, hours: Decimal) -> None:
    """As many prices of a month as make whole days, used up over these days."""
    days = Fraction(hours) / 24
    months = days.denominator
    end = f"{OCTOBER + int(days * months) * DAY:%Y-%m-%d}"
    scene.weights[name] = {"gpu": 1, "cpu": 1, "memory": 1}
    scene.price(name, monthly * months, "term", OCTOBER, end=end, billed="amortised")


_MEASURES = {"cpu": ("cpu_core_seconds", "cpu_hours"), "ram": ("memory_byte_seconds", "byte_hours")}


def efficiency(case: Case, scene: Scene) -> Plan:
    """How much of what was requested was used, of cores and memory, as what they cost weighs.

    The product has what was requested, used and paid; no report of ours puts it into one figure.
    """
    inputs = case["input"]
    only(inputs, "rows", "measure")
    parts = {"total": ("cpu", "ram"), "cpu": ("cpu",), "ram": ("ram",)}[inputs["measure"]]
    for at, row in enumerate(inputs["rows"]):
        only(row, "idle", *(f"{part}_{word}" for part in _MEASURES for word in ("request", "usage", "cost")))
        for part in _MEASURES:
            _efficient(scene, f"row-{at}", part, row)

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        figures = {part: _figures(seen[KEEP], part, len(inputs["rows"])) for part in parts}
        paid = sum((cost for _, _, cost in figures.values()), Decimal(0))
        if len(parts) == 1:
            return {"value": _ratio(*figures[parts[0]])}
        weighed = sum((_ratio(*each) * Fraction(each[2]) for each in figures.values()), Fraction(0))
        return {"value": weighed / Fraction(paid) if paid else Fraction(0)}

    return Plan(scene, (KEEP,), answer)


def _efficient(scene: Scene, work: str, part: str, row: Mapping[str, Any]) -> None:
    """A machine of the row's own, as large as what counts of it; an idle row is one that nobody uses."""
    asked, used, cost = (number(row.get(f"{part}_{word}", 0)) for word in ("request", "usage", "cost"))
    measure, unit = _MEASURES[part]
    name = f"{part} of {work}"
    scene.weights[name] = {"gpu": 1, "cpu": 1, "memory": 1}
    scene.charge(name, cost)
    scene.use("", name, measure, max(asked, used) or Decimal(1), unit=unit)
    holder = "kubelet" if row.get("idle") else work
    scene.use(holder, name, measure, asked, unit=unit)
    scene.use(holder, name, measure, used, unit=unit, basis="used")


def _figures(seen: Seen, part: str, rows: int) -> tuple[Decimal, Decimal, Decimal]:
    """What all workloads requested, used and paid of a component."""
    works, measure = [f"row-{at}" for at in range(rows)], _MEASURES[part][0]
    asked, used = (
        sum((seen.quantities.get((work, measure, basis), Decimal(0)) for work in works), Decimal(0))
        for basis in ("requested", "used")
    )
    paid = sum((seen.cost(workload=work, resource=f"{part} of {work}") for work in works), Decimal(0))
    return asked, used, paid


def _ratio(asked: Decimal, used: Decimal, paid: Decimal) -> Fraction:
    if asked:
        return Fraction(used) / Fraction(asked)
    return Fraction(1 if used and paid else 0)


def joined(inputs: Mapping[str, Any], scene: Scene) -> Plan:
    """Models that the bill and the meter call by different names: `[tags.values]` says which are the same.

    Its entries are for the user to write. Here they are written for names that differ in front of a slash.
    """
    only(inputs, "cost_keys", "token_keys")
    billed = {key.rpartition(":")[0] for key in inputs["cost_keys"]}
    for at, (key, tokens) in enumerate(inputs["token_keys"].items()):
        model, _, namespace = key.rpartition(":")
        if not model:
            raise StrangeShape(f"'{key}' is no model and namespace")
        bare = model.partition("/")[2]
        if model not in billed and bare in billed:
            scene.spellings["model", model] = bare
        server = f"server-{at}"
        scene.charge(server, Decimal(1))
        about = {"basis": "used", "labels": {"model": model}, "namespace": namespace}
        scene.use(f"endpoint-{at}", server, "tokens_input", number(tokens), **about)

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        found: dict[str, Decimal] = {}
        for piece in seen[PRICED].pieces:
            key = f"{piece.owner['model']}:{piece.namespace}"
            found[key] = found.get(key, Decimal(0)) + seen[PRICED].quantities[piece.workload, "tokens_input", "used"]
        return found

    return Plan(scene, (PRICED,), answer)


GROUPS: Mapping[str, Planner] = {"pricing": pricing, "efficiency": efficiency}
