"""Who holds which part of each charge: the table `resolved` from `attributes` and the configuration.

Rows that meet the same answers, rules and map entries form a *profile*; the ladder (`ladder`) is climbed once per
profile, and everything else is a few joins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.core import tables
from apportion.core.arrow import from_rows, schema
from apportion.core.targets import COLUMNS, DIMENSIONS, UNALLOCATED
from apportion.tagging.conditions import FOLDED, ConditionWriter, asked_keys
from apportion.tagging.ladder import Ladder, profiles_of
from apportion.tagging.normalise import Vocabulary
from apportion.tagging.own_tags import LAYERS, answer_tags, asked_values, columns
from apportion.tagging.patterns import check_patterns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from apportion.core.config import Config
    from apportion.engine.duck import DuckDb

RESOLVE_VERSION = "resolve-1"
"""Changes whenever the same attributes and rules would get other shares: part of the id of every stored result."""

PROFILE = (
    "tagged",
    "split",
    "known_tag_model",
    "known_split_model",
    "rules",
    "resource_group",
    "sub_account",
    "billing_account",
    "divided",
)
"""The columns that make a profile, as text without nulls, in the order `profiles_of` reads them."""

_ACCOUNTS = "SELECT SubAccountId FROM attributes UNION SELECT BillingAccountId FROM attributes ORDER BY ALL"
_GROUPS = "SELECT DISTINCT x_ResourceGroup FROM attributes ORDER BY ALL"


def _mask(layer: str) -> str:
    return "concat(" + ", ".join(f"CASE WHEN t.{layer}_{d} IS NULL THEN '0' ELSE '1' END" for d in DIMENSIONS) + ")"


_PROFILED = f"""
CREATE OR REPLACE TEMP TABLE profiled AS
WITH asked AS (
    SELECT *, {FOLDED} FROM attributes
)
SELECT a.x_AttributeNo,
       {", ".join(f"t.{layer}_{d}" for layer in LAYERS for d in DIMENSIONS)},
       {_mask("tag")} AS tagged,
       {_mask("split")} AS split,
       coalesce(own_model.name, '') AS known_tag_model,
       coalesce(split_model.name, '') AS known_split_model,
       {{rules}} AS rules,
       coalesce(g.name, '') AS resource_group,
       coalesce(s.name, '') AS sub_account,
       coalesce(b.name, '') AS billing_account,
       CASE WHEN a.AllocatedMethodId LIKE 'apportion/%' THEN 'ours'
            WHEN a.AllocatedMethodId IS NOT NULL THEN 'theirs' ELSE '' END AS divided
