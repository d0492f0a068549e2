"""Every distinct tag text of an import, parsed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.sources.intake.tag_text import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.engine.duck import DuckDb
    from apportion.sources.intake.staging import StagedFile

UNREADABLE, DUPLICATE = 1, 2
"""Bits of `x_Fault` in the table `tag_texts`."""

_DISTINCT = "SELECT DISTINCT Tags FROM ({rows}) WHERE Tags IS NOT NULL ORDER BY Tags"


def parse_tags(db: DuckDb, staged: Sequence[StagedFile]) -> None:
    """The table `tag_texts`: text, its canonical JSON, and what was wrong with it."""
    rows = " UNION ALL ".join(f"SELECT Tags FROM {file.relation}" for file in staged)
    texts = [text for (text,) in db.rows(_DISTINCT.format(rows=rows))]
    parsed = [parse(text) for text in texts]
    faults = [tags.unreadable * UNREADABLE + tags.duplicate * DUPLICATE for tags in parsed]
    table = {
        "x_Text": pa.array(texts, pa.string()),
        "x_Canonical": pa.array([tags.canonical for tags in parsed], pa.string()),
        "x_Fault": pa.array(faults, pa.int32()),
    }
    db.register("tag_texts", pa.table(table))
