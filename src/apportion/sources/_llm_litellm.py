"""LiteLLM spend logs: rows of the table `LiteLLM_SpendLogs` as JSON or CSV, and answers of `/spend/logs`.

The key is the hash that LiteLLM keeps, its alias the name; team and project are those of the key. Labels are the tags
of a request (`team:fraud` and `team=fraud` have a key, a bare `prod` becomes `prod = "true"`; LiteLLM's own
`User-Agent:` tags are left out) and what was sent as `spend_logs_metadata`. End users are no labels.

`prompt_tokens` include cached and cache-write tokens for all providers; the two come from the usage that LiteLLM keeps
in the metadata, and are subtracted exactly. A request that LiteLLM served from its own cache (`cache_hit`) counts as a
request without tokens, for no provider billed it. `spend` is an estimate at list prices: `reported_cost`.

The provider bills its own key, not LiteLLM's: the option `upstream` names it (`["openai=key-assistant-prod"]`).

Source: litellm 1.110 (`proxy/schema.prisma`, `llms/anthropic/chat/transformation.py`, `SpendLogsMetadata`).
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Measure
from apportion.sources._llm_uses import (
    PROVIDERS,
    Caller,
    Unusable,
    Use,
    count_of,
    hour_of,
    inputs,
    labels_of,
    moment,
    request_of,
    text_of,
)
from apportion.sources.readings.answers import exact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from apportion.core.config import SourceConfig
    from apportion.sources._llm_records import Record
    from apportion.sources.readings.contract import Fault

_ROW = frozenset({"startTime", "api_key", "prompt_tokens", "completion_tokens"})
_PAGE = frozenset({"data", "total_pages"})
_OWN_TAG = "User-Agent:"
_PLAIN_KEY = "sk-"


def knows(value: object) -> bool:
    """Whether this is a row of the spend logs, a page of rows, or the sums per day that `/spend/logs` gives unasked."""
    return isinstance(value, dict) and (
        value.keys() >= _ROW or (value.keys() >= _PAGE and isinstance(value["data"], list)) or _is_summary(value)
    )


def uses(record: Record, config: SourceConfig) -> Iterator[Use | Fault]:
    """The uses of a row or a page. Rows from the end of the window on belong to the next one's answer."""
    rows = record.value["data"] if record.value.keys() >= _PAGE else [record.value]
    end = record.params.get("end_date")
    for row in rows:
        try:
            use = _use(row, config, began=moment(row.get("startTime"), "startTime"))
            if end is None or moment(row["startTime"], "startTime") < moment(end, "end_date"):
                yield use
        except Unusable as error:
            yield error.fault(record.row)


def upstream(provider: str | None, config: SourceConfig) -> str | None:
    """The resource in the provider's bill that the option `upstream` names for this provider of LiteLLM."""
    given = config.options.get("upstream", [])
    named = dict(str(pair).split("=", 1) for pair in given if "=" in str(pair)) if isinstance(given, list) else {}
    return named.get(provider or "")


def key_of(value: object) -> str | None:
    """The key as LiteLLM keeps it, its SHA-256; a key logged as it is becomes that too."""
    text = text_of(value)
    return hashlib.sha256(text.encode()).hexdigest() if text and text.startswith(_PLAIN_KEY) else text


def _is_summary(value: Mapping[str, Any]) -> bool:
    return value.keys() >= {"startTime", "spend", "models"}


def _use(row: Mapping[str, Any], config: SourceConfig, *, began: Any) -> Use:  # noqa: ANN401 - a time
    if _is_summary(row):
        raise Unusable(
            "sums_per_day",
            column="models",
            example=row.get("startTime"),
            what="These are sums of spend per day, without tokens and keys.",
            fix="Ask /spend/logs with summarize=false, or use /spend/logs/v2.",
        )
    metadata = _object(row, "metadata")
    return Use(_caller(row, metadata, config), *hour_of(began), _counts(row, metadata), request_of(row, "request_id"))


def _caller(row: Mapping[str, Any], metadata: Mapping[str, Any], config: SourceConfig) -> Caller:
    provider, team = text_of(row.get("custom_llm_provider")), text_of(row.get("team_id"))
    alias = text_of(metadata.get("user_api_key_team_alias"))
    tags = {**_tags(row), **_nested(metadata, "spend_logs_metadata")}
    return Caller(
        tool="litellm",
        key=key_of(row.get("api_key")),
        key_name=text_of(metadata.get("user_api_key_alias")),
        resource=upstream(provider, config),
        account=text_of(row.get("organization_id")),
        provider=PROVIDERS.get(provider or "", provider),
        model=text_of(row.get("model")),
        team=alias or team,
        project=text_of(metadata.get("user_api_key_project_alias") or metadata.get("user_api_key_project_id")),
        user=text_of(row.get("user")),
        labels=labels_of({**tags, **({"team_id": team} if alias and team else {})}, config),
    )


def _counts(row: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[Measure, Decimal]:
    request = {Measure.REQUESTS: Decimal(1), Measure.REPORTED_COST: count_of(row, "spend")}
    if str(row.get("cache_hit")).lower() == "true":
        return request
    cached, written = _caches(metadata)
    return {
        **inputs(count_of(row, "prompt_tokens"), cached, written, column="prompt_tokens"),
        Measure.TOKENS_OUTPUT: count_of(row, "completion_tokens"),
        **request,
    }


def _caches(metadata: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """Cached and cache-write tokens, from the first of the places in which versions of LiteLLM keep them."""
    usage, more = _nested(metadata, "usage_object"), _nested(metadata, "additional_usage_values")
    details = [(_nested(each, "prompt_tokens_details")) for each in (usage, more)]
    cached = ((usage, "cache_read_input_tokens"), (more, "cache_read_input_tokens"))
    written = ((usage, "cache_creation_input_tokens"), (more, "cache_creation_input_tokens"))
    return (
        _first((*cached, *((each, "cached_tokens") for each in details))),
        _first((*written, *((each, "cache_creation_tokens") for each in details))),
    )


def _first(places: tuple[tuple[Mapping[str, Any], str], ...]) -> Decimal:
    return next((count for values, name in places if (count := count_of(values, name))), Decimal(0))


def _tags(row: Mapping[str, Any]) -> dict[str, str]:
    given = _parsed(row, "request_tags")
    if not isinstance(given, list):
        return {}
    found: dict[str, str] = {}
    for tag in (str(each) for each in given if not str(each).startswith(_OWN_TAG)):
        at = min((tag.index(mark) for mark in ":=" if mark in tag), default=0)
        key, value = (tag[:at].strip(), tag[at + 1 :].strip()) if at else (tag, "true")
        found.setdefault(key, value)
    return found


def _nested(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _object(row: Mapping[str, Any], column: str) -> Mapping[str, Any]:
    found = _parsed(row, column)
    return found if isinstance(found, dict) else {}


def _parsed(row: Mapping[str, Any], column: str) -> object:
    """The value of a JSON column, which CSV and some versions of the API give as text."""
    value = row.get(column)
    if not isinstance(value, str) or not value.strip():
        return value
    try:
        return exact(value)
    except (ValueError, RecursionError) as error:
        raise Unusable(
            "bad_json",
            column=column,
            example=f"{len(value)} characters",
            what="The text of this column is no JSON.",
            fix="Export the table again, whole.",
        ) from error
