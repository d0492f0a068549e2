"""What all forms of LLM usage have in common: who called, how much was used when, and the sums per hour.

Rows of single requests are added while they are read: memory holds one sum per caller, model, tags and hour, never the
rows. A request counts in the hour in which it began.

Of one source, a later file replaces what an earlier one said of the same hour under the same key (see `Sample.key`).
Buckets of an API say all of their interval, so their key is empty and the later answer counts. A log says some requests
of an hour, and the next file of it may say others: the sums of a log have the file's first request as key, so files add
up, while a longer export that begins with the same request replaces the shorter. Requests are not compared one by one:
a request that stands in two files that begin differently counts twice.

What is told of an hour or day that was not over yet is all of it so far: its interval ends when the file was read.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from apportion.core.measures import Basis, Measure, WorkloadKind
from apportion.errors import UnreadableFile
from apportion.sources.readings.contract import Fault, Resource, Sample, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.contract import RawFile

LARGEST_SUMS = 500_000
"""So many callers × hours a file may have: beyond it a tag differs with every request, and memory would not hold."""

SHOWN = 80
"""So many characters of a value a fault shows."""

PROVIDERS = {
    "openai": "OpenAI",
    "text-completion-openai": "OpenAI",
    "anthropic": "Anthropic",
    "bedrock": "AWS",
    "bedrock_converse": "AWS",
    "aws.bedrock": "AWS",
    "sagemaker": "AWS",
    "azure": "Microsoft",
    "azure_ai": "Microsoft",
    "azure.ai.openai": "Microsoft",
    "azure.ai.inference": "Microsoft",
    "vertex_ai": "Google Cloud",
    "gcp.vertex_ai": "Google Cloud",
    "gcp.gemini": "Google Cloud",
    "gemini": "Google Cloud",
}
"""Name of a provider in LiteLLM or OpenTelemetry -> ProviderName in the bills; others stay as reported."""

_OF_ONE_REQUEST = frozenset(
    ("traceid", "spanid", "requestid", "sessionid", "conversationid", "messageid", "correlationid", "threadid", "runid")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who called which model: a key, or the account where a call had none. `labels` are sorted pairs."""

    tool: str
    key: str | None = None
    key_name: str | None = None
    resource: str | None = None
    """What the bill calls the key, where it is not `key`."""
    account: str | None = None
    provider: str | None = None
    region: str | None = None
    model: str | None = None
    team: str | None = None
    project: str | None = None
    environment: str | None = None
    user: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Use:
    """What a caller used in [start, end), in base units.

    `request` names the request of a log that it is (see `request_of`); None for a bucket, which adds up several.
    """

    caller: Caller
    start: datetime
    end: datetime
    counts: Mapping[Measure, Decimal]
    request: str | None = None


class Unusable(Exception):
    """A value of a record that cannot be understood; becomes a `Fault` of its row."""

    def __init__(self, code: str, *, column: str, example: object, what: str, fix: str) -> None:
        super().__init__(what)
        self.code, self.column, self.example, self.what, self.fix = code, column, str(example), what, fix

    def fault(self, row: int) -> Fault:
        """The fault at this row: the whole record was left out."""
        return Fault(
            code=self.code, row=row, column=self.column, example=self.example[:SHOWN], what=self.what, fix=self.fix
        )


@dataclass(slots=True)
class Sums:
    """The uses of one file, added up per caller and interval, in the order in which they were first met."""

    file: RawFile
    sums: dict[tuple[Caller, datetime, datetime, str], tuple[int, dict[Measure, Decimal]]] = field(default_factory=dict)
    log: str = ""
    """The key of sums of requests: a hash of the first one of the file."""

    def add(self, use: Use, row: int) -> None:
        """The use is in the sums; raises `UnreadableFile` where there would be more than `LARGEST_SUMS`."""
        if use.request is not None and not self.log:
            self.log = hashlib.sha256(use.request.encode(errors="replace")).hexdigest()[:16]
        start, end = self._begun(use)
        key = (use.caller, start, end, "" if use.request is None else self.log)
        if key not in self.sums:
            self._bounded()
            self.sums[key] = (row, {})
        sums = self.sums[key][1]
        for measure, count in use.counts.items():
            sums[measure] = sums.get(measure, Decimal(0)) + count

    def samples(self) -> Iterator[Sample]:
        """One sample per caller, interval and measure; what came to 0 is left out."""
        for (caller, start, end, key), (row, sums) in self.sums.items():
            resource, workload = resource_of(caller), workload_of(caller)
            for measure, quantity in sums.items():
                if quantity:
                    yield Sample(
                        resource=resource,
                        workload=workload,
                        measure=measure,
                        basis=Basis.USED,
                        quantity=quantity,
                        start=start,
                        end=self._so_far(start, end),
                        row=row,
                        key=key,
                    )

    def _begun(self, use: Use) -> tuple[datetime, datetime]:
        """The interval of a use; of a request in the hour that began at the moment of reading, the hour before.

        Nothing had passed of its own hour. A bucket keeps its interval: it is all told when it is asked for again.
        """
        if use.request is not None and use.start == self.file.read_at:
            return use.start - (use.end - use.start), use.start
        return use.start, use.end

    def _so_far(self, start: datetime, end: datetime) -> datetime:
        read_at = self.file.read_at
        return read_at if read_at is not None and start < read_at < end else end

    def _bounded(self) -> None:
        if len(self.sums) >= LARGEST_SUMS:
            raise UnreadableFile(
                file=self.file.name,
                what=f"holds more than {LARGEST_SUMS} different callers and hours: a tag differs with every request.",
                fix='Name the tags that say whose a request is: labels = ["team", "project"] in the options.',
            )


