"""How the usage of a UTC day is fetched from OpenAI, Anthropic and LiteLLM: by the hour, page by page.

Credentials beside those of every meter: `OPENAI_ADMIN_KEY` and `ANTHROPIC_ADMIN_KEY`, as the makers' own tools read
them. Anthropic wants its key in a header of its own, so `APPORTION_<SOURCE ID>_TOKEN` is no use there.

OpenAI's and Anthropic's answers hold counts only and are kept as they come; of LiteLLM's see `_llm_kept`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from apportion.errors import ConfigError, MeterUnreachable
from apportion.sources import _llm_kept
from apportion.sources._llm_anthropic import GROUPS
from apportion.sources.readings.client import secret_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.client import Client
    from apportion.sources.readings.contract import Window

OPENAI_KINDS = ("completions", "embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions")
OPENAI_GROUPS = ("project_id", "user_id", "api_key_id", "model")
OPENAI_TIERS = ("batch", "service_tier")
"""What only completions are grouped by."""
ANTHROPIC_GROUPS = ("api_key_id", "workspace_id", "model", "service_tier", "context_window")
ANTHROPIC_VERSION = "2023-06-01"
LITELLM_PAGE = 1000
"""Rows; the most that LiteLLM gives."""
MOST_PAGES = 10_000
"""So many pages one question may have: ten million rows of LiteLLM in a day."""
HOURS = 24


def pull(client: Client, window: Window, config: SourceConfig) -> Iterable[object]:
    """The answers of one day, page by page; the option `api` says of whom. Raises `ConfigError` for another value."""
    api = str(config.options.get("api", ""))
    if api not in PULLS:
        raise ConfigError.of_option(
            config.id,
            "api",
            what=f"'{api}' is no API of LLM usage." if api else "It is not said which API the usage comes from.",
            fix=f"Write api = one of {', '.join(sorted(PULLS))}.",
        )
    return PULLS[api](client, window)


def openai(client: Client, window: Window) -> Iterator[object]:
    """The buckets of one day of each kind of use, by project, user, key and model."""
    if key := secret_of("OPENAI_ADMIN_KEY"):
        client.headers = {**client.headers, "Authorization": f"Bearer {key}"}
    for kind in OPENAI_KINDS:
        tiers = OPENAI_TIERS if kind == "completions" else ()
        asked = {
            "start_time": _seconds(window.start),
            "end_time": _seconds(window.end),
            "bucket_width": "1h",
            "limit": HOURS,
            GROUPS: [*OPENAI_GROUPS, *tiers],
        }
        yield from _pages(client, f"organization/usage/{kind}", asked)


def anthropic(client: Client, window: Window) -> Iterator[object]:
    """The buckets of one day by key, workspace, model, tier and context window."""
    client.headers = {**client.headers, "anthropic-version": ANTHROPIC_VERSION}
    if key := secret_of("ANTHROPIC_ADMIN_KEY"):
        client.headers = {**client.headers, "x-api-key": key}
    asked = {
        "starting_at": f"{window.start:%Y-%m-%dT%H:%M:%SZ}",
        "ending_at": f"{window.end:%Y-%m-%dT%H:%M:%SZ}",
        "bucket_width": "1h",
        "limit": HOURS,
        GROUPS: list(ANTHROPIC_GROUPS),
    }
    yield from _pages(client, "v1/organizations/usage_report/messages", asked)


def litellm(client: Client, window: Window) -> Iterator[object]:
    """The rows of the spend logs that began in the day, oldest first: new rows do not move the pages."""
    asked = {
        "start_date": f"{window.start:%Y-%m-%d %H:%M:%S}",
        "end_date": f"{window.end:%Y-%m-%d %H:%M:%S}",
        "page_size": LITELLM_PAGE,
        "sort_by": "startTime",
        "sort_order": "asc",
    }
    yield from _numbered(client, "spend/logs/v2", asked, _of_logs)


def litellm_daily(client: Client, window: Window) -> Iterator[object]:
    """The sums of the day by model and key."""
    day = f"{window.start:%Y-%m-%d}"
    asked = {"start_date": day, "end_date": day, "page_size": LITELLM_PAGE}
    yield from _numbered(client, "team/daily/activity", asked, _of_days)


PULLS: Mapping[str, Callable[[Client, Window], Iterator[object]]] = {
    "openai": openai,
    "anthropic": anthropic,
    "litellm": litellm,
    "litellm_daily": litellm_daily,
}
"""Option `api` -> how to fetch its usage."""


def _pages(client: Client, path: str, asked: Mapping[str, Any]) -> Iterator[object]:
    page: str | None = None
    seen: set[str] = set()
    while True:
        answer = _object(client, path, client.get(path, {**asked, "page": page} if page else asked))
        yield answer
        following = answer.get("next_page") if answer.get("has_more") else None
        if not following:
            return
        page = str(following)
        if page in seen:
            raise _fault(client, path, "names a page as the next one that was read already")
        seen.add(page)
        if len(seen) >= MOST_PAGES:
            raise _fault(client, path, f"has more than {MOST_PAGES} pages")


def _numbered(
    client: Client,
    path: str,
    asked: Mapping[str, Any],
    paging: Callable[[Mapping[str, Any]], tuple[object, bool]],
) -> Iterator[object]:
    """The pages 1 to the last, as the answers say; `paging` gives how many there are, and whether more may follow.

    Raises `MeterUnreachable` where more may follow and the answer does not say how many there are.
    """
    number = 1
    while True:
        answer = _object(client, path, _llm_kept.get(client, path, {**asked, "page": number}))
        yield answer
        pages, may_go_on = paging(answer)
        if isinstance(pages, bool) or not isinstance(pages, int) or pages < 1:
            if may_go_on:
                raise _fault(client, path, f"does not say how many pages there are after page {number}")
            return
        if number >= pages:
            return
        if pages > MOST_PAGES:
            raise _fault(client, path, f"has more than {MOST_PAGES} pages")
        number += 1


def _of_logs(answer: Mapping[str, Any]) -> tuple[object, bool]:
    rows = answer.get("data")
    return answer.get("total_pages"), isinstance(rows, list) and len(rows) >= LITELLM_PAGE


def _of_days(answer: Mapping[str, Any]) -> tuple[object, bool]:
    """A day does not say of how many rows it is the sum, so any page with a day may have another after it."""
    return (answer.get("metadata") or {}).get("total_pages"), bool(answer.get("results"))


def _object(client: Client, path: str, answer: object) -> Mapping[str, Any]:
    if not isinstance(answer, dict):
        raise _fault(client, path, "answered with something that is no page of usage")
    return answer


def _fault(client: Client, path: str, what: str) -> MeterUnreachable:
    return MeterUnreachable(source=client.source_id, url=f"{client.url.rstrip('/')}/{path}", what=what)


def _seconds(time: datetime) -> int:
    return int(time.replace(tzinfo=UTC).timestamp())
