"""Which metered resource each charge of the asked months is for, and what the resources had to give and gave.

`open_places` makes these tables, after `open_metered`:

- `places`: part and attribute row -> the resource it is for (`resource_key` and, where the asked months know it,
  `x_ResourceNo`), how many resources match (`candidates`). The same join as the run's (`metering.matching`), part by
  part, with the usage that the run had for it;
- `place_costs`: currency, resource, kind of workload, workload, team of the resource -> cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.core.config import MeteringConfig
from apportion.core.config_file import parse_config
from apportion.core.tables import quoted
from apportion.ledger.metered import months_of
from apportion.metering import matching
from apportion.metering.usage import RESOURCE_KEY
from apportion.reports.reading.metered import parts_of, read_usages

if TYPE_CHECKING:
    from apportion.reports.reading.contract import Asked
    from apportion.store.records import Part

NO_PLACES = """
CREATE OR REPLACE TEMP TABLE found_places
    (x_PartNo INTEGER, x_AttributeNo INTEGER, candidates BIGINT, level INTEGER, resource_key VARCHAR)
"""

ADD_PLACES = f"""
INSERT INTO found_places
WITH keys AS (SELECT x_ResourceNo, {RESOURCE_KEY} AS resource_key FROM resources)
SELECT $part, m.x_AttributeNo, m.candidates, m.level, CASE WHEN m.candidates = 1 THEN k.resource_key END
FROM matches AS m
JOIN keys AS k ON k.x_ResourceNo = m.x_ResourceNo
"""

PLACES = f"""
CREATE OR REPLACE TEMP TABLE places AS
WITH keys AS (SELECT x_ResourceNo, {RESOURCE_KEY} AS resource_key FROM resources)
SELECT f.*, k.x_ResourceNo FROM found_places AS f LEFT JOIN keys AS k ON k.resource_key = f.resource_key
"""

COSTS = """
CREATE OR REPLACE TEMP TABLE place_costs AS
SELECT c.BillingCurrency, p.resource_key, c.x_WorkloadKind, c.x_WorkloadId, c.x_HostTeam, SUM(c.{metric}) AS cost
FROM charged AS c
LEFT JOIN places AS p ON p.x_PartNo = c.x_PartNo AND p.x_AttributeNo = c.x_AttributeNo AND p.candidates = 1
WHERE c.x_WorkloadKind IS NOT NULL
GROUP BY ALL
"""


def open_places(asked: Asked) -> MeteringConfig:
    """Make the tables of this module's docstring; returns how the run divided metered resources."""
    config = metering_of(asked)
    asked.db.run(NO_PLACES)
    nodes = sorted(config.nodes.items())
    listed = [pa.array([node for node, _ in nodes], pa.string()), pa.array([at for _, at in nodes], pa.string())]
    asked.db.register("configured_nodes", pa.Table.from_arrays(listed, names=["node", "resource_id"]))
    for place, part in enumerate(parts_of(asked), 1):
        _add(asked, part, place)
    read_usages(asked, [usage for usage in asked.run.usages if usage.period in asked.period])
    asked.db.run(PLACES)
    asked.db.run(COSTS.format(metric=quoted(asked.metric)))
    return config


def metering_of(asked: Asked) -> MeteringConfig:
    """`[metering]` as it was when the run was made."""
    return parse_config(asked.run.config).metering if asked.run.config else MeteringConfig()


def _add(asked: Asked, part: Part, place: int) -> None:
    snapshot = asked.store.snapshot(part.snapshot_id)
    months = months_of(asked.store.checked(snapshot.charges)) if asked.run.usages else set()
    usages = sorted((usage for usage in asked.run.usages if usage.period in months), key=lambda usage: usage.period)
    if not usages:
        return
    read_usages(asked, usages)
    asked.db.read_parquet("attributes", [asked.store.checked(snapshot.attributes)])
    asked.db.run(matching.MATCHES)
    asked.db.run(ADD_PLACES, {"part": place})
