"""A project of many small cases: their charges and samples go in, each case's pieces come out.

Everything between is the product: the bill is ingested as FOCUS, the samples as a usage file, and the run divides them.
A case has resources, accounts and workloads of its own, so that all cases with the same settings share one project.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

from apportion import app

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

START = datetime(2026, 10, 1, 8)
HOUR = timedelta(hours=1)
UNITS = {"gpu": ("gpu_seconds", "gpu_hours"), "cpu": ("cpu_core_seconds", "cpu_hours")}
UNITS |= {"ram": ("memory_byte_seconds", "gib_hours"), "pv": ("storage_byte_seconds", "gib_hours")}
"""Component -> measure and unit: one of it for an hour is one hour of a GPU, of a core, of a GiB."""

BILL = (
    *("BillingAccountId", "SubAccountId", "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd"),
    *("ChargePeriodStart", "ChargePeriodEnd", "ChargeCategory", "ChargeDescription", "ServiceName", "ServiceCategory"),
    *("ServiceProviderName", "ResourceId", "ResourceName", "BilledCost", "EffectiveCost", "ListCost"),
    *("ContractedCost", "Tags"),
)
USAGE = (
    *("start", "end", "workload", "workload_kind", "measure", "quantity", "unit", "basis", "resource_id"),
    *("instance_type", "account", "name", "namespace", "model", "labels"),
)


class Settings(NamedTuple):
    """`basis` and `idle` of `[metering]`."""

    basis: str = "max"
    idle: str = "keep"


@dataclass
class Scene:
    """What one case bills and meters; `no` keeps its names apart from those of all other cases."""

    no: int
    charges: list[dict[str, str]] = field(default_factory=list)
    uses: list[dict[str, str]] = field(default_factory=list)
    weights: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    rules: list[tuple[str, str]] = field(default_factory=list)
    """(`when` as TOML, team), in order; `account` of the rule is for the case to give."""
    names: dict[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """What every name of the case begins with."""
        return f"c{self.no:04d}"

    def id(self, name: str) -> str:
        """The id of a resource or account of the case."""
        return self.names.setdefault(name, f"{self.prefix}-{len(self.names)}")

    def charge(
        self, name: str, cost: Decimal, start: datetime = START, end: datetime | None = None, **also: Any
    ) -> None:
        """A charge of a resource; `also`: list_cost, contracted, category, tags, account (instead of the resource)."""
        account = self.id(also["account"]) if "account" in also else f"{self.prefix}-account"
        month = datetime(start.year, start.month, 1)
        numbers = {"BilledCost": cost, "EffectiveCost": cost, "ListCost": also.get("list_cost", cost)}
        numbers["ContractedCost"] = also.get("contracted", cost)
        row = {
            "BillingAccountId": "oracle",
            "SubAccountId": account,
            "BillingCurrency": "USD",
            "BillingPeriodStart": _text(month),
            "BillingPeriodEnd": _text((month + timedelta(days=32)).replace(day=1)),
            "ChargePeriodStart": _text(start),
            "ChargePeriodEnd": _text(end or start + HOUR),
            "ChargeCategory": also.get("category", "Usage"),
            "ChargeDescription": self.prefix,
            "ServiceName": "Oracle",
            "ServiceCategory": "Compute",
            "ServiceProviderName": "Oracle",
            "ResourceId": self.id(name) if name else "",
            "ResourceName": "",
            "Tags": json.dumps(also.get("tags") or {}),
        }
        self.charges.append(row | {column: f"{amount:f}" for column, amount in numbers.items()})

    def use(self, workload: str, on: str, measure: str, quantity: Decimal, **also: Any) -> None:
        """A sample; without a workload it is capacity. `also`: unit, basis, start, end, labels, account, …"""
        start = also.pop("start", START)
        end = also.pop("end", start + HOUR)
        row = {"start": _text(start), "end": _text(end), "measure": measure, "quantity": f"{quantity:f}"}
        row["basis"] = also.pop("basis", "requested") if workload else "capacity"
        row["workload"] = f"{self.prefix}/{workload}" if workload else ""
        row["resource_id"] = self.id(on) if on else ""
        row["instance_type"] = self.id(on) if on in self.weights else ""
        row["account"] = self.id(also.pop("account")) if "account" in also else ""
        row["labels"] = json.dumps(also.pop("labels", {}))
        self.uses.append(row | {column: str(value) for column, value in also.items()})

    def machine(
        self, name: str, *, has: Mapping[str, Decimal], weights: Mapping[str, Any] | None = None, **when: datetime
    ) -> None:
        """A resource that has so many GPUs, cores and GiB for its time (an hour, if nothing else is said)."""
        self.weights[name] = weights or {"gpu": 1, "cpu": 1, "memory": 1}
        for component, amount in has.items():
            self.hold("", name, component, amount, **when)

    def hold(self, workload: str, on: str, component: str, amount: Decimal, **also: Any) -> None:
        """`amount` hours of a component, in all, held by a workload."""
        measure, unit = UNITS[component]
        self.use(workload, on, measure, amount, unit=unit, **also)


@dataclass(frozen=True)
class Piece:
    """A sum of pieces of one case: of one resource, to one owner, with what the run knows of the workload."""

    resource: str
    workload: str
    kind: str
    owner: Mapping[str, str]
    labels: Mapping[str, str]
    tags: Mapping[str, str]
    namespace: str
    account: str
    category: str
    cost: Decimal
    list_cost: Decimal
    contracted: Decimal


@dataclass
class Seen:
    """What a run gave one case. Names are the case's own again."""

    pieces: list[Piece] = field(default_factory=list)
    quantities: dict[tuple[str, str, str], Decimal] = field(default_factory=dict)
    """(workload, measure, basis) -> quantity of the run's usage."""
    faults: list[str] = field(default_factory=list)

    def cost(self, **wanted: str) -> Decimal:
        """The effective cost of the pieces with these values (`workload`, `resource`, `kind`, `category`)."""
        return self.sum("cost", **wanted)

    def sum(self, what: str, **wanted: str) -> Decimal:
        """The sum of one amount of the pieces."""
        found = (p for p in self.pieces if all(getattr(p, name) == value for name, value in wanted.items()))
        return sum((getattr(piece, what) for piece in found), Decimal(0))


