"""OpenAI usage buckets: the answers of `/organization/usage/completions`, `/embeddings`, `/moderations` and others.

`input_tokens` include cached and cache-write tokens, which are subtracted exactly. A result without `api_key_id` is the
project's use without a key (or the answer was not grouped by key): it is kept, for the project. Audio and images are
counted as requests; seconds, characters and pictures have no measure here. Batch and service tier are labels, because
they are billed at other prices.

Source: types of the `openai` Python package 3.57 (`types/admin/organization/usage_*`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apportion.core.measures import Measure
from apportion.sources._llm_uses import Caller, Unusable, Use, bucket, count_of, inputs, moment, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from apportion.core.config import SourceConfig
    from apportion.sources._llm_records import Record
    from apportion.sources.readings.contract import Fault

_RESULT = "organization.usage."
_TIERS = ("batch", "service_tier", "api_source")
_WITHOUT_REQUESTS = frozenset({"vector_stores", "code_interpreter_sessions", "file_searches", "web_searches"})


def knows(value: object) -> bool:
    """Whether this is a page of buckets, or a bucket."""
    return isinstance(value, dict) and (
        (value.get("object") == "page" and isinstance(value.get("data"), list)) or _is_bucket(value)
    )


def uses(record: Record, config: SourceConfig) -> Iterator[Use | Fault]:  # noqa: ARG001 - always the same
    """The uses of a page; a bucket or result that cannot be read is a fault."""
    buckets = record.value.get("data", [record.value])
    for each in buckets:
        for result in each.get("results") or () if isinstance(each, dict) else ():
            try:
                yield _use(each, result)
            except Unusable as error:
                yield error.fault(record.row)


def _is_bucket(value: Mapping[str, Any]) -> bool:
    return value.get("object") == "bucket" and "start_time" in value


def _use(each: Mapping[str, Any], result: Mapping[str, Any]) -> Use:
    _check(result)
    start, end = (moment(each.get(name), name) for name in ("start_time", "end_time"))
    bucket(start, end, "start_time")
    labels = {name: text for name in _TIERS if (text := text_of(result.get(name)))}
    caller = Caller(
        tool="openai",
        key=text_of(result.get("api_key_id")),
        account=text_of(result.get("project_id")),
        provider="OpenAI",
        model=text_of(result.get("model")),
        user=text_of(result.get("user_id")),
        labels=tuple(sorted(labels.items())),
    )
    return Use(caller, start, end, _counts(result))


def _counts(result: Mapping[str, Any]) -> dict[Measure, Any]:
    total, cached = count_of(result, "input_tokens"), count_of(result, "input_cached_tokens")
    return {
        **inputs(total, cached, count_of(result, "input_cache_write_tokens"), column="input_cached_tokens"),
        Measure.TOKENS_OUTPUT: count_of(result, "output_tokens"),
        Measure.REQUESTS: count_of(result, "num_model_requests"),
    }


def _check(result: object) -> None:
    kind = str(result.get("object", "")) if isinstance(result, dict) else str(result)
    name = kind.removeprefix(_RESULT).removesuffix(".result")
    if not kind.startswith(_RESULT) or name in _WITHOUT_REQUESTS:
        raise Unusable(
            "not_model_usage",
            column="object",
            example=kind,
            what="This is no usage of a model: it has neither tokens nor model requests.",
            fix="Nothing to do: its cost stays with what the bill says; fetch completions, embeddings or moderations.",
        )
