"""Faults of files and options, and what `pull` asks."""

from __future__ import annotations

import io
import json
from datetime import datetime

import httpx
import pytest
from tests.sources.prom_answers import (
    AT_10,
    AT_11,
    CPU,
    END,
    HOUR_0,
    POD,
    REQUESTS,
    UTIL,
    answer,
    fault_of,
    faults_of,
    held,
    kept,
    read,
    samples_of,
    series,
    unnamed,
)

from apportion.core.config import SourceConfig
from apportion.core.measures import Measure
from apportion.errors import ConfigError, MeterUnreachable, UnknownShape
from apportion.sources import SOCKET, _prom_pull
from apportion.sources._prom_metrics import METRICS
from apportion.sources.prometheus import SOURCE
from apportion.sources.readings.client import Client
from apportion.sources.readings.contract import COMMON_OPTIONS, RawFile, Window


def test_a_failed_query_is_a_fault(tmp_path):
    assert fault_of(tmp_path, {"status": "error", "errorType": "timeout", "error": "query timed out"}) == (
        "query_failed",
        "status",
        "query timed out",
        "Prometheus answered with an error.",
        "Ask again.",
        True,
    )


def test_a_partial_answer_is_a_doubt(tmp_path):
    assert fault_of(tmp_path, {**answer(), "warnings": ["store was away"]}) == (
        "partial_answer",
        "warnings",
        "store was away",
        "Prometheus warns that its answer may lack something.",
        "Look at the warning, then pull again.",
        False,
    )


def test_the_value_of_one_moment_is_no_hour(tmp_path):
    assert fault_of(tmp_path, {"status": "success", "data": {"resultType": "vector", "result": []}}) == (
        "no_samples",
        "resultType",
        "vector",
        "An answer has no samples over time.",
        "Save range queries (`name[1d]`), not the value of one moment.",
        True,
    )


def test_another_metric_is_a_fault(tmp_path):
    assert fault_of(tmp_path, answer(series("node_load1", {}, [1]))) == (
        "unknown_metric",
        "__name__",
        "node_load1",
        "A series is of a metric that is not read.",
        "Leave it out, or ask for one of the metrics named in the documentation.",
        True,
    )


def test_a_function_that_dropped_the_name_is_a_fault(tmp_path):
    assert fault_of(tmp_path, answer({"metric": {"pod": "p"}, "values": [[HOUR_0, "1"]]})) == (
        "no_metric_name",
        "__name__",
        "",
        "Series do not say of which metric they are.",
        "Save the samples themselves (`name[1d]`): functions drop the name.",
        True,
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("NaN", ("no_number", "NaN", "A value is no number.", "Look at what exports it.")),
        ("+Inf", ("no_number", "+Inf", "A value is no number.", "Look at what exports it.")),
        ("x", ("no_number", "x", "A value is no number.", "Look at what exports it.")),
        ("-1", ("negative_value", "-1", "A value is negative.", "Look at what exports it.")),
    ],
)
def test_a_value_that_is_no_quantity_is_a_fault(tmp_path, value, expected):
    code, column, example, what, fix, rejected = fault_of(tmp_path, answer(series(UTIL, {"pod": "p"}, [value])))
    assert ((code, example, what, fix), column, rejected) == (expected, UTIL, True)


def test_a_function_that_pull_does_not_ask_for_is_a_fault(tmp_path):
    document = kept(f"increase({CPU}[1h])", unnamed({"pod": "p"}, [1], start=END))
    assert fault_of(tmp_path, document) == (
        "unknown_function",
        "query",
        "increase",
        "A query has a function that is not read.",
        "Save the samples themselves (`name[1d]`).",
        True,
    )


def test_a_prometheus_without_requests_says_so(tmp_path):
    assert fault_of(tmp_path, kept(f'sum_over_time({REQUESTS}{{resource=~"cpu"}}[1h])')) == (
        "no_requests",
        "query",
        REQUESTS,
        "Prometheus has no requests of pods for this time: nothing that pods set aside is known.",
        "Scrape kube-state-metrics, and pull daily: Prometheus forgets after 15 days by default.",
        False,
    )


