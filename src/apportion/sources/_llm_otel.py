"""OpenTelemetry GenAI spans: OTLP as JSON (`resourceSpans`), one export per line or document.

A span that calls a model is a use: `gen_ai.operation.name` is chat, text_completion, generate_content or embeddings (or
the span has a request model and no operation). Spans of agents, workflows and tools repeat the tokens of the calls
within them and are not counted; nor is a call within a counted call of the same export (two instrumentations of one
request). `gen_ai.usage.input_tokens` include cached and cache-creation tokens.

Spans name no API key: the caller is the service (`service.namespace/service.name`). Labels are the attributes of the
resource that say what the service is for, and those attributes of spans that the option `labels` names. Sampled traces
are not all requests, so sums are only as complete as the sampling.

Source: OpenTelemetry semantic conventions for generative AI, status "Development".
"""

from __future__ import annotations

from datetime import UTC, datetime
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
from apportion.sources.readings.contract import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from apportion.core.config import SourceConfig
    from apportion.sources._llm_records import Record

_CALLS = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
_OF_THE_MACHINE = ("telemetry.", "process.", "host.", "os.", "container.", "k8s.pod.", "k8s.node.", "k8s.replicaset.")
_OF_THE_INSTANCE = frozenset({"service.instance.id", "service.version", "service.name", "service.namespace"})
_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_CACHED = ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens")
_WRITTEN = ("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens")


def knows(value: object) -> bool:
    """Whether this is an export of spans."""
    return isinstance(value, dict) and isinstance(value.get("resourceSpans"), list)


def uses(record: Record, config: SourceConfig) -> Iterator[Use | Fault]:
    """The uses of all calls of models in an export; a call without token counts is told."""
    calls = [
        (span, attributes, _attributes(group.get("resource") or {}))
        for group in record.value["resourceSpans"]
        for span in _spans(group)
        if _is_call(attributes := _attributes(span))
    ]
    counted = {(span.get("traceId"), span.get("spanId")) for span, _, _ in calls}
    for span, attributes, resource in calls:
        if span.get("parentSpanId") and (span.get("traceId"), span["parentSpanId"]) in counted:
            continue
        try:
            yield _use(span, attributes, _caller(attributes, resource, config))
        except Unusable as error:
            yield error.fault(record.row)
            continue
        if not any(name in attributes for name in (*_INPUT, *_OUTPUT)):
            yield _untold(span, record.row)


def _spans(group: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for scope in group.get("scopeSpans") or group.get("instrumentationLibrarySpans") or ():
        yield from scope.get("spans") or ()


def _is_call(attributes: Mapping[str, Any]) -> bool:
    operation = attributes.get("gen_ai.operation.name")
    return operation in _CALLS or (operation is None and "gen_ai.request.model" in attributes)


def _use(span: Mapping[str, Any], attributes: Mapping[str, Any], caller: Caller) -> Use:
    total, cached, written = (_count(attributes, names) for names in (_INPUT, _CACHED, _WRITTEN))
    counts = {
        **inputs(total, cached, written, column=_INPUT[0]),
        Measure.TOKENS_OUTPUT: _count(attributes, _OUTPUT),
        Measure.REQUESTS: Decimal(1),
    }
    return Use(caller, *hour_of(_start(span)), counts, request_of(span, "traceId", "spanId"))


def _count(attributes: Mapping[str, Any], names: tuple[str, ...]) -> Decimal:
    return count_of(attributes, next((name for name in names if name in attributes), names[0]))


def _start(span: Mapping[str, Any]) -> datetime:
    given = str(span.get("startTimeUnixNano", ""))
    if not given.isdecimal():
        return moment(given, "startTimeUnixNano")
    try:
        return datetime.fromtimestamp(int(given) // 10**9, UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return moment("", "startTimeUnixNano")


def _caller(attributes: Mapping[str, Any], resource: Mapping[str, Any], config: SourceConfig) -> Caller:
    provider = text_of(attributes.get("gen_ai.provider.name") or attributes.get("gen_ai.system"))
    parts = (text_of(resource.get(name)) for name in ("service.namespace", "service.name"))
    named = {**_of_the_span(attributes, config), **_of_the_service(resource)}
    return Caller(
        tool="otel",
        key="/".join(part for part in parts if part) or None,
        provider=PROVIDERS.get(provider or "", provider),
        region=text_of(attributes.get("cloud.region")),
        model=text_of(attributes.get("gen_ai.response.model") or attributes.get("gen_ai.request.model")),
        environment=text_of(resource.get("deployment.environment.name") or resource.get("deployment.environment")),
        labels=labels_of(named, config),
    )


def _of_the_service(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in resource.items()
        if not key.startswith(_OF_THE_MACHINE) and key not in _OF_THE_INSTANCE
    }


def _of_the_span(attributes: Mapping[str, Any], config: SourceConfig) -> dict[str, Any]:
    wanted = config.options.get("labels") or ()
    return {key: value for key, value in attributes.items() if key in wanted}


def _attributes(owner: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as plain values; OTLP writes 64-bit numbers as text."""
    found: dict[str, Any] = {}
    for pair in owner.get("attributes") or ():
        value = pair.get("value") or {}
        found[pair.get("key", "")] = next((each for each in value.values() if not isinstance(each, dict)), None)
    return found


def _untold(span: Mapping[str, Any], row: int) -> Fault:
    return Fault(
        code="no_tokens",
        row=row,
        column=_INPUT[0],
        example=str(span.get("spanId", "")),
        what="The call of a model has no token counts; it was counted as a request.",
        fix="Have the instrumentation report usage (for streams, ask the API to include it).",
        rejected=False,
    )
