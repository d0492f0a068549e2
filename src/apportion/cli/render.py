"""A sheet as table, CSV, JSON or Markdown. Money is exact text in CSV and JSON, rounded in tables only."""

from __future__ import annotations

import csv
import io
import json
import sys
from decimal import Decimal
from typing import Any

from apportion.cli import figures
from apportion.cli.sheet import Cell, Column, Kind, Section, Sheet
from apportion.core.money import plain

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
    """Tables for a terminal, in its width and with its colours (none if NO_COLOR is set)."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=io.StringIO(), force_terminal=sys.stdout.isatty(), width=_width(), highlight=False)
    console.print(sheet.title, style="italic", markup=False)
    for key, value in (sheet.facts or {}).items():
        console.print(f"  {key.replace('_', ' ')}: {_json_value(value)}", markup=False, soft_wrap=True)
    for section in sheet.sections:
        if section.title:
            console.print(f"\n{section.title}", markup=False, style="bold")
        shown, places = _shown(section), _places(section)
        drawn = Table(box=_rule(), show_footer=section.total is not None, pad_edge=False, header_style="bold")
        for i, column in shown:
            footer = text(section.total[i], column, places) if section.total is not None else ""
            drawn.add_column(
                column.heading, footer=footer, justify="right" if _right(column) else "left", overflow="fold"
            )
        for row in section.rows:
            drawn.add_row(*(_coloured(text(row[i], column, places), column) for i, column in shown))
        console.print(drawn)
    for note in sheet.notes:
        console.print(note, markup=False, style="dim", soft_wrap=True)
    output = console.file
    assert isinstance(output, io.StringIO)  # noqa: S101 - made above
    return output.getvalue()


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
    if column.kind is Kind.QUANTITY:
        return figures.quantity(value)
    if column.ratio or column.kind is Kind.SHARE:
        return figures.percent(value, signed=column.kind is Kind.CHANGE)
    return figures.change(value, places) if column.kind is Kind.CHANGE else figures.money(value, places)
