"""acme's Google Cloud bill: the detailed usage cost export as JSON lines, one row per resource, price and day."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.demo.acme.company import model_owner as model
from apportion.demo.acme.company import pool
from apportion.demo.acme.company import project_owner as project
from apportion.demo.acme.habits import tags_of
from apportion.demo.acme.truth import Caused, Delivered, Truth, alone
from apportion.demo.acme.usage import Pattern, Plan, Resource, digest, uses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from apportion.core.period import Month

ACCOUNT = "01A2B3-C4D5E6-F7A8B9"
VISION, ASSISTANT = "acme-vision-prod", "acme-assistant"
_M, _W, _B = Pattern.MACHINES, Pattern.WORKDAYS, Pattern.BURST
_DIGITS = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Sku:
    """What Google Cloud sells: `sustained` usage earns a fifth back as a credit."""

    service: str
    description: str
    unit: str
    price: Decimal
    sustained: bool = False


_VERTEX, _GCE, _GCS = "Vertex AI", "Compute Engine", "Cloud Storage"
SKUS = {
    "predict": Sku(_VERTEX, "Online Prediction g2-standard-12", "hour", Decimal("1.24")),
    "a2": Sku(_VERTEX, "Custom Training a2-highgpu-8g", "hour", Decimal("33.77")),
    "gemini": Sku(_VERTEX, "Gemini Pro Text Input", "1k count", Decimal("0.00125")),
    "n2": Sku(_GCE, "N2 Instance Core running in Americas", "hour", Decimal("0.4"), sustained=True),
    "gcs": Sku(_GCS, "Standard Storage US Multi-region", "gibibyte month", Decimal("0.026")),
    "egress": Sku("Networking", "Network Internet Egress", "gibibyte", Decimal("0.085")),
    "logs": Sku("Cloud Logging", "Log Storage cost", "gibibyte", Decimal("0.5")),
}
RESOURCES = (
    Resource("assist-llm-endpoint", "predict", ASSISTANT, model("assist-llm", "prod"), "clean", 6_000, _M),
    Resource("assist-embed-endpoint", "predict", ASSISTANT, model("assist-embed", "prod"), "suffixed", 3_000, _M),
    Resource("assist-rerank-endpoint", "predict", ASSISTANT, model("assist-rerank", "prod"), "clean", 2_000, _M),
    Resource("voice-asr-endpoint", "predict", ASSISTANT, model("voice-asr", "prod"), "model", 3_000, _M),
    Resource("assist-llm-tune", "a2", ASSISTANT, model("assist-llm", "dev"), "clean", 14_000, _B),
    Resource("voice-asr-train", "a2", ASSISTANT, model("voice-asr", "dev"), "none", 10_000, _B),
    Resource("assist-chat", "gemini", ASSISTANT, model("assist-llm", "prod"), "project", 40_000_000),
    Resource("doc-ocr-batch", "n2", VISION, model("doc-ocr", "prod"), "capital", 6_000, _M),
    Resource("eval-box", "n2", ASSISTANT, project("assistant", "dev"), "mailbox", 40_000, _W),
    Resource("assistant-corpus", "gcs", ASSISTANT, project("assistant", "prod"), "clean", 2_400_000),
    Resource("vision-frames", "gcs", VISION, project("identity", "prod"), "none", 900_000),
    Resource("assistant-egress", "egress", ASSISTANT, pool("network"), "none", 260_000),
    Resource("audit-logs", "logs", ASSISTANT, pool("monitoring"), "none", 60_000),
)


def write_gcp(folder: Path, plan: Plan, month: Month, truth: Truth) -> None:
    """Write one month as `bills/gcp/gcp-billing-YYYY-MM.jsonl`."""
    file = f"bills/gcp/gcp-billing-{month}.jsonl"
    lines = [*_usage(plan, month), _tax(month)]
    target = folder / file
    target.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row, _ in lines)
    target.write_text(text, encoding="utf-8")
    for number, (_, caused) in enumerate(lines, start=1):
        truth.add(caused, delivery=Delivered("gcp", 1, month, file), row=number)


def _usage(plan: Plan, month: Month) -> Iterator[tuple[dict[str, object], Caused]]:
    for resource in plan.scaled(RESOURCES):
        sku = SKUS[resource.sku]
        for day, quantity, name in uses(resource, month, plan):
            cost = (sku.price * quantity).quantize(_DIGITS)
            credit = (-cost / 5).quantize(_DIGITS) if sku.sustained else None
            row = _row(month, day, sku, cost, credit) | {
                "project": {"id": resource.place, "name": resource.place, "labels": []},
                "labels": _labels(tags_of(resource.owner, resource.habit, name=name)),
                "resource": {"name": name, "global_name": f"//{_host(sku)}/projects/{resource.place}/{name}"},
                "usage": {
                    "amount": float(quantity),
                    "unit": sku.unit,
                    "amount_in_pricing_units": float(quantity),
                    "pricing_unit": sku.unit,
                },
            }
            net = cost + (credit or Decimal(0))
            yield row, Caused(f"{month}-{day:02d}", name, net, net, alone(resource.owner))


def _host(sku: Sku) -> str:
    return {"Vertex AI": "aiplatform", "Cloud Storage": "storage"}.get(sku.service, "compute") + ".googleapis.com"


def _labels(tags: dict[str, str]) -> list[dict[str, str]]:
    """Labels as Google Cloud allows them: lower case, no spaces, dots or signs of mail addresses."""
    allowed = str.maketrans({" ": "-", "@": "_at_", ".": "-", ":": "-", "/": "-"})
    return [
        {"key": k.strip().lower().translate(allowed), "value": v.lower().translate(allowed)} for k, v in tags.items()
    ]


def _row(month: Month, day: int, sku: Sku, cost: Decimal, credit: Decimal | None) -> dict[str, object]:
    start = f"{month}-{day:02d}T08:00:00Z"
    given = [] if credit is None else [{
        "name": "Sustained Usage Discount", "amount": float(credit), "type": "SUSTAINED_USAGE_DISCOUNT", "id": "sud",
    }]  # fmt: skip
    return {
        "billing_account_id": ACCOUNT,
        "service": {"id": digest(sku.service)[:14].upper(), "description": sku.service},
        "sku": {"id": digest(sku.description)[:14].upper(), "description": sku.description},
        "usage_start_time": start,
        "usage_end_time": f"{month}-{day:02d}T20:00:00Z",
        "location": {"location": "us-central1", "country": "US", "region": "us-central1"},
        "cost": float(cost),
        "currency": "USD",
        "currency_conversion_rate": 1.0,
        "credits": given,
        "invoice": {"month": str(month).replace("-", "")},
        "cost_type": "regular",
        "export_time": start,
    }


def _tax(month: Month) -> tuple[dict[str, object], Caused]:
    cost = Decimal("412.37")
    row = _row(month, 1, Sku("Invoice", "Tax", "", Decimal(0)), cost, None) | {
        "cost_type": "tax",
        "project": {"id": None, "name": None, "labels": []},
        "labels": [],
        "resource": {"name": None, "global_name": None},
        "usage": {"amount": 0.0, "unit": "", "amount_in_pricing_units": 0.0, "pricing_unit": ""},
    }
    return row, Caused(f"{month}-01", "tax", cost, cost, alone(pool("tax")))
