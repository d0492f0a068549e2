"""FOCUS ServiceCategory of Oracle Cloud services, by `product/service` in lower case."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_BY_CATEGORY: Mapping[str, tuple[str, ...]] = {
    "AI and Machine Learning": (
        "datascience",
        "data_science",
        "generative_ai",
        "ai_language",
        "ai_speech",
        "ai_vision",
        "ai_anomaly_detection",
        "digital_assistant",
    ),
    "Analytics": ("analytics", "bigdata", "data_flow", "dataflow", "data_catalog", "data_integration", "opensearch"),
    "Compute": ("compute", "functions", "oke", "container_instances"),
    "Databases": ("database", "mysql", "nosql", "postgresql"),
    "Identity": ("identity", "kms", "vault"),
    "Integration": ("integration", "streaming", "queue", "notifications", "events"),
    "Management and Governance": ("telemetry", "logging", "apm", "management_cloud"),
    "Networking": ("network", "load_balancer", "dns", "api_gateway", "fast_connect"),
    "Security": ("waf", "waas", "cloud_guard", "data_safe"),
    "Storage": ("block_storage", "object_storage", "objectstore", "file_storage", "fss"),
}

CATEGORIES: Mapping[str, str] = {service: category for category, codes in _BY_CATEGORY.items() for service in codes}
"""Service in lower case -> FOCUS ServiceCategory."""
