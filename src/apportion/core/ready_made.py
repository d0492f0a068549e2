"""Ready-made pools: what `use = "…"` in a pool starts from. Each says which rows it takes and how it gives them out.

Only rows without an owner are taken where a tag or a rule may name one: who is named for a cost keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOBODY = {"team": "unallocated"}

READY_MADE: Mapping[str, Mapping[str, Any]] = {
    "networking": {
        "when": {"service_category": "Networking", **_NOBODY},
        "within": ["account"],
        "leftover": "wider",
    },
    "data-transfer": {
        "when": {"sku_meter_matches": "(?i)datatransfer|natgateway|egress", **_NOBODY},
        "stage": 2,
        "within": ["account"],
        "leftover": "wider",
    },
    "monitoring": {
        "when": {"service_category": "Management and Governance", **_NOBODY},
        "within": ["account"],
        "leftover": "wider",
    },
    "platform": {
        "when": {"team": "platform", "model": "unallocated"},
        "stage": 3,
    },
    "idle": {
        "when": {"kind": "idle"},
        "within": ["cluster", "resource"],
        "grain": "job",
        "leftover": "wider",
    },
    "depreciation": {
        "when": {"charge_description_matches": "(?i)depreciation", **_NOBODY},
        "method": "proportional_usage",
        "basis": "gpu_seconds",
        "within": ["cluster"],
        "leftover": "wider",
    },
    "commitments": {
        "when": {"charge_category": "Purchase", "pricing_category": "Committed", **_NOBODY},
        "basis_when": {"commitment_status": "Used"},
        "within": ["provider"],
        "leftover": "wider",
    },
    "unused-commitments": {
        "when": {"commitment_status": "Unused", **_NOBODY},
        "stage": 2,
        "basis_when": {"commitment_status": "Used"},
        "within": ["provider"],
        "leftover": "wider",
    },
    "marketplace": {
        "when": {"service_matches": "(?i)marketplace", **_NOBODY},
        "stage": 4,
        "within": ["account"],
        "leftover": "wider",
    },
    "support": {
        "when": {"service_matches": "(?i)support", **_NOBODY},
        "stage": 5,
        "within": ["provider"],
        "leftover": "wider",
    },
    "credits": {
        "when": {"charge_category": "Credit", **_NOBODY},
        "stage": 6,
        "within": ["billing_account"],
        "leftover": "wider",
    },
    "refunds": {
        "when": {"charge_class": "Correction", **_NOBODY},
        "stage": 7,
        "within": ["account", "service"],
        "leftover": "wider",
    },
    "tax": {
        "when": {"charge_category": "Tax", **_NOBODY},
        "stage": 8,
        "basis": "BilledCost",
        "basis_when": {"charge_category": ["Usage", "Purchase"]},
        "within": ["billing_account", "invoice"],
        "leftover": "wider",
    },
}
"""Name -> the pool without its id."""

ABOUT: Mapping[str, str] = {
    "networking": "What providers call networking and nobody owns, by the cost of each account",
    "data-transfer": "Traffic and gateways that are billed with machines",
    "monitoring": "Logs, metrics and management services",
    "platform": "What the team 'platform' runs for all: machines, services, salaries and licences of a cost file",
    "idle": "Capacity of machines that nobody used, by what each job had of the same machine",
    "depreciation": "On-premises machines of a cost file, by the GPU-hours of each cluster",
    "commitments": "Reserved capacity and savings plans that are bought, by the cost that they covered",
    "unused-commitments": "The part of commitments that covered nothing",
    "marketplace": "What is bought from other vendors through a provider",
    "support": "Support plans, by the cost of the provider",
    "credits": "Credits of a contract or programme",
    "refunds": "Corrections of earlier bills, by the service they are of",
    "tax": "Taxes, by what each has on the same invoice",
}
"""Name -> what the pool takes and how it divides it, in one line."""
