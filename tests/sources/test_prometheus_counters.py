"""Growth of counters, and what inference servers counted."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.sources.prom_answers import (
    AT_10,
    AT_11,
    CPU,
    END,
    HOUR_0,
    POD,
    answer,
    faults_of,
    held,
    info,
    kept,
    minutes,
    read,
    samples_of,
    series,
    unnamed,
)

from apportion.core.measures import Measure, WorkloadKind
from apportion.sources.readings.contract import Sample


def cpu(values, pod="p", **times):
    return series(CPU, {"namespace": "ml", "pod": pod, "container": "c", "id": pod}, values, **times)


def test_a_counter_that_began_while_someone_looked_began_at_zero(tmp_path):
    old = cpu([1000] * 60, pod="old")
    new = cpu(range(7, 47), pod="new", start=HOUR_0 + 1200)
    found = samples_of(read(tmp_path, answer(old, new)), Measure.CPU_CORE_SECONDS)
    assert [(sample.workload.name, sample.quantity) for sample in found] == [("new", 46)]


def test_a_counter_whose_pod_has_just_started_began_at_zero(tmp_path):
    start = series("kube_pod_start_time", POD, [HOUR_0 + 30] * 59, start=HOUR_0 + 60)
    found = read(tmp_path, answer(start, cpu(range(30, 89), start=HOUR_0 + 60)))
    assert [sample.quantity for sample in samples_of(found, Measure.CPU_CORE_SECONDS)] == [88]


def test_a_counter_that_appears_with_its_scraper_starts_from_what_it_says(tmp_path):
    found = read(tmp_path, answer(cpu(range(5000, 5060))))
    assert [sample.quantity for sample in samples_of(found, Measure.CPU_CORE_SECONDS)] == [59]
    (fault,) = faults_of(found)
    assert (fault.code, fault.example, fault.rejected) == ("counter_without_beginning", "5000", False)
    assert fault.what == (
        "Counters were seen first when their scraper began to look: what they had counted before is left out."
    )


@given(steps=st.lists(st.integers(0, 50), min_size=2, max_size=180), resets=st.sets(st.integers(1, 179)))
def test_growth_is_every_step_and_every_new_beginning(tmp_path_factory, steps, resets):
    values, at, grown = [], 100, 0
    for index, step in enumerate(steps):
        fresh = index in resets and step < at
        grown += step if index else 0
        at = step if fresh else at + step if index else at
        values.append(at)
    found = read(tmp_path_factory.mktemp("p"), answer(cpu(values)))
    assert sum(sample.quantity for sample in samples_of(found, Measure.CPU_CORE_SECONDS)) == grown


def test_growth_over_hours_without_samples_is_theirs_together(tmp_path):
    one = cpu([0] * 59 + [600])
    one["values"] += minutes([3600] * 60, start=HOUR_0 + 3 * 3600)
    first, bridge = samples_of(read(tmp_path, answer(one)), Measure.CPU_CORE_SECONDS)
    assert (first.quantity, bridge.quantity) == (600, 3000)
    assert (bridge.start, bridge.end) == (AT_11, datetime(2026, 3, 1, 14))
    assert bridge.coverage == Decimal(1) / 3
    assert (first.key, bridge.key) == ("p", f"p {CPU} c")


def test_sums_over_a_pod_and_its_sandbox_are_not_its_containers(tmp_path):
    plain = {"namespace": "ml", "pod": "p"}
    found = read(
        tmp_path,
        answer(
            series(CPU, {**plain, "container": ""}, range(60)),
            series(CPU, {**plain, "container": "POD"}, range(60)),
            series("container_memory_working_set_bytes", plain, [9] * 60),
            series("container_network_transmit_bytes_total", {**plain, "interface": "lo"}, range(60)),
            series("container_network_transmit_bytes_total", {**plain, "container": "POD"}, range(60)),
        ),
    )
    assert [(s.measure, s.quantity) for s in found] == [(Measure.NETWORK_TX_BYTES, 59)]


def counter_hour(count, first, last, resets):
    """One hour of a counter as `pull` asks for it, with the hour before."""
    query, since = f"%s({CPU}[1h])", {"start": f"{HOUR_0 - 1}.999"}
    labels = {"namespace": "ml", "pod": "p", "container": "c"}
    return [
        kept(query % "min_over_time", unnamed(labels, [50, first], start=HOUR_0 - 1), **since),
        kept(query % "last_over_time", unnamed(labels, [100, last], start=HOUR_0 - 1), **since),
        kept(query % "count_over_time", unnamed(labels, [60, count], start=HOUR_0 - 1), **since),
        kept(query % "resets" + " > 0", *([unnamed(labels, [resets], start=END)] if resets else []), **since),
    ]


def test_growth_is_counted_from_the_hour_before_the_day_which_is_not_given_itself(tmp_path):
    (sample,) = read(tmp_path, *counter_hour(60, 104, 180, 0))
    assert (sample.quantity, sample.start) == (80, AT_10)


def test_a_reset_between_two_hours_is_seen(tmp_path):
    (sample,) = read(tmp_path, *counter_hour(60, 2, 30, 0))
    assert sample.quantity == 30


def test_samples_of_an_hour_with_a_reset_say_how_far_the_counter_had_come(tmp_path):
    labels = {"namespace": "ml", "pod": "p", "container": "c"}
    values = [100 + at for at in range(30)] + list(range(30))
    raw = {"metric": {"__name__": CPU, **labels}, "values": [[HOUR_0 - 0.001, "1"], *minutes(values)]}
    (sample,) = read(tmp_path, *counter_hour(60, 0, 29, 1), kept(f"{CPU}[1h]", raw, time=f"{END}.999"))
    assert sample.quantity == 29 + 29


def test_a_reset_whose_samples_are_missing_is_a_doubt(tmp_path):
    sample, fault = read(tmp_path, *counter_hour(60, 0, 29, 1))
    assert (sample.quantity, fault.code, fault.rejected) == (29, "reset_without_samples", False)
    assert fault.what == (
        "A counter began anew within an hour, its samples are missing: only what it counted since is taken."
    )
    assert fault.fix == "Pull this day again."


SERVER = {"namespace": "ml", "pod": "p", "instance": "10.0.0.1:8000", "job": "serve"}


def test_a_server_with_one_model_is_its_endpoint(tmp_path):
    model = {**SERVER, "model_name": "m"}
    found = read(
        tmp_path,
        answer(held("nvidia_com_gpu", 1)),
        answer(series("vllm:prompt_tokens_total", model, range(0, 600, 10))),
        answer(series("vllm:generation_tokens_total", model, range(0, 120, 2))),
        answer(series("vllm:request_success_total", {**model, "finished_reason": "stop"}, range(60))),
        answer(series("vllm:request_success_total", {**model, "finished_reason": "length"}, range(60))),
    )
    counted = {s.measure: s.quantity for s in found if isinstance(s, Sample)}
    assert counted == {
        Measure.GPU_SECONDS: 3600,
        Measure.TOKENS_INPUT: 590,
        Measure.TOKENS_OUTPUT: 118,
        Measure.REQUESTS: 118,
    }
    (workload,) = {s.workload.id: s.workload for s in found if isinstance(s, Sample)}.values()
    assert (workload.model, workload.kind) == ("m", WorkloadKind.INFERENCE_ENDPOINT)


def test_each_of_several_models_of_a_server_is_a_workload_below_it(tmp_path):
    found = read(
        tmp_path,
        answer(info()),
        answer(
            series(
                "nv_inference_compute_infer_duration_us", {**SERVER, "model": "a", "version": "3"}, [0] * 59 + [5e6]
            ),
            series(
                "nv_inference_compute_infer_duration_us", {**SERVER, "model": "b", "version": "1"}, [0] * 59 + [10**6]
            ),
            series("nv_inference_request_success", {**SERVER, "model": "a", "version": "3"}, [0] * 59 + [8]),
            series("nv_inference_request_failure", {**SERVER, "model": "a", "version": "3"}, [0] * 59 + [1]),
        ),
    )
    endpoint = "k8s:prom/ml/Pod/p/u1"
    counted = [(s.workload.id, s.workload.model_version, s.measure, s.quantity) for s in found]
    assert len(counted) == 3
    assert set(counted) == {
        (f"{endpoint}/model/a/3", "3", Measure.COMPUTE_SECONDS, 5),
        (f"{endpoint}/model/b/1", "1", Measure.COMPUTE_SECONDS, 1),
        (f"{endpoint}/model/a/3", "3", Measure.REQUESTS, 9),
    }
    assert {s.workload.parent for s in found} == {endpoint}


def test_requests_made_before_the_first_scrape_of_a_new_server_count(tmp_path):
    """Seen with a real KServe: 30 → 80 requests, of which `increase` told 45.4; a model with 3 early ones had 0."""
    start = series("kube_pod_start_time", POD, [HOUR_0] * 60)
    model = series("request_predict_seconds_count", {**SERVER, "model_name": "m"}, [3] * 50, start=HOUR_0 + 600)
    (sample,) = samples_of(read(tmp_path, answer(start, info(), model)), Measure.REQUESTS)
    assert sample.quantity == 3


def test_a_server_that_began_in_the_hour_was_fully_looked_at(tmp_path):
    node = series("kube_node_info", {"node": "n1"}, [1] * 60)
    pod = info(count=40, start=HOUR_0 + 1200)
    start = series("kube_pod_start_time", POD, [HOUR_0 + 1200] * 40, start=HOUR_0 + 1200)
    model = series("request_predict_seconds_count", {**SERVER, "model_name": "m"}, range(1, 41), start=HOUR_0 + 1200)
    (sample,) = samples_of(read(tmp_path, answer(node, pod, start, model)), Measure.REQUESTS)
    assert (sample.quantity, sample.coverage) == (40, 1)


def test_a_server_that_names_no_pod_is_a_fault(tmp_path):
    found = read(tmp_path, answer(series("vllm:prompt_tokens_total", {"instance": "gpu7:8000"}, range(60))))
    (fault,) = [fault for fault in faults_of(found) if fault.code == "server_without_pod"]
    assert (fault.example, fault.rejected) == ("gpu7:8000", True)
    assert fault.what == "Series of an inference server do not say in which pod it runs: they are not counted."
    assert fault.fix == "Scrape it through a PodMonitor, or add the labels namespace and pod by relabelling."
