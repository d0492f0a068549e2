"""AWS Cost and Usage Report: CUR 2.0, and the legacy report as CSV or Parquet.

BilledCost is what the invoice asks for: the unblended cost, but 0 on usage that a savings plan covers and on the
negations that take that usage back. AWS lists covered usage at its on-demand price and negates it without naming a
resource, so carrying both would bill one team and credit nobody. A negation is the sum of what it negates, so the sum
is the same; where a delivery holds only one side of them, the problem `money_left_out` says by how much it is not.

Where AWS writes discounts into columns (CUR 2.0 without "manual discount compatibility") the unblended cost is the cost
before them; the invoice then asks for the net unblended cost, at which each row that has one is billed. A file whose
discounts are rows of their own has no net costs. A discount has no ListCost.

EffectiveCost is AWS's amortised cost: covered usage at the plan's or reservation's rate, fees only with the part nobody
used. Split cost allocation rows (EKS, ECS) repeat money of their parent resource: they cost 0 here, and their
`split_line_item_*` columns stay beside the charge for metering. Models of other makers on Bedrock are Marketplace
products with codes of their own; their operation tells them.

Source: AWS Data Exports user guide, table dictionary CUR 2.0 (line item, discount, tags and split line item columns);
CUR user guide, line item details and "amortized cost".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.core.problems import Severity
from apportion.core.tables import quoted
from apportion.errors import UnknownShape
from apportion.sources import _aws_reports
from apportion.sources._aws_names import cur2_name, tag_key
from apportion.sources._aws_products import CATEGORIES
from apportion.sources._json_text import text_at
from apportion.sources._raw_columns import chosen
from apportion.sources._tag_columns import one_object
from apportion.sources.intake.contract import BillSource, ColumnMapping, Delivery, Repair
from apportion.sources.intake.sql_text import filled, literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apportion.core.config import SourceConfig
    from apportion.sources.intake.place import Place

COST, PLAN, PARENT = "line_item_unblended_cost", "savings_plan_savings_plan_a_r_n", "split_line_item_parent_resource_id"
NET = "line_item_net_unblended_cost"
NEEDED = (COST, "line_item_line_item_type", "line_item_currency_code", "bill_billing_period_start_date")

_NULL = "CAST(NULL AS VARCHAR)"
_CATEGORY = {
    "usage": "Usage",
    "discountedusage": "Usage",
    "savingsplancoveredusage": "Usage",
    "savingsplannegation": "Usage",
    "fee": "Purchase",
    "rifee": "Purchase",
    "savingsplanupfrontfee": "Purchase",
    "savingsplanrecurringfee": "Purchase",
    "tax": "Tax",
    "credit": "Credit",
    "refund": "Adjustment",
}
_FREQUENCY = {
    "rifee": "Recurring",
    "savingsplanrecurringfee": "Recurring",
    "usage": "Usage-Based",
    "discountedusage": "Usage-Based",
    "savingsplancoveredusage": "Usage-Based",
    "savingsplannegation": "Usage-Based",
}
_COVERED = ("SavingsPlanCoveredUsage", "DiscountedUsage")

# a text that is no number must come out as one that is none, not as 0; 24 digits are exact for what AWS writes
_SUM = """CASE WHEN ${first} IS NULL AND ${second} IS NULL THEN NULL
    ELSE coalesce(CAST(TRY(CAST(coalesce(${first}, '0') AS DECIMAL(38,24))
        ${sign} CAST(coalesce(${second}, '0') AS DECIMAL(38,24))) AS VARCHAR),
        concat_ws(' and ', ${first}, ${second})) END"""

# only a key follows { or , directly; inside a value the quote would be escaped
_KEYS_WITHOUT_PREFIX = """regexp_replace(nullif(${json}, '{}'), '([{,]\\s*")${prefix}', '\\1', 'g')"""
_DETAILS = """nullif(CAST(json_merge_patch('{}', json_object('InstanceType', ${instance},
    'CoreCount', TRY_CAST(${cores} AS INTEGER), 'GpuCount', TRY_CAST(${gpus} AS INTEGER))) AS VARCHAR), '{}')"""


@dataclass(frozen=True, slots=True)
class _Report:
    """The columns of one file: CUR 2.0 name -> name as delivered."""

    names: Mapping[str, str]

    @classmethod
    def of(cls, columns: tuple[str, ...]) -> _Report:
        found: dict[str, str] = {}
        for column in columns:
            found.setdefault(cur2_name(column), column)
        return cls(found)

    def text(self, *names: str) -> str:
        """SQL: the first non-empty text among these columns, null where the file has none of them."""
        texts = [f"nullif({quoted(self.names[name])}, '')" for name in names if name in self.names]
        return f"coalesce({', '.join(texts)})" if texts else _NULL

    def product(self, key: str, *names: str) -> str:
        """SQL: what the `product` map of CUR 2.0 or one of these columns says."""
        mapped = text_at(self.names["product"], f'$."{key}"') if "product" in self.names else _NULL
        return f"coalesce({self.text(*names)}, {mapped})"

    def is_type(self, *types: str) -> str:
        """SQL: whether the line item is of one of these types."""
        kind = f"lower({self.text('line_item_line_item_type')})"
        wanted = " OR ".join(f"{kind} = {literal(each.lower())}" for each in types)
        return f"coalesce({wanted}, false)"

    def is_discount(self) -> str:
        """SQL: whether the row is a discount (EdpDiscount, BundledDiscount …); DiscountedUsage is usage."""
        kind = f"lower({self.text('line_item_line_item_type')})"
        return f"coalesce(contains({kind}, 'discount') AND {kind} <> 'discountedusage', false)"

    def is_split(self) -> str:
        """SQL: whether the row repeats a part of another row's money."""
        return f"({self.text(PARENT)} IS NOT NULL)"


