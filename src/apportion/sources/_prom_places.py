"""Nodes and volumes of a cluster as the bill knows them.

The id is the last part of a node's `provider_id` (`aws:///us-east-1a/i-0…` → `i-0…`) or of a volume's handle; an Azure
id is its whole path in small letters. The option `nodes` says it where the cluster does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from apportion.sources._prom_time import Subject, subjects
from apportion.sources.readings.contract import Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apportion.sources._prom_rows import Rows

PROVIDERS = {"aws": "AWS", "azure": "Microsoft", "gce": "Google Cloud", "oci": "Oracle"}
"""Scheme of a `provider_id` -> the provider's name in bills."""
_HANDLES = ("csi_volume_handle", "ebs_volume_id", "gce_persistent_disk_name", "azure_disk_name")
_REGION = ("topology_kubernetes_io_region", "failure_domain_beta_kubernetes_io_region")
_MACHINE = ("node_kubernetes_io_instance_type", "beta_kubernetes_io_instance_type")


def bill_id(reported: str) -> str:
    """What a bill calls the thing.

    >>> bill_id("aws:///eu-west-1a/i-0abc"), bill_id("azure:///subscriptions/S/virtualMachines/V"), bill_id("vol-1")
    ('i-0abc', '/subscriptions/s/virtualmachines/v', 'vol-1')
    """
    path = reported.partition("://")[2] if "://" in reported else reported
    if path.lower().startswith("/subscriptions/"):
        return path.lower()
    return path.rstrip("/").rpartition("/")[2]


@dataclass(slots=True)
class Timed:
    """Labels that held in hours: a name may stand for another thing later."""

    versions: list[Subject] = field(default_factory=list)

    def at(self, hour: int) -> Mapping[str, str]:
        """The labels in the hour; where nobody looked, those of the hour closest to it, the earlier of two."""
        if not self.versions:
            return {}
        if len(self.versions) == 1:
            return self.versions[0].labels
        return min(self.versions, key=lambda version: _distance(version, hour)).labels


@dataclass(slots=True)
class Places:
    """Nodes and volumes by cluster and name."""

    named: Mapping[str, str]
    nodes: dict[tuple[str, str], Timed] = field(default_factory=dict)
    labels: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    handles: dict[tuple[str, str], Timed] = field(default_factory=dict)
    claims: dict[tuple[str, str, str], Timed] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Rows, named: Mapping[str, str]) -> Places:
        """The places of a file; `named`: node -> resource id, from the option `nodes`."""
        places = cls(named)
        for node in subjects(rows, "kube_node_info"):
            places.nodes.setdefault(_key(node, "node"), Timed()).versions.append(node)
        for node in subjects(rows, "kube_node_labels"):
            places.labels[_key(node, "node")] = plain_labels(node.labels)
        for volume in subjects(rows, "kube_persistentvolume_info"):
            places.handles.setdefault(_key(volume, "persistentvolume"), Timed()).versions.append(volume)
        for claim in subjects(rows, "kube_persistentvolumeclaim_info"):
            key = (*_key(claim, "namespace"), claim.labels.get("persistentvolumeclaim", ""))
            places.claims.setdefault(key, Timed()).versions.append(claim)
        return places

    def node(self, cluster: str, node: str, hour: int) -> Resource:
        """The machine that a node was in an hour."""
        provider_id = self._info(cluster, node).at(hour).get("provider_id", "")
        labels = self.node_labels(cluster, node)
        return Resource(
            id=self.named.get(node) or bill_id(provider_id) or None,
            node=node or None,
            cluster=cluster,
            provider=PROVIDERS.get(provider_id.partition(":")[0]),
            region=_first(labels, _REGION),
            instance_type=_first(labels, _MACHINE),
        )

    def node_labels(self, cluster: str, node: str) -> Mapping[str, str]:
        """Labels of a node without `label_`; empty where kube-state-metrics does not show them."""
        return self.labels.get((cluster, node), {})

    def seen(self, cluster: str, node: str, hour: int) -> Subject | None:
        """The version of a node that was there in the hour, if any."""
        return next((found for found in self._info(cluster, node).versions if hour in found.hours), None)

    def volume(self, cluster: str, namespace: str, claim: str, hour: int) -> Resource:
        """The volume behind a claim in an hour; without id where the cluster does not say."""
        found = self.claims.get((cluster, namespace, claim), Timed()).at(hour).get("volumename", "")
        handle = _first(self.handles.get((cluster, found), Timed()).at(hour), _HANDLES) or ""
        return Resource(id=bill_id(handle) or None, cluster=cluster)

    def _info(self, cluster: str, node: str) -> Timed:
        return self.nodes.get((cluster, node), Timed())


def plain_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels of an object in `kube_*_labels`, without `label_` and without empty ones."""
    return {key.removeprefix("label_"): value for key, value in labels.items() if key.startswith("label_") and value}


def _key(subject: Subject, label: str) -> tuple[str, str]:
    return subject.labels["cluster"], subject.labels.get(label, "")


def _distance(version: Subject, hour: int) -> tuple[int, int]:
    return min(((abs(seen - hour), seen) for seen in version.hours), default=(hour, hour))


def _first(labels: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    return next((labels[key] for key in keys if labels.get(key)), None)
