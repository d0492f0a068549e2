"""Which resources to tag first: the few that bring most of the money that nobody is known to own."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any

from apportion.core.targets import DIMENSIONS
from apportion.tagging.coverage import SEEN, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apportion.engine.duck import DuckDb

LIMIT = 25
"""How many resources a list names unless told otherwise."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One resource whose owner in the dimension is not known. `account` is the sub account, or the billing account.

    `open` is the size (sum of absolute BilledCost) of its charges without owner, `amount` their plain sum;
    `coverage` is the dimension's coverage once this resource and all before it are tagged.
    """

    provider: str
    account: str
    service: str
    resource_id: str
    resource_name: str
    resource_type: str
    region: str
    charges: int
    open: Decimal
    amount: Decimal
    coverage: Decimal | None


@dataclass(frozen=True, slots=True)
class Worklist:
    """The resources to tag first for one dimension in one currency, largest first.

    `size` is all money of the currency, `known` the part whose owner is known, `untaggable` the part without owner that
    belongs to no resource (tax, support, fees): a rule can own it, a tag cannot. `resources` counts all open ones.
    """

    dimension: str
    currency: str
    size: Decimal
    known: Decimal
    untaggable: Decimal
    resources: int
    items: tuple[WorkItem, ...]

    @property
    def before(self) -> Decimal | None:
        """The coverage today, to six digits; None where there is no money."""
        return ratio(self.known, self.size)

    @property
    def after(self) -> Decimal | None:
        """The coverage once all listed resources are tagged."""
        return self.items[-1].coverage if self.items else self.before

    def headline(self) -> str:
        """The list in one sentence, such as `tag these 12 resources: team coverage +6.3 % (81.2 % to 87.5 %)`."""
        if self.before is None or self.after is None or not self.items:
            if self.untaggable:
                return f"nothing to tag for {self.dimension}: what is not known names no resource"
            return f"no resource is left to tag for {self.dimension}"
        noun = "this resource" if len(self.items) == 1 else f"these {len(self.items)} resources"
        before, after = _percent(self.before), _percent(self.after)
        return f"tag {noun}: {self.dimension} coverage +{after - before} % ({before} % to {after} %)"


def _percent(share: Decimal) -> Decimal:
    """Per cent to one digit, rounded before they are subtracted: the three figures of a sentence must agree."""
    return (share * 100).quantize(Decimal("0.1"))


WORKLIST = f"""
WITH {SEEN},
totals AS (
    SELECT dimension, currency, SUM(size) AS size,
           coalesce(SUM(size) FILTER (WHERE known), 0) AS known,
           coalesce(SUM(size) FILTER (WHERE NOT known AND ResourceId IS NULL), 0) AS untaggable
    FROM seen
    GROUP BY ALL
),
resources AS (
    SELECT dimension, currency, provider, account, ResourceId,
           min(ServiceName) AS service, min(ResourceName) AS resource_name, min(ResourceType) AS resource_type,
           min(RegionId) AS region, SUM(charges)::BIGINT AS charges, SUM(size) AS open, SUM(amount) AS amount
    FROM seen
    WHERE NOT known AND ResourceId IS NOT NULL
    GROUP BY dimension, currency, provider, account, ResourceId
    HAVING SUM(size) > 0
),
ranked AS (
    SELECT *, COUNT(*) OVER (PARTITION BY dimension, currency) AS resources,
           row_number() OVER (
               PARTITION BY dimension, currency ORDER BY open DESC, provider, account, ResourceId
           ) AS place
    FROM resources
)
SELECT t.dimension, t.currency, t.size, t.known, t.untaggable, coalesce(r.resources, 0),
       r.provider, r.account, coalesce(r.service, ''), r.ResourceId, coalesce(r.resource_name, ''),
       coalesce(r.resource_type, ''), coalesce(r.region, ''), r.charges, r.open, r.amount
FROM totals AS t
LEFT JOIN ranked AS r ON r.dimension = t.dimension AND r.currency = t.currency AND r.place <= $limit
ORDER BY list_position($dimensions, t.dimension), t.currency, r.place
"""


def worklist(db: DuckDb, *, limit: int = LIMIT) -> tuple[Worklist, ...]:
    """The worklist of each dimension and currency, at most `limit` resources each.

    Reads the session's `attributes` and `allocations`, as `tag_coverage` does.
    """
    rows = db.rows(WORKLIST, {"limit": limit, "dimensions": list(DIMENSIONS)})
    return tuple(
        _list(head, [row[6:] for row in same if row[6] is not None])
        for head, same in groupby(rows, lambda row: row[:6])
    )


def _list(head: tuple[str, str, Decimal, Decimal, Decimal, int], rows: list[tuple[Any, ...]]) -> Worklist:
    _, _, size, known, _, _ = head
    return Worklist(*head, items=tuple(_items(rows, size, known)))


def _items(rows: list[tuple[Any, ...]], size: Decimal, known: Decimal) -> Iterator[WorkItem]:
    for row in rows:
        provider, account, service, resource_id, name, kind, region, charges, opened, amount = row
        known += opened
        words = (provider, account, service, resource_id, name, kind, region)
        yield WorkItem(*words, charges, opened, amount, ratio(known, size))
