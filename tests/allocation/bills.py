"""Random bills and shares, as small Parquet files in the schemas of `core.tables`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from apportion.core import focus, tables
from apportion.core.arrow import schema
from apportion.core.money import from_quanta

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

MONTH = datetime(2026, 10, 1)
FIRST, LAST = datetime(1, 1, 1), datetime(9999, 12, 31)


@dataclass(frozen=True)
class Bill:
    """Charges as (attribute number, start, metric -> amount), and per attribute number its windows of weights."""

    charges: list[tuple[int, datetime, dict[str, Decimal | None]]]
    windows: dict[int, list[tuple[datetime, datetime, list[int]]]]


def amounts():
    """Credits, zeros, dust of one quantum, sums near the limit: whatever a bill may hold."""
    whole = st.integers(min_value=-(10**36) + 1, max_value=10**36 - 1)
    small = st.integers(min_value=-20, max_value=20)
    cents = st.integers(min_value=-(10**7), max_value=10**7).map(lambda c: c * 10**16)
    return st.one_of(st.none(), small.map(from_quanta), cents.map(from_quanta), whole.map(from_quanta))


@st.composite
def bills(draw):
    """A bill of up to 12 charges over up to 4 attribute numbers, each divided among 1 to 50 owners."""
    numbers = range(1, draw(st.integers(1, 4)) + 1)
    windows = {n: draw(_windows()) for n in numbers}
    starts = st.sampled_from([datetime(2026, 9, 30, 23), MONTH, datetime(2026, 10, 15, 6), datetime(2026, 10, 31, 23)])
    metrics = st.fixed_dictionaries({m: amounts() for m in focus.METRICS})
    charges = draw(st.lists(st.tuples(st.sampled_from(list(numbers)), starts, metrics), max_size=12))
    return Bill(charges, windows)


@st.composite
def _windows(draw):
    weights = st.lists(st.integers(1, 10**12), min_size=1, max_size=50)
    if draw(st.booleans()):
        return [(FIRST, LAST, draw(weights))]
    middle = draw(st.sampled_from([MONTH, datetime(2026, 10, 15)]))
    return [(FIRST, middle, draw(weights)), (middle, LAST, draw(weights))]


def write(bill: Bill, folder: Path) -> dict[str, Path]:
    """The bill as `charges`, `attributes` and `shares` files; returns their paths by table name."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {
        "charges": _charges(bill),
        "attributes": _attributes(bill),
        "shares": _shares(bill),
        "owners": _owners(bill),
    }
    columns = {
        "charges": tables.CHARGES,
        "attributes": tables.ATTRIBUTES,
        "shares": tables.SHARES,
        "owners": tables.OWNERS,
    }
    paths = {}
    for name, found in rows.items():
        full = [{column: row.get(column) for column in columns[name]} for row in found]
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(pa.Table.from_pylist(full, schema=schema(columns[name])), paths[name])
    return paths


def _charges(bill: Bill) -> list[dict]:
    return [
        {"x_ChargeNo": i, "x_AttributeNo": n, "x_FileNo": 1, "x_RowNo": i + 1, "ChargePeriodStart": start, **metrics}
        for i, (n, start, metrics) in enumerate(bill.charges, 1)
    ]


def _attributes(bill: Bill) -> list[dict]:
    text = {"BillingCurrency": "USD", "BillingAccountId": "1", "ServiceName": "S", "BillingPeriodStart": MONTH}
    return [{"x_AttributeNo": n, "Tags": {}, **text} for n in bill.windows]


def _shares(bill: Bill) -> list[dict]:
    return [
        {
            "x_AttributeNo": number,
            "x_ValidFrom": start,
            "x_ValidUntil": end,
            "x_ShareLow": sum(weights[:i]) if len(weights) > 1 else 0,
            "x_ShareHigh": sum(weights[: i + 1]) if len(weights) > 1 else 1,
            "x_ShareWhole": sum(weights) if len(weights) > 1 else 1,
            "x_OwnerNo": i + 1,
        }
        for number, windows in bill.windows.items()
        for start, end, weights in windows
        for i in range(len(weights))
    ]


def _owners(bill: Bill) -> list[dict]:
    most = max(len(weights) for windows in bill.windows.values() for _, _, weights in windows)
    return [{"x_OwnerNo": i + 1, **dict.fromkeys(tables.OWNER, f"owner-{i}")} for i in range(most)]
