"""`apportion explain`."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from apportion import app
from apportion.cli import options
from apportion.cli.shared_amounts import ABOUT, pooled_section, shared_sections
from apportion.cli.sheet import Cell, Column, Kind, Section, Sheet
from apportion.core.money import from_quanta, quanta
from apportion.core.targets import EVIDENCE_NAMES, Evidence
from apportion.ledger.lenses import Lens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.cli.main import Settings
    from apportion.ledger.explain import AmountExplained, ChargeExplained, ChargePiece
    from apportion.ledger.explain_metered import MeteredUse

REASONS = (
    Column("evidence", "Evidence"),
    Column("rule", "Rule"),
    Column("service", "Service"),
    Column("charges", "Charges", Kind.COUNT),
    Column("amount", "Amount", Kind.EXACT),
)
PIECES = (
    Column("charge_id", "Charge"),
    Column("file", "File"),
    Column("row", "Row"),
    Column("start", "From", detail=True),
    Column("service", "Service"),
    Column("resource_id", "Resource", detail=True),
    Column("description", "What", detail=True),
    Column("part", "Share", Kind.SHARE, ratio=True),
    Column("share", "Interval", detail=True),
    Column("whole_amount", "Of", Kind.EXACT),
    Column("amount", "Amount", Kind.EXACT),
    Column("repairs", "Repaired"),
    Column("file_sha256", "SHA-256", detail=True),
)
METERED = (
    Column("charge_id", "Charge"),
    Column("share", "Interval", detail=True),
    Column("amount", "Amount", Kind.EXACT),
    Column("workload_kind", "Kind", detail=True),
    Column("workload", "Job or endpoint"),
    Column("workload_id", "Id", detail=True),
    Column("words", "How it was metered"),
    Column("host_team", "Whose resource"),
    Column("resource", "Resource", detail=True),
    Column("measure", "Measure", detail=True),
    Column("held", "Held", Kind.EXACT, detail=True),
    Column("capacity", "Of", Kind.EXACT, detail=True),
    Column("held_share", "Part", Kind.SHARE, ratio=True, detail=True),
    Column("seconds", "Seconds", Kind.EXACT, detail=True),
    Column("weights", "Weights"),
    Column("basis", "Basis"),
    Column("meters", "Meter"),
)


@click.command("explain", short_help="Trace an amount or a charge.")
@click.argument("charge", nargs=-1, metavar="[charge ID]")
@options.period
@options.metric
@options.filters
@click.option("--limit", type=click.IntRange(1, 10000), default=10, show_default=True, help="Largest pieces to list.")
@click.option(
    "--lens",
    type=click.Choice([lens.value for lens in (Lens.AFTER, Lens.BEFORE)]),
    default=Lens.AFTER.value,
    show_default=True,
    help="After pools gave shared cost on, or before.",
)
@options.output
@click.pass_obj
def command(
    settings: Settings,
    /,
    charge: tuple[str, ...],
    period: str | None,
    metric: str,
    limit: int,
    lens: str,
    **given: Any,  # noqa: ANN401
) -> None:
    """Show what an amount consists of: rules, services, and its largest billing rows with file, row and hash.

    Of what pools gave, it says which pool, what it took, by which basis and weight, and the share. With 'charge ID' (as
    listed in the first column): where that billing row came from, who got which piece, and which pool gave it to whom.
    Of a metered piece it says what was held for how long, by which meter, and by which weights it was divided.

    \b
    Examples:
      apportion explain --team risk --period 2026-10
      apportion explain charge 0f35ff9ea86395e4:17
    """
    with app.open_project(settings.project) as project:
        if charge:
            found = app.charge_explained(project, _charge_id(charge), metric=metric, limit=limit)
            shown = charge_sheet(found, metric)
        else:
            explained = app.amount_explained(
                project,
                period=options.parsed_period(period),
                metric=metric,
                filters=options.chosen(given),
                limit=limit,
                lens=Lens(lens),
            )
            kept_out = app.kept_out(project, period=options.parsed_period(period)).sentence()
            shown = amount_sheet(explained, metric, kept_out)
    options.show(shown, given["form"], as_json=given["as_json"])


def _charge_id(words: tuple[str, ...]) -> str:
    if len(words) == 2 and words[0] == "charge":  # noqa: PLR2004 - the word and the id
        return words[1]
    raise click.UsageError("Write: apportion explain charge ID, or name an amount with options such as --team.")


def amount_sheet(explained: Sequence[AmountExplained], metric: str, kept_out: str) -> Sheet:
    """Reasons and largest pieces, one pair of sections per currency."""
    sections: list[Section] = []
    for found in explained:
        label = {"label_key": "currency", "label": found.currency}
        reasons = [(_tier(r.evidence), r.rule_id, r.service, r.charges, r.amount) for r in found.reasons]
        total = ("", "", "Total", sum(r.charges for r in found.reasons), found.amount)
        sections.append(Section(REASONS, reasons, title=f"{found.currency}: why", total=total, **label))
        sections += shared_sections(found, **label)
        if found.pieces or not found.shares:
            title = f"{found.currency}: the {len(found.pieces)} largest of {found.count} pieces"
            sections.append(Section(PIECES, [_piece(p) for p in found.pieces], title=title, **label))
        sections += _metered(found.pieces, f"{found.currency}: how they were metered", **label)
    notes = (kept_out,) if kept_out else ()
    lens = f" {explained[0].lens} sharing" if explained[0].lens else ""
    title = f"What {metric}{lens} consists of, run {explained[0].run_id}"
    return Sheet("explain", title, tuple(sections), notes=notes)


def _piece(piece: ChargePiece) -> tuple[Any, ...]:
    return (
        piece.charge_id,
        piece.file,
        str(piece.row),
        piece.start.isoformat(),
        piece.service,
        piece.resource_id,
        piece.description,
        _part(piece),
        _share(piece),
        piece.whole_amount,
        piece.amount,
        piece.repairs,
        piece.file_sha256,
    )


def _metered(pieces: Sequence[ChargePiece], title: str, **label: str) -> list[Section]:
    """A section for the pieces that were metered, if there are any."""
    rows = [_metered_row(piece, piece.metered) for piece in pieces if piece.metered is not None]
    return [Section(METERED, rows, title=title, **label)] if rows else []


def _metered_row(piece: ChargePiece, use: MeteredUse) -> tuple[Any, ...]:
    return (
        piece.charge_id,
        _share(piece),
        piece.amount,
        piece.workload_kind,
        use.workload_name or piece.workload_id or piece.workload_kind,
        piece.workload_id,
        use.words,
        piece.host_team,
        use.resource,
        use.measure,
        use.held,
        use.capacity,
        use.share,
        use.seconds,
        use.weights,
        use.basis,
        ", ".join(use.meters) or None,
    )


def _part(piece: ChargePiece) -> Decimal:
    """The interval's part of its whole, at 18 digits."""
    return from_quanta((piece.high - piece.low) * quanta(Decimal(1)) // piece.whole)


def _share(piece: ChargePiece) -> str:
    return "all" if piece.whole == piece.high - piece.low else f"[{piece.low}, {piece.high}) of {piece.whole}"


def charge_sheet(found: ChargeExplained, metric: str) -> Sheet:
    """Where the charge came from, what it says, and who got what of it."""
    origin = found.pieces[0]
    owners = (
        Column("dimension", "Dimension"),
        Column("owner", "Owner"),
        Column("evidence", "Evidence"),
        Column("rule", "Rule"),
        Column("part", "Share", Kind.SHARE, ratio=True),
        Column("share", "Interval", detail=True),
        Column("amount", metric, Kind.EXACT),
    )
    rows = [
        (
            name,
            piece.owner[name],
            _tier(piece.evidence[name]),
            piece.rules[name],
            _part(piece),
            _share(piece),
            piece.amount,
        )
        for piece in found.pieces
        for name in piece.evidence
    ]
    said = [*found.dimensions.items(), *((f"tag {key}", value) for key, value in found.tags.items())]
    pools = pooled_section(found.pieces)
    sections = (
        Section(owners, rows, title="Whose it was before pools" if pools else "Who got it"),
        *pools,
        *_metered(found.pieces, "How it was metered"),
        Section(
            (Column("metric", "Metric"), Column("amount", found.currency, Kind.EXACT)),
            list(found.amounts.items()),
            title="What it says",
        ),
        Section((Column("column", "Column"), Column("value", "Value")), said, title="How it is described"),
    )
    facts: dict[str, Cell] = {
        "file": origin.file,
        "row": origin.row,
        "file_sha256": origin.file_sha256,
        "repairs": origin.repairs,
    }
    if pools:
        facts["pools"] = ", ".join(sorted({piece.pooled.cell.pool for piece in found.pieces if piece.pooled}))
    title, notes = f"Charge {found.charge_id}, run {found.run_id}", (ABOUT,) if pools else ()
    return Sheet("explain-charge", title, sections, facts=facts, notes=notes)


def _tier(evidence: str) -> str:
    return f"{evidence} {EVIDENCE_NAMES[Evidence(evidence)]}"