@pytest.mark.parametrize("shown", [[], [unnamed(POD, [60], start=END)]])
def test_pods_whose_labels_are_not_shown_are_a_doubt(tmp_path, shown):
    requests = unnamed({**POD, "node": "n1", "resource": "cpu"}, [60], start=END)
    documents = [kept(f"{function}_over_time({REQUESTS}[1h])", requests) for function in ("sum", "count")]
    found = read(tmp_path, *documents, kept("count_over_time(kube_pod_labels[1h])", *shown))
    (fault,) = faults_of(found)
    assert (fault.code, fault.row, fault.rejected) == ("pod_labels_not_shown", 3, False)
    assert fault.what == "kube-state-metrics shows no labels of pods: teams and models cannot be read from them."
    assert fault.fix == "Start it with --metric-labels-allowlist=pods=[*],namespaces=[*],nodes=[*]."
    assert len(samples_of(found, Measure.CPU_CORE_SECONDS)) == 1


@pytest.mark.parametrize("document", [[], {"kind": "PodList"}, 7])
def test_another_kind_of_file_is_refused_by_name(tmp_path, document):
    with pytest.raises(UnknownShape) as raised:
        read(tmp_path, document)
    assert str(raised.value).startswith("saved.jsonl: document 1 is no answer of Prometheus: it has no `data`.")
    assert raised.value.fix == "Save the answers of /api/v1/query or /api/v1/query_range, one per line."


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"scrape_seconds": 0}, "source 'prom': scrape_seconds: '0' is no scrape interval."),
        ({"scrape_seconds": True}, "source 'prom': scrape_seconds: 'True' is no scrape interval."),
        ({"scrape_seconds": "30s"}, "source 'prom': scrape_seconds: '30s' is no scrape interval."),
        ({"nodes": ["n1"]}, "source 'prom': nodes: 'n1' names no resource."),
    ],
)
def test_an_option_that_is_not_right_says_so(tmp_path, options, what):
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, answer(held("cpu", 1)), **options)
    assert str(raised.value).startswith(f"apportion.toml: {what}")


def test_a_time_that_is_none_says_so(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(answer()))
    config = SourceConfig("prom", "prometheus", (), options={"read_at": "yesterday"})
    with pytest.raises(ConfigError, match=r"source 'prom': read_at: 'yesterday' is no time\."):
        list(SOURCE.read(RawFile(path, path.name, None), config))


class Answering:
    """What Prometheus would be asked, and canned answers."""

    def __init__(self, answers):
        self.asked = []
        self.answers = answers

    def __call__(self, request):
        form = dict(httpx.QueryParams(request.content.decode()))
        self.asked.append((request.url.path, form))
        return httpx.Response(200, json=self.answers(form))


def pulled(answers, end=datetime(2026, 3, 2)):
    server, keep = Answering(answers), io.StringIO()
    http = httpx.Client(base_url="http://prometheus.test", transport=httpx.MockTransport(server))
    client = Client("prom", "http://prometheus.test", keep, datetime(2026, 3, 5), _http=http)
    list(SOURCE.pull(client, Window(datetime(2026, 3, 1), end, end), SourceConfig("prom", "prometheus", ())))
    return server.asked, keep.getvalue()


def test_every_metric_is_asked_for_by_hours_that_end_a_millisecond_early():
    asked, _ = pulled(lambda _: answer())
    gauges = [form for _, form in asked if form["query"] == "sum_over_time(kube_pod_start_time[1h])"]
    assert gauges == [
        {
            "query": "sum_over_time(kube_pod_start_time[1h])",
            "step": "3600",
            "start": "1772326799.999",
            "end": "1772409599.999",
        }
    ]
    counters = [form for _, form in asked if form["query"].startswith("last_over_time(container_network_rec")]
    assert [form["start"] for form in counters] == ["1772323199.999"]
    for name in METRICS:
        assert any(name in form["query"] for _, form in asked), name
    assert not any(" * on" in form["query"] or "group_" in form["query"] for _, form in asked)


def test_a_day_that_is_not_over_is_asked_for_to_the_end_of_its_hour():
    asked, _ = pulled(lambda _: answer(), end=datetime(2026, 3, 1, 5, 30))
    assert {form["end"] for _, form in asked} == {"1772344799.999"}


@pytest.mark.parametrize("label", ["pod", "exported_pod"])
def test_samples_are_fetched_for_pods_with_a_reset_in_that_hour_only(label):
    many = [{"metric": {label: f"p.{at}"}, "values": [[END, "1"]]} for at in range(101)]

    def answers(form):
        return answer(*many) if form["query"].startswith(f"resets({CPU}") else answer()

    asked, kept_lines = pulled(answers)
    raw = [form for path, form in asked if path.endswith("/query")]
    assert len(raw) == 2
    assert all(form["query"].startswith(f'{CPU}{{{label}=~"p[.]') and form["time"] == f"{END}.999" for form in raw)
    assert kept_lines.count("\n") == len(asked)


