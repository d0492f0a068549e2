"""acme's AWS bill: a CUR 2.0 export with one row per resource, price and day, and the account's own charges."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.demo.acme.aws_layout import SCHEMA, data_file, write_parts
from apportion.demo.acme.aws_plan import ACCOUNT_NAMES, NODES, PLANNED_NODES, PROD, RESOURCES, SHARED
from apportion.demo.acme.aws_prices import PRICES, AwsSku
from apportion.demo.acme.bill import Bill, as_double
from apportion.demo.acme.cluster import pods_of
from apportion.demo.acme.company import Owner, model_owner, pool
from apportion.demo.acme.habits import tags_of
from apportion.demo.acme.truth import Caused, Delivered, Truth, alone
from apportion.demo.acme.usage import Plan, Resource, days_of, digest, uses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from apportion.core.period import Month

Line = tuple[dict[str, object], Caused]

_CENTS = Decimal("0.0000000001")
"""AWS prints ten digits after the point; such an amount is the shortest form of its double."""
_PLAN_ARN = f"arn:aws:savingsplans::{SHARED}:savingsplan/5b0e7c52"
_PLAN_RATE = Decimal("0.72")
_ZERO = Decimal(0)


def write_aws(folder: Path, plan: Plan, month: Month, truth: Truth, *, delivery: int = 1, place: str) -> None:
    """Write one month of the export under `folder`/`place` in two files and a manifest.

    The second delivery of a month is a restatement: three more charges of a training box came in late, and the first
    endpoint's first day costs a tenth less.
    """
    lines = list(_usage(plan, month))
    lines += _account(plan, month, sum((caused.billed for _, caused in lines), _ZERO))
    half = len(lines) // 2
    if delivery > 1:
        lines = [_cheaper(lines[0]), *lines[1:], *(_late(plan, month, day) for day in (26, 27, 28))]
    # The last row of the first file stands in the second once more: identical rows are legal, AWS's ids are per file.
    halves = (lines[:half], [lines[half - 1], *lines[half:]])
    parts = tuple(Bill(SCHEMA.names) for _ in halves)
    for number, (bill, rows) in enumerate(zip(parts, halves, strict=True), start=1):
        for row, caused in rows:
            bill.add(row, caused)
        bill.tell(truth, Delivered("aws", delivery, month, f"{place}/{data_file(month, number)}"), first_row=1)
    write_parts(folder / place, month, parts)


def _usage(plan: Plan, month: Month) -> Iterator[Line]:
    for resource in plan.scaled((*RESOURCES, *NODES)):
        sku = PRICES[resource.sku]
        for day, quantity, name in uses(resource, month, plan):
            yield _used(plan, resource, sku, month=month, day=day, quantity=quantity, name=name)


def _used(plan: Plan, resource: Resource, sku: AwsSku, *, month: Month, day: int, quantity: Decimal, name: str) -> Line:
    listed = (sku.price * quantity).quantize(_CENTS)
    paid = ((sku.paid or sku.price) * quantity).quantize(_CENTS)
    covered = _planned(resource)
    effective = (listed * _PLAN_RATE).quantize(_CENTS) if covered else paid
    row = {
        **_frame(month, day, f"{resource.name}|{resource.sku}|{name}|{plan.seed}"),
        "line_item_line_item_type": "SavingsPlanCoveredUsage" if covered else "Usage",
        "line_item_usage_account_id": resource.place,
        "line_item_usage_account_name": ACCOUNT_NAMES[resource.place],
        "line_item_product_code": sku.code,
        "line_item_usage_type": sku.usage_type,
        "line_item_operation": sku.operation,
        "bill_billing_entity": "AWS Marketplace" if sku.seller else "AWS",
        "line_item_legal_entity": sku.seller or "Amazon Web Services, Inc.",
        "line_item_resource_id": sku.arn.format(account=resource.place, name=name, hex=digest(name, "aws")),
        "line_item_line_item_description": f"${sku.price} per {sku.unit} {sku.usage_type}",
        "line_item_usage_amount": as_double(quantity),
        "line_item_unblended_cost": as_double(paid),
        "pricing_unit": sku.unit,
        "pricing_public_on_demand_cost": as_double(listed),
        "pricing_public_on_demand_rate": str(sku.price),
        "product": _product(sku),
        "product_sku": digest(sku.usage_type, "sku").upper(),
        "resource_tags": [(f"user_{k}", v) for k, v in tags_of(resource.owner, resource.habit, name=name).items()],
    }
    if covered:
        row |= {
            "savings_plan_savings_plan_a_r_n": _PLAN_ARN,
            "savings_plan_savings_plan_effective_cost": as_double(effective),
        }
    billed = _ZERO if covered else paid
    by = pods_of(resource, month, day=day, plan=plan) if resource.owner.pool == "node" else alone(resource.owner)
    return row, Caused(f"{month}-{day:02d}", name, billed, effective, by)


def _planned(resource: Resource) -> bool:
    """Whether the savings plan covers the machine: a planned node, or the copy of one that a larger scale adds."""
    return any(resource.name == node or resource.name.startswith(f"{node}-") for node in PLANNED_NODES)


def _product(sku: AwsSku) -> list[tuple[str, str]]:
    said = {"product_name": sku.product, "product_family": sku.family, "region": "us-east-1"}
    return list((said | ({"instance_type": sku.instance} if sku.instance else {})).items())


def _frame(month: Month, day: int, words: str) -> dict[str, object]:
    start = datetime(month.year, month.month, day)
    return {
        "identity_line_item_id": digest(words, month, day),
        "bill_bill_type": "Anniversary",
        "bill_billing_entity": "AWS",
        "bill_billing_period_start_date": month.start,
        "bill_billing_period_end_date": month.end,
        "bill_invoice_id": f"{month.year}{digest('invoice', month)[:8].upper()}",
        "bill_invoicing_entity": "Amazon Web Services, Inc.",
        "bill_payer_account_id": SHARED,
        "bill_payer_account_name": ACCOUNT_NAMES[SHARED],
        "line_item_currency_code": "USD",
        "line_item_usage_start_date": start,
        "line_item_usage_end_date": start + timedelta(days=1),
    }


def _charge(
    month: Month, kind: str, words: str, cost: Decimal, *, owner: Owner, day: int = 1, effective: Decimal | None = None
) -> Line:
    """A charge of the account itself: a fee, tax, credit or refund, without resource and tags."""
    row = {
        **_frame(month, day, f"{kind}|{words}"),
        "line_item_line_item_type": kind,
        "line_item_usage_account_id": SHARED,
        "line_item_usage_account_name": ACCOUNT_NAMES[SHARED],
        "line_item_product_code": words.split("|", maxsplit=1)[0],
        "line_item_line_item_description": words.rpartition("|")[2],
        "line_item_legal_entity": "Amazon Web Services, Inc.",
        "line_item_unblended_cost": as_double(cost),
    }
    counted = cost if effective is None else effective
    return row, Caused(f"{month}-{day:02d}", words, cost, counted, alone(owner))


def _account(plan: Plan, month: Month, usage: Decimal) -> Iterator[Line]:
    yield from _savings_plan(plan, month)
    support, tax = (usage * Decimal("0.03")).quantize(_CENTS), (usage * Decimal("0.04")).quantize(_CENTS)
    yield _charge(month, "Fee", "AWSSupportBusiness|AWS Support (Business)", support, owner=pool("support"))
    yield _charge(month, "Tax", "AmazonEC2|US Sales Tax", tax, owner=pool("tax"))
    yield _charge(month, "Credit", "AmazonEC2|Activate credit", Decimal("-850.5"), owner=pool("credits"))
    yield _charge(month, "Usage", "AmazonS3|Free tier", _ZERO, owner=pool("storage"))
    yield _charge(month, "Usage", "awskms|One request", Decimal("7E-10"), owner=pool("storage"))
    if plan.age(month) % 4 == 1:
        yield _refund(month)


def _savings_plan(plan: Plan, month: Month) -> Iterator[Line]:
    """The negation of what the plan covers and the plan's fee, a day at a time: on Sundays half of it is unused."""
    for day in range(1, days_of(month) + 1):
        listed, used, full = _ZERO, _ZERO, _ZERO
        for resource in filter(_planned, plan.scaled(NODES)):
            price = PRICES[resource.sku].price
            full += (price * 24 * _PLAN_RATE).quantize(_CENTS)
            for when, quantity, _ in uses(resource, month, plan):
                cost = (price * quantity).quantize(_CENTS) if when == day else _ZERO
                listed, used = listed + cost, used + (cost * _PLAN_RATE).quantize(_CENTS)
        more = {"savings_plan_savings_plan_a_r_n": _PLAN_ARN}
        owner = pool("commitment")
        row, _ = _charge(month, "SavingsPlanNegation", "AmazonEC2|Negation", -listed, owner=owner, day=day)
        yield row | more, Caused(f"{month}-{day:02d}", "negation", _ZERO, _ZERO, alone(owner))
        words = "ComputeSavingsPlans|1 year Compute Savings Plan"
        fee, caused = _charge(
            month, "SavingsPlanRecurringFee", words, full, owner=owner, day=day, effective=full - used
        )
        amounts: dict[str, object] = {
            "savings_plan_total_commitment_to_date": as_double(full),
            "savings_plan_used_commitment": as_double(used),
        }
        yield fee | more | amounts, caused


