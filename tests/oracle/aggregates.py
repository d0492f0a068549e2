"""Rows of clusters with their costs by component, and what they add up to by namespace, label, node or cluster.

A node (or a cluster, where idle is of clusters) is one charge, divided by weights of 1 over capacities that equal the
costs of its components; disks, network and load balancers are charges of their own.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.oracle.plan import GIVEN, KEEP, Case, NotApplicable, Plan, StrangeShape, number, only

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.oracle.book import Piece, Scene, Seen
    from tests.oracle.plan import Answer

UNKNOWN, IDLE = "__unallocated__", "__idle__"
MACHINE, OTHERS = ("cpu", "ram", "gpu"), ("pv", "network", "lb")
SHARED = "shared cost (issue #4): a pool is shared between teams"
NEGATIVE = (
    "a negative idle line: use beyond capacity scales to the machine here (design §4), a machine never owes its tenants"
)
EVEN = "idle in even parts: idle goes to who used the machine, to its owner, or stays"
_OPTIONS = ("share_idle", "idle_by", "split_idle", "filter", "merge_unallocated", "share_split")
Row = dict[str, Any]


def rows_of(case: Case, datasets: Mapping[str, Any]) -> list[Row]:
    """The rows a case speaks of: of a data set, or its own."""
    given = case["input"]
    found = datasets.get(given) if isinstance(given, str) else given
    if not isinstance(found, dict) or "rows" not in found:
        raise StrangeShape(f"there is no data set '{given}'")
    return list(found["rows"])


def planned(case: Case, scene: Scene, datasets: Mapping[str, Any], tags: Mapping[str, str]) -> Plan:
    """The plan of a case that says `aggregate_by` and `options`; `tags`: label -> the dimension that is told by it."""
    options = case["options"]
    if "share" in options or "shared_hourly_cost" in options:
        raise NotApplicable(SHARED)
    only(options, *_OPTIONS)
    if options.get("share_idle", "none") == "even":
        raise NotApplicable(EVEN)
    return plan_rows(scene, rows_of(case, datasets), case["aggregate_by"], options, tags)


def plan_rows(
    scene: Scene, rows: Sequence[Row], by: Sequence[str], options: Mapping[str, Any], tags: Mapping[str, str]
) -> Plan:
    """Rows billed and metered, and summed by the fields of `by`."""
    given, splits = options.get("share_idle", "none") == "weighted", bool(options.get("split_idle"))
    if not given and any(number(row.get(part, 0)) < 0 for row in rows for part in MACHINE):
        raise NotApplicable(NEGATIVE)
    place = options.get("idle_by", "cluster")
    _build(scene, rows, place)
    passes = _filter(options.get("filter"))
    merged = bool(options.get("merge_unallocated"))

    def key(piece: Piece) -> str:
        values = [_field(piece, field, tags) for field in by]
        return UNKNOWN if merged and UNKNOWN in values else "/".join(values)

    def idle_key(piece: Piece) -> str:
        return f"{piece.resource}/{IDLE}" if splits else IDLE

    def answer(seen: Mapping[Any, Seen]) -> Answer:
        if options.get("filter") is None:
            return _summed(seen[GIVEN if given else KEEP], key, idle_key)
        return _filtered(seen, key, idle_key, passes, given=given)

    settings = (KEEP, GIVEN) if options.get("filter") is not None else (GIVEN if given else KEEP,)
    return Plan(scene, settings, answer, closed=True)


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
    others: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        _external(scene, row)
        machine = str(row.get(place) or row.get("cluster", ""))
        for part in MACHINE:
            machines[machine][part] += number(row.get(part, 0))
        for part in OTHERS:
            others[str(row.get("cluster", "")), part] += number(row.get(part, 0))
        if not row.get("idle"):
            _work(scene, row, machine)
    for machine, has in machines.items():
        if any(has.values()):
            scene.machine(machine, has={part: amount for part, amount in has.items() if amount})
            scene.charge(machine, sum(has.values(), Decimal(0)))
    for (cluster, part), cost in others.items():
        if cost:
            scene.charge(f"{part} of {cluster}", cost)


def _external(scene: Scene, row: Row) -> None:
    """Cost that the bill gives with its tags: no meter knows of it."""
    if number(row.get("external", 0)):
        scene.charge(f"external {row['name']}", number(row["external"]), tags=_labels(row))


def _work(scene: Scene, row: Row, machine: str) -> None:
    about = {"labels": _labels(row), "name": row.get("pod", row["name"])}
    about["namespace"] = f"{row.get('cluster', '')}/{row.get('namespace', '')}"
    for part in MACHINE:
        if number(row.get(part, 0)):
            scene.hold(row["name"], machine, part, number(row[part]), **about)
    for part in OTHERS:
        if number(row.get(part, 0)):
            name = f"{part} of {row.get('cluster', '')}"
            if part == "pv":
                scene.hold(row["name"], name, part, number(row[part]), **about)
            else:
                scene.use(row["name"], name, "requests", number(row[part]) * 1000, basis="used", **about)


_PLAIN = ("cluster", "node", "namespace", "pod", "container", "controller", "controllerKind")


def _labels(row: Row) -> dict[str, str]:
    """Labels as they are, annotations and what else a row says of its pod each under a name of its own."""
    told = {f"row:{name}": str(row[name]) for name in _PLAIN if row.get(name)}
    if "row:controllerKind" in told:
        told["row:kind and controller"] = f"{row['controllerKind']}:{row['controller']}"
    if row.get("services"):
        told["row:service"] = str(row["services"][0])
    notes = {f"annotation:{name}": str(value) for name, value in row.get("annotations", {}).items()}
    return {**told, **notes, **row.get("labels", {})}


_OF_KIND = ("daemonset", "statefulset", "deployment", "job", "replicaset")


def _field(piece: Piece, field: str, tags: Mapping[str, str]) -> str:
    """The value of a field: of a label the tag room's answer, of anything else what the run's workloads say."""
    if field in tags:
        value = piece.owner[tags[field]]
        return UNKNOWN if value == "unallocated" else value
    known = piece.labels or piece.tags
    if field in ("cluster", "namespace"):
        cluster, _, namespace = piece.namespace.partition("/")
        return (cluster if field == "cluster" else namespace) or UNKNOWN
    return known.get(_key_of(field, known), UNKNOWN)


def _key_of(field: str, known: Mapping[str, str]) -> str:
    """Under which key of a workload's labels the field stands."""
    scope, colon, name = field.partition(":")
    if field in _OF_KIND:
        return "row:controller" if known.get("row:controllerKind") == field else ""
    if field == "controller":
        return "row:kind and controller" if "row:controllerKind" in known else "row:controller"
    if field in _PLAIN or field == "service":
        return f"row:{field}"
    if colon and scope in ("label", "annotation"):
        return name if scope == "label" else field
    raise StrangeShape(f"nobody here knows the field {field}")


def _filter(wanted: Mapping[str, Any] | None) -> Callable[[Piece], bool]:
    if wanted is None:
        return lambda _piece: True
    field, op, value = wanted["field"], wanted["op"], wanted["value"]
    values = value if isinstance(value, list) else [value]
    if op not in ("eq", "in"):
        raise StrangeShape(f"nobody here knows the filter {op}")
    return lambda piece: _field(piece, field, {}) in values


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
