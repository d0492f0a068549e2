"""Resolve: who owns the charges of each attribute row, as shares that tile the whole of every charge."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.core import tables
from apportion.core.arrow import conform
from apportion.core.config import Config, version_of
from apportion.core.targets import COLUMNS, DIMENSIONS, UNALLOCATED, Evidence
from apportion.tagging import answers

if TYPE_CHECKING:
    from pathlib import Path

    from apportion.engine.duck import DuckDb

RESOLVE_VERSION = "resolve-1"
"""Changes whenever the same attributes and rules would get other shares."""

FIRST, LAST = datetime(1, 1, 1), datetime(9999, 12, 31)
"""Between them lies every charge."""

_NO_RULE = "none"
_SHARE_KEY = ("x_AttributeNo", "x_ValidFrom", "x_ShareLow")

_WINNERS = """
CREATE OR REPLACE TEMP TABLE winners AS
SELECT x_AttributeNo, segment, dimension, rank, value, evidence, rule_id
FROM answers
QUALIFY row_number() OVER (PARTITION BY x_AttributeNo, segment, dimension ORDER BY rank) = 1
"""

# A rule splits a charge where it decides at least one dimension; the first that does, alone.
_SPLITS = """
CREATE OR REPLACE TEMP TABLE splits AS
SELECT s.x_AttributeNo, s.segment, min(s.rank) AS rank
FROM split_answers AS s
LEFT JOIN winners AS w
  ON w.x_AttributeNo = s.x_AttributeNo AND w.segment = s.segment AND w.dimension = s.dimension
WHERE w.rank IS NULL OR s.rank < w.rank
GROUP BY s.x_AttributeNo, s.segment
"""

_PIECES = """
CREATE OR REPLACE TEMP TABLE pieces AS
SELECT a.x_AttributeNo, g.segment, coalesce(i.share, 0) AS share, s.rank AS split_rank,
       coalesce(i.low, 0) AS low, coalesce(i.high, 1) AS high, coalesce(i.whole, 1) AS whole
FROM attributes AS a
CROSS JOIN segments AS g
LEFT JOIN splits AS s ON s.x_AttributeNo = a.x_AttributeNo AND s.segment = g.segment
LEFT JOIN intervals AS i ON i.rank = s.rank
"""

_OWNERS = """
CREATE OR REPLACE TEMP TABLE owners AS
WITH decided AS (
    SELECT p.x_AttributeNo, p.segment, p.share, d.dimension,
           CASE WHEN s.rank < coalesce(w.rank, 2147483647) THEN s.rank ELSE w.rank END AS rank,
           CASE WHEN s.rank < coalesce(w.rank, 2147483647) THEN s.value ELSE w.value END AS value,
           CASE WHEN s.rank < coalesce(w.rank, 2147483647) THEN s.evidence ELSE w.evidence END AS evidence,
           CASE WHEN s.rank < coalesce(w.rank, 2147483647) THEN s.rule_id ELSE w.rule_id END AS rule_id
    FROM pieces AS p
    CROSS JOIN dimensions AS d
    LEFT JOIN winners AS w
      ON w.x_AttributeNo = p.x_AttributeNo AND w.segment = p.segment AND w.dimension = d.dimension
    LEFT JOIN split_answers AS s
      ON s.x_AttributeNo = p.x_AttributeNo AND s.segment = p.segment AND s.dimension = d.dimension
     AND s.share = p.share AND s.rank = p.split_rank
),
of_models AS (
    SELECT m.x_AttributeNo, m.segment, m.share, o.dimension, greatest(m.rank, $model_map) AS rank,
           o.value, m.evidence, $model_rule AS rule_id
    FROM decided AS m
    JOIN model_owners AS o ON o.model = m.value
    WHERE m.dimension = 'model'
)
SELECT d.x_AttributeNo, d.segment, d.share, d.dimension,
       CASE WHEN o.rank < coalesce(d.rank, 2147483647) THEN o.value ELSE d.value END AS value,
       CASE WHEN o.rank < coalesce(d.rank, 2147483647) THEN o.evidence ELSE d.evidence END AS evidence,
       CASE WHEN o.rank < coalesce(d.rank, 2147483647) THEN o.rule_id ELSE d.rule_id END AS rule_id
FROM decided AS d
LEFT JOIN of_models AS o
  ON o.x_AttributeNo = d.x_AttributeNo AND o.segment = d.segment AND o.share = d.share AND o.dimension = d.dimension
"""

_CHOSEN = "max({column}) FILTER (WHERE o.dimension = '{dimension}')"

_SHARES = f"""
WITH wide AS (
    SELECT o.x_AttributeNo, o.segment, o.share,
           {
    ", ".join(
        f"coalesce({_CHOSEN.format(column=column, dimension=d)}, '{missing}') AS {name}"
        for d in DIMENSIONS
        for column, missing, name in (
            ("o.value", UNALLOCATED, COLUMNS[d]),
            ("o.evidence", Evidence.UNALLOCATED, f"x_{d.capitalize()}Evidence"),
            ("o.rule_id", _NO_RULE, f"x_{d.capitalize()}RuleId"),
        )
    )
}
    FROM owners AS o
    GROUP BY o.x_AttributeNo, o.segment, o.share
)
SELECT p.x_AttributeNo, g.valid_from AS x_ValidFrom, g.valid_until AS x_ValidUntil,
       p.low AS x_ShareLow, p.high AS x_ShareHigh, p.whole AS x_ShareWhole,
       w.* EXCLUDE (x_AttributeNo, segment, share), coalesce(u.unit, '{UNALLOCATED}') AS x_BusinessUnit
