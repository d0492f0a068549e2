"""What acme's gateway (LiteLLM) logged of the calls to OpenAI and Anthropic: tokens by key, team and project.

The platform team keeps the spend log added up, one line per key, caller and window (of an hour in the last month, of a
day before), with the key's name, as in the bill, where LiteLLM has its hash. Input and output tokens of the key that
several share stand in one ratio, so that any weighing of the two divides its charge alike.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.measures import Measure, WorkloadKind
from apportion.demo.acme.callers import callers_of, is_shared
from apportion.demo.acme.llm import KEYS, SKUS
from apportion.demo.acme.meters_file import write_lines
from apportion.demo.acme.meters_labels import labels_of
from apportion.demo.acme.meters_truth import Worked
from apportion.demo.acme.usage import digest, uses

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from apportion.core.period import Month
    from apportion.demo.acme.company import Owner
    from apportion.demo.acme.meters_truth import Workloads
    from apportion.demo.acme.usage import Plan, Resource

Document = dict[str, object]
_MODELS = {
    "gpt": "gpt-4.1",
    "gpt-mini": "gpt-4.1-mini",
    "sonnet": "claude-sonnet",
    "haiku": "claude-haiku",
}
_INPUT_BILLED = frozenset({"gpt-mini", "haiku"})
"""Keys whose charge is for input tokens; the others' is for output tokens."""
_OTHERS = 4
"""How many tokens of input come with one of output."""
_OPEN = tuple(range(7, 19))
"""The hours in which people try things out."""
_ALWAYS = tuple(range(24))


def write_gateway(folder: Path, plan: Plan, month: Month, workloads: Workloads) -> None:
    """Write `meters/llm/YYYY-MM.jsonl.gz`: one answer of `/spend/logs` per day."""
    days: defaultdict[int, list[Document]] = defaultdict(list)
    for key in plan.scaled(KEYS):
        for day, quantity, name in uses(key, month, plan):
            by = callers_of(key, month, day=day, quantity=quantity, plan=plan)
            whole = sum(tokens for _, tokens in by)
            midnight = datetime(month.year, month.month, day)
            for owner, tokens in by:
                windows = _windows(key, tokens, hourly=month == plan.last)
                days[day] += _lines(key, owner, midnight, windows)
                workloads.add(_worked(key, owner, midnight, name=name, tokens=tokens, whole=whole))
    write_lines(folder / "meters" / "llm" / f"{month}.jsonl.gz", [days[day] for day in sorted(days)])


def _windows(key: Resource, tokens: int, *, hourly: bool) -> list[tuple[int, int, int]]:
    """(first hour, hours, tokens): the day's tokens cut evenly into the hours in which the key is used."""
    if not hourly:
        return [(0, 24, tokens)]
    hours = _OPEN if is_shared(key) else _ALWAYS
    bounds = [tokens * number // len(hours) for number in range(len(hours) + 1)]
    return [(hour, 1, high - low) for hour, low, high in zip(hours, bounds, bounds[1:], strict=False)]


def _lines(
    key: Resource, owner: Owner, midnight: datetime, windows: Sequence[tuple[int, int, int]]
) -> Iterator[Document]:
    provider, _, price = SKUS[key.sku]
    tags = labels_of(owner)
    for first, hours, billed in windows:
        start = midnight + timedelta(hours=first)
        given, answered = _both(key, billed)
        yield {
            "request_id": digest("call", key.name, key.sku, owner.project, start),
            "call_type": "acompletion",
            "api_key": key.name,
            "spend": float(price * billed / 1_000_000),
            "total_tokens": given + answered,
            "prompt_tokens": given,
            "completion_tokens": answered,
            "startTime": _stamp(start),
            "endTime": _stamp(start + timedelta(hours=hours)),
            "model": _MODELS[key.sku],
            "model_group": _MODELS[key.sku],
            "custom_llm_provider": provider.lower(),
            "user": f"svc-{owner.project}",
            "team_id": owner.team,
            "end_user": "",
            "cache_hit": "False",
            "status": "success",
            "request_tags": [f"{name}:{value}" for name, value in tags.items()],
            "metadata": {
                "user_api_key_alias": key.name,
                "user_api_key_team_id": owner.team,
                "user_api_key_team_alias": owner.team,
            },
        }


def _both(key: Resource, billed: int) -> tuple[int, int]:
    """Input and output tokens that go with the billed ones."""
    return (billed, billed // _OTHERS) if key.sku in _INPUT_BILLED else (billed * _OTHERS, billed)


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"


def _worked(key: Resource, owner: Owner, midnight: datetime, *, name: str, tokens: int, whole: int) -> Worked:
    measure = Measure.TOKENS_INPUT if key.sku in _INPUT_BILLED else Measure.TOKENS_OUTPUT
    return Worked(
        source="gateway",
        day=f"{midnight:%Y-%m-%d}",
        workload=f"{name}/{key.sku}",
        kind=WorkloadKind.API_KEY,
        resource=name,
        resource_id=name,
        owner=owner,
        used={measure: Decimal(tokens)},
        parts=tokens,
        whole=whole,
    )
