"""Explain what pools gave: from a shared amount to what they took, and from a charge that was taken to who got it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any

from apportion.core import tables
from apportion.core.money import from_quanta, quanta
from apportion.core.targets import COLUMNS
from apportion.ledger.explain_shared_words import PoolCell, Portion
from apportion.ledger.filters import Filters, condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from apportion.engine.duck import DuckDb
    from apportion.store.records import Part

_LENGTHS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_OF_COST = ("service", "account", "provider")
"""The filters that choose what pools took; the others choose who got it."""


@dataclass(frozen=True, slots=True)
class PooledCost:
    """What a pool took of one service and origin into a cell: `rows` of allocations with so many pieces of charges.

    `origin_kind` is `idle` where it was capacity that nobody used.
    """

    service: str
    origin_team: str
    origin_kind: str | None
    rows: int
    charges: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Hop:
    """One pool on the way: its cell, what the next one on the way has of it, what came in and what of it went on."""

    cell: PoolCell
    portion: Portion
    came: Decimal
    gave: Decimal

    @property
    def share(self) -> Fraction:
        """The exact share of the cell."""
        return self.portion.of(self.cell.whole)


@dataclass(frozen=True, slots=True)
class SharedPiece:
    """What one receiver got by one way through pools: the first pool took `costs`, each hop gave a share on.

    `amount` is the sum of the pieces of costs that agree in what reports know of them, each divided exactly: at most
    one quantum per such cost and hop away from `share` of `whole_amount`. Filters by service, account and provider
    choose costs, so they narrow `whole_amount` and what came and went too.
    """

    month: datetime
    path: tuple[str, ...]
    owner: Mapping[str, str]
    workload_kind: str | None
    workload_id: str | None
    hops: tuple[Hop, ...]
    costs: tuple[PooledCost, ...]
    amount: Decimal

    @property
    def whole_amount(self) -> Decimal:
        """What was divided in the cell of the first pool."""
        return self.hops[0].came

    @property
    def share(self) -> Fraction:
        """The shares of all hops, multiplied."""
        return prod((hop.share for hop in self.hops), start=Fraction(1))


@dataclass(frozen=True, slots=True)
class PooledReceiver:
    """Who has a part of a cell: an owner, or another pool (`to_pool`, and `owner` is None).

    `about` is the share of the one piece that is explained. Only the cell's costs as a whole are divided to the last
    digit, so of a single piece it is an estimate, rounded to the quantum.
    """

    owner: Mapping[str, str] | None
    workload_id: str | None
    to_pool: str | None
    portion: Portion
    about: Decimal | None


@dataclass(frozen=True, slots=True)
class Pooled:
    """The pool that took a piece: the cell with everything it took there, and the largest of its `cell.receivers`."""

    cell: PoolCell
    rows: int
    charges: int
    amount: Decimal
    receivers: tuple[PooledReceiver, ...]


_OWNER = ", ".join((*COLUMNS.values(), "x_WorkloadKind", "x_WorkloadId"))

_LISTED = f"""
CREATE OR REPLACE TEMP TABLE listed AS
WITH summed AS (
    SELECT BillingCurrency, x_Month, x_Path, x_CellNos, x_ReceiverNo, {_OWNER}, SUM({{metric}}) AS amount
    FROM shared
    WHERE {{conditions}}
    GROUP BY ALL
),
placed AS (
    SELECT *, count(*) OVER (PARTITION BY BillingCurrency) AS known,
           row_number() OVER (
               PARTITION BY BillingCurrency ORDER BY ABS(amount) DESC NULLS LAST, x_Month, x_CellNos, x_ReceiverNo
           ) AS place
    FROM summed
)
SELECT * FROM placed WHERE place <= {{limit}} ORDER BY BillingCurrency, place
"""
_CELL = """
p.x_PoolId, p.x_PoolVersion, p.x_Stage, p.x_Method, p.x_BasisName, p.x_Within, p.x_Time, p.x_Leftover, p.x_Reciprocal,
c.x_Keys, c.x_Bucket, c.BillingCurrency, c.x_TotalBasis, c.x_TotalWeight, c.x_ShareWhole, c.x_ReceiverCount"""
_HOPS = f"""
WITH steps AS (
    SELECT BillingCurrency, place, x_Month, x_CellNos, x_ReceiverNo, unnest(range(1, len(x_CellNos) + 1)) AS step
    FROM listed
)
SELECT s.BillingCurrency AS currency, s.place, s.step, {_CELL}, w.x_Basis, w.x_Weight, w.x_ShareLow, w.x_ShareHigh
FROM steps AS s
JOIN cells AS c ON c.x_Month = s.x_Month AND c.x_CellNo = s.x_CellNos[s.step]
JOIN pools AS p ON p.x_Month = c.x_Month AND p.x_PoolNo = c.x_PoolNo
LEFT JOIN cells AS n ON n.x_Month = s.x_Month AND n.x_CellNo = s.x_CellNos[s.step + 1]
JOIN weights AS w ON w.x_Month = c.x_Month AND w.x_CellNo = c.x_CellNo
 AND w.x_ToPoolNo IS NOT DISTINCT FROM n.x_PoolNo
 AND w.x_ReceiverNo IS NOT DISTINCT FROM CASE WHEN n.x_PoolNo IS NULL THEN s.x_ReceiverNo END
