"""acme's LLM spend: what OpenAI and Anthropic billed per API key and day, as FOCUS 1.2 from a gateway."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.demo.acme.callers import SHARED_KEY, callers_of
from apportion.demo.acme.company import Owner, project_owner
from apportion.demo.acme.company import model_owner as model
from apportion.demo.acme.habits import tags_of
from apportion.demo.acme.truth import Caused, Delivered, Truth
from apportion.demo.acme.usage import Plan, Resource, uses

if TYPE_CHECKING:
    from pathlib import Path

    from apportion.core.period import Month

COLUMNS = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
    *("BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd"),
    *("ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "EffectiveCost", "InvoiceIssuerName"),
    *("ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName"),
    *("PublisherName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName"),
    *("ServiceSubcategory", "SkuId", "SkuMeter", "SubAccountId", "SubAccountName", "Tags"),
)
SKUS = {
    "gpt": ("OpenAI", "gpt-4.1 output tokens", Decimal(8)),
    "gpt-mini": ("OpenAI", "gpt-4.1-mini input tokens", Decimal("0.4")),
    "sonnet": ("Anthropic", "claude-sonnet output tokens", Decimal(15)),
    "haiku": ("Anthropic", "claude-haiku input tokens", Decimal("0.8")),
}
"""Name -> provider, meter, price per million tokens."""


def _key(name: str, sku: str, owner: Owner, habit: str, daily: int) -> Resource:
    return Resource(name, sku, owner.project or "ml-platform", owner, habit, daily)


KEYS = (
    _key("key-assistant-prod", "gpt", model("assist-llm", "prod"), "clean", 9_000),
    _key("key-assistant-prod", "gpt-mini", model("assist-llm", "prod"), "clean", 70_000),
    _key("key-disputes", "sonnet", model("dispute-llm", "prod"), "suffixed", 3_500),
    _key("key-doc-ocr", "haiku", model("doc-ocr", "prod"), "none", 60_000),
    _key("key-insights-lab", "sonnet", project_owner("insights", "dev"), "project", 900),
    _key(SHARED_KEY, "gpt", project_owner("ml-platform", "dev"), "none", 1_200),
)


def write_llm(folder: Path, plan: Plan, month: Month, truth: Truth) -> None:
    """Write one month as `bills/llm/llm-YYYY-MM.csv`; quantities are millions of tokens."""
    file = f"bills/llm/llm-{month}.csv"
    target = folder / file
    target.parent.mkdir(parents=True, exist_ok=True)
    number = 1
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for key in plan.scaled(KEYS):
            for day, quantity, name in uses(key, month, plan):
                cost = SKUS[key.sku][2] * quantity
                writer.writerow(_row(key, month, day, name=name, quantity=quantity, cost=cost))
                number += 1
                by = callers_of(key, month, day=day, quantity=quantity, plan=plan)
                caused = Caused(f"{month}-{day:02d}", name, cost, cost, by)
                truth.add(caused, delivery=Delivered("llm", 1, month, file), row=number)


def _row(key: Resource, month: Month, day: int, *, name: str, quantity: Decimal, cost: Decimal) -> dict[str, str]:
    provider, meter, price = SKUS[key.sku]
    start = month.start.replace(day=day)
    money = dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), f"{cost:f}")
    return money | {
        "BillingAccountId": f"acme-{provider.lower()}",
        "BillingAccountName": "acme",
        "BillingCurrency": "USD",
        "BillingPeriodStart": f"{month.start:%Y-%m-%dT%H:%M:%SZ}",
        "BillingPeriodEnd": f"{month.end:%Y-%m-%dT%H:%M:%SZ}",
        "ChargeCategory": "Usage",
        "ChargeDescription": meter,
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "ChargePeriodEnd": f"{start + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        "ConsumedQuantity": f"{quantity:f}",
        "ConsumedUnit": "Million Tokens",
        "InvoiceIssuerName": provider,
        "ListUnitPrice": str(price),
        "PricingCategory": "Standard",
        "PricingQuantity": f"{quantity:f}",
        "PricingUnit": "Million Tokens",
        "ProviderName": provider,
        "PublisherName": provider,
        "ResourceId": name,
        "ResourceName": name,
        "ResourceType": "API key",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{provider} API",
        "ServiceSubcategory": "Generative AI",
        "SkuId": meter.replace(" ", "-"),
        "SkuMeter": meter,
        "SubAccountId": key.place,
        "SubAccountName": key.place,
        "Tags": json.dumps(tags_of(key.owner, key.habit, name=name)),
    }
