"""Billing rows for the tests of the services that name a job or endpoint by themselves."""

from apportion.metering.identity import BilledRow


def row(**given):
    """A row with these fields; all others are empty, as where a bill says nothing."""
    texts = ("provider", "service", "resource_id", "resource_name", "resource_type")
    fields = dict.fromkeys((*texts, "sku_id", "sku_meter", "description"), "")
    return BilledRow(**{**fields, "tags": {}, **given})
