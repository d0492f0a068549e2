"""Rows of clusters of which some are shared by the others, as pools; OpenCost's options in the words of `[[pools]]`.

A user writes: the fields to sum by as `[tags.keys]`; what is shared, the overhead and the idle of each machine as a
pool each. Idle has a pool where it is given out: the bill lists cores, memory and GPUs of a machine apart, and the idle
of each goes to who used it, to the shared rows too, which pass it on. Weights are then costs before idle.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.oracle.aggregates import (
    IDLE,
    MACHINE,
    UNKNOWN,
    UNMOUNTED,
    about,
    build_others,
    field_of,
    keys_of,
    machine_of,
    negative,
    passing,
    plan_rows,
    refuse_below_nothing,
    rows_of,
    values_of,
)
from tests.oracle.book import HOUR, START, Settings
from tests.oracle.plan import NotApplicable, Plan, StrangeShape, number, only

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.oracle.aggregates import Row
    from tests.oracle.book import Scene
    from tests.oracle.plan import Answer, Case
    from tests.oracle.seen import Piece, Seen

EVEN = "OpenCost shares no idle in even parts between rows: it takes that option for none"
DIMENSIONS = ("team", "project", "model", "environment")
GRAINS = ("team", "project", "model")
ANYBODY = ".*"
WINDOW = 24
_OPTIONS = ("share_idle", "idle_by", "split_idle", "filter", "merge_unallocated", "share_split", "share")
Fields = dict[str, str]
"""Field -> the dimension that tells it."""


def planned(case: Case, scene: Scene, datasets: Mapping[str, Any], tags: Mapping[str, str]) -> Plan:
    """The plan of a case that says `aggregate_by` and `options`; `tags`: label -> the dimension that is told by it."""
    options = case["options"]
    only(options, *_OPTIONS, "shared_hourly_cost")
    if options.get("share_idle", "none") == "even":
        raise NotApplicable(EVEN)
    rows = rows_of(case, datasets)
    if "share" not in options and "shared_hourly_cost" not in options:
        return plan_rows(scene, rows, case["aggregate_by"], options, tags)
    of = datasets.get(case["input"], {}) if isinstance(case["input"], str) else case["input"]
    return plan_shared(scene, rows, case["aggregate_by"], {"hours": of.get("window_hours", WINDOW), **options})


def plan_shared(scene: Scene, rows: Sequence[Row], by: Sequence[str], options: Mapping[str, Any]) -> Plan:
    """Rows billed, metered and shared, and summed by the fields of `by`.

    Beside OpenCost's, `options` has `hours` of overhead, and `with_idle` where the weights are costs after idle.
    """
    even = {"even": True, "weighted": False}[options.get("share_split", "weighted")]
    given = options.get("share_idle", "none") == "weighted"
    fields = _fields(by, options, even=even)
    settings = Settings("max", "keep", tuple((dimension, keys_of(field)) for field, dimension in fields.items()))
    place = options.get("idle_by", "cluster")
    machines = _machines(scene, rows, place)
    _pools(
        scene, rows, options, fields, machines if given or options.get("filter") else {}, grain=_grain(by, even=even)
    )
    build_others(scene, rows)
    read = _Reader(by, options, fields, machines, even=even, given=given)
    differs = "" if given and even else negative(rows)
    return Plan(scene, (settings,), lambda seen: read.answer(seen[settings]), closed=True, differs=differs)


def _fields(by: Sequence[str], options: Mapping[str, Any], *, even: bool) -> Fields:
    """A dimension for each field to sum by, and, as far as there are others, for those that choose rows."""
    if len(by) > len(DIMENSIONS):
        raise StrangeShape(f"there are {len(DIMENSIONS)} dimensions, not {len(by)}")
    found = dict(zip(by, DIMENSIONS, strict=False))
    free = list(DIMENSIONS[len(by) :]) if not even or len(by) < len(GRAINS) else []
    for chooser in ("share", "filter"):
        field = (options.get(chooser) or {}).get("field")
        if field and field not in found and free:
            found[field] = free.pop()
    return found


def _grain(by: Sequence[str], *, even: bool) -> str:
    """Each thing that is summed gets one even part; parts by weight add up, whoever gets them."""
    return GRAINS[min(len(by), len(GRAINS)) - 1] if even else "job"


def _machines(scene: Scene, rows: Sequence[Row], place: str) -> dict[str, str]:
    """A charge for each component of each node or cluster; gives the machine of each. Who is there meters them all."""
    machines: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for row in rows:
        for part in MACHINE:
            machines[machine_of(row, place)][part] += number(row.get(part, 0))
    refuse_below_nothing(machines)
    found = {}
    for machine, has in machines.items():
        here = [row for row in rows if machine_of(row, place) == machine and not row.get("idle")]
        for part, cost in has.items():
            if cost:
                name = f"{part} of {machine}"
                found[name] = machine
                scene.machine(name, has={part: cost})
                scene.charge(name, cost)
                for row in here:
                    scene.hold(row["name"], name, part, number(row.get(part, 0)), **about(row))
                if not here:
                    scene.hold("kubelet", name, part, Decimal(0))
    return found


def _pools(
    scene: Scene,
    rows: Sequence[Row],
    options: Mapping[str, Any],
    fields: Fields,
    machines: Mapping[str, str],
    *,
    grain: str,
) -> None:
    """The pools of a case: one for idle, one for each machine where lines of idle are told apart by it.

    `machines`: component -> machine, of those whose idle is given out.
    """
    mine = {"charge_description": scene.described()}
    receivers = {**mine, "team_matches": ANYBODY}
    method = "proportional_cost" if grain == "job" else "even"
    gives: dict[str, Any] = {"method": method, "grain": grain, "receivers": receivers}
    gives |= {"with_shared": True} if options.get("with_idle") else {}
    feeds = []
    if options.get("share"):
        when = {**mine, **_chosen(scene, rows, options["share"], fields)}
        feeds = [{"pool": scene.pool("shared", when=when, stage=2, **gives)}]
    if "shared_hourly_cost" in options:
        for hour in range(int(options["hours"])):
            at = START + timedelta(hours=hour)
            scene.charge("", number(options["shared_hourly_cost"]), at, at + HOUR, about="overhead", account="overhead")
        scene.pool("overhead", when={"charge_description": scene.described("overhead")}, stage=2, **gives)
    idle = {"within": ["resource"], "grain": "job", "receivers": receivers, **({"to_pools": feeds} if feeds else {})}
    if options.get("split_idle"):
        for machine in dict.fromkeys(machines.values()):
            parts = [scene.id(name) for name, of in machines.items() if of == machine]
            scene.pool(f"idle of {machine}", when={**mine, "kind": "idle", "resource_id": parts}, **idle)
    elif machines:
        scene.pool("idle", when={**mine, "kind": "idle"}, **idle)


def _chosen(scene: Scene, rows: Sequence[Row], share: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """The rows that are shared: by the dimension that tells the field, else by their workloads."""
    values = values_of(share)
    if share["field"] in fields:
        return {fields[share["field"]]: ["unallocated" if value == UNKNOWN else value for value in values]}
    keys = keys_of(share["field"])
    told = {row["name"]: next((of[key] for key in keys if key in of), UNKNOWN) for row in rows for of in [_told(row)]}
    return {"job": [f"{scene.prefix}/{name}" for name, value in told.items() if value in values]}


def _told(row: Row) -> dict[str, str]:
    return dict(about(row)["labels"])


class _Reader:
    """Sums what a run gave by the fields of a case, and idle apart where it is kept apart."""

    def __init__(
        self,
        by: Sequence[str],
        options: Mapping[str, Any],
        fields: Fields,
        machines: Mapping[str, str],
        *,
        even: bool,
        given: bool,
    ) -> None:
        self.by, self.options, self.fields, self.machines = by, options, fields, machines
        self.even, self.given = even, given
        self.filter = options.get("filter")

    def answer(self, seen: Seen) -> Answer:
        """Key -> cost. An even part is of a whole key: it passes a filter where any of the key's own work does."""
        chosen = passing(self.filter, self.fields)
        own = [piece for piece in seen.pieces if not piece.pool and piece.kind != "idle"]
        through = {self._key(piece) for piece in own if chosen(piece) and UNMOUNTED not in piece.resource}
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for piece in seen.pieces:
            if piece.kind == "idle":
                if self.filter is None:
                    sums[self._idle_key(piece)] += piece.cost
            elif self._key(piece) in through if self.even and piece.pool and not piece.workload else chosen(piece):
                apart = piece.origin == "idle" and not self.given
                sums[self._idle_key(piece) if apart else self._key(piece)] += piece.cost
        return dict(sums)

    def _key(self, piece: Piece) -> str:
        values = [field_of(piece, field, self.fields) for field in self.by]
        return UNKNOWN if self.options.get("merge_unallocated") and UNKNOWN in values else "/".join(values)

    def _idle_key(self, piece: Piece) -> str:
        """The line of idle: of the machine, where idle is told apart by machines."""
        if not self.options.get("split_idle"):
            return IDLE
        machine = piece.pool.removeprefix("idle of ") if piece.pool else self.machines[piece.resource]
        return f"{machine}/{IDLE}"
