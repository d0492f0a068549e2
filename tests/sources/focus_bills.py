"""FOCUS bills for tests: one good row, varied column by column, written in any form."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path

from apportion.core.config import SourceConfig
from apportion.engine import duck
from apportion.sources.intake.ingest import ingest
from apportion.store import open_store

DATA = Path(__file__).parents[1] / "data" / "focus"
SAMPLE = DATA / "focus10_sample_1000.csv"

GOOD = {
    "BilledCost": "1.25",
    "EffectiveCost": "1.00",
    "ListCost": "2.00",
    "ContractedCost": "1.25",
    "BillingAccountId": "123456789012",
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-10-01T00:00:00Z",
    "BillingPeriodEnd": "2026-11-01T00:00:00Z",
    "ChargePeriodStart": "2026-10-05T10:00:00Z",
    "ChargePeriodEnd": "2026-10-05T11:00:00Z",
    "ChargeCategory": "Usage",
    "ChargeFrequency": "Usage-Based",
    "ProviderName": "AWS",
    "ServiceName": "Amazon EC2",
    "SubAccountId": "000000000001",
    "ResourceId": "i-1",
    "Tags": '{"team":"search"}',
}
"""A row without fault."""


def row(**changes):
    """A good row with other values; None takes the column away."""
    return {name: value for name, value in {**GOOD, **changes}.items() if value is not None}


def csv_text(rows, *, delimiter=",", end="\n"):
    """The rows as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def put(folder, name, content):
    """The file, with its folders; text as UTF-8."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def config(*paths, delivery="overwrite", kind="focus", **options):
    """A source that reads these paths."""
    return SourceConfig("cloud", kind, tuple(str(path) for path in paths), delivery, options)


def ingest_into(state, source, *, threads=1, memory="1GB"):
    """One import into the project state of that folder."""
    with open_store(state) as store:
        return ingest(source, store=store, base=state.parent, threads=threads, memory=memory)


def take(tmp_path, content, *, name="bill.csv", **options):
    """The result of importing one file."""
    return ingest_into(tmp_path / "state", config(put(tmp_path, name, content), **options))


def charges(snapshot):
    """Each charge with its attributes as a dict, in their order."""
    with duck.session() as db:
        db.read_parquet("charges", [snapshot.charges])
        db.read_parquet("attributes", [snapshot.attributes])
        return db.table(
            'SELECT * FROM charges JOIN attributes USING ("x_AttributeNo") ORDER BY "x_ChargeNo"'
        ).to_pylist()


def only(result):
    """The charges of the one snapshot of an import."""
    (snapshot,) = result.published
    return charges(snapshot)


def table(path):
    """A Parquet file of ours as dicts."""
    with duck.session() as db:
        db.read_parquet("found", [path])
        return db.table("SELECT * FROM found").to_pylist()


def billed(result):
    """The BilledCost of an import in all currencies together."""
    return sum((each["BilledCost"] for s in result.published for each in s.totals.values()), Decimal(0))


def said(result):
    """(code, column, rows, example) of every problem."""
    return [(p.code, p.column, p.rows, p.example) for p in result.problems]


def found(result, code):
    """The problems of one code."""
    return [problem for problem in result.problems if problem.code == code]
