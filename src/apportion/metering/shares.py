"""Who holds which part of each charge of a metered resource: usage and weights become intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.core.arrow import from_rows
from apportion.core.config import version_of
from apportion.core.config_metering import GIB
from apportion.core.targets import COLUMNS, DIMENSIONS, IDLE, Evidence
from apportion.metering import matching, statements
from apportion.metering.machines import VERSION, size_of
from apportion.metering.weights import weights_named

if TYPE_CHECKING:
    from apportion.core.config import ComponentWeights, MeteringConfig
    from apportion.engine.duck import DuckDb

SHARES_VERSION = "metered-6"
"""Changes whenever the same usage and charges would give other shares: part of the id of every stored result."""

IDLE_RULE = "metering:idle"

_BEGINNING, _END = "TIMESTAMP '0001-01-01'", "TIMESTAMP '9999-12-31'"
_NANOS = 1_000_000_000
_MICROS = 1_000_000
_TARGETS = tuple(COLUMNS.values())
_TIERS = tuple(f"x_{d.capitalize()}Evidence" for d in DIMENSIONS)
_RULES = tuple(f"x_{d.capitalize()}RuleId" for d in DIMENSIONS)

BASE = """
CREATE OR REPLACE TEMP TABLE base_rows AS
SELECT row_number() OVER (ORDER BY x_AttributeNo, x_ValidFrom, x_ShareLow) AS base_no, *
FROM base
WHERE x_AttributeNo IN (SELECT x_AttributeNo FROM spans)
"""

HELD = """
CREATE OR REPLACE TEMP TABLE held_rows AS
SELECT row_number() OVER (ORDER BY x_AttributeNo, x_ValidFrom, x_ShareLow) AS held_no, * FROM held
"""

# The moments from which tags and rules may name other owners, and what they name from each on: so that work meets its
# owners by equality. Joined by comparing times, every hour may meet every workload.
SINCE = f"""
CREATE OR REPLACE TEMP TABLE owners_since AS
SELECT x_ValidFrom AS moment FROM base_rows
UNION SELECT x_ValidFrom FROM held_rows
UNION SELECT {_BEGINNING}
"""


def _at(table: str) -> str:
    return f"""
CREATE OR REPLACE TEMP TABLE {table}_at AS
SELECT o.moment, r.* FROM {table}_rows AS r
JOIN owners_since AS o ON o.moment >= r.x_ValidFrom AND o.moment < r.x_ValidUntil
"""


# A charge of a metered resource has the shares of its own time: a validity begins where charges are divided in another
# way, and where tags and rules give another owner.
TIMELINE = f"""
CREATE OR REPLACE TEMP TABLE timeline AS
WITH owned AS (
    SELECT s.span_start, o.moment
    FROM (SELECT DISTINCT span_start FROM spans) AS s
    ASOF JOIN owners_since AS o ON s.span_start >= o.moment
),
placed AS (
    SELECT s.x_AttributeNo, s.span_start, d.division_no AS span_no, o.moment
    FROM spans AS s
    JOIN divisions AS d ON d.span_no = s.span_no
    JOIN owned AS o ON o.span_start = s.span_start
),
begun AS (
    SELECT *, lag(span_no) OVER same AS span_before, lag(moment) OVER same AS moment_before FROM placed
    WINDOW same AS (PARTITION BY x_AttributeNo ORDER BY span_start)
)
SELECT x_AttributeNo, span_no, moment,
       CASE WHEN span_before IS NULL THEN {_BEGINNING} ELSE span_start END AS valid_from,
       coalesce(lead(span_start) OVER same, {_END}) AS valid_until
FROM begun
WHERE span_before IS DISTINCT FROM span_no OR moment_before IS DISTINCT FROM moment
WINDOW same AS (PARTITION BY x_AttributeNo ORDER BY span_start)
"""


def _inner(end: str, of: str) -> str:
    """Where the end of an owner's interval falls within the interval that it divides."""
    whole = f"{of}.x_ShareWhole"
    part = f"CASE WHEN {whole} = 1 THEN (h.high - h.low) * {of}.{end}"
    return f"h.low + {part} ELSE CAST(CAST(h.high - h.low AS HUGEINT) * {of}.{end} // {whole} AS BIGINT) END"


