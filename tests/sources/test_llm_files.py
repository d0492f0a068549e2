"""Files of LLM usage: damaged, empty, broken in one place, or cut anywhere while they are read."""

import io
import json
import re
from datetime import datetime

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.llm_files import DOCUMENTED, found, read, spend_row

from apportion.core.config import SourceConfig
from apportion.core.progress import silent
from apportion.errors import UnknownShape, UnreadableFile
from apportion.sources import _llm_records, _llm_uses
from apportion.sources._llm_uses import Caller, workload_of
from apportion.sources.llm import KNOWN
from apportion.sources.readings.ingest import ingest
from apportion.store import open_store


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(UnknownShape) as error:
        read(tmp_path, {"hello": 1})
    assert str(error.value) == f"usage.json: is no usage of language models. {KNOWN}"


def test_a_later_record_of_another_kind_is_a_fault(tmp_path):
    samples, (fault,) = read(tmp_path, [spend_row(), {"hello": 1}])
    assert len(samples) > 1
    assert (fault.code, fault.row, fault.example) == ("unknown_record", 2, "hello")
    assert (fault.what, fault.fix) == ("This record is no usage of language models.", KNOWN)


def test_a_record_that_is_built_otherwise_is_a_fault(tmp_path):
    page = {"object": "page", "data": [{"object": "bucket", "results": 5}]}
    samples, (fault,) = read(tmp_path, page)
    assert (samples, fault.code, fault.row) == ([], "bad_record", 1)
    assert fault.what == "This record is not built as its kind should be (TypeError)."
    assert fault.fix == "Export or fetch the usage again."


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[{"a": 1}', "document 1 ends before its array does."),
        ('[{"a": 1} {"a": 2}]', "document 1 has no comma between two elements."),
        ('[{"a": 1}] x', "document 1 goes on after its array."),
        ('[{"a": 1},]', "document 2 is no JSON."),
        ('{"a": ', "document 1 is no JSON."),
    ],
)
def test_a_damaged_file_is_refused_whole(tmp_path, text, what):
    with pytest.raises(UnreadableFile) as error:
        read(tmp_path, text.replace('{"a": 1}', json.dumps(spend_row())))
    assert str(error.value) == f"usage.json: {what} Fetch or export it again, whole."


def test_a_damaged_table_is_refused(tmp_path):
    with pytest.raises(UnreadableFile) as error:
        read(tmp_path, 'startTime,api_key,prompt_tokens,completion_tokens\n2026-10-01,"a', "usage.csv")
    assert str(error.value) == "usage.csv: is no CSV: unexpected end of data. Export it again, whole."


@pytest.mark.parametrize("text", ["", "  \n", "[]", "[ ]", '{"object": "page", "data": [], "has_more": false}'])
def test_an_empty_file_has_nothing(tmp_path, text):
    assert read(tmp_path, text) == ([], [])


def test_tags_that_differ_with_every_request_are_refused_before_memory_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(_llm_uses, "LARGEST_SUMS", 2)
    rows = [spend_row(request_tags=[f"job:{number}"]) for number in range(3)]
    with pytest.raises(UnreadableFile) as error:
        read(tmp_path, rows)
    assert str(error.value) == (
        "usage.json: holds more than 2 different callers and hours: a tag differs with every request. "
        'Name the tags that say whose a request is: labels = ["team", "project"] in the options.'
    )
    assert read(tmp_path, rows, labels=["team"])[1] == []


@given(st.lists(st.text() | st.integers() | st.dictionaries(st.text(), st.text())), st.integers(1, 9), st.booleans())
def test_documents_are_the_same_however_the_stream_is_cut(values, chunk, array):
    documents = [{"value": value} for value in values]
    text = json.dumps(documents, indent=1) if array else "\n".join(json.dumps(each) for each in documents)
    before, _llm_records._CHUNK = _llm_records._CHUNK, chunk
    try:
        assert list(_llm_records._Documents("x", io.StringIO(text))) == documents
    finally:
        _llm_records._CHUNK = before


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
NAMES = [path.name for path in sorted(DOCUMENTED.glob("*.json"))]


