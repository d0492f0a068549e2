"""Terraform and OpenTofu plans as JSON: `terraform show -json plan.out` (JSON output format 1.x).

Looked at are the resources the plan makes or changes. A resource that stays, goes, or is only read is not; nor is one
whose values have no place for tags, or of a provider not listed here. Tags of the provider's `default_tags` count: from
`tags_all` where the plan knows it, else from the provider's configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.tagging.planned import PlanFormat, Planned
from apportion.tagging.plans.kubernetes import PLAN as KUBERNETES

if TYPE_CHECKING:
    from apportion.tagging.documents import Node

_INDEX = re.compile(r'\[(?:\d+|"(?:[^"\\]|\\.)*")\]')
_CHANGED = frozenset({"create", "update"})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where resources of a provider keep tags: `own` as written, `all` with the provider's defaults in it."""

    own: tuple[str, ...]
    all: str = ""
    defaults: str = ""


_PLACES: Mapping[str, _Place] = {
    "aws": _Place(("tags", "tag"), "tags_all", "default_tags"),
    "awscc": _Place(("tags",)),
    "azurerm": _Place(("tags",)),
    "azapi": _Place(("tags",)),
    "google": _Place(("labels", "user_labels", "resource_labels"), "effective_labels", "default_labels"),
    "oci": _Place(("freeform_tags", "defined_tags")),
    "alicloud": _Place(("tags",)),
    "databricks": _Place(("custom_tags",)),
    "mongodbatlas": _Place(("tags",)),
}
"""By the first word of the resource type. `tags` of Google are network tags, and no owner's."""
_POD_KINDS = frozenset({"pod", "persistent_volume_claim"})


def _recognises(documents: list[Node]) -> bool:
    return (
        len(documents) == 1
        and isinstance(documents[0], Mapping)
        and "format_version" in documents[0]
        and ("resource_changes" in documents[0] or "planned_values" in documents[0])
    )


def _reads(documents: list[Node]) -> Iterator[Planned]:
    plan = documents[0]
    defaults = _Defaults.of(plan)
    for resource, after, unknown in _resources(plan):
        address, kind = str(resource.get("address", "")), str(resource.get("type", ""))
        provider = kind.partition("_")[0]
        if provider == "kubernetes":
            yield from _kubernetes(address, kind.removeprefix("kubernetes_"), after)
        elif provider in _PLACES:
            yield from _cloud(address, kind, _PLACES[provider], _Values(after, unknown), defaults.of_resource(address))


def _resources(plan: Mapping[str, Node]) -> Iterator[tuple[Mapping[str, Node], Mapping[str, Node], Node]]:
    """Each resource that is made or changed, its values after, and which of them are known only then."""
    changes = plan.get("resource_changes")
    if not isinstance(changes, list):
        root = _table(plan["planned_values"]).get("root_module")
        yield from ((resource, _table(resource.get("values")), {}) for resource in _planned(root))
        return
    for resource in changes:
        change = _table(_table(resource).get("change"))
        if _table(resource).get("mode") != "data" and _CHANGED & set(change.get("actions") or ()):
            yield resource, _table(change.get("after")), change.get("after_unknown")


