"""LiteLLM spend logs and daily sums, from answers in the documented shape (see tests/data/llm/LICENCE.md)."""

import csv
import hashlib
import io
import json
from datetime import datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.sources.llm_files import DOCUMENTED, by_workload, document, found, quantities, read, spend_row

from apportion.core.measures import Measure

HOUR = (datetime(2026, 10, 1, 8), datetime(2026, 10, 1, 9))


def test_litellm_requests_are_added_up_to_the_hour_they_began_in():
    samples, faults = found(DOCUMENTED / "litellm_spend_logs.json")
    keyed = [sample for sample in samples if sample.resource.id]
    assert faults == []
    assert quantities(keyed) == {
        "tokens_input": 40,
        "tokens_cached": 60,
        "tokens_cache_write": 10,
        "tokens_output": 31,
        "requests": 2,
        "reported_cost": Decimal("0.000133"),
    }
    assert {(sample.start, sample.end) for sample in samples} == {HOUR}
    workload, resource = keyed[0].workload, keyed[0].resource
    assert (resource.id, resource.node, resource.provider) == ("88dc28d0f030c55e", "key-fraud", "OpenAI")
    assert (
        workload.name,
        workload.labels.get("gen_ai.request.model"),
        workload.team,
        workload.project,
        workload.user,
    ) == (
        "key-fraud",
        "gpt-4.1",
        "Fraud",
        "scoring",
        "anna",
    )
    assert workload.labels == {
        "team": "fraud",
        "prod": "true",
        "model": "fraud-bert",
        "team_id": "t-1",
        "gen_ai.request.model": "gpt-4.1",
    }


def test_a_request_from_litellms_own_cache_has_no_tokens():
    samples, _ = found(DOCUMENTED / "litellm_spend_logs.json")
    assert quantities([sample for sample in samples if sample.resource.id is None]) == {"requests": 1}


def test_the_same_rows_read_alike_as_array_lines_page_and_csv(tmp_path):
    rows = document("litellm_spend_logs.json")
    page = {"data": rows, "total": 3, "page": 1, "page_size": 50, "total_pages": 1}
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()}
        )
    plain, _ = read(tmp_path, rows)
    contents = {
        "lines.ndjson": "".join(json.dumps(row) + "\n" for row in rows),
        "lines.jsonl.gz": "".join(json.dumps(row) + "\n" for row in rows),
        "page.json": page,
        "array.json.gz": rows,
        "rows.json": "\n".join(json.dumps(row) for row in rows),
        "table.csv": table.getvalue(),
        "table.csv.gz": table.getvalue(),
    }
    for name, content in contents.items():
        samples, faults = read(tmp_path, content, name)
        assert faults == []
        assert [(s.workload, s.measure, s.quantity) for s in samples] == [
            (s.workload, s.measure, s.quantity) for s in plain
        ], name


def test_a_gateways_upstream_key_is_what_the_bill_knows(tmp_path):
    samples, _ = read(tmp_path, [spend_row()], upstream=["anthropic=x", "openai=key-assistant-prod"])
    assert samples[0].resource.id == "key-assistant-prod"
    assert samples[0].workload.parent == "litellm:88dc28d0f030c55e"


def test_the_labels_option_names_the_only_labels(tmp_path):
    samples, _ = read(tmp_path, [spend_row()], labels=["team", "trace_id"])
    assert samples[0].workload.labels == {"team": "fraud", "trace_id": "x1", "gen_ai.request.model": "gpt-4.1"}


def test_a_key_that_was_logged_as_it_is_becomes_litellms_hash_of_it(tmp_path):
    samples, _ = read(tmp_path, [spend_row(api_key="sk-secret")])
    assert samples[0].resource.id == hashlib.sha256(b"sk-secret").hexdigest()
    assert "sk-secret" not in repr(samples)


def test_sums_of_spend_per_day_are_told(tmp_path):
    samples, (fault,) = read(tmp_path, [{"startTime": "2026-10-01", "spend": 1.5, "users": {}, "models": {"gpt": 1.5}}])
    assert (samples, fault.code, fault.column) == ([], "sums_per_day", "models")
    assert fault.what == "These are sums of spend per day, without tokens and keys."
    assert fault.fix == "Ask /spend/logs with summarize=false, or use /spend/logs/v2."


