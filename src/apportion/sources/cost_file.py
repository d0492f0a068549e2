"""Costs that no cloud bills: salaries, licences, support contracts, machines of one's own. A CSV that people write.

One line is one price. Needed columns: `id`, `amount`, `currency`, `per`, `start`. All others may be missing or empty:

- `id`: unique in the file; becomes SkuId and, where `resource_id` is empty, the ResourceId `<source>/<id>`.
- `amount`, `currency`: a plain decimal number, at most 18 digits after the point; below 0 it is a credit.
- `per`: `once` (on `start`); `month`, `day`, `hour`: a price that recurs, per calendar month (a part of one by its
  days), day, or hour (24 times a day, one charge a day); `term`: paid once, used up day by day over [start, end).
- `start`, `end`: days in UTC, `end` is the first day after. What recurs may leave `end` empty where the option
  `until = "YYYY-MM"` says up to which month charges are made, of other lines too: a term of three years gives its
  later days as `until` grows. Without `until` each line runs to its end.
- `paid`: the day a term is paid, `start` if empty. `billed`: how a term is billed, `upfront` if empty; `amortised` is
  for what no invoice of a provider stands against, such as the write-off of a machine.
- `quantity`, `unit`: how much the amount buys (8 `GPU Hours` per hour); they never multiply it. One `Hours` per hour.
- `service`, `service_category` (FOCUS, `Other` if empty), `description`, `provider` (the option `provider`, else the
  source's id), `account` (SubAccountId), `region`, `resource_id`, `resource_type`; `tag:KEY`: a tag each.

Nothing depends on today's date: the same file and options give the same charges.

What a line costs is counted once in each metric. A term that is paid upfront is a Purchase whose BilledCost is the
amount, and whose EffectiveCost, ListCost and ContractedCost are 0; its days are Usage whose BilledCost is 0, and the
other three are the day's part. FOCUS lets purchase and usage both carry a list cost and asks readers to leave one out;
here no reader needs to. A term with `billed = amortised` has no Purchase, and BilledCost follows the days too. All
other charges have one amount in all four. `hour` and the days of a term are Usage, what else recurs or comes once is
a Purchase, and any of them is a Credit where the amount is below 0. Only Usage has a ConsumedQuantity.

Source: FOCUS 1.2, "Commitment Discounts" (amortisation: the effective cost of the days adds up to the purchase).
"""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import TYPE_CHECKING

from apportion.core.money import plain
from apportion.core.period import Month
from apportion.core.problems import Severity
from apportion.core.tables import quoted
from apportion.errors import BadPeriod, ConfigError, UnknownShape
from apportion.sources._cost_charges import Charge, Per, charges_of
from apportion.sources._cost_lines import FAULTS, NO_ID, SAME_ID, TOO_LATE, Fault, line_of
from apportion.sources._delivered import bills_in
from apportion.sources._raw_columns import RawColumns
from apportion.sources._tag_columns import one_object
from apportion.sources.intake.contract import BillSource, ColumnMapping, Delivery, Repair, Spread
from apportion.sources.intake.sql_text import literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from apportion.core.config import SourceConfig
    from apportion.sources._cost_charges import Line
    from apportion.sources._cost_lines import Words
    from apportion.sources.intake.contract import Record
    from apportion.sources.intake.place import Place

NEEDED = ("id", "amount", "currency", "per", "start")
COLUMNS = frozenset({
    *NEEDED, "end", "paid", "billed", "quantity", "unit", "service", "service_category", "description", "provider",
    "account", "region", "resource_id", "resource_type",
})  # fmt: skip
"""All columns a cost file may have, beside `tag:KEY`."""

_TAG = "tag:"
_FAULT, _START, _END, _MONTH, _NEXT_MONTH = "c$fault", "c$start", "c$end", "c$month", "c$next_month"
_CATEGORY, _FREQUENCY, _BILLED, _USED, _QUANTITY = "c$category", "c$frequency", "c$billed", "c$used", "c$quantity"
_PROVIDERS = ("ProviderName", "ServiceProviderName", "HostProviderName", "PublisherName", "InvoiceIssuerName")


