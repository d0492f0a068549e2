"""CloudFormation and SAM templates, JSON or YAML. Nothing is evaluated: `!Ref`, `Fn::Sub` … are unknown values.

Which types can carry tags, and in which property, is `cloudformation_tags.txt`: read from the resource schemas in
`cfn-lint` 1.58.0 (MIT-0), us-east-1. A type that is not in it is looked at only where the template gives it `Tags`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

from apportion.tagging.documents import Node, Tagged, line_of
from apportion.tagging.planned import PlanFormat, Planned


@cache
def tag_properties() -> Mapping[str, str]:
    """Resource type -> the property that holds its tags."""
    text = files("apportion.tagging.plans").joinpath("cloudformation_tags.txt").read_text(encoding="ascii")
    found: dict[str, str] = {}
    for line in text.splitlines():
        service, *names = line.split()
        for entry in names:
            name, _, prop = entry.partition(":")
            found[f"{service}::{name}"] = prop or "Tags"
    return found


def _recognises(documents: list[Node]) -> bool:
    return len(documents) == 1 and isinstance(documents[0], Mapping) and _is_template(documents[0])


def _is_template(document: Mapping[str, Node]) -> bool:
    resources = document.get("Resources")
    return "AWSTemplateFormatVersion" in document or (
        isinstance(resources, Mapping) and all(isinstance(r, Mapping) and "Type" in r for r in resources.values())
    )


def _reads(documents: list[Node]) -> Iterator[Planned]:
    (template,) = documents
    resources = template.get("Resources")
    for name, resource in resources.items() if isinstance(resources, Mapping) else ():
        kind = resource.get("Type") if isinstance(resource, Mapping) else None
        if isinstance(kind, str):
            yield from _resource(name, kind, resource, _global_tags(template, kind))


def _resource(name: str, kind: str, resource: Mapping[str, Node], inherited: Node) -> Iterator[Planned]:
    properties = resource.get("Properties")
    if _is_unknown(properties):
        return
    given = properties if isinstance(properties, Mapping) else {}
    prop = tag_properties().get(kind, "Tags")
    if kind not in tag_properties() and prop not in given:
        return
    tags, whole = _tags(inherited)
    own, own_whole = _tags(given.get(prop))
    line = line_of(given, prop) or line_of(resource, "Properties")
    yield Planned(name, kind, tags | own, f"Properties.{prop}", line, whole=whole and own_whole)


def _global_tags(template: Mapping[str, Node], kind: str) -> Node:
    """The tags that SAM's `Globals` give to every function, API or table."""
    shared = template.get("Globals")
    section = shared.get(kind.removeprefix("AWS::Serverless::")) if isinstance(shared, Mapping) else None
    return section.get("Tags") if isinstance(section, Mapping) and kind.startswith("AWS::Serverless::") else None


def _tags(node: Node) -> tuple[dict[str, str | None], bool]:
    """Tags in either form, and whether all of them can be seen."""
    if node is None:
        return {}, True
    if _is_unknown(node):
        return {}, False
    if isinstance(node, Mapping):
        return {str(key): _value(value) for key, value in node.items()}, True
    found: dict[str, str | None] = {}
    whole = isinstance(node, list)
    for entry in node if isinstance(node, list) else ():
        key = entry.get("Key", entry.get("TagKey")) if isinstance(entry, Mapping) else None
        if isinstance(key, str):
            found[key] = _value(entry.get("Value", entry.get("TagValue")))
        else:
            whole = False
    return found, whole


def _value(node: Node) -> str | None:
    return None if _is_unknown(node) or isinstance(node, Mapping | list) or node is None else str(node)


def _is_unknown(node: Node) -> bool:
    """Whether a value is an intrinsic function: `!Sub …`, {"Ref": …} or {"Fn::…": …}."""
    if isinstance(node, Tagged):
        return True
    return isinstance(node, Mapping) and len(node) == 1 and next(iter(node)).startswith(("Ref", "Fn::", "Condition"))


PLAN = PlanFormat("cloudformation", _recognises, _reads)
