"""The written bills against the truth beside them, read without any of the product's connectors."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from apportion.demo import write_company
from apportion.demo.acme.bill import of_double

if TYPE_CHECKING:
    from pathlib import Path

SCALES = (1, 2)
COST, KIND = "line_item_unblended_cost", "line_item_line_item_type"
PLAN_COST = "savings_plan_savings_plan_effective_cost"


@pytest.fixture(scope="module", params=SCALES, ids=lambda scale: f"scale-{scale}")
def folder(tmp_path_factory, request) -> Path:
    """Two months of acme at each scale: copies of a resource must be billed as the resource is."""
    written = tmp_path_factory.mktemp("bills") / "acme"
    write_company(written, months=2, scale=request.param)
    return written


def aws_rows(folder: Path, *columns: str) -> list[dict[str, object]]:
    files = sorted((folder / "bills" / "aws" / "data").rglob("*.parquet"))
    return [row for file in files for row in pq.ParquetFile(file).read(columns=list(columns)).to_pylist()]


def csv_rows(folder: Path) -> list[dict[str, str]]:
    found = []
    for file in sorted(folder.rglob("*.csv")):
        with file.open(encoding="utf-8", newline="") as stream:
            found += list(csv.DictReader(stream))
    return found


def invoices(folder: Path) -> dict[tuple[str, str], Decimal]:
    """What each provider asks for, by source and month, from the columns that make its invoice."""
    sums: Counter[tuple[str, str]] = Counter()
    for row in aws_rows(folder, "bill_billing_period_start_date", COST):
        sums["aws", f"{row['bill_billing_period_start_date']:%Y-%m}"] += of_double(row[COST])
    for file in sorted((folder / "bills" / "gcp").glob("*.jsonl")):
        for line in file.read_text().splitlines():
            row = json.loads(line, parse_float=Decimal)
            month = row["invoice"]["month"]
            sums["gcp", f"{month[:4]}-{month[4:]}"] += row["cost"] + sum(c["amount"] for c in row["credits"])
    for row in csv_rows(folder / "bills" / "azure"):
        month, _, year = row["billingPeriodStartDate"].split("/")
        sums["azure", f"{year}-{month}"] += Decimal(row["costInBillingCurrency"])
    for row in csv_rows(folder / "bills" / "llm"):
        sums["llm", row["BillingPeriodStart"][:7]] += Decimal(row["BilledCost"])
    return dict(sums)


def test_every_invoice_is_the_billed_cost_of_the_truth(folder):
    planted: Counter[tuple[str, str]] = Counter()
    for row in pq.read_table(folder / "truth" / "totals.parquet").to_pylist():
        if row["delivery"] == 1:
            planted[row["source"], row["month"]] += Decimal(row["billed"])
    assert invoices(folder) == dict(planted)
    assert {source for source, _ in planted} == {"aws", "gcp", "azure", "llm"}


def test_the_savings_plan_negates_what_it_covers_and_is_used_up_to_its_fee(folder):
    sums: Counter[str] = Counter()
    used, committed = Decimal(0), Decimal(0)
    for row in aws_rows(folder, KIND, COST, PLAN_COST, "savings_plan_used_commitment"):
        sums[row[KIND]] += of_double(row[COST])
        used += of_double(row[PLAN_COST]) if row[PLAN_COST] is not None else 0
        committed += of_double(row["savings_plan_used_commitment"] or 0.0)
    assert sums["SavingsPlanCoveredUsage"] == -sums["SavingsPlanNegation"] > 0
    assert 0 < used == committed < sums["SavingsPlanRecurringFee"]


def test_rows_are_as_awkward_as_in_life(folder):
    rows = aws_rows(folder, *(KIND, COST, "line_item_resource_id", "identity_line_item_id"))
    costs = [of_double(row[COST]) for row in rows]
    assert min(costs) < 0
    assert 0 in costs
    assert Decimal("7E-10") in costs
    assert max(Counter(tuple(row.values()) for row in rows).values()) > 1
    assert {"Fee", "Tax", "Credit", "Refund", "SavingsPlanNegation"} <= {row[KIND] for row in rows}


def test_two_months_are_the_same_bytes_again(folder, tmp_path, request):
    scale = request.node.callspec.params["folder"]
    write_company(tmp_path / "again", months=2, scale=scale)
    assert digests(tmp_path / "again") == digests(folder)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
