"""The conditions of rules and pools, from what a user wrote to `Condition`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

import re2

from apportion.core.config import Condition, RowChoice
from apportion.core.measures import WorkloadKind
from apportion.core.targets import COLUMNS

if TYPE_CHECKING:
    from apportion.core.config_text import ConfigText
    from apportion.core.toml_lines import Path

FIELDS = (
    "provider",
    "service",
    "account",
    "account_name",
    "resource_id",
    "resource_name",
    "resource_type",
    "resource_group",
    "region",
    "sku",
    "sku_meter",
    "charge_category",
    "charge_description",
    "charge_class",
    "service_category",
    "service_subcategory",
    "pricing_category",
    "commitment",
    "commitment_status",
    "invoice",
)
"""What a rule's `when` can ask of a charge; `<field>_matches` asks for an RE2 pattern in it."""

OWNER_FIELDS = (*COLUMNS, "kind", "job")
"""What a pool can ask beside: whose the row is. `kind` is that of the workload, `idle` among them."""

MATCHES = "_matches"
"""What a field ends in that asks for a pattern."""


def condition_of(source: ConfigText, path: Path, when: Mapping[str, Any]) -> Condition:
    """What a rule's `when` asks; raises `ConfigError` for a field that no charge has, and where nothing is asked."""
    found = _condition(source, path, when, FIELDS)
    if found == Condition():
        raise source.fault(path, "asks for nothing, so it would take every charge.", "Name at least one field or tag.")
    return found


def choice_of(source: ConfigText, path: Path, when: Mapping[str, Any]) -> RowChoice:
    """What a pool asks of rows, by charge and by owner; nothing asked is every row."""
    found = _condition(source, path, when, (*FIELDS, *OWNER_FIELDS))
    for kind in found.equals.get("kind", ()):
        if kind not in set(WorkloadKind):
            raise source.fault((*path, "kind"), f"there is no kind '{kind}'.", f"Known: {', '.join(WorkloadKind)}.")
    equals, matches = found.equals, found.matches
    charge = Condition(_those(equals, FIELDS), _those(matches, FIELDS), found.tags, found.tags_match)
    return RowChoice(charge, _those(equals, OWNER_FIELDS), _those(matches, OWNER_FIELDS))


_V = TypeVar("_V")


def _those(given: Mapping[str, _V], fields: Collection[str]) -> dict[str, _V]:
    return {name: wanted for name, wanted in given.items() if name in fields}


def _condition(source: ConfigText, path: Path, when: Mapping[str, Any], known: Sequence[str]) -> Condition:
    equals: dict[str, tuple[str, ...]] = {}
    matches: dict[str, str] = {}
    for name, wanted in when.items():
        if name in {"tags", "tags_match"}:
            continue
        field = name.removesuffix(MATCHES)
        if field not in known:
            near = get_close_matches(name, known, n=1)
            guess = f"Did you mean '{near[0]}'? " if near else ""
            fix = f"{guess}Known: {', '.join(known)}, each also with {MATCHES}, tags, tags_match."
            raise source.fault((*path, name), f"there is no field '{name}'.", fix)
        if name.endswith(MATCHES):
            matches[field] = _pattern(source, (*path, name), wanted)
        else:
            equals[field] = _texts(source, (*path, name), wanted)
    tags = _table(source, (*path, "tags"), when.get("tags", {}))
    patterns = _table(source, (*path, "tags_match"), when.get("tags_match", {}))
    return Condition(
        equals,
        matches,
        {key: _texts(source, (*path, "tags", key), wanted) for key, wanted in tags.items()},
        {key: _pattern(source, (*path, "tags_match", key), wanted) for key, wanted in patterns.items()},
    )


def _table(source: ConfigText, path: Path, value: Any) -> Mapping[str, Any]:  # noqa: ANN401 - parsed TOML
    if not isinstance(value, Mapping):
        raise source.fault(path, "is not a table.", 'Write { "tag key" = "value" }.')
    return value


def _texts(source: ConfigText, path: Path, value: Any) -> tuple[str, ...]:  # noqa: ANN401 - parsed TOML
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(text, str) for text in values):
        raise source.fault(path, "is neither a text nor a list of texts.", 'Write "a" or ["a", "b"].')
    return tuple(values)


def _pattern(source: ConfigText, path: Path, value: Any) -> str:  # noqa: ANN401 - parsed TOML
    if not isinstance(value, str):
        raise source.fault(path, "is not a text.", "Write one RE2 pattern as text.")
    try:
        re2.compile(value, _quiet())
    except re2.error as error:
        said = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        fix = "Write it in RE2 syntax: no look-around, no back-references."
        raise source.fault(path, f"is not a pattern: {said}.", fix) from error
    return value


def _quiet() -> Any:  # noqa: ANN401 - re2 ships no types
    options = re2.Options()
    options.log_errors = False
    return options
