"""A sheet as table, CSV, JSON or Markdown. Money is exact text in CSV and JSON, rounded in tables only."""

from __future__ import annotations

import csv
import io
import json
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.cli import figures
from apportion.cli.sheet import Cell, Column, Kind, Section, Sheet
from apportion.core.money import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apportion.cli.fitting import Fit, Strip

FORMS = ("table", "csv", "json", "md")
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def form_for(asked: str | None, *, as_json: bool) -> str:
    """The form asked for; else a table on a terminal and CSV in a pipe."""
    if as_json:
        return "json"
    return asked or ("table" if sys.stdout.isatty() else "csv")


def rendered(sheet: Sheet, form: str) -> str:
    """The sheet in that form, ending with a line break."""
    return {"table": table, "csv": as_csv, "json": as_json, "md": markdown}[form](sheet)


def as_json(sheet: Sheet) -> str:
    """A document with a versioned `schema`; decimals are strings."""
    document: dict[str, Any] = {"schema": f"apportion.{sheet.name}/1", "title": sheet.title}
    document |= {key: _json_value(value) for key, value in (sheet.facts or {}).items()}
    document["sections"] = [_json_section(section) for section in sheet.sections]
    document["notes"] = list(sheet.notes)
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _json_section(section: Section) -> dict[str, Any]:
    keys = [column.key for column in section.columns]
    found: dict[str, Any] = {"title": section.title} if section.title else {}
    if section.label_key:
        found[section.label_key] = section.label
    found["rows"] = [dict(zip(keys, map(_json_value, row), strict=True)) for row in section.rows]
    if section.total is not None:
        found["total"] = dict(zip(keys, map(_json_value, section.total), strict=True))
    return found


def _json_value(value: Cell) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, tuple):
        return [_json_value(each) for each in value]
    return plain(value) if isinstance(value, Decimal) else value


