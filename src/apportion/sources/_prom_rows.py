"""Answers of Prometheus become series with one entry per UTC hour, whether it added up or sent its samples.

Two forms are read: one function over `[1h]`, as `pull` asks it, and samples as they are (`query=name[1d]`), as a user
saves them and as `pull` fetches where a counter began anew. Both give the same numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from apportion.errors import UnknownShape
from apportion.sources._prom_answers import is_series, points_of, results_of
from apportion.sources._prom_metrics import FUNCTIONS, HOUR, METRICS, Form
from apportion.sources.readings.contract import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from apportion.sources.readings.answers import Answer

UNSUPPORTED = Decimal(10) ** 18
"""dcgm-exporter writes 9223372036854775794 for a field that a card does not support: that is no measurement."""
_QUERY = re.compile(r"(?:(?P<function>\w+)\()?(?P<name>[a-zA-Z_:][\w:]*)(?:\{.*\})?\[1h\]\)?(?: > 0)?")
_SCRAPE = frozenset({"instance", "job"})
_RENAMED = {"hostname": "node", "Hostname": "node", "kubernetes_node": "node"}
"""dcgm-exporter 4.5 writes `hostname`, older ones `Hostname`."""
REQUESTS = "kube_pod_container_resource_requests"
LABELS = "kube_pod_labels"
_HOLDER = frozenset({"namespace", "pod", "container"})
_SHOWN = 80
"""Characters of an odd value that a fault shows."""
_EXPORTER = "dcgm-exporter"
"""In the names of its pods, whoever installs it."""
_EACH = frozenset({"unknown_resource", "part_of_card_unknown", "cards_of_node_unknown"})
_REPLICAS = frozenset({"prometheus_replica", "__replica__", "replica", "receive_replica", "prometheus", "rule_replica"})
"""Labels by which several Prometheus tell their copies of one series apart."""


@dataclass(slots=True)
class HourSeen:
    """What was seen of a series in an hour. `grown`: the growth of a counter from `first` to `last`, resets minded.

    `reset` with `grown` None: it began anew, and the samples that say how far it had come are not here.
    """

    count: Decimal = Decimal(0)
    total: Decimal | None = None
    first: Decimal | None = None
    last: Decimal | None = None
    grown: Decimal | None = None
    reset: bool = False


@dataclass(slots=True)
class Series:
    """One series. `labels` without renaming by Prometheus, with `cluster`; `hours`: start in Unix seconds -> seen.

    `after`: hours up to this one (Unix seconds) only say where a counter stood before. `gaps`: seconds between samples.
    """

    name: str
    labels: Mapping[str, str]
    row: int
    hours: dict[int, HourSeen] = field(default_factory=dict)
    gaps: Counter[Decimal] = field(default_factory=Counter)
    after: int | None = None
    renamed: frozenset[str] = frozenset()
    """Labels that Prometheus had called `exported_…`."""


@dataclass(slots=True)
class Rows:
    """All series of one file, by metric, with what could not be read."""

    file: str
    cluster: str
    by_metric: dict[str, dict[tuple[tuple[str, str], ...], Series]] = field(default_factory=dict)
    faults: dict[tuple[str, str], Fault] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    """Metric that was asked for -> the answer that came first."""

    def add(self, answer: Answer) -> None:
        """The series of one answer; raises `UnknownShape` where it is none of Prometheus's API."""
        body = answer.body
        if not isinstance(body, dict) or not ({"data", "errorType"} & body.keys()):
            raise UnknownShape(
                file=self.file,
                what=f"document {answer.row} is no answer of Prometheus: it has no `data`.",
                fix="Save the answers of /api/v1/query or /api/v1/query_range, one per line.",
            )
        if body.get("status") != "success":
            self._fault(
                answer,
                "query_failed",
                "status",
                str(body.get("error")),
                "Prometheus answered with an error.",
                "Ask again.",
            )
            return
        if body.get("warnings"):
            self._fault(
                answer,
                "partial_answer",
                "warnings",
                str(body["warnings"][0] if isinstance(body["warnings"], list) else body["warnings"]),
                "Prometheus warns that its answer may lack something.",
                "Look at the warning, then pull again.",
                rejected=False,
            )
        self._results(answer, body["data"])

    def missing(self) -> None:
        """Says what Prometheus was asked for and lacks, though nothing can be counted or owned without it."""
        if REQUESTS in self.asked and REQUESTS not in self.by_metric:
            self._lacks(
                REQUESTS,
                "no_requests",
                "Prometheus has no requests of pods for this time: nothing that pods set aside is known.",
                "Scrape kube-state-metrics, and pull daily: Prometheus forgets after 15 days by default.",
            )
        shown = any(key.startswith("label_") for series in self.series(LABELS) for key in series.labels)
        if LABELS in self.asked and REQUESTS in self.by_metric and not shown:
            self._lacks(
                LABELS,
                "pod_labels_not_shown",
                "kube-state-metrics shows no labels of pods: teams and models cannot be read from them.",
                "Start it with --metric-labels-allowlist=pods=[*],namespaces=[*],nodes=[*].",
            )

    def _lacks(self, name: str, code: str, what: str, fix: str) -> None:
        row = self.asked[name]
        fault = Fault(code=code, row=row, column="query", example=name, what=what, fix=fix, rejected=False)
        self.faults.setdefault((code, name), fault)

    def settle(self) -> None:
        """Cards that no pod holds lose the pod of dcgm-exporter itself, which stands there without `honor_labels`."""
        dcgm = [s for name in self.by_metric if METRICS[name].family == "dcgm" for s in self.series(name)]
        renamed = {(series.labels.get("job"), label) for series in dcgm for label in series.renamed}
        for series in dcgm:
            own = frozenset(label for label in _HOLDER if (series.labels.get("job"), label) in renamed - _pairs(series))
            if _EXPORTER in series.labels.get("pod", ""):
                own = _HOLDER
            series.labels = {key: value for key, value in series.labels.items() if key not in own}

    def series(self, name: str) -> Iterator[Series]:
        """The series of a metric, in file order."""
        return iter(self.by_metric.get(name, {}).values())

    def doubt(self, series: Series, code: str, *, example: str, what: str, fix: str, rejected: bool = False) -> None:
        """Something in these series is not as it should be: once per code and metric, for resources once each."""
        fault = Fault(
            code=code, row=series.row, column=series.name, example=example, what=what, fix=fix, rejected=rejected
        )
        each = example if code in _EACH else ""
        self.faults.setdefault((code, f"{series.name} {each}"), fault)

    def _results(self, answer: Answer, data: Any) -> None:  # noqa: ANN401 - JSON
        kind = data.get("resultType") if isinstance(data, dict) else None
        if kind != "matrix":
            self._fault(
                answer,
                "no_samples",
                "resultType",
                str(kind),
                "An answer has no samples over time.",
                "Save range queries (`name[1d]`), not the value of one moment.",
            )
            return
        asked = _QUERY.fullmatch(str(answer.params.get("query", "")))
        if asked:
            self.asked.setdefault(asked["name"], answer.row)
        for found in results_of(data):
            if not is_series(found):
                self._odd(answer, found)
                continue
            name = found["metric"].get("__name__") or (asked and asked["name"])
            if name not in METRICS:
                self._unknown(answer, name)
                continue
            series = self._of(name, found["metric"], answer.row)
            if asked and asked["function"]:
                self._added_up(series, asked["function"], answer, found["values"])
            else:
                self._samples(series, answer, found["values"])

    def _odd(self, answer: Answer, found: Any) -> None:  # noqa: ANN401 - JSON
        self._fault(
            answer,
            "no_series",
            "result",
            str(found)[:_SHOWN],
            "An answer holds something that is no series with labels and values.",
            "Save the answer of Prometheus again, as it came.",
        )

    def _unknown(self, answer: Answer, name: str | None) -> None:
        if name:
            self._fault(
                answer,
                "unknown_metric",
                "__name__",
                name,
                "A series is of a metric that is not read.",
                "Leave it out, or ask for one of the metrics named in the documentation.",
            )
        else:
            self._fault(
                answer,
                "no_metric_name",
                "__name__",
                "",
                "Series do not say of which metric they are.",
                "Save the samples themselves (`name[1d]`): functions drop the name.",
            )

    def _of(self, name: str, raw: Mapping[str, str], row: int) -> Series:
        labels = labels_of(raw, self.cluster)
        key = tuple(sorted(labels.items()))
        renamed = frozenset(label.removeprefix("exported_") for label in raw if label.startswith("exported_"))
        return self.by_metric.setdefault(name, {}).setdefault(key, Series(name, labels, row, renamed=renamed))

    def _added_up(self, series: Series, function: str, answer: Answer, values: list[Any]) -> None:
        if function not in FUNCTIONS[METRICS[series.name].form]:
            self._fault(
                answer,
                "unknown_function",
                "query",
                function,
                "A query has a function that is not read.",
                "Save the samples themselves (`name[1d]`).",
            )
            return
        if METRICS[series.name].form is Form.COUNTER:
            series.after = _hour(Decimal(str(answer.params.get("start", 0))))
        for moment, value in self._points(series, values):
            _note(series.hours.setdefault(_hour(moment), HourSeen()), function, value)

    def _samples(self, series: Series, answer: Answer, values: list[Any]) -> None:
        only = _hour(Decimal(str(answer.params["time"]))) if "time" in answer.params else None
        fresh: dict[int, HourSeen] = {}
        before: Decimal | None = None
        for moment, value in self._points(series, values):
            hour = _hour(moment)
            if only is not None and hour != only:
                continue
            _observe(fresh.setdefault(hour, HourSeen()), value)
            if before is not None:
                series.gaps[round(moment - before, 1)] += 1
            before = moment
        series.hours.update(fresh)

    def _points(self, series: Series, values: list[Any]) -> Iterator[tuple[Decimal, Decimal]]:
        """The samples that are a moment and a quantity; the others are told."""
        for moment, text in points_of(values):
            if moment is None:
                self.doubt(
                    series,
                    "no_moment",
                    example=str(text)[:_SHOWN],
                    what="A sample has no moment in Unix seconds, so it belongs to no hour.",
                    fix="Save the answer of Prometheus again, as it came.",
                    rejected=True,
                )
            elif (value := self._number(series, text)) is not None:
                yield moment, value

    def _number(self, series: Series, text: Any) -> Decimal | None:  # noqa: ANN401 - JSON
        try:
            value = Decimal(str(text))
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite():
            self.doubt(
                series,
                "no_number",
                example=str(text),
                what="A value is no number.",
                fix="Look at what exports it.",
                rejected=True,
            )
            return None
        if value >= UNSUPPORTED:
            self.doubt(
                series,
                "unsupported_field",
                example=str(text),
                what="DCGM does not support this field on some cards: their values are not used.",
                fix="Nothing to do; other fields may say the same.",
            )
            return None
        if value < 0:
            self.doubt(
                series,
                "negative_value",
                example=str(text),
                what="A value is negative.",
                fix="Look at what exports it.",
                rejected=True,
            )
            return None
        return value

    def _fault(
        self, answer: Answer, code: str, column: str, example: str, what: str, fix: str, *, rejected: bool = True
    ) -> None:
        fault = Fault(code=code, row=answer.row, column=column, example=example, what=what, fix=fix, rejected=rejected)
        self.faults.setdefault((code, example), fault)


