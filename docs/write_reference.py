"""Write the reference pages from the code: `python docs/write_reference.py`. A test holds them up to date."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from apportion.allocation.methods import SOCKET as METHODS
from apportion.cli.main import GROUPS, cli
from apportion.core import focus, tables
from apportion.core.config_condition import FIELDS, OWNER_FIELDS
from apportion.core.config_file import DEFAULT_KEYS
from apportion.core.config_pools import WITHIN
from apportion.core.measures import UNITS
from apportion.core.money import plain
from apportion.core.ready_made import ABOUT
from apportion.metering.weights import SHIPPED
from apportion.reports import SOCKET as REPORTS
from apportion.sources import SOCKET as SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent / "reference"


def commands() -> str:
    """Every command with its help."""
    lines = ["# Commands", "", "Every option can be set in the environment too: `apportion report --by` is"]
    lines += [
        "`APPORTION_REPORT_BY`.",
        "",
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a check failed, 130 interrupted.",
        "",
    ]
    parent = click.Context(cli, info_name="apportion", **cli.context_settings)
    for title, names in GROUPS.items():
        lines += [f"## {title}", ""]
        for name in names:
            command = cli.get_command(parent, name)
            assert command is not None, name  # noqa: S101 - the table and the modules belong together
            lines += _help(command, click.Context(command, info_name=name, parent=parent), depth=3)
    return "\n".join(lines)


def _help(command: click.Command, context: click.Context, *, depth: int) -> Iterator[str]:
    context.max_content_width = context.terminal_width = 100
    yield from (f"{'#' * depth} {context.command_path}", "", "```text", command.get_help(context).rstrip(), "```", "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _help(child, click.Context(child, info_name=name, parent=context), depth=depth + 1)


def stored_tables() -> str:
    """Every Parquet table, column by column."""
    lines = ["# Tables", "", "Times are UTC. Amounts are `DECIMAL(38,18)`. Names without `x_` are FOCUS columns.", ""]
    named = {
        "charges": tables.CHARGES,
        "attributes": tables.ATTRIBUTES,
        "rejects": tables.REJECTS,
        "shares": tables.SHARES,
        "owners": tables.OWNERS,
        "allocations": tables.ALLOCATIONS,
        "samples": tables.SAMPLES,
        "subjects": tables.SUBJECTS,
        "usage": tables.USAGE,
        "hours": tables.HOURS,
        "workloads": tables.WORKLOADS,
        "resources": tables.RESOURCES,
        "pools": tables.POOLS,
        "cells": tables.CELLS,
        "weights": tables.WEIGHTS,
        "receivers": tables.RECEIVERS,
        "taken": tables.TAKEN,
        "shared": tables.SHARED,
    }
    for name, columns in named.items():
        lines += [f"## {name}", "", "| column | type |", "|---|---|"]
        lines += [f"| {column} | {kind} |" for column, kind in columns.items()]
        lines.append("")
    return "\n".join(lines)


def plug_ins() -> str:
    """Every source, report and allocation method by name."""
    lines = ["# Sources, reports and methods", "", "A plug-in is one file that holds one value.", "", "## Sources", ""]
    lines += ["| kind | reads |", "|---|---|"]
    lines += [f"| {name} | {SOURCES.load(name).title} |" for name in SOURCES.names()]
    lines += ["", "## Reports", "", "| file | answers |", "|---|---|"]
    lines += [f"| {name} | {REPORTS.load(name).title} |" for name in REPORTS.names()]
    lines += ["", "## Allocation methods", "", "| name | weighs by | it is |", "|---|---|---|"]
    lines += [f"| {name} | {METHODS.load(name).basis} | {METHODS.load(name).title} |" for name in METHODS.names()]
    return "\n".join([*lines, ""])


def vocabulary() -> str:
    """What a configuration can name: rule fields, default tag keys, metrics."""
    lines = ["# Words of the configuration", "", "## Fields of a rule's `when`", ""]
    lines += [f"- `{field}`, `{field}_matches`" for field in FIELDS]
    lines += ["- `tags`, `tags_match`", "", "## Fields of a pool's `when` and `receivers`, beside these", ""]
    lines += [f"- `{field}`, `{field}_matches`" for field in OWNER_FIELDS]
    lines += ["", "## What a pool's `within` can name", "", *(f"- `{field}`" for field in WITHIN), ""]
    lines += ["## Ready-made pools", "", "| name | takes |", "|---|---|"]
    lines += [f"| `{name}` | {words} |" for name, words in ABOUT.items()]
    lines += ["", "## Tag keys where `[tags.keys]` names none", ""]
    lines += [f"- {dimension}: {', '.join(f'`{key}`' for key in keys)}" for dimension, keys in DEFAULT_KEYS.items()]
    lines += ["", "## Metrics", "", *(f"- {metric}" for metric in focus.METRICS), ""]
    lines += ["## Measures of meters", "", "| measure | unit |", "|---|---|"]
    lines += [f"| `{measure}` | {unit} |" for measure, unit in UNITS.items()]
    lines += ["", "## Weight sets of `[metering]`", "", "Per GPU-hour, core-hour and GiB-hour; only ratios count.", ""]
    lines += ["| set | GPU | core | GiB | source |", "|---|---|---|---|---|"]
    lines += [
        f"| `{name}` | {plain(Decimal(w.gpu).scaleb(-6))} | {plain(Decimal(w.cpu).scaleb(-6))}"
        f" | {plain(Decimal(w.memory).scaleb(-6))} | {w.source} |"
        for name, w in SHIPPED.items()
    ]
    lines.append("")
    return "\n".join(lines)


PAGES = {
    "commands.md": commands,
    "tables.md": stored_tables,
    "plug-ins.md": plug_ins,
    "configuration-words.md": vocabulary,
}


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
