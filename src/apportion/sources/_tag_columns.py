"""Tags that are delivered as one column per key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from apportion.core.tables import quoted
from apportion.sources.intake.sql_text import literal

if TYPE_CHECKING:
    from collections.abc import Iterable


def one_object(columns: Iterable[tuple[str, str]]) -> str | None:
    """SQL: the filled ones of these (column, key) as one JSON object, in their order; null where none is filled.

    None where there are no such columns.
    """
    pairs = [_pair(quoted(column), key) for column, key in columns]
    return f"nullif('{{' || concat_ws(',', {', '.join(pairs)}) || '}}', '{{}}')" if pairs else None


def _pair(column: str, key: str) -> str:
    return (
        f"CASE WHEN {column} <> '' THEN {literal(json.dumps(key, ensure_ascii=False) + ':')} || to_json({column}) END"
    )
