"""Samples become usage: one quantity per workload, resource, measure and UTC hour, from the one meter that counts.

Rules, each with a test:

- Within an hour usage is taken as even. An interval is cut at hours, its quantity divided exactly by time.
- What two files of one source say of the same thing at the same time counts once, as the later delivered file says.
- Where several meters measured the same resource in the same hour, the most exact one counts (`core.measures.Rank`)
  and the others are left out: no GPU-hour is counted twice. Utilisation is kept from every meter.
- A tracker's run that names the pod, job or endpoint it ran as (its links) *is* that workload: what the tracker knows
  (experiment, model, user, tags) is added to it and its own quantities are dropped. So is what runs inside of it: a
  tracked script, a served model. A run that several workloads claim, or a workload that several runs of one kind claim,
  stays apart and is counted by the meter only.
- Capacity of a resource in an hour is the most that anybody said: a node that two clusters list is one node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.core import tables
from apportion.core.arrow import from_rows
from apportion.core.measures import Rank, WorkloadKind
from apportion.metering.hours import COUNTING, FAMILY, SAMPLE_HOURS, TWINS, USAGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from apportion.engine.duck import DuckDb

USAGE_VERSION = "usage-7"
"""Changes whenever the same samples would give other usage: part of the id of every stored result."""


@dataclass(frozen=True, slots=True)
class Readings:
    """One delivered file of one meter: its tables, and what kind of meter it is. Later ones in a list win."""

    source_id: str
    rank: Rank
    complete: bool
    samples: Path
    subjects: Path


@dataclass(frozen=True, slots=True)
class Usage:
    """The tables `usage`, `hours`, `workloads`, `resources` and `meters` of a month as Parquet files."""

    usage: Path
    hours: Path
    workloads: Path
    resources: Path
    meters: Path


METERS = {"x_SourceNo": "INTEGER", "x_SourceId": "VARCHAR", "x_Rank": "INTEGER", "x_Complete": "BOOLEAN"}

# What belongs to one resource: the id the bill may know, else the cluster's name for it.
RESOURCE_KEY = """coalesce(lower(x_MeteredId), 'node:' || coalesce(x_Cluster, '') || '/' || x_Node,
    'account:' || coalesce(lower(x_Provider), '') || '/' || lower(x_Account))"""

_WORKLOAD = ", ".join(tables.quoted(name) for name in tables.WORKLOAD)
_RESOURCE = ", ".join(tables.quoted(name) for name in tables.RESOURCE)

# A node that the configuration, or any meter, knows by its id in the bill is that resource for every meter: within its
# cluster, and elsewhere where no second cluster has a node of that name. A node may be named by its very id.
READ = f"""
CREATE OR REPLACE TEMP TABLE all_subjects AS
WITH nodes AS (
    SELECT x_Node AS node, coalesce(x_Cluster, '') AS cluster, min(x_MeteredId) AS resource_id,
           count(DISTINCT lower(x_MeteredId)) AS ids, count(x_Cluster) AS named
    FROM read_subjects
    WHERE x_Node <> ''
    GROUP BY ALL
),
known AS (SELECT node, cluster, resource_id FROM nodes WHERE ids = 1),
alone AS (
    SELECT node, min(resource_id) AS resource_id
    FROM nodes
    GROUP BY node
    HAVING count(*) FILTER (WHERE named > 0) <= 1 AND count(DISTINCT lower(resource_id)) = 1 AND max(ids) = 1
),
ids AS (
    SELECT lower(x_MeteredId) AS id, min(x_MeteredId) AS resource_id
    FROM read_subjects
    WHERE x_MeteredId <> ''
    GROUP BY ALL
),
renamed AS (
    SELECT s.* REPLACE (
               coalesce(c.resource_id, n.resource_id, s.x_MeteredId, k.resource_id, a.resource_id, i.resource_id)
               AS x_MeteredId)
    FROM read_subjects AS s
    LEFT JOIN configured_nodes AS c ON c.node = s.x_Cluster || '/' || s.x_Node
    LEFT JOIN configured_nodes AS n ON n.node = s.x_Node
    LEFT JOIN known AS k ON k.node = s.x_Node AND k.cluster = coalesce(s.x_Cluster, '')
    LEFT JOIN alone AS a ON a.node = s.x_Node
    LEFT JOIN ids AS i ON i.id = lower(s.x_Node)
)
SELECT x_FileNo, x_SourceNo, x_SubjectNo, {_WORKLOAD}, {_RESOURCE}, {RESOURCE_KEY} AS resource_key
FROM renamed
"""

_LATER = "x_FileNo * CAST(1000000000 AS BIGINT) + x_SubjectNo"

RESOURCES = f"""
CREATE OR REPLACE TEMP TABLE resources AS
WITH said AS (
    SELECT resource_key, {", ".join(f"arg_max({name}, {_LATER}) AS {name}" for name in tables.RESOURCE)}
    FROM all_subjects
    WHERE resource_key IS NOT NULL
    GROUP BY resource_key
)
SELECT CAST(row_number() OVER (ORDER BY resource_key) AS INTEGER) AS x_ResourceNo, *
FROM said
"""

_OWN = frozenset({"x_WorkloadId", "x_Links"})


def _latest(name: str) -> str:
    """`arg_max` leaves nulls out, and an empty map says as little: what one file does not say stays as another does."""
    said = " FILTER (WHERE cardinality(s.x_Labels) > 0)" if name == "x_Labels" else ""
    return f"arg_max(s.{name}, {_LATER}){said} AS {name}"


IDENTITIES = f"""
CREATE OR REPLACE TEMP TABLE identities AS
WITH lives AS (
    SELECT x_FileNo AS file_no, x_SubjectNo AS subject_no, min(x_Start) AS began, max(x_End) AS ended
    FROM read_samples
    GROUP BY ALL
)
SELECT x_WorkloadId, min(m.x_Rank) AS x_Rank, max(s.x_SourceNo) AS x_SourceNo,
       {", ".join(_latest(name) for name in tables.WORKLOAD if name not in _OWN)},
       list_sort(list_distinct(flatten(list(coalesce(s.x_Links, []))))) AS x_Links,
       min(l.began) AS began, max(l.ended) AS ended
