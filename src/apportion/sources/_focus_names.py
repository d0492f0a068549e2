"""Which columns a FOCUS file has under which names, and which version that makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core import focus

if TYPE_CHECKING:
    from collections.abc import Iterable

OLDER_NAMES: dict[str, tuple[str, ...]] = {
    "ChargeCategory": ("ChargeType",),
    "ConsumedQuantity": ("UsageQuantity",),
    "ConsumedUnit": ("UsageUnit",),
    "EffectiveCost": ("AmortizedCost",),
    "InvoiceIssuerName": ("InvoiceIssuer",),
    "ProviderName": ("Provider",),
    "PublisherName": ("Publisher",),
    "RegionId": ("Region",),
    "RegionName": ("Region",),
}
"""FOCUS column -> its names in 1.0-preview and before; OCI still writes some of them, in lower case."""

_WEAK = frozenset({"BillingAccountType", "SubAccountType"})
"""Columns of 1.2 that Azure exports had before."""


def version(columns: Iterable[str]) -> str:
    """The FOCUS version whose columns these are, judged by the columns alone.

    >>> version(["BilledCost", "ChargePeriodStart", "Provider"]), version(["BilledCost", "ContractedCost"])
    ('1.0-preview', '1.0')
    >>> version(["BilledCost", "InvoiceId", "ProviderName"]), version(["BilledCost", "ServiceProviderName"])
    ('1.2', '1.4')
    """
    present = {column.lower() for column in columns}
    newest = focus.VERSIONS[0]
    for candidate in focus.VERSIONS:
        since = {c.name.lower() for c in focus.COLUMNS if c.since == candidate and c.name not in _WEAK}
        if since & present:
            newest = candidate
    if newest == "1.3" and not {"providername", "publishername"} & present:
        return "1.4"
    return newest