FROM pieces AS p
JOIN segments AS g ON g.segment = p.segment
JOIN wide AS w ON w.x_AttributeNo = p.x_AttributeNo AND w.segment = p.segment AND w.share = p.share
LEFT JOIN units AS u ON u.team = w.x_Team
"""

# Segments of one attribute row that say the same are one segment: a dated rule that does not touch a resource must
# not divide its charges.
_MERGED = """
WITH told AS (
    SELECT x_AttributeNo, x_ValidFrom, x_ValidUntil,
           list({said} ORDER BY x_ShareLow) AS said
    FROM shares
    GROUP BY x_AttributeNo, x_ValidFrom, x_ValidUntil
),
marked AS (
    SELECT *, CASE WHEN lag(said) OVER following = said THEN 0 ELSE 1 END AS starts
    FROM told
    WINDOW following AS (PARTITION BY x_AttributeNo ORDER BY x_ValidFrom)
),
numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY x_AttributeNo ORDER BY x_ValidFrom) AS island FROM marked
),
islands AS (
    SELECT x_AttributeNo, island, min(x_ValidFrom) AS begins, max(x_ValidUntil) AS ends
    FROM numbered
    GROUP BY x_AttributeNo, island
)
SELECT s.* REPLACE (i.ends AS x_ValidUntil)
FROM shares AS s
JOIN islands AS i ON i.x_AttributeNo = s.x_AttributeNo AND i.begins = s.x_ValidFrom
"""


def resolve(db: DuckDb, attributes: Path, config: Config) -> pa.Table:
    """The table `shares` for these attributes, sorted by attribute number, validity and interval.

    Per dimension the first answer wins: a rule with `override`, the resource's own tags (T1), the provider's own split
    (T2), the owner of a known model (with the model's tier), rules in file order (T3), the resource group's and the
    account's owner (T3); else `unallocated` (T5). The first splitting rule that decides a dimension divides the charge;
    other splitting rules are then not asked.
    """
    db.read_parquet("attributes", [attributes])
    segments = _segments(config)
    _register_segments(db, segments)
    answers.collect(db, config, segments)
    _register_names(db, config)
    db.run(_WINNERS)
    db.run(_SPLITS)
    db.run(_PIECES)
    models = {name: dict(owner) for name, owner in config.hierarchy.models.items()}
    db.run(_OWNERS, {"model_map": answers.MODEL_MAP, "model_rule": f"model-map@{version_of(models)}"})
    shares = db.table(_SHARES)
    if len(segments) > 1:
        db.register("shares", shares)
        shares = db.table(_MERGED.format(said=_said()))
    return conform(shares, tables.SHARES, order=_SHARE_KEY)


def _said() -> str:
    columns = ("x_ShareLow", "x_ShareHigh", "x_ShareWhole", *tables.OWNER)
    return f"[{', '.join(f'{tables.quoted(column)}::VARCHAR' for column in columns)}]"


def _segments(config: Config) -> dict[int, tuple[date | None, date | None]]:
    """The stretches of time in which the same rules hold: number -> first day and day after the last, None if open."""
    days = sorted({day for rule in config.rules for day in (rule.valid_from, rule.valid_until) if day})
    return dict(enumerate(zip([None, *days], [*days, None], strict=True)))


def _register_segments(db: DuckDb, segments: dict[int, tuple[date | None, date | None]]) -> None:
    rows = [
        {"segment": n, "valid_from": _at(start, FIRST), "valid_until": _at(end, LAST)}
        for n, (start, end) in segments.items()
    ]
    fields = [("segment", pa.int32()), ("valid_from", pa.timestamp("us")), ("valid_until", pa.timestamp("us"))]
    db.register("segments", pa.Table.from_pylist(rows, schema=pa.schema(fields)))


def _at(day: date | None, otherwise: datetime) -> datetime:
    return otherwise if day is None else datetime(day.year, day.month, day.day)


def _register_names(db: DuckDb, config: Config) -> None:
    text, number = pa.string(), pa.int64()
    db.register("dimensions", pa.table({"dimension": list(DIMENSIONS)}))
    units = [{"team": team, "unit": unit} for team, unit in config.hierarchy.teams.items()]
    db.register("units", pa.Table.from_pylist(units, schema=pa.schema([("team", text), ("unit", text)])))
    models = [
        {"model": model, "dimension": dimension, "value": value}
        for model, owner in config.hierarchy.models.items()
        for dimension, value in owner.items()
    ]
    fields = [("model", text), ("dimension", text), ("value", text)]
    db.register("model_owners", pa.Table.from_pylist(models, schema=pa.schema(fields)))
    fields = [("rank", pa.int32()), ("share", pa.int32()), ("low", number), ("high", number), ("whole", number)]
    db.register("intervals", pa.Table.from_pylist(_intervals(config), schema=pa.schema(fields)))


def _intervals(config: Config) -> list[dict[str, int]]:
    """The interval of each share of each splitting rule, by the rule's rank."""
    found = []
    for place, rule in enumerate(config.rules):
        low, whole = 0, sum(share.weight for share in rule.shares)
        for number, share in enumerate(rule.shares if len(rule.shares) > 1 else ()):
            bounds = {"low": low, "high": low + share.weight, "whole": whole}
            found.append({"rank": answers.rank_of(rule, place), "share": number, **bounds})
            low += share.weight
    return found
