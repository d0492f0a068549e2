"""Google Cloud usage cost export: rows in the documented shape, small enough to add up by hand."""

from __future__ import annotations

import json

from hypothesis import strategies as st
from tests.sources.mapped import mapped

from apportion.core.config import SourceConfig
from apportion.engine import duck
from apportion.sources.gcp_billing import SOURCE

CONFIG = SourceConfig("gcp", "gcp_billing", ("bills",))


ROW = {
    "billing_account_id": "01A2B3-C4D5E6-F70819",
    "invoice": '{"month":"202610","publisher_type":"GOOGLE"}',
    "cost_type": "regular",
    "service": '{"id":"6F81-5844-456A","description":"Compute Engine"}',
    "sku": '{"id":"2E27-4F75-95CD","description":"A100 GPU running in Americas"}',
    "usage_start_time": "2026-10-05 10:00:00",
    "usage_end_time": "2026-10-05 11:00:00",
    "project": json.dumps(
        {
            "id": "vision-prod",
            "number": "123456789012",
            "name": "Vision production",
            "ancestry_numbers": "/111111111111/222222222222/",
            "ancestors": [
                {"resource_name": "projects/123456789012", "display_name": "Vision production"},
                {"resource_name": "folders/222222222222", "display_name": "research"},
                {"resource_name": "organizations/111111111111", "display_name": "acme.example"},
            ],
            "labels": [{"key": "team", "value": "platform"}, {"key": "cost-center", "value": "42"}],
        }
    ),
    "labels": '[{"key":"team","value":"vision"},{"key":"model","value":"resnet"}]',
    "system_labels": '[{"key":"compute.googleapis.com/machine_spec","value":"a2-highgpu-1g"}]',
    "location": '{"location":"us-central1-a","country":"US","region":"us-central1","zone":"us-central1-a"}',
    "resource": '{"name":"trainer-1","global_name":"//compute.googleapis.com/projects/p/zones/z/instance/77"}',
    "tags": '[{"key":"env","value":"prod","inherited":true,"namespace":"111"},{"key":"team","value":"late"}]',
    "cost": "10.5",
    "cost_at_list": "12",
    "currency": "USD",
    "currency_conversion_rate": "1.0",
    "usage": '{"amount":3600.0,"unit":"seconds","amount_in_pricing_units":1.0,"pricing_unit":"hour"}',
    "credits": "[]",
    "price": '{"list_price":"12","effective_price":"10.5","tier_start_amount":"0","unit":"hour"}',
    "adjustment_info": None,
    "subscription": None,
    "seller_name": None,
}


def charge(**changes):
    row = {**ROW, **changes}
    (found,) = mapped(SOURCE.mapping(tuple(row), CONFIG), [row])
    return found


def billed(cost, credits_json):
    return charge(cost=cost, credits=credits_json)["BilledCost"]


decimals = st.decimals(min_value=-(10**9), max_value=10**9, places=18)


def one(sql, json_text):
    with duck.session() as db:
        return db.rows(f"SELECT {sql} FROM (SELECT $1 AS j)", [json_text])[0][0]


NESTED = ("invoice", "service", "sku", "project", "labels", "system_labels", "location", "resource", "tags", "usage")


def line(**changes):
    """A row as BigQuery writes it to JSON lines: nested columns are objects, amounts are numbers."""
    row = {**ROW, **changes}
    parts = []
    for name, text in row.items():
        nested = name in {*NESTED, "credits", "price", "adjustment_info", "subscription"}
        number = name in {"cost", "cost_at_list", "currency_conversion_rate"}
        parts.append(f'"{name}":' + ("null" if text is None else text if nested or number else json.dumps(text)))
    return "{" + ",".join(parts) + "}\n"


def struct_of(value):
    return {name: text for name, text in value.items() if isinstance(text, str)}
