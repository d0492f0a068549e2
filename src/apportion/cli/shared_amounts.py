"""Shared cost as sections: what pools gave to somebody, on which way and why so much, and what they took."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from apportion.cli.sheet import Column, Kind, Section
from apportion.core.money import from_quanta
from apportion.core.targets import DIMENSIONS, UNALLOCATED
from apportion.ledger.explain_shared_words import basis_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal
    from fractions import Fraction

    from apportion.ledger.explain import AmountExplained, ChargePiece
    from apportion.ledger.explain_shared import Hop, Pooled, PooledReceiver, SharedPiece
    from apportion.ledger.explain_shared_words import PoolCell, Portion

_OWNER = tuple(Column(name, name.capitalize(), detail=True) for name in DIMENSIONS)
SHARES = (
    Column("place", "No.", Kind.COUNT),
    Column("month", "Month", detail=True),
    Column("path", "Pools"),
    Column("receiver", "Who"),
    *_OWNER,
    Column("workload_kind", "Kind", detail=True),
    Column("workload_id", "Job", detail=True),
    Column("took", "What they took"),
    Column("rows", "Rows", Kind.COUNT, detail=True),
    Column("charges", "Charges", Kind.COUNT, detail=True),
    Column("whole_amount", "Of", Kind.MONEY),
    Column("part", "Share", Kind.SHARE, ratio=True),
    Column("amount", "Amount", Kind.MONEY),
)
HOPS = (
    Column("place", "No.", Kind.COUNT),
    Column("step", "Step", Kind.COUNT, detail=True),
    Column("pool", "Pool"),
    Column("version", "Version", detail=True),
    Column("by", "Basis and weight"),
    Column("part", "Share", Kind.SHARE, ratio=True),
    Column("amount", "Gave", Kind.MONEY),
    Column("where", "Within"),
    Column("stage", "Stage", Kind.COUNT),
    Column("method", "Method"),
    Column("basis_name", "Basis name", detail=True),
    Column("basis", "Own basis", Kind.EXACT, detail=True),
    Column("total_basis", "Basis of all", Kind.EXACT, detail=True),
    Column("unit", "Unit", detail=True),
    Column("weight", "Weight", Kind.EXACT, detail=True),
    Column("total_weight", "Weight of all", Kind.EXACT, detail=True),
    Column("whole_weight", "Weight in whole parts", Kind.EXACT, detail=True),
    Column("whole_total_weight", "Weight of all in whole parts", Kind.EXACT, detail=True),
    Column("receivers", "Receivers", Kind.COUNT, detail=True),
    Column("share", "Interval", detail=True),
    Column("came", "Came", Kind.MONEY, detail=True),
    Column("reciprocal", "Solved by equations", detail=True),
    Column("note", "Note"),
)
COSTS = (
    Column("place", "No.", Kind.COUNT),
    Column("pool", "Pool"),
    Column("where", "Within"),
    Column("service", "Service"),
    Column("origin_team", "Whose it was"),
    Column("origin_kind", "Kind", detail=True),
    Column("rows", "Rows", Kind.COUNT),
    Column("charges", "Charges", Kind.COUNT),
    Column("amount", "Amount", Kind.MONEY),
)
RECEIVERS = (
    Column("of_share", "Interval of the charge", detail=True),
    Column("pool", "Pool"),
    Column("version", "Version", detail=True),
    Column("stage", "Stage", Kind.COUNT, detail=True),
    Column("origin_team", "Whose it was"),
    Column("receiver", "Who"),
    *_OWNER,
    Column("workload_id", "Job", detail=True),
    Column("by", "Basis and weight"),
    Column("part", "Share", Kind.SHARE, ratio=True),
    Column("share", "Interval", detail=True),
    Column("about", "About", Kind.MONEY),
    Column("where", "Within"),
    Column("divided", "Of what it divided", Kind.MONEY),
    Column("method", "Method"),
    Column("note", "Note"),
)
ABOUT = (
    "A pool divides all that it took in one place together, to the last digit. "
    "What a receiver has of this charge alone is about its share of it."
)


def shared_sections(found: AmountExplained, **label: str) -> Iterator[Section]:
    """What pools gave; nothing where they gave nothing."""
    if not found.shares:
        return
    several = list(enumerate(found.shares, 1))
    title = f"{found.currency}: the {len(found.shares)} largest of {found.share_count} shared amounts"
    yield Section(SHARES, [_share(no, piece) for no, piece in several], title=title, **label)
    hops = [_hop(no, step, hop) for no, piece in several for step, hop in enumerate(piece.hops, 1)]
    yield Section(_noted(HOPS, hops), hops, title=f"{found.currency}: by what they were shared", **label)
    yield Section(COSTS, list(_costs(several)), title=f"{found.currency}: what the pools took", **label)


def _noted(columns: tuple[Column, ...], rows: Sequence[tuple[Any, ...]]) -> tuple[Column, ...]:
    """The columns; in a table the last, the note, is left out where there is none."""
    return columns if any(row[-1] for row in rows) else (*columns[:-1], replace(columns[-1], detail=True))


def _share(no: int, piece: SharedPiece) -> tuple[Any, ...]:
    services = list(dict.fromkeys(cost.service for cost in piece.costs))
    more = f" and {len(services) - 1} more" if len(services) > 1 else ""
    return (
        no,
        f"{piece.month:%Y-%m}",
        " > ".join(piece.path),
        _who(piece.owner, piece.workload_id),
        *(piece.owner[name] for name in DIMENSIONS),
        piece.workload_kind,
        piece.workload_id,
        f"{services[0]}{more}",
        sum(cost.rows for cost in piece.costs),
        sum(cost.charges for cost in piece.costs),
        piece.whole_amount,
        _ratio(piece.share),
        piece.amount,
    )


def _hop(no: int, step: int, hop: Hop) -> tuple[Any, ...]:
    cell, portion = hop.cell, hop.portion
    return (
        no,
        step,
        cell.pool,
        cell.version,
        basis_words(cell, portion),
        _ratio(hop.share),
        hop.gave,
        cell.place,
        cell.stage,
        cell.method,
        cell.basis_name,
        cell.counted(portion.basis),
        cell.counted(cell.total_basis),
        cell.unit,
        cell.weighed(portion.weight),
        cell.weighed(cell.total_weight),
        portion.weight,
        cell.total_weight,
        cell.receivers,
        _interval(cell, portion),
        hop.came,
        cell.reciprocal,
        cell.notes or None,
    )


def _costs(several: Sequence[tuple[int, SharedPiece]]) -> Iterator[tuple[Any, ...]]:
    """What was taken into each first cell, once, beside the first amount that is of it."""
    seen: list[tuple[object, PoolCell]] = []
    for no, piece in several:
        cell = piece.hops[0].cell
        if (piece.month, cell) in seen:
            continue
        seen.append((piece.month, cell))
        for cost in piece.costs:
            told = (cost.service, cost.origin_team, cost.origin_kind, cost.rows, cost.charges, cost.amount)
            yield (no, cell.pool, cell.place, *told)


def pooled_section(pieces: Sequence[ChargePiece]) -> list[Section]:
    """Who got the pieces that pools took; empty where none did."""
    rows = [
        _receiver(piece, piece.pooled, receiver)
        for piece in pieces
        if piece.pooled
        for receiver in piece.pooled.receivers
    ]
    return (
        [Section(_noted(RECEIVERS, rows), rows, title="Who got it: the largest receivers of the pool")] if rows else []
    )


def _receiver(piece: ChargePiece, taker: Pooled, receiver: PooledReceiver) -> tuple[Any, ...]:
    cell, owner = taker.cell, receiver.owner
    return (
        f"[{piece.low}, {piece.high}) of {piece.whole}",
        cell.pool,
        cell.version,
        cell.stage,
        piece.owner["team"],
        f"pool {receiver.to_pool}" if owner is None else _who(owner, receiver.workload_id),
        *((owner or {}).get(name) for name in DIMENSIONS),
        receiver.workload_id,
        basis_words(cell, receiver.portion),
        _ratio(receiver.portion.of(cell.whole)),
        _interval(cell, receiver.portion),
        receiver.about,
        cell.place,
        taker.amount,
        cell.method,
        cell.notes or None,
    )


def _who(owner: Mapping[str, str], job: str | None) -> str:
    """The job, or what is known of the owner, from the team on."""
    known = [owner[name] for name in ("team", "project", "model") if owner[name] != UNALLOCATED]
    return job or "/".join(known) or owner["business_unit"]


def _interval(cell: PoolCell, portion: Portion) -> str:
    return f"[{portion.low}, {portion.high}) of {cell.whole}"


def _ratio(share: Fraction) -> Decimal:
    """At 18 digits, half to even."""
    return from_quanta(round(share * 10**18))
