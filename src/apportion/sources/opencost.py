"""OpenCost and Kubecost: what each container asked for and used, and what nodes and volumes had to give.

Read are the answers of `/allocation`, `/allocation/compute` (OpenCost), `/model/allocation` (Kubecost) without
aggregation, and of `/assets`, of versions 1.x to 3.x. Hours become seconds, averages become average × time:

- `cpuCoreRequestAverage`, `ramByteRequestAverage`, `gpuHours` -> REQUESTED (`gpuHours` are the GPUs asked for × hours);
- `cpuCoreUsageAverage`, `ramByteUsageAverage`, network bytes -> USED; the GPU usage average is a mean over the GPUs
  held, so busy seconds are it × GPU hours, and 0 is taken as "not measured", as the tool says 0 for both;
- the volumes of a row (`pvs`) -> storage of that volume; `totalCost` -> `reported_cost`, a list-price estimate.

Rows of what nobody held (`__idle__`, `__unmounted__`) are no workloads. Capacity comes from `/assets`; in a file
without it, capacity is what the rows of a node (or cluster) held + the idle row of that node (or cluster). A node or
volume has one capacity, so neither way gives it a key: of two files, the one delivered later says what a node had.

OpenCost reports no scrape gaps and no pod uids: coverage is 1 throughout, and a pod is known by its name.

Source: OpenCost `core/pkg/opencost/allocation.go`, `pkg/costmodel/allocation_helpers.go`, `modules/prometheus-source`;
OpenCost and Kubecost, API documentation.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Rank
from apportion.errors import UnknownShape
from apportion.sources._opencost_assets import asset_samples, holds_nodes
from apportion.sources._opencost_rows import set_samples
from apportion.sources._opencost_shapes import rows_of, sets_of
from apportion.sources.readings.answers import answers
from apportion.sources.readings.contract import MeterSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.client import Client
    from apportion.sources.readings.contract import Fault, RawFile, Sample, Window

PAGE = 1000
"""Rows of one answer of Kubecost; OpenCost has no pages."""

_HOUR = timedelta(hours=1)


def read(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    """The samples of a file of allocations, assets or both; raises `UnknownShape` for any other JSON.

    A row that is there twice, as pages that a server does not know of are, is read once.
    """
    cluster = str(config.options.get("cluster", config.id))
    # the assets come last, so a file is read twice rather than a whole day be held
    with_nodes = max((holds_nodes(rows) for _, rows in _sets(file)), default=False)
    seen: set[tuple[str, str, str]] = set()
    for row, rows in _sets(file):
        new = _unseen(rows, seen)
        yield from asset_samples(new, row, cluster)
        yield from set_samples(new, row, cluster, capacity=not with_nodes)


def pull(client: Client, window: Window, config: SourceConfig) -> Iterable[object]:  # noqa: ARG001 - the socket's signature
    """Asks for one UTC day: allocations hour by hour, without aggregation, with idle by node; then the assets.

    An address that ends in `/model` is Kubecost's and answers in pages; any other is OpenCost's.
    """
    kubecost = client.url.rstrip("/").endswith("/model")
    start = window.start
    while start < window.end:
        end = min(start + _HOUR, window.end)
        shown = f"{start.isoformat()}Z,{end.isoformat()}Z"
        if kubecost:
            yield from _pages(client, {"window": shown, "idle": "true", "idleByNode": "true", "accumulate": "true"})
        else:
            yield client.get("allocation/compute", {"window": shown, "includeIdle": "true", "idleByNode": "true"})
        start = end
    yield client.get("assets", {"window": f"{window.start.isoformat()}Z,{window.end.isoformat()}Z"})


def _sets(file: RawFile) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for answer in answers(file):
        sets = sets_of(answer.body)
        if sets is None:
            raise UnknownShape(
                file=file.name,
                what="is no answer of /allocation or /assets of OpenCost or Kubecost.",
                fix="Save the answer of /allocation/compute or /assets whole; cloudCost and customCost have no usage.",
            )
        for rows in sets:
            yield answer.row, rows


def _pages(client: Client, asked: Mapping[str, str]) -> Iterator[object]:
    before: frozenset[str] = frozenset()
    offset = 0
    while True:
        found = client.get("allocation", {**asked, "limit": PAGE, "offset": offset})
        yield found
        names = frozenset(name for rows in sets_of(found) or () for name, _ in rows_of(rows))
        if len(names) < PAGE or names == before:
            return
        before, offset = names, offset + PAGE


def _unseen(rows: Mapping[str, Any], seen: set[tuple[str, str, str]]) -> Mapping[str, Any]:
    new = {}
    for name, row in rows_of(rows):
        key = (name, str(row.get("start")), str(row.get("end")))
        if key not in seen:
            seen.add(key)
            new[name] = row
    return new


SOURCE = MeterSource(
    name="opencost",
    title="OpenCost or Kubecost",
    read=read,
    pull=pull,
    rank=Rank.CLUSTER,
    version="2",
)
