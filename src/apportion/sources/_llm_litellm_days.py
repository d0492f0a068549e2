"""LiteLLM's sums per day: the answers of `/team/daily/activity` and rows of the table `LiteLLM_DailyTeamSpend`.

The answer breaks a day down by model and, within it, by key; the team is that of the key. What a day has beyond its
breakdown (LiteLLM lists a limited number of keys) is kept without a key and told. The interval is the UTC day.

Source: litellm 1.110 (`types/proxy/management_endpoints/common_daily_activity.py`, `proxy/schema.prisma`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Measure
from apportion.sources._llm_litellm import key_of, upstream
from apportion.sources._llm_uses import PROVIDERS, Caller, Unusable, Use, count_of, inputs, moment, text_of
from apportion.sources.readings.contract import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from decimal import Decimal

    from apportion.core.config import SourceConfig
    from apportion.sources._llm_records import Record

_ROW = frozenset({"date", "api_key", "api_requests", "prompt_tokens"})


def knows(value: object) -> bool:
    """Whether this is an answer with `results` of days, or a row of the table."""
    if not isinstance(value, dict):
        return False
    days = value.get("results")
    return value.keys() >= _ROW or (
        isinstance(days, list) and "metadata" in value and all(isinstance(day, dict) and "date" in day for day in days)
    )


def uses(record: Record, config: SourceConfig) -> Iterator[Use | Fault]:
    """The uses of a row or of the days of an answer."""
    days = record.value.get("results", [record.value])
    for day in days:
        try:
            yield from _day(day, record.row) if "breakdown" in day else [_row(day, config)]
        except Unusable as error:
            yield error.fault(record.row)


def _row(row: Mapping[str, Any], config: SourceConfig) -> Use:
    provider = text_of(row.get("custom_llm_provider"))
    caller = Caller(
        tool="litellm",
        key=key_of(row.get("api_key")),
        resource=upstream(provider, config),
        provider=PROVIDERS.get(provider or "", provider),
        model=text_of(row.get("model")),
        team=text_of(row.get("team_id")),
    )
    return Use(caller, *_interval(row), _counts(row))


def _day(day: Mapping[str, Any], row: int) -> Iterator[Use | Fault]:
    start, end = _interval(day)
    total, told = _counts(day.get("metrics") or {}), dict.fromkeys(Measure, count_of({}, ""))
    for model, key, use in _broken_down(day["breakdown"]):
        counts = _counts(use.get("metrics") or {})
        told = {measure: count + counts.get(measure, 0) for measure, count in told.items()}
        yield Use(_caller(model, key, use.get("metadata") or {}, day["breakdown"]), start, end, counts)
    if any(count != told[measure] for measure, count in total.items()):
        rest = {measure: count - told[measure] for measure, count in total.items() if count > told[measure]}
        yield Use(Caller(tool="litellm"), start, end, rest)
        yield _doubt(day, row)


def _doubt(day: Mapping[str, Any], row: int) -> Fault:
    return Fault(
        code="keys_not_listed",
        row=row,
        column="breakdown",
        example=str(day["date"]),
        what="The keys that LiteLLM lists for this day do not add up to the day; the rest was kept without a key.",
        fix='Pull the spend logs instead (api = "litellm"), which name the key of every request.',
        rejected=False,
    )


def _broken_down(breakdown: Mapping[str, Any]) -> Iterator[tuple[str | None, str, Mapping[str, Any]]]:
    """Model, key and what LiteLLM says of them; without models where it does not list keys within models."""
    models = breakdown.get("models") or {}
    if not any(each.get("api_key_breakdown") for each in models.values()):
        yield from ((None, key, use) for key, use in (breakdown.get("api_keys") or {}).items())
    for model, each in models.items():
        yield from ((model, key, use) for key, use in (each.get("api_key_breakdown") or {}).items())


def _caller(model: str | None, key: str, metadata: Mapping[str, Any], breakdown: Mapping[str, Any]) -> Caller:
    team = text_of(metadata.get("team_id"))
    entity = (breakdown.get("entities") or {}).get(team or "") or {}
    alias = text_of((entity.get("metadata") or {}).get("team_alias"))
    return Caller(
        tool="litellm",
        key=key_of(key),
        key_name=text_of(metadata.get("key_alias")),
        model=model,
        team=alias or team,
        labels=(("team_id", team),) if alias and team else (),
    )


def _interval(day: Mapping[str, Any]) -> tuple[datetime, datetime]:
    start = moment(day.get("date"), "date")
    return start, start + timedelta(days=1)


def _counts(metrics: Mapping[str, Any]) -> dict[Measure, Decimal]:
    cached, written = count_of(metrics, "cache_read_input_tokens"), count_of(metrics, "cache_creation_input_tokens")
    return {
        **inputs(count_of(metrics, "prompt_tokens"), cached, written, column="prompt_tokens"),
        Measure.TOKENS_OUTPUT: count_of(metrics, "completion_tokens"),
        Measure.REQUESTS: count_of(metrics, "api_requests"),
        Measure.REPORTED_COST: count_of(metrics, "spend"),
    }
