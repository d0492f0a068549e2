"""Rows of clusters with their costs by component, and what they add up to by namespace, label, node or cluster.

A node (or a cluster, where idle is of clusters) is one charge, divided by weights of 1 over capacities that equal the
costs of its components; disks, network and load balancers are charges of their own.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.oracle.plan import GIVEN, KEEP, NotApplicable, Plan, StrangeShape, number, only

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.oracle.book import Scene
    from tests.oracle.plan import Answer, Case
    from tests.oracle.seen import Piece, Seen

UNKNOWN, IDLE, UNMOUNTED = "__unallocated__", "__idle__", "__unmounted__"
MACHINE, OTHERS = ("cpu", "ram", "gpu"), ("pv", "network", "lb")
NEGATIVE = (
    "a negative idle line: use beyond capacity scales to the machine here (design §4), a machine never owes its tenants"
)
Row = dict[str, Any]


def rows_of(case: Case, datasets: Mapping[str, Any]) -> list[Row]:
    """The rows a case speaks of: of a data set, or its own."""
    given = case["input"]
    found = datasets.get(given) if isinstance(given, str) else given
    if not isinstance(found, dict) or "rows" not in found:
        raise StrangeShape(f"there is no data set '{given}'")
    return list(found["rows"])


def plan_rows(
    scene: Scene, rows: Sequence[Row], by: Sequence[str], options: Mapping[str, Any], tags: Mapping[str, str]
) -> Plan:
    """Rows billed and metered, and summed by the fields of `by`."""
    given, splits = options.get("share_idle", "none") == "weighted", bool(options.get("split_idle"))
    place = options.get("idle_by", "cluster")
    _build(scene, rows, place)
    passes = passing(options.get("filter"), {})
    merged = bool(options.get("merge_unallocated"))

    def key(piece: Piece) -> str:
        values = [field_of(piece, field, tags) for field in by]
        return UNKNOWN if merged and UNKNOWN in values else "/".join(values)

    def idle_key(piece: Piece) -> str:
        return f"{piece.resource}/{IDLE}" if splits else IDLE

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        if options.get("filter") is None:
            return _summed(seen[GIVEN if given else KEEP], key, idle_key)
        return _filtered(seen, key, idle_key, passes, given=given)

    settings = (KEEP, GIVEN) if options.get("filter") is not None else (GIVEN if given else KEEP,)
    return Plan(scene, settings, answer, closed=True, differs="" if given else negative(rows))


def negative(rows: Sequence[Row]) -> str:
    """Why ours differs where idle is below 0; nothing where it is not."""
    return NEGATIVE if any(number(row.get(part, 0)) < 0 for row in rows for part in MACHINE) else ""


def _summed(seen: Seen, key: Callable[[Piece], str], idle_key: Callable[[Piece], str]) -> Answer:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for piece in seen.pieces:
        sums[idle_key(piece) if piece.kind == "idle" else key(piece)] += piece.cost
    return dict(sums)


def _filtered(
    seen: Mapping[Any, Seen],
    key: Callable[[Piece], str],
    idle_key: Callable[[Piece], str],
    passes: Callable[[Piece], bool],
    *,
    given: bool,
) -> Answer:
    """What passes a filter. Idle that is kept apart is what the same work would be given of it."""
    without, with_idle = (_chosen(seen[settings], key, passes) for settings in (KEEP, GIVEN))
    if given:
        return with_idle
    before, after = (_chosen(seen[settings], idle_key, passes) for settings in (KEEP, GIVEN))
    return {**without, **{name: cost - before[name] for name, cost in after.items() if cost != before[name]}}


def _chosen(seen: Seen, key: Callable[[Piece], str], passes: Callable[[Piece], bool]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for piece in seen.pieces:
        if piece.kind != "idle" and passes(piece):
            sums[key(piece)] += piece.cost
    return sums


def _build(scene: Scene, rows: Sequence[Row], place: str) -> None:
    machines: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for row in rows:
        for part in MACHINE:
            machines[machine_of(row, place)][part] += number(row.get(part, 0))
        for part in MACHINE if not row.get("idle") else ():
            if number(row.get(part, 0)):
                scene.hold(row["name"], machine_of(row, place), part, number(row[part]), **about(row))
    refuse_below_nothing(machines)
    for machine, has in machines.items():
        if any(has.values()):
            scene.machine(machine, has={part: amount for part, amount in has.items() if amount})
            scene.charge(machine, sum(has.values(), Decimal(0)))
    build_others(scene, rows)


def refuse_below_nothing(machines: Mapping[str, Mapping[str, Decimal]]) -> None:
    """Raises `NotApplicable` where a machine would cost less than nothing, whatever is used of it."""
    if any(cost < 0 for has in machines.values() for cost in has.values()):
        raise NotApplicable(NEGATIVE)


def machine_of(row: Row, place: str) -> str:
    """The node or cluster whose idle a row is given, or is."""
    return str(row.get(place) or row.get("cluster", ""))


def build_others(scene: Scene, rows: Sequence[Row]) -> None:
    """Disks, networks and load balancers; what the bill gives with its tags, and volumes that nobody mounts."""
    others: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        if number(row.get("external", 0)):
            scene.charge(f"external {row['name']}", number(row["external"]), tags=labels_of(row))
        for part in OTHERS:
            cost = number(row.get(part, 0))
            if cost and UNMOUNTED in row["name"]:
                scene.charge(f"{part} of {row['name']}", cost, tags=labels_of(row), about="unmounted")
            elif cost:
                name = f"{part} of {row.get('cluster', '')}"
                others[name, part] += cost
                if not row.get("idle"):
                    _other(scene, row, name, part)
    for (name, _), cost in others.items():
        scene.charge(name, cost)


def _other(scene: Scene, row: Row, name: str, part: str) -> None:
    if part == "pv":
        scene.hold(row["name"], name, part, number(row[part]), **about(row))
    else:
        scene.use(row["name"], name, "requests", number(row[part]) * 1000, basis="used", **about(row))


def about(row: Row) -> dict[str, Any]:
    """What a meter says of the workload of a row."""
    namespace = f"{row.get('cluster', '')}/{row.get('namespace', '')}"
    return {"labels": labels_of(row), "name": row.get("pod", row["name"]), "namespace": namespace}


_PLAIN = ("cluster", "node", "namespace", "pod", "container", "controller", "controllerKind")


def labels_of(row: Row) -> dict[str, str]:
    """Labels as they are, annotations and what else a row says of its pod each under a name of its own."""
    told = {f"row:{name}": str(row[name]) for name in _PLAIN if row.get(name)}
    if "row:controllerKind" in told:
        told["row:kind and controller"] = f"{row['controllerKind']}:{row['controller']}"
        told[f"row:{row['controllerKind']}"] = str(row["controller"])
    if row.get("services"):
        told["row:service"] = str(row["services"][0])
    notes = {f"annotation:{name}": str(value) for name, value in row.get("annotations", {}).items()}
    return {**told, **notes, **row.get("labels", {})}


_OF_KIND = ("daemonset", "statefulset", "deployment", "job", "replicaset")


def field_of(piece: Piece, field: str, tags: Mapping[str, str]) -> str:
    """The value of a field: as the dimension says that tells it, else as the run's workloads and the bill's tags do."""
    if field in tags:
        value = piece.owner[tags[field]]
        return UNKNOWN if value == "unallocated" else value
    known = piece.labels or piece.tags
    if field in ("cluster", "namespace") and piece.namespace:
        cluster, _, namespace = piece.namespace.partition("/")
        return (cluster if field == "cluster" else namespace) or UNKNOWN
    return next((known[key] for key in keys_of(field) if key in known), UNKNOWN)


def keys_of(field: str) -> tuple[str, ...]:
    """The labels that tell a field, in order of preference."""
    scope, colon, name = field.partition(":")
    if field == "controller":
        return ("row:kind and controller", "row:controller")
    if field in (*_PLAIN, *_OF_KIND, "service"):
        return (f"row:{field}",)
    if colon and scope in ("label", "annotation"):
        return (name if scope == "label" else field,)
    raise StrangeShape(f"nobody here knows the field {field}")


def values_of(wanted: Mapping[str, Any]) -> list[str]:
    """The values that a filter lets through, or that are shared."""
    if wanted["op"] not in ("eq", "in"):
        raise StrangeShape(f"nobody here knows the filter {wanted['op']}")
    return list(wanted["value"]) if isinstance(wanted["value"], list) else [wanted["value"]]


def passing(wanted: Mapping[str, Any] | None, tags: Mapping[str, str]) -> Callable[[Piece], bool]:
    """Whether a piece passes a filter. `tags`: field -> the dimension that tells it."""
    if wanted is None:
        return lambda _piece: True
    values, field = values_of(wanted), wanted["field"]
    return lambda piece: field_of(piece, field, tags) in values


def topology(clusters: Mapping[str, Any]) -> list[Row]:
    """The rows of a map cluster -> namespace or `idle` -> costs by component."""
    parts = {"cpu": "cpu", "ram": "ram", "gpu": "gpu", "pv": "pv", "net": "network", "lb": "lb"}
    found = []
    for cluster, spaces in clusters.items():
        for name, costs in spaces.items():
            only(costs, *parts)
            row: Row = {parts[part]: amount for part, amount in costs.items()}
            row |= {"cluster": cluster, "name": f"{cluster}/{name}", "idle": name == "idle"}
            found.append(row if name == "idle" else row | {"namespace": name})
    return found