FROM all_subjects AS s
JOIN meters AS m ON m.x_SourceNo = s.x_SourceNo
JOIN lives AS l ON l.file_no = s.x_FileNo AND l.subject_no = s.x_SubjectNo
WHERE s.x_WorkloadId IS NOT NULL
GROUP BY s.x_WorkloadId
"""

# A link is an edge between a run and the work that carries the same link or is named by it: of several works the one
# that the most exact meter knows. A card is used by turns, so that of a card holds only for work of the same time; a
# host is shared, and its link for none.
_EDGES = """
SELECT DISTINCT run.x_WorkloadId AS run, work.x_WorkloadId AS work, work.x_Rank
FROM keys AS run
JOIN keys AS work ON work.key = run.key AND work.x_WorkloadId <> run.x_WorkloadId AND work.x_Rank < run.x_Rank
WHERE run.x_Rank = {rank}
  AND run.key NOT LIKE 'host:%'
  AND (run.key NOT LIKE 'gpu:%' OR (run.began < work.ended AND work.began < run.ended))
"""
_ONE_TO_ONE = """
SELECT run, work FROM (SELECT * FROM {edges} QUALIFY x_Rank = min(x_Rank) OVER (PARTITION BY run))
QUALIFY count(*) OVER (PARTITION BY run) = 1 AND count(*) OVER (PARTITION BY work) = 1
"""

# What runs inside of a cluster's work is that work; so is a tracker's run, of the one or of the other.
SAME = f"""
CREATE OR REPLACE TEMP TABLE same_work AS
WITH keys AS (
    SELECT x_WorkloadId, x_Rank, began, ended, unnest(list_append(x_Links, x_WorkloadId)) AS key FROM identities
),
nested_edges AS ({_EDGES.format(rank=int(Rank.NESTED))}),
nested AS ({_ONE_TO_ONE.format(edges="nested_edges")}),
tracked_edges AS ({_EDGES.format(rank=int(Rank.TRACKER))}),
outer_works AS (
    SELECT DISTINCT e.run, coalesce(n.work, e.work) AS work
    FROM tracked_edges AS e
    LEFT JOIN nested AS n ON n.run = e.work
),
outer_edges AS (
    SELECT o.run, o.work, w.x_Rank FROM outer_works AS o JOIN identities AS w ON w.x_WorkloadId = o.work
),
tracked AS ({_ONE_TO_ONE.format(edges="outer_edges")})
SELECT run, work, {int(Rank.NESTED)} AS x_Rank FROM nested
UNION ALL
SELECT run, work, {int(Rank.TRACKER)} FROM tracked
"""

_TOLD_BY_RUN = ("x_ParentId", "x_Experiment", "x_ReportedModel", "x_ModelVersion", "x_User", "x_Status")
_TOLD_TOO = ("x_ReportedTeam", "x_ReportedProject", "x_ReportedEnvironment")


def _merged(name: str) -> str:
    if name in _TOLD_BY_RUN:
        return f"coalesce(n.{name}, t.{name}, w.{name}) AS {name}"
    if name in _TOLD_TOO:
        return f"coalesce(w.{name}, n.{name}, t.{name}) AS {name}"
    if name == "x_WorkloadKind":
        other = f"w.{name} = '{WorkloadKind.OTHER}'"
        return f"CASE WHEN {other} THEN coalesce(n.{name}, w.{name}) ELSE w.{name} END AS {name}"
    if name == "x_Labels":
        both = ", ".join(f"coalesce({each}.x_Labels, MAP {{}})" for each in ("t", "n", "w"))
        return (
            f"CASE WHEN coalesce(n.x_Labels, t.x_Labels) IS NULL THEN w.x_Labels ELSE map_concat({both}) END AS {name}"
        )
    return f"w.{name}"


def _run(letter: str, rank: Rank) -> str:
    return f"""