def recognises(columns: frozenset[str]) -> bool:
    """Whether these are columns of a cost file."""
    raw = RawColumns.of(sorted(columns))
    return all(raw.name(name) for name in NEEDED)


def find(place: Place, config: SourceConfig) -> Delivery:  # noqa: ARG001 - the socket's signature
    """All files of the place that can be bills."""
    return bills_in(place)


def mapping(columns: tuple[str, ...], config: SourceConfig) -> ColumnMapping:
    """The mapping for these raw columns.

    Raises `UnknownShape` where one of `NEEDED` is missing or a column is not known: it may be a misspelt `end`, and
    then the money would be wrong. Raises `ConfigError` where the option `until` is no month.
    """
    raw = RawColumns.of(columns)
    _require(raw, columns, config)
    _until(config)
    tags = [(name, key) for name in columns if (key := _tag_key(name))]
    return ColumnMapping(
        form="cost file",
        expressions={
            **_charged(raw),
            **_owners(raw, config),
            **_things(raw, config),
            "Tags": one_object(tags) or "CAST(NULL AS VARCHAR)",
        },
        used=frozenset(columns),
        repairs=tuple(_rejection(raw, fault) for fault in FAULTS),
    )


def charges(records: Sequence[Record], config: SourceConfig) -> Iterator[Sequence[tuple[str | None, ...]]]:
    """For each record the values of `_MADE` of its charges; one with nothing but the fault where it has one."""
    lines = [_words(record) for record in records]
    ids = Counter(words["id"] for words in lines if "id" in words)
    date_order, until = str(config.options.get("date_order", "")), _until(config)
    for words in lines:
        if "id" not in words or ids[words["id"]] > 1:
            yield [_faulty(SAME_ID if "id" in words else NO_ID)]
            continue
        line = line_of(words, date_order=date_order, until=until)
        yield [_faulty(line)] if isinstance(line, Fault) else _until_then(line, until) or [_faulty(TOO_LATE)]


def _until_then(line: Line, until: date | None) -> list[tuple[str | None, ...]]:
    return [_made(charge) for charge in charges_of(line) if until is None or charge.start < until]


def _require(raw: RawColumns, columns: tuple[str, ...], config: SourceConfig) -> None:
    missing = [name for name in NEEDED if not raw.name(name)]
    if missing:
        raise UnknownShape(
            file=config.id,
            what=f"is no cost file: {', '.join(missing)} is missing.",
            fix=f"Give the columns {', '.join(NEEDED)}, and others of: {', '.join(sorted(COLUMNS - set(NEEDED)))}.",
        )
    known = {raw.name(name) for name in COLUMNS}
    strange = [name for name in columns if name not in known and not _tag_key(name)]
    if strange:
        near = get_close_matches(strange[0].strip().lower(), COLUMNS, n=1)
        raise UnknownShape(
            file=config.id,
            what=f"has columns that are not known: {', '.join(strange)}.",
            fix=f"{f'Did you mean {near[0]}? ' if near else ''}Call what is a tag tag:KEY, and take others out.",
        )


def _tag_key(name: str) -> str:
    """The key of a tag column, '' for another column."""
    stripped = name.strip()
    return stripped[len(_TAG) :].strip() if stripped.lower().startswith(_TAG) else ""


def _until(config: SourceConfig) -> date | None:
    """The first day after the month that the option `until` names."""
    text = config.options.get("until")
    if text is None:
        return None
    try:
        return Month.parse(str(text)).end.date()
    except (BadPeriod, ValueError) as error:
        raise ConfigError.of_option(
            config.id, "until", what=f"'{text}' is no month.", fix='Write it as "YYYY-MM".'
        ) from error


def _words(record: Record) -> Words:
    found = ((name.strip().lower(), (text or "").strip()) for name, text in record.items())
    return {name: text for name, text in found if name in COLUMNS and text}


