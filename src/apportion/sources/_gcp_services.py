"""FOCUS ServiceCategory of Google Cloud services, by `service.description` in lower case."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_BY_CATEGORY: Mapping[str, tuple[str, ...]] = {
    "AI and Machine Learning": (
        "vertex ai",
        "ai platform",
        "cloud machine learning engine",
        "cloud tpu",
        "gemini api",
        "generative language api",
        "cloud dialogflow api",
        "dialogflow api",
        "cloud natural language",
        "cloud natural language api",
        "cloud speech api",
        "cloud text-to-speech api",
        "cloud translation api",
        "translate",
        "cloud vision api",
        "cloud video intelligence api",
        "cloud document ai api",
        "document ai api",
        "cloud automl",
        "recommendations ai",
        "discovery engine api",
        "vertex ai search",
        "notebooks",
    ),
    "Analytics": (
        "bigquery",
        "bigquery bi engine",
        "bigquery data transfer service",
        "bigquery reservation api",
        "bigquery storage api",
        "cloud composer",
        "cloud data fusion",
        "cloud dataflow",
        "cloud dataproc",
        "cloud dataplex",
        "dataplex",
        "dataproc metastore",
        "looker",
        "looker studio",
    ),
    "Compute": (
        "app engine",
        "cloud functions",
        "cloud run",
        "cloud run functions",
        "compute engine",
        "kubernetes engine",
        "vmware engine",
        "batch",
    ),
    "Databases": (
        "alloydb",
        "alloydb for postgresql",
        "cloud bigtable",
        "cloud datastore",
        "cloud firestore",
        "cloud memorystore for memcached",
        "cloud memorystore for redis",
        "cloud spanner",
        "cloud sql",
    ),
    "Developer Tools": (
        "artifact registry",
        "cloud build",
        "cloud deploy",
        "container registry vulnerability scanning",
    ),
    "Identity": ("identity platform", "managed service for microsoft active directory"),
    "Integration": (
        "api gateway",
        "apigee",
        "cloud pub/sub",
        "cloud scheduler",
        "cloud tasks",
        "eventarc",
        "workflows",
    ),
    "Management and Governance": (
        "cloud logging",
        "cloud monitoring",
        "support",
        "stackdriver logging",
        "stackdriver monitoring",
    ),
    "Migration": ("storage transfer service", "database migration service"),
    "Networking": ("cloud cdn", "cloud dns", "networking", "network intelligence center", "cloud interconnect"),
    "Security": (
        "cloud key management service (kms)",
        "recaptcha enterprise",
        "secret manager",
        "security command center",
        "sensitive data protection",
    ),
    "Storage": ("backup for gke", "backup and dr service", "cloud filestore", "cloud storage", "container registry"),
    "Web": ("firebase hosting", "maps api"),
}

CATEGORIES: Mapping[str, str] = {service: category for category, names in _BY_CATEGORY.items() for service in names}
"""What is not listed is `Other`."""
