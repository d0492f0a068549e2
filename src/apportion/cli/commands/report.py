"""`apportion report`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from apportion import app
from apportion.cli import options
from apportion.cli.sheet import Cell, Column, Kind, Section, Sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.cli.main import Settings
    from apportion.reports.reading.contract import Answer
    from apportion.reports.reading.contract import Column as AnswerColumn

SHOWN_MONTHS = 4
"""More months than that are left out of a table; CSV and JSON have them all."""
_MONTH = re.compile(r"\d{4}-\d{2}")
LENSES = ("after", "before")
KINDS = {"trend": Kind.CHANGE}
COUNTED = frozenset({"requests", "tokens"})
"""Units of which there are only whole ones, though a month may hold a part of a count that began before."""


@click.command("report", short_help="Show a report.")
@click.option(
    "--by", default="team", show_default=True, help="team, model, project, environment, business-unit, service …"
)
@options.period
@options.metric
@click.option(
    "--trend-months", type=click.IntRange(3, 60), default=6, show_default=True, help="Months the trend looks at."
)
@click.option(
    "--lens", type=click.Choice(LENSES), default="after", show_default=True, help="After or before pools share."
)
@options.filters
@options.output
@click.pass_obj
def command(
    settings: Settings,
    /,
    by: str,
    period: str | None,
    metric: str,
    trend_months: int,
    lens: str,
    **given: Any,  # noqa: ANN401 - the filters and the form
) -> None:
    """Show cost of a month (the last one by default) or of a range, with change and trend.

    \b
    Examples:
      apportion report --by model --period 2026-10
      apportion report --by service --team risk --period 2026-01..2026-10 --format csv
      apportion report --by waterfall --team risk
    """
    from apportion.ledger.lenses import Lens

    with app.open_project(settings.project) as project:
        answer = app.report(
            project,
            by=by,
            period=options.parsed_period(period),
            metric=metric,
            filters=options.chosen(given),
            trend_months=trend_months,
            lens=Lens(lens),
        )
        kept_out = app.kept_out(project, period=answer.period).sentence()
    options.show(sheet(answer, kept_out), given["form"], as_json=given["as_json"])


def sheet(answer: Answer, kept_out: str = "") -> Sheet:
    """The answer as a sheet: one section per currency."""
    sections = tuple(
        Section(
            tuple(
                Column(
                    c.key,
                    c.heading,
                    Kind.WHOLE if c.unit in COUNTED else KINDS.get(c.kind) or Kind(c.kind),
                    ratio=c.unit == "ratio",
                    detail=c.detail
                    or (_MONTH.fullmatch(c.key) is not None and _months(section.columns) > SHOWN_MONTHS),
                )
                for c in section.columns
            ),
            section.rows,
            title=section.currency,
            total=section.total,
            label_key="currency",
            label=section.currency,
        )
        for section in answer.sections
    )
    facts: dict[str, Cell] = {"period": str(answer.period), "metric": answer.metric}
    return Sheet(
        "report", answer.title, sections, facts=facts, notes=(*answer.notes, *([kept_out] if kept_out else []))
    )


def _months(columns: Sequence[AnswerColumn]) -> int:
    return sum(map(_is_month, columns))


def _is_month(column: AnswerColumn) -> bool:
    return _MONTH.fullmatch(column.key) is not None
