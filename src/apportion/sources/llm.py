"""Usage of language models by key, team and model: who used how many tokens of what the provider bills.

Reads OpenAI and Anthropic usage reports, LiteLLM spend logs and daily sums, Bedrock invocation logs and OpenTelemetry
GenAI spans; each form has a file of its own (`_llm_*.py`) that says where its facts come from. The form is told by the
content, so a file may be an answer of the API, an export, or what `pull` kept.

The provider's bill stays the money. Here are tokens (input, cached, cache write, output, each apart), requests and, as
a weight at most, the cost that a tool estimates. Requests are added up to the hour in which they began, per caller,
model and tags. `Workload.model` is the provider's model; a model of the company's own that is told by a tag is a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.core.measures import Rank
from apportion.errors import UnknownShape
from apportion.sources import _llm_anthropic, _llm_bedrock, _llm_litellm, _llm_litellm_days, _llm_openai, _llm_otel
from apportion.sources._llm_pull import pull
from apportion.sources._llm_records import Record, records
from apportion.sources._llm_uses import Sums, Use, names_in
from apportion.sources.readings.contract import Fault, MeterSource, RawFile, Sample

if TYPE_CHECKING:
    from apportion.core.config import SourceConfig

Uses = Callable[[Record, "SourceConfig"], Iterator[Use | Fault]]

KNOWN = (
    "Known are usage of OpenAI and Anthropic, LiteLLM spend logs and daily activity, "
    "Bedrock invocation logs and OpenTelemetry spans (OTLP JSON)."
)


@dataclass(frozen=True, slots=True)
class Form:
    """One form of usage: `knows` tells a record of it, `uses` reads one."""

    knows: Callable[[object], bool]
    uses: Uses


FORMS = (
    Form(_llm_litellm.knows, _llm_litellm.uses),
    Form(_llm_litellm_days.knows, _llm_litellm_days.uses),
    Form(_llm_openai.knows, _llm_openai.uses),
    Form(_llm_bedrock.knows, _llm_bedrock.uses),
    Form(_llm_otel.knows, _llm_otel.uses),
    Form(_llm_anthropic.knows, _llm_anthropic.uses),
)
"""In this order: the first that knows a record reads it."""


def read(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    """The faults of a file as they are met, then its samples: sums per caller, hour and measure.

    Raises `UnknownShape` where the first record is of no known form, `UnreadableFile` where the file is damaged.
    """
    sums, known = Sums(file), False
    for record in records(file):
        form = next((each for each in FORMS if each.knows(record.value)), None)
        if form is None:
            if not known:
                raise UnknownShape(file=file.name, what="is no usage of language models.", fix=KNOWN)
            yield _unknown(record)
            continue
        known = True
        for use in _uses(form, record, config):
            if isinstance(use, Fault):
                yield use
            else:
                sums.add(use, record.row)
    yield from sums.samples()


def _uses(form: Form, record: Record, config: SourceConfig) -> Iterator[Use | Fault]:
    try:
        yield from form.uses(record, config)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # a list where an object belongs, a text where a list does: what was read of the record before stands
        yield Fault(
            code="bad_record",
            row=record.row,
            column="",
            example=names_in(record.value),
            what=f"This record is not built as its kind should be ({type(error).__name__}).",
            fix="Export or fetch the usage again.",
        )


def _unknown(record: Record) -> Fault:
    return Fault(
        code="unknown_record",
        row=record.row,
        column="",
        example=names_in(record.value),
        what="This record is no usage of language models.",
        fix=KNOWN,
    )


SOURCE = MeterSource(
    name="llm",
    title="Usage of language models (OpenAI, Anthropic, LiteLLM, Bedrock, OpenTelemetry)",
    read=read,
    rank=Rank.CLUSTER,
    pull=pull,
    complete=True,
    version="3",
    suffixes=(
        *(".json", ".jsonl", ".ndjson", ".csv"),
        *(".json.gz", ".jsonl.gz", ".ndjson.gz", ".csv.gz"),
    ),
    options=frozenset({"api", "labels", "upstream"}),
)
