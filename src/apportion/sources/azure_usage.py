"""Azure Cost Management exports of cost and usage details, actual or amortised: EA, MCA and pay-as-you-go columns.

The option `cost` says which of the two an export is. They hold the same usage with different money, so one source
takes one of them; runs of the other kind that a manifest tells apart are left out.

`cost = "actual"` (default): the invoice. BilledCost = EffectiveCost = the cost column: commitments are where they were
bought, and usage they cover costs nothing.

`cost = "amortized"`: EffectiveCost = the cost column. BilledCost is the same except on usage that a commitment covers
or should have covered: that was billed when the commitment was bought, in rows this export does not have, so BilledCost
is 0 there and the warning `amortized_only` is kept. A purchase of a commitment has EffectiveCost 0: its cost is in the
usage.

ContractedCost = cost where no commitment applies; ListCost = `paygCostInBillingCurrency` (no other agreement has one).
Prices of an MCA are in the pricing currency and stay there. Azure's own re-allocations (`costAllocationRuleName`) are
kept as they are and marked. Dates are month/day/year or ISO; a billing period's end is inclusive in the file.

Source: Microsoft Learn, "Understand cost details fields", "Convert cost and usage data to FOCUS", "File partitioning".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.problems import Severity
from apportion.core.tables import quoted
from apportion.errors import ConfigError, UnknownShape
from apportion.sources._azure_runs import current
from apportion.sources._azure_services import BY_PROVIDER, CATEGORIES, OPENAI
from apportion.sources._raw_columns import RawColumns, chosen
from apportion.sources.intake.contract import BillSource, ColumnMapping, Delivery, Repair
from apportion.sources.intake.sql_text import filled, literal

if TYPE_CHECKING:
    from apportion.core.config import SourceConfig
    from apportion.sources.intake.place import Place

KINDS = {"actual": "ActualCost", "amortized": "AmortizedCost"}
"""What the option `cost` may say -> what a manifest calls it."""

_COST = ("costInBillingCurrency", "cost", "preTaxCost")
_CURRENCY = ("billingCurrency", "billingCurrencyCode", "currency", "currencyCode")
_DATE = ("date", "usageDateTime", "usageDate")
_SUBSCRIPTION = ("subscriptionId", "subscriptionGuid")
_RESOURCE = ("resourceId", "instanceId")
_QUANTITY = ("quantity", "usageQuantity", "consumedQuantity")

_MICROSOFT = literal("Microsoft")
_TYPE = literal("(?i)/providers/([^/]+/[^/]+)/[^/]+/?$")

# "%Y" takes 26 for the year 26 and a cast takes 10/5/26 for a day of the year 10: only years of four digits are read
_DAY = r"""CASE WHEN regexp_matches(${text}, '/\d{4}')
    THEN TRY_STRPTIME(${text}, ['%m/%d/%Y', '%m/%d/%Y %H:%M:%S', '%m/%d/%Y %I:%M:%S %p'])
    WHEN regexp_matches(${text}, '^\d{4}-') THEN TRY_CAST(${text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END"""
_SHOWN = "coalesce(strftime(${moment}, '%Y-%m-%dT%H:%M:%SZ'), ${text})"

# an end that is the first of a month, of a period that starts on a first, is exclusive already
_PERIOD_END = """CASE WHEN day(${end}) = 1 AND day(${start}) = 1 AND ${end} > ${start} THEN ${end}
    ELSE ${end} + INTERVAL 1 DAY END"""

_CATEGORY = """CASE lower(${type})
    WHEN 'usage' THEN 'Usage' WHEN 'unusedreservation' THEN 'Usage' WHEN 'unusedsavingsplan' THEN 'Usage'
    WHEN 'purchase' THEN 'Purchase' WHEN 'refund' THEN 'Purchase'
    WHEN 'roundingadjustment' THEN 'Adjustment' WHEN 'adjustment' THEN 'Adjustment'
    WHEN 'tax' THEN 'Tax' WHEN 'credit' THEN 'Credit'
    ELSE coalesce(${type}, 'Usage')
END"""
_FREQUENCY = """CASE lower(replace(${text}, '-', ''))
    WHEN 'onetime' THEN 'One-Time' WHEN 'recurring' THEN 'Recurring' WHEN 'monthly' THEN 'Recurring'
    WHEN 'usagebased' THEN 'Usage-Based' ELSE ${text} END"""
_PRICING = """CASE lower(replace(${model}, ' ', ''))
    WHEN 'ondemand' THEN 'Standard' WHEN 'spot' THEN 'Dynamic'
    WHEN 'reservation' THEN 'Committed' WHEN 'savingsplan' THEN 'Committed' ELSE NULL END"""


def recognises(columns: frozenset[str]) -> bool:
    """Whether these are columns of cost and usage details; FOCUS exports of Azure have other names."""
    raw = RawColumns.of(sorted(columns))
    needed = (("meterCategory",), ("meterId",), _COST, _CURRENCY, _DATE)
    return all(raw.name(*spellings) for spellings in needed)


def find(place: Place, config: SourceConfig) -> Delivery:
    """The files of the newest run of each month where the place has manifests, else all files."""
    return current(place, wanted=KINDS[_kind(config)])


def control(columns: tuple[str, ...], config: SourceConfig) -> str | None:
    """The cost column, whose sum is BilledCost; None for an amortised export, where it is EffectiveCost."""
    return RawColumns.of(columns).name(*_COST) if _kind(config) == "actual" else None


def mapping(columns: tuple[str, ...], config: SourceConfig) -> ColumnMapping:
    """The mapping for these raw columns; raises `UnknownShape` where cost, currency or date is missing."""
    raw, kind = RawColumns.of(columns), _kind(config)
    cost = raw.name(*_COST)
    gaps = {"costInBillingCurrency": cost, "billingCurrency": raw.name(*_CURRENCY), "date": raw.name(*_DATE)}
    missing = [name for name, found in gaps.items() if not found]
    if cost is None or missing:
        raise UnknownShape(
            file=config.id,
            what=f"is no Azure cost and usage details export: {', '.join(missing)} is missing.",
            fix="Export 'Cost and usage details (actual)' with all its columns.",
        )
    return ColumnMapping(
        form=f"Azure cost details, {kind} cost",
        expressions={**_money(raw, kind), **_times(raw), **_owners(raw), **_things(raw), **_commitment(raw)},
        used=raw.first_of_each(_CARRIED) | {cost},
        repairs=_repairs(raw, kind, cost),
    )


_CARRIED = (
    *(_CURRENCY, _DATE, _QUANTITY, _SUBSCRIPTION),
    *(("resourceGroup", "resourceGroupName"), ("productName", "product"), ("benefitName", "reservationName")),
    *(("unitOfMeasure",), ("payGPrice",), ("unitPrice",), ("paygCostInBillingCurrency",), ("pricingCurrency",)),
    *(("billingPeriodStartDate",), ("billingPeriodEndDate",), ("billingAccountId",), ("billingAccountName",)),
    *(("invoiceId",), ("subscriptionName",), ("tags",), ("availabilityZone",), ("meterId",), ("meterName",)),
)
"""Raw columns, by their spellings, whose content is wholly in a FOCUS column; all others stay beside the charge."""


def _kind(config: SourceConfig) -> str:
    kind = config.options.get("cost", "actual")
    if kind not in KINDS:
        raise ConfigError.of_option(
            config.id,
            "cost",
            what=f"'{kind}' is not a kind of cost.",
            fix='Write cost = "actual" or cost = "amortized".',
        )
    return str(kind)


def _money(raw: RawColumns, kind: str) -> dict[str, str]:
    cost = raw.text(raw.name(*_COST) or "")
    billed, effective = cost, cost
    if kind == "amortized":
        # a cost that cannot be read must not become a readable 0
        zero = f"CASE WHEN TRY_CAST({cost} AS DECIMAL(38,18)) IS NOT NULL THEN '0' ELSE {cost} END"
        billed = f"CASE WHEN {_is_covered(raw)} THEN {zero} ELSE {cost} END"
        effective = f"CASE WHEN {_is_commitment_purchase(raw)} THEN {zero} ELSE {cost} END"
    found = {
        "BilledCost": billed,
        "EffectiveCost": effective,
        "ContractedCost": f"CASE WHEN {_is_covered(raw)} THEN NULL ELSE {cost} END",
        "BillingCurrency": raw.text(*_CURRENCY),
        **_prices(raw),
    }
    if raw.name("paygCostInBillingCurrency"):
        found["ListCost"] = raw.text("paygCostInBillingCurrency")
    return found


def _prices(raw: RawColumns) -> dict[str, str]:
    pricing, billing = raw.text("pricingCurrency"), raw.text(*_CURRENCY)
    same = f"coalesce({pricing} = {billing}, true)" if raw.name("pricingCurrency") else "true"
    listed, contracted = raw.text("payGPrice"), raw.text("unitPrice")
    is_usage = f"lower(coalesce({raw.text('chargeType')}, 'usage')) = 'usage'"
    quantity, unit = raw.text(*_QUANTITY), raw.text("unitOfMeasure")
    return {
        "ListUnitPrice": f"CASE WHEN {same} THEN {listed} END",
        "ContractedUnitPrice": f"CASE WHEN {same} THEN {contracted} END",
        "PricingCurrency": pricing,
        "PricingCurrencyListUnitPrice": f"CASE WHEN {pricing} IS NOT NULL THEN {listed} END",
        "PricingCurrencyContractedUnitPrice": f"CASE WHEN {pricing} IS NOT NULL THEN {contracted} END",
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "ConsumedQuantity": f"CASE WHEN {is_usage} THEN {quantity} END",
        "ConsumedUnit": f"CASE WHEN {is_usage} THEN {unit} END",
    }


def _times(raw: RawColumns) -> dict[str, str]:
    date, start, end = raw.text(*_DATE), raw.text("billingPeriodStartDate"), raw.text("billingPeriodEndDate")
    day, first, last = (f"({filled(_DAY, text=text)})" for text in (date, start, end))
    after = filled(_PERIOD_END, start=first, end=last)
    return {
        "ChargePeriodStart": filled(_SHOWN, moment=day, text=date),
        "ChargePeriodEnd": f"strftime({day} + INTERVAL 1 DAY, '%Y-%m-%dT%H:%M:%SZ')",
        # pay-as-you-go exports name no billing period: the calendar month of the date
        "BillingPeriodStart": filled(_SHOWN, moment=f"coalesce({first}, date_trunc('month', {day}))", text=start),
        "BillingPeriodEnd": filled(
            _SHOWN, moment=f"coalesce({after}, date_trunc('month', {day}) + INTERVAL 1 MONTH)", text=end
        ),
        "ChargeClass": f"""CASE WHEN {raw.text("previousInvoiceId")} IS NOT NULL
            OR (lower({raw.text("chargeType")}) = 'refund' AND {day} < {first}) THEN 'Correction' END""",
    }


def _owners(raw: RawColumns) -> dict[str, str]:
    subscription, resource = raw.text(*_SUBSCRIPTION), raw.text(*_RESOURCE)
    in_path = f"nullif(regexp_extract({resource}, '(?i)/resourceGroups/([^/]+)', 1), '')"
    return {
        # a pay-as-you-go subscription is its own billing account
        "BillingAccountId": raw.text("billingAccountId", "billingProfileId", *_SUBSCRIPTION),
        "BillingAccountName": raw.text("billingAccountName"),
        "BillingAccountType": "'Billing Account'",
        "SubAccountId": subscription,
        "SubAccountName": raw.text("subscriptionName"),
        "SubAccountType": f"CASE WHEN {subscription} IS NOT NULL THEN 'Subscription' END",
        "x_ResourceGroup": f"coalesce({raw.text('resourceGroup', 'resourceGroupName')}, {in_path})",
        "Tags": raw.text("tags"),
        "InvoiceId": raw.text("invoiceId"),
        "InvoiceIssuerName": f"coalesce({raw.text('partnerName')}, {_MICROSOFT})",
        "ProviderName": _MICROSOFT,
        "ServiceProviderName": _MICROSOFT,
        "HostProviderName": _MICROSOFT,
        "PublisherName": f"coalesce({raw.text('publisherName')}, {_MICROSOFT})",
    }


def _things(raw: RawColumns) -> dict[str, str]:
    service, resource, kind = _service(raw), raw.text(*_RESOURCE), raw.text("chargeType")
    # an unused commitment is used by no resource: it is the resource
    resource = f"CASE WHEN {_is_unused(raw)} THEN coalesce({_commitment_id(raw)}, {resource}) ELSE {resource} END"
    name = f"coalesce({raw.text('resourceName')}, nullif(regexp_extract({resource}, '/([^/]+)/?$', 1), ''))"
    region = f"CASE WHEN lower({_place(raw)}) <> 'unassigned' THEN {_place(raw)} END"
    return {
        "ChargeCategory": filled(_CATEGORY, type=kind),
        "ChargeFrequency": filled(_FREQUENCY, text=raw.text("frequency")),
        "ChargeDescription": raw.text("productName", "product", "meterName"),
        "PricingCategory": filled(_PRICING, model=raw.text("pricingModel")),
        "ServiceName": service,
        "ServiceCategory": chosen(f"({service})", CATEGORIES, "'Other'"),
        "SkuId": raw.text("productId", "meterId"),
        "SkuPriceId": raw.text("meterId"),
        "SkuMeter": raw.text("meterName"),
        "RegionId": f"lower(replace({region}, ' ', ''))",
        "RegionName": region,
        "AvailabilityZone": raw.text("availabilityZone"),
        "ResourceId": resource,
        "ResourceName": name,
        "ResourceType": f"nullif(lower(regexp_extract({resource}, {_TYPE}, 1)), '')",
    }


def _place(raw: RawColumns) -> str:
    return raw.text("resourceLocation", "location", "resourceRegion")


def _service(raw: RawColumns) -> str:
    """SQL: the service the user would name; see `_azure_services`."""
    sub, category = raw.text("meterSubCategory"), raw.text("meterCategory", "serviceFamily")
    meter = f"CASE WHEN starts_with({sub}, {literal(OPENAI)}) THEN {literal(OPENAI)} ELSE {category} END"
    return chosen(raw.text("consumedService"), BY_PROVIDER, meter)


def _commitment(raw: RawColumns) -> dict[str, str]:
    identity, kind = _commitment_id(raw), _commitment_kind(raw)
    category = f"CASE {kind} WHEN 'Reservation' THEN 'Usage' WHEN 'Savings Plan' THEN 'Spend' END"
    status = f"CASE WHEN {_is_unused(raw)} THEN 'Unused' WHEN {_is_covered(raw)} THEN 'Used' END"
    return {
        "CommitmentDiscountId": identity,
        "CommitmentDiscountName": raw.text("benefitName", "reservationName"),
        "CommitmentDiscountType": kind,
        "CommitmentDiscountCategory": category,
        "CommitmentDiscountStatus": status,
    }


def _commitment_id(raw: RawColumns) -> str:
    return raw.text("benefitId", "reservationId")


def _commitment_kind(raw: RawColumns) -> str:
    benefit, model = raw.text("benefitId"), f"lower(replace({raw.text('pricingModel')}, ' ', ''))"
    unused = f"lower({raw.text('chargeType')})"
    return f"""CASE WHEN {benefit} ILIKE '%/microsoft.billingbenefits/%' OR {model} = 'savingsplan'
            OR {unused} = 'unusedsavingsplan' THEN 'Savings Plan'
        WHEN {raw.text("reservationId")} IS NOT NULL OR {benefit} ILIKE '%/microsoft.capacity/%'
            OR {model} = 'reservation' OR {unused} = 'unusedreservation' THEN 'Reservation' END"""


def _is_unused(raw: RawColumns) -> str:
    return f"coalesce(lower({raw.text('chargeType')}) IN ('unusedreservation', 'unusedsavingsplan'), false)"


def _is_covered(raw: RawColumns) -> str:
    """SQL: usage that a commitment covers, or that nobody used of one."""
    model = f"lower(replace({raw.text('pricingModel')}, ' ', ''))"
    usage = f"lower(coalesce({raw.text('chargeType')}, 'usage')) = 'usage'"
    return f"({_is_unused(raw)} OR ({usage} AND coalesce({model} IN ('reservation', 'savingsplan'), false)))"


def _is_commitment_purchase(raw: RawColumns) -> str:
    bought = f"coalesce(lower({raw.text('chargeType')}) IN ('purchase', 'refund'), false)"
    return f"({bought} AND {_commitment_kind(raw)} IS NOT NULL)"


def _repairs(raw: RawColumns, kind: str, cost: str) -> tuple[Repair, ...]:
    not_zero = f"coalesce(TRY_CAST({quoted(cost)} AS DECIMAL(38,18)) <> 0, false)"
    covered = f"{_is_covered(raw)} AND {not_zero}"
    money = _amortized(raw, cost, covered, not_zero) if kind == "amortized" else _actual(cost, covered)
    return (*_reallocated(raw), *money)


def _reallocated(raw: RawColumns) -> tuple[Repair, ...]:
    name = raw.name("costAllocationRuleName")
    if name is None:
        return ()
    return (
        Repair(
            "azure_cost_allocation_rule",
            name,
            f"{raw.text(name)} IS NOT NULL",
            "A cost allocation rule of Azure has already moved this cost; it was kept as it stands.",
            "Make sure that no rule here moves the same cost again.",
            Severity.WARNING,
        ),
    )


def _amortized(raw: RawColumns, cost: str, covered: str, not_zero: str) -> tuple[Repair, ...]:
    return (
        Repair(
            "amortized_only",
            cost,
            covered,
            "This cost was billed when the commitment was bought, which an amortised export does not show: "
            "it is in EffectiveCost, and BilledCost is 0.",
            "Use the FOCUS export of Azure, which holds both costs, if BilledCost has to match the invoice.",
            Severity.WARNING,
        ),
        Repair(
            "commitment_purchase",
            cost,
            f"{_is_commitment_purchase(raw)} AND {not_zero}",
            "The usage that this purchase covers carries its cost already; EffectiveCost was set to 0.",
            "Nothing to do.",
        ),
    )


def _actual(cost: str, covered: str) -> tuple[Repair, ...]:
    return (
        Repair(
            "amortized_as_actual",
            cost,
            covered,
            "Usage that a commitment covers has a cost, as in an amortised export; it was taken as billed.",
            'Set cost = "amortized" in the options of the source if this is the amortised export.',
            Severity.WARNING,
        ),
    )


SOURCE = BillSource(
    name="azure_usage",
    options=frozenset({"cost"}),
    title="Azure cost and usage details (Cost Management export, actual or amortised)",
    recognises=recognises,
    find=find,
    mapping=mapping,
    control=control,
)