ORDER BY currency, s.place, s.step
"""
# What came into a cell by one way is what all owners got that it went on to.
_FLOWS = """
SELECT s.x_Month, s.x_CellNos, SUM({metric})
FROM shared AS s
SEMI JOIN listed AS l ON l.x_Month = s.x_Month AND l.x_CellNos[1] = s.x_CellNos[1]
WHERE {conditions}
GROUP BY ALL
"""
_COSTS = """
SELECT t.x_Month, t.x_CellNo, a.ServiceName, a.x_Team,
       CASE WHEN a.x_WorkloadKind = 'idle' THEN a.x_WorkloadKind END AS origin,
       count(*), CAST(SUM(t.x_PieceCount) AS BIGINT), SUM(t.{metric}) AS amount
FROM (SELECT y.* FROM taken AS y SEMI JOIN listed AS l ON l.x_Month = y.x_Month AND l.x_CellNos[1] = y.x_CellNo) AS t
JOIN (SELECT * FROM allocations_of_parts WHERE {conditions}) AS a
  ON a.x_SnapshotId = t.x_SnapshotId AND a.x_AttributeNo = t.x_AttributeNo AND a.x_OwnerNo = t.x_OwnerNo
GROUP BY ALL
ORDER BY t.x_Month, t.x_CellNo, ABS(amount) DESC NULLS LAST, a.ServiceName, a.x_Team, origin
"""


def shared_pieces(
    db: DuckDb, *, metric: str, filters: Filters, limit: int
) -> tuple[dict[str, list[SharedPiece]], dict[str, int]]:
    """Currency -> the largest shared amounts that match, largest first, and how many there are in all.

    The views of `ledger.lenses.open_lenses` must be there.
    """
    held, values = condition(filters)
    named = tables.quoted(metric)
    db.run(_LISTED.format(metric=named, conditions=held, limit=limit), values)
    listed = db.table("SELECT * FROM listed ORDER BY BillingCurrency, place").to_pylist()
    flows, costs = _flows(db, named, filters), _costs(db, named, filters)
    steps: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
    for currency, place, _, *step in db.rows(_HOPS):
        steps.setdefault((currency, place), []).append(tuple(step))
    pieces: dict[str, list[SharedPiece]] = {}
    for row in listed:
        hops = _hops(row, steps[row["BillingCurrency"], row["place"]], flows)
        of_cell = costs.get((row["x_Month"], row["x_CellNos"][0]), ())
        pieces.setdefault(row["BillingCurrency"], []).append(_piece(row, hops, of_cell))
    return pieces, {row["BillingCurrency"]: row["known"] for row in listed}


_Flows = dict[tuple["datetime", tuple[int, ...]], int]
"""Month and cells on the way so far -> quanta that came that way."""


def _of_cost(filters: Filters) -> Filters:
    return {field: values for field, values in filters.items() if field in _OF_COST}


def _flows(db: DuckDb, metric: str, filters: Filters) -> _Flows:
    held, values = condition(_of_cost(filters))
    found: _Flows = {}
    for month, cells, amount in db.rows(_FLOWS.format(metric=metric, conditions=held), values):
        for end in range(1, len(cells) + 1):
            key = month, tuple(cells[:end])
            found[key] = found.get(key, 0) + quanta(amount or Decimal(0))
    return found


def _costs(db: DuckDb, metric: str, filters: Filters) -> dict[tuple[datetime, int], tuple[PooledCost, ...]]:
    held, values = condition(_of_cost(filters))
    found: dict[tuple[datetime, int], tuple[PooledCost, ...]] = {}
    for month, no, service, team, kind, rows, charges, amount in db.rows(
        _COSTS.format(metric=metric, conditions=held), values
    ):
        cost = PooledCost(service, team, kind, rows, charges, amount if amount is not None else Decimal(0))
        found[month, no] = (*found.get((month, no), ()), cost)
    return found


def _hops(row: Mapping[str, Any], steps: Sequence[tuple[Any, ...]], flows: _Flows) -> tuple[Hop, ...]:
    cells = tuple(row["x_CellNos"])
    ends = [flows[row["x_Month"], cells[:end]] for end in range(1, len(cells) + 1)]
    gone = [*ends[1:], quanta(row["amount"] or Decimal(0))]
    return tuple(
        Hop(_cell(step), _portion(step[-4:]), from_quanta(came), from_quanta(gave))
        for step, came, gave in zip(steps, ends, gone, strict=True)
    )


def _cell(values: Sequence[Any]) -> PoolCell:
    pool, version, stage, method, basis, within, time, leftover, reciprocal, keys, bucket, currency = values[:12]
    total_basis, total_weight, whole, receivers = values[12:16]
    return PoolCell(
        pool=pool,
        version=version,
        stage=stage,
        method=method,
        basis_name=basis,
        within=dict(zip(within, keys, strict=False)),
        dropped=tuple(within[len(keys) :]),
        time=time,
        bucket=bucket,
        leftover=leftover,
        reciprocal=reciprocal,
        currency=currency,
        total_basis=None if total_basis is None else int(total_basis),
        total_weight=int(total_weight),
        whole=whole,
        receivers=receivers,
    )


def _portion(values: Sequence[Any]) -> Portion:
    basis, weight, low, high = values
    return Portion(None if basis is None else int(basis), int(weight), low, high)


def _piece(row: Mapping[str, Any], hops: tuple[Hop, ...], costs: Iterable[PooledCost]) -> SharedPiece:
    return SharedPiece(
        month=row["x_Month"],
        path=tuple(hop.cell.pool for hop in hops),
        owner={name: row[column] for name, column in COLUMNS.items()},
        workload_kind=row["x_WorkloadKind"],
        workload_id=row["x_WorkloadId"],
        hops=hops,
        costs=tuple(costs),
        amount=row["amount"] if row["amount"] is not None else Decimal(0),
    )


_TAKERS = f"""
WITH mine AS (
    SELECT DISTINCT x_Month, x_CellNo, x_AttributeNo, x_OwnerNo
    FROM taken WHERE x_SnapshotId = $snapshot AND x_AttributeNo = $attribute
),
summed AS (
    SELECT x_Month, x_CellNo, count(*) AS rows_taken, CAST(SUM(x_PieceCount) AS BIGINT) AS pieces,
           SUM({{metric}}) AS amount
    FROM taken SEMI JOIN mine USING (x_Month, x_CellNo)
    GROUP BY ALL
)
SELECT m.x_OwnerNo, m.x_CellNo, s.rows_taken, s.pieces, s.amount, {_CELL}
FROM mine AS m
JOIN summed AS s USING (x_Month, x_CellNo)
JOIN cells AS c USING (x_Month, x_CellNo)
JOIN pools AS p ON p.x_Month = m.x_Month AND p.x_PoolNo = c.x_PoolNo
ORDER BY m.x_OwnerNo, m.x_CellNo
"""
_HOLDERS = f"""
SELECT {_OWNER}, p.x_PoolId, w.x_Basis, w.x_Weight, w.x_ShareLow, w.x_ShareHigh
FROM weights AS w
LEFT JOIN receivers AS r ON r.x_Month = w.x_Month AND r.x_ReceiverNo = w.x_ReceiverNo
LEFT JOIN pools AS p ON p.x_Month = w.x_Month AND p.x_PoolNo = w.x_ToPoolNo
WHERE w.x_CellNo = $cell AND w.x_ShareHigh > w.x_ShareLow
ORDER BY w.x_ShareHigh - w.x_ShareLow DESC, w.x_ShareLow
LIMIT $limit
"""


def pooled(
    db: DuckDb, part: Part, pieces: Sequence[Mapping[str, Any]], *, metric: str, limit: int
) -> dict[int, Pooled]:
    """Low end of the share -> the pool that took it, of those pieces of one charge that a pool took.

    Each piece is a row of `explain`'s view `described`. The views of `ledger.sharing.open_sharings` must be there, of
    that month only.
    """
    named = tables.quoted(metric)
    asked = {"snapshot": part.snapshot_id, "attribute": pieces[0]["x_AttributeNo"]}
    by_owner: dict[int, list[tuple[Any, ...]]] = {}
    for owner, *taker in db.rows(_TAKERS.format(metric=named), asked):
        by_owner.setdefault(owner, []).append(tuple(taker))
    found: dict[int, Pooled] = {}
    for piece in pieces:
        takers = [(_cell(taker[4:]), taker[:4]) for taker in by_owner.get(piece["x_OwnerNo"], ())]
        if takers:
            cell, (number, rows, charges, amount) = _taker(piece, takers)
            holders = db.rows(_HOLDERS, {"cell": number, "limit": limit})
            receivers = tuple(_receiver(cell, holder, piece[metric]) for holder in holders)
            found[piece["x_ShareLow"]] = Pooled(cell, rows, charges, amount or Decimal(0), receivers)
    return found


def _taker(
    piece: Mapping[str, Any], takers: Sequence[tuple[PoolCell, tuple[Any, ...]]]
) -> tuple[PoolCell, tuple[Any, ...]]:
    """The cell that the charge falls in: of its day or hour, if it lies in one that has a cell, else of the month."""
    of_month = None
    for cell, rest in takers:
        if cell.bucket is None:
            of_month = cell, rest
        elif (
            cell.bucket <= piece["ChargePeriodStart"] and piece["ChargePeriodEnd"] <= cell.bucket + _LENGTHS[cell.time]
        ):
            return cell, rest
    return of_month or takers[0]


def _receiver(cell: PoolCell, holder: Sequence[Any], amount: Decimal | None) -> PooledReceiver:
    *owner, _, workload, to_pool, basis, weight, low, high = holder
    portion = _portion((basis, weight, low, high))
    about = None if amount is None else from_quanta(round(quanta(amount) * portion.of(cell.whole)))
    named = None if to_pool is not None else dict(zip(COLUMNS, owner, strict=True))
    return PooledReceiver(named, workload, to_pool, portion, about)