@given(st.sampled_from(NAMES), st.data())
def test_a_broken_value_anywhere_is_a_fault_and_never_an_accident(tmp_path_factory, name, data):
    text = (DOCUMENTED / name).read_text()
    whole = [json.loads(line) for line in text.splitlines()] if name == "bedrock.json" else json.loads(text)
    places = []

    def walk(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(whole)
    node, key = data.draw(st.sampled_from(places))
    node[key] = data.draw(anything)
    try:
        samples, _ = read(tmp_path_factory.mktemp("llm"), whole)
    except UnknownShape:
        return
    assert all(sample.quantity > 0 and sample.start < sample.end for sample in samples)


def test_a_caller_without_anything_else_is_its_key():
    workload = workload_of(Caller(tool="openai", key="k"))
    assert (workload.id, workload.parent, workload.links) == ("openai:k", None, ("openai:k",))


# --- several files of one log, several answers of one API -------------------------------------------------------------


def bedrock(no):
    return {
        "schemaType": "ModelInvocationLog",
        "timestamp": f"2026-10-01T08:{no:02}:00Z",
        "accountId": "111122223333",
        "region": "eu-west-1",
        "requestId": f"request-{no}",
        "modelId": "anthropic.claude",
        "input": {"inputTokenCount": 100},
        "output": {"outputTokenCount": 10},
    }


def litellm(no):
    return spend_row(request_id=f"request-{no}", startTime=f"2026-10-01T08:{no:02}:00Z")


def otel(no):
    span = {
        "traceId": "t",
        "spanId": f"s{no}",
        "startTimeUnixNano": str((1790841600 + 60 * no) * 10**9),
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "100"}},
        ],
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def unnamed(no):
    return {key: value for key, value in litellm(no).items() if key != "request_id"}


def brought(folder, files):
    """Requests that intake and metering count, each file having been brought under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_store(folder / "state") as store:
        for name, rows in files:
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / name).write_text(text)
            source = SourceConfig("llm", "llm", ())
            with store.writing():
                ingest(source, store=store, paths=(name,), base=folder, progress=silent)
        kept = [row for each in store.current_readings() for row in pq.read_table(each.samples).to_pylist()]
    last = {row["x_Key"]: row for row in kept if row["x_Measure"] == "requests"}
    assert {row["x_Start"] for row in last.values()} == {datetime(2026, 10, 1, 8)}
    return sum(row["x_Quantity"] for row in last.values())


@pytest.mark.parametrize("made", [bedrock, litellm, otel, unnamed])
def test_requests_of_one_hour_in_several_files_of_a_log_add_up(tmp_path, made):
    files = [("a.jsonl", [made(1), made(2)]), ("b.jsonl", [made(3)]), ("c.jsonl", [made(4), made(5), made(6)])]
    assert brought(tmp_path, files) == 6


@pytest.mark.parametrize("made", [bedrock, litellm, otel, unnamed])
def test_a_file_of_a_log_that_grows_counts_once_under_its_own_name_and_another(tmp_path, made):
    grown = [made(1), made(2), made(3)]
    assert brought(tmp_path / "same", [("a.jsonl", grown[:2]), ("a.jsonl", grown)]) == 3
    assert brought(tmp_path / "other", [("a.jsonl", grown[:2]), ("b.jsonl", grown)]) == 3


def test_a_request_in_two_files_that_begin_differently_counts_twice_as_is_said(tmp_path):
    assert brought(tmp_path, [("a.jsonl", [bedrock(1), bedrock(2)]), ("b.jsonl", [bedrock(2), bedrock(3)])]) == 4


@pytest.mark.parametrize(
    "name", ["openai_completions.json", "anthropic_messages.json", "litellm_team_daily_activity.json"]
)
def test_what_an_api_adds_up_has_no_key_and_a_later_answer_replaces_it(name):
    samples, _ = found(DOCUMENTED / name)
    assert {sample.key for sample in samples} == {""}


def test_a_key_says_nothing_of_the_request(tmp_path):
    samples, _ = read(tmp_path, litellm(1))
    (key,) = {sample.key for sample in samples}
    assert re.fullmatch("[0-9a-f]{16}", key)
