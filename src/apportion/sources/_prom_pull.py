"""One UTC day of a Prometheus, asked for in hours: a few small answers per metric, however many samples it holds.

Each function is evaluated one millisecond before a full hour over `[1h]`, so a sample on the hour belongs to the hour
it begins, in Prometheus 2 (where a range has both ends) as in 3 (where it lacks its left end). Counters are asked for
one hour more, before the day: their last value there is what the day's growth is counted from. For hours with a counter
reset the samples themselves are fetched, because no function says what a counter had reached before it began anew.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from apportion.sources._prom_answers import is_series, points_of, results_of
from apportion.sources._prom_metrics import FUNCTIONS, HOUR, METRICS, Form, Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.client import Client
    from apportion.sources.readings.contract import Window

RANGE = "api/v1/query_range"
INSTANT = "api/v1/query"
PODS_PER_QUERY = 100
"""Pod names in one regular expression."""


def pull(client: Client, window: Window, config: SourceConfig) -> Iterator[object]:  # noqa: ARG001 - the socket's
    """Every answer for the hours that begin in the window; raises `MeterUnreachable` where Prometheus refuses."""
    for metric in METRICS.values():
        for function in FUNCTIONS[metric.form]:
            params = _range(metric, function, window)
            body = client.post(RANGE, form=params)
            yield body
            if function == "resets":
                yield from _samples_of_resets(client, metric, body)


def _range(metric: Metric, function: str, window: Window) -> dict[str, str]:
    selector = f"{metric.name}{{{metric.selector}}}" if metric.selector else metric.name
    query = f"{function}({selector}[1h])"
    first = _unix(window.start) + (0 if metric.form is Form.COUNTER else HOUR)
    last = -(-_unix(window.end) // HOUR) * HOUR
    return {
        "query": f"{query} > 0" if function == "resets" else query,
        "start": _before(first),
        "end": _before(last),
        "step": str(HOUR),
    }


def _samples_of_resets(client: Client, metric: Metric, body: Any) -> Iterator[object]:  # noqa: ANN401 - JSON
    for end, pods in sorted(_pods_by_hour(body).items()):
        label, names = pods
        for some in _slices(sorted(names), PODS_PER_QUERY):
            matcher = f'{label}=~"{"|".join(name.replace(".", "[.]") for name in some)}"'
            query = f"{metric.name}{{{matcher}}}[1h]"
            yield client.post(INSTANT, form={"query": query, "time": _before(end)})


def _pods_by_hour(body: Any) -> dict[int, tuple[str, set[str]]]:  # noqa: ANN401 - JSON
    """End of the hour -> the label that names pods, and the pods with a reset."""
    found: dict[int, tuple[str, set[str]]] = {}
    for series in _series(body):
        if not is_series(series):
            continue  # reading tells of it
        labels = series["metric"]
        label = "exported_pod" if "exported_pod" in labels else "pod"
        for moment, _ in points_of(series["values"]):
            if moment is None:
                continue
            end = (int(moment) // HOUR + 1) * HOUR
            found.setdefault(end, (label, set()))[1].add(labels.get(label, ""))
    return found


def _series(body: Any) -> Iterable[Any]:  # noqa: ANN401 - JSON
    return results_of(body.get("data") if isinstance(body, dict) else None)


def _slices(names: list[str], size: int) -> Iterator[list[str]]:
    return (names[at : at + size] for at in range(0, len(names), size))


def _unix(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp())


def _before(second: int) -> str:
    """One millisecond before the full second."""
    return f"{second - 1}.999"
