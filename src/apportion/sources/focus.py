"""FOCUS cost and usage exports, 1.0-preview to 1.4, as AWS, Azure, Google Cloud, OCI and others deliver them.

Source of the deviations: the providers' conformance pages; each is put right by one expression and recorded by one
`Repair`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core import focus
from apportion.errors import UnknownShape
from apportion.sources import _aws_exports, _azure_runs
from apportion.sources._focus_names import OLDER_NAMES, version
from apportion.sources._raw_columns import RawColumns
from apportion.sources.intake.contract import BillSource, ColumnMapping, Delivery, Repair
from apportion.sources.intake.sql_text import filled, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apportion.core.config import SourceConfig
    from apportion.sources.intake.place import Place

_DIRECT = tuple(column.name for column in focus.COLUMNS)

_PRICING = """CASE lower(${text})
    WHEN 'on-demand' THEN 'Standard'
    WHEN 'commitment-based' THEN 'Committed' WHEN 'commitment discount' THEN 'Committed'
    ELSE ${text} END"""
_STATUS = "CASE lower(${text}) WHEN 'used commitment' THEN 'Used' WHEN 'unused commitment' THEN 'Unused' END"
_CLASS = "CASE lower(${text}) WHEN 'refund' THEN 'Correction' END"

# Azure zones are 1, 2 and 3: such a number alone is no price
_SHIFTED = r"""coalesce(${microsoft} AND (regexp_full_match(${zone}, '-?\d+\.\d+')
    OR (regexp_full_match(${zone}, '\d+') AND ${zone} = ${price} AND ${zone} NOT IN ('1', '2', '3'))), false)"""
_IS_ZERO = r"regexp_full_match(${text}, '-?0*\.?0*([eE][+-]?\d+)?')"
_ZERO_PRICE = "coalesce(${microsoft} AND ${zero} AND NOT ${free}, false)"
_PLAN_PURCHASE = """coalesce(${microsoft} AND lower(${category}) = 'purchase'
    AND lower(${commitment}) LIKE '%savings%plan%' AND NOT ${zero}, false)"""
_IS_LIST = "coalesce(${text} LIKE '[%', false)"
_FIRST_OF_LIST = "CASE WHEN ${text} LIKE '[%' THEN json_extract_string(${text}, '$$[0]') ELSE ${text} END"
_GROUP_OF_ID = "nullif(regexp_extract(${id}, '(?i)/resourcegroups/([^/]+)', 1), '')"
_PRICED = ("ListUnitPrice", "ContractedUnitPrice", "ListCost", "ContractedCost")
_OPTIONS = {"BillingAccountId": "billing_account_id", "BillingCurrency": "billing_currency"}


def recognises(columns: frozenset[str]) -> bool:
    """Whether these are FOCUS columns: BilledCost and a period."""
    names = {column.lower() for column in columns}
    return "billedcost" in names and bool({"billingperiodstart", "chargeperiodstart"} & names)


def find(place: Place, config: SourceConfig) -> Delivery:  # noqa: ARG001 - the socket's signature
    """The current files: those that the manifests of an AWS data export or of an Azure export name, else all bills."""
    if any(_aws_exports.is_manifest(path) for path in place.files()):
        return _aws_exports.current(place)
    return _azure_runs.current(place, wanted="FocusCost")


def control(columns: tuple[str, ...], config: SourceConfig) -> str | None:  # noqa: ARG001 - the socket's signature
    """The delivered column BilledCost."""
    return RawColumns.of(columns).name("BilledCost")


def mapping(columns: tuple[str, ...], config: SourceConfig) -> ColumnMapping:
    """The mapping for these raw columns; raises `UnknownShape` where it is no FOCUS file or money cannot be read."""
    raw = RawColumns.of(columns)
    if not recognises(frozenset(columns)):
        missing = [name for name in ("BilledCost", "ChargePeriodStart") if raw.name(name) is None]
        raise UnknownShape(
            file=config.id,
            what=f"has no column {' or '.join(missing)}, so it is no FOCUS export.",
            fix="Export FOCUS cost and usage, or set the kind of the source to what the file is.",
        )
    direct = {name: raw.text(name, *OLDER_NAMES.get(name, ())) for name in _DIRECT if _given(raw, name)}
    expressions = {**direct, **_from_options(raw, config), **_older(raw), **_deviating(raw), **_filled_in(raw)}
    carried = (*((name, *OLDER_NAMES.get(name, ())) for name in _DIRECT), ("x_ResourceGroupName",))
    return ColumnMapping(
        form=f"FOCUS {version(columns)}",
        expressions=expressions,
        used=raw.first_of_each(carried),
        repairs=tuple(_repairs(raw)),
    )


def _given(raw: RawColumns, name: str) -> bool:
    return raw.name(name, *OLDER_NAMES.get(name, ())) is not None


def _from_options(raw: RawColumns, config: SourceConfig) -> dict[str, str]:
    return {
        name: f"coalesce({raw.text(name)}, {literal(str(config.options[option]))})"
        for name, option in _OPTIONS.items()
        if option in config.options
    }


def _older(raw: RawColumns) -> dict[str, str]:
    """What 1.0-preview said with other values."""
    found = {}
    if raw.name("PricingCategory"):
        found["PricingCategory"] = filled(_PRICING, text=raw.text("PricingCategory"))
    if raw.name("ChargeSubcategory"):
        sub = raw.text("ChargeSubcategory")
        found["ChargeClass"] = f"coalesce({raw.text('ChargeClass')}, {filled(_CLASS, text=sub)})"
        status = filled(_STATUS, text=sub)
        found["CommitmentDiscountStatus"] = f"coalesce({raw.text('CommitmentDiscountStatus')}, {status})"
    return found


def _deviating(raw: RawColumns) -> dict[str, str]:
    """What providers deliver otherwise than FOCUS says; `_repairs` records the same conditions."""
    zone, price = raw.text("AvailabilityZone"), raw.text("ListUnitPrice")
    found = {name: f"CASE WHEN NOT {_zero_price(raw, name)} THEN {raw.text(name)} END" for name in _priced(raw)}
    if raw.name("AvailabilityZone"):
        shifted = _shifted(raw)
        found["AvailabilityZone"] = f"CASE WHEN NOT {shifted} THEN {zone} END"
        found["ListUnitPrice"] = f"coalesce({found.get('ListUnitPrice', price)}, CASE WHEN {shifted} THEN {zone} END)"
    if raw.name("EffectiveCost", "AmortizedCost"):
        cost = raw.text("EffectiveCost", "AmortizedCost")
        found["EffectiveCost"] = f"CASE WHEN {_plan_purchase(raw)} THEN '0' ELSE {cost} END"
    if raw.name("ServiceCategory"):
        found["ServiceCategory"] = filled(_FIRST_OF_LIST, text=raw.text("ServiceCategory"))
    return found


def _filled_in(raw: RawColumns) -> dict[str, str]:
    """Columns of another version, from those that say the same: 1.3 renamed the provider, 1.4 took its old name."""
    old = raw.text("ProviderName", "Provider")
    seller, host = raw.text("ServiceProviderName"), raw.text("HostProviderName")
    group = filled(_GROUP_OF_ID, id=raw.text("ResourceId"))
    return {
        "ProviderName": f"coalesce({old}, {seller})",
        "ServiceProviderName": f"coalesce({seller}, {old})",
        "HostProviderName": f"coalesce({host}, {old}, {seller})",
        "x_ResourceGroup": f"coalesce({raw.text('x_ResourceGroupName')}, {group})",
    }


def _repairs(raw: RawColumns) -> Iterator[Repair]:
    if raw.name("AvailabilityZone"):
        yield Repair(
            "azure_shifted_availability_zone",
            "AvailabilityZone",
            _shifted(raw),
            "AvailabilityZone holds the list price of the row (a shifted column of Azure exports); it was taken out, "
            "and into ListUnitPrice where that is empty.",
            "Nothing to do.",
        )
    for name in _priced(raw):
        yield Repair(
            "azure_zero_for_missing",
            name,
            _zero_price(raw, name),
            f"{name} is 0 on a row with a cost: Azure writes 0 where it does not know; it was left empty.",
            "Nothing to do.",
        )
    if raw.name("EffectiveCost", "AmortizedCost"):
        yield Repair(
            "azure_savings_plan_purchase",
            "EffectiveCost",
            _plan_purchase(raw),
            "The purchase of a savings plan carries an EffectiveCost, which its usage carries too; 0 was taken.",
            "Nothing to do.",
        )
    if raw.name("ServiceCategory"):
        yield Repair(
            "service_category_list",
            "ServiceCategory",
            filled(_IS_LIST, text=raw.text("ServiceCategory")),
            "ServiceCategory is a list; its first value was taken.",
            "Nothing to do.",
        )


def _priced(raw: RawColumns) -> list[str]:
    return [name for name in _PRICED if raw.name(name)]


def _microsoft(raw: RawColumns) -> str:
    provider = raw.text("ProviderName", "Provider", "ServiceProviderName")
    return f"lower({provider}) LIKE 'microsoft%'"


def _shifted(raw: RawColumns) -> str:
    zone, price = raw.text("AvailabilityZone"), raw.text("ListUnitPrice")
    return filled(_SHIFTED, microsoft=_microsoft(raw), zone=zone, price=price)


def _zero_price(raw: RawColumns, name: str) -> str:
    zero, free = (filled(_IS_ZERO, text=raw.text(column)) for column in (name, "BilledCost"))
    return filled(_ZERO_PRICE, microsoft=_microsoft(raw), zero=zero, free=free)


def _plan_purchase(raw: RawColumns) -> str:
    return filled(
        _PLAN_PURCHASE,
        microsoft=_microsoft(raw),
        category=raw.text("ChargeCategory"),
        commitment=raw.text("CommitmentDiscountType"),
        zero=filled(_IS_ZERO, text=raw.text("EffectiveCost", "AmortizedCost")),
    )


SOURCE = BillSource(
    name="focus",
    options=frozenset({"billing_account_id", "billing_currency"}),
    title="FOCUS cost and usage (1.0-preview to 1.4)",
    recognises=recognises,
    find=find,
    mapping=mapping,
    control=control,
)