_MADE = (
    *(_FAULT, _START, _END, _MONTH, _NEXT_MONTH),
    *(_CATEGORY, _FREQUENCY, _BILLED, _USED, _QUANTITY),
)


def _faulty(fault: Fault) -> tuple[str | None, ...]:
    return (fault.key, *(None for _ in _MADE[1:]))


def _made(charge: Charge) -> tuple[str | None, ...]:
    month = Month(charge.start.year, charge.start.month)
    times = (charge.start, charge.end, month.start.date(), month.end.date())
    return (
        None,
        *(f"{day.isoformat()}T00:00:00Z" for day in times),
        charge.category,
        charge.frequency,
        plain(charge.billed),
        plain(charge.used),
        None if charge.quantity is None else plain(charge.quantity),
    )


def _rejection(raw: RawColumns, fault: Fault) -> Repair:
    return Repair(
        code=fault.code,
        column=raw.name(fault.column) or fault.column,
        when=f"{quoted(_FAULT)} = {literal(fault.key)}",
        what=f"{fault.what}, so the line is kept out of the money.",
        fix=fault.fix,
        severity=Severity.REJECTED,
    )


def _charged(raw: RawColumns) -> dict[str, str]:
    """What `charges` made, and its unit."""
    hours = f"CASE WHEN lower(trim({raw.text('per')})) = {literal(Per.HOUR)} THEN 'Hours' END"
    unit, quantity = f"coalesce({raw.text('unit')}, {hours})", quoted(_QUANTITY)
    is_usage = f"{quoted(_CATEGORY)} = 'Usage'"
    return {
        "BilledCost": quoted(_BILLED),
        **dict.fromkeys(("EffectiveCost", "ListCost", "ContractedCost"), quoted(_USED)),
        "BillingCurrency": f"trim({raw.text('currency')})",
        "BillingPeriodStart": quoted(_MONTH),
        "BillingPeriodEnd": quoted(_NEXT_MONTH),
        "ChargePeriodStart": quoted(_START),
        "ChargePeriodEnd": quoted(_END),
        "ChargeCategory": quoted(_CATEGORY),
        "ChargeFrequency": quoted(_FREQUENCY),
        "PricingQuantity": quantity,
        "PricingUnit": f"CASE WHEN {quantity} IS NOT NULL THEN {unit} END",
        "ConsumedQuantity": f"CASE WHEN {is_usage} THEN {quantity} END",
        "ConsumedUnit": f"CASE WHEN {is_usage} AND {quantity} IS NOT NULL THEN {unit} END",
    }


def _owners(raw: RawColumns, config: SourceConfig) -> dict[str, str]:
    provider = f"coalesce({raw.text('provider')}, {literal(str(config.options.get('provider', config.id)))})"
    return {
        "BillingAccountId": literal(str(config.options.get("billing_account_id", config.id))),
        "SubAccountId": raw.text("account"),
        **dict.fromkeys(_PROVIDERS, provider),
    }


def _things(raw: RawColumns, config: SourceConfig) -> dict[str, str]:
    own = f"trim({raw.text('id')})"
    return {
        "ChargeDescription": raw.text("description"),
        "PricingCategory": "'Standard'",
        "ServiceName": raw.text("service"),
        "ServiceCategory": f"coalesce({raw.text('service_category')}, 'Other')",
        "SkuId": own,
        "RegionId": raw.text("region"),
        "ResourceId": f"coalesce({raw.text('resource_id')}, {literal(config.id + '/')} || {own})",
        "ResourceType": raw.text("resource_type"),
    }


SOURCE = BillSource(
    name="cost_file",
    title="Costs that no cloud bills (salaries, licences, own machines), as a CSV that people write",
    recognises=recognises,
    find=find,
    mapping=mapping,
    options=frozenset({"provider", "until", "billing_account_id"}),
    spread=Spread(_MADE, charges),
)