def settled(scenes: Sequence[Scene], settings: Settings, tags: Mapping[str, str]) -> dict[int, Seen]:
    """The pieces of every scene, by its number, after one run of all of them. `tags`: dimension -> tag key."""
    seen: dict[int, Seen] = defaultdict(Seen)
    with TemporaryDirectory(prefix="oracle-") as folder:
        root = Path(folder)
        _write(root, scenes, settings, tags)
        with app.open_project(root) as project:
            app.ingest(project)
            app.run(project)
            for problem in app.problems(project):
                if problem.file.split("/")[-1][1:5].isdigit():
                    no = int(problem.file.split("/")[-1][1:5])
                    seen[no].faults.append(f"{problem.code}: {problem.what}")
            run = project.store.current_run()
            by_prefix = {scene.prefix: scene for scene in scenes}
            for part in run.parts:
                attributes = project.store.snapshot(part.snapshot_id).attributes
                _pieces(
                    seen,
                    by_prefix,
                    part.allocations,
                    attributes,
                    [u.folder for u in run.usages if u.period == part.period],
                )
            for usage in run.usages:
                _quantities(seen, usage.folder)
    return seen


def _write(root: Path, scenes: Sequence[Scene], settings: Settings, tags: Mapping[str, str]) -> None:
    (root / "meters").mkdir()
    _csv(root / "bill.csv", BILL, [row for scene in scenes for row in scene.charges])
    for scene in scenes:
        if scene.uses:
            _csv(root / "meters" / f"{scene.prefix}.csv", USAGE, scene.uses)
    keys = "\n".join(f"{dimension} = [{json.dumps(key)}]" for dimension, key in tags.items())
    lines = [
        '[project]\nname = "oracle"',
        '[[sources]]\nid = "bill"\nkind = "focus"\npaths = ["bill.csv"]',
        '[[sources]]\nid = "meter"\nkind = "usage_file"\npaths = ["meters"]',
        f"[tags.keys]\n{keys}",
        *(_rule(scene, at, rule) for scene in scenes for at, rule in enumerate(scene.rules)),
        f'[metering]\nbasis = "{settings.basis}"\nidle = "{settings.idle}"',
        *(_weights(scene.id(name), given) for scene in scenes for name, given in scene.weights.items()),
    ]
    (root / "apportion.toml").write_text("\n\n".join(lines) + "\n", encoding="utf-8")


