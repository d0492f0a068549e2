"""Google Cloud usage cost export (detailed or standard), as Parquet or JSON lines from its BigQuery table.

Money. `cost` is before credits; the invoice of a month is the sum of `cost` plus the sum of `credits[].amount` over
the rows of that `invoice.month`. A credit belongs to the usage it lowers, so a row is one charge, net of its credits:

    BilledCost = EffectiveCost = cost + sum(credits.amount)     ContractedCost = cost     ListCost = cost_at_list

No row is of category Credit; the credits stay with the charge in full, in the delivered column `credits`. The sum is
exact to 24 digits after the point. Committed use: the fee is a Purchase with what is left of it after its credits
(`FEE_UTILIZATION_OFFSET`: what nobody used), and usage carries its discounted price. Under the legacy model the fee
is whole and the usage is credited; moving the fee to the usage needs more than one row, so it is not done here.

Time. `invoice.month` is a month in Pacific time: its last hours are the first of the next month in UTC, and late usage
comes with the next invoice. BillingPeriodStart and BillingPeriodEnd are the calendar month of that name.

Tags. Labels of the resource; then tags (resource manager) and then labels of the project, where the key is new.

Source: Cloud Billing documentation, "Structure of Detailed data export".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from apportion.core.tables import quoted
from apportion.errors import ConfigError, UnknownShape
from apportion.sources import _bigquery
from apportion.sources._delivered import bills_in
from apportion.sources._gcp_services import CATEGORIES
from apportion.sources._json_text import number_at, structs, text_at, value_of_key, with_numbers_as_text
from apportion.sources._raw_columns import RawColumns, chosen
from apportion.sources.intake.contract import BillSource, ColumnMapping, Delivery
from apportion.sources.intake.sql_text import filled, literal

if TYPE_CHECKING:
    from apportion.core.config import SourceConfig
    from apportion.sources.intake.place import Place

NEEDED = frozenset({"billing_account_id", "cost", "currency", "invoice", "service", "sku", "usage_start_time"})
"""Columns without which a file is no usage cost export, or its money cannot be read."""

_PROVIDER = literal("Google Cloud")

_NET = r"""CASE
    WHEN regexp_full_match(coalesce(${credits}, ''), '\s*(\[\s*\]|null)?\s*') THEN ${cost}
    ELSE coalesce(
        rtrim(rtrim(CAST(TRY(
            CAST(${cost} AS DECIMAL(38,24))
            + list_sum(list_transform(${given}, lambda credit: CAST(coalesce(credit.amount, 'none') AS DECIMAL(38,24))))
        ) AS VARCHAR), '0'), '.'),
        'cost ' || coalesce(${cost}, 'none') || ' with credits ' || ${credits})
END"""
"""Where a credit cannot be read the text is no number, so that the row is refused instead of billed without it."""

_CATEGORY = """CASE
    WHEN lower(${type}) = 'tax' THEN 'Tax'
    WHEN lower(${type}) IN ('adjustment', 'rounding_error') THEN 'Adjustment'
    WHEN coalesce(lower(${type}), 'regular') <> 'regular' THEN ${type}
    WHEN ${fee} THEN 'Purchase'
    ELSE 'Usage'
END"""
_FREQUENCY = """CASE
    WHEN coalesce(lower(${type}), 'regular') <> 'regular' THEN 'One-Time'
    WHEN ${fee} THEN 'Recurring'
    ELSE 'Usage-Based'
