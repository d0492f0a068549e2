"""Who bought each reservation and savings plan, who used it, what was unused, and who saved by another team's.

Saving is what covered use would have cost at contracted prices less its EffectiveCost; what nobody used is a saving
below 0. `benefit` is the saving of a team by a commitment that it did not buy. Whoever is named by the purchase bought
it, in whatever month of the run that is; where no bill has the purchase, whoever is named for what was unused.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.ledger.filters import condition
from apportion.reports.reading.amounts import rounded_text
from apportion.reports.reading.change import Amount, added, difference, plus
from apportion.reports.reading.committed import Use, open_committed, owners
from apportion.reports.reading.contract import Answer, Asked, Cell, Column, Kind, Report, Row, Section
from apportion.reports.reading.metered import parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SUMS = """
SELECT BillingCurrency, CommitmentDiscountId, x_Use, x_Team, x_PoolId, SUM(BilledCost), SUM(EffectiveCost),
       SUM(ContractedCost), SUM(ListCost), CAST(SUM(x_PieceCount) FILTER (WHERE EffectiveCost IS NULL) AS BIGINT)
FROM committed
WHERE {chosen}
GROUP BY ALL
ORDER BY BillingCurrency, CommitmentDiscountId, x_Use, x_Team, x_PoolId NULLS FIRST
"""

WORDS = """
SELECT CommitmentDiscountId, max(CommitmentDiscountName), max(CommitmentDiscountType), max(CommitmentDiscountCategory),
       max(ServiceProviderName)
FROM committed
GROUP BY ALL
ORDER BY ALL
"""

_ORDER = {use.value: place for place, use in enumerate(Use)}
_TOLD = 5
"""So many who benefited are named in sentences; the rows have all."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one team has of a commitment. `pool` gave it on; `missing`: so many pieces are without EffectiveCost."""

    id: str
    use: str
    team: str
    pool: str | None
    billed: Amount
    effective: Amount
    contracted: Amount
    list: Amount
    missing: int | None

    @property
    def saving(self) -> Amount:
        if self.use == Use.UNUSED:
            return difference(Decimal(0), self.effective)
        return difference(self.contracted, self.effective) if self.use == Use.USED else None

    def benefit(self, bought_by: Sequence[str]) -> Amount:
        """What a team saved by what others bought."""
        return self.saving if self.use == Use.USED and bought_by and self.team not in bought_by else None


@dataclass(frozen=True, slots=True)
class _Commitment:
    """What a commitment is, and who bought it."""

    name: str | None
    type: str | None
    category: str | None
    provider: str | None
    bought_by: tuple[str, ...]


_Commitments = dict[str, _Commitment]


def _answer(asked: Asked) -> Answer:
    open_committed(asked, parts_of(asked))
    chosen, values = condition(asked.filters)
    found: dict[str, list[_Part]] = {}
    for currency, *part in asked.db.rows(SUMS.format(chosen=chosen), values or None):
        found.setdefault(currency, []).append(_Part(*part))
    known = _known(asked)
    ordered = sorted(found, key=lambda currency: (currency != asked.currency, currency))
    sections = tuple(_section(currency, found[currency], known) for currency in ordered)
    notes = [note for currency in ordered for note in _notes(currency, found[currency], known)]
    if not sections:
        notes = [f"No bill of {asked.period} names a commitment" + (" that matches." if asked.filters else ".")]
    return Answer(REPORT.title, asked.period, "EffectiveCost", sections, tuple(notes))


def _known(asked: Asked) -> _Commitments:
    words = asked.db.rows(WORDS)
    now = owners(asked)
    buyers = _of(now, Use.BOUGHT)
    if {name for name, *_ in words} - buyers.keys():
        parts = parts_of(asked)
        open_committed(asked, [part for part in asked.run.parts if part not in parts])
        other = owners(asked)
        # the later of two goes before the earlier
        buyers = _of(other, Use.UNUSED) | _of(now, Use.UNUSED) | _of(other, Use.BOUGHT) | buyers
    return {
        name: _Commitment(title, kind, category, provider, buyers.get(name, ()))
        for name, title, kind, category, provider in words
    }


