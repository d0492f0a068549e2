"""Spellings of one value, or of one key, that are not one yet: what to merge, and the line that merges them.

What differs in case, spaces and joints only is merged already (`normalise`). What is merely near is never merged by
itself: it is listed here, with the line to put into `apportion.toml` if it is right.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.targets import DIMENSIONS
from apportion.tagging.nearness import near_pairs
from apportion.tagging.normalise import Vocabulary, is_system_key, key_form, plain
from apportion.tagging.own_tags import answer_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from apportion.core.config import Config
    from apportion.engine.duck import DuckDb

WHY = {
    "joints": "differs only in how its words are joined",
    "look-alike": "looks the same but has other letters: check who sets it",
    "slip": "differs in one letter",
    "prefix": "is the key behind a prefix",
}


@dataclass(frozen=True, slots=True)
class Use:
    """How much a spelling is used: attribute rows, charges, and money by currency as size (absolute) and plain sum."""

    rows: int
    charges: int
    size: Mapping[str, Decimal]
    amount: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class ValueVariant:
    """A value of a dimension that is probably another's. `value` and `into` are as reports show them."""

    dimension: str
    value: str
    into: str
    spellings: tuple[str, ...]
    """How the bill spells `value`, sorted."""
    why: str
    use: Use
    toml: str
    """The lines for `apportion.toml`."""


@dataclass(frozen=True, slots=True)
class KeyVariant:
    """A tag key that no dimension asks for and that is probably one of its keys. `toml` is the whole new setting."""

    dimension: str
    key: str
    like: str
    why: str
    use: Use
    toml: str


@dataclass(frozen=True, slots=True)
class Variants:
    """All suggestions, the most used first."""

    values: tuple[ValueVariant, ...]
    keys: tuple[KeyVariant, ...]


_SIZED = """
sized AS (
    SELECT x_AttributeNo, BillingCurrency AS currency, SUM(abs(BilledCost)) AS size, SUM(BilledCost) AS amount,
           SUM(x_ChargeCount)::BIGINT AS charges
    FROM money
    GROUP BY x_AttributeNo, BillingCurrency
)"""
VALUES_USED = f"""
WITH {_SIZED},
used AS (
    SELECT DISTINCT k.dimension, e.value, e.x_AttributeNo
    FROM tag_entries AS e JOIN tag_keys AS k ON k.key = e.key
    WHERE e.value IS NOT NULL
)
SELECT u.dimension, u.value, s.currency, COUNT(*), SUM(s.charges)::BIGINT, SUM(s.size), SUM(s.amount)
FROM used AS u JOIN sized AS s ON s.x_AttributeNo = u.x_AttributeNo
GROUP BY ALL
ORDER BY ALL
"""
KEYS_USED = f"""
WITH {_SIZED},
used AS (
    SELECT DISTINCT key, x_AttributeNo FROM tag_entries WHERE layer = 'tag'
)
SELECT u.key, s.currency, COUNT(*), SUM(s.charges)::BIGINT, SUM(s.size), SUM(s.amount)
FROM used AS u JOIN sized AS s ON s.x_AttributeNo = u.x_AttributeNo
GROUP BY ALL
ORDER BY ALL
"""


def find_variants(db: DuckDb, config: Config) -> Variants:
    """What to merge, values and keys. Two names the configuration itself knows are never suggested to be one.

    Reads the session's `attributes` and `money` (x_AttributeNo, BillingCurrency, BilledCost, x_ChargeCount, any number
    of rows per attribute) and takes its names `tag_…`.
    """
    vocabulary = Vocabulary.of(config)
    answer_tags(db, vocabulary)
    values, keys = db.rows(VALUES_USED), db.rows(KEYS_USED)
    db.run("DROP TABLE tag_answers")
    by_value = _uses(((dimension, value), *figures) for dimension, value, *figures in values)
    by_key = _uses(((key,), *figures) for key, *figures in keys)
    found_values = [one for d in DIMENSIONS for one in _values(d, by_value, vocabulary)]
    found_keys = list(_keys({key: use for (key,), use in by_key.items()}, config, vocabulary))
    return Variants(
        tuple(sorted(found_values, key=lambda v: (-v.use.charges, v.dimension, v.value))),
        tuple(sorted(found_keys, key=lambda k: (-k.use.charges, k.dimension, k.key))),
    )


