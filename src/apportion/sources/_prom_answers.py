"""Whether an answer of Prometheus is built as it should be: its series, and the moments of their samples."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LATEST = 253_402_300_800 - 86_400
"""Unix seconds of the last day of the year 9999: no calendar here goes beyond it."""


def results_of(data: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """The entries of `data.result`, none where there is no such list; they may be anything (see `is_series`)."""
    found = data.get("result") if isinstance(data, Mapping) else None
    return found if isinstance(found, list) else []


def is_series(found: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether this is a series: labels that are texts, and a list of values."""
    return (
        isinstance(found, Mapping)
        and isinstance(found.get("metric"), Mapping)
        and all(isinstance(value, str) for value in found["metric"].values())
        and isinstance(found.get("values"), list)
    )


def points_of(values: list[Any]) -> Iterator[tuple[Decimal | None, Any]]:
    """Each sample as its moment in Unix seconds and its value as it came; None for what is no moment."""
    for point in values:
        if isinstance(point, list) and len(point) == 2:  # noqa: PLR2004 - a moment and a value
            yield _moment(point[0]), point[1]
        else:
            yield None, point


def _moment(value: Any) -> Decimal | None:  # noqa: ANN401 - JSON
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value < LATEST:
        return None
    return Decimal(value)