END"""

_UTC = "(TRY_CAST(${time} AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"

# Pacific midnight on the first of a month is 07:00 UTC from April to November and 08:00 UTC from December to March
_CORRECTION = """CASE WHEN ${adjusted} AND ${start} < TRY_STRPTIME(${month}, '%Y%m')
    + CASE WHEN right(${month}, 2) BETWEEN '04' AND '11' THEN INTERVAL 7 HOUR ELSE INTERVAL 8 HOUR END
    THEN 'Correction' END"""

_MONTH_START = "coalesce(strftime(TRY_STRPTIME(${month}, '%Y%m'), '%Y-%m-%dT%H:%M:%SZ'), ${month})"
_MONTH_END = "strftime(TRY_STRPTIME(${month}, '%Y%m') + INTERVAL 1 MONTH, '%Y-%m-%dT%H:%M:%SZ')"
_MOMENT = "coalesce(strftime(${moment}, '%Y-%m-%dT%H:%M:%S.%fZ'), ${time})"

_PAIR_TEXT = "lambda pair: to_json(pair.key) || ':' || coalesce(to_json(pair.value), 'null')"
_NEW_PAIRS = """list_filter(${pairs},
    lambda pair: pair.key IS NOT NULL AND NOT coalesce(list_contains(${taken}, pair.key), false))"""
_KEYS = "list_transform(${pairs}, lambda pair: pair.key)"


def recognises(columns: frozenset[str]) -> bool:
    """Whether these are the columns of a usage cost export (detailed or standard)."""
    return frozenset(column.lower() for column in columns) >= NEEDED


def find(place: Place, config: SourceConfig) -> Delivery:
    """All bills of the place; with the option `table` the newest months are fetched from BigQuery into it before."""
    if "table" in config.options:
        _bigquery.export(_local_folder(place, config), config)
    return bills_in(place)


def mapping(columns: tuple[str, ...], config: SourceConfig) -> ColumnMapping:
    """The mapping for these raw columns; raises `UnknownShape` where one of `NEEDED` is missing."""
    raw = RawColumns.of(columns)
    missing = sorted(name for name in NEEDED if not raw.name(name))
    if missing:
        raise UnknownShape(
            file=config.id,
            what=f"is no Google Cloud usage cost export: {', '.join(missing)} is missing.",
            fix="Export the table gcp_billing_export_resource_v1_… with all its columns.",
        )
    return ColumnMapping(
        form="Google Cloud detailed usage cost" if raw.name("resource") else "Google Cloud standard usage cost",
        expressions={**_money(raw), **_times(raw), **_owners(raw), **_things(raw), **_commitment(raw)},
        used=raw.first_of_each(_CARRIED),
    )


_CARRIED = (
    *(("billing_account_id",), ("cost",), ("cost_at_list",), ("currency",), ("seller_name",)),
    *(("usage_start_time",), ("usage_end_time",)),
)
"""Raw columns whose content is wholly in a FOCUS column; all others stay beside the charge."""


def _local_folder(place: Place, config: SourceConfig) -> Path:
    if not place.remote:
        return Path(place.root)
    raise ConfigError(
        file="apportion.toml",
        line=None,
        key=f"sources.{config.id}.paths",
        what=f"{place.url} is no local folder that a BigQuery table can be fetched into.",
        fix="Name a local folder as the path of a source with a table.",
    )


def _money(raw: RawColumns) -> dict[str, str]:
    cost, credits_column = raw.text("cost"), raw.name("credits")
    net = cost
    if credits_column:
        json = quoted(credits_column)
        net = filled(_NET, cost=cost, credits=json, given=structs(with_numbers_as_text(json), "amount"))
    found = {"BilledCost": net, "EffectiveCost": net, "ContractedCost": cost, "BillingCurrency": raw.text("currency")}
    if raw.name("cost_at_list"):
        # taxes and adjustments have no list price of their own
        priced = f"coalesce(lower({raw.text('cost_type')}), 'regular') = 'regular'"
        found["ListCost"] = f"coalesce({raw.text('cost_at_list')}, CASE WHEN {priced} THEN NULL ELSE {cost} END)"
    return {**found, **_quantities(raw)}


def _quantities(raw: RawColumns) -> dict[str, str]:
    return {
        "ConsumedQuantity": _number(raw, "usage", "amount"),
        "ConsumedUnit": _text(raw, "usage", "unit"),
        "PricingQuantity": _number(raw, "usage", "amount_in_pricing_units"),
        "PricingUnit": _text(raw, "usage", "pricing_unit"),
        "ListUnitPrice": _number(raw, "price", "list_price"),
        "ContractedUnitPrice": _number(raw, "price", "effective_price"),
    }


def _times(raw: RawColumns) -> dict[str, str]:
    month, start, end = _text(raw, "invoice", "month"), raw.text("usage_start_time"), raw.text("usage_end_time")
    start_utc, end_utc = filled(_UTC, time=start), filled(_UTC, time=end)
    return {
        "BillingPeriodStart": filled(_MONTH_START, month=month),
        "BillingPeriodEnd": filled(_MONTH_END, month=month),
        "ChargePeriodStart": filled(_MOMENT, moment=start_utc, time=start),
        "ChargePeriodEnd": filled(_MOMENT, moment=end_utc, time=end),
        "ChargeClass": filled(
            _CORRECTION, adjusted=f"{_text(raw, 'adjustment_info', 'id')} IS NOT NULL", start=start_utc, month=month
        ),
    }


def _owners(raw: RawColumns) -> dict[str, str]:
    account = raw.text("billing_account_id")
    project = _text(raw, "project", "id")
    return {
        "BillingAccountId": account,
        "BillingAccountType": "'Billing Account'",
        "SubAccountId": project,
        "SubAccountName": _text(raw, "project", "name"),
        "SubAccountType": f"CASE WHEN {project} IS NOT NULL THEN 'Project' END",
        "x_ResourceGroup": _folder(raw),
        "Tags": _tags(raw),
        "ProviderName": _PROVIDER,
        "ServiceProviderName": _PROVIDER,
        "HostProviderName": _PROVIDER,
        "InvoiceIssuerName": _PROVIDER,
        "PublisherName": f"coalesce({raw.text('seller_name')}, {_PROVIDER})",
    }


def _things(raw: RawColumns) -> dict[str, str]:
    service, sku = _text(raw, "service", "description"), _text(raw, "sku", "description")
    kind, fee = raw.text("cost_type"), _is_fee(raw)
    name, global_name = _text(raw, "resource", "name"), _text(raw, "resource", "global_name")
    return {
        "ChargeCategory": filled(_CATEGORY, type=kind, fee=fee),
        "ChargeFrequency": filled(_FREQUENCY, type=kind, fee=fee),
        "ChargeDescription": f"coalesce({_text(raw, 'adjustment_info', 'description')}, {sku})",
        "ServiceName": service,
        "ServiceCategory": chosen(service, CATEGORIES, "'Other'"),
        "SkuId": _text(raw, "sku", "id"),
        "SkuMeter": sku,
        "SkuPriceDetails": _machine(raw),
        "RegionId": f"coalesce({_text(raw, 'location', 'region')}, {_text(raw, 'location', 'location')})",
        "AvailabilityZone": _text(raw, "location", "zone"),
        "ResourceId": f"coalesce({global_name}, {name})",
        "ResourceName": name,
        "ResourceType": f"nullif(regexp_extract({global_name}, '/([^/]+)/[^/]+$', 1), '')",
    }


def _commitment(raw: RawColumns) -> dict[str, str]:
    reserved = _system_label(raw, "compute.googleapis.com/reservation_name")
    unused = _system_label(raw, "compute.googleapis.com/is_unused_reservation")
    state = f"CASE WHEN lower({unused}) = 'true' THEN 'Unused' WHEN {reserved} IS NOT NULL THEN 'Used' END"
    commitment = _text(raw, "subscription", "instance_id")
    return {
        "CommitmentDiscountId": commitment,
        "CommitmentDiscountStatus": f"CASE WHEN {commitment} IS NOT NULL AND NOT {_is_fee(raw)} THEN 'Used' END",
        "CapacityReservationId": reserved,
        "CapacityReservationStatus": state,
    }


def _is_fee(raw: RawColumns) -> str:
    """SQL: whether the row is the fee of a commitment; Google tells it by the name of the SKU only."""
    return f"coalesce({_text(raw, 'sku', 'description')} ILIKE 'Commitment%', false)"


def _text(raw: RawColumns, column: str, field: str) -> str:
    name = raw.name(column)
    return text_at(name, f"$.{field}") if name else "CAST(NULL AS VARCHAR)"


def _number(raw: RawColumns, column: str, field: str) -> str:
    name = raw.name(column)
    return number_at(name, f"$.{field}") if name else "CAST(NULL AS VARCHAR)"


def _system_label(raw: RawColumns, key: str) -> str:
    name = raw.name("system_labels")
    return value_of_key(quoted(name), key) if name else "CAST(NULL AS VARCHAR)"


def _machine(raw: RawColumns) -> str:
    """SQL: the machine type in the FOCUS key `InstanceType`, null where the row is not about a machine."""
    machine = _system_label(raw, "compute.googleapis.com/machine_spec")
    return f"CASE WHEN {machine} IS NOT NULL THEN CAST(json_object('InstanceType', {machine}) AS VARCHAR) END"


def _folder(raw: RawColumns) -> str:
    """SQL: the folder nearest to the project: its name, else its number; null where there is none."""
    name = raw.name("project")
    if not name:
        return "CAST(NULL AS VARCHAR)"
    ancestors = structs(f"TRY(json_extract({quoted(name)}, '$.ancestors'))", "resource_name", "display_name")
    nearest = f"list_filter({ancestors}, lambda each: starts_with(each.resource_name, 'folders/'))[1]"
    by_number = f"nullif(regexp_extract({text_at(name, '$.ancestry_numbers')}, '^/[^/]+/(?:[^/]+/)*([^/]+)/?$', 1), '')"
    return f"coalesce({nearest}.display_name, {nearest}.resource_name, {by_number})"


def _tags(raw: RawColumns) -> str:
    """SQL: labels, tags and project labels as one JSON object, each key from the first that has it."""
    labels, tags, project = raw.name("labels"), raw.name("tags"), raw.name("project")
    sources = [quoted(name) for name in (labels, tags) if name]
    if project:
        sources.append(f"TRY(json_extract({quoted(project)}, '$.labels'))")
    pairs = [f"coalesce({structs(json, 'key', 'value')}, [])" for json in sources]
    if not pairs:
        return "CAST(NULL AS VARCHAR)"
    kept, taken = [], "[]"
    for each in pairs:
        new = filled(_NEW_PAIRS, pairs=each, taken=taken)
        kept.append(f"list_transform({new}, {_PAIR_TEXT})")
        keys = filled(_KEYS, pairs=each)
        taken = f"list_concat({taken}, {keys})" if taken != "[]" else keys
    found = f"list_concat({', '.join(kept)})" if len(kept) > 1 else kept[0]
    return f"nullif('{{' || array_to_string({found}, ',') || '}}', '{{}}')"


SOURCE = BillSource(
    name="gcp_billing",
    options=frozenset({"table", "invoice_months"}),
    title="Google Cloud usage cost export (BigQuery, as Parquet or JSON lines)",
    recognises=recognises,
    find=find,
    mapping=mapping,
)
"""No control: the sum of no single column is the invoice, credits are in another."""