def _rule(scene: Scene, at: int, rule: tuple[str, str]) -> str:
    when, team = rule
    return f'[[rules]]\nid = "{scene.prefix}-{at}"\nwhen = {{ {when} }}\nset = {{ team = {json.dumps(team)} }}'


def _weights(machine: str, given: Mapping[str, Any]) -> str:
    weights = "\n".join(f'{name} = "{given.get(name, 0)}"' for name in ("gpu", "cpu", "memory"))
    return f'[metering.machine_weights.{machine}]\n{weights}\nsource = "the case"'


def _csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


_PIECES = """
SELECT a.ChargeDescription, a.ResourceId, a.SubAccountId, a.Tags, s.ChargeCategory, s.x_WorkloadId, s.x_WorkloadKind,
       s.x_Team, s.x_Project, s.x_Model, s.x_Environment, s.EffectiveCost, s.ListCost, s.ContractedCost
FROM read_parquet($allocations) AS s
JOIN read_parquet($attributes) AS a ON a.x_AttributeNo = s.x_AttributeNo
ORDER BY ALL
"""


def _pieces(
    seen: dict[int, Seen], scenes: Mapping[str, Scene], allocations: Path, attributes: Path, usages: Sequence[Path]
) -> None:
    works: dict[str, tuple[dict[str, str], str]] = {}
    for usage in usages:
        sql = "SELECT x_WorkloadId, x_Labels, x_Namespace FROM read_parquet($1)"
        for work, labels, namespace in duckdb.execute(sql, [str(usage / "workloads.parquet")]).fetchall():
            works[work] = (dict(labels or {}), namespace or "")
    rows = duckdb.execute(_PIECES, {"allocations": str(allocations), "attributes": str(attributes)}).fetchall()
    for prefix, resource, account, tags, category, work, kind, *owner, cost, list_cost, contracted in rows:
        named = {known: name for name, known in scenes[prefix].names.items()}
        labels, namespace = works.get(work or "", ({}, ""))
        seen[scenes[prefix].no].pieces.append(
            Piece(
                resource=named.get(resource or "", ""),
                workload=(work or "").removeprefix(f"{prefix}/"),
                kind=kind or "",
                owner=dict(zip(("team", "project", "model", "environment"), owner, strict=True)),
                labels=labels,
                tags=dict(tags or {}),
                namespace=namespace,
                account=named.get(account, ""),
                category=category,
                cost=cost,
                list_cost=list_cost,
                contracted=contracted,
            )
        )


_QUANTITIES = """
SELECT w.x_WorkloadId, u.x_Measure, u.x_Basis, sum(u.x_Quantity)
FROM read_parquet($usage) AS u JOIN read_parquet($workloads) AS w ON w.x_WorkloadNo = u.x_WorkloadNo
GROUP BY ALL ORDER BY ALL
"""


def _quantities(seen: dict[int, Seen], folder: Path) -> None:
    files = {name: str(folder / f"{name}.parquet") for name in ("usage", "workloads")}
    for work, measure, basis, quantity in duckdb.execute(_QUANTITIES, files).fetchall():
        prefix, _, name = work.partition("/")
        seen[int(prefix[1:])].quantities[name, measure, basis] = quantity


def _text(moment: datetime) -> str:
    return moment.isoformat() + "Z"