# A workload's own split (a rule with several receivers) divides its interval; so does that of the resource's owners.
PIECES = f"""
CREATE OR REPLACE TEMP TABLE metered_pieces AS
WITH hosted AS (
    SELECT t.*, b.x_Team AS host_team
    FROM timeline AS t
    JOIN base_at AS b ON b.x_AttributeNo = t.x_AttributeNo AND b.moment = t.moment AND b.x_ShareLow = 0
),
work AS (
    SELECT t.x_AttributeNo, t.valid_from, t.valid_until, t.host_team, 'work' AS kind, k.held_no, NULL AS base_no,
           {_inner("x_ShareLow", "k")} AS low, {_inner("x_ShareHigh", "k")} AS high
    FROM hosted AS t
    JOIN span_holders AS h ON h.span_no = t.span_no AND h.kind = 'work'
    JOIN held_at AS k ON k.x_AttributeNo = h.x_WorkloadNo AND k.moment = t.moment
),
idle AS (
    SELECT t.x_AttributeNo, t.valid_from, t.valid_until, t.host_team, 'idle' AS kind, NULL AS held_no, NULL AS base_no,
           h.low, h.high
    FROM hosted AS t
    JOIN span_holders AS h ON h.span_no = t.span_no AND h.kind = 'idle'
    WHERE $idle <> 'owner'
),
owned AS (
    SELECT t.x_AttributeNo, t.valid_from, t.valid_until, t.host_team, h.kind, NULL AS held_no, b.base_no,
           {_inner("x_ShareLow", "b")} AS low, {_inner("x_ShareHigh", "b")} AS high
    FROM hosted AS t
    JOIN span_holders AS h ON h.span_no = t.span_no AND (h.kind = 'unmetered' OR (h.kind = 'idle' AND $idle = 'owner'))
    JOIN base_at AS b ON b.x_AttributeNo = t.x_AttributeNo AND b.moment = t.moment
)
SELECT * FROM work UNION ALL SELECT * FROM idle UNION ALL SELECT * FROM owned
"""

_KEY = "kind, held_no, base_no, host_team"

# Time in which no meter looked belongs to the job or endpoint that the bill itself names, where it does.
CANDIDATES = f"""
CREATE OR REPLACE TEMP TABLE candidates AS
WITH keys AS (SELECT DISTINCT {_KEY} FROM metered_pieces WHERE high > low)
SELECT row_number() OVER (ORDER BY k.kind, k.held_no NULLS FIRST, k.base_no NULLS FIRST, k.host_team) AS candidate_no,
       k.kind, k.held_no, k.base_no, k.host_team,
       {{targets}}, {{tiers}}, {{rules}},
       CASE k.kind WHEN 'work' THEN w.x_WorkloadKind WHEN 'unmetered' THEN coalesce(b.x_WorkloadKind, k.kind)
                   ELSE k.kind END AS x_WorkloadKind,
       CASE k.kind WHEN 'work' THEN w.x_WorkloadId WHEN 'unmetered' THEN b.x_WorkloadId END AS x_WorkloadId,
       k.host_team AS x_HostTeam
FROM keys AS k
LEFT JOIN held_rows AS h ON h.held_no = k.held_no
LEFT JOIN workloads AS w ON w.x_WorkloadNo = h.x_AttributeNo
LEFT JOIN base_rows AS b ON b.base_no = k.base_no
"""

METERED = f"""
CREATE OR REPLACE TEMP VIEW metered_shares AS
SELECT p.x_AttributeNo, p.valid_from AS x_ValidFrom, p.valid_until AS x_ValidUntil, p.low AS x_ShareLow,
       p.high AS x_ShareHigh, CAST({statements.WHOLE} AS BIGINT) AS x_ShareWhole, c.candidate_no
FROM metered_pieces AS p
JOIN candidates AS c ON c.kind = p.kind AND c.held_no IS NOT DISTINCT FROM p.held_no
 AND c.base_no IS NOT DISTINCT FROM p.base_no AND c.host_team = p.host_team
WHERE p.high > p.low
"""