def labels_of(raw: Mapping[str, str], cluster: str) -> dict[str, str]:
    """The labels as the exporter wrote them: `exported_pod` is `pod` again, `Hostname` is `node`, `cluster` is there.

    >>> labels_of({"exported_pod": "train-0", "pod": "dcgm-x", "__name__": "m", "Hostname": "n1"}, "c")
    {'cluster': 'c', 'pod': 'train-0', 'node': 'n1'}
    """
    labels = {"cluster": raw.get("cluster") or cluster}
    for key, value in raw.items():
        own = key.removeprefix("exported_")
        if key in ("__name__", "cluster") or (f"exported_{key}" in raw and key not in _SCRAPE):
            continue
        if own in _SCRAPE:
            own = key
        labels[_RENAMED.get(own, own) if "node" not in raw else own] = value
    return labels


def _pairs(series: Series) -> set[tuple[str | None, str]]:
    return {(series.labels.get("job"), label) for label in series.renamed}


def without_copies(found: Iterator[Series]) -> list[Series]:
    """One series of each group that differs only by the Prometheus that kept it: the fullest one."""
    best: dict[tuple[tuple[str, str], ...], Series] = {}
    for series in found:
        key = tuple(sorted((k, v) for k, v in series.labels.items() if k not in _REPLICAS))
        if key not in best or _fullness(series) > _fullness(best[key]):
            best[key] = series
    return list(best.values())


def _fullness(series: Series) -> Decimal:
    return sum((seen.count for seen in series.hours.values()), Decimal(0))


def _note(seen: HourSeen, function: str, value: Decimal) -> None:
    match function:
        case "sum_over_time":
            seen.total = value
        case "count_over_time":
            seen.count = value
        case "min_over_time":
            seen.first = value
        case "last_over_time":
            seen.last = value
        case _:
            seen.reset = value > 0


def _observe(seen: HourSeen, value: Decimal) -> None:
    before = seen.last
    seen.count += 1
    seen.total = (seen.total or Decimal(0)) + value
    seen.first = value if seen.first is None else seen.first
    step = Decimal(0) if before is None else value - before
    seen.grown = (seen.grown or Decimal(0)) + (value if step < 0 else step)
    seen.last = value


def _hour(moment: Decimal) -> int:
    return int(moment) // HOUR * HOUR
