"""Tag keys and values made one: what a key means and how a value is spelled everywhere after.

A value's spelling is the first of: its entry in `tags.values`; an allowed value, a team or model of the hierarchy, or a
name a rule or map uses, if it compares equal; else its own plain form. Values *compare equal* when they differ only in
case, width (NFKC), outer spaces, and which of space, `_`, `-` and `.` joins their words. Letters that merely look alike
do not compare equal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType

from apportion.core.config import Config, Owner, TagConfig, version_of
from apportion.core.targets import DIMENSIONS

SYSTEM_KEYS = (
    "aws:*",
    "aks-managed-*",
    "azsecpack*",
    "hidden-*",
    "link:*",
    "ms-resource-usage",
    "ms.*",
    "ms:*",
    "goog-*",
    "google-*",
    "k8s-*",
    "k8s.io*",
    "kubernetes.io/*",
    "*.kubernetes.io/*",
    "*.k8s.io/*",
    "eks:*",
    "elasticbeanstalk:*",
    "cloudformation:*",
    "oracle-tags.*",
    "orcl-*",
    "databricks-instance-*",
    "vendor",
    "managed-by",
    "x-ms-*",
)
"""Keys a provider or tool writes by itself (glob patterns, lower case): no owner's work."""

MISSING = frozenset(
    {
        *("", "?", "null", "none", "nil", "n-a", "n/a", "#n/a", "na", "nan", "(none)", "<none>"),
        *("unknown", "unk", "undefined", "unset", "not-set", "(not-set)", "tbd", "tba", "todo", "true"),
        *("unallocated", "unassigned", "idle"),
    }
)
"""Values, in plain form, that say nothing. `true` is how FOCUS delivers a tag without a value."""

_INVISIBLE = "\ufeff\u200b\u2060\u200c\u200d\u00ad"
_JOINTS = re.compile(r"[\s_\-\u2010-\u2015\u2212]+")
_KEY_JOINTS = re.compile(r"[\s_\-.\u2010-\u2015\u2212]+")


def plain(text: str) -> str:
    """The plain form of a value: NFKC, lower case, trimmed, words joined by `-`; dots stay.

    >>> plain("  Search  ML_2 "), plain("Llama-3.1")
    ('search-ml-2', 'llama-3.1')
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    trimmed = folded.strip().strip(_INVISIBLE).strip()
    return _JOINTS.sub("-", trimmed).strip("-")


def compared(text: str) -> str:
    """What two values are compared by: the plain form with dots as joints too.

    >>> compared("Llama 3.1") == compared("llama-3-1"), compared("v1.1") == compared("v11")
    (True, False)
    """
    return re.sub(r"[-.]+", "-", plain(text)).strip("-")


def key_form(key: str) -> str:
    """What two tag keys are compared by: no case, no width, no joints.

    >>> key_form(" Cost_Center") == key_form("costCenter")
    True
    """
    return _KEY_JOINTS.sub("", plain(key))


def is_missing(text: str) -> bool:
    """Whether a value says nothing: empty, `none`, `n/a`, `tbd`, …, or a reserved target.

    >>> is_missing(" N/A "), is_missing("nobody-inc")
    (True, False)
    """
    return plain(text) in MISSING


def is_system_key(key: str, ignore: Iterable[str] = ()) -> bool:
    """Whether a provider or tool writes the key by itself, or the policy says to ignore it (glob patterns).

    >>> is_system_key("aws:createdBy"), is_system_key("team"), is_system_key("tmp_x", ["tmp*"])
    (True, False, True)
    """
    name = key.strip().casefold().replace("_", "-")
    return any(fnmatchcase(name, p.casefold().replace("_", "-")) for p in (*SYSTEM_KEYS, *ignore))


def _owners(config: Config) -> Iterator[Owner]:
    yield from config.hierarchy.models.values()
    yield from (share.owner for rule in config.rules for share in rule.shares)
    yield from config.maps.resource_groups.values()
    yield from config.maps.accounts.values()


def _known(config: Config, dimension: str) -> Iterator[str]:
    """Every spelling the configuration uses for a value of the dimension, best authority first."""
    yield from config.tags.values.get(dimension, {}).values()
    yield from config.tags.policy.allowed.get(dimension, ())
    yield from config.hierarchy.teams if dimension == "team" else ()
    yield from config.hierarchy.models if dimension == "model" else ()
    yield from (owner[dimension] for owner in _owners(config) if dimension in owner)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one dimension: `mapped` (value map) and `known` by plain form, `near` by compared form."""

    mapped: Mapping[str, str]
    known: Mapping[str, str]
    near: Mapping[str, str]

    @classmethod
    def of(cls, config: Config, dimension: str) -> Names:
        """The names the configuration gives the dimension; of two that compare equal the first authority wins."""
        known: dict[str, str] = {}
        near: dict[str, str] = {}
        for name in _known(config, dimension):
            known.setdefault(plain(name), name)
            near.setdefault(compared(name), name)
        spellings = config.tags.values.get(dimension, {})
        return cls({plain(odd): target for odd, target in spellings.items()}, known, near)

    def spelled(self, value: str) -> str | None:
        """The one spelling of a value, or None where it says nothing.

        An entry of the value map comes before the list of values that say nothing, so `na` can be a real team.
        """
        form = plain(value)
        found = self.mapped.get(form)
        if found is None and form not in MISSING:
            found = self.known.get(form) or self.near.get(compared(value)) or form
        return None if found is None or plain(found) in MISSING else found


