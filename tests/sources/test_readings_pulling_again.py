"""What becomes of kept answers when an API is asked again: one that forgets, and one that tells only what is now."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from tests.sources.metered import served
from tests.sources.scripted_server import ok, serving

from apportion.core.config import SourceConfig
from apportion.core.measures import Basis, Measure, Rank
from apportion.core.problems import Severity
from apportion.core.progress import silent
from apportion.errors import MeterUnreachable, UnknownShape
from apportion.sources import kserve, kubeflow, ray
from apportion.sources.llm import SOURCE as LLM
from apportion.sources.readings.answers import answers, kept, poorer, pulled_at
from apportion.sources.readings.contract import Fault, MeterSource, RawFile, Resource, Sample
from apportion.sources.readings.ingest import ingest
from apportion.sources.readings.pulling import Present, pull
from apportion.store import open_store

NOW = datetime(2026, 10, 10, 12, 30)


def config(**options):
    return SourceConfig(id="my-meter", kind="toy", paths=(), options=options)


def ask(client, window, given_config):
    yield client.get("day", {"start": window.start.isoformat(), "end": window.end.isoformat()})


# --- what a meter forgets ---------------------------------------------------------------------------------------------


def jobs_of(file, given_config):
    """A sample for each name in the answers, and a fault for what is none."""
    for answer in answers(file):
        if not isinstance(answer.body, list):
            raise UnknownShape(file=file.name, what="holds no jobs.", fix="Ask again.")
        for name in answer.body:
            if name is None:
                yield Fault(code="nameless", row=answer.row, column="", example="", what="No name.", fix="Name it.")
                continue
            yield Sample(
                resource=Resource(id="i-1"), workload=None, measure=Measure.GPU_SECONDS, basis=Basis.CAPACITY,
                quantity=Decimal(1), start=NOW, end=NOW + timedelta(hours=1), row=answer.row, key=name,
            )  # fmt: skip


JOBS = MeterSource("jobs", "Jobs", read=jobs_of, rank=Rank.CLUSTER, pull=ask)
LATER = NOW + timedelta(days=60)


def pulled_days(folder, *bodies, now=NOW, source=JOBS, since="2026-10-10"):
    """Pull once, an answer a day."""
    with serving(*(ok(body) for body in bodies)) as (url, asked):
        pull(source, config(url=url, since=since), folder=folder, now=now, progress=silent)
    return asked


def names(path):
    return [answer.body for answer in answers(RawFile(path, "x.jsonl", None))]


@pytest.mark.parametrize("found", [["b", "c"], ["a", "b", "c"]])
def test_an_answer_with_as_many_samples_or_more_replaces_the_kept_one(tmp_path, found):
    pulled_days(tmp_path, ["a", "b"])
    pulled_days(tmp_path, found, now=NOW + timedelta(hours=1))
    assert names(tmp_path / "2026-10-10.jsonl") == [found]
    assert [path.name for path in tmp_path.iterdir()] == ["2026-10-10.jsonl"]


@pytest.mark.parametrize("found", [[], ["a"], ["a", None, None]])
def test_an_answer_with_fewer_samples_lies_beside_the_kept_one(tmp_path, found):
    pulled_days(tmp_path, ["a", "b"])
    pulled_days(tmp_path, found, now=NOW + timedelta(hours=1))
    day = tmp_path / "2026-10-10.jsonl"
    assert (names(day), pulled_at(day)) == ([["a", "b"]], NOW)
    assert (names(poorer(day)), pulled_at(poorer(day))) == ([found], NOW + timedelta(hours=1))


def test_a_day_that_was_forgotten_is_not_asked_for_for_ever(tmp_path):
    pulled_days(tmp_path, ["a", "b"])
    first = pulled_days(tmp_path, [], now=LATER)
    second = pulled_days(tmp_path, [], now=LATER + timedelta(hours=1))
    assert first[0][2]["start"][:10] == "2026-10-10"
    assert second[0][2]["start"][:10] == "2026-12-06"


def test_a_day_that_is_remembered_again_is_no_longer_forgotten(tmp_path):
    for no, found in enumerate((["a", "b"], ["a"], ["a", "b", "c"])):
        pulled_days(tmp_path, found, now=NOW + timedelta(hours=no))
    assert names(tmp_path / "2026-10-10.jsonl") == [["a", "b", "c"]]
    assert not poorer(tmp_path / "2026-10-10.jsonl").exists()


@pytest.mark.parametrize("damaged", ['{"no": "jobs"}\n', "{\n"])
def test_a_kept_answer_that_cannot_be_read_is_replaced(tmp_path, damaged):
    (tmp_path / "2026-10-10.jsonl").write_text(damaged)
    pulled_days(tmp_path, [])
    assert names(tmp_path / "2026-10-10.jsonl") == [[]]


def test_a_new_answer_that_cannot_be_read_leaves_the_kept_one(tmp_path):
    pulled_days(tmp_path, ["a"])
    with pytest.raises(UnknownShape, match=r"2026-10-10\.jsonl.*holds no jobs"):
        pulled_days(tmp_path, {"no": "jobs"}, now=NOW + timedelta(hours=1))
    assert names(tmp_path / "2026-10-10.jsonl") == [["a"]]


def used_tokens(path, params, headers):
    """What OpenAI answers of one hour of completions, in which one model was used."""
    result = {"object": "organization.usage.completions.result", "input_tokens": 70, "output_tokens": 30,
              "num_model_requests": 2, "project_id": "p", "model": "m"}  # fmt: skip
    start = int(params["start_time"])
    bucket = {"object": "bucket", "start_time": start, "end_time": start + 3600, "results": [result]}
    return 200, {"object": "page", "data": [bucket] if path.endswith("/completions") else [], "has_more": False}


def no_tokens(path, params, headers):
    """What OpenAI answers of a day of which it knows nothing."""
    return 200, {"object": "page", "data": [], "has_more": False}


def brought_in(store, folder, answer, now):
    """Pull and bring in what a source of OpenAI's usage answers."""
    with served(answer) as (url, _), store.writing():
        given_config = SourceConfig("openai", "llm", (), options={"api": "openai", "url": url, "since": "2026-10-10"})
        files = pull(LLM, given_config, folder=folder / "pulled", now=now, progress=silent)
        paths = tuple(str(file) for file in files)
        kept_config = SourceConfig("openai", "llm", (), options={"api": "openai"})
        return ingest(kept_config, store=store, paths=paths, base=folder, progress=silent, whole=True)


