"""The files of one snapshot: attributes once, charges beside them, what no column carries, and what was kept out.

Everything is written in an order with a unique tie-breaker, so the bytes do not depend on the number of threads.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from apportion.core import focus
from apportion.core.money import plain
from apportion.core.problems import Problem, Severity
from apportion.core.tables import ATTRIBUTES, CHARGES, REJECTS, quoted
from apportion.errors import EngineFailed
from apportion.sources.intake.checks import WORDS, place
from apportion.sources.intake.scopes import APPEND, Fed
from apportion.sources.intake.sql_text import extra_of, filled
from apportion.store.records import Scope, Snapshot, SourceFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from apportion.core.config import SourceConfig
    from apportion.engine.duck import DuckDb
    from apportion.sources.intake.contract import BillSource

VERSION = "1"
"""Raised when the same delivery gives other bytes than before, whatever the source."""

_TEXTS = tuple(name for name in ATTRIBUTES if name not in {"x_AttributeNo", "Tags"})
_NUMBERS = tuple(name for name in CHARGES if not name.startswith("x_"))
_WORDS = tuple(f"k{word}" for word in range(WORDS))

# `row_number() OVER ()` numbers the rows of a Parquet scan in file order; a test holds DuckDB to it
_SCOPE_ROWS = """
scope_rows AS (
    SELECT row_number() OVER () AS x_ChargeNo, *
    FROM (${files})
    WHERE "x$$verdict" IS NULL AND BillingAccountId = $$account AND date_trunc('month', BillingPeriodStart) = $$month
)
"""

_KEYED_ROWS = """
keyed_rows AS (
    SELECT charge.*, coalesce(tag.x_Canonical, '{}') AS "x$$tags",
        hash(${texts}, coalesce(tag.x_Canonical, '{}')) AS "x$$key",
        hash('2', coalesce(tag.x_Canonical, '{}'), ${reversed}) AS "x$$lock"
    FROM scope_rows AS charge LEFT JOIN tag_texts AS tag ON charge.Tags = tag.x_Text
)
"""

_ATTRIBUTES = """
CREATE OR REPLACE TEMP TABLE scope_attributes AS
WITH ${rows},
texts AS (SELECT DISTINCT ${texts}, "x$$tags", "x$$key", "x$$lock" FROM keyed_rows)
SELECT CAST(row_number() OVER (ORDER BY ${order}, "x$$tags") AS INTEGER) AS x_AttributeNo, * FROM texts
"""

_SHARED_KEYS = (
    """SELECT count(*) FROM (SELECT 1 FROM scope_attributes GROUP BY "x$key", "x$lock" HAVING count(*) > 1)"""
)

_WRITE_ATTRIBUTES = """
SELECT x_AttributeNo, ${texts}, CAST(CAST("x$$tags" AS JSON) AS MAP(VARCHAR, VARCHAR)) AS Tags
FROM scope_attributes ORDER BY x_AttributeNo
"""

_WRITE_CHARGES = """
WITH ${rows}
SELECT charge.x_ChargeNo, attribute.x_AttributeNo, charge.x_FileNo, charge.x_RowNo, repair.x_Repairs, ${numbers}
FROM keyed_rows AS charge
JOIN scope_attributes AS attribute ON charge."x$$key" = attribute."x$$key" AND charge."x$$lock" = attribute."x$$lock"
LEFT JOIN repairs_of AS repair ON ${same_words} AND charge.x_FileNo = repair.x_FileNo
ORDER BY x_ChargeNo
"""

_WRITE_EXTRAS = """
WITH ${rows} SELECT x_ChargeNo, ${extras} FROM scope_rows ORDER BY x_ChargeNo
"""

_SOME_EXTRA = """
WITH ${rows} SELECT coalesce(bool_or(coalesce(${extras}) IS NOT NULL), false) FROM scope_rows
"""

_WORDS_FOUND = """
WITH ${rows} SELECT DISTINCT x_FileNo, ${words} FROM scope_rows ORDER BY ALL
"""

_TOTALS = """
SELECT attribute.BillingCurrency, ${sums}
FROM read_parquet($$charges) AS charge JOIN read_parquet($$attributes) AS attribute USING (x_AttributeNo)
GROUP BY attribute.BillingCurrency ORDER BY attribute.BillingCurrency
"""

_WRITE_REJECTS = "SELECT ${columns} FROM scope_rejects ORDER BY x_FileNo, x_RowNo"


def snapshot_id(scope: Scope, *, source: BillSource, config: SourceConfig, hashes: Sequence[str]) -> str:
    """The id of the snapshot that these files give: the same delivery read the same way always gets the same id."""
    content: dict[str, object] = {
        "source": scope.source_id,
        "account": scope.billing_account_id,
        "period": str(scope.period),
        "part": scope.part,
        "kind": source.name,
        "connector": [VERSION, source.version],
        "options": dict(config.options),
        "append": config.delivery == APPEND,
        "files": sorted(hashes),
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write(db: DuckDb, scope: Scope, feds: Sequence[Fed], folder: Path) -> None:
    """The Parquet files of a scope in the folder, from the staged files that feed it.

    `scope_rejects` (see `rejected_rows`) holds its rejected rows.
    """
    texts = ", ".join(quoted(name) for name in _TEXTS)
    backwards = ", ".join(quoted(name) for name in reversed(_TEXTS))
    only_rows = filled(_SCOPE_ROWS, files=_files(feds))
    rows = f"{only_rows}, {filled(_KEYED_ROWS, texts=texts, reversed=backwards)}"
    bound = {"account": scope.billing_account_id, "month": scope.period.start}
    order = ", ".join(f"{quoted(name)} NULLS FIRST" for name in _TEXTS)
    db.run(filled(_ATTRIBUTES, rows=rows, texts=texts, order=order), bound)
    if db.rows(_SHARED_KEYS) != [(0,)]:
        raise EngineFailed(
            "Two attribute rows share both hash keys.",
            "Please report this: it should happen less than once in 10^20 rows.",
        )
    db.copy(filled(_WRITE_ATTRIBUTES, texts=texts), folder / "attributes.parquet")
    _repairs_of(db, feds, only_rows, bound)
    same_words = " AND ".join(f"charge.{word} = repair.{word}" for word in _WORDS)
    numbers = ", ".join(f"charge.{quoted(name)}" for name in _NUMBERS)
    db.copy(
        filled(_WRITE_CHARGES, rows=rows, numbers=numbers, same_words=same_words), folder / "charges.parquet", bound
    )
    _write_extras(db, feds, only_rows, bound, folder)
    if db.rows("SELECT 1 FROM scope_rejects LIMIT 1"):
        columns = ", ".join(f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in REJECTS.items())
        db.copy(filled(_WRITE_REJECTS, columns=columns), folder / "rejects.parquet")


def totals(db: DuckDb, folder: Path) -> dict[str, dict[str, Decimal]]:
    """Exact sums of the written charges: currency -> metric -> sum; a metric that no row has is left out, not 0."""
    sums = ", ".join(f"sum({name})" for name in focus.METRICS)
    paths = {"charges": str(folder / "charges.parquet"), "attributes": str(folder / "attributes.parquet")}
    rows = db.rows(filled(_TOTALS, sums=sums), paths)
    return {
        currency: {name: value for name, value in zip(focus.METRICS, values, strict=True) if value is not None}
        for currency, *values in rows
    }


def money_left_out(db: DuckDb, snapshot: Snapshot, source: BillSource) -> tuple[Problem, ...]:
    """A problem where the amounts that BilledCost leaves out do not cancel (see `BillSource.cancels`); else nothing."""
    path = snapshot.folder / "extras.parquet"
    if not path.exists():
        return ()
    db.read_parquet("kept", [path])
    columns = tuple(name for name, *_ in db.rows("DESCRIBE kept") if name != "x_ChargeNo")
    amount = source.cancels(columns)
    if amount is None:
        return ()
    left: Decimal | None
    ((left, rows),) = db.rows(f"SELECT sum(m), count(m) FROM (SELECT {amount} AS m FROM kept)")
    if not left:
        return ()
    return (
        Problem(
            code="money_left_out",
            severity=Severity.WARNING,
            file=", ".join(file.path for file in snapshot.files),
            rows="all together",
            row_count=rows,
            column="BilledCost",
            example=plain(left),
            what="Amounts that should cancel and are left out of BilledCost do not: the bill asks for so much more.",
            fix="Deliver the whole month of the whole billing account; part of it was filtered away.",
            amount=left,
            currency=next(iter(snapshot.totals), None),
        ),
    )


def record(
    scope: Scope,
    feds: Sequence[Fed],
    *,
    source: BillSource,
    config: SourceConfig,
    folder: Path,
    totals_by_currency: Mapping[str, Mapping[str, Decimal]],
    rejected: int,
) -> Snapshot:
    """The record of the snapshot whose files were written in the folder."""
    return Snapshot(
        id=snapshot_id(scope, source=source, config=config, hashes=[fed.file.file.sha256 for fed in feds]),
        scope=scope,
        kind=source.name,
        form=", ".join(dict.fromkeys(fed.file.form for fed in feds)),
        rows=sum(fed.rows[scope] for fed in feds),
        rejected=rejected,
        totals=totals_by_currency,
        files=tuple(
            SourceFile(no, fed.file.file.path, fed.file.file.sha256, fed.file.file.size, fed.rows[scope])
            for no, fed in enumerate(feds, 1)
        ),
        folder=folder,
    )


def _files(feds: Sequence[Fed]) -> str:
    return " UNION ALL BY NAME ".join(
        f"SELECT {no}::INTEGER AS x_FileNo, * FROM {fed.file.relation}" for no, fed in enumerate(feds, 1)
    )


def _repairs_of(db: DuckDb, feds: Sequence[Fed], rows: str, bound: dict[str, Any]) -> None:
    """The table `repairs_of`: file and mask words -> the codes of what was put right."""
    found = db.rows(filled(_WORDS_FOUND, rows=rows, words=", ".join(_WORDS)), bound)
    codes = [_codes(feds[no - 1], words) for no, *words in found]
    columns: dict[str, Any] = {"x_FileNo": pa.array([row[0] for row in found], pa.int32())}
    columns |= {word: pa.array([row[at] for row in found], pa.uint64()) for at, word in enumerate(_WORDS, 1)}
    db.register("repairs_of", pa.table({**columns, "x_Repairs": pa.array(codes, pa.string())}))


def _codes(fed: Fed, words: Sequence[int]) -> str | None:
    found = set()
    for number, check in enumerate(fed.file.plan.checks):
        word, bit = place(number)
        if check.severity is Severity.REPAIRED and words[word] & bit:
            found.add(check.code)
    return ",".join(sorted(found)) or None


def _write_extras(db: DuckDb, feds: Sequence[Fed], rows: str, bound: dict[str, Any], folder: Path) -> None:
    names = {name.lower(): name for fed in reversed(feds) for name in fed.file.plan.extras}
    if not names:
        return
    columns = {name: extra_of(name) for name in sorted(names.values())}
    if not db.rows(filled(_SOME_EXTRA, rows=rows, extras=", ".join(columns.values())), bound)[0][0]:
        return
    # our own exports bring a column of that name
    shown = {name: f"{name}_delivered" if name.lower() == "x_chargeno" else name for name in columns}
    extras = ", ".join(f"{column} AS {quoted(shown[name])}" for name, column in columns.items())
    db.copy(filled(_WRITE_EXTRAS, rows=rows, extras=extras), folder / "extras.parquet", bound)