def recognises(columns: frozenset[str]) -> bool:
    """Whether these are columns of a cost and usage report."""
    return set(NEEDED) <= {cur2_name(column) for column in columns}


def find(place: Place, config: SourceConfig) -> Delivery:  # noqa: ARG001 - the same for every configuration
    """The files that the manifests of a folder name; a file or pattern is taken as it is named."""
    return _aws_reports.current(place)


def control(columns: tuple[str, ...], config: SourceConfig) -> str | None:  # noqa: ARG001 - depends on columns only
    """The unblended cost; None where net costs, covered or split rows may make BilledCost differ from it."""
    names = _Report.of(columns).names
    return None if {NET, PLAN, PARENT} & names.keys() else names.get(COST)


def cancels(columns: tuple[str, ...]) -> str | None:
    """What covered usage costs at its list price and what its negation takes back: left out of BilledCost, both."""
    report = _Report.of(columns)
    if COST not in report.names or "line_item_line_item_type" not in report.names:
        return None
    left_out = report.is_type("SavingsPlanCoveredUsage", "SavingsPlanNegation")
    return f"CASE WHEN {left_out} THEN TRY_CAST({report.text(NET, COST)} AS DECIMAL(38,18)) END"


def mapping(columns: tuple[str, ...], config: SourceConfig) -> ColumnMapping:
    """The mapping for these raw columns; raises `UnknownShape` where one without which there is no bill is missing."""
    report = _Report.of(columns)
    if missing := [name for name in NEEDED if name not in report.names]:
        raise UnknownShape(
            file=config.id,
            what=f"is no AWS cost and usage report: {', '.join(missing)} is missing.",
            fix="Export the report with its standard columns.",
        )
    tags = {column: key for column in columns if (key := tag_key(column)) is not None}
    groups = (_money(report), _times(report), _owners(report, tags), _things(report), _commitment(report))
    form = "CUR 2.0" if "resource_tags" in report.names or "product" in report.names else "CUR legacy"
    return ColumnMapping(
        form=form,
        expressions={name: sql for group in groups for name, sql in group.items()},
        used=frozenset({*(report.names[name] for name in _CARRIED if name in report.names), *tags}),
        repairs=_repairs(report),
    )


_CARRIED = (
    *("bill_billing_period_start_date", "bill_billing_period_end_date", "bill_invoice_id", "bill_invoicing_entity"),
    *("bill_payer_account_id", "bill_payer_account_name", "line_item_usage_account_id", "line_item_usage_account_name"),
    *("line_item_usage_start_date", "line_item_usage_end_date", "line_item_currency_code"),
    *(
        "line_item_line_item_description",
        "line_item_resource_id",
        "line_item_availability_zone",
        "resource_tags",
        "tags",
    ),
    *("pricing_unit", "line_item_usage_type"),
    *("product_sku", "product_region_code", "product_product_family", "product_product_name", "pricing_rate_id"),
)
"""Columns whose content is wholly in a FOCUS column; all others stay beside the charge."""


def _difference(more: str, less: str) -> str:
    return filled(_SUM, first=more, second=less, sign="-")


def _sum(one: str, other: str) -> str:
    return filled(_SUM, first=one, second=other, sign="+")


