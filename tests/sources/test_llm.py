"""Usage of language models: every form, from documented answers (see tests/data/llm/LICENCE.md)."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.llm_files import DOCUMENTED, by_workload, document, found, quantities, read

from apportion.core.measures import Basis, Rank, WorkloadKind
from apportion.sources.llm import SOURCE


def openai_page(**changed):
    page = document("openai_completions.json")
    page["data"][0]["results"] = [{**page["data"][0]["results"][0], **changed}]
    return page


def test_the_source_counts_like_a_cluster_meter_and_is_complete():
    assert (SOURCE.name, SOURCE.rank, SOURCE.complete) == ("llm", Rank.CLUSTER, True)


# OpenAI


def test_openai_input_tokens_are_told_apart_from_cached_and_cache_write_tokens():
    samples, faults = found(DOCUMENTED / "openai_completions.json")
    keyed = [sample for sample in samples if sample.resource.id == "key_abc"]
    assert faults == []
    assert quantities(keyed) == {
        "tokens_input": 150,
        "tokens_cached": 800,
        "tokens_cache_write": 50,
        "tokens_output": 70,
        "requests": 4,
    }
    (first, *_) = keyed
    assert (first.start, first.end) == (datetime(2026, 10, 1), datetime(2026, 10, 1, 1))
    assert (first.basis, first.coverage, first.row) == (Basis.USED, 1, 1)
    assert (first.resource.account, first.resource.provider) == ("proj_fraud", "OpenAI")
    assert first.workload.kind == WorkloadKind.API_KEY
    told = {"batch": "false", "service_tier": "default", "gen_ai.request.model": "gpt-4.1-2025-04-14"}
    assert (first.workload.labels, first.workload.model) == (told, None)
    assert first.workload.links == ("openai:key_abc",)
    assert first.workload.parent == "openai:key_abc"


def test_openai_use_without_a_key_stays_with_its_project():
    samples, _ = found(DOCUMENTED / "openai_completions.json")
    (workload,) = {sample.workload.id: sample.workload for sample in samples if sample.resource.id is None}.values()
    assert workload.parent == "openai:account/proj_fraud"
    assert (workload.name, workload.user) == ("no key, proj_fraud", "user_1")


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
def test_openai_parts_add_up_to_the_input_tokens(tmp_path_factory, uncached, cached, written):
    page = openai_page(
        input_tokens=uncached + cached + written, input_cached_tokens=cached, input_cache_write_tokens=written
    )
    samples, faults = read(tmp_path_factory.mktemp("llm"), page)
    counted = quantities(samples)
    assert faults == []
    assert [counted.get(name, 0) for name in ("tokens_input", "tokens_cached", "tokens_cache_write")] == [
        uncached,
        cached,
        written,
    ]


def test_more_cached_than_input_tokens_are_a_fault(tmp_path):
    samples, (fault,) = read(tmp_path, openai_page(input_tokens=10, input_cached_tokens=11))
    assert samples == []
    assert (fault.code, fault.row, fault.column, fault.example) == (
        "cache_above_input",
        1,
        "input_cached_tokens",
        "10 < 11 + 50",
    )
    assert fault.what == "More tokens were served from or written to a cache than there were input tokens."
    assert fault.fix == "Have the tool report input tokens that include cached tokens, as its documentation says."


@pytest.mark.parametrize("kind", ["costs", "usage.vector_stores", "usage.web_searches"])
def test_openai_results_without_model_requests_are_told(tmp_path, kind):
    samples, (fault,) = read(tmp_path, openai_page(object=f"organization.{kind}.result"))
    assert samples == []
    assert (fault.code, fault.example) == ("not_model_usage", f"organization.{kind}.result")
    assert fault.what == "This is no usage of a model: it has neither tokens nor model requests."
    assert fault.fix.startswith("Nothing to do: its cost stays with what the bill says")


def test_openai_embeddings_have_no_output_and_no_cache(tmp_path):
    result = {"object": "organization.usage.embeddings.result", "input_tokens": 9, "num_model_requests": 2}
    bucket = {"object": "bucket", "start_time": 1790812800, "end_time": 1790816400, "results": [result]}
    samples, faults = read(tmp_path, bucket)
    assert (quantities(samples), faults) == ({"tokens_input": 9, "requests": 2}, [])
    assert samples[0].workload.id == "openai:no-key"


@pytest.mark.parametrize("value", [-1, "many", True, "NaN"])
def test_what_is_no_count_is_a_fault(tmp_path, value):
    samples, (fault,) = read(tmp_path, openai_page(output_tokens=value))
    assert samples == []
    assert (fault.code, fault.column, fault.example) == ("bad_count", "output_tokens", str(value))
    assert fault.what == "This is no count: a number from 0 upwards was expected."
    assert fault.fix == "Export the usage again, with the numbers as the API gave them."


def test_a_bucket_that_ends_before_it_starts_is_a_fault(tmp_path):
    page = openai_page()
    page["data"][0]["end_time"] = page["data"][0]["start_time"]
    samples, (fault,) = read(tmp_path, page)
    assert (samples, fault.code, fault.column) == ([], "bad_interval", "start_time")
    assert (fault.what, fault.fix) == ("The bucket does not end after it starts.", "Fetch the usage again.")


# Anthropic


def test_anthropic_cache_writes_of_all_lifetimes_are_added():
    samples, faults = found(DOCUMENTED / "anthropic_messages.json")
    keyed = [sample for sample in samples if sample.resource.id]
    assert faults == []
    assert quantities(keyed) == {
        "tokens_input": 1500,
        "tokens_cached": 200,
        "tokens_cache_write": 1500,
        "tokens_output": 500,
    }
    assert (keyed[0].resource.id, keyed[0].resource.account) == ("apikey_01", "wrkspc_01")
    assert keyed[0].workload.labels == {
        "service_tier": "standard",
        "context_window": "0-200k",
        "gen_ai.request.model": "claude-sonnet-4-20250514",
    }


@pytest.mark.parametrize(
    ("groups", "account", "known_by"),
    [
        (["workspace_id", "model"], "default", "anthropic:account/default"),
        (["model"], None, "anthropic:no-key"),
    ],
)
def test_a_null_workspace_is_the_default_only_where_workspaces_were_asked_for(tmp_path, groups, account, known_by):
    request = {"path": "x", "params": {"group_by[]": groups}, "read_at": "2026-10-02T00:00:00"}
    line = json.dumps({"apportion_answer": request, "body": document("anthropic_messages.json")})
    samples, _ = read(tmp_path, line + "\n", "day.jsonl")
    console = next(sample for sample in samples if sample.resource.id is None)
    assert (console.resource.account, console.workload.parent) == (account, known_by)


def test_a_cost_report_of_anthropic_is_told(tmp_path):
    bucket = {"starting_at": "2026-10-01T00:00:00Z", "ending_at": "2026-10-02T00:00:00Z"}
    page = {"data": [{**bucket, "results": [{"amount": "12.5"}]}], "has_more": False, "next_page": None}
    samples, (fault,) = read(tmp_path, page)
    assert (samples, fault.code, fault.example) == ([], "not_model_usage", "['amount']")
    assert fault.what == "This is no usage of a model: it has no tokens."
    assert fault.fix == "Fetch usage_report/messages; the cost report is a bill and has a source of its own."


# Bedrock


@pytest.mark.parametrize("name", ["log.json", "log.json.gz"])
def test_bedrock_logs_are_documents_in_a_row(tmp_path, name):
    samples, faults = read(tmp_path, (DOCUMENTED / "bedrock.json").read_text(), name)
    profile = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/doc-ocr-extract"
    groups = by_workload(samples)
    own = next(group for group in groups.values() if group[0].resource.id == profile)
    assert faults == []
    assert quantities(own) == {
        "tokens_input": 8,
        "tokens_cached": 100,
        "tokens_cache_write": 20,
        "tokens_output": 20,
        "requests": 1,
    }
    assert own[0].workload.links == (profile,)
    assert own[0].workload.labels == {"team": "fraud"}
    assert (own[0].workload.labels.get("gen_ai.request.model"), own[0].workload.name) == (None, "doc-ocr-extract")
    assert (own[0].resource.account, own[0].resource.region) == ("111122223333", "us-east-1")


def test_bedrock_calls_of_a_makers_model_belong_to_the_role_in_all_its_sessions():
    samples, _ = found(DOCUMENTED / "bedrock.json")
    role = "arn:aws:sts::111122223333:assumed-role/scoring"
    (shared,) = [group for group in by_workload(samples).values() if group[0].resource.id == role]
    assert quantities(shared) == {"tokens_input": 40, "tokens_output": 450, "requests": 2}
    assert shared[0].workload.labels.get("gen_ai.request.model") == "anthropic.claude-3-haiku-20240307-v1:0"


def test_bedrock_events_of_cloudwatch_read_like_lines(tmp_path):
    lines = (DOCUMENTED / "bedrock.json").read_text().splitlines()
    plain, _ = found(DOCUMENTED / "bedrock.json")
    samples, faults = read(tmp_path, {"events": [{"timestamp": 1, "message": line} for line in lines]})
    assert faults == []
    assert {(s.workload.id, s.measure, s.quantity) for s in samples} == {
        (s.workload.id, s.measure, s.quantity) for s in plain
    }


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Dear bank, my PIN is 1234", "str"),
        (json.dumps({"prompt": "Dear bank", "user": "anna"}), "prompt, user"),
        (json.dumps(["Dear bank"]), "list"),
    ],
)
def test_another_event_of_cloudwatch_is_a_fault_that_shows_the_names_of_its_fields(tmp_path, message, shown):
    samples, (fault,) = read(tmp_path, {"events": [{"message": message}]})
    assert (samples, fault.code, fault.column, fault.example) == ([], "not_an_invocation", "message", shown)
    assert fault.what == "The event of the log group is no model invocation."
    assert fault.fix == "Fetch the log group that Bedrock writes its invocations to, and only that."


# OpenTelemetry


def test_only_the_outermost_call_of_a_model_is_counted():
    samples, faults = found(DOCUMENTED / "otlp_spans.json")
    assert faults == []
    assert quantities(samples) == {"tokens_input": 36, "tokens_cached": 64, "tokens_output": 20, "requests": 1}
    workload = samples[0].workload
    assert (workload.parent, workload.labels.get("gen_ai.request.model"), workload.environment) == (
        "otel:bank/assistant",
        "gpt-4.1-2025-04-14",
        "prod",
    )
    assert workload.labels == {
        "team": "assist",
        "deployment.environment.name": "prod",
        "gen_ai.request.model": "gpt-4.1-2025-04-14",
    }
    assert samples[0].start == datetime(2026, 10, 1, 9)


def test_an_attribute_of_a_span_is_a_label_where_the_option_names_it():
    samples, _ = found(DOCUMENTED / "otlp_spans.json", labels=["feature", "team"])
    assert samples[0].workload.labels == {
        "feature": "letters",
        "team": "assist",
        "gen_ai.request.model": "gpt-4.1-2025-04-14",
    }


def test_a_call_without_token_counts_is_a_request_with_a_doubt(tmp_path):
    export = document("otlp_spans.json")
    spans = export["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[1]["attributes"] = spans[1]["attributes"][:3]
    samples, (fault,) = read(tmp_path, export)
    assert quantities(samples) == {"requests": 1}
    assert (fault.code, fault.column, fault.example, fault.rejected) == (
        "no_tokens",
        "gen_ai.usage.input_tokens",
        "s1",
        False,
    )
    assert fault.what == "The call of a model has no token counts; it was counted as a request."
    assert fault.fix == "Have the instrumentation report usage (for streams, ask the API to include it)."


@pytest.mark.parametrize("start", ["", "soon", "9" * 40])
def test_a_span_without_a_start_is_a_fault(tmp_path, start):
    export = document("otlp_spans.json")
    export["resourceSpans"][0]["scopeSpans"][0]["spans"][1]["startTimeUnixNano"] = start
    samples, (fault,) = read(tmp_path, export)
    assert (samples, fault.code, fault.column) == ([], "bad_time", "startTimeUnixNano")
