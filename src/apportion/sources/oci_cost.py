"""Oracle Cloud Infrastructure cost reports (the CSV files below `reports/cost-csv` of a tenancy's report bucket).

One row is one resource in one hour. BilledCost = EffectiveCost = ContractedCost = `cost/myCost`, which includes
overage; `cost/unitPrice` is the price agreed with the tenancy, so there is no ListCost. Corrections are rows of their
own that change the cost of earlier ones, so the plain sum holds; they have ChargeClass `Correction`. A report has no
billing period: it is the month in which the usage starts, in UTC.

As in Oracle's own FOCUS report the billing account is the subscription (the tenancy, where a row has none) and the sub
account the tenancy; the compartment is the resource group. Tags keep the key `Namespace.key`.

Source: Oracle, "Cost and Usage Reports Overview: Cost Report Schema".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.errors import UnknownShape
from apportion.sources._delivered import base, bills_in
from apportion.sources._oci_services import CATEGORIES
from apportion.sources._raw_columns import RawColumns, chosen
from apportion.sources._tag_columns import one_object
from apportion.sources.intake.contract import BillSource, ColumnMapping, Delivery
from apportion.sources.intake.sql_text import filled, literal

if TYPE_CHECKING:
    from apportion.core.config import SourceConfig
    from apportion.sources.intake.place import Place

NEEDED = ("cost/myCost", "cost/currencyCode", "lineItem/tenantId", "lineItem/intervalUsageStart")
"""Columns without which a file is no cost report, or its money cannot be read."""

_TAG = "tags/"
_ORACLE = literal("Oracle")
_MONTH = "date_trunc('month', TRY_CAST(${start} AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"
_SHOWN = "strftime(${moment}, '%Y-%m-%dT%H:%M:%SZ')"
_OTHER_REPORTS = {
    "/usage-csv/": "it is a usage report, which has no costs",
    "/FOCUS Reports/": "it is a FOCUS report of the same costs",
}


def recognises(columns: frozenset[str]) -> bool:
    """Whether these are columns of a cost report."""
    raw = RawColumns.of(sorted(columns))
    return all(raw.name(name) for name in NEEDED)


def find(place: Place, config: SourceConfig) -> Delivery:  # noqa: ARG001 - the socket's signature
    """All cost reports of the place; usage and FOCUS reports of the same bucket are left out."""
    found = bills_in(place)
    others = {path: reason for path in found.files if (reason := _other_report(path))}
    return Delivery(
        tuple(path for path in found.files if path not in others), (*found.left_out, *sorted(others.items()))
    )


def control(columns: tuple[str, ...], config: SourceConfig) -> str | None:  # noqa: ARG001 - the socket's signature
    """The delivered column `cost/myCost`."""
    return RawColumns.of(columns).name("cost/myCost")


def mapping(columns: tuple[str, ...], config: SourceConfig) -> ColumnMapping:
    """The mapping for these raw columns; raises `UnknownShape` where one of `NEEDED` is missing."""
    raw = RawColumns.of(columns)
    missing = [name for name in NEEDED if not raw.name(name)]
    if missing:
        raise UnknownShape(
            file=config.id,
            what=f"is no OCI cost report: {', '.join(missing)} is missing.",
            fix="Copy the files below reports/cost-csv of the bucket; usage reports have no costs.",
        )
    tags = [(name, name.removeprefix(_TAG)) for name in columns if name.startswith(_TAG)]
    return ColumnMapping(
        form="OCI cost report",
        expressions={
            **_money(raw),
            **_times(raw),
            **_owners(raw),
            **_things(raw),
            "Tags": one_object(tags) or "CAST(NULL AS VARCHAR)",
        },
        used=raw.first_of_each((name,) for name in _CARRIED) | {name for name, _ in tags},
    )


_CARRIED = (
    *("cost/myCost", "cost/currencyCode", "cost/unitPrice", "cost/productSku", "cost/skuUnitDescription"),
    *("usage/billedQuantity", "lineItem/tenantId", "lineItem/intervalUsageStart", "lineItem/intervalUsageEnd"),
    *("product/service", "product/region", "product/availabilityDomain", "product/resourceId", "product/Description"),
)
"""Raw columns whose content is wholly in a FOCUS column; all others stay beside the charge."""


def _other_report(path: str) -> str:
    folders = path.removesuffix(base(path))
    return next((reason for mark, reason in _OTHER_REPORTS.items() if mark in folders), "")


def _money(raw: RawColumns) -> dict[str, str]:
    cost, quantity = raw.text("cost/myCost"), raw.text("usage/billedQuantity")
    unit = raw.text("cost/skuUnitDescription", "cost/billingUnitReadable")
    return {
        "BilledCost": cost,
        "EffectiveCost": cost,
        "ContractedCost": cost,
        "BillingCurrency": raw.text("cost/currencyCode"),
        "ContractedUnitPrice": raw.text("cost/unitPrice"),
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
    }


def _times(raw: RawColumns) -> dict[str, str]:
    start = raw.text("lineItem/intervalUsageStart")
    month = filled(_MONTH, start=start)
    return {
        "BillingPeriodStart": filled(_SHOWN, moment=month),
        "BillingPeriodEnd": filled(_SHOWN, moment=f"({month} + INTERVAL 1 MONTH)"),
        "ChargePeriodStart": start,
        "ChargePeriodEnd": raw.text("lineItem/intervalUsageEnd"),
    }


def _owners(raw: RawColumns) -> dict[str, str]:
    tenancy = raw.text("lineItem/tenantId")
    return {
        "BillingAccountId": raw.text("cost/subscriptionId", "lineItem/tenantId"),
        "SubAccountId": tenancy,
        "x_ResourceGroup": raw.text("product/compartmentName", "product/compartmentId"),
        "ProviderName": _ORACLE,
        "ServiceProviderName": _ORACLE,
        "HostProviderName": _ORACLE,
        "PublisherName": _ORACLE,
        "InvoiceIssuerName": _ORACLE,
    }


def _things(raw: RawColumns) -> dict[str, str]:
    service, resource = raw.text("product/service"), raw.text("product/resourceId")
    corrects = f"lower({raw.text('lineItem/isCorrection')}) = 'true'"
    return {
        "ChargeCategory": "'Usage'",
        "ChargeClass": f"CASE WHEN {corrects} THEN 'Correction' END",
        "ChargeFrequency": "'Usage-Based'",
        "ChargeDescription": raw.text("product/Description"),
        "PricingCategory": "'Standard'",
        "ServiceName": service,
        "ServiceCategory": chosen(service, CATEGORIES, "'Other'"),
        "SkuId": raw.text("cost/productSku"),
        "RegionId": raw.text("product/region"),
        "AvailabilityZone": raw.text("product/availabilityDomain"),
        "ResourceId": resource,
        "ResourceType": f"nullif(regexp_extract({resource}, '^ocid1\\.([^.]+)\\.', 1), '')",
    }


SOURCE = BillSource(
    name="oci_cost",
    title="Oracle Cloud cost report (CSV)",
    recognises=recognises,
    find=find,
    mapping=mapping,
    control=control,
)
