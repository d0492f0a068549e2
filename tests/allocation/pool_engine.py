"""The same rows and pools given to the SQL of `allocation.pooling`, and its answer in the words of the reference."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from tests.allocation.pool_facts import REPORTED, Metrics, Row, To, Use, add, floor, meets

from apportion.allocation.pool_rows import RECEIVER, numbered
from apportion.allocation.pooling import share
from apportion.core import focus, tables
from apportion.core.arrow import schema
from apportion.core.money import from_quanta, quanta
from apportion.core.targets import COLUMNS
from apportion.engine import duck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.core.config import Pool
    from apportion.engine.duck import DuckDb

MONTH = datetime(2026, 10, 1)
_REPORTED = {
    "billing_account": "BillingAccountId",
    "account": "SubAccountId",
    "provider": "ServiceProviderName",
    "service": "ServiceName",
    "service_category": "ServiceCategory",
    "charge_category": "ChargeCategory",
}
_FURTHER = {"invoice": "x_Invoice", "resource": "x_Resource", "cluster": "x_Cluster", "region": "x_Region"}
_KEYS = {
    "provider": "x_Provider",
    "account": "x_Account",
    "resource": "x_Resource",
    "cluster": "x_Cluster",
    "region": "x_Region",
}
_USAGE = {
    **dict.fromkeys((*RECEIVER, *_KEYS.values(), "x_Measure"), "VARCHAR"),
    "x_Hour": "TIMESTAMP",
    "quantity": "BIGINT",
}


@dataclass(frozen=True)
class Answer:
    """What the engine gave. A cell is (pool, currency, keys, bucket, its parts, its whole)."""

    taken: dict[tuple[int, str, tuple], Metrics]
    shared: dict[tuple, Metrics]
    tables: dict[str, pa.Table]


def by_engine(rows: Sequence[Row], uses: Sequence[Use], pools: Sequence[Pool]) -> Answer:
    """Runs the engine in a session of its own."""
    with duck.session() as db:
        numbers = numbered(pools)
        for name, time in (("before_rows", "month"), ("before_rows_day", "day"), ("before_rows_hour", "hour")):
            db.register(name, _before(rows, numbers, time))
        db.register("usage_rows", _table(_USAGE, [_use(use) for use in uses]))
        share(db, numbers)
        return _answer(db, {no: pool.id for no, pool in numbers.items()})


def _table(columns: dict[str, str], rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows], schema=schema(columns))


def _before(rows: Sequence[Row], pools: dict[int, Pool], time: str) -> pa.Table:
    flags = [f"{word}_{no}" for no in pools for word in ("when", "basis", "from")]
    columns = {
        "x_PartNo": "INTEGER",
        **tables.ALLOCATIONS,
        "x_Bucket": "TIMESTAMP",
        **dict.fromkeys(_FURTHER.values(), "VARCHAR"),
    }
    found = [line for row in rows for line in _lines(row, time)]
    made = _table(columns, found)
    asked = {row.no: _flags(row, pools) for row in rows}
    for flag in flags:
        made = made.append_column(flag, pa.array([asked[line["x_OwnerNo"]][flag] for line in found], pa.bool_()))
    return made


def _flags(row: Row, pools: dict[int, Pool]) -> dict[str, bool]:
    asked = {}
    for no, pool in pools.items():
        asked[f"when_{no}"] = meets(pool.when.charge, row)
        asked[f"basis_{no}"] = meets(pool.basis_when, row)
        asked[f"from_{no}"] = meets(pool.receivers.charge, row)
    return asked


def _lines(row: Row, time: str) -> list[dict[str, Any]]:
    """One line per time in which the row has charges."""
    sums: dict[datetime | None, Metrics] = {}
    counts: dict[datetime | None, int] = {}
    for charge in row.charges:
        bucket = charge.bucket(time)
        add(sums.setdefault(bucket, {}), charge.metrics)
        counts[bucket] = counts.get(bucket, 0) + 1
    same = {
        "x_PartNo": 1,
        "x_AttributeNo": row.no // 10,
        "x_OwnerNo": row.no,
        **{COLUMNS[name]: value for name, value in row.owner.items()},
        "x_WorkloadKind": row.kind,
        "x_WorkloadId": row.job,
        "BillingPeriodStart": MONTH,
        "BillingCurrency": row.currency,
        **{column: row.fields.get(name) for name, column in {**_REPORTED, **_FURTHER}.items()},
    }
    return [
        {
            **same,
            "x_Bucket": bucket,
            "x_ChargeCount": counts[bucket],
            "x_PieceCount": counts[bucket],
            **{name: None if size is None else from_quanta(size) for name, size in metrics.items()},
        }
        for bucket, metrics in sums.items()
    ]


def _use(use: Use) -> dict[str, Any]:
    return {
        **{COLUMNS[name]: value for name, value in use.owner.items()},
        "x_WorkloadKind": use.kind,
        "x_WorkloadId": use.job,
        **{column: use.fields.get(name) for name, column in _KEYS.items()},
        "x_Measure": use.measure,
        "x_Hour": floor(use.hour, "hour"),
        "quantity": use.quantity,
    }


def _answer(db: DuckDb, ids: dict[int, str]) -> Answer:
    made = {name: db.table(f"SELECT * FROM {name}") for name in ("cells", "weights", "receivers", "taken", "flows")}
    receivers = {row["x_ReceiverNo"]: tuple(row[name] for name in RECEIVER) for row in made["receivers"].to_pylist()}
    parts: dict[int, list[tuple[To, int, int]]] = {}
    for row in made["weights"].to_pylist():
        if row["x_ShareHigh"] > row["x_ShareLow"]:
            to: To = (row["x_ToPoolNo"] or 0, receivers.get(row["x_ReceiverNo"], ()))
            parts.setdefault(row["x_CellNo"], []).append((to, row["x_ShareLow"], row["x_ShareHigh"]))
    cells = {
        row["x_CellNo"]: (
            *(ids[row["x_PoolNo"]], row["BillingCurrency"], tuple(row["x_Keys"]), row["x_Bucket"]),
            *(tuple(sorted(parts[row["x_CellNo"]], key=lambda part: part[1])), row["x_ShareWhole"]),
        )
        for row in made["cells"].to_pylist()
    }
    taken: dict[tuple[int, str, tuple], Metrics] = {}
    for row in made["taken"].to_pylist():
        add(taken.setdefault((row["x_OwnerNo"], ids[row["x_PoolNo"]], cells[row["x_CellNo"]]), {}), _metrics(row))
    shared: dict[tuple, Metrics] = {}
    for row in made["flows"].to_pylist():
        if row["x_ToPoolNo"] is None:
            reported = tuple(row[_REPORTED[name]] for name in REPORTED)
            origin = (row["x_OriginTeam"], row["x_OriginKind"])
            path = tuple(row["x_Path"].split(" > "))
            key = (reported, row["BillingCurrency"], origin, path, receivers[row["x_ReceiverNo"]])
            add(shared.setdefault(key, {}), _metrics(row))
    return Answer(taken, shared, made)


def _metrics(row: dict[str, Any]) -> Metrics:
    return {name: None if row[name] is None else quanta(row[name]) for name in focus.METRICS}
