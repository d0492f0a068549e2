"""Small books written by hand: charges with their owners become snapshots and a run in a real store."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from apportion.allocation.direct import allocate, totals
from apportion.allocation.owners import numbered
from apportion.core import focus, tables
from apportion.core.arrow import conform, schema
from apportion.core.config import version_of
from apportion.core.period import Month
from apportion.core.targets import DIMENSIONS
from apportion.engine import duck
from apportion.reports.reading.change import plus
from apportion.store.records import Part, Run, Scope, Snapshot, SnapshotDraft

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from apportion.store import Store

START, END = Month(1, 1).start, Month(9999, 1).start


def owner(
    unit: str = "unallocated", *, tier: str = "T1", rule: str = "tag:team@1", **dimensions: str
) -> dict[str, str]:
    """A whole owner; what is not given is unallocated."""
    columns = {"x_BusinessUnit": unit}
    for name in DIMENSIONS:
        word, value = name.capitalize(), dimensions.get(name)
        columns |= {f"x_{word}": value or "unallocated"}
        columns |= {f"x_{word}Evidence": tier if value else "T5", f"x_{word}RuleId": rule if value else "none"}
    return columns


@dataclass
class Charge:
    """A charge and its shares: (parts, owner) each; `values` are FOCUS columns."""

    shares: list[tuple[int, dict[str, str]]]
    values: dict[str, Any] = field(default_factory=dict)


def charge(month: str, cost: str | None, *shares: tuple[int, dict[str, str]], **values: Any) -> Charge:
    """A charge of one day of the month with BilledCost `cost`."""
    start = Month.parse(month).start
    given = {
        "BilledCost": None if cost is None else Decimal(cost),
        "BillingCurrency": "USD",
        "BillingAccountId": "A-1",
        "ServiceName": "Compute",
        "ServiceProviderName": "Cloud One",
        "ChargeCategory": "Usage",
        "BillingPeriodStart": start,
        "BillingPeriodEnd": Month.parse(month).end,
        "ChargePeriodStart": start,
        "ChargePeriodEnd": start.replace(day=2),
    }
    return Charge(list(shares), given | values)


def post(store: Store, charges: list[Charge], extras: dict[int, dict[str, str]] | None = None) -> Run:
    """The charges as one snapshot per currency-free scope (account, month), published, allocated and posted as a run.

    `extras`: place of the charge in the list -> its columns that are not FOCUS.
    """
    by_scope: dict[tuple[str, datetime], list[int]] = {}
    for place, each in enumerate(charges):
        by_scope.setdefault((each.values["BillingAccountId"], each.values["BillingPeriodStart"]), []).append(place)
    pairs = []
    for (account, start), places in sorted(by_scope.items()):
        chosen = [charges[place] for place in places]
        pairs.append(_snapshot(store, account, start, chosen, [(extras or {}).get(place, {}) for place in places]))
    return _run(store, pairs)


def post_current(store: Store, owners: Callable[[dict[str, Any]], list[tuple[int, dict[str, str]]]]) -> Run:
    """The current snapshots of the store posted as a run; `owners` gives the shares of a row of `attributes`."""
    pairs = []
    for snapshot in store.current_snapshots():
        rows = pq.read_table(snapshot.attributes).to_pylist()
        shares = [share for row in rows for share in _shares(row["x_AttributeNo"], owners(row))]
        pairs.append((snapshot, _share_table(shares)))
    return _run(store, pairs)


def _run(store: Store, pairs: list[tuple[Snapshot, pa.Table]]) -> Run:
    parts: list[Part] = []
    staged: dict[str, Path] = {}
    for snapshot, shares in pairs:
        part, folder = _part(store, snapshot, shares)
        parts.append(part)
        staged[part.id] = folder
    sums = _added([part.totals for part in parts])
    run = Run(
        id=version_of(sorted(staged)),
        engine="duckdb",
        app_version="1",
        ownership_version="1",
        config="",
        parts=tuple(parts),
        totals_in=sums,
        totals_out=sums,
    )
    return store.publish_run(run, staged)


def _snapshot(
    store: Store, account: str, start: datetime, charges: list[Charge], extras: list[dict[str, str]]
) -> tuple[Snapshot, pa.Table]:
    texts: list[tuple[Any, ...]] = []
    rows: list[dict[str, Any]] = []
    shares: list[dict[str, Any]] = []
    for no, each in enumerate(charges, 1):
        text = {name: each.values.get(name) for name in tables.ATTRIBUTES if name != "x_AttributeNo"}
        key = (*text.items(), repr(each.shares))
        if repr(key) not in [repr(seen) for seen in texts]:
            texts.append(key)
            shares += _shares(len(texts), each.shares)
        attribute = [repr(seen) for seen in texts].index(repr(key)) + 1
        numbers = {name: each.values.get(name) for name in tables.CHARGES if not name.startswith("x_")}
        rows.append(
            {"x_ChargeNo": no, "x_AttributeNo": attribute, "x_FileNo": 1, "x_RowNo": no + 1, "x_Repairs": None}
            | numbers
        )
    attributes = [{"x_AttributeNo": no} | dict(key[:-1]) for no, key in enumerate(texts, 1)]
    folder = store.stage()
    _write(folder / "charges.parquet", rows, tables.CHARGES)
    _write(folder / "attributes.parquet", attributes, tables.ATTRIBUTES)
    _write_extras(folder, extras)
    scope = Scope("hand", account, Month(start.year, start.month))
    found: dict[str, dict[str, Decimal]] = {}
    draft = Snapshot(
        id=version_of([repr(rows), repr(attributes), repr(extras)]),
        scope=scope,
        kind="focus",
        form="FOCUS 1.3",
        rows=len(rows),
        rejected=0,
        totals=found,
        files=(),
        folder=folder,
    )
    (snapshot,) = store.publish_snapshots([SnapshotDraft(draft)])
    return snapshot, _share_table(shares)


def _share_table(shares: list[dict[str, Any]]) -> pa.Table:
    order = ("x_AttributeNo", "x_ValidFrom", "x_ShareLow")
    return conform(pa.Table.from_pylist(shares, schema(tables.RESOLVED)), tables.RESOLVED, order=order)


def _shares(attribute: int, given: list[tuple[int, dict[str, str]]]) -> list[dict[str, Any]]:
    whole, low, rows = sum(parts for parts, _ in given), 0, []
    for parts, owned in given:
        bounds = {"x_ShareLow": low, "x_ShareHigh": low + parts, "x_ShareWhole": whole}
        rows.append({"x_AttributeNo": attribute, "x_ValidFrom": START, "x_ValidUntil": END} | bounds | owned)
        low += parts
    return rows


def _part(store: Store, snapshot: Snapshot, shares: pa.Table) -> tuple[Part, Path]:
    folder = store.stage()
    with duck.session(memory="500MB", threads=1) as db:
        shares, owners = numbered(db, shares)
        pq.write_table(shares, folder / "shares.parquet")
        pq.write_table(owners, folder / "owners.parquet")
        allocations = allocate(
            db,
            charges=snapshot.charges,
            attributes=snapshot.attributes,
            shares=folder / "shares.parquet",
            owners=folder / "owners.parquet",
        )
    pq.write_table(allocations, folder / "allocations.parquet")
    part = Part(
        id="p" + snapshot.id,
        snapshot_id=snapshot.id,
        period=snapshot.scope.period,
        totals=totals(allocations),
        folder=folder,
    )
    return part, folder


def _write(path: Path, rows: list[dict[str, Any]], columns: dict[str, str]) -> None:
    table = pa.Table.from_pylist(rows, schema(columns))
    pq.write_table(table, path)


def _write_extras(folder: Path, extras: list[dict[str, str]]) -> None:
    names = sorted({name for each in extras for name in each})
    if names:
        rows = [{"x_ChargeNo": no} | {name: each.get(name) for name in names} for no, each in enumerate(extras, 1)]
        kinds = [("x_ChargeNo", pa.int64()), *((name, pa.string()) for name in names)]
        pq.write_table(pa.Table.from_pylist(rows, pa.schema(kinds)), folder / "extras.parquet")


def _added(found: list[dict[str, dict[str, Decimal]]]) -> dict[str, dict[str, Decimal]]:
    sums: dict[str, dict[str, Decimal]] = {}
    for each in found:
        for currency, amounts in each.items():
            for metric, amount in amounts.items():
                known = sums.setdefault(currency, {})
                known[metric] = plus(known.get(metric, Decimal(0)), amount)
    return sums


def amounts(metric_values: dict[str, str]) -> dict[str, Decimal]:
    """Metrics as decimals."""
    assert set(metric_values) <= {*focus.METRICS, *focus.PRICES}
    return {name: Decimal(value) for name, value in metric_values.items()}
