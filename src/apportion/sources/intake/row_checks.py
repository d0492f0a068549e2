"""Which checks apply to a file: what its mapping gives decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core import focus
from apportion.core.problems import Severity
from apportion.sources.intake import enums, numbers, times
from apportion.sources.intake.checks import Check, check
from apportion.sources.intake.layout import Form, Layout
from apportion.sources.intake.sql_text import finer, is_word, kind_of, literal, text_of, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apportion.sources.intake.contract import ColumnMapping

NULL_WORDS = ("", "NULL", "null", "Null", "N/A", "n/a", "\\N")
"""Fields that mean null. An empty field of a CSV file is null before it comes here."""

TIMES = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
NUMBERS = (*focus.METRICS, *focus.PRICES)

_ACCOUNTS = ("BillingAccountId", "SubAccountId")
_IS_AWS = " OR ".join(
    f"""coalesce({text_of(name)} ILIKE '{start}%', false)"""
    for name in ("ProviderName", "ServiceProviderName")
    for start in ("aws", "amazon")
)


def checks_for(layout: Layout, mapping: ColumnMapping) -> tuple[Check, ...]:
    """All checks for a file, in the order of their bits; those that keep a row out of the money come first."""
    return (
        *_exclusions(mapping),
        *_number_checks(mapping),
        *_time_checks(layout, mapping),
        *_text_checks(mapping),
        *_repairs(mapping, rejecting=False),
        *_null_words(layout, mapping),
    )


def is_null_word(column: str) -> str:
    """SQL: whether the text of a column is a word for null; null itself is not."""
    # the length first: it spares nearly every row the comparisons
    cases = " ".join(f"WHEN {literal(word)} THEN true" for word in NULL_WORDS)
    longest = max(map(len, NULL_WORDS))
    return f"CASE WHEN strlen({column}) > {longest} THEN false ELSE CASE {column} {cases} ELSE false END END"


def _exclusions(mapping: ColumnMapping) -> Iterator[Check]:
    if mapping.row_filter:
        yield Check(
            code=mapping.filtered_as or "not_a_charge",
            column="",
            severity=Severity.REPAIRED,
            when='NOT "x$charge"',
            what="These rows are no charges of their own and were left out.",
            fix="Nothing to do.",
            excludes=True,
        )
    yield from _repairs(mapping, rejecting=True)
    kind, cost = kind_of("BilledCost"), value_of("BilledCost")
    yield check("no_billed_cost", "BilledCost", f"{kind} = 0")
    yield check("cost_unreadable", "BilledCost", f"{kind} > 0 AND {cost} IS NULL", example="o$BilledCost")
    yield check("no_currency", "BillingCurrency", f"{text_of('BillingCurrency')} IS NULL")
    yield check("no_billing_account", "BillingAccountId", f"{text_of('BillingAccountId')} IS NULL")
    start = "BillingPeriodStart" if "BillingPeriodStart" in mapping.expressions else "ChargePeriodStart"
    yield check("no_billing_period", start, '"s$BillingPeriodStart" IS NULL', example=f"o${start}")


def _number_checks(mapping: ColumnMapping) -> Iterator[Check]:
    for name in (name for name in NUMBERS if name in mapping.expressions):
        kind, value, example = kind_of(name), value_of(name), f"o${name}"
        yield check("number_form", name, f"{kind} = {numbers.FORMED} AND {value} IS NOT NULL", example=example)
        yield check("finer_than_quantum", name, finer(name), example=example)
        if name != "BilledCost":
            yield check("number_unreadable", name, f"{kind} > 0 AND {value} IS NULL", example=example)
        if name in focus.COSTS and name != "BilledCost":
            yield check("missing_value", name, f"{kind} = 0")


def _time_checks(layout: Layout, mapping: ColumnMapping) -> Iterator[Check]:
    # a Parquet timestamp carries no text form that could be wrong
    unzoned = f"<> {times.UNZONED}" if layout.form is Form.PARQUET else "> 0"
    for name in (name for name in TIMES if name in mapping.expressions):
        kind, value, example = kind_of(name), value_of(name), f"o${name}"
        yield check(
            "date_form",
            name,
            f"{kind} > {times.CANONICAL} AND {kind} {unzoned} AND {value} IS NOT NULL",
            example=example,
        )
        yield check("date_unreadable", name, f"{kind} > 0 AND {value} IS NULL", example=example)
    start, end, charge = (value_of(name) for name in TIMES[:3])
    yield check("billing_period_from_charge", "BillingPeriodStart", f"{start} IS NULL")
    yield check("billing_period_end_assumed", "BillingPeriodEnd", f"{end} IS NULL")
    yield check("inclusive_period_end", "BillingPeriodEnd", '"x$inclusive"', example="o$BillingPeriodEnd")
    yield check("charge_period_from_billing", "ChargePeriodStart", f"{charge} IS NULL")


def _text_checks(mapping: ColumnMapping) -> Iterator[Check]:
    for name in (name for name in enums.COLUMNS if name in mapping.expressions):
        value = value_of(name)
        spelled = f"coalesce({value} <> {text_of(name)}, false)"
        yield check("enum_spelling", name, spelled, example=f"o${name}")
        unknown = f"coalesce({enums.is_unknown(name, value)}, false)"
        yield check("enum_unknown", name, unknown, example=name)
    currency = value_of("BillingCurrency")
    changed = f"coalesce({currency} <> {text_of('BillingCurrency')}, false)"
    yield check("enum_spelling", "BillingCurrency", changed, example="o$BillingCurrency")
    strange = f"NOT regexp_full_match({currency}, '[A-Z]{{3}}')"
    yield check("currency_unknown", "BillingCurrency", f"coalesce({strange}, false)", example="BillingCurrency")
    for name in (name for name in _ACCOUNTS if name in mapping.expressions):
        short = f"coalesce(regexp_full_match({text_of(name)}, '\\d{{11}}'), false)"
        yield check("leading_zero_lost", name, f"{short} AND ({_IS_AWS})", example=name)


def _repairs(mapping: ColumnMapping, *, rejecting: bool) -> Iterator[Check]:
    for number, repair in enumerate(mapping.repairs):
        if (repair.severity is Severity.REJECTED) is not rejecting:
            continue
        yield Check(
            code=repair.code,
            column=repair.column,
            severity=repair.severity,
            when=f'"r${number}"',
            what=repair.what,
            fix=repair.fix,
            example=f"o$repair{number}",
            excludes=rejecting,
        )


def _null_words(layout: Layout, mapping: ColumnMapping) -> Iterator[Check]:
    for name in layout.columns:
        if name in mapping.used:
            yield check("null_word", name, is_word(name), example="o$null", together=True)