def as_csv(sheet: Sheet) -> str:
    """One record per row and a header per distinct set of columns; totals are left to the reader's own sum."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    before: list[str] | None = None
    for section in sheet.sections:
        label = [section.label_key] if section.label_key else []
        header = [*label, *(column.key for column in section.columns)]
        if header != before:
            writer.writerow(header)
            before = header
        for row in section.rows:
            writer.writerow([*([section.label] if label else []), *map(_csv_value, row)])
    return written.getvalue()


def _csv_value(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ";".join(_csv_value(each) for each in value)
    if isinstance(value, str):
        # A spreadsheet would run such a text as a formula (OWASP ASVS 1.2.10).
        return f"'{value}" if value.startswith(_DANGEROUS) else value
    return plain(value) if isinstance(value, Decimal) else str(value).lower() if isinstance(value, bool) else str(value)


def markdown(sheet: Sheet) -> str:
    """Markdown tables with the same figures as on the terminal."""
    lines = [f"### {sheet.title}", ""]
    for section in sheet.sections:
        shown = _shown(section)
        lines += [f"**{section.title}**", ""] if section.title else []
        lines.append("| " + " | ".join(column.heading for _, column in shown) + " |")
        lines.append("|" + "|".join("---:" if _right(column) else "---" for _, column in shown) + "|")
        rows = [*section.rows, *([section.total] if section.total is not None else [])]
        places = _places(section)
        lines += [
            "| " + " | ".join(text(row[i], column, places).replace("|", "\\|") for i, column in shown) + " |"
            for row in rows
        ]
        lines.append("")
    return "\n".join([*lines, *sheet.notes]).rstrip("\n") + "\n"


def table(sheet: Sheet) -> str:
    """Tables for a terminal, in its width (`fitting`) and with its colours (none if NO_COLOR is set).

    Columns for which there is no room are named below.
    """
    from rich.console import Console

    from apportion.cli.fitting import fitted

    written, terminal, wide = io.StringIO(), sys.stdout.isatty(), _width()
    console = Console(file=written, force_terminal=terminal, width=wide, highlight=False)
    console.print(sheet.title, style="italic", markup=False)
    for key, value in (sheet.facts or {}).items():
        console.print(f"  {key.replace('_', ' ')}: {_json_value(value)}", markup=False, soft_wrap=True)
    left_out: dict[str, None] = {}
    for section in sheet.sections:
        if section.title:
            console.print(f"\n{section.title}", markup=False, style="bold")
        fit = fitted(_strips(section), wide)
        canvas = Console(file=written, force_terminal=terminal, width=max(fit.width, wide), highlight=False)
        canvas.print(_drawn(section, fit))
        left_out |= dict.fromkeys(strip.column.heading for strip in fit.left_out)
    notes = [_left_out(left_out, wide)] if left_out else []
    for note in (*notes, *sheet.notes):
        console.print(note, markup=False, style="dim", soft_wrap=True)
    return written.getvalue()


def _drawn(section: Section, fit: Fit) -> Any:  # noqa: ANN401 - rich is imported late
    """The section as a table of rich, with the columns that fit."""
    from rich.table import Table

    drawn = Table(box=_rule(), show_footer=section.total is not None, pad_edge=False, header_style="bold")
    for strip, wide in fit.drawn:
        drawn.add_column(
            strip.heading(wide),
            footer=strip.cells[-1] if section.total is not None else "",
            justify="right" if _right(strip.column) else "left",
            overflow="ellipsis",
            no_wrap=not strip.wraps,
            width=wide,
        )
    for at in range(len(section.rows)):
        drawn.add_row(*(_coloured(strip.cells[at], strip.column) for strip, _ in fit.drawn))
    return drawn


def _strips(section: Section) -> list[Strip]:
    """The shown columns as texts: rows, then the total."""
    from apportion.cli.fitting import Strip

    places = _places(section)
    rows = [*section.rows, *([section.total] if section.total is not None else [])]
    return [Strip(i, column, tuple(text(row[i], column, places) for row in rows)) for i, column in _shown(section)]


def _left_out(headings: Iterable[str], width: int) -> str:
    return f"Left out to fit {width} columns: {', '.join(headings)}; --json and --format csv have every column."


def _rule() -> Any:  # noqa: ANN401 - rich is imported late
    from rich.box import SIMPLE_HEAD

    return SIMPLE_HEAD


def _width() -> int:
    from shutil import get_terminal_size

    return get_terminal_size((110, 40)).columns


def _coloured(shown: str, column: Column) -> Any:  # noqa: ANN401 - rich is imported late
    from rich.text import Text

    if column.kind is not Kind.CHANGE:
        return Text(shown)
    return Text(shown, style="red" if shown.startswith("+") else "green" if shown.startswith(figures.MINUS) else "")


def _shown(section: Section) -> list[tuple[int, Column]]:
    return [(i, column) for i, column in enumerate(section.columns) if not column.detail]


def _right(column: Column) -> bool:
    return column.kind not in {Kind.TEXT, Kind.SERIES}


def _places(section: Section) -> int:
    rows = [*section.rows, *([section.total] if section.total is not None else [])]
    amounts = [
        value
        for row in rows
        for value, column in zip(row, section.columns, strict=True)
        if column.kind is Kind.MONEY and isinstance(value, Decimal)
    ]
    return figures.places_for(list(amounts))


def text(value: Cell, column: Column, places: int = 2) -> str:
    """A cell as it is read in a table."""
    if isinstance(value, tuple):
        return figures.sparkline(value)
    if isinstance(value, Decimal):
        return _figure(value, column, places)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return figures.MISSING
    return f"{value:,}" if isinstance(value, int) else value


def _figure(value: Decimal, column: Column, places: int) -> str:
    if column.kind is Kind.EXACT:
        return figures.exact(value)
    if column.kind in {Kind.QUANTITY, Kind.WHOLE}:
        return figures.quantity(value) if column.kind is Kind.QUANTITY else figures.whole(value)
    if column.ratio or column.kind is Kind.SHARE:
        return figures.percent(value, signed=column.kind is Kind.CHANGE)
    return figures.change(value, places) if column.kind is Kind.CHANGE else figures.money(value, places)
