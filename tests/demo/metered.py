"""acme's meter files and the truth about them, read without any of the product's sources."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from apportion.core.period import Month
from apportion.demo.acme.usage import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from apportion.core.measures import Measure

YEAR = Plan(Month(2026, 10), months=12, seed=7)
DIMENSIONS = ("team", "project", "model", "environment")
MONTHS = ("2026-09", "2026-10")
"""The last two months: one was asked for in windows of a day, one in windows of an hour."""


def documents(acme: Path, meter: str, month: str) -> list[Any]:
    """The JSON documents of a meter's file of one month, numbers exact."""
    (file,) = (acme / "meters" / meter).glob(f"{month}.*")
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        return [json.loads(line, parse_float=Decimal) for line in stream]


def worked(acme: Path, source: str) -> list[dict[str, Any]]:
    """The truth about the workloads of one meter, of all months."""
    files = sorted((acme / "truth" / "workloads").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist() if row["source"] == source]


def planted(acme: Path, source: str, measure: Measure, *keys: str) -> dict[tuple[str, ...], Decimal]:
    """What the truth adds up to without idle, by some of its columns."""
    sums: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for row in worked(acme, source):
        if row[measure] is not None and row["pool"] is None:
            sums[tuple(row[key] for key in keys)] += Decimal(row[measure])
    return dict(sums)


def allocations(acme: Path) -> Iterator[dict[str, Any]]:
    for month in MONTHS:
        for answer in documents(acme, "opencost", month):
            if isinstance(answer["data"], list):
                for window in answer["data"]:
                    yield from window.values()


def assets(acme: Path) -> Iterator[dict[str, Any]]:
    for month in MONTHS:
        for answer in documents(acme, "opencost", month):
            if isinstance(answer["data"], dict):
                yield from answer["data"].values()
