"""Anthropic usage buckets: the answers of `/v1/organizations/usage_report/messages`.

Input tokens come apart: uncached, read from the cache, written to it (for five minutes and for an hour, added here).
There is no number of requests, and web searches have no measure here.

A result without `api_key_id` is traffic of the Console (or the answer was not grouped by key): it is kept, for its
workspace. The default workspace has no id; where the answer was asked for by workspace, it is called `default`.
Service tier, context window and region of inference are labels, because they are billed at other prices.

Source: Anthropic, "Usage and Cost API"; the field names were seen in programs that read it, not in an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apportion.core.measures import Measure
from apportion.sources._llm_uses import Caller, Unusable, Use, bucket, count_of, moment, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from apportion.core.config import SourceConfig
    from apportion.sources._llm_records import Record
    from apportion.sources.readings.contract import Fault

DEFAULT_WORKSPACE = "default"
GROUPS = "group_by[]"
_TIERS = ("service_tier", "context_window", "inference_geo")


def knows(value: object) -> bool:
    """Whether this is a page of buckets of a usage report."""
    if not isinstance(value, dict) or not isinstance(value.get("data"), list) or "has_more" not in value:
        return False
    return "object" not in value and all(isinstance(each, dict) and "starting_at" in each for each in value["data"])


def uses(record: Record, config: SourceConfig) -> Iterator[Use | Fault]:  # noqa: ARG001 - always the same
    """The uses of a page; a result that cannot be read is a fault."""
    by_workspace = "workspace_id" in record.params.get(GROUPS, ())
    for each in record.value["data"]:
        for result in each.get("results") or ():
            try:
                yield _use(each, result, default=DEFAULT_WORKSPACE if by_workspace else None)
            except Unusable as error:
                yield error.fault(record.row)


def _use(each: Mapping[str, Any], result: Mapping[str, Any], *, default: str | None) -> Use:
    if "amount" in result or "output_tokens" not in result:
        raise Unusable(
            "not_model_usage",
            column="results",
            example=sorted(result),
            what="This is no usage of a model: it has no tokens.",
            fix="Fetch usage_report/messages; the cost report is a bill and has a source of its own.",
        )
    start, end = (moment(each.get(name), name) for name in ("starting_at", "ending_at"))
    bucket(start, end, "starting_at")
    labels = {name: text for name in _TIERS if (text := text_of(result.get(name)))}
    caller = Caller(
        tool="anthropic",
        key=text_of(result.get("api_key_id")),
        account=text_of(result.get("workspace_id")) or default,
        provider="Anthropic",
        model=text_of(result.get("model")),
        labels=tuple(sorted(labels.items())),
    )
    return Use(caller, start, end, _counts(result))


def _counts(result: Mapping[str, Any]) -> dict[Measure, Decimal]:
    written = result.get("cache_creation") or {}
    return {
        Measure.TOKENS_INPUT: count_of(result, "uncached_input_tokens"),
        Measure.TOKENS_CACHED: count_of(result, "cache_read_input_tokens"),
        Measure.TOKENS_CACHE_WRITE: sum((count_of(written, name) for name in written), count_of({}, "")),
        Measure.TOKENS_OUTPUT: count_of(result, "output_tokens"),
    }