def _planned(module: Node) -> Iterator[Mapping[str, Node]]:
    yield from (r for r in _list(_table(module).get("resources")) if isinstance(r, Mapping) and r.get("mode") != "data")
    for child in _list(_table(module).get("child_modules")):
        yield from _planned(child)


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of a resource, and a mirror of them with true at each leaf that is known only once it is made."""

    after: Mapping[str, Node]
    unknown: Node

    def has(self, name: str) -> bool:
        return name in self.after or self._unknown(name) is not None

    def tags(self, name: str) -> tuple[dict[str, str | None], bool]:
        """The tags of an attribute, and whether all of them can be seen."""
        value, unknown = self.after.get(name), self._unknown(name)
        found = dict(_pairs(value))
        if isinstance(unknown, Mapping):
            found |= dict.fromkeys(key for key, later in unknown.items() if later is True)
        return found, unknown is not True

    def _unknown(self, name: str) -> Node:
        later = _table(self.unknown).get(name)
        return None if later is False else later


def _pairs(value: Node) -> Iterator[tuple[str, str | None]]:
    """Tags as a map, or as a list of objects with key and value."""
    if isinstance(value, Mapping):
        yield from ((str(key), None if text is None else str(text)) for key, text in value.items())
    for entry in _list(value):
        if isinstance(entry, Mapping) and isinstance(entry.get("key"), str):
            yield entry["key"], str(entry.get("value", ""))


def _cloud(
    address: str, kind: str, place: _Place, values: _Values, inherited: tuple[dict[str, str | None], bool]
) -> Iterator[Planned]:
    named = [name for name in place.own if values.has(name)]
    merged = bool(place.all) and values.has(place.all)
    if not named and not merged:
        return
    own = [values.tags(name) for name in named]
    # A resource without `tags_all` (an autoscaling group) does not inherit the provider's defaults.
    everything, seen = values.tags(place.all) if merged else ({}, True)
    base, base_seen = (everything, True) if seen else inherited
    tags = dict(base)
    for found, _ in own:
        tags |= found
    whole = base_seen and all(whole for _, whole in own)
    yield Planned(address, kind, tags, named[0] if named else place.all, whole=whole)


@dataclass(frozen=True, slots=True)
class _Defaults:
    """The default tags of each provider configuration, and which configuration each resource uses."""

    tags: Mapping[str, tuple[dict[str, str | None], bool]]
    users: Mapping[str, str]

    @classmethod
    def of(cls, plan: Mapping[str, Node]) -> _Defaults:
        configuration = _table(plan.get("configuration"))
        variables = _table(plan.get("variables"))
        providers = _table(configuration.get("provider_config"))
        return cls(
            {key: _default_tags(_table(provider), variables) for key, provider in providers.items()},
            dict(_users(configuration.get("root_module"), "")),
        )

    def of_resource(self, address: str) -> tuple[dict[str, str | None], bool]:
        """The defaults a resource inherits, and whether all of them can be seen."""
        return self.tags.get(self.users.get(_INDEX.sub("", address), ""), ({}, True))


def _users(module: Node, prefix: str) -> Iterator[tuple[str, str]]:
    for resource in _list(_table(module).get("resources")):
        key = _table(resource).get("provider_config_key")
        if isinstance(key, str):
            yield prefix + str(resource.get("address")), key
    for name, call in _table(_table(module).get("module_calls")).items():
        yield from _users(_table(call).get("module"), f"{prefix}module.{name}.")


def _default_tags(provider: Mapping[str, Node], variables: Mapping[str, Node]) -> tuple[dict[str, str | None], bool]:
    place = _PLACES.get(str(provider.get("name")))
    written = _table(provider.get("expressions")).get(place.defaults) if place and place.defaults else None
    block = written[0] if isinstance(written, list) and written else written
    if not isinstance(block, Mapping):
        return {}, True
    expression = _table(block.get("tags", block))
    value = expression.get("constant_value")
    named = [name for name in _list(expression.get("references")) if isinstance(name, str)]
    if value is None and len(named) == 1 and "module_address" not in provider:
        value = _table(variables.get(named[0].removeprefix("var."))).get("value")
    return dict(_pairs(value)), isinstance(value, Mapping)


def _kubernetes(address: str, kind: str, after: Mapping[str, Node]) -> Iterator[Planned]:
    if kind == "manifest":
        for one in KUBERNETES.reads([{"apiVersion": "", "kind": ""} | dict(_table(after.get("manifest")))]):
            yield Planned(address, one.kind, one.tags, f"manifest.{one.where}", whole=one.whole)
    elif kind.removesuffix("_v1") in _POD_KINDS:
        yield _labelled(address, kind, after, "metadata.labels")
    else:
        for path, template in _templates(after.get("spec"), "spec"):
            yield _labelled(address, kind, template, f"{path}.metadata.labels")


def _templates(blocks: Node, path: str) -> Iterator[tuple[str, Mapping[str, Node]]]:
    """Every pod template below a list of blocks, with its path."""
    for block in _list(blocks):
        for name, value in _table(block).items():
            if name == "template":
                yield from ((f"{path}.template", _table(template)) for template in _list(value))
            else:
                yield from _templates(value, f"{path}.{name}")


def _labelled(address: str, kind: str, block: Mapping[str, Node], where: str) -> Planned:
    metadata: Node = next(iter(_list(block.get("metadata"))), None)
    return Planned(address, f"kubernetes_{kind}", dict(_pairs(_table(metadata).get("labels"))), where)


def _table(node: Node) -> Mapping[str, Node]:
    return node if isinstance(node, Mapping) else {}


def _list(node: Node) -> list[Node]:
    return node if isinstance(node, list) else []


PLAN = PlanFormat("terraform", _recognises, _reads)
