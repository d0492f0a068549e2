"""A rule's condition as SQL over `attributes`: values bound, patterns matched by DuckDB's RE2 (linear time)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apportion.core.config import Condition

COLUMNS: dict[str, tuple[str, ...]] = {
    "provider": ("ServiceProviderName", "ProviderName"),
    "service": ("ServiceName",),
    "account": ("SubAccountId", "BillingAccountId"),
    "account_name": ("SubAccountName", "BillingAccountName"),
    "resource_id": ("ResourceId",),
    "resource_name": ("ResourceName",),
    "resource_type": ("ResourceType",),
    "resource_group": ("x_ResourceGroup",),
    "region": ("RegionId",),
    "sku": ("SkuId",),
    "sku_meter": ("SkuMeter",),
    "charge_category": ("ChargeCategory",),
    "charge_description": ("ChargeDescription",),
}
"""Field of a condition -> the columns of which one must answer."""


def where(condition: Condition) -> tuple[str, list[object]]:
    """A SQL boolean over `attributes`, true where every part of the condition holds, and the values it binds in order.

    Values compare without case (Azure changes the case of ids between months); patterns are searched as written. A
    missing column or tag never holds.
    """
    parts: list[str] = []
    values: list[object] = []

    def ask(expressions: tuple[str, ...], form: str, value: object) -> None:
        parts.append("(" + " OR ".join(form.format(expression) for expression in expressions) + ")")
        values.extend([value] * len(expressions))

    for field, wanted in condition.equals.items():
        ask(_quoted(field), "list_contains(?, lower({}))", [text.lower() for text in wanted])
    for field, pattern in condition.matches.items():
        ask(_quoted(field), "regexp_matches({}, ?)", pattern)
    for key, wanted in condition.tags.items():
        parts.append("list_contains(?, lower(Tags[?]))")
        values += [[text.lower() for text in wanted], key]
    for key, pattern in condition.tags_match.items():
        parts.append("regexp_matches(Tags[?], ?)")
        values += [key, pattern]
    return " AND ".join(f"coalesce({part}, false)" for part in parts) or "false", values


def _quoted(field: str) -> tuple[str, ...]:
    return tuple(f'"{column}"' for column in COLUMNS[field])