def resource_of(caller: Caller) -> Resource:
    """The key as the bill may know it; a call without a key is known by its account only."""
    return Resource(
        id=caller.resource or caller.key,
        node=caller.key_name,
        provider=caller.provider,
        account=caller.account,
        region=caller.region,
    )


PROVIDERS_MODEL = "gen_ai.request.model"
"""The label that holds what the provider calls the model, as OpenTelemetry names it."""


def workload_of(caller: Caller) -> Workload:
    """The workload of a caller: its id names the key and the model, and what else differs by a hash.

    `parent` and the link are the key alone, `openai:<key id>` or an ARN; without a key `openai:account/<account>`, and
    without an account too `openai:no-key`.
    """
    unkeyed = f"account/{caller.account}" if caller.account else "no-key"
    known_by = caller.key if caller.key and caller.key.startswith("arn:") else f"{caller.tool}:{caller.key or unkeyed}"
    rest = (caller.team, caller.project, caller.environment, caller.user, caller.labels)
    told = f"#{hashlib.sha256(json.dumps(rest).encode()).hexdigest()[:12]}" if any(rest) else ""
    one = f"{known_by}{f'/{caller.model}' if caller.model else ''}{told}"
    return Workload(
        id=one,
        kind=WorkloadKind.API_KEY,
        name=caller.key_name or caller.key or f"no key, {caller.account or caller.tool}",
        namespace=caller.account,
        parent=known_by if one != known_by else None,
        team=caller.team,
        project=caller.project,
        environment=caller.environment,
        user=caller.user,
        labels={**({PROVIDERS_MODEL: caller.model} if caller.model else {}), **dict(caller.labels)},
        links=(known_by,),
    )


def labels_of(given: Mapping[str, object], config: SourceConfig) -> tuple[tuple[str, str], ...]:
    """These tags as sorted pairs: those that the option `labels` names, or all that do not tell single requests apart.

    Trace, span, request, session, conversation, message, thread and run ids are left out; so are nested values.
    """
    wanted = config.options.get("labels")
    return tuple(
        sorted(
            (key, text)
            for key, value in given.items()
            if (text := text_of(value)) is not None and (key in wanted if wanted else not _of_one_request(key))
        )
    )


def text_of(value: object) -> str | None:
    """The text of a plain value, None for nothing, an empty text and nested values."""
    if value is None or value == "" or isinstance(value, dict | list):
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def count_of(record: Mapping[str, Any], column: str) -> Decimal:
    """The count in a column, 0 where there is none; raises `Unusable` for what is no count."""
    value = record.get(column)
    if value is None or value == "":
        return Decimal(0)
    try:
        count = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        count = Decimal("NaN")
    if not count.is_finite() or count < 0:
        raise Unusable(
            "bad_count",
            column=column,
            example=value,
            what="This is no count: a number from 0 upwards was expected.",
            fix="Export the usage again, with the numbers as the API gave them.",
        )
    return count


def inputs(total: Decimal, cached: Decimal, written: Decimal, *, column: str) -> dict[Measure, Decimal]:
    """The input tokens apart, of a total that includes cached and cache-write tokens; raises `Unusable`."""
    if cached + written > total:
        raise Unusable(
            "cache_above_input",
            column=column,
            example=f"{total} < {cached} + {written}",
            what="More tokens were served from or written to a cache than there were input tokens.",
            fix="Have the tool report input tokens that include cached tokens, as its documentation says.",
        )
    return {
        Measure.TOKENS_INPUT: total - cached - written,
        Measure.TOKENS_CACHED: cached,
        Measure.TOKENS_CACHE_WRITE: written,
    }


def moment(value: object, column: str) -> datetime:
    """Naive UTC of ISO 8601 text (without a zone: UTC) or of seconds since 1970; raises `Unusable`."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC).replace(tzinfo=None)
        found = datetime.fromisoformat(str(value).strip().removesuffix(" UTC"))
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError, OSError) as error:
        raise Unusable(
            "bad_time",
            column=column,
            example=value,
            what="This is no time: ISO 8601 or seconds since 1970 was expected.",
            fix="Export the usage again, with the times as the API gave them.",
        ) from error


def bucket(start: datetime, end: datetime, column: str) -> tuple[datetime, datetime]:
    """The interval of a bucket; raises `Unusable` where it does not end after it starts."""
    if start >= end:
        raise Unusable(
            "bad_interval",
            column=column,
            example=f"{start.isoformat()} to {end.isoformat()}",
            what="The bucket does not end after it starts.",
            fix="Fetch the usage again.",
        )
    return start, end


def names_in(value: object) -> str:
    """What a record may be known by: the names of its fields, never their content, which may be a prompt."""
    return ", ".join(sorted(map(str, value)))[:SHOWN] if isinstance(value, dict) else type(value).__name__


def request_of(record: Mapping[str, Any], *columns: str) -> str:
    """What a request of a log is known by: its ids in these columns, the whole record where it has none of them."""
    ids = [text_of(record.get(column)) for column in columns]
    return "/".join(each or "" for each in ids) if any(ids) else repr(record)


def hour_of(time: datetime) -> tuple[datetime, datetime]:
    """The UTC hour in which a request began."""
    start = time.replace(minute=0, second=0, microsecond=0)
    return start, start + timedelta(hours=1)


def _of_one_request(key: str) -> bool:
    return key.rpartition(".")[2].replace("_", "").replace("-", "").lower() in _OF_ONE_REQUEST