def _refund(month: Month) -> Line:
    """A refund for usage of the month before, on an endpoint whose owner is known."""
    before = month.plus(-1)
    owner = model_owner("fraud-bert", "prod")
    row, caused = _charge(month, "Refund", "AmazonSageMaker|Refund of an outage", Decimal("-120.25"), owner=owner)
    arn = PRICES["host g5"].arn.format(account=PROD, name="fraud-bert-prod", hex="")
    tags = [(f"user_{k}", v) for k, v in tags_of(owner, "clean", name="fraud-bert-prod").items()]
    return row | {
        "bill_bill_type": "Refund",
        "line_item_resource_id": arn,
        "line_item_usage_account_id": PROD,
        "line_item_usage_start_date": before.start,
        "line_item_usage_end_date": before.end,
        "resource_tags": tags,
    }, caused


def _cheaper(line: Line) -> Line:
    row, caused = line
    cost = (caused.billed * Decimal("0.9")).quantize(_CENTS)
    return row | {"line_item_unblended_cost": as_double(cost)}, Caused(
        caused.day, caused.resource, cost, cost, caused.by
    )


def _late(plan: Plan, month: Month, day: int) -> Line:
    box = next(resource for resource in RESOURCES if resource.name == "sweep-box")
    sku = PRICES[box.sku]
    return _used(plan, box, sku, month=month, day=day, quantity=Decimal("3.5"), name="sweep-box-late")