def _money(report: _Report) -> dict[str, str]:
    cost = report.text(NET, COST)
    nothing = f"({report.is_split()} OR {report.is_type('SavingsPlanCoveredUsage', 'SavingsPlanNegation')})"
    listed = f"CASE WHEN {report.is_split()} THEN '0' ELSE {report.text('pricing_public_on_demand_cost')} END"
    negation = report.is_type("SavingsPlanNegation")
    quantity = f"CASE WHEN {report.is_split()} OR {negation} THEN NULL ELSE {report.text('line_item_usage_amount')} END"
    is_usage = report.is_type("Usage", *_COVERED)
    return {
        # a cost that cannot be read must not become a readable 0
        "BilledCost": f"CASE WHEN {nothing} AND {_is_number_or_empty(cost)} THEN '0' ELSE {cost} END",
        "EffectiveCost": _effective(report, cost),
        "ListCost": f"CASE WHEN {negation} OR {report.is_discount()} THEN '0'"
        f" WHEN {is_usage} THEN {listed} ELSE {cost} END",
        "ContractedCost": f"CASE WHEN {negation} OR {report.is_split()} THEN '0'"
        f" WHEN {report.is_type(*_COVERED)} THEN {listed} ELSE {cost} END",
        "ListUnitPrice": f"CASE WHEN {is_usage} THEN {report.text('pricing_public_on_demand_rate')} END",
        "BillingCurrency": report.text("line_item_currency_code"),
        "PricingQuantity": quantity,
        "PricingUnit": report.text("pricing_unit"),
        "ConsumedQuantity": f"CASE WHEN {is_usage} THEN {quantity} END",
        "ConsumedUnit": f"CASE WHEN {is_usage} THEN {report.text('pricing_unit')} END",
    }


def _is_number_or_empty(cost: str) -> str:
    return f"({cost} IS NULL OR TRY_CAST({cost} AS DECIMAL(38,18)) IS NOT NULL)"


def _effective(report: _Report, cost: str) -> str:
    plan_unused = _difference(
        report.text("savings_plan_total_commitment_to_date"), report.text("savings_plan_used_commitment")
    )
    reserved_unused = _sum(
        report.text(
            "reservation_net_unused_amortized_upfront_fee_for_billing_period",
            "reservation_unused_amortized_upfront_fee_for_billing_period",
        ),
        report.text("reservation_net_unused_recurring_fee", "reservation_unused_recurring_fee"),
    )
    covered = report.text("savings_plan_net_savings_plan_effective_cost", "savings_plan_savings_plan_effective_cost")
    reserved = report.text("reservation_net_effective_cost", "reservation_effective_cost")
    upfront = f"({report.is_type('Fee')} AND {report.text('reservation_reservation_a_r_n')} IS NOT NULL)"
    return f"""CASE
        WHEN {report.is_split()} OR {upfront} THEN '0'
        WHEN {report.is_type("SavingsPlanNegation", "SavingsPlanUpfrontFee")} THEN '0'
        WHEN {report.is_type("SavingsPlanCoveredUsage")} THEN {covered}
        WHEN {report.is_type("SavingsPlanRecurringFee")} THEN {plan_unused}
        WHEN {report.is_type("DiscountedUsage")} THEN {reserved}
        WHEN {report.is_type("RIFee")} THEN {reserved_unused}
        ELSE {cost} END"""


def _times(report: _Report) -> dict[str, str]:
    refunded = f"{report.is_type('Refund')} AND lower({report.text('bill_bill_type')}) = 'refund'"
    return {
        "BillingPeriodStart": report.text("bill_billing_period_start_date"),
        "BillingPeriodEnd": report.text("bill_billing_period_end_date"),
        "ChargePeriodStart": report.text("line_item_usage_start_date"),
        "ChargePeriodEnd": report.text("line_item_usage_end_date"),
        "ChargeClass": f"CASE WHEN {refunded} THEN 'Correction' END",
    }


def _owners(report: _Report, tags: Mapping[str, str]) -> dict[str, str]:
    account = report.text("line_item_usage_account_id")
    return {
        "BillingAccountId": report.text("bill_payer_account_id"),
        "BillingAccountName": report.text("bill_payer_account_name"),
        "BillingAccountType": "'Management Account'",
        "SubAccountId": account,
        "SubAccountName": report.text("line_item_usage_account_name"),
        "SubAccountType": f"CASE WHEN {account} IS NOT NULL THEN 'Member Account' END",
        "InvoiceId": report.text("bill_invoice_id"),
        "InvoiceIssuerName": report.text("bill_invoicing_entity"),
        "ProviderName": "'AWS'",
        "ServiceProviderName": "'AWS'",
        "HostProviderName": "'AWS'",
        "PublisherName": report.text("line_item_legal_entity", "bill_invoicing_entity"),
        "Tags": _tags(report, tags),
    }


