"""A project of many small cases: their charges and samples go in, each case's pieces come out.

Everything between is the product: the bill is ingested as FOCUS, own prices as a cost file, the samples as a usage
file; the run divides them and gives out what pools share. A case has resources, accounts, workloads and pools of its
own, so that all cases with the same settings share one project. What came out is read as reports read it.
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

from tests.oracle.seen import Seen, days_of, pieces_of, quantities_of

from apportion import app
from apportion.tagging.normalise import key_form, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from apportion.app.project import Project

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
PRICES = ("id", "amount", "currency", "per", "start", "end", "billed", "description", "resource_id")
Keys = tuple[tuple[str, tuple[str, ...]], ...]
"""Dimension of the tag room -> the tag keys that tell it."""


class Settings(NamedTuple):
    """`basis` and `idle` of `[metering]`; `keys` of `[tags.keys]`, the labels of all cases where it is empty."""

    basis: str = "max"
    idle: str = "keep"
    keys: Keys = ()


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
    pools: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Id -> what the pool says."""
    tables: dict[str, str] = field(default_factory=dict)
    """Name of a file beside the configuration -> its text."""
    spellings: dict[tuple[str, str], str] = field(default_factory=dict)
    """(dimension, a name) -> the name that is meant by it."""
    prices: list[dict[str, str]] = field(default_factory=list)
    """Lines of the cost file; the project makes charges of them up to October 2026."""

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
        """A charge of a resource; `also`: list_cost, contracted, category, tags, account (instead of the resource), and
        `about`: what it is described as, beside the case.
        """
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
            "ChargeDescription": self.described(also.get("about", "")),
            "ServiceName": "Oracle",
            "ServiceCategory": "Compute",
            "ServiceProviderName": "Oracle",
            "ResourceId": self.id(name) if name else "",
            "ResourceName": "",
            "Tags": json.dumps(also.get("tags") or {}),
        }
        self.charges.append(row | {column: f"{amount:f}" for column, amount in numbers.items()})

    def described(self, about: str = "") -> str:
        """The description of the case's charges: of all of a kind, or of all others."""
        return f"{self.prefix} {about}".rstrip()

    def pool(self, name: str, **says: Any) -> str:
        """A pool of the case; gives its id."""
        pool_id = f"{self.prefix}-pool-{len(self.pools)}"
        self.pools[pool_id] = says
        self.names[name] = pool_id
        return pool_id

    def price(self, name: str, amount: Decimal, per: str, start: datetime, **also: str) -> None:
        """A line of the cost file, of a resource; `also`: end, billed."""
        line = {"id": self.id(name), "amount": f"{amount:f}", "currency": "USD", "per": per}
        line |= {"start": f"{start:%Y-%m-%d}", "description": self.described(), "resource_id": self.id(name)}
        self.prices.append(line | also)

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


def settled(scenes: Sequence[Scene], settings: Settings, tags: Keys) -> dict[int, Seen]:
    """What every scene got, by its number, after one run of all of them. `tags`: the keys where settings name none."""
    seen: dict[int, Seen] = defaultdict(Seen)
    with TemporaryDirectory(prefix="oracle-") as folder:
        root = Path(folder)
        _write(root, scenes, settings, settings.keys or tags)
        with app.open_project(root) as project:
            app.ingest(project)
            app.run(project)
            for no, fault in _faults(project, scenes):
                seen[no].faults.append(fault)
            names = {scene.prefix: {known: name for name, known in scene.names.items()} for scene in scenes}
            run = project.store.current_run()
            for prefix, piece in pieces_of(project.store, run, names):
                seen[int(prefix[1:])].pieces.append(piece)
            for prefix, key, cost in days_of(project.store, run, names):
                seen[int(prefix[1:])].days[key] = cost
            for usage in run.usages:
                for prefix, key, quantity in quantities_of(usage.folder):
                    counted = seen[int(prefix[1:])].quantities
                    counted[key] = counted.get(key, Decimal(0)) + quantity
    return seen


