"""How much of the bill is tagged, and how much is known in any way: per dimension, provider and currency.

Money is the *size* of what was billed: the sum of the absolute BilledCost of each group of charges that share their
text and their owners, so that a credit counts like a charge and a share lies between 0 and 1 whatever the signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

from apportion.core.targets import DIMENSIONS, IDLE

if TYPE_CHECKING:
    from apportion.engine.duck import DuckDb

_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_MILLIONTH = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Counted:
    """Resources, charges and money: of everything, of what a tag answers for, of what anything answers for.

    A resource counts as tagged where all its charges are. Charges without a resource (tax, support) count in charges
    and money only. `size` is in the row's currency and never negative.
    """

    resources: int
    charges: int
    size: Decimal


@dataclass(frozen=True, slots=True)
class Coverage:
    """How well one dimension is known for one provider in one currency."""

    dimension: str
    provider: str
    currency: str
    all: Counted
    tagged: Counted
    """Where the resource's own tag decides (T1 by tag)."""
    known: Counted
    """Where somebody is known, by whatever evidence: neither `unallocated` nor `idle`."""

    @property
    def tagged_share(self) -> Decimal | None:
        """The share of the money that is tagged, to six digits; None where there is no money."""
        return ratio(self.tagged.size, self.all.size)

    @property
    def known_share(self) -> Decimal | None:
        """The share of the money whose owner is known, to six digits; None where there is no money."""
        return ratio(self.known.size, self.all.size)


def ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    """The part of the whole to six digits; None of nothing.

    >>> ratio(Decimal(1), Decimal(3)), ratio(Decimal(0), Decimal(0))
    (Decimal('0.333333'), None)
    """
    return _EXACT.divide(part, whole).quantize(_MILLIONTH, context=_EXACT) if whole else None


def per_dimension(make: str) -> str:
    """A SQL list with one entry per dimension: `make` with `{d}` for its name and `{word}` for its word in columns."""
    return "[" + ", ".join(make.format(d=d, word=d.capitalize()) for d in DIMENSIONS) + "]"


_FLAGS = per_dimension(
    "struct_pack(dimension := '{d}', "
    "tagged := bool_and(coalesce(\"x_{word}RuleId\", '') LIKE 'tag:%'), "
    f"known := bool_and(\"x_{{word}}Evidence\" <> 'T5' AND x_{{word}} <> '{IDLE}'))"
)

SEEN = f"""
told AS (
    SELECT x_AttributeNo, BillingCurrency AS currency, abs(SUM(BilledCost)) AS size, SUM(BilledCost) AS amount,
           SUM(x_ChargeCount)::BIGINT AS charges,
           unnest({_FLAGS}, recursive := true)
    FROM allocations
    GROUP BY x_AttributeNo, x_OwnerNo, BillingCurrency
),
seen AS (
    SELECT t.dimension, t.tagged, t.known, t.currency, t.size, t.amount, t.charges,
           coalesce(a.ServiceProviderName, a.ProviderName, '') AS provider,
           coalesce(a.SubAccountId, a.BillingAccountId, '') AS account,
           a.ServiceName, a.ResourceId, a.ResourceName, a.ResourceType, a.RegionId
    FROM told AS t
    JOIN attributes AS a ON a.x_AttributeNo = t.x_AttributeNo
)"""
"""CTEs: every group of pieces of one attribute row and one owner, once per dimension: is it tagged, is it known, how
much is it."""


def _three(expression: str) -> str:
    filters = ("", " FILTER (WHERE tagged)", " FILTER (WHERE known)")
    return ", ".join(expression.format(where=chosen) for chosen in filters)


COVERAGE = f"""
WITH {SEEN},
per_resource AS (
    SELECT dimension, provider, currency, account, ResourceId,
           bool_and(tagged) AS tagged, bool_and(known) AS known
    FROM seen
    WHERE ResourceId IS NOT NULL
    GROUP BY ALL
),
resources AS (
    SELECT dimension, provider, currency, COUNT(*) AS counted,
           COUNT(*) FILTER (WHERE tagged) AS tagged, COUNT(*) FILTER (WHERE known) AS known
    FROM per_resource
    GROUP BY ALL
),
sums AS (
    SELECT dimension, provider, currency,
           {_three("coalesce(SUM(charges){where}, 0)::BIGINT")}, {_three("coalesce(SUM(size){where}, 0)")}
    FROM seen
    GROUP BY ALL
)
SELECT s.*, coalesce(r.counted, 0), coalesce(r.tagged, 0), coalesce(r.known, 0)
FROM sums AS s
LEFT JOIN resources AS r USING (dimension, provider, currency)
ORDER BY list_position($dimensions, s.dimension), s.provider, s.currency
"""


def tag_coverage(db: DuckDb) -> tuple[Coverage, ...]:
    """The coverage of each dimension, provider and currency, in that order.

    Reads the session's `attributes` and `allocations` (columns of `core.tables`). Attribute numbers must be unique over
    all snapshots in them. A charge that is split counts
    piece by piece, and as a charge with the piece that begins it.
    """
    return tuple(_coverage(*row) for row in db.rows(COVERAGE, {"dimensions": list(DIMENSIONS)}))


def _coverage(dimension: str, provider: str, currency: str, *figures: int | Decimal) -> Coverage:
    charges, sizes, resources = figures[0:3], figures[3:6], figures[6:9]
    counted = (Counted(int(r), int(c), Decimal(s)) for r, c, s in zip(resources, charges, sizes, strict=True))
    return Coverage(dimension, provider, currency, *counted)