def test_metadata_that_is_no_json_is_a_fault(tmp_path):
    samples, (fault,) = read(tmp_path, [spend_row(metadata="{'a': 1}")])
    assert (samples, fault.code, fault.column, fault.example) == ([], "bad_json", "metadata", "8 characters")
    assert (fault.what, fault.fix) == ("The text of this column is no JSON.", "Export the table again, whole.")


def test_a_time_that_is_none_is_a_fault(tmp_path):
    samples, (fault,) = read(tmp_path, [spend_row(startTime="yesterday")])
    assert (samples, fault.code, fault.column, fault.example) == ([], "bad_time", "startTime", "yesterday")
    assert fault.what == "This is no time: ISO 8601 or seconds since 1970 was expected."
    assert fault.fix == "Export the usage again, with the times as the API gave them."


@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(2026, 10, 1), datetime(2026, 10, 3)),
            st.sampled_from(["a", "b"]),
            st.integers(0, 10**6),
            st.decimals(0, 10, places=12),
        ),
        max_size=30,
    )
)
def test_sums_per_hour_add_up_to_the_rows(tmp_path_factory, calls):
    rows = [
        spend_row(startTime=began.isoformat(), api_key=key, prompt_tokens=tokens, metadata={}, spend=str(spend))
        for began, key, tokens, spend in calls
    ]
    samples, faults = read(tmp_path_factory.mktemp("llm"), rows)
    assert faults == []
    totals = dict.fromkeys(Measure, Decimal(0))
    for sample in samples:
        totals[sample.measure] += sample.quantity
        assert sample.start.minute == sample.start.second == sample.start.microsecond == 0
        assert (sample.end - sample.start).total_seconds() == 3600
    assert totals[Measure.TOKENS_INPUT] == sum(tokens for _, _, tokens, _ in calls)
    assert totals[Measure.REQUESTS] == len(calls)
    assert totals[Measure.REPORTED_COST] == sum((spend for *_, spend in calls), Decimal(0))
    assert len({(s.workload.id, s.start, s.measure) for s in samples}) == len(samples)


def test_a_day_of_litellm_is_told_by_model_and_key_and_its_rest_kept():
    samples, (fault,) = found(DOCUMENTED / "litellm_team_daily_activity.json")
    groups = by_workload(samples)
    keyed = next(group for group in groups.values() if group[0].resource.id == "88dc")
    assert quantities(keyed) == {
        "tokens_input": 50,
        "tokens_cached": 30,
        "tokens_cache_write": 10,
        "tokens_output": 40,
        "requests": 7,
        "reported_cost": Decimal("0.4"),
    }
    assert (keyed[0].workload.team, keyed[0].workload.name) == ("Fraud", "key-fraud")
    assert (keyed[0].start, keyed[0].end) == (datetime(2026, 10, 1), datetime(2026, 10, 2))
    assert quantities(groups["litellm:no-key"]) == {"tokens_input": 10, "requests": 1, "reported_cost": Decimal("0.1")}
    assert (fault.code, fault.column, fault.example, fault.rejected) == (
        "keys_not_listed",
        "breakdown",
        "2026-10-01",
        False,
    )
    assert fault.what.endswith("do not add up to the day; the rest was kept without a key.")
    assert fault.fix == 'Pull the spend logs instead (api = "litellm"), which name the key of every request.'


def test_a_day_whose_models_list_no_keys_is_told_by_key(tmp_path):
    day = document("litellm_team_daily_activity.json")
    day["results"][0]["breakdown"]["models"]["gpt-4.1"].pop("api_key_breakdown")
    day["results"][0]["metrics"] = day["results"][0]["breakdown"]["api_keys"]["88dc"]["metrics"]
    samples, faults = read(tmp_path, day)
    assert faults == []
    assert quantities(samples)["requests"] == 7
    assert (samples[0].resource.id, samples[0].workload.labels.get("gen_ai.request.model")) == ("88dc", None)


def test_a_row_of_litellms_daily_table_is_a_day(tmp_path):
    text = (
        "date,team_id,api_key,model,custom_llm_provider,prompt_tokens,completion_tokens,cache_read_input_tokens,"
        "cache_creation_input_tokens,spend,api_requests\n2026-10-01,t-1,88dc,nova,bedrock,10,2,4,1,1e-05,3\n"
    )
    samples, faults = read(tmp_path, text, "days.csv")
    assert faults == []
    assert quantities(samples)["tokens_input"] == 5
    assert quantities(samples)["reported_cost"] == Decimal("0.00001")
    assert (samples[0].resource.provider, samples[0].workload.team) == ("AWS", "t-1")