def _faults(project: Project, scenes: Sequence[Scene]) -> Iterator[tuple[int, str]]:
    """What the product found wrong with what a scene delivered; one file of prices is of all scenes that have some."""
    for problem in app.problems(project):
        name = problem.file.split("/")[-1]
        of = [int(name[1:5])] if name[1:5].isdigit() else [scene.no for scene in scenes if scene.prices]
        yield from ((no, f"{problem.code}: {problem.what}") for no in of if name != "bill.csv")


def _write(root: Path, scenes: Sequence[Scene], settings: Settings, keys: Keys) -> None:
    (root / "meters").mkdir()
    charges, prices = ([row for scene in scenes for row in getattr(scene, of)] for of in ("charges", "prices"))
    _csv(root / "bill.csv", BILL, charges)
    _csv(root / "prices.csv", PRICES, prices)
    for scene in scenes:
        if scene.uses:
            _csv(root / "meters" / f"{scene.prefix}.csv", USAGE, scene.uses)
        for name, text in scene.tables.items():
            (root / name).write_text(text, encoding="utf-8")
    bill = '[[sources]]\nid = "bill"\nkind = "focus"\npaths = ["bill.csv"]'
    own = '[[sources]]\nid = "prices"\nkind = "cost_file"\npaths = ["prices.csv"]\n[sources.options]\nuntil = "2026-10"'
    meter = '[[sources]]\nid = "meter"\nkind = "usage_file"\npaths = ["meters"]'
    lines = [
        '[project]\nname = "oracle"',
        *([bill] if charges else []),
        *([own] if prices else []),
        *([meter] if any(scene.uses for scene in scenes) else []),
        "\n".join(["[tags.keys]", *(f"{dimension} = {_toml(list(named))}" for dimension, named in keys)]),
        *_spellings(scenes, keys),
        *(_rule(scene, at, rule) for scene in scenes for at, rule in enumerate(scene.rules)),
        *(_pool(pool_id, says) for scene in scenes for pool_id, says in scene.pools.items()),
        f'[metering]\nbasis = "{settings.basis}"\nidle = "{settings.idle}"',
        *(_weights(scene.id(name), given) for scene in scenes for name, given in scene.weights.items()),
    ]
    (root / "apportion.toml").write_text("\n\n".join(lines) + "\n", encoding="utf-8")


def _spellings(scenes: Sequence[Scene], keys: Keys) -> Iterator[str]:
    """How values are spelled in reports: as the cases do."""
    told = [json.loads(row["labels"]) for scene in scenes for row in scene.uses]
    told += [json.loads(row["Tags"]) for scene in scenes for row in scene.charges]
    for dimension, named in keys:
        forms = {key_form(name) for name in named}
        found = {value for each in told for key, value in each.items() if value and key_form(key) in forms}
        spelled = {plain(value): value for value in sorted(found, reverse=True)}
        meant = {name: name for name in spelled.values()}
        meant |= {odd: name for scene in scenes for (of, odd), name in scene.spellings.items() if of == dimension}
        lines = [f"{json.dumps(odd)} = {json.dumps(name)}" for odd, name in sorted(meant.items())]
        yield "\n".join([f"[tags.values.{dimension}]", *lines])


def _rule(scene: Scene, at: int, rule: tuple[str, str]) -> str:
    when, team = rule
    return f'[[rules]]\nid = "{scene.prefix}-{at}"\nwhen = {{ {when} }}\nset = {{ team = {json.dumps(team)} }}'


def _pool(pool_id: str, says: Mapping[str, Any]) -> str:
    return "\n".join(["[[pools]]", f'id = "{pool_id}"', *(f"{key} = {_toml(value)}" for key, value in says.items())])


def _toml(value: Any) -> str:
    """A value in the words of TOML, on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def _weights(machine: str, given: Mapping[str, Any]) -> str:
    weights = "\n".join(f'{name} = "{given.get(name, 0)}"' for name in ("gpu", "cpu", "memory"))
    return f'[metering.machine_weights.{machine}]\n{weights}\nsource = "the case"'


def _csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _text(moment: datetime) -> str:
    return moment.isoformat() + "Z"