def _uses(rows: Iterable[tuple[object, ...]]) -> dict[tuple[str, ...], Use]:
    found: dict[tuple[str, ...], Use] = {}
    for name, currency, count, charges, size, amount in rows:
        use = Use(count, charges, {currency: size}, {currency: amount})  # type: ignore[dict-item, arg-type]
        found[name] = _added(found[name], use) if name in found else use  # type: ignore[index]
    return found


def _added(one: Use, other: Use) -> Use:
    return Use(
        one.rows + other.rows,
        one.charges + other.charges,
        {c: one.size.get(c, Decimal(0)) + other.size.get(c, Decimal(0)) for c in sorted({*one.size, *other.size})},
        {
            c: one.amount.get(c, Decimal(0)) + other.amount.get(c, Decimal(0))
            for c in sorted({*one.amount, *other.amount})
        },
    )


def _values(dimension: str, used: Mapping[tuple[str, ...], Use], vocabulary: Vocabulary) -> Iterator[ValueVariant]:
    spellings: dict[str, list[str]] = {}
    uses: dict[str, Use] = {}
    for (of, raw), use in used.items():
        word = vocabulary.spelled(dimension, raw) if of == dimension else None
        if word is not None:
            spellings.setdefault(word, []).append(raw)
            uses[word] = _added(uses[word], use) if word in uses else use
    names = vocabulary.names[dimension]
    known = {*names.known.values(), *names.mapped.values()}
    weight = {word: (word in known, uses[word].charges if word in uses else 0) for word in {*uses, *known}}
    for value, into, why in _merges(weight):
        if value in uses:
            merged = sorted({plain(raw) for raw in spellings[value]})
            lines = [f"{quote(raw)} = {quote(into)}" for raw in merged]
            toml = "\n".join([f"[tags.values.{dimension}]", *lines])
            yield ValueVariant(dimension, value, into, tuple(sorted(spellings[value])), WHY[why], uses[value], toml)


def _merges(weight: Mapping[str, tuple[bool, int]]) -> Iterator[tuple[str, str, str]]:
    """Each word that is near a weightier one, with the weightiest such and why; two known words are left alone."""
    best: dict[str, tuple[str, str]] = {}
    for (one, other), why in sorted(near_pairs(weight).items()):
        value, into = sorted((one, other), key=lambda word: (weight[word], word))
        if weight[value][0]:
            continue
        if value not in best or weight[into] > weight[best[value][0]]:
            best[value] = (into, why)
    yield from ((value, into, why) for value, (into, why) in best.items())


def _keys(used: Mapping[str, Use], config: Config, vocabulary: Vocabulary) -> Iterator[KeyVariant]:
    aliases = {key_form(alias): (d, alias) for d in reversed(DIMENSIONS) for alias in config.tags.keys.get(d, ())}
    for key, use in used.items():
        if vocabulary.answers(key) or is_system_key(key, config.tags.policy.ignore):
            continue
        found = _like(key, aliases)
        if found is not None:
            dimension, alias, why = found
            listed = ", ".join(quote(name) for name in (*config.tags.keys[dimension], key))
            yield KeyVariant(dimension, key, alias, WHY[why], use, f"[tags.keys]\n{dimension} = [{listed}]")


def _like(key: str, aliases: Mapping[str, tuple[str, str]]) -> tuple[str, str, str] | None:
    """Dimension, configured key and why, for a key that is near a configured one."""
    last = key_form(key.replace("/", ":").rpartition(":")[2])
    if last != key_form(key) and last in aliases:
        return (*aliases[last], "prefix")
    form = key_form(key)
    for (one, other), why in sorted(near_pairs([form, *aliases]).items()):
        if form in {one, other}:
            return (*aliases[other if form == one else one], why)
    return None


_PLANE = 0xFFFF
"""The last code that four hex digits can write."""


def quote(text: str) -> str:
    r"""The text as a TOML string: control and invisible characters are written as escapes.

    >>> print(quote('a"b\u200b'))
    "a\"b\u200b"
    """
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if unicodedata.category(character) in {"Cc", "Cf", "Co", "Zl", "Zp"}:
        code = ord(character)
        return f"\\u{code:04x}" if code <= _PLANE else f"\\U{code:08x}"
    return character
