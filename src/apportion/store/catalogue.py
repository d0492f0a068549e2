"""The tables of the catalogue. Amounts are decimal text, months `YYYY-MM`, times naive UTC in ISO form.

Only what SQLAlchemy can say for any database is used; on SQLite the tables are STRICT, so a wrong type is refused there
too. A change here needs a migration in `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from apportion.core.money import plain
from apportion.core.period import Month
from apportion.store import manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.schema import SchemaItem

    from apportion.store.records import Totals


class AsText(TypeDecorator[Any]):
    """A value kept as text that `write` makes and `read` understands; None stays NULL."""

    impl = Text
    cache_ok = True

    def __init__(self, write: Callable[[Any], str], read: Callable[[str], Any]) -> None:
        super().__init__()
        self.write = write
        self.read = read

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """The text that is stored."""
        return None if value is None else self.write(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> object:  # noqa: ARG002 - SQLAlchemy's signature
        """The value that was stored."""
        return None if value is None else self.read(value)


def _amount(value: Decimal) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(f"{value!r} is no Decimal")
    return plain(value)


def _totals(value: Totals) -> str:
    return json.dumps(manifest.totals_text(value), sort_keys=True)


def _moment(value: datetime) -> str:
    return value.isoformat(timespec="microseconds")


AMOUNT = AsText(_amount, Decimal)
TOTALS = AsText(_totals, lambda text: manifest.totals_of(json.loads(text)))
MONTH = AsText(str, Month.parse)  # the order of the texts is the order of the months
MOMENT = AsText(_moment, datetime.fromisoformat)

# STRICT SQLite knows INTEGER (64 bits) and no BIGINT.
COUNT = BigInteger().with_variant(Integer(), "sqlite")

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(name: str, *items: SchemaItem) -> Table:
    return Table(name, METADATA, *items, sqlite_strict=True)


def _text(name: str, *, key: bool = False, index: bool = False) -> Column[str]:
    return Column(name, Text, nullable=False, primary_key=key, index=index or None)


def _count(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, COUNT, nullable=False, primary_key=key, autoincrement=False)


def _numbered() -> Column[int]:
    return Column("no", COUNT, nullable=False, primary_key=True)


def _ref(name: str, target: str, *, key: bool = False, index: bool = False, unique: bool = False) -> Column[Any]:
    return Column(name, ForeignKey(target), nullable=False, primary_key=key, index=index or None, unique=unique or None)


def _scope(*, key: bool = False) -> tuple[Column[Any], ...]:
    month: Column[Any] = Column("period", MONTH, nullable=False, primary_key=key)
    return (_text("source_id", key=key), _text("billing_account_id", key=key), month, _text("part", key=key))


def _stored(owner: str) -> tuple[Column[Any], ...]:
    owned = _ref(f"{owner}_id", f"{owner}s.id", key=True)
    return (owned, _text("name", key=True), _text("sha256"), _count("size"), _count("rows"))


def _problem() -> tuple[Column[Any], ...]:
    texts = ("code", "severity", "file", "rows", "column", "example", "what", "fix")
    amounts: tuple[Column[Any], ...] = (Column("amount", AMOUNT), Column("currency", Text))
    return (*(_text(name) for name in texts), _count("row_count"), *amounts)


SNAPSHOTS = _table(
    "snapshots",
    _text("id", key=True),
    *_scope(),
    _text("kind"),
    _text("form"),
    _count("rows"),
    _count("rejected"),
    Column("totals", TOTALS, nullable=False),
    _text("manifest_sha256"),
    Column("created_at", MOMENT, nullable=False),
)
"""One row per stored snapshot; never changed, never deleted."""

SNAPSHOT_FILES = _table(
    "snapshot_files",
    _ref("snapshot_id", "snapshots.id", key=True),
    _count("no", key=True),
    _text("path"),
    _text("sha256"),
    _count("size"),
    _count("rows"),
)
"""The delivered files a snapshot was read from."""

SNAPSHOT_STORED = _table("snapshot_stored", *_stored("snapshot"))
"""Our files in a snapshot's folder."""

CURRENT_SNAPSHOTS = _table("current_snapshots", *_scope(key=True), _ref("snapshot_id", "snapshots.id", unique=True))
"""The pointer: one row per scope. Readers see a delivery exactly when this row names it."""

DELIVERIES = _table(
    "deliveries",
    _numbered(),
    _ref("snapshot_id", "snapshots.id", index=True),
    Column("at", MOMENT, nullable=False),
)
"""Each time a snapshot became current, in order."""

RESTATEMENTS = _table(
    "restatements",
    _numbered(),
    *_scope(),
    _ref("old_snapshot", "snapshots.id"),
    _ref("new_snapshot", "snapshots.id"),
    Column("at", MOMENT, nullable=False),
)
"""Each time a newer delivery replaced an older one."""

RESTATEMENT_LINES = _table(
    "restatement_lines",
    _ref("restatement_no", "restatements.no", key=True),
    _count("no", key=True),
    _text("service"),
    _text("sub_account"),
    _text("tag"),
    _text("currency"),
    Column("before", AMOUNT, nullable=False),
    Column("after", AMOUNT, nullable=False),
)
"""What changed, in the order the restatement lists it."""

PROBLEMS = _table(
    "problems",
    _numbered(),
    _text("source_id", index=True),
    Column("snapshot_id", ForeignKey("snapshots.id"), index=True),
    *_problem(),
)
"""Faults in the user's data; without a snapshot where the file never became one."""

PARTS = _table(
    "parts",
    _text("id", key=True),
    _ref("snapshot_id", "snapshots.id", index=True),
    Column("period", MONTH, nullable=False),
    Column("totals", TOTALS, nullable=False),
    _text("manifest_sha256"),
    Column("created_at", MOMENT, nullable=False),
)
"""One row per stored result of a snapshot; never changed."""

PART_STORED = _table("part_stored", *_stored("part"))
"""Our files in a part's folder."""

RUNS = _table(
    "runs",
    _numbered(),
    _text("id"),
    _text("engine"),
    _text("app_version"),
    _text("ownership_version"),
    _text("config"),
    Column("totals_in", TOTALS, nullable=False),
    Column("totals_out", TOTALS, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    UniqueConstraint("id"),
)
"""One row per published run, in order of publishing."""

RUN_PARTS = _table(
    "run_parts",
    _ref("run_no", "runs.no", key=True),
    _count("no", key=True),
    _ref("part_id", "parts.id", index=True),
)
"""The parts of a run, in the run's order."""

RUN_PROBLEMS = _table(
    "run_problems",
    _ref("run_no", "runs.no", key=True),
    _count("no", key=True),
    *_problem(),
)
"""What a run found wrong, in its order."""

CURRENT_RUN = _table(
    "current_run",
    _count("one", key=True),
    _ref("run_no", "runs.no"),
    CheckConstraint("one = 1", name="single"),
)
"""The pointer to the run whose result is shown: at most one row."""
