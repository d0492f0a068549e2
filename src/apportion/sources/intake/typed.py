"""One SQL statement per file: raw text -> FOCUS text -> typed columns, with every check as a bit of a mask.

Columns are kept apart by a prefix, so that no name a file brings can hide one of ours: `v$` verbatim, `w$` whether that
is a word for null, bare = such words taken out (what a mapping's expressions see), `t$` mapped text, `k$` form, `d$`
typed value, `f$` whether that was rounded, `s$` settled time, `r$` repair of the mapping, `o$` text of doubtful values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.core import focus
from apportion.core.problems import Severity
from apportion.core.tables import ATTRIBUTES, CHARGES, quoted
from apportion.errors import UnknownShape
from apportion.sources.intake import enums, numbers, times
from apportion.sources.intake.checks import WORD_BITS, WORDS, Check, mask
from apportion.sources.intake.layout import Form, Layout
from apportion.sources.intake.row_checks import NUMBERS, TIMES, checks_for, is_null_word
from apportion.sources.intake.sql_text import (
    example_of,
    extra_of,
    filled,
    finer,
    is_word,
    kind_of,
    literal,
    raw,
    text_of,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from apportion.sources.intake.contract import ColumnMapping

TEXTS = tuple(name for name, kind in ATTRIBUTES.items() if kind == "VARCHAR")
"""The text columns of `attributes`, in its order, without the tags."""

STAGE = """
WITH raw AS (SELECT * FROM ${relation}),
delivered AS (SELECT "n$$", ${delivered} FROM raw),
cleaned AS (SELECT *, ${cleaned} FROM delivered),
mapped AS (SELECT *, ${mapped} FROM cleaned),
recognised AS (SELECT *, ${recognised} FROM mapped),
typed AS (SELECT *, ${typed} FROM recognised),
settled AS (SELECT *, ${settled} FROM typed),
flagged AS (SELECT *, ${masks} FROM settled),
judged AS (SELECT *, ${verdict} AS "x$$verdict" FROM flagged)
SELECT ${columns} FROM judged
"""
"""Each step is a projection: the rows stream through in file order."""

_START = """coalesce("d$BillingPeriodStart", date_trunc('month', "d$ChargePeriodStart")) AS "s$BillingPeriodStart" """
_END = """CASE
    WHEN "d$BillingPeriodEnd" IS NULL THEN "s$BillingPeriodStart" + INTERVAL 1 MONTH
    WHEN "x$inclusive" THEN date_trunc('month', "d$BillingPeriodEnd") + INTERVAL 1 MONTH
    ELSE "d$BillingPeriodEnd" END AS "s$BillingPeriodEnd" """
_INCLUSIVE = """coalesce(date_trunc('day', "d$BillingPeriodEnd") = last_day("d$BillingPeriodEnd")
    AND date_trunc('month', "d$BillingPeriodEnd") = date_trunc('month', "s$BillingPeriodStart"), false)
    AS "x$inclusive" """
_CHARGE_START = """coalesce("d$ChargePeriodStart", "s$BillingPeriodStart") AS "s$ChargePeriodStart" """
_CURRENCY = """CASE WHEN regexp_full_match("t$BillingCurrency", '[A-Za-z]{3}') THEN upper("t$BillingCurrency")
    ELSE "t$BillingCurrency" END"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one file is staged: the parts of the statement, and the checks in the order of their bits.

    `extras` are the columns kept verbatim, `missing` the costs that no column of the file carries.
    """

    form: str
    parts: Mapping[str, str]
    checks: tuple[Check, ...]
    extras: tuple[str, ...]
    missing: tuple[str, ...]

    def sql(self, relation: str) -> str:
        """The statement that gives the typed rows of the relation (see `Layout`), in its order."""
        return filled(STAGE, self.parts, relation=relation)


def plan(layout: Layout, mapping: ColumnMapping, *, file: str, order: str, made: Sequence[str] = ()) -> Plan:
    """The plan for a file of this layout under this mapping; `order` reads dates with slashes (`mdy`, `dmy` or '').

    `made` are columns that the relation has beside the delivered ones (see `Spread`). Raises UnknownShape where the
    mapping does not say where cost, currency or account come from.
    """
    _refuse_gaps(mapping, file)
    checks = checks_for(layout, mapping)
    if len(checks) > WORD_BITS * WORDS:
        raise UnknownShape(
            file=file, what=f"has {len(layout.columns)} columns, more than can be checked.", fix="Export fewer columns."
        )
    extras = tuple(name for name in layout.columns if name not in mapping.used)
    parts = {
        "delivered": ", ".join((*_delivered(layout), *map(quoted, made))),
        "cleaned": ", ".join(_cleaned(layout)),
        "mapped": ", ".join(_mapped(mapping)),
        "recognised": ", ".join(_recognised(mapping, layout)),
        "typed": ", ".join(_typed(mapping, order)),
        "settled": f"{', '.join(_finer(mapping))}, {_START}, {_INCLUSIVE}, {_END}, {_CHARGE_START}",
        "masks": ", ".join(f"{mask(checks, word)} AS k{word}" for word in range(WORDS)),
        "verdict": _verdict(checks),
        "columns": ", ".join(_columns(layout, mapping, checks, extras)),
    }
    missing = tuple(name for name in focus.COSTS if name not in mapping.expressions)
    return Plan(mapping.form, parts, checks, extras, missing)


def _refuse_gaps(mapping: ColumnMapping, file: str) -> None:
    needed = ("BilledCost", "BillingCurrency", "BillingAccountId")
    gaps = [name for name in needed if name not in mapping.expressions]
    if not {"BillingPeriodStart", "ChargePeriodStart"} & set(mapping.expressions):
        gaps.append("BillingPeriodStart")
    if gaps:
        raise UnknownShape(
            file=file,
            what=f"nothing says {', '.join(gaps)} ({mapping.form}).",
            fix="Add the columns to the export, or set billing_currency and billing_account_id in its options.",
        )


def _delivered(layout: Layout) -> Iterator[str]:
    for name in layout.columns:
        yield f"{quoted(name)} AS {raw(name)}"
        yield f"{is_null_word(quoted(name))} AS {is_word(name)}"


def _cleaned(layout: Layout) -> Iterator[str]:
    for name in layout.columns:
        yield f"CASE WHEN {is_word(name)} THEN NULL ELSE {raw(name)} END AS {quoted(name)}"


def _mapped(mapping: ColumnMapping) -> Iterator[str]:
    for name in (*TIMES, *NUMBERS, *TEXTS, "Tags"):
        expression = mapping.expressions.get(name)
        shown = f"nullif(CAST(({expression}) AS VARCHAR), '')" if expression else "NULL::VARCHAR"
        yield f"{shown} AS {text_of(name)}"
    for number, repair in enumerate(mapping.repairs):
        yield f'coalesce(({repair.when}), false) AS "r${number}"'
    yield f'coalesce(({mapping.row_filter or "true"}), true) AS "x$charge"'


def _recognised(mapping: ColumnMapping, layout: Layout) -> Iterator[str]:
    for name in NUMBERS:
        shown = numbers.form(name, commas=layout.delimiter != ";") if name in mapping.expressions else "0::UTINYINT"
        yield f"{shown} AS {kind_of(name)}"
    for name in TIMES:
        shown = times.form(name) if name in mapping.expressions else "0::UTINYINT"
        yield f"{shown} AS {kind_of(name)}"
    for name in enums.COLUMNS:
        if name in mapping.expressions:
            yield f"{enums.value(name)} AS {value_of(name)}"
    yield f"{_CURRENCY} AS {value_of('BillingCurrency')}"


def _typed(mapping: ColumnMapping, order: str) -> Iterator[str]:
    for name in NUMBERS:
        shown = numbers.value(name) if name in mapping.expressions else f"NULL::{CHARGES[name]}"
        yield f"{shown} AS {value_of(name)}"
    for name in TIMES:
        shown = times.value(name, order=order) if name in mapping.expressions else "NULL::TIMESTAMP"
        yield f"{shown} AS {value_of(name)}"


def _finer(mapping: ColumnMapping) -> Iterator[str]:
    for name in (name for name in NUMBERS if name in mapping.expressions):
        yield f"{numbers.is_finer(name)} AS {finer(name)}"


def _verdict(checks: tuple[Check, ...]) -> str:
    cases = " ".join(f"WHEN {each.when} THEN {number}" for number, each in enumerate(checks) if each.excludes)
    return f"CASE {cases} END::SMALLINT"


def _columns(layout: Layout, mapping: ColumnMapping, checks: tuple[Check, ...], extras: Iterable[str]) -> Iterator[str]:
    yield f'"n$" + {1 if layout.form is Form.CSV else 0} AS "x_RowNo"'
    yield from (f'"s${name}" AS {quoted(name)}' for name in TIMES if name != "ChargePeriodEnd")
    yield from (f"{value_of(name)} AS {quoted(name)}" for name in ("ChargePeriodEnd", *NUMBERS))
    typed = {name for name in enums.COLUMNS if name in mapping.expressions} | {"BillingCurrency"}
    yield from (f"{value_of(name) if name in typed else text_of(name)} AS {quoted(name)}" for name in TEXTS)
    yield f"{text_of('Tags')} AS {quoted('Tags')}"
    yield from (f"k{word}" for word in range(WORDS))
    yield from _examples(layout, mapping, typed)
    yield from _kept_whole(layout, checks)
    yield from (f"{raw(name)} AS {extra_of(name)}" for name in extras)


def _examples(layout: Layout, mapping: ColumnMapping, typed: set[str]) -> Iterator[str]:
    for name in (name for name in NUMBERS if name in mapping.expressions):
        dressed = f"{kind_of(name)} = {numbers.FORMED}"
        doubtful = f"{dressed} OR {value_of(name)} IS NULL OR {finer(name)}"
        yield f"CASE WHEN {doubtful} THEN {text_of(name)} END AS {example_of(name)}"
    for name in (name for name in TIMES if name in mapping.expressions):
        doubtful = f"{kind_of(name)} <> {times.CANONICAL} OR {value_of(name)} IS NULL"
        doubtful += ' OR "x$inclusive"' if name == "BillingPeriodEnd" else ""
        yield f"CASE WHEN {doubtful} THEN {text_of(name)} END AS {example_of(name)}"
    for name in sorted(typed):
        yield f"CASE WHEN {value_of(name)} <> {text_of(name)} THEN {text_of(name)} END AS {example_of(name)}"
    for number, repair in enumerate(mapping.repairs):
        mapped = text_of(repair.column) if repair.column in mapping.expressions else "NULL::VARCHAR"
        shown = raw(repair.column) if repair.column in layout.columns else mapped
        yield f'CASE WHEN "r${number}" THEN {shown} END AS {example_of(f"repair{number}")}'
    words = " ".join(f"WHEN {is_word(name)} THEN {raw(name)}" for name in layout.columns if name in mapping.used)
    yield f"{f'CASE {words} END' if words else 'NULL::VARCHAR'} AS {example_of('null')}"


def _kept_whole(layout: Layout, checks: tuple[Check, ...]) -> Iterator[str]:
    rejecting = {number: each for number, each in enumerate(checks) if each.severity is Severity.REJECTED}
    record = ", ".join(f"{literal(name)}: {raw(name)}" for name in layout.columns)
    found = f'"x$verdict" BETWEEN {min(rejecting)} AND {max(rejecting)}'
    yield '"x$verdict"'
    yield f'CASE WHEN {found} THEN to_json({{{record}}}) END::VARCHAR AS "x$raw"'