def _of(found: Mapping[str, Mapping[str, tuple[str, ...]]], use: Use) -> dict[str, tuple[str, ...]]:
    return {name: teams[use] for name, teams in found.items() if use in teams}


def _section(currency: str, found: Sequence[_Part], known: _Commitments) -> Section:
    sizes: dict[str, Decimal] = {}
    for part in found:
        size = max(abs(part.effective or Decimal(0)), abs(part.billed or Decimal(0)))
        sizes[part.id] = plus(sizes.get(part.id, Decimal(0)), size)

    def place(part: _Part) -> tuple[Decimal, str, int, Decimal, str, str]:
        cost = (part.effective or Decimal(0)).copy_negate()
        return (
            sizes[part.id].copy_negate(),
            part.id,
            _ORDER.get(part.use, len(_ORDER)),
            cost,
            part.team,
            part.pool or "",
        )

    rows = tuple(_row(part, known[part.id]) for part in sorted(found, key=place))
    used = [part for part in found if part.use == Use.USED]
    total = (
        *("Total", *[None] * 8),
        added([part.billed for part in found]),
        added([part.effective for part in found]),
        added([part.contracted for part in used]),
        added([part.list for part in used]),
        added([part.saving for part in found]),
        added([part.benefit(known[part.id].bought_by) for part in found]),
    )
    return Section(currency, _columns(currency, found), rows, total)


def _row(part: _Part, commitment: _Commitment) -> Row:
    covered: tuple[Cell, ...] = (part.contracted, part.list) if part.use == Use.USED else (None, None)
    return (
        commitment.name or part.id,
        part.id,
        commitment.type,
        commitment.category,
        commitment.provider,
        ", ".join(commitment.bought_by) or None,
        part.use,
        part.team,
        part.pool,
        part.billed,
        part.effective,
        *covered,
        part.saving,
        part.benefit(commitment.bought_by),
    )


def _columns(currency: str, found: Sequence[_Part]) -> tuple[Column, ...]:
    return (
        Column("commitment", "Commitment", Kind.TEXT),
        Column("id", "Id", Kind.TEXT, detail=True),
        Column("type", "Type", Kind.TEXT, detail=True),
        Column("category", "Category", Kind.TEXT, detail=True),
        Column("provider", "Provider", Kind.TEXT, detail=True),
        Column("bought_by", "Bought by", Kind.TEXT),
        Column("use", "Use", Kind.TEXT),
        Column("team", "Team", Kind.TEXT),
        Column("pool", "To pool", Kind.TEXT, detail=not any(part.pool for part in found)),
        Column("billed", "Billed", Kind.MONEY, currency),
        Column("effective", "Effective", Kind.MONEY, currency),
        Column("contracted", "Without it", Kind.MONEY, currency),
        Column("list", "At list price", Kind.MONEY, currency, detail=True),
        Column("saving", "Saving", Kind.MONEY, currency),
        Column("benefit", "By another team's", Kind.MONEY, currency),
    )


def _notes(currency: str, found: Sequence[_Part], known: _Commitments) -> Iterator[str]:
    saved: dict[tuple[str, str], Decimal] = {}
    for part in found:
        benefit = part.benefit(bought_by := known[part.id].bought_by)
        if benefit is not None:
            pair = part.team, ", ".join(bought_by)
            saved[pair] = plus(saved.get(pair, Decimal(0)), benefit)
    largest = sorted(saved.items(), key=lambda each: (each[1].copy_negate(), each[0]))
    for (team, buyer), amount in [each for each in largest if each[1] > 0][:_TOLD]:
        yield f"{team} saved {rounded_text(amount, currency)} {currency} by what {buyer} bought."
    unused = added([part.effective for part in found if part.use == Use.UNUSED])
    if unused:
        yield f"Unused: {rounded_text(unused, currency)} {currency} of EffectiveCost."
    if missing := sum(part.missing or 0 for part in found):
        pieces = "1 piece" if missing == 1 else f"{missing} pieces"
        yield f"EffectiveCost is missing on {pieces} of commitments in {currency}: what it would say is in no sum."


REPORT = Report("commitments", "Commitments: who bought, used and saved", _answer)
