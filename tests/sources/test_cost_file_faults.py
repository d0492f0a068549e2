"""Lines that cannot become charges, and files that are no cost files: what is told, and that nothing is lost."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.cost_files import CONFIG, HEADER, lines, said, taken
from tests.sources.ingested import ingested

from apportion.core.config import SourceConfig
from apportion.core.problems import Severity
from apportion.errors import UnknownShape
from apportion.sources import SOCKET
from apportion.sources._cost_charges import Line, Per
from apportion.sources._cost_lines import FAULTS, Fault, line_of
from apportion.sources.cost_file import COLUMNS, SOURCE

GOOD = "good,1,EUR,once,2026-01-01"
FAULTY = [
    (",1,EUR,once,2026-01-01", {}, "cost_without_id", "id", "The line has no id,"),
    ("a,1,EUR,yearly,2026-01-01", {}, "cost_per_unknown", "per", "per does not say what the amount is the price of,"),
    ("a,1,EUR,,2026-01-01", {}, "cost_per_unknown", "per", "per does not say"),
    ("a,,EUR,once,2026-01-01", {}, "cost_amount_unreadable", "amount", "amount is no number that can be read exactly,"),
    ("a,1e3,EUR,once,2026-01-01", {}, "cost_amount_unreadable", "amount", "amount is no number"),
    ('a,"1,200.50",EUR,once,2026-01-01', {}, "cost_amount_unreadable", "amount", "amount is no number"),
    ("a,0.1234567890123456789,EUR,once,2026-01-01", {}, "cost_amount_unreadable", "amount", "amount is no number"),
    ("a,1000000000000000,EUR,hour,2026-01-01", {}, "cost_amount_unreadable", "amount", "amount is no number"),
    ("a,1,,once,2026-01-01", {}, "cost_currency_unreadable", "currency", "currency is no ISO 4217 code,"),
    ("a,1,Euro,once,2026-01-01", {}, "cost_currency_unreadable", "currency", "currency is no ISO 4217 code,"),
    ("a,1,EUR,once,", {}, "cost_date_unreadable", "start", "start is no date that can be read,"),
    ("a,1,EUR,once,2026-02-30", {}, "cost_date_unreadable", "start", "start is no date"),
    ("a,1,EUR,once,0026-02-20", {}, "cost_date_unreadable", "start", "start is no date"),
    ("a,1,EUR,day,2026-01-01,1/2/2026", {}, "cost_date_unreadable", "end", "end is no date that can be read,"),
    (
        "a,1,EUR,term,2026-01-01,2026-02-01,soon",
        {},
        "cost_date_unreadable",
        "paid",
        "paid is no date that can be read,",
    ),
    ("a,1,EUR,day,2026-01-02,2026-01-02", {}, "cost_ends_first", "end", "end does not lie after start,"),
    ("a,1,EUR,month,2026-01-01", {}, "cost_open_end", "end", "end is empty, and nothing says up to which month"),
    ("a,1,EUR,day,2026-03-01", {"until": "2026-02"}, "cost_starts_later", "start", "The line has no charge up to"),
    ("a,1,EUR,once,2026-03-01", {"until": "2026-02"}, "cost_starts_later", "start", "The line has no charge up to"),
    ("a,1,EUR,term,2026-01-01", {"until": "2026-02"}, "cost_term_open", "end", "A term has no days without its end,"),
    ("a,1,EUR,once,2026-01-01,2026-02-01", {}, "cost_once_with_end", "end", "A cost that comes once has no end,"),
    ("a,1,EUR,day,2026-01-01,2126-01-03", {}, "cost_too_long", "end", "The line runs for more than a hundred years,"),
    ("a,1,EUR,day,2026-01-01,2026-02-01,2026-01-01", {}, "cost_paid_without_purchase", "paid", "paid is the day of a"),
    ("a,1,EUR,term,2026-01-01,2026-02-01,2026-01-01,amortised", {}, "cost_paid_without_purchase", "paid", "paid is"),
    ("a,1,EUR,term,2026-01-01,2026-02-01,,later", {}, "cost_billed_unknown", "billed", "billed does not say how a"),
    ("a,1,EUR,day,2026-01-01,2026-02-01,,upfront", {}, "cost_billed_unknown", "billed", "billed does not say how a"),
    ("a,1,EUR,day,2026-01-01,2026-02-01,,,x,GB", {}, "cost_quantity_unreadable", "quantity", "quantity is no number"),
    ("a,1,EUR,day,2026-01-01,2026-02-01,,,5", {}, "cost_half_quantity", "unit", "quantity and unit need each other,"),
    ("a,1,EUR,day,2026-01-01,2026-02-01,,,,GB", {}, "cost_half_quantity", "unit", "quantity and unit need each other,"),
]


@pytest.mark.parametrize(("line", "options", "code", "column", "what"), FAULTY)
def test_a_line_at_fault_is_kept_whole_and_out_of_the_money(tmp_path, line, options, code, column, what):
    result, rows = taken(tmp_path, lines(GOOD, line), "SkuId", **options)
    (problem,) = result.problems
    assert (problem.code, problem.column, problem.severity) == (code, column, Severity.REJECTED)
    assert (problem.rows, problem.row_count) == ("3", 1)
    assert problem.file.endswith("costs.csv")
    assert problem.what.startswith(what)
    assert problem.what.endswith(", so the line is kept out of the money.")
    assert problem.fix == next(fault.fix for fault in FAULTS if (fault.code, fault.column) == (code, column))
    assert rows == [("good",)]
    (reject,) = pq.read_table(result.published[0].rejects).to_pylist()
    assert (reject["x_RowNo"], reject["x_Code"], reject["x_Column"]) == (3, code, column)
    (fields,) = csv.reader([line])
    assert list(json.loads(reject["x_Raw"]).items())[: len(fields)] == list(
        zip(HEADER.split(","), [f or None for f in fields], strict=False)
    )


def test_every_fault_is_told_with_its_line():
    assert {(code, column) for _, _, code, column, _ in FAULTY} == {(f.code, f.column) for f in FAULTS} - {
        ("cost_id_twice", "id")
    }


WORDS = st.one_of(
    st.text(max_size=12), st.dates().map(str), st.decimals().map(str), st.sampled_from([*Per, "upfront", "amortised"])
)


@given(words=st.fixed_dictionaries({}, optional=dict.fromkeys(sorted(COLUMNS), WORDS)), until=st.none() | st.dates())
def test_any_words_are_a_line_or_a_fault(words, until):
    assert isinstance(line_of(words, date_order="mdy", until=until), (Line, Fault))


def test_an_id_that_stands_on_two_lines_counts_on_neither(tmp_path):
    result, rows = taken(tmp_path, lines("a,1,EUR,once,2026-01-01", GOOD, "a ,2,EUR,once,2026-01-01"), "SkuId")
    (problem,) = result.problems
    assert (problem.code, problem.rows, problem.example) == ("cost_id_twice", "2, 4", "a")
    assert problem.what == (
        "Several lines of the file have this id, and none says which is meant, so the line is kept out of the money."
    )
    assert problem.fix == "Give each its own."
    assert rows == [("good",)]


def test_a_file_with_nothing_but_faults_gives_its_problems(tmp_path):
    result, rows = taken(tmp_path, "id,amount,currency,per,start\na,1,EUR,month,2026-01-01\n")
    assert said(result) == [("cost_open_end", "end", "2")]
    assert result.problems[0].fix == 'Write end, or set until = "YYYY-MM" in the options of the source.'
    assert (rows, result.published) == ([], ())


def test_a_file_without_lines_says_so(tmp_path):
    result, _ = taken(tmp_path, HEADER + "\n")
    assert said(result) == [("no_rows", "", "all")]


def test_a_record_that_does_not_fit_the_header_is_told_beside_lines_at_fault(tmp_path):
    text = lines("a,1,EUR,day,2026-01-01,2026-01-03") + "torn,1\n" + lines("b,x,EUR,once,2026-01-01").split("\n")[1]
    result, rows = taken(tmp_path, text, "x_RowNo")
    assert sorted(said(result)) == [("cost_amount_unreadable", "amount", "4"), ("too_few_fields", "", "3")]
    assert rows == [(2,), (2,)]
    assert result.published[0].rejected == 2


def test_a_line_of_many_charges_is_one_row_of_a_problem(tmp_path):
    doubtful = "{},1,EUR,day,2026-01-01,2026-01-11,,,,,Machines"
    result, rows = taken(tmp_path, lines(*(doubtful.format(name) for name in "ab"), GOOD, doubtful.format("c")))
    (problem,) = result.problems
    assert (problem.code, problem.rows, problem.row_count) == ("enum_unknown", "2-3, 5", 3)
    assert (problem.amount, len(rows)) == (30, 31)


def test_a_word_for_null_is_an_empty_field(tmp_path):
    result, rows = taken(tmp_path, lines("a,1,EUR,once,2026-01-01,NULL"), "BilledCost")
    assert said(result) == [("null_word", "end", "2")]
    assert rows == [(1,)]


def test_a_column_that_is_not_known_keeps_the_file_out():
    columns = ("id", "amount", "currency", "per", "start", "Ende", "tag:", "tag:team")
    with pytest.raises(UnknownShape) as told:
        SOURCE.mapping(columns, CONFIG)
    assert str(told.value) == (
        "own: has columns that are not known: Ende, tag:. "
        "Did you mean end? Call what is a tag tag:KEY, and take others out."
    )


def test_a_column_that_is_like_no_other_is_told_without_a_guess():
    with pytest.raises(UnknownShape, match=r"not known: zzz\. Call what is a tag"):
        SOURCE.mapping(("id", "amount", "currency", "per", "start", "zzz"), CONFIG)


def test_a_file_that_is_no_cost_file_is_refused_by_name():
    with pytest.raises(UnknownShape, match=r"is no cost file: currency, per is missing\. Give the columns id, amount,"):
        SOURCE.mapping(("id", "amount", "start"), CONFIG)


def test_a_cost_file_that_came_to_another_kind_is_told_where_it_belongs(tmp_path):
    (tmp_path / "costs.csv").write_text(lines(GOOD))
    with pytest.raises(UnknownShape, match='It looks like kind = "cost_file"'):
        ingested(SourceConfig("bills", "focus", ("costs.csv",)), tmp_path)


def test_no_other_kind_takes_a_cost_file_for_its_own():
    kinds = [SOCKET.load(name) for name in SOCKET.names()]
    takers = [kind.name for kind in kinds if hasattr(kind, "recognises") and kind.recognises(COLUMNS)]
    assert takers == ["cost_file"]
