"""What OpenCost's options mean, row by row in fractions: `opencost.json` says it in words (`meta.semantics`).

Written without a look at the product: cases that are made up here are replayed through it, and both must agree.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

Row = dict[str, Any]
Options = dict[str, Any]
PARTS = ("cpu", "ram", "gpu")
COSTS = (*PARTS, "pv", "network", "lb", "external")
IDLE, UNKNOWN, UNMOUNTED = "__idle__", "__unallocated__", "__unmounted__"
HOURS = 24


def field(row: Row, name: str) -> str:
    """The value of a field of a row."""
    scope, _, label = name.partition(":")
    return str(row.get("labels", {}).get(label, UNKNOWN) if scope == "label" else row.get(name, UNKNOWN))


def matches(row: Row, wanted: Options | None) -> bool:
    """Whether a row has a value that is asked for; whatever it has, where nothing is asked."""
    if wanted is None:
        return True
    values = wanted["value"] if wanted["op"] == "in" else [wanted["value"]]
    return field(row, wanted["field"]) in values


def total(row: Row) -> Fraction:
    """All that a row costs by itself."""
    return sum((Fraction(str(row.get(part, 0))) for part in COSTS), Fraction(0))


def aggregated(rows: list[Row], by: list[str], options: Options) -> dict[str, Fraction]:
    """Key -> cost under the options."""
    works = [row for row in rows if not row.get("idle")]
    given, lines = _idle(rows, works, options)
    shared = [row for row in works if "share" in options and matches(row, options["share"])]
    takers = [row for row in works if row not in shared and UNMOUNTED not in row["name"]]
    chosen = options.get("filter")
    sums: dict[str, Fraction] = defaultdict(Fraction)
    own = sum((total(row) for row in shared), Fraction(0))
    own += Fraction(str(options.get("shared_hourly_cost", 0))) * HOURS
    parts = _parts(takers, by, chosen, even=options.get("share_split") == "even")
    keep = options.get("share_idle", "none") == "none"

    def add_idle(idle: dict[str, Fraction], key: str, part: Fraction) -> None:
        for place, cost in idle.items():
            sums[_line(place, options) if keep else key] += cost * part

    for row in works:
        if row not in shared and matches(row, chosen):
            sums[_key(row, by)] += total(row)
            add_idle(given[row["name"]], _key(row, by), Fraction(1))
    for key, part in parts.items():
        sums[key] += own * part
        for row in shared:
            add_idle(given[row["name"]], key, part)
    if chosen is None:
        for place, cost in lines.items():
            sums[_line(place, options)] += cost
    return {key: cost for key, cost in sums.items() if cost}


def _key(row: Row, by: list[str]) -> str:
    return "/".join(field(row, name) for name in by)


def _line(place: str, options: Options) -> str:
    return f"{place}/{IDLE}" if options.get("split_idle") else IDLE


def _idle(
    rows: list[Row], works: list[Row], options: Options
) -> tuple[dict[str, dict[str, Fraction]], dict[str, Fraction]]:
    """Row -> node or cluster -> what the row is given of its idle; and the idle that stays, by node or cluster."""
    by = options.get("idle_by", "cluster")
    given: dict[str, dict[str, Fraction]] = {row["name"]: defaultdict(Fraction) for row in works}
    stays: dict[str, Fraction] = defaultdict(Fraction)
    gives = options.get("share_idle", "none") == "weighted" or options.get("filter") is not None
    for idle in (row for row in rows if row.get("idle")):
        place = idle[by]
        here = [row for row in works if row.get(by) == place]
        for part in PARTS:
            cost, used = Fraction(str(idle.get(part, 0))), sum(Fraction(str(row.get(part, 0))) for row in here)
            if not gives or not used:
                stays[place] += cost
                continue
            for row in here:
                given[row["name"]][place] += cost * Fraction(str(row.get(part, 0))) / used
    return given, stays


def _parts(takers: list[Row], by: list[str], chosen: Options | None, *, even: bool) -> dict[str, Fraction]:
    """Key -> its part of what is shared, as far as the filter lets it through."""
    found: dict[str, Fraction] = defaultdict(Fraction)
    keys = {_key(row, by) for row in takers}
    if even:
        return {_key(row, by): Fraction(1, len(keys)) for row in takers if matches(row, chosen)}
    whole = sum((total(row) for row in takers), Fraction(0))
    for row in takers:
        if matches(row, chosen):
            found[_key(row, by)] += total(row) / whole
    return found


def made_up(random: Random) -> list[Row]:
    """Rows of two clusters with two nodes each: work, idle, a volume that nobody mounts, and a bucket with a tag."""
    rows: list[Row] = []
    for at in range(random.randint(5, 9)):
        cluster = random.choice(["c1", "c2"])
        node = f"{cluster}-{random.choice('ab')}"
        row: Row = {"name": f"w{at}", "pod": f"p{at}", "cluster": cluster, "node": node}
        row["namespace"] = random.choice(["web", "ml", "kube-system", "Data_Lake"])
        row["labels"] = {
            name: random.choice(values)
            for name, values in {"team": ["ads", "core"], "app": ["x", "y"]}.items()
            if random.random() < 0.8
        }
        rows.append(row | _costs(random, ("cpu", "ram", "gpu", "pv", "network", "lb")) | {"cpu": _cost(random)})
    for place in sorted({(row["cluster"], row["node"]) for row in rows}):
        rows.append({"name": f"{place[1]}/idle", "cluster": place[0], "node": place[1], "idle": True})
        rows[-1] |= _costs(random, PARTS)
    if random.random() < 0.5:
        lost = {"name": f"{UNMOUNTED}/1", "cluster": "c1", "namespace": UNMOUNTED, "pod": UNMOUNTED}
        rows.append(lost | {"pv": _cost(random)})
    if random.random() < 0.5:
        rows.append({"name": "bucket", "external": _cost(random), "labels": {"team": "ads"}})
    return rows


def _costs(random: Random, parts: tuple[str, ...]) -> Row:
    return {part: _cost(random) for part in parts if random.random() < 0.6}


def _cost(random: Random) -> Decimal:
    return Decimal(random.randint(1, 40_000)) / 1000


def made_up_options(random: Random, share: str, chosen: str) -> Options:
    """Options that share by a field and filter by another; each now and then left out."""
    values = {"namespace": ["web", "ml", "kube-system", "Data_Lake"], "label:app": ["x", "y"], "cluster": ["c1", "c2"]}
    options: Options = {
        "share_idle": random.choice(["none", "weighted"]),
        "idle_by": random.choice(["cluster", "node"]),
        "share_split": random.choice(["even", "weighted"]),
    }
    if random.random() < 0.8:
        options["share"] = {"op": "eq", "field": share, "value": random.choice(values[share])}
    if random.random() < 0.2 and "share" in options:
        options["share"] = {"op": "in", "field": share, "value": random.sample(values[share], 2)}
    if random.random() < 0.5 or "share" not in options:
        options["shared_hourly_cost"] = _cost(random)
    if random.random() < 0.4:
        options["filter"] = {"op": "eq", "field": chosen, "value": random.choice(values[chosen])}
    if random.random() < 0.4:
        options["split_idle"] = True
    return options
