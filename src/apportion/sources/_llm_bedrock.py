"""Amazon Bedrock model invocation logs, from S3 (documents in a row, gzip) or as CloudWatch gives them.

The caller is the application inference profile, provisioned or imported model that was called (`modelId` is its ARN,
which the bill has too), else the principal in the place of a key (`identity.arn`; of an assumed role the role, without
its session). `requestMetadata` gives the labels.

Token counts of caches stand beside the input tokens, not within them (MEMORY, from the Converse API).

Source: Amazon Bedrock user guide, "Monitor model invocation using CloudWatch Logs and Amazon S3"; field names seen in
published log lines.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Measure
from apportion.sources._llm_uses import (
    Caller,
    Unusable,
    Use,
    count_of,
    hour_of,
    labels_of,
    moment,
    names_in,
    request_of,
    text_of,
)
from apportion.sources.readings.answers import exact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from apportion.core.config import SourceConfig
    from apportion.sources._llm_records import Record
    from apportion.sources.readings.contract import Fault

_KIND = "ModelInvocationLog"
_ARN_PARTS = 5
"""Colons before the resource of an ARN; its name may hold more of them."""
_MODEL_KINDS = frozenset({"foundation-model", "inference-profile"})
"""Resources that are a maker's model, the second in several regions; all others belong to the customer."""


def knows(value: object) -> bool:
    """Whether this is an invocation log line, or an answer of CloudWatch that holds such lines."""
    return isinstance(value, dict) and (
        value.get("schemaType") == _KIND or {"modelId", "accountId", "requestId"} <= value.keys() or _is_events(value)
    )


def uses(record: Record, config: SourceConfig) -> Iterator[Use | Fault]:
    """The use of one invocation, or of each event of a CloudWatch answer."""
    events = record.value["events"] if _is_events(record.value) else [record.value]
    for event in events:
        try:
            yield _use(_line(event), config)
        except Unusable as error:
            yield error.fault(record.row)


def _is_events(value: Mapping[str, Any]) -> bool:
    events = value.get("events")
    return isinstance(events, list) and all(isinstance(each, dict) and "message" in each for each in events)


def _line(event: Mapping[str, Any]) -> Mapping[str, Any]:
    if "message" not in event:
        return event
    try:
        line = exact(str(event["message"]))
    except (ValueError, RecursionError):
        line = str(event["message"])
    if not isinstance(line, dict) or "modelId" not in line:
        raise Unusable(
            "not_an_invocation",
            column="message",
            example=names_in(line),
            what="The event of the log group is no model invocation.",
            fix="Fetch the log group that Bedrock writes its invocations to, and only that.",
        )
    return line


def _use(line: Mapping[str, Any], config: SourceConfig) -> Use:
    asked, answered = line.get("input") or {}, line.get("output") or {}
    counts = {
        Measure.TOKENS_INPUT: count_of(asked, "inputTokenCount"),
        Measure.TOKENS_CACHED: count_of(asked, "cacheReadInputTokenCount"),
        Measure.TOKENS_CACHE_WRITE: count_of(asked, "cacheWriteInputTokenCount"),
        Measure.TOKENS_OUTPUT: count_of(answered, "outputTokenCount"),
        Measure.REQUESTS: Decimal(1),
    }
    return Use(
        _caller(line, config),
        *hour_of(moment(line.get("timestamp"), "timestamp")),
        counts,
        request_of(line, "requestId"),
    )


def _caller(line: Mapping[str, Any], config: SourceConfig) -> Caller:
    called = str(line.get("modelId") or "")
    kind, _, name = called.split(":", _ARN_PARTS)[-1].partition("/") if called.startswith("arn:") else ("", "", called)
    own = called if kind and kind not in _MODEL_KINDS else None
    principal = _principal(text_of((line.get("identity") or {}).get("arn")))
    return Caller(
        tool="bedrock",
        key=own or principal,
        key_name=name if own else None,
        resource=own,
        account=text_of(line.get("accountId")),
        provider="AWS",
        region=text_of(line.get("region")),
        model=None if own else name or None,
        user=principal,
        labels=labels_of(line.get("requestMetadata") or {}, config),
    )


def _principal(arn: str | None) -> str | None:
    """The user or role of an ARN; the session of an assumed role differs with every login."""
    return arn.rpartition("/")[0] if arn and ":assumed-role/" in arn and arn.count("/") > 1 else arn
