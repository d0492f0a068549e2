"""`apportion verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from apportion import app
from apportion.cli.options import CHECK_FAILED, output, show
from apportion.cli.sheet import Cell, Column, Kind, Section, Sheet
from apportion.cli.telling import progress

if TYPE_CHECKING:
    from apportion.cli.main import Settings
    from apportion.ledger.verify import Certificate

COLUMNS = (
    Column("source", "Source"),
    Column("account", "Billing account"),
    Column("period", "Month"),
    Column("metric", "Metric"),
    Column("in", "In", Kind.EXACT),
    Column("out", "Out", Kind.EXACT),
    Column("holds", "Equal"),
)


@click.command("verify", short_help="Count the result again.")
@click.option("--files", is_flag=True, help="Read the delivered files again too and add up their own cost column.")
@click.option("--certificate", type=click.Path(dir_okay=False, path_type=Path), help="Write the certificate text here.")
@output
@click.pass_obj
def command(settings: Settings, certificate: Path | None, form: str | None, *, files: bool, as_json: bool) -> int:
    """Count the current run again from the stored snapshots, with other code than allocated it.

    Every share, every sum per source, account, month, currency and metric, every amount that a pool gave, and the
    SHA-256 of every stored file is checked. Exits with 3 if anything differs.

    \b
    Examples:
      apportion verify
      apportion verify --files --certificate october.txt
    """
    with app.open_project(settings.project) as project, progress(quiet=settings.quiet) as told:
        found = app.verify(project, files=files, progress=told)
        kept_out = app.kept_out(project).sentence()
    if certificate:
        certificate.write_text(found.text, encoding="utf-8")
    show(sheet(found, kept_out), form, as_json=as_json)
    return 0 if found.passed else CHECK_FAILED


def sheet(found: Certificate, kept_out: str) -> Sheet:
    """The certificate: balances per currency, delivered files, faults."""
    currencies = sorted({balance.currency for balance in found.balances})
    sections = [
        Section(
            COLUMNS,
            [
                (b.source_id, b.billing_account_id, b.period, b.metric, b.came, b.went, b.holds)
                for b in found.balances
                if b.currency == currency and (b.came is not None or b.went is not None)
            ],
            title=currency,
            label_key="currency",
            label=currency,
        )
        for currency in currencies
    ]
    if found.files:
        files = [(file.path, file.state, file.sha256) for file in found.files]
        columns = (Column("file", "Delivered file"), Column("state", "State"), Column("sha256", "SHA-256", detail=True))
        sections.append(Section(columns, files, title="Delivered files"))
    if found.faults:
        sections.append(Section((Column("fault", "Fault"),), [(fault,) for fault in found.faults], title="Faults"))
    verdict = "holds" if found.passed else "does not hold"
    facts: dict[str, Cell] = {
        "run": found.run_id,
        "charges": found.charges,
        "kept_out": found.kept_out,
        "stored_files": len(found.stored),
        "holds": found.passed,
        "certificate_sha256": found.sha256,
    }
    return Sheet(
        "verify", f"Run {found.run_id} {verdict}", tuple(sections), facts=facts, notes=(kept_out,) if kept_out else ()
    )
