"""`apportion.toml` read: text in, `Config` out, and each fault with its file, line, key and fix."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from apportion.core.config import (
    ASKED,
    Config,
    Hierarchy,
    Maps,
    PolicyCase,
    Rule,
    RuleShare,
    SourceConfig,
    TagConfig,
    TagPolicy,
    version_of,
)
from apportion.core.config_condition import condition_of
from apportion.core.config_form import ConfigForm, RuleForm, TagsForm
from apportion.core.config_metering import metering_of
from apportion.core.config_pools import completed, pools_of, whole_parts
from apportion.core.config_text import ConfigText
from apportion.core.money import MAX_WHOLE
from apportion.core.targets import DIMENSIONS, RESERVED
from apportion.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from apportion.core.toml_lines import Path

DEFAULT_KEYS: Mapping[str, tuple[str, ...]] = {
    "team": ("team", "owner", "ml-team"),
    "project": ("project", "application"),
    "model": ("model", "model-name", "ml-model"),
    "environment": ("environment", "env", "stage"),
}
"""The tag keys of a dimension where `[tags.keys]` does not name any."""

_FIXED = "fixed"
_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def parse_config(text: str, *, file: str = "apportion.toml") -> Config:
    """The configuration that the text holds; raises `ConfigError` for the first fault, with its line and the fix."""
    source = _Source(text, file)
    form = source.form()
    _refuse_repeated(source, "sources", [entry.id for entry in form.sources])
    _refuse_repeated(source, "rules", [entry.id for entry in form.rules])
    _refuse_repeated(source, "pools", [entry.id for entry in form.pools])
    _refuse_reserved(source, form)
    for place, entry in enumerate(form.sources):
        if not entry.paths and not ASKED & entry.options.keys():
            raise source.fault(("sources", place, "paths"), "is missing.", "Add paths = … there.")
    return Config(
        name=form.project.name,
        currency=form.project.currency,
        state=form.project.state,
        sources=tuple(
            SourceConfig(entry.id, entry.kind, tuple(entry.paths), entry.delivery, dict(entry.options))
            for entry in form.sources
        ),
        tags=_tags(form.tags),
        rules=tuple(_rule(source, place, entry) for place, entry in enumerate(form.rules)),
        hierarchy=Hierarchy(dict(form.hierarchy.teams), {m: _plain(o) for m, o in form.hierarchy.models.items()}),
        maps=Maps(
            {name: _plain(owner) for name, owner in form.maps.accounts.items()},
            {name: _plain(owner) for name, owner in form.maps.resource_groups.items()},
        ),
        metering=metering_of(form.metering),
        pools=pools_of(source, form.pools),
    )


@dataclass(frozen=True, slots=True)
class _Source(ConfigText):
    """The text and its name, to say where a fault is."""

    def form(self) -> ConfigForm:
        try:
            document = completed(self, tomllib.loads(self.text))
        except tomllib.TOMLDecodeError as error:
            raise self._syntax(error) from error
        except RecursionError as error:
            what, fix = "is nested too deep.", "No setting needs more than a few brackets in each other."
            raise ConfigError(file=self.file, line=None, key="TOML", what=what, fix=fix) from error
        try:
            return ConfigForm.model_validate(document)
        except ValidationError as error:
            first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
            raise self._invalid(first, document) from error

    def _syntax(self, error: tomllib.TOMLDecodeError) -> ConfigError:
        found = _LINE.search(str(error))
        line = int(found[1]) if found else self.text.count("\n") + 1
        return ConfigError(
            file=self.file,
            line=line,
            key="TOML",
            what=f"{_LINE.sub('', str(error)).strip()}.",
            fix="Mend the syntax: texts stand in quotes, tables in [brackets].",
        )

    def _invalid(self, detail: ErrorDetails, document: Mapping[str, Any]) -> ConfigError:
        path = _real_path(detail["loc"], document)
        if detail["type"] == "extra_forbidden":
            known = _known_at(path)
            near = get_close_matches(str(path[-1]), known, n=1)
            guess = f"Did you mean '{near[0]}'? " if near else ""
            return self.fault(path, "is not known here.", f"{guess}Known: {', '.join(known)}.")
        if detail["type"] == "missing":
            return self.fault(path, "is missing.", f"Add {path[-1]} = … there.")
        if isinstance(detail["input"], float):
            return self.fault(path, f"{detail['input']} is not exact.", 'Write it as text, such as "33.3".')
        return self.fault(path, f"{detail['msg']}.", f"Found: {detail['input']!r}.")


def _real_path(loc: Sequence[str | int], document: Any) -> tuple[str | int, ...]:  # noqa: ANN401 - parsed TOML
    """The path without the words that pydantic adds for alternatives and keys."""
    path: list[str | int] = []
    at = document
    for place, step in enumerate(loc):
        last = place == len(loc) - 1
        if isinstance(at, Mapping) and (step in at or (last and step != "[key]")):
            path.append(step)
            at = at.get(step)
        elif isinstance(at, Sequence) and not isinstance(at, str) and isinstance(step, int) and step < len(at):
            path.append(step)
            at = at[step]
    return tuple(path) or ("project",)


def _known_at(path: Path) -> list[str]:
    model: type[BaseModel] | None = ConfigForm
    for step in path[:-1]:
        if isinstance(step, int) or model is None:
            continue
        field = model.model_fields.get(step)
        model = next((m for m in _models_in(field.annotation) if field), None) if field else None
    return sorted(model.model_fields) if model else list(DIMENSIONS)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - a type expression
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


def _refuse_repeated(source: _Source, table: str, ids: Sequence[str]) -> None:
    for place, name in enumerate(ids):
        if name in ids[:place]:
            raise source.fault((table, place, "id"), f"'{name}' is used twice.", "Give each its own id.")


def _refuse_reserved(source: _Source, form: ConfigForm) -> None:
    for path, name in _names_given(form):
        if name.casefold() in RESERVED:  # also in another case: two rows that read alike would be two targets
            raise source.fault(path, f"'{name}' is a name of Apportion's own.", "Choose another name.")


def _names_given(form: ConfigForm) -> Iterator[tuple[Path, str]]:
    for dimension, spellings in form.tags.values.items():
        yield from ((("tags", "values", dimension, spelling), name) for spelling, name in spellings.items())
    for team, unit in form.hierarchy.teams.items():
        yield from ((("hierarchy", "teams", team), name) for name in (team, unit))
    for model, owner in form.hierarchy.models.items():
        path = ("hierarchy", "models", model)
        yield path, model
        yield from (((*path, d), name) for d, name in owner.items())
    for kind, owners in (("accounts", form.maps.accounts), ("resource_groups", form.maps.resource_groups)):
        yield from ((("maps", kind, key, d), name) for key, owner in owners.items() for d, name in owner.items())
    for place, rule in enumerate(form.rules):
        yield from ((("rules", place, "set", d), name) for d, name in (rule.set or {}).items())
        yield from ((("rules", place, "split"), name) for share in rule.split or () for name in share.owner.values())
    for place, pool in enumerate(form.pools):
        yield from ((("pools", place, "split"), name) for share in pool.split or () for name in share.owner.values())
        if isinstance(pool.leftover, dict):
            yield from ((("pools", place, "leftover", d), name) for d, name in pool.leftover.items())


def _tags(form: TagsForm) -> TagConfig:
    policy = form.policy
    return TagConfig(
        keys={d: tuple(form.keys.get(d, DEFAULT_KEYS[d])) for d in DIMENSIONS},  # type: ignore[call-overload]
        values={d: dict(spellings) for d, spellings in form.values.items()},
        policy=TagPolicy(
            required=tuple(policy.required),
            allowed={d: tuple(values) for d, values in policy.allowed.items()},
            cases=tuple(
                PolicyCase({d: tuple(values) for d, values in case.when.items()}, tuple(case.required))
                for case in policy.cases
            ),
            ignore=tuple(policy.ignore),
        ),
    )


def _rule(source: _Source, place: int, form: RuleForm) -> Rule:
    path = ("rules", place)
    if (form.set is None) == (form.split is None):
        raise source.fault(path, "a rule sets something or splits, one of the two.", "Give it either set or split.")
    if form.set is not None and form.method != _FIXED:
        fix = "Leave the method out, or name receivers with split."
        raise source.fault((*path, "method"), "set has one receiver, so there is nothing to weigh.", fix)
    if form.valid_from and form.valid_until and form.valid_from >= form.valid_until:
        what = f"{form.valid_until} is not after valid_from {form.valid_from}."
        raise source.fault((*path, "valid_until"), what, "The rule holds up to, not including, valid_until.")
    condition = condition_of(source, (*path, "when"), form.when)
    shares = (RuleShare(1, _plain(form.set)),) if form.set else _shares(source, path, form)
    content = [form.id, repr(condition), repr(shares), form.valid_from, form.valid_until, form.override, form.method]
    return Rule(
        form.id,
        condition,
        shares,
        form.valid_from,
        form.valid_until,
        override=form.override,
        method=form.method,
        version=version_of(content),
    )


def _shares(source: _Source, path: Path, rule: RuleForm) -> tuple[RuleShare, ...]:
    forms = rule.split or []
    if rule.method == _FIXED and any(form.weight is None for form in forms):
        fix = 'Give each receiver a weight, or the rule a method such as "even".'
        raise source.fault((*path, "split"), "a receiver has no weight.", fix)
    weights = [Decimal(1 if form.weight is None else form.weight) for form in forms]
    if not all(weights):
        raise source.fault((*path, "split"), "a weight is 0.", "Leave that receiver out.")
    if not all(form.owner for form in forms):
        fix = f"Name at least one of {', '.join(DIMENSIONS)}."
        raise source.fault((*path, "split"), "a receiver sets nothing.", fix)
    whole = whole_parts(weights)
    if sum(whole) > MAX_WHOLE:
        what = f"the weights add up to more than {MAX_WHOLE} parts."
        raise source.fault((*path, "split"), what, "Use smaller numbers or fewer digits.")
    return tuple(RuleShare(weight, form.owner) for weight, form in zip(whole, forms, strict=True))


def _plain(owner: Mapping[Any, str]) -> dict[str, str]:
    return {str(dimension): value for dimension, value in owner.items()}
