"""FOCUS ServiceCategory of Azure services, and the service behind a resource provider, all keys in lower case.

Azure names meters, not services: the machines of an Azure Machine Learning workspace come as `Virtual Machines`, and
Azure OpenAI as a sub-category of `Cognitive Services`. Resource provider and sub-category say whose they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BY_PROVIDER: Mapping[str, str] = {"microsoft.machinelearningservices": "Azure Machine Learning"}
"""`consumedService` -> ServiceName, where the meter category does not tell."""

OPENAI = "Azure OpenAI"
"""ServiceName of meters whose sub-category starts like this."""

_BY_CATEGORY: Mapping[str, tuple[str, ...]] = {
    "AI and Machine Learning": (
        "azure machine learning",
        "azure openai",
        "azure openai service",
        "azure ai services",
        "foundry models",
        "foundry tools",
        "ai services",
        "azure bot service",
        "azure cognitive search",
        "azure ai search",
        "cognitive services",
        "machine learning service",
        "machine learning studio",
    ),
    "Analytics": (
        "azure analysis services",
        "azure data explorer",
        "azure data factory",
        "azure data factory v2",
        "azure databricks",
        "azure synapse analytics",
        "event hubs",
        "hdinsight",
        "microsoft fabric",
        "microsoft purview",
        "power bi embedded",
        "stream analytics",
    ),
    "Compute": (
        "azure app service",
        "azure container apps",
        "azure kubernetes service",
        "azure spring cloud",
        "cloud services",
        "container instances",
        "functions",
        "service fabric",
        "specialized compute",
        "virtual machines",
        "virtual machines licenses",
    ),
    "Databases": (
        "azure cosmos db",
        "azure database for mariadb",
        "azure database for mysql",
        "azure database for postgresql",
        "redis cache",
        "sql database",
        "sql managed instance",
        "sql data warehouse",
    ),
    "Developer Tools": (
        "azure devops",
        "azure lab services",
        "container registry",
        "github",
        "visual studio subscription",
    ),
    "Identity": ("azure active directory", "azure active directory b2c", "azure active directory domain services"),
    "Integration": ("api management", "event grid", "logic apps", "notification hubs", "service bus"),
    "Internet of Things": ("iot hub", "iot central", "digital twins", "azure maps"),
    "Management and Governance": (
        "automation",
        "azure monitor",
        "azure policy",
        "application insights",
        "insight and analytics",
        "log analytics",
        "azure grafana service",
    ),
    "Media": ("media services",),
    "Migration": ("azure database migration service", "azure site recovery"),
    "Networking": (
        "application gateway",
        "azure bastion",
        "azure dns",
        "azure firewall",
        "azure front door service",
        "bandwidth",
        "content delivery network",
        "expressroute",
        "load balancer",
        "nat gateway",
        "network watcher",
        "traffic manager",
        "virtual network",
        "virtual wan",
        "vpn gateway",
    ),
    "Security": (
        "advanced threat protection",
        "key vault",
        "microsoft defender for cloud",
        "security center",
        "sentinel",
    ),
    "Storage": ("azure netapp files", "backup", "data lake store", "storage", "azure data box"),
    "Web": ("azure static web apps", "signalr", "web pubsub"),
}

CATEGORIES: Mapping[str, str] = {service: category for category, names in _BY_CATEGORY.items() for service in names}
"""ServiceName in lower case -> ServiceCategory; what is not listed is `Other`."""