def test_a_day_that_the_meter_forgot_still_counts_and_is_told_each_time(tmp_path):
    with open_store(tmp_path / "state") as store:
        brought_in(store, tmp_path, used_tokens, NOW)
        rows = sum(snapshot.rows for snapshot in store.current_readings())
        for hours in (1, 2):
            result = brought_in(store, tmp_path, no_tokens, NOW + timedelta(hours=hours))
            (problem,) = result.problems
            asked_at = (NOW + timedelta(hours=hours)).isoformat()
            assert (problem.code, problem.severity) == ("day_forgotten", Severity.WARNING)
            assert (problem.file, problem.rows) == (str(tmp_path / "pulled" / "2026-10-10.jsonl"), "all")
            assert problem.example == f"asked again at {asked_at}Z"
            assert problem.what == (
                "The meter no longer remembers all of this day: asked again, it gave less. What was kept counts."
            )
            assert problem.fix == (
                "Nothing, if only its memory is short; to take what it says now, delete the file and pull again."
            )
        assert sum(snapshot.rows for snapshot in store.current_readings()) == rows > 0
        assert brought_in(store, tmp_path, used_tokens, NOW + timedelta(hours=3)).problems == ()


# --- meters that tell only what is now --------------------------------------------------------------------------------

NOWADAYS = MeterSource("now", "Now", read=jobs_of, rank=Rank.CLUSTER, pull=Present(ask))


def test_what_is_now_is_asked_for_once_however_long_the_past(tmp_path):
    said = []
    with serving(ok(["a"])) as (url, asked):
        files = pull(
            NOWADAYS, config(url=url), folder=tmp_path, now=NOW, progress=lambda *all_: said.append(all_)
        )  # fmt: skip
    assert [file.name for file in files] == ["2026-10-10T123000.jsonl"]
    assert [params for _, _, params, *_ in asked] == [{"start": "2026-09-05T00:00:00", "end": NOW.isoformat()}]
    assert said == [("asking my-meter for what is now", 0, 1)]


def test_each_pull_of_what_is_now_is_kept_and_replaces_none(tmp_path):
    (tmp_path / "2026-10-08.jsonl").write_text(kept("day", {}, read_at=datetime(2026, 10, 8, 5), text="[]"))
    for hours, found in enumerate((["a"], [], ["b"])):
        pulled_days(tmp_path, found, now=NOW + timedelta(hours=hours), source=NOWADAYS)
    assert {path.name: names(path) for path in tmp_path.iterdir()} == {
        "2026-10-08.jsonl": [[]],
        "2026-10-10T123000.jsonl": [["a"]],
        "2026-10-10T133000.jsonl": [[]],
        "2026-10-10T143000.jsonl": [["b"]],
    }


def test_a_later_pull_of_what_is_now_asks_from_a_day_before_the_last(tmp_path):
    pulled_days(tmp_path, [], source=NOWADAYS, since="2026-10-01")
    asked = pulled_days(tmp_path, [], source=NOWADAYS, since="2026-10-01", now=NOW + timedelta(days=3))
    assert [params["start"] for _, _, params, *_ in asked] == ["2026-10-09T12:30:00"]


def test_what_is_now_is_not_asked_for_before_the_first_day(tmp_path):
    assert pulled_days(tmp_path, [], source=NOWADAYS, since="2026-10-11") == []
    assert list(tmp_path.iterdir()) == []


def test_a_pull_of_what_is_now_that_fails_is_not_kept(tmp_path):
    with serving((401, {}, {})) as (url, _), pytest.raises(MeterUnreachable):
        pull(NOWADAYS, config(url=url), folder=tmp_path, now=NOW, progress=silent)
    assert list(tmp_path.glob("*.jsonl")) == []


@pytest.mark.parametrize("source", [kserve.SOURCE, kubeflow.SOURCE, ray.SOURCE])
def test_sources_whose_api_has_no_past_say_so(source):
    assert isinstance(source.pull, Present)
