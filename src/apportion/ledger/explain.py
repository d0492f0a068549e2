"""Explain: from an amount to the rules, charges and files behind it, and from a charge to where it went."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.allocation.pool_flow import REPORTED
from apportion.allocation.statements import PIECES
from apportion.core import focus, tables
from apportion.core.money import from_quanta, quanta
from apportion.core.targets import COLUMNS, DIMENSIONS
from apportion.engine import duck
from apportion.engine.dialect import DUCKDB, compile_sql
from apportion.errors import NoData
from apportion.ledger.explain_metered import MeteredUse, metered_uses
from apportion.ledger.explain_shared import Pooled, SharedPiece, pooled, shared_pieces
from apportion.ledger.filters import Filters, as_known, condition, job_names
from apportion.ledger.held import held_parts
from apportion.ledger.lenses import Lens, open_lenses
from apportion.ledger.sharing import open_sharings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from apportion.core.period import Period
    from apportion.engine.duck import DuckDb
    from apportion.store import Store
    from apportion.store.records import Part, Run, Snapshot

_Row = dict[str, Any]
"""A piece as `_DESCRIBED` gives it, by column."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why part of an amount is there: the rule that named the team, with its tier, and a service of the bill.

    Of what a pool gave, `charges` are the pieces that the pool took and divided, each once.
    """

    evidence: str
    rule_id: str
    service: str
    charges: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class ChargePiece:
    """One piece of one charge and the way back to the delivered record.

    `amount` is the piece, `whole_amount` the charge; the piece is the interval [low, high) of `whole`. `workload_kind`,
    `workload_id`, `host_team` and `metered` are None where nothing was metered. `pooled` is the pool that took the
    piece: told where one charge is explained, None where no pool did.
    """

    charge_id: str
    file: str
    file_sha256: str
    row: int
    repairs: str | None
    start: datetime
    service: str
    description: str | None
    resource_id: str | None
    low: int
    high: int
    whole: int
    owner: Mapping[str, str]
    evidence: Mapping[str, str]
    rules: Mapping[str, str]
    amount: Decimal | None
    whole_amount: Decimal | None
    workload_kind: str | None = None
    workload_id: str | None = None
    host_team: str | None = None
    metered: MeteredUse | None = None
    pooled: Pooled | None = None


@dataclass(frozen=True, slots=True)
class AmountExplained:
    """An amount in one currency: the reasons add up to it exactly.

    It is what the rows cost that no pool took (`pieces` are the largest of them, `count` all) and what pools gave
    (`shares` are the largest, `share_count` all, `shared` their sum); before pools there are no shares. `lens` is None
    where the run has no pools in these months: before and after are the same.
    """

    run_id: str
    currency: str
    metric: str
    amount: Decimal
    reasons: tuple[Reason, ...]
    pieces: tuple[ChargePiece, ...]
    count: int
    lens: Lens | None = None
    shared: Decimal = Decimal(0)
    shares: tuple[SharedPiece, ...] = ()
    share_count: int = 0


@dataclass(frozen=True, slots=True)
class ChargeExplained:
    """A charge as it is stored (`dimensions`, `amounts`, `tags`), where it came from, and every piece of it."""

    run_id: str
    charge_id: str
    currency: str
    dimensions: Mapping[str, str]
    amounts: Mapping[str, Decimal]
    tags: Mapping[str, str]
    pieces: tuple[ChargePiece, ...]


_REASONS = """
SELECT BillingCurrency, x_TeamEvidence, x_TeamRuleId, ServiceName, CAST(SUM(x_PieceCount) AS BIGINT), SUM({metric})
FROM allocations
WHERE x_PoolId IS NULL AND {conditions}
GROUP BY ALL
"""

# Each receiver of a cost says how many pieces the cost has: they count once.
_SHARED_REASONS = f"""
WITH costs AS (
    SELECT x_TeamEvidence, x_TeamRuleId, x_Month, x_CellNos,
           {", ".join(tables.quoted(name) for name in REPORTED)}, x_OriginTeam, x_OriginKind,
           max(x_PieceCount) AS pieces, SUM({{metric}}) AS amount
    FROM shared
    WHERE {{conditions}}
    GROUP BY ALL
)
SELECT BillingCurrency, x_TeamEvidence, x_TeamRuleId, ServiceName, CAST(SUM(pieces) AS BIGINT), SUM(amount)
FROM costs
GROUP BY ALL
"""

_DESCRIBED = f"""
SELECT p.*, a.* EXCLUDE (x_AttributeNo)
FROM ({PIECES}) AS p
JOIN attributes AS a ON a.x_AttributeNo = p.x_AttributeNo
"""

_LARGEST = """
SELECT * FROM described AS d
{of_lens}
WHERE {conditions}
QUALIFY row_number() OVER (
    PARTITION BY BillingCurrency ORDER BY ABS({metric}) DESC NULLS LAST, x_ChargeNo, x_ShareLow
) <= {limit}
ORDER BY BillingCurrency, ABS({metric}) DESC NULLS LAST, x_ChargeNo, x_ShareLow
"""

_NOT_TAKEN = """
ANTI JOIN taken AS t
  ON t.x_SnapshotId = $snapshot AND t.x_AttributeNo = d.x_AttributeNo AND t.x_OwnerNo = d.x_OwnerNo