FROM asked AS a
LEFT JOIN tag_answers AS t ON t.x_AttributeNo = a.x_AttributeNo
LEFT JOIN known_models AS own_model ON own_model.raw = t.tag_model
LEFT JOIN known_models AS split_model ON split_model.raw = t.split_model
LEFT JOIN known_groups AS g ON g.raw = a.x_ResourceGroup
LEFT JOIN known_accounts AS s ON s.raw = a.SubAccountId
LEFT JOIN known_accounts AS b ON b.raw = a.BillingAccountId
"""

_PROFILES = f"SELECT DISTINCT {', '.join(PROFILE)} FROM profiled ORDER BY ALL"


def _value(dimension: str) -> str:
    layers = " ".join(f"WHEN '{layer}' THEN p.{layer}_{dimension}" for layer in LAYERS)
    return f"CASE h.{dimension}_source {layers} ELSE h.{dimension} END AS {tables.quoted(COLUMNS[dimension])}"


def _proof(dimension: str) -> str:
    word = dimension.capitalize()
    return f'h.{dimension}_evidence AS "x_{word}Evidence", h.{dimension}_rule AS "x_{word}RuleId"'


_METERED = frozenset({"x_WorkloadKind", "x_WorkloadId", "x_HostTeam"})


def _share_column(name: str) -> str:
    column = tables.quoted(name)
    if name == COLUMNS["business_unit"]:
        return f"coalesce(u.unit, $nobody) AS {column}"
    return f"CAST(NULL AS VARCHAR) AS {column}" if name in _METERED else f"h.{column}"


_SHARES = f"""
WITH held AS (
    SELECT p.x_AttributeNo, h.x_ValidFrom, h.x_ValidUntil, h.x_ShareLow, h.x_ShareHigh, h.x_ShareWhole,
           {", ".join(_value(d) for d in DIMENSIONS)},
           {", ".join(_proof(d) for d in DIMENSIONS)}
    FROM profiled AS p
    JOIN profile_shares AS h ON {" AND ".join(f"h.{name} = p.{name}" for name in PROFILE)}
)
SELECT {", ".join(_share_column(name) for name in tables.RESOLVED)}
FROM held AS h
LEFT JOIN units AS u ON u.team = h.x_Team
ORDER BY h.x_AttributeNo, h.x_ValidFrom, h.x_ShareLow
"""


def resolve(db: DuckDb, attributes: Path, config: Config) -> pa.Table:
    """Shares with their owners (`tables.RESOLVED`) for one snapshot's attributes, by attribute, validity and interval.

    Every attribute gets shares; their intervals tile the whole, their validities tile all time. The result depends on
    the rows and the configuration only, not on the order of rows or of map entries. Raises `ConfigError` for a pattern
    or weights that cannot be used, `UnknownName` for a field no bill has. It takes the session's
    names `attributes`, `tag_…`, `known_…`, `profile…` and `units`.
    """
    check_patterns(config)
    vocabulary = Vocabulary.of(config)
    ladder = Ladder.of(config, vocabulary)
    db.read_parquet("attributes", [attributes])
    answer_tags(db, vocabulary)
    _register_known(db, config, vocabulary)
    _profile_rows(db, config)
    db.register("profile_shares", _profile_shares(ladder, db.rows(_PROFILES)))
    shares = db.table(_SHARES, {"nobody": UNALLOCATED}).cast(schema(tables.RESOLVED))
    for made in ("tag_answers", "profiled"):
        db.run(f"DROP TABLE {tables.quoted(made)}")
    return shares


def _register_known(db: DuckDb, config: Config, vocabulary: Vocabulary) -> None:
    """The entries of the maps that this snapshot has, by their raw spelling in it."""
    maps, hierarchy = config.maps, config.hierarchy
    models = [vocabulary.spelled("model", model) or model for model in hierarchy.models]
    units = {vocabulary.spelled("team", team) or team: unit for team, unit in hierarchy.teams.items()}
    db.register("known_models", columns(("raw", "name"), [(model, model) for model in sorted(set(models))]))
    db.register("known_groups", _entries(db.rows(_GROUPS), maps.resource_groups))
    db.register("known_accounts", _entries(db.rows(_ACCOUNTS), maps.accounts))
    db.register("units", columns(("team", "unit"), sorted(units.items())))


def _entries(raws: Iterable[tuple[str | None]], entries: Mapping[str, object]) -> pa.Table:
    """Raw id -> the map's key that equals it without regard to case and outer spaces."""
    keys = {key.strip().casefold(): key for key in sorted(entries, reverse=True)}
    found = [(raw, keys[form]) for (raw,) in raws if raw is not None and (form := raw.strip().casefold()) in keys]
    return columns(("raw", "name"), found)


def _profile_rows(db: DuckDb, config: Config) -> None:
    """Make the table `profiled`: one row per attribute with its profile; one statement, however many rules."""
    writer = ConditionWriter(asked_values(db, asked_keys(rule.when for rule in config.rules)))
    hits = [f"CASE WHEN {writer.write(rule.when)} THEN '{place}' END" for place, rule in enumerate(config.rules)]
    rules = f"concat_ws(',', {', '.join(hits)})" if hits else "''"
    db.run(_PROFILED.format(rules=rules), writer.params)


_SHARE_COLUMNS = (
    *((name, pa.string()) for name in PROFILE),
    *((name, pa.timestamp("us")) for name in ("x_ValidFrom", "x_ValidUntil")),
    *((name, pa.int64()) for name in ("x_ShareLow", "x_ShareHigh", "x_ShareWhole")),
    *((f"{d}{part}", pa.string()) for d in DIMENSIONS for part in ("", "_evidence", "_rule", "_source")),
)


def _profile_shares(ladder: Ladder, profiles: Sequence[tuple[str, ...]]) -> pa.Table:
    """The shares of each profile, with the profile's columns to join by."""
    return from_rows(dict(_SHARE_COLUMNS), list(_share_rows(ladder, profiles)))


def _share_rows(ladder: Ladder, profiles: Sequence[tuple[str, ...]]) -> Iterator[tuple[object, ...]]:
    for key, profile in zip(profiles, profiles_of(profiles), strict=True):
        for segment in ladder.segments(profile):
            for piece in segment.pieces:
                answers = (part for a in piece.owner for part in (a.value, a.evidence.value, a.rule, a.source))
                yield (*key, segment.start, segment.end, piece.low, piece.high, piece.whole, *answers)
