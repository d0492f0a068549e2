"""Pulling usage from OpenAI, Anthropic and LiteLLM: documented answers from a server on loopback, page by page."""

import io
from datetime import datetime

import pytest
from tests.sources.llm_files import config, document, quantities, read
from tests.sources.usage_server import served

from apportion.errors import ConfigError, MeterUnreachable
from apportion.sources import _llm_pull
from apportion.sources.llm import SOURCE
from apportion.sources.readings.client import Client
from apportion.sources.readings.contract import Window

DAY = Window(datetime(2026, 10, 1), datetime(2026, 10, 2), datetime(2026, 10, 2, 3))
USAGE = "/v1/organization/usage"
MESSAGES = "/v1/organizations/usage_report/messages"


@pytest.fixture(autouse=True)
def no_keys_of_our_own(monkeypatch):
    for name in ("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "APPORTION_LLM_TOKEN", "APPORTION_LLM_USER"):
        monkeypatch.delenv(name, raising=False)


def pulled(url, api):
    """What a pull of one day kept."""
    kept = io.StringIO()
    client = Client("llm", url, kept, DAY.read_at, sleep=lambda _: None)
    try:
        list(SOURCE.pull(client, DAY, config(api=api)))
    finally:
        client.close()
    return kept.getvalue()


def last_page(name):
    return {**document(name), "has_more": False, "next_page": None}


def empty_openai():
    return [{"object": "page", "data": [], "has_more": False, "next_page": None}]


OTHER_KINDS = ("embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions")


def openai_answers(*completions):
    return {
        f"{USAGE}/completions": list(completions),
        **{f"{USAGE}/{kind}": empty_openai() for kind in OTHER_KINDS},
    }


def test_openai_is_asked_by_the_hour_and_page_by_page(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-secret")
    first, second = document("openai_completions.json"), last_page("openai_completions.json")
    with served(openai_answers(first, second)) as (url, asked):
        kept = pulled(f"{url}/v1", "openai")
    assert [path for path, _, _ in asked] == [
        f"{USAGE}/completions",
        f"{USAGE}/completions",
        *(f"{USAGE}/{kind}" for kind in OTHER_KINDS),
    ]
    assert asked[0][1] == {
        "start_time": ["1790812800"],
        "end_time": ["1790899200"],
        "bucket_width": ["1h"],
        "limit": ["24"],
        "group_by[]": ["project_id", "user_id", "api_key_id", "model", "batch", "service_tier"],
    }
    assert asked[1][1]["page"] == ["page_2"]
    assert asked[2][1]["group_by[]"] == ["project_id", "user_id", "api_key_id", "model"]
    assert {headers["Authorization"] for _, _, headers in asked} == {"Bearer sk-admin-secret"}
    assert "secret" not in kept
    samples, faults = read(tmp_path, kept, "day.jsonl")
    assert faults == []
    assert quantities([s for s in samples if s.resource.id == "key_abc"])["requests"] == 8


def test_anthropic_is_asked_with_its_own_headers(tmp_path, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_ADMIN_KEY", "sk-ant-admin-secret")
    first = {**document("anthropic_messages.json"), "has_more": True, "next_page": "two"}
    with served({MESSAGES: [first, last_page("anthropic_messages.json")]}) as (url, asked):
        kept = pulled(url, "anthropic")
    assert asked[0][1] == {
        "starting_at": ["2026-10-01T00:00:00Z"],
        "ending_at": ["2026-10-02T00:00:00Z"],
        "bucket_width": ["1h"],
        "limit": ["24"],
        "group_by[]": ["api_key_id", "workspace_id", "model", "service_tier", "context_window"],
    }
    assert asked[1][1]["page"] == ["two"]
    headers = {name.lower(): value for name, value in asked[0][2].items()}
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("sk-ant-admin-secret", "2023-06-01")
    assert "secret" not in kept
    samples, faults = read(tmp_path, kept, "day.jsonl")
    assert faults == []
    assert quantities([s for s in samples if s.resource.id])["tokens_input"] == 3000
    assert {s.resource.account for s in samples} == {"wrkspc_01", "default"}


def test_litellm_rows_come_oldest_first_and_one_at_midnight_belongs_to_the_next_day(tmp_path):
    first, second, third = document("litellm_spend_logs.json")
    midnight = {**second, "startTime": "2026-10-02T00:00:00Z"}
    pages = [
        {"data": rows, "total": 4, "page": at, "page_size": 1000, "total_pages": 2}
        for at, rows in ((1, [first, third]), (2, [second, midnight]))
    ]
    with served({"/spend/logs/v2": pages}) as (url, asked):
        kept = pulled(url, "litellm")
    assert [question["page"] for _, question, _ in asked] == [["1"], ["2"]]
    assert {key: value for key, value in asked[0][1].items() if key != "page"} == {
        "start_date": ["2026-10-01 00:00:00"],
        "end_date": ["2026-10-02 00:00:00"],
        "page_size": ["1000"],
        "sort_by": ["startTime"],
        "sort_order": ["asc"],
    }
    samples, faults = read(tmp_path, kept, "day.jsonl")
    assert faults == []
    assert quantities([s for s in samples if s.resource.id])["requests"] == 2
    assert {sample.start for sample in samples} == {datetime(2026, 10, 1, 8)}


def test_litellm_days_are_asked_until_the_last_page(tmp_path):
    page = document("litellm_team_daily_activity.json")
    page["metadata"]["total_pages"] = 2
    with served({"/team/daily/activity": [page, page]}) as (url, asked):
        kept = pulled(url, "litellm_daily")
    assert [question["page"] for _, question, _ in asked] == [["1"], ["2"]]
    assert asked[0][1]["start_date"] == asked[0][1]["end_date"] == ["2026-10-01"]
    samples, faults = read(tmp_path, kept, "day.jsonl")
    assert [fault.code for fault in faults] == ["keys_not_listed"] * 2
    assert quantities([s for s in samples if s.resource.id])["requests"] == 14


def test_a_page_that_names_itself_as_the_next_ends_the_pull():
    with (
        served(openai_answers(document("openai_completions.json"))) as (url, asked),
        pytest.raises(MeterUnreachable) as error,
    ):
        pulled(f"{url}/v1", "openai")
    assert str(error.value) == (
        f"Source 'llm': {url}/v1/organization/usage/completions names a page as the next one that was read already. "
        "Days that were complete are kept and nothing of this source was ingested; check the address and the "
        "credentials in the environment, and try again."
    )
    assert len(asked) == 2


def test_pages_that_go_round_in_a_circle_end_the_pull():
    pages = [{**empty_openai()[0], "has_more": True, "next_page": name} for name in ("b", "c", "a", "b", "c", "a")]
    with (
        served(openai_answers(*pages)) as (url, asked),
        pytest.raises(MeterUnreachable, match="names a page as the next one that was read already"),
    ):
        pulled(f"{url}/v1", "openai")
    assert len(asked) == 4


def test_pages_without_an_end_end_the_pull(monkeypatch):
    monkeypatch.setattr(_llm_pull, "MOST_PAGES", 3)
    pages = [{**empty_openai()[0], "has_more": True, "next_page": str(at)} for at in range(9)]
    with served(openai_answers(*pages)) as (url, asked), pytest.raises(MeterUnreachable, match="more than 3 pages"):
        pulled(f"{url}/v1", "openai")
    assert len(asked) == 3


@pytest.mark.parametrize(("total", "refused"), [(3, False), (4, True), (10**12, True)])
def test_more_pages_than_a_day_can_have_end_the_pull_at_once(monkeypatch, total, refused):
    monkeypatch.setattr(_llm_pull, "MOST_PAGES", 3)
    page = {"data": [], "total": 0, "page_size": 1000, "total_pages": total}
    with served({"/spend/logs/v2": [page] * 5}) as (url, asked):
        if refused:
            with pytest.raises(MeterUnreachable, match="has more than 3 pages"):
                pulled(url, "litellm")
        else:
            pulled(url, "litellm")
    assert len(asked) == (1 if refused else 3)


@pytest.mark.parametrize(("api", "name"), [("openai", "OPENAI_ADMIN_KEY"), ("anthropic", "ANTHROPIC_ADMIN_KEY")])
def test_a_key_that_cannot_be_sent_is_told_by_its_variable_alone(monkeypatch, api, name):
    monkeypatch.setenv(name, "s3cr\u00e9t")
    with pytest.raises(ConfigError, match=name) as error:
        pulled("http://127.0.0.1:9", api)
    assert "s3cr" not in str(error.value)


@pytest.mark.parametrize("total", [None, "3", True, 0, -1, 1.5])
def test_a_full_page_that_does_not_say_how_many_there_are_ends_the_pull(monkeypatch, total):
    monkeypatch.setattr(_llm_pull, "LITELLM_PAGE", 3)
    page = {"data": document("litellm_spend_logs.json"), "total_pages": total}
    day = document("litellm_team_daily_activity.json")
    day["metadata"]["total_pages"] = total
    answers = {"/spend/logs/v2": [page], "/team/daily/activity": [day]}
    for api, path in zip(("litellm", "litellm_daily"), answers, strict=True):
        with served(answers) as (url, asked), pytest.raises(MeterUnreachable) as error:
            pulled(url, api)
        assert f"{path} does not say how many pages there are after page 1. Days that were" in str(error.value)
        assert len(asked) == 1


def test_a_full_page_without_any_number_of_pages_ends_the_pull(monkeypatch):
    monkeypatch.setattr(_llm_pull, "LITELLM_PAGE", 3)
    with (
        served({"/spend/logs/v2": [{"data": document("litellm_spend_logs.json")}]}) as (url, _),
        pytest.raises(MeterUnreachable, match="does not say how many pages there are"),
    ):
        pulled(url, "litellm")


@pytest.mark.parametrize("total", [None, "3", 0])
def test_a_page_that_is_not_full_is_the_last_whatever_it_says_of_others(tmp_path, total):
    pages = {
        "/spend/logs/v2": [{"data": document("litellm_spend_logs.json"), "total_pages": total}],
        "/team/daily/activity": [{"results": [], "metadata": {"total_pages": total}}],
    }
    for api in ("litellm", "litellm_daily"):
        with served(pages) as (url, asked):
            _, faults = read(tmp_path, pulled(url, api), "day.jsonl")
        assert (len(asked), faults) == (1, [])


def test_an_answer_that_is_no_page_ends_the_pull():
    with served({"/spend/logs/v2": [[1]]}) as (url, _), pytest.raises(MeterUnreachable) as error:
        pulled(url, "litellm")
    assert "/spend/logs/v2 answered with something that is no page of usage. Days that were" in str(error.value)


def test_an_api_that_refuses_is_told():
    with served({}) as (url, _), pytest.raises(MeterUnreachable, match="answered 404 Not Found"):
        pulled(url, "anthropic")


@pytest.mark.parametrize(
    ("api", "what"),
    [("gemini", "'gemini' is no API of LLM usage."), ("", "It is not said which API the usage comes from.")],
)
def test_an_unknown_api_is_told_with_those_known(api, what):
    with pytest.raises(ConfigError) as error:
        pulled("http://127.0.0.1:9", api)
    assert str(error.value) == (
        f"apportion.toml: sources.llm.options.api: {what} Write api = one of anthropic, litellm, litellm_daily, openai."
    )