def _tags(report: _Report, tags: Mapping[str, str]) -> str:
    """SQL: the tags of the columns `tags` or `resource_tags` (maps of CUR 2.0), or of one column per key."""
    found = [
        filled(_KEYS_WITHOUT_PREFIX, json=report.text(column), prefix=prefix)
        for column, prefix in (("tags", "resourceTags/(?:user:)?"), ("resource_tags", "user[:_]"))
        if column in report.names
    ]
    if by_column := one_object(tags.items()):
        found.append(by_column)
    return f"coalesce({', '.join(found)})" if found else _NULL


def _things(report: _Report) -> dict[str, str]:
    kind, code = report.text("line_item_line_item_type"), report.text("line_item_product_code")
    resource = report.text("line_item_resource_id")
    region = report.product("region", "product_region_code", "product_region")
    by_kind = chosen(kind, _CATEGORY, f"coalesce({kind}, 'Usage')")
    invoked = f"starts_with(coalesce({report.text('line_item_operation')}, ''), 'InvokeModel')"
    by_product = chosen(code, CATEGORIES, "'Other'")
    return {
        "ChargeCategory": f"CASE WHEN {report.is_discount()} THEN 'Credit' ELSE {by_kind} END",
        "ChargeFrequency": chosen(kind, _FREQUENCY, "'One-Time'"),
        "ChargeDescription": report.text("line_item_line_item_description"),
        "ServiceName": f"coalesce({report.product('product_name', 'product_product_name')}, {code})",
        "ServiceCategory": f"CASE WHEN {invoked} THEN 'AI and Machine Learning' ELSE {by_product} END",
        "SkuId": report.text("product_sku"),
        "SkuPriceId": report.text("pricing_rate_id"),
        "SkuMeter": report.text("line_item_usage_type"),
        "SkuPriceDetails": filled(
            _DETAILS,
            instance=report.product("instance_type", "product_instance_type"),
            cores=report.product("vcpu", "product_vcpu"),
            gpus=report.product("gpu", "product_gpu"),
        ),
        "RegionId": region,
        "AvailabilityZone": report.text("line_item_availability_zone"),
        "ResourceId": resource,
        "ResourceName": f"nullif(regexp_extract({resource}, '([^/:]+)$', 1), '')",
        "ResourceType": report.product("product_family", "product_product_family"),
    }


def _commitment(report: _Report) -> dict[str, str]:
    commitment = report.text(PLAN, "reservation_reservation_a_r_n")
    covered, spot = (
        report.is_type(*_COVERED),
        f"contains(coalesce({report.text('line_item_usage_type')}, ''), 'SpotUsage')",
    )
    plan = f"{report.text(PLAN)} IS NOT NULL"
    return {
        "CommitmentDiscountId": commitment,
        "CommitmentDiscountCategory": f"CASE WHEN {plan} THEN 'Spend' WHEN {commitment} IS NOT NULL THEN 'Usage' END",
        "CommitmentDiscountType": f"CASE WHEN {plan} THEN 'Savings Plan'"
        f" WHEN {commitment} IS NOT NULL THEN 'Reserved' END",
        "CommitmentDiscountStatus": f"CASE WHEN {covered} THEN 'Used' END",
        "PricingCategory": f"CASE WHEN {covered} THEN 'Committed' WHEN {spot} THEN 'Dynamic'"
        f" WHEN {report.is_type('Usage')} THEN 'Standard' END",
    }


def _repairs(report: _Report) -> tuple[Repair, ...]:
    found = [
        Repair(
            "savings_plan_at_list_price",
            "BilledCost",
            report.is_type("SavingsPlanCoveredUsage", "SavingsPlanNegation"),
            "Usage that a savings plan covers is listed at on-demand price and negated elsewhere; both cost 0 here.",
            "Nothing to do: the plan's fee is billed, and EffectiveCost has the covered usage at the plan's rate.",
        )
    ]
    if PARENT in report.names:
        found.append(
            Repair(
                "split_cost_allocation_row",
                "BilledCost",
                report.is_split(),
                "The row repeats part of another resource's cost (split cost allocation data); it costs 0 here.",
                "Nothing to do: the parent resource's row has the money.",
                Severity.REPAIRED,
            )
        )
        found.append(_split_with_cost(report))
    return tuple(found)


def _split_with_cost(report: _Report) -> Repair:
    return Repair(
        "split_row_with_cost",
        "BilledCost",
        f"{report.is_split()} AND TRY_CAST({report.text(NET, COST)} AS DECIMAL(38,18)) <> 0",
        "A split cost allocation row brings a cost of its own, which no such row should; it was not counted.",
        "Compare the total of the month with the invoice; if these costs belong to it, please report this.",
        Severity.WARNING,
    )


SOURCE = BillSource(
    name="aws_cur",
    title="AWS Cost and Usage Report (CUR 2.0 and legacy)",
    recognises=recognises,
    find=find,
    mapping=mapping,
    control=control,
    cancels=cancels,
)
