"""Which rows a pool takes, what it divides within and who takes part, as SQL over the rows of a month.

The session holds the view `before_rows`: the rows of `allocations` of every bill of the month, with `x_PartNo`,
`x_Bucket`, the columns `x_Invoice`, `x_Resource`, `x_Cluster`, and per pool (by its number) the booleans `when_<no>`,
`basis_<no>` and `from_<no>`: whether the conditions on the charge hold. `before_rows_day` and `before_rows_hour` tell
the same rows apart by time; they are there where a pool asks for it.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from apportion.core.config import Pool
from apportion.core.measures import WorkloadKind
from apportion.core.targets import COLUMNS, IDLE, UNALLOCATED
from apportion.errors import PoolsOverlap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from apportion.core.config import RowChoice
    from apportion.engine.duck import DuckDb

Pools = dict[int, Pool]
"""Number -> pool, in the order in which they are given out: by stage, then by id."""

TARGETS = tuple(COLUMNS.values())
RECEIVER = (*TARGETS, "x_WorkloadKind", "x_WorkloadId")
"""The columns that make a receiver; the last two are null but at the grain of jobs."""
ROW = ("x_PartNo", "x_AttributeNo", "x_OwnerNo")

_OF_OWNER = {**COLUMNS, "kind": "x_WorkloadKind", "job": "x_WorkloadId"}
_KEYS = {
    "provider": "ServiceProviderName",
    "billing_account": "BillingAccountId",
    "account": "coalesce(SubAccountId, BillingAccountId)",
    "service": "ServiceName",
    "region": "RegionId",
    "invoice": "x_Invoice",
    "resource": "x_Resource",
    "cluster": "x_Cluster",
    **COLUMNS,
}
USAGE_KEYS = {
    "provider": "x_Provider",
    "account": "x_Account",
    "region": "x_Region",
    "resource": "x_Resource",
    "cluster": "x_Cluster",
    **COLUMNS,
}
_KEPT = {
    "business_unit": ("x_BusinessUnit",),
    "team": ("x_BusinessUnit", "x_Team"),
    "project": ("x_BusinessUnit", "x_Team", "x_Project"),
    "model": TARGETS,
    "job": RECEIVER,
}
"""Grain -> what of an owner makes a receiver; the rest is not known of it."""


def numbered(pools: Sequence[Pool]) -> Pools:
    """The pools in the order in which they are given out, whatever their order in the configuration."""
    return dict(enumerate(sorted(pools, key=lambda pool: (pool.stage, pool.id)), 1))


def rows_of(pool: Pool) -> str:
    """The name of the view with the rows as the pool's time tells them apart."""
    return "before_rows" if pool.time == "month" else f"before_rows_{pool.time}"


def keys(pool: Pool) -> str:
    """SQL for the list of the values of `within`; what a row does not say is an empty text."""
    listed = ", ".join(f"coalesce({_KEYS[name]}, '')" for name in pool.within)
    return f"CAST([{listed}] AS VARCHAR[])"


def usage_keys(pool: Pool) -> str:
    """The same over `usage_rows`."""
    listed = ", ".join(f"coalesce({USAGE_KEYS[name]}, '')" for name in pool.within)
    return f"CAST([{listed}] AS VARCHAR[])"


def receiver(pool: Pool) -> str:
    """The select list that makes an owner the receiver it is at the pool's grain."""
    kept = _KEPT[pool.grain]
    return ", ".join(name if name in kept else f"{_nothing(name)} AS {name}" for name in RECEIVER)


def _nothing(name: str) -> str:
    return f"'{UNALLOCATED}'" if name in TARGETS else "CAST(NULL AS VARCHAR)"


class Choices:
    """Conditions on owners as SQL; their values are bound under names that begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self.params: dict[str, object] = {}
        self._prefix = prefix

    def holds(self, choice: RowChoice) -> str:
        """True where what the choice asks of the owner holds."""
        parts = [self._equals(_OF_OWNER[name], values) for name, values in choice.equals.items()]
        parts += [
            f"coalesce(regexp_matches({_OF_OWNER[name]}, {self._bind(pattern)}), false)"
            for name, pattern in choice.matches.items()
        ]
        return " AND ".join(parts) or "true"

    def takes_part(self, pool: Pool) -> str:
        """True for owners that may receive: as the pool says, and unless it does so, with a team and not idle."""
        asked = {*pool.receivers.equals, *pool.receivers.matches}
        parts = [self.holds(pool.receivers)]
        if "team" not in asked:
            parts.append(f"x_Team <> '{UNALLOCATED}' AND x_Team <> '{IDLE}'")
        if "kind" not in asked:
            parts.append(f"x_WorkloadKind IS DISTINCT FROM '{WorkloadKind.IDLE}'")
        return " AND ".join(parts)

    def _equals(self, column: str, values: Sequence[str]) -> str:
        bound = ", ".join(f"lower(trim({self._bind(value)}))" for value in values)
        return f"coalesce(lower(trim({column})) IN ({bound}), false)"

    def _bind(self, value: object) -> str:
        name = f"{self._prefix}{len(self.params)}"
        self.params[name] = value
        return f"${name}"


_CLAIMS = """
CREATE OR REPLACE TEMP TABLE claims AS
WITH matched AS (
    SELECT {row}, ServiceName, [{matches}] AS pools FROM before_rows WHERE {any}
)
SELECT {row}, ServiceName, list_filter(pools, lambda no: no IS NOT NULL) AS pools FROM matched
"""


def claim(db: DuckDb, pools: Pools) -> None:
    """Make `claims`: each row that pools match, with `x_PoolNo`, the first of them.

    Raises `PoolsOverlap` where two of one stage match: the order in which they stand must not decide.
    """
    choices = Choices("when")
    matches = {no: f"when_{no} AND {choices.holds(pool.when)}" for no, pool in pools.items()}
    db.run(
        _CLAIMS.format(
            row=", ".join(ROW),
            matches=", ".join(f"CASE WHEN {sql} THEN {no} END" for no, sql in matches.items()),
            any=" OR ".join(f"({sql})" for sql in matches.values()),
        ),
        choices.params,
    )
    several = "SELECT pools, min(ServiceName) FROM claims WHERE len(pools) > 1 GROUP BY pools ORDER BY pools"
    for matching, service in db.rows(several):
        _, first = next(iter(groupby(matching, key=lambda no: pools[no].stage)))
        if len(both := list(first)) > 1:
            raise PoolsOverlap(pools[both[0]].id, pools[both[1]].id, pools[both[0]].stage, service)
    db.run(f"CREATE OR REPLACE TEMP TABLE claims AS SELECT {', '.join(ROW)}, pools[1] AS x_PoolNo FROM claims")


def same_row(one: str, other: str) -> str:
    """SQL that is true where two tables speak of one row."""
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in ROW)


def owner_row(owner: Mapping[str, str]) -> tuple[str | None, ...]:
    """An owner (dimension -> value) as the columns of a receiver."""
    return (*(owner.get(name, UNALLOCATED) for name in COLUMNS), None, None)
