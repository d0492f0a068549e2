"""Prometheus with kube-state-metrics, cAdvisor and dcgm-exporter: what pods set aside and used, hour by hour.

Gauges: the sum of an hour's samples × the scrape interval. Counters: first and last value with resets. A scrape outage
lowers the coverage of its hours and is never bridged; labels are joined here, by pod uid, and never in PromQL.

The workload is a pod's owner (Deployment, Job, JobSet, …) or its InferenceService; `_prom_kinds.py` says of which kind.
A user's own file holds answers to range queries (`name[1d]`), one a line, from whatever day.

Source: METERING §2.1 and §2.9; the names of metrics in `_prom_metrics.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.measures import Rank
from apportion.errors import ConfigError
from apportion.sources._prom_held import capacity, requested, stored
from apportion.sources._prom_places import Places
from apportion.sources._prom_pods import Pods
from apportion.sources._prom_pull import pull
from apportion.sources._prom_rows import Rows
from apportion.sources._prom_serving import note_models, served
from apportion.sources._prom_time import Clock
from apportion.sources._prom_usage import Usage
from apportion.sources._prom_used import cards, cpu_memory_network, hold_cards
from apportion.sources.readings.answers import answers
from apportion.sources.readings.contract import MeterSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.contract import Fault, RawFile, Sample

LONGEST_SCRAPE = 3600
"""Seconds; a scrape interval is no longer."""


def read(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    """The samples of a file, one per workload, resource, measure and hour, then its faults.

    Raises `UnknownShape` where a document is no answer of Prometheus's API, `ConfigError` where an option is not right.
    """
    rows = Rows(file.name, str(config.options.get("cluster") or config.id))
    read_at = file.read_at
    for answer in answers(file):
        rows.add(answer)
        read_at = answer.read_at or read_at
    rows.missing()
    rows.settle()
    clock = Clock.of(rows, asked=_scrape_seconds(config), read_at=read_at or _delivered_at(config))
    usage = Usage(rows, clock, Pods.of(rows), Places.of(rows, _nodes(config)))
    note_models(usage)
    hold_cards(usage)
    for count in (requested, capacity, stored, cpu_memory_network, cards, served):
        count(usage)
    yield from usage.samples()
    yield from sorted(rows.faults.values(), key=lambda fault: fault.row)


def _scrape_seconds(config: SourceConfig) -> Decimal | None:
    asked = config.options.get("scrape_seconds")
    if asked is None:
        return None
    if isinstance(asked, bool) or not isinstance(asked, (int, float)) or not 0 < asked <= LONGEST_SCRAPE:
        raise _wrong(config, "scrape_seconds", f"'{asked}' is no scrape interval.", "Write seconds, for example 30.")
    return Decimal(str(asked))


def _delivered_at(config: SourceConfig) -> datetime | None:
    asked = config.options.get("read_at")
    if asked is None:
        return None
    try:
        found = datetime.fromisoformat(str(asked))
    except ValueError:
        raise _wrong(config, "read_at", f"'{asked}' is no time.", "Write it as 2026-03-02T10:00:00Z.") from None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def _nodes(config: SourceConfig) -> dict[str, str]:
    """The option `nodes`, whose texts are `node=resource id`."""
    pairs = [str(text).partition("=") for text in config.options.get("nodes", ())]
    for node, equals, known in pairs:
        if not (node and equals and known):
            raise _wrong(config, "nodes", f"'{node}{equals}{known}' names no resource.", 'Write "node=resource id".')
    return {node: known for node, _, known in pairs}


def _wrong(config: SourceConfig, option: str, what: str, fix: str) -> ConfigError:
    return ConfigError(file="apportion.toml", line=None, key=f"source '{config.id}': {option}", what=what, fix=fix)


SOURCE = MeterSource(
    name="prometheus",
    title="Prometheus (Kubernetes and GPU metrics)",
    read=read,
    rank=Rank.CLUSTER,
    pull=pull,
    options=frozenset({"scrape_seconds", "nodes"}),
)