OWN_PREFIX = "apportion/"
"""What the tag keys of our own exports begin with; the name of the dimension follows."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What keys and values mean under one configuration; made once per run."""

    tags: TagConfig
    names: Mapping[str, Names]
    keys: Mapping[str, tuple[tuple[str, int], ...]]
    """Key form -> the (dimension, preference) pairs it answers for; preference 0 is asked first."""

    @classmethod
    def of(cls, config: Config) -> Vocabulary:
        """The vocabulary of a configuration."""
        keys: dict[str, tuple[tuple[str, int], ...]] = {}
        for dimension in DIMENSIONS:
            for preference, key in enumerate(config.tags.keys.get(dimension, ())):
                form = key_form(key)
                if dimension not in dict(keys.get(form, ())):
                    keys[form] = (*keys.get(form, ()), (dimension, preference))
        names = {dimension: Names.of(config, dimension) for dimension in DIMENSIONS}
        return cls(config.tags, MappingProxyType(names), MappingProxyType(keys))

    def answers(self, key: str) -> tuple[tuple[str, int], ...]:
        """The (dimension, preference) pairs a raw tag key answers for; empty for a key of no dimension."""
        own = key.removeprefix(OWN_PREFIX)
        return ((own, -1),) if key.startswith(OWN_PREFIX) and own in DIMENSIONS else self.keys.get(key_form(key), ())

    def spelled(self, dimension: str, value: str) -> str | None:
        """The one spelling of a raw value in a dimension, or None where it says nothing."""
        return self.names[dimension].spelled(value)

    def of_tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Dimension -> spelled value, as a resource's own tags say: the reference for the SQL in `own_tags`.

        Keys are asked in order of preference; of raw keys that mean the same, an exact spelling of the configured key
        first, then in alphabetical order.
        """
        found: dict[str, tuple[tuple[int, int, str], str]] = {}
        for raw, value in tags.items():
            for dimension, preference in self.answers(raw):
                spelled = self.spelled(dimension, value)
                rank = (preference, self.oddness(dimension, preference, raw), raw)
                if spelled is not None and (dimension not in found or rank < found[dimension][0]):
                    found[dimension] = (rank, spelled)
        return {dimension: found[dimension][1] for dimension in DIMENSIONS if dimension in found}

    def oddness(self, dimension: str, preference: int, raw: str) -> int:
        """0 where a raw key is spelled just as configured, else 1."""
        return int(preference >= 0 and raw != self.tags.keys[dimension][preference])

    def version(self, dimension: str) -> str:
        """The version of what turns tags into the dimension's values: keys, value map, allowed values."""
        parts = (self.tags.keys, self.tags.values, self.tags.policy.allowed)
        return version_of([sorted_part(part.get(dimension)) for part in parts])


def sorted_part(part: object) -> object:
    """The part as JSON can hold it: mappings as dicts (key order does not count), tuples as lists."""
    return dict(part) if isinstance(part, Mapping) else list(part) if isinstance(part, tuple) else part
