"""The ladder once more, row by row and moment by moment in plain Python: what the set-based `resolve` must equal."""

from __future__ import annotations

import json
from datetime import date, datetime
from itertools import groupby

import re2

from apportion.core.config import version_of
from apportion.core.targets import DIMENSIONS
from apportion.tagging.conditions import FIELDS
from apportion.tagging.normalise import Vocabulary, compared, key_form

NOBODY = ("unallocated", "T5", "none")


def holders(one, settings, moment: datetime) -> list[tuple[int, dict]]:
    """Who holds a charge of this row that starts at the moment: (weight, dimension -> (value, tier, rule)) in order.

    Neighbours that agree are one; the weights of a charge with one holder are 1.
    """
    words = Vocabulary.of(settings)
    rules = [rule for rule in settings.rules if _valid(rule, moment) and holds(rule.when, one)]
    held = [(1, {})]
    for rule in rules:
        held = _ruled(held, rule, words) if rule.override else held
    held = _filled(held, _said(_split(one), words, "T2", "provider-split"))
    held = _filled(held, _said(dict(one["Tags"] or []), words, "T1", None))
    held = _modelled(held, settings, words)
    for rule in rules:
        held = held if rule.override else _modelled(_ruled(held, rule, words), settings, words)
    for said in _mapped(one, settings, words):
        held = _modelled(_filled(held, said), settings, words)
    return _merged(held)


def holds(when, one) -> bool:
    """Whether every part of the condition holds for the row."""
    told = {field: [one[c] for c in columns if one.get(c) is not None] for field, columns in FIELDS.items()}
    tags = {}
    for raw, value in one["Tags"] or []:
        tags.setdefault(key_form(raw), []).append(value)
    parts = [
        *({_folded(t) for t in told[f]} & {_folded(t) for t in wanted} for f, wanted in when.equals.items()),
        *([t for t in told[f] if re2.search(pattern, t)] for f, pattern in when.matches.items()),
        *({compared(t) for t in tags.get(key_form(k), [])} & {compared(t) for t in w} for k, w in when.tags.items()),
        *([t for t in tags.get(key_form(k), []) if re2.search(pattern, t)] for k, pattern in when.tags_match.items()),
    ]
    return all(parts)


def _folded(text):
    return text.strip(" ").lower()


def _valid(rule, moment):
    return (rule.valid_from or date.min) <= moment.date() < (rule.valid_until or date.max)


def _split(one):
    try:
        found = json.loads(one.get("AllocatedTags") or "null")
    except ValueError:
        return {}
    return {key: str(value) for key, value in found.items() if value is not None} if isinstance(found, dict) else {}


def _said(tags, words, tier, rule):
    return {d: (v, tier, rule or f"tag:{d}@{words.version(d)}") for d, v in words.of_tags(tags).items()}


def _named(owner, words, rule):
    return {d: (words.spelled(d, value) or value, "T3", rule) for d, value in owner.items()}


def _filled(held, said):
    return [(weight, {**said, **owner}) for weight, owner in held]


def _ruled(held, rule, words):
    parts = [(s.weight, _named(s.owner, words, f"rule:{rule.id}@{rule.version}")) for s in rule.shares]
    if len(parts) == 1:
        return _filled(held, parts[0][1])
    settles = any(said.keys() - held[0][1].keys() for _, said in parts)
    if len(held) > 1 or not settles:
        return held
    return [(weight, {**said, **held[0][1]}) for weight, said in parts]


def _modelled(held, settings, words):
    models = settings.hierarchy.models
    owners = {words.spelled("model", model): owner for model, owner in models.items()}
    name = f"model-map@{version_of({model: dict(owner) for model, owner in models.items()})}"
    found = []
    for weight, owner in held:
        value, tier, _ = owner.get("model", NOBODY)
        said = {d: (v, tier, name) for d, (v, _, _) in _named(owners.get(value, {}), words, name).items()}
        found.append((weight, {**said, **owner}))
    return found


def _mapped(one, settings, words):
    asked = (
        ("resource-group-map", settings.maps.resource_groups, one.get("x_ResourceGroup")),
        ("account-map", settings.maps.accounts, one.get("SubAccountId")),
        ("account-map", settings.maps.accounts, one.get("BillingAccountId")),
    )
    for name, entries, raw in asked:
        rule = f"{name}@{version_of({key: dict(owner) for key, owner in entries.items()})}"
        keys = {key.strip().casefold(): key for key in entries}
        key = keys.get((raw or "").strip().casefold())
        yield _named(entries[key], words, rule) if key else {}


def _merged(held):
    whole = [(weight, {d: owner.get(d, NOBODY) for d in DIMENSIONS}) for weight, owner in held]
    merged = [(sum(w for w, _ in alike), o) for o, alike in ((o, list(a)) for o, a in groupby(whole, lambda p: p[1]))]
    return merged if len(merged) > 1 else [(1, merged[0][1])]
