"""The conditions of rules as one SQL expression with bound values.

A value equals another without regard to case and outer spaces; a pattern is searched in the text as delivered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from apportion.core.tables import quoted
from apportion.errors import UnknownName
from apportion.tagging.normalise import compared, key_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from apportion.core.config import Condition

FIELDS: Mapping[str, tuple[str, ...]] = {
    "provider": ("ServiceProviderName", "ProviderName"),
    "service": ("ServiceName",),
    "account": ("SubAccountId", "BillingAccountId"),
    "account_name": ("SubAccountName", "BillingAccountName"),
    "resource_id": ("ResourceId",),
    "resource_name": ("ResourceName",),
    "resource_type": ("ResourceType",),
    "resource_group": ("x_ResourceGroup",),
    "region": ("RegionId", "RegionName"),
    "sku": ("SkuId", "SkuPriceId"),
    "sku_meter": ("SkuMeter",),
    "charge_category": ("ChargeCategory",),
    "charge_description": ("ChargeDescription",),
    "charge_class": ("ChargeClass",),
    "service_category": ("ServiceCategory",),
    "service_subcategory": ("ServiceSubcategory",),
    "pricing_category": ("PricingCategory",),
    "commitment": ("CommitmentDiscountId", "CommitmentDiscountName"),
    "commitment_status": ("CommitmentDiscountStatus",),
    "invoice": ("InvoiceId",),
}
"""What a rule may ask about -> the columns of `attributes` it may be found in: one that fits is enough."""

COLUMNS = tuple(dict.fromkeys(column for columns in FIELDS.values() for column in columns))


def folded(column: str) -> str:
    """The name of the column that holds another column's text in lower case and trimmed."""
    return f"{column}_folded"


FOLDED = ", ".join(f"lower(trim({quoted(column)})) AS {quoted(folded(column))}" for column in COLUMNS)
"""The select list that makes every `folded` column."""


@dataclass(slots=True)
class ConditionWriter:
    """Writes conditions over `attributes` (with `FOLDED` beside) and collects their values in `params`.

    `tag_values` holds every distinct (raw key, raw value) of the keys that rules ask about.
    """

    tag_values: Sequence[tuple[str, str]]
    params: dict[str, object] = field(default_factory=dict)

    def write(self, when: Condition) -> str:
        """The SQL expression that is true where every part of the condition holds; true where it has no part.

        Raises `UnknownName` for a field no bill has.
        """
        parts = [
            *(self._equals(name, values) for name, values in when.equals.items()),
            *(self._matches(name, pattern) for name, pattern in when.matches.items()),
            *(self._tagged(key, values) for key, values in when.tags.items()),
            *(self._tag_matches(key, pattern) for key, pattern in when.tags_match.items()),
        ]
        return " AND ".join(f"({part})" for part in parts) or "true"

    def _equals(self, name: str, values: Iterable[str]) -> str:
        bound = ", ".join(f"lower(trim({self._bind(value)}))" for value in values)
        return _any(f"{quoted(folded(column))} IN ({bound})" for column in _columns(name)) if bound else "false"

    def _matches(self, name: str, pattern: str) -> str:
        bound = self._bind(pattern)
        return _any(f"regexp_matches({quoted(column)}, {bound})" for column in _columns(name))

    def _tagged(self, key: str, values: Iterable[str]) -> str:
        wanted = {compared(value) for value in values}
        found: dict[str, list[str]] = {}
        for raw, value in self.tag_values:
            if key_form(raw) == key_form(key) and compared(value) in wanted:
                found.setdefault(raw, []).append(value)
        return _any(f"list_contains({self._bind(spelled)}, Tags[{self._bind(raw)}])" for raw, spelled in found.items())

    def _tag_matches(self, key: str, pattern: str) -> str:
        raws = sorted({raw for raw, _ in self.tag_values if key_form(raw) == key_form(key)})
        return _any(f"regexp_matches(Tags[{self._bind(raw)}], {self._bind(pattern)})" for raw in raws)

    def _bind(self, value: object) -> str:
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"${name}"


def asked_keys(conditions: Iterable[Condition]) -> frozenset[str]:
    """The forms of the tag keys that the conditions ask about."""
    return frozenset(key_form(key) for when in conditions for key in (*when.tags, *when.tags_match))


def _columns(name: str) -> tuple[str, ...]:
    if name not in FIELDS:
        raise UnknownName("field of a bill for rules", name, FIELDS)
    return FIELDS[name]


def _any(parts: Iterable[str]) -> str:
    return " OR ".join(f"coalesce({part}, false)" for part in parts) or "false"
