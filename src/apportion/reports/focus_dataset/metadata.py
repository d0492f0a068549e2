"""`focus-metadata.json`: what FOCUS asks to be told beside a dataset, and how the files were made."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from apportion.core.config import version_of
from apportion.core.money import plain
from apportion.reports.focus_dataset.columns import definitions

if TYPE_CHECKING:
    from pathlib import Path

    from apportion.ledger.lenses import Lens
    from apportion.reports.focus_dataset.export import FocusExport
    from apportion.store.records import Run, Totals

NAME = "focus-metadata.json"

NOTES = (
    "Charges that were split are replaced by their pieces, which share x_OriginChargeId.",
    "The pieces have the dimensions and unit prices of the charge; costs and quantities add up to it exactly.",
    "AllocatedRatio has up to 18 digits; read as decimals, the ratios of a charge add up to exactly 1.",
    "AllocatedResourceId is null on the piece that nobody is known to have caused.",
    "What a bill does not say is null, also where FOCUS allows no null: x_Deviations counts it, nothing is made up.",
    "JSON columns are JSON text in every form of the files.",
    "Texts stay verbatim: do not open the CSV in a spreadsheet that runs formulas.",
)
OF_POOLS = (
    "Pieces that a pool took are left out; rows with x_PoolId stand for what it gave on, summed by month and owner.",
    "The rows of one x_PooledCostId add up to the cost that the pool took, and their ratios to exactly 1.",
    "Where a pool took pieces of a charge, x_PooledRatio in AllocatedMethodDetails of those left is the rest of 1.",
)


def described(
    export: FocusExport, run: Run, *, billed: Totals, version: str, form: str, lens: Lens, folder: Path
) -> bytes:
    """The metadata of an export whose data files lie in `folder`; equal runs give equal bytes."""
    columns = definitions(version)
    schema_id = str(uuid5(NAMESPACE_URL, f"apportion:focus:{version}:{version_of(columns)}"))
    created = run.created_at.strftime("%Y-%m-%dT%H:%M:%SZ") if run.created_at else None
    content = {
        "DataGenerator": {"DataGenerator": "Apportion"},
        "Schema": {
            "SchemaId": schema_id,
            "FocusVersion": version,
            "DataGeneratorVersion": run.app_version,
            "CreationDate": created,
            "ColumnDefinition": columns,
        },
        "DatasetInstance": {
            "DatasetInstanceId": f"apportion:{run.id}",
            "DatasetInstanceName": f"Allocated cost and usage, run {run.id}",
            "FocusDatasetId": "CostAndUsage",
        },
        "x_RunId": run.id,
        "x_Form": form,
        "x_Lens": str(lens),
        "x_Files": [
            {
                "Name": file.path.name,
                "BillingMonth": str(file.month),
                "Rows": file.rows,
                "Sha256": _sha256(folder / file.path.name),
            }
            for file in export.files
        ],
        "x_TotalsIn": _texts(billed),
        "x_TotalsOut": _texts(export.totals),
        "x_Deviations": export.deviations,
        "x_Notes": (*NOTES, *(OF_POOLS if run.sharings and lens == "after" else ())),
    }
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _texts(sums: Totals) -> dict[str, dict[str, str]]:
    return {code: {metric: plain(sums[code][metric]) for metric in sorted(sums[code])} for code in sorted(sums)}
