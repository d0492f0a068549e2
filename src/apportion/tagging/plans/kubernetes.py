"""Kubernetes manifests: any number of YAML documents, or a `List`.

Pods cost money, so the labels of pod templates count, wherever a kind keeps them (`template` with `spec.containers`);
labels of a Deployment do not reach its pods. Volume claims, load balancers and serving resources count by their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from apportion.tagging.documents import Node, Tagged, line_of
from apportion.tagging.planned import PlanFormat, Planned

LABELLED = frozenset(
    {"Pod", "PersistentVolumeClaim", "InferenceService", "LLMInferenceService", "Notebook", "SparkApplication"}
)
"""Kinds that cost money themselves, or hand their own labels to their pods."""


def _recognises(documents: list[Node]) -> bool:
    return bool(documents) and all(isinstance(d, Mapping) and "apiVersion" in d and "kind" in d for d in documents)


def _reads(documents: list[Node]) -> Iterator[Planned]:
    for document in documents:
        items = document.get("items") if str(document["kind"]).endswith("List") else None
        for manifest in items if isinstance(items, list) else [document]:
            if isinstance(manifest, Mapping):
                yield from _resource(manifest)


def _resource(manifest: Mapping[str, Node]) -> Iterator[Planned]:
    kind, metadata = str(manifest.get("kind", "")), _table(manifest.get("metadata"))
    parts = (metadata.get("namespace"), metadata.get("name") or metadata.get("generateName"))
    address = f"{kind}/" + "/".join(part for part in parts if isinstance(part, str))
    if kind in LABELLED or (kind == "Service" and _table(manifest.get("spec")).get("type") == "LoadBalancer"):
        yield _planned(address, kind, metadata, "metadata.labels")
        return
    for path, template in _templates(manifest.get("spec"), "spec"):
        yield _planned(address, kind, _table(template.get("metadata")), f"{path}.metadata.labels", template)


def _templates(node: Node, path: str) -> Iterator[tuple[str, Mapping[str, Node]]]:
    """Every pod template in a spec, with its path."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "template" and "containers" in _table(_table(value).get("spec")):
                yield f"{path}.template", value
            else:
                yield from _templates(value, f"{path}.{key}")
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from _templates(value, f"{path}[{place}]")


def _planned(
    address: str, kind: str, metadata: Mapping[str, Node], where: str, template: Mapping[str, Node] | None = None
) -> Planned:
    labels = metadata.get("labels")
    line = line_of(metadata, "labels") if metadata else line_of(template or {}, "metadata")
    tags = {key: value if isinstance(value, str) else None for key, value in _table(labels).items()}
    return Planned(address, kind, tags, where, line, whole=not isinstance(labels, Tagged))


def _table(node: Node) -> Mapping[str, Node]:
    return node if isinstance(node, Mapping) else {}


PLAN = PlanFormat("kubernetes", _recognises, _reads)
