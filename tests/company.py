"""A company small enough to check by hand: two months, eight charges, one split, one thing nobody owns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
[project]
name = "tiny"
currency = "USD"

[[sources]]
id = "cloud"
kind = "focus"
paths = ["bills"]

[tags.keys]
team = ["team", "owner"]
model = ["model"]
environment = ["env"]

[hierarchy.teams]
risk = "Finance"
growth = "Sales"

[[rules]]
id = "shared-endpoint"
when = { resource_name = "ranker" }
split = [{ weight = 60, team = "growth", model = "feed" }, { weight = 40, team = "risk", model = "search" }]

[maps.accounts]
"222" = { team = "platform" }
"""

HEADER = (
    "BilledCost,BillingAccountId,BillingAccountName,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,"
    "ChargeCategory,ChargeClass,ChargeDescription,ChargeFrequency,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity,"
    "ConsumedUnit,ContractedCost,EffectiveCost,InvoiceIssuerName,ListCost,PricingQuantity,PricingUnit,ProviderName,"
    "PublisherName,RegionId,ResourceId,ResourceName,ServiceCategory,ServiceName,SkuId,SubAccountId,Tags"
)

SEPTEMBER = (
    # cost, service, resource, account, tags
    ("70.00", "Compute", "trainer", "111", '{""team"": ""Risk"", ""model"": ""fraud"", ""env"": ""prod""}'),
    ("30.00", "Storage", "bucket", "111", '{""owner"": ""growth""}'),
)
OCTOBER = (
    ("100.00", "Compute", "trainer", "111", '{""team"": ""risk"", ""model"": ""fraud"", ""env"": ""prod""}'),
    ("0.01", "Inference", "ranker", "111", ""),
    ("-5.00", "Compute", "trainer", "111", '{""team"": ""risk"", ""model"": ""fraud"", ""env"": ""prod""}'),
    ("20.00", "Network", "nat", "222", ""),
    ("7.50", "Support", "", "333", ""),
    ("0", "Storage", "bucket", "111", '{""owner"": ""growth""}'),
)


def record(month: str, cost: str, service: str, resource: str, account: str, tags: str) -> str:
    """One CSV record of that month."""
    start, end = f"{month}-01T00:00:00Z", f"{_next(month)}-01T00:00:00Z"
    quoted = f'"{tags}"' if tags else ""
    return (
        f"{cost},payer,Payer,USD,{start},{end},Usage,,{service} of {resource},Usage-Based,{start},{end},1,Hours,"
        f"{cost},{cost},Cloud Inc.,{cost},1,Hours,Cloud,Cloud,eu-1,{resource and 'id/' + resource},{resource},Compute,"
        f"{service},SKU,{account},{quoted}"
    )


def _next(month: str) -> str:
    year, number = map(int, month.split("-"))
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"


def bill(month: str, rows: tuple[tuple[str, str, str, str, str], ...]) -> str:
    """A CSV bill of one month."""
    return "\n".join([HEADER, *(record(month, *row) for row in rows)]) + "\n"


def write_company(folder: Path) -> Path:
    """The project folder with both bills; nothing is ingested."""
    (folder / "bills").mkdir(parents=True)
    (folder / "apportion.toml").write_text(CONFIG)
    (folder / "bills" / "2026-09.csv").write_text(bill("2026-09", SEPTEMBER))
    (folder / "bills" / "2026-10.csv").write_text(bill("2026-10", OCTOBER))
    return folder