def test_a_prometheus_that_refuses_ends_the_pull():
    http = httpx.Client(base_url="http://p.test", transport=httpx.MockTransport(lambda _: httpx.Response(422)))
    client = Client("prom", "http://p.test", io.StringIO(), AT_10, _http=http)
    with pytest.raises(MeterUnreachable, match="answered 422"):
        list(SOURCE.pull(client, Window(AT_10, AT_11, AT_11), SourceConfig("prom", "prometheus", ())))


# --- answers that are not built as they should be ---------------------------------------------------------------------


def with_values(*values):
    return {"metric": {"__name__": CPU, **POD}, "values": list(values)}


ODD_MOMENTS = ["1e400", "1e30", "-1", "true", "null", "{}", "[]", '"x"', "NaN", "Infinity"]


@pytest.mark.parametrize("moment", ODD_MOMENTS)
def test_a_sample_without_a_moment_is_a_fault(tmp_path, moment):
    text = json.dumps(answer(with_values(["AT", "1"]))).replace('"AT"', moment)
    (tmp_path / "x.jsonl").write_text(text)
    (fault,) = faults_of(
        SOURCE.read(RawFile(tmp_path / "x.jsonl", "x.jsonl", None), SourceConfig("prom", "prometheus", ()))
    )
    assert (fault.code, fault.column, fault.example, fault.what, fault.fix, fault.rejected) == (
        "no_moment",
        CPU,
        "1",
        "A sample has no moment in Unix seconds, so it belongs to no hour.",
        "Save the answer of Prometheus again, as it came.",
        True,
    )


@pytest.mark.parametrize("function", ["min_over_time", None])
@pytest.mark.parametrize("point", ["x", None, {}, 7, [], [HOUR_0], [HOUR_0, "1", "2"]])
def test_a_sample_that_is_no_pair_is_a_fault_in_both_forms(tmp_path, point, function):
    found = with_values(point)
    document = kept(f"{function}({CPU}[1h])", found) if function else answer(found)
    codes = [fault.code for fault in faults_of(read(tmp_path, document))]
    assert codes == ["no_moment"]


@pytest.mark.parametrize(
    "found",
    ["x", None, 7, [], {}, {"metric": None, "values": []}, {"metric": {}, "values": None}, {"metric": {"a": 1},
     "values": []}, {"metric": {"__name__": []}, "values": []}, {"metric": ["x"], "values": [[1, "2"]]}],
)  # fmt: skip
def test_what_is_no_series_is_a_fault(tmp_path, found):
    assert fault_of(tmp_path, answer(found)) == (
        "no_series",
        "result",
        str(found),
        "An answer holds something that is no series with labels and values.",
        "Save the answer of Prometheus again, as it came.",
        True,
    )


def test_series_beside_what_is_none_are_read(tmp_path):
    found = read(tmp_path, answer("x", held("nvidia_com_gpu", 1)))
    assert [fault.code for fault in faults_of(found) if fault.rejected] == ["no_series"]
    assert samples_of(found, Measure.GPU_SECONDS)


@pytest.mark.parametrize("result", [None, "x", {}, 7])
def test_a_result_that_is_no_list_has_no_series(tmp_path, result):
    body = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    assert samples_of(read(tmp_path, body), Measure.CPU_CORE_SECONDS) == []


def test_a_warning_of_another_shape_is_a_doubt(tmp_path):
    assert fault_of(tmp_path, {**answer(), "warnings": {"a": 1}})[:3] == ("partial_answer", "warnings", "{'a': 1}")


def test_odd_answers_do_not_end_a_pull():
    body = answer("x", {"metric": None, "values": []}, with_values("x", [None, "1"]))
    assert _prom_pull._pods_by_hour(body) == {}


def test_nodes_are_an_option_of_prometheus_and_of_no_other_meter():
    assert "nodes" in SOURCE.options
    assert {"url", "cluster", "read_at", "since", "timeout_seconds"} == COMMON_OPTIONS
    holders = {name for name in SOCKET.names() if "nodes" in SOCKET.load(name).options}
    assert holders == {"prometheus"}
