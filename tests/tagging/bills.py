"""Small `attributes` files and configurations for the tests of tagging."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from apportion.allocation.owners import numbered
from apportion.allocation.statements import ALLOCATIONS
from apportion.core import tables
from apportion.core.arrow import schema
from apportion.core.config import Condition, Config, Hierarchy, Maps, Rule, RuleShare, TagConfig, TagPolicy
from apportion.engine import duck
from apportion.ledger.together import MONEY
from apportion.tagging.resolve import resolve

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {
    "team": ("team", "squad"),
    "project": ("project",),
    "model": ("model",),
    "environment": ("env", "environment"),
}


def config(rules=(), *, keys=KEYS, values=None, policy=TagPolicy(), hierarchy=Hierarchy(), maps=Maps()) -> Config:  # noqa: B008
    tags = TagConfig(keys, values or {}, policy)
    return Config("test", "USD", ".", (), tags, tuple(rules), hierarchy, maps)


def rule(name, owner=None, *, shares=None, valid_from=None, valid_until=None, override=False, **when) -> Rule:
    """A rule that holds where the given parts of `Condition` do: everywhere if none is given."""
    parts = tuple(RuleShare(weight, part) for weight, part in shares) if shares else (RuleShare(1, owner),)
    return Rule(name, Condition(**when), parts, valid_from, valid_until, override, version="v1")


def row(tags=None, **columns) -> dict:
    """One attribute row; what is not given is null, but for what FOCUS wants filled."""
    filled = {
        "BillingPeriodStart": datetime(2026, 10, 1),
        "BillingPeriodEnd": datetime(2026, 11, 1),
        "BillingCurrency": "USD",
        "BillingAccountId": "payer",
        "ServiceProviderName": "AWS",
        "ServiceName": "EC2",
    }
    return filled | columns | {"Tags": None if tags is None else list(tags.items())}


def write(path: Path, rows) -> Path:
    """The rows as `attributes.parquet`, numbered from 1 unless they say their number."""
    numbered = [{"x_AttributeNo": place} | one for place, one in enumerate(rows, 1)]
    names = schema(tables.ATTRIBUTES).names
    listed = {name: [one.get(name) for one in numbered] for name in names}
    pq.write_table(pa.table(listed, schema=schema(tables.ATTRIBUTES)), path / "attributes.parquet")
    return path / "attributes.parquet"


def shares(path: Path, rows, settings: Config) -> list[dict]:
    """The shares of the rows under the settings, as dicts."""
    with duck.session(memory="500MB", threads=1) as db:
        return resolve(db, write(path, rows), settings).to_pylist()


def only(path: Path, one, settings: Config) -> dict:
    """The one share of one attribute row."""
    (share,) = shares(path, [one], settings)
    return share


@contextmanager
def billed(path: Path, rows, amounts, settings: Config, *, day=datetime(2026, 10, 15)):
    """A session with `attributes`, `allocations` and `money` of charges that start on the day.

    One amount per row: a text in USD, or (currency, text, number of charges that cost it together).
    """
    listed = [one if isinstance(one, tuple) else ("USD", one, 1) for one in amounts]
    priced = [one | {"BillingCurrency": currency} for one, (currency, _, _) in zip(rows, listed, strict=True)]
    with duck.session(memory="500MB", threads=1) as db:
        held, owners = numbered(db, resolve(db, write(path, priced), settings))
        db.register("shares", held)
        db.register("owners", owners)
        db.read_parquet("attributes", [path / "attributes.parquet"])
        db.register("charges", charges(listed, day))
        db.register("allocations", db.ask(ALLOCATIONS))
        db.run(MONEY)
        yield db


def charges(listed, day) -> pa.Table:
    """The charges of `billed`: of several together the first costs it all."""
    made = [
        {"x_AttributeNo": number, "ChargePeriodStart": day, "BilledCost": Decimal(text if place == 0 else 0)}
        for number, (_, text, count) in enumerate(listed, 1)
        for place in range(count)
    ]
    return pa.Table.from_pylist(made, schema=schema(tables.CHARGES))
