"""How AWS Data Exports lays out a CUR 2.0 export: the columns with their types, the folders, the manifest.

Source: AWS Data Exports user guide, table dictionary "Cost and Usage Report (CUR) 2.0" and "Understanding export
delivery". The export of acme has daily rows with resource ids and without split cost allocation data.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from apportion.demo.acme.usage import digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from apportion.core.period import Month
    from apportion.demo.acme.bill import Bill

_TEXT, _DOUBLE, _TIME = pa.string(), pa.float64(), pa.timestamp("ms")
_MAP = pa.map_(pa.string(), pa.string())

_COLUMNS = """
bill_bill_type bill_billing_entity bill_billing_period_end_date:t bill_billing_period_start_date:t bill_invoice_id
bill_invoicing_entity bill_payer_account_id bill_payer_account_name cost_category:m discount:md
discount_bundled_discount:d discount_total_discount:d identity_line_item_id identity_time_interval
line_item_availability_zone line_item_blended_cost:d line_item_blended_rate line_item_currency_code
line_item_legal_entity line_item_line_item_description line_item_line_item_type line_item_net_unblended_cost:d
line_item_net_unblended_rate line_item_normalization_factor:d line_item_normalized_usage_amount:d
line_item_operation line_item_product_code line_item_resource_id line_item_tax_type line_item_unblended_cost:d
line_item_unblended_rate line_item_usage_account_id line_item_usage_account_name line_item_usage_amount:d
line_item_usage_end_date:t line_item_usage_start_date:t line_item_usage_type pricing_currency
pricing_lease_contract_length pricing_offering_class pricing_public_on_demand_cost:d pricing_public_on_demand_rate
pricing_purchase_option pricing_rate_code pricing_rate_id pricing_term pricing_unit product:m product_comment
product_fee_code product_fee_description product_from_location product_from_location_type product_from_region_code
product_instance_family product_instance_type product_instancesku product_location product_location_type
product_operation product_pricing_unit product_product_family product_region_code product_servicecode product_sku
product_to_location product_to_location_type product_to_region_code product_usagetype
reservation_effective_cost:d reservation_reservation_a_r_n reservation_unused_quantity:d
reservation_unused_recurring_fee:d resource_tags:m savings_plan_amortized_upfront_commitment_for_billing_period:d
savings_plan_end_time savings_plan_instance_type_family savings_plan_offering_type savings_plan_payment_option
savings_plan_purchase_term savings_plan_recurring_commitment_for_billing_period:d savings_plan_region
savings_plan_savings_plan_a_r_n savings_plan_savings_plan_effective_cost:d savings_plan_savings_plan_rate:d
savings_plan_start_time savings_plan_total_commitment_to_date:d savings_plan_used_commitment:d
"""
_KINDS = {"": _TEXT, "d": _DOUBLE, "t": _TIME, "m": _MAP, "md": pa.map_(pa.string(), pa.float64())}

SCHEMA = pa.schema([(name, _KINDS[kind]) for name, _, kind in (word.partition(":") for word in _COLUMNS.split())])
"""The exported columns, in the dictionary's order."""

EXPORT = "acme"
_BUCKET = "acme-billing"
_ARN = "arn:aws:bcm-data-exports:us-east-1:777788889999:export/acme-5b0e7c52"


def data_file(month: Month, part: int) -> str:
    """The path of one data file inside the export."""
    return f"data/BILLING_PERIOD={month}/{EXPORT}-{part:05d}.snappy.parquet"


def write_parts(folder: Path, month: Month, parts: Sequence[Bill]) -> None:
    """Write the data files of a month and then the manifest that names them, as AWS does."""
    for number, bill in enumerate(parts, start=1):
        path = folder / data_file(month, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.table([pa.array(bill.cells[field.name], field.type) for field in SCHEMA], schema=SCHEMA)
        pq.write_table(table, path, compression="snappy")
    manifest = folder / "metadata" / f"BILLING_PERIOD={month}" / f"{EXPORT}-Manifest.json"
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps(_manifest(month, len(parts)), indent=2) + "\n", encoding="utf-8")


def _manifest(month: Month, parts: int) -> dict[str, object]:
    files = [f"s3://{_BUCKET}/exports/{EXPORT}/{data_file(month, number + 1)}" for number in range(parts)]
    return {
        "executionId": digest(EXPORT, month),
        "exportArn": _ARN,
        "exportName": EXPORT,
        "billingPeriod": {"start": f"{month.start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{month.end:%Y-%m-%dT%H:%M:%SZ}"},
        "columns": [{"name": field.name, "type": _type_name(field.type)} for field in SCHEMA],
        "dataFiles": files,
    }


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_map(kind):
        return f"map<string,{_type_name(kind.item_type)}>"
    return {_TEXT: "string", _DOUBLE: "double"}.get(kind, "timestamp")