def weave(db: DuckDb, config: MeteringConfig) -> None:
    """Make the tables `candidates` (owners of pieces) and `metered_shares` (the pieces, by candidate).

    Reads the session's `charges`, `attributes`, `base` (`tables.RESOLVED` of the attributes), and of the usage of
    the charges' time `usage`, `hours`, `workloads`, `resources`, `meters` and `held` (`tables.RESOLVED` by workload
    number).
    An attribute row with metered shares has no others. Raises `UnknownName` for an unknown weight set.
    """
    _register_settings(db, config)
    for statement in (matching.MATCHES, statements.SPANS):
        db.run(statement)
    tokens = config.tokens
    kinds = {"input": tokens.input, "cached": tokens.cached, "write": tokens.cache_write, "output": tokens.output}
    db.run(statements.WEIGHED, {f"token_{name}": weight for name, weight in kinds.items()})
    db.run(statements.HOURLY, {"basis": config.basis})
    for statement in statements.STEPS:
        db.run(statement)
    db.run(statements.PARTS, {"idle": config.idle})
    owned = (BASE, HELD, SINCE, _at("base"), _at("held"), TIMELINE)
    for statement in (statements.INTERVALS, statements.HOLDERS, *owned):
        db.run(statement)
    db.run(PIECES, {"idle": config.idle})
    db.run(CANDIDATES.format(targets=_targets(), tiers=_tiers(), rules=_rules(config)))
    db.run(METERED)


def _targets() -> str:
    return ", ".join(
        f"CASE WHEN k.kind = 'work' THEN h.{name} WHEN k.base_no IS NOT NULL THEN b.{name} ELSE '{IDLE}' END AS {name}"
        for name in _TARGETS
    )


def _tiers() -> str:
    """What tags and rules say of a workload is known as well as the metering that gave it its part: T1 becomes T2."""
    return ", ".join(
        f"CASE WHEN k.kind = 'work' THEN CASE h.{name} WHEN '{Evidence.DIRECT}' THEN '{Evidence.METERED}'"
        f" ELSE h.{name} END WHEN k.base_no IS NOT NULL THEN b.{name} ELSE '{Evidence.METERED}' END AS {name}"
        for name in _TIERS
    )


def _rules(config: MeteringConfig) -> str:
    version = settings_version(config)
    return ", ".join(
        f"CASE WHEN k.kind = 'work' THEN h.{name} WHEN k.base_no IS NOT NULL THEN b.{name}"
        f" ELSE '{IDLE_RULE}@{version}' END AS {name}"
        for name in _RULES
    )


def settings_version(config: MeteringConfig) -> str:
    """The version of the settings with what they name: the figures of the weight set, the table of machines."""
    return version_of([repr(config), repr(weights_named(config.weights, config)), VERSION])


def _register_settings(db: DuckDb, config: MeteringConfig) -> None:
    """The tables `unit_weights` and `sizes`: what is configured for the metered resources."""
    found = db.rows("SELECT x_ResourceNo, x_InstanceType FROM resources ORDER BY x_ResourceNo")
    kinds = {"x_ResourceNo": pa.int32(), "component": pa.int32(), "weight": pa.int64(), "per": pa.int64()}
    db.register(
        "unit_weights", from_rows(kinds, [row for no, kind in found for row in _unit_weights(no, kind, config)])
    )
    sizes = {"x_ResourceNo": pa.int32(), "component": pa.int32(), "size": pa.int64(), "per": pa.int64()}
    db.register("sizes", from_rows(sizes, [row for no, kind in found for row in _sizes(no, kind, config)]))


def _unit_weights(no: int, instance_type: str | None, config: MeteringConfig) -> list[tuple[int, int, int, int]]:
    chosen: ComponentWeights = config.machine_weights.get(instance_type or "") or weights_named(config.weights, config)
    # per GPU- and core-nanosecond, and per byte-second: a GiB-second is 2^30 bytes for as long as a billion nanos; what
    # is divided by one component needs no weight
    return [(no, 1, chosen.gpu, _NANOS), (no, 2, chosen.cpu, _NANOS), (no, 3, chosen.memory, GIB), (no, 4, 0, 1)]


def _sizes(no: int, instance_type: str | None, config: MeteringConfig) -> list[tuple[int, int, int, int]]:
    """What there is in a microsecond: nanoseconds of GPUs and cores, byte-seconds of memory; no rows where unknown."""
    size = size_of(instance_type, config)
    if size is None:
        return []
    nanos = _NANOS // _MICROS
    return [(no, 1, size.gpus * nanos, 1), (no, 2, size.cpu_cores * nanos, 1), (no, 3, size.memory_bytes, _MICROS)]