"""

_ONE = "SELECT * FROM described WHERE x_ChargeNo = ? ORDER BY x_ShareLow"


def explain_amount(
    store: Store,
    run: Run,
    *,
    period: Period,
    metric: str,
    filters: Filters,
    limit: int = 10,
    lens: Lens = Lens.AFTER,
    memory: str = "2GB",
) -> tuple[AmountExplained, ...]:
    """What the amount of a metric in these months consists of, one explanation per currency.

    The amount is that of the lens: after pools, as reports show it, or before. Raises `UnknownName` for a filter or a
    value that no row has through either lens, `NoData` where nothing matches all of them.
    """
    parts = held_parts(run, period)
    sharings = [part for part in run.sharings if part.period in period]
    lens = lens if sharings else Lens.BEFORE
    with duck.session(memory=memory, temp=store.stage()) as db:
        filters = _opened(db, store, run, parts, sharings, filters, lens)
        own = _reasons(db, _REASONS, metric=metric, filters=filters)
        given = _reasons(db, _SHARED_REASONS, metric=metric, filters=filters) if lens is Lens.AFTER else {}
        if not own and not given:
            raise _nothing(db, period, filters)
        shares, share_counts = shared_pieces(db, metric=metric, filters=filters, limit=limit) if given else ({}, {})
        asked = _Asked(metric, filters, limit, lens)
        found = [row for part in parts for row in _largest(db, store, part, asked)] if own else []
        pieces = _pieces(db, store, run, _first(found, metric, limit), metric)
    return tuple(
        AmountExplained(
            run_id=run.id,
            currency=currency,
            metric=metric,
            amount=_sum([*own.get(currency, ()), *given.get(currency, ())]),
            reasons=tuple(sorted([*own.get(currency, ()), *given.get(currency, ())], key=_place)),
            pieces=tuple(pieces.get(currency, ())),
            count=sum(reason.charges for reason in own.get(currency, ())),
            lens=lens if sharings else None,
            shared=_sum(given.get(currency, ())),
            shares=tuple(shares.get(currency, ())),
            share_count=share_counts.get(currency, 0),
        )
        for currency in sorted(own.keys() | given.keys())
    )


def _opened(
    db: DuckDb, store: Store, run: Run, parts: list[Part], sharings: list[Part], filters: Filters, lens: Lens
) -> Filters:
    """Make the views of the lens; the filters as its rows spell them, or those of the other lens."""
    open_lenses(db, store, parts, sharings, lens)
    both = tuple(f"allocations_{each}" for each in Lens)
    return as_known(db, filters, jobs=job_names(db, store, run, filters), views=both)


def _nothing(db: DuckDb, period: Period, filters: Filters) -> NoData:
    held, values = condition(filters)
    if db.rows(f"SELECT 1 FROM allocations_before WHERE {held} LIMIT 1", values):
        fix = "See --lens before for whose it was."
        return NoData(f"Pools gave on everything in {period} that matches all filters.", fix)
    if db.rows(f"SELECT 1 FROM allocations_after WHERE {held} LIMIT 1", values):
        fix = "See --lens after."
        return NoData(f"Only pools gave cost in {period} that matches all filters.", fix)
    return NoData(f"No cost in {period} matches all filters.", "Leave one of them out.")


def _sum(reasons: Iterable[Reason]) -> Decimal:
    return from_quanta(sum(quanta(reason.amount) for reason in reasons))


def _place(reason: Reason) -> tuple[int, str, str, str]:
    return -abs(quanta(reason.amount)), reason.evidence, reason.rule_id, reason.service


def _reasons(db: DuckDb, statement: str, *, metric: str, filters: Filters) -> dict[str, list[Reason]]:
    held, values = condition(filters)
    sql = statement.format(metric=tables.quoted(metric), conditions=held)
    found: dict[str, list[Reason]] = {}
    for currency, evidence, rule_id, service, count, amount in db.rows(sql, values):
        reason = Reason(evidence, rule_id, service, charges=count, amount=amount if amount is not None else Decimal(0))
        found.setdefault(currency, []).append(reason)
    return found


@dataclass(frozen=True, slots=True)
class _Asked:
    metric: str
    filters: Filters
    limit: int
    lens: Lens


def _largest(db: DuckDb, store: Store, part: Part, asked: _Asked) -> list[tuple[Part, _Row]]:
    _open(db, store, part)
    held, values = condition(asked.filters)
    after = asked.lens is Lens.AFTER
    named = tables.quoted(asked.metric)
    sql = _LARGEST.format(conditions=held, metric=named, limit=asked.limit, of_lens=_NOT_TAKEN if after else "")
    bound = {**values, **({"snapshot": part.snapshot_id} if after else {})}
    return [(part, row) for row in db.table(sql, bound).to_pylist()]


def _first(found: list[tuple[Part, _Row]], metric: str, limit: int) -> list[tuple[Part, _Row]]:
    """The largest pieces of each currency, the largest first."""

    def place(each: tuple[Part, _Row]) -> tuple[int, str, int, int]:
        part, row = each
        size = -abs(quanta(row[metric] or Decimal(0)))
        return (size, part.snapshot_id, row["x_ChargeNo"], row["x_ShareLow"])

    taken: dict[str, int] = {}
    largest = []
    for part, row in sorted(found, key=place):
        code = row["BillingCurrency"]
        taken[code] = taken.get(code, 0) + 1
        if taken[code] <= limit:
            largest.append((part, row))
    return largest


def _pieces(
    db: DuckDb, store: Store, run: Run, found: list[tuple[Part, _Row]], metric: str
) -> dict[str, list[ChargePiece]]:
    """Currency -> pieces in the given order, each with how it was metered."""
    by_part: dict[str, tuple[Part, list[_Row]]] = {}
    for part, row in found:
        by_part.setdefault(part.id, (part, []))[1].append(row)
    told: dict[tuple[str, int, int], ChargePiece] = {}
    for part, rows in by_part.values():
        for row, piece in zip(rows, _of_part(db, store, run, part, rows, metric), strict=True):
            told[part.id, row["x_ChargeNo"], row["x_ShareLow"]] = piece
    pieces: dict[str, list[ChargePiece]] = {}
    for part, row in found:
        pieces.setdefault(row["BillingCurrency"], []).append(told[part.id, row["x_ChargeNo"], row["x_ShareLow"]])
    return pieces


def _of_part(db: DuckDb, store: Store, run: Run, part: Part, rows: list[_Row], metric: str) -> list[ChargePiece]:
    snapshot = _open(db, store, part)
    metered = metered_uses(db, store, run, part, rows)
    return [_piece(row, snapshot, metric, metered.get((row["x_ChargeNo"], row["x_ShareLow"]))) for row in rows]


def _open(db: DuckDb, store: Store, part: Part) -> Snapshot:
    snapshot = store.snapshot(part.snapshot_id)
    db.read_parquet("charges", [store.checked(snapshot.charges)])
    db.read_parquet("attributes", [store.checked(snapshot.attributes)])
    db.read_parquet("shares", [store.checked(part.shares)])
    db.read_parquet("owners", [store.checked(part.owners)])
    db.run(f"CREATE OR REPLACE TEMP VIEW described AS {compile_sql(_DESCRIBED, DUCKDB)}")
    return snapshot


def _piece(row: _Row, snapshot: Snapshot, metric: str, metered: MeteredUse | None) -> ChargePiece:
    file = next(f for f in snapshot.files if f.no == row["x_FileNo"])
    return ChargePiece(
        charge_id=f"{snapshot.id}:{row['x_ChargeNo']}",
        file=file.path,
        file_sha256=file.sha256,
        row=row["x_RowNo"],
        repairs=row["x_Repairs"],
        start=row["ChargePeriodStart"],
        service=row["ServiceName"],
        description=row["ChargeDescription"],
        resource_id=row["ResourceId"],
        low=row["x_ShareLow"],
        high=row["x_ShareHigh"],
        whole=row["x_ShareWhole"],
        owner={name: row[column] for name, column in COLUMNS.items()},
        evidence={name: row[f"x_{name.capitalize()}Evidence"] for name in DIMENSIONS},
        rules={name: row[f"x_{name.capitalize()}RuleId"] for name in DIMENSIONS},
        amount=row[metric],
        whole_amount=row[f"{metric}_whole"],
        workload_kind=row["x_WorkloadKind"],
        workload_id=row["x_WorkloadId"],
        host_team=row["x_HostTeam"],
        metered=metered,
    )


def explain_charge(
    store: Store, run: Run, charge_id: str, *, metric: str = "BilledCost", limit: int = 10, memory: str = "2GB"
) -> ChargeExplained:
    """Where a charge of the run came from and where it went; `charge_id` is `<snapshot id or its beginning>:<number>`.

    Of each piece that a pool took, the `limit` largest receivers are named. Raises `NoData` where the run has no such
    charge.
    """
    snapshot_id, _, number = charge_id.rpartition(":")
    if not snapshot_id or not number.isdecimal():
        raise NoData(f"'{charge_id}' is not the id of a charge.", "It reads like 0123456789abcdef:17, see 'explain'.")
    part = _part_of(run, store.snapshot(snapshot_id).id)
    with duck.session(memory=memory, temp=store.stage()) as db:
        snapshot = _open(db, store, part)
        rows = db.table(_ONE, [int(number)]).to_pylist()
        if not rows:
            raise NoData(f"Snapshot {snapshot.id} has no charge {number}.", f"It has charges 1 to {snapshot.rows}.")
        pieces = _of_part(db, store, run, part, rows, metric)
        open_sharings(db, store, [sharing for sharing in run.sharings if sharing.period == part.period])
        takers = pooled(db, part, rows, metric=metric, limit=limit)
    first = rows[0]
    return ChargeExplained(
        run_id=run.id,
        charge_id=f"{snapshot.id}:{number}",
        currency=first["BillingCurrency"],
        dimensions={c: str(first[c]) for c in tables.ATTRIBUTES if c != "Tags" and first.get(c) is not None},
        amounts={name: first[f"{name}_whole"] for name in focus.METRICS if first[f"{name}_whole"] is not None},
        tags=dict(first["Tags"] or ()),
        pieces=tuple(replace(piece, pooled=takers.get(piece.low)) for piece in pieces),
    )


def _part_of(run: Run, snapshot_id: str) -> Part:
    for part in run.parts:
        if part.snapshot_id == snapshot_id:
            return part
    raise NoData(f"Run {run.id} does not contain snapshot {snapshot_id}.", "Run 'apportion run', or name another run.")
