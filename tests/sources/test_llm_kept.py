"""What a pull keeps of LiteLLM: rows that were stored with prompts and plain keys, from a server on loopback."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.llm_files import config, document, read, spend_row
from tests.sources.usage_server import served

from apportion.errors import MeterUnreachable
from apportion.sources._llm_kept import json_text, without_contents
from apportion.sources._llm_pull import OPENAI_KINDS
from apportion.sources.llm import SOURCE
from apportion.sources.readings.answers import exact
from apportion.sources.readings.client import Client
from apportion.sources.readings.contract import Window

DAY = Window(datetime(2026, 10, 1), datetime(2026, 10, 2), datetime(2026, 10, 2, 3))
PROMPT = "Dear bank, my PIN is 1234"
KEY = "sk-abcdefghijklmnop-QRSTUV"
HASH = hashlib.sha256(KEY.encode()).hexdigest()


@pytest.fixture(autouse=True)
def no_keys_of_our_own(monkeypatch):
    for name in ("APPORTION_LLM_TOKEN", "APPORTION_LLM_USER"):
        monkeypatch.delenv(name, raising=False)


def pulled(url, api):
    """What a pull of one day kept."""
    kept = io.StringIO()
    client = Client("llm", url, kept, DAY.read_at, sleep=lambda _: None)
    try:
        list(SOURCE.pull(client, DAY, config(api=api)))
    finally:
        client.close()
    assert client.keep is kept
    return kept.getvalue()


def stored_row(**changed):
    """A row as LiteLLM gives it where it is told to store prompts."""
    said = {"role": "user", "content": PROMPT}
    return spend_row(
        messages=[said],
        response={"choices": [{"message": said}]},
        proxy_server_request={"body": {"messages": [said]}, "headers": {"x-api-key": KEY}},
        **changed,
    )


def page(*rows):
    return {"data": list(rows), "total": len(rows), "page": 1, "page_size": 1000, "total_pages": 1}


def test_prompts_and_answers_of_models_are_not_kept(tmp_path):
    metadata = spend_row()["metadata"]
    rows = [
        stored_row(request_id="1"),
        stored_row(request_id="2", metadata={**metadata, "guardrail": [{"response": PROMPT}]}),
        stored_row(request_id="3", metadata=json.dumps({**metadata, "proxy_server_request": {"body": PROMPT}})),
    ]
    with served({"/spend/logs/v2": [page(*rows)]}) as (url, _):
        kept = pulled(url, "litellm")
    assert PROMPT not in kept
    assert not any(name in kept for name in ("messages", "proxy_server_request", '"response"'))
    plain, _ = read(tmp_path, page(*(spend_row(request_id=str(no)) for no in (1, 2, 3))))
    samples, faults = read(tmp_path, kept, "day.jsonl")
    assert faults == []
    assert [(s.workload, s.measure, s.quantity) for s in samples] == [
        (s.workload, s.measure, s.quantity) for s in plain
    ]


def test_a_plain_key_is_kept_as_its_hash_and_counts_as_the_same_key(tmp_path):
    rows = [
        stored_row(api_key=KEY),
        stored_row(
            api_key="sk-1234", metadata={"user_api_key": "sk-1234", "note": f"Bearer {KEY}", "tag": "task-sk-1"}
        ),
    ]
    with served({"/spend/logs/v2": [page(*rows)]}) as (url, _):
        kept = pulled(url, "litellm")
    assert KEY not in kept
    assert "sk-1234" not in kept
    assert f"Bearer {HASH}" in kept
    assert "task-sk-1" in kept
    samples, _ = read(tmp_path, kept, "day.jsonl")
    assert {one.resource.id for one in samples} == {HASH, hashlib.sha256(b"sk-1234").hexdigest()}


def test_plain_keys_that_name_the_sums_of_a_day_are_kept_as_their_hashes(tmp_path):
    text = json.dumps(document("litellm_team_daily_activity.json")).replace('"88dc"', json.dumps(KEY))
    with served({"/team/daily/activity": [json.loads(text)]}) as (url, _):
        kept = pulled(url, "litellm_daily")
    assert KEY not in kept
    samples, _ = read(tmp_path, kept, "day.jsonl")
    assert HASH in {one.resource.id for one in samples}


def test_what_is_kept_names_its_request():
    with served({"/spend/logs/v2": [page()]}) as (url, _):
        (line,) = pulled(url, "litellm").splitlines()
    request = json.loads(line)["apportion_answer"]
    assert (request["path"], request["read_at"]) == ("spend/logs/v2", "2026-10-02T03:00:00")
    assert (request["params"]["page"], request["params"]["end_date"]) == (1, "2026-10-02 00:00:00")


def test_answers_of_other_apis_are_kept_as_they_come():
    answer = {"object": "page", "data": [], "has_more": False, "next_page": None, "note": [{"response": 1.50}]}
    answers = {f"/organization/usage/{kind}": [answer] for kind in OPENAI_KINDS}
    with served(answers) as (url, _):
        lines = pulled(url, "openai").splitlines()
    assert [json.loads(line)["body"] for line in lines] == [answer] * len(OPENAI_KINDS)


@pytest.mark.parametrize("as_text", [False, True])
def test_values_within_values_without_end_end_the_pull(as_text):
    deep = "[" * 600 + "]" * 600
    row = spend_row(metadata=deep if as_text else json.loads(deep))
    with served({"/spend/logs/v2": [page(row)]}) as (url, _), pytest.raises(MeterUnreachable) as error:
        pulled(url, "litellm")
    assert f"{url}/spend/logs/v2 answered with values within values without end." in str(error.value)


NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_what_it_was_to_the_last_digit(value):
    again = exact(json_text(value))
    assert again == value
    assert json_text(again) == json_text(value)


@given(VALUES, st.sampled_from(["messages", "response", "proxy_server_request"]))
def test_contents_are_left_out_wherever_they_stand(value, name):
    row = {name: value, "rows": [{name: value, "kept": 1}], "text": json.dumps({name: 1, "kept": 2})}
    assert without_contents(row) == {"rows": [{"kept": 1}], "text": '{"kept": 2}'}


def test_numbers_keep_their_digits():
    assert (
        json_text({"spend": Decimal("1E-7"), "tokens": 10**30}) == '{"spend": 1E-7, "tokens": ' + "1" + "0" * 30 + "}"
    )