LEFT JOIN same_work AS {letter}_same ON {letter}_same.work = w.x_WorkloadId AND {letter}_same.x_Rank = {int(rank)}
LEFT JOIN identities AS {letter} ON {letter}.x_WorkloadId = {letter}_same.run
"""


WORKLOADS = f"""
CREATE OR REPLACE TEMP TABLE workloads AS
WITH apart AS (SELECT * FROM identities WHERE x_WorkloadId NOT IN (SELECT run FROM same_work))
SELECT CAST(row_number() OVER (ORDER BY w.x_WorkloadId) AS INTEGER) AS x_WorkloadNo,
       {", ".join(_merged(name) for name in tables.WORKLOAD)},
       list_filter([n.x_WorkloadId, t.x_WorkloadId], lambda id: id IS NOT NULL) AS x_RunIds, w.x_SourceNo
FROM apart AS w
{_run("n", Rank.NESTED)}{_run("t", Rank.TRACKER)}"""

# One family of measures divides a resource: the first that any workload has on it. What nobody used is idle as what its
# capacity is of.
FAMILIES = f"""
CREATE OR REPLACE TEMP VIEW family_resources AS
WITH chosen AS (
    SELECT x_ResourceNo, coalesce(min({FAMILY}) FILTER (WHERE x_WorkloadNo IS NOT NULL), min({FAMILY})) AS x_Family
    FROM sample_hours
    GROUP BY x_ResourceNo
)
SELECT r.*, c.x_Family FROM resources AS r LEFT JOIN chosen AS c ON c.x_ResourceNo = r.x_ResourceNo
"""


def usage_of(db: DuckDb, readings: Sequence[Readings], folder: Path, *, nodes: Mapping[str, str]) -> Usage:
    """The usage of one month from all readings of it, written as Parquet into the folder.

    `readings` come in the order in which they were delivered; `nodes`: node -> its id in the bill. The files depend on
    their content, not on threads.
    """
    _read(db, readings)
    texts = {"node": pa.string(), "resource_id": pa.string()}
    db.register("configured_nodes", from_rows(texts, sorted(nodes.items())))
    for statement in (READ, RESOURCES, IDENTITIES, SAME, WORKLOADS, SAMPLE_HOURS, COUNTING):
        db.run(statement)
    made = Usage(*(folder / f"{name}.parquet" for name in ("usage", "hours", "workloads", "resources", "meters")))
    db.copy(USAGE, made.usage)
    db.read_parquet("made_usage", [made.usage])
    db.copy(TWINS, made.hours)
    db.run("DROP VIEW made_usage")
    db.run(FAMILIES)
    db.copy(_listed("workloads", tables.WORKLOADS, "x_WorkloadNo"), made.workloads)
    db.copy(_listed("family_resources", tables.RESOURCES, "x_ResourceNo"), made.resources)
    db.copy(_listed("meters", METERS, "x_SourceNo"), made.meters)
    for table in ("sample_hours", "counting", "all_subjects", "identities", "same_work", "resources", "workloads"):
        db.run(f"DROP TABLE {table}")
    return made


def _listed(table: str, columns: dict[str, str], key: str) -> str:
    typed = ", ".join(
        f"CAST({tables.quoted(name)} AS {kind}) AS {tables.quoted(name)}" for name, kind in columns.items()
    )
    return f"SELECT {typed} FROM {table} ORDER BY {key}"


def _read(db: DuckDb, readings: Sequence[Readings]) -> None:
    sources = sorted({(each.source_id, each.rank, each.complete) for each in readings})
    numbers = {source_id: no for no, (source_id, _, _) in enumerate(sources, 1)}
    rows = [(no, source_id, int(rank), complete) for no, (source_id, rank, complete) in enumerate(sources, 1)]
    kinds = (pa.int32(), pa.string(), pa.int32(), pa.bool_())
    db.register("meters", from_rows(dict(zip(METERS, kinds, strict=True)), rows))
    for name in ("samples", "subjects"):
        selects = []
        for no, each in enumerate(readings, 1):
            path = each.samples if name == "samples" else each.subjects
            db.read_parquet(f"{name}_{no}", [path])
            source_no = numbers[each.source_id]
            taken = "* EXCLUDE (x_FileNo)" if name == "samples" else "*"
            selects.append(f"SELECT {no} AS x_FileNo, {source_no} AS x_SourceNo, {taken} FROM {name}_{no}")
        db.run(f"CREATE OR REPLACE TEMP VIEW read_{name} AS {' UNION ALL '.join(selects)}")
