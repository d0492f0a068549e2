"""Files: damaged ones are refused with one clear message, every record of the others is accounted for."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.focus_bills import (
    DATA,
    billed,
    config,
    csv_text,
    found,
    ingest_into,
    only,
    put,
    row,
    said,
    table,
    take,
)

from apportion.engine import duck
from apportion.errors import UnknownShape, UnreadableFile
from apportion.sources.intake import csv_copy, csv_records
from apportion.store import open_store

GOOD = csv_text([row(), row(BilledCost="2")])


def parquet(tmp_path, columns, name="bill.parquet"):
    path = tmp_path / name
    pq.write_table(pa.table(columns), path)
    return path.read_bytes()


def nothing_is_stored(tmp_path):
    with open_store(tmp_path / "state") as store:
        return store.current_snapshots() == () and store.problems() == ()


REFUSED = [
    ("bill.csv", b"", "is empty."),
    ("bill.csv", b"\n \n", "is empty."),
    ("bill.parquet", b"", "is empty."),
    ("bill.parquet", b"PAR1" + b"\0" * 400, "is not complete: the end of the Parquet file is missing."),
    ("bill.parquet", b"PAR1" + b"\0" * 400 + b"PAR1", "is a damaged Parquet file"),
    ("bill.csv", b"PK\x03\x04 sheet", "is a ZIP archive or an Excel file."),
    ("bill.csv", b"%PDF-1.7", "is a PDF document."),
    ("bill.csv", GOOD.encode("utf-16"), "is written in UTF-16."),
    ("bill.csv", GOOD.replace("\n", "\r").encode(), "ends its first line with a carriage return alone."),
    ("bill.csv", b",,\n1,2,3\n", "has no header."),
    ("bill.csv.gz", gzip.compress(GOOD.encode() * 2000)[:-300], "Unexpected end of GZIP stream"),
    ("bill.csv.gz", b"\x1f\x8b\x08", "is no complete gzip file"),
    ("bill.csv.gz", gzip.compress(b"", mtime=0), "is empty."),
    ("bill.jsonl", b"{no json\n", "holds no JSON object."),
]


@pytest.mark.parametrize(("name", "content", "what"), REFUSED)
def test_a_file_that_cannot_be_read_is_named_and_nothing_is_stored(tmp_path, name, content, what):
    good = put(tmp_path, "good.csv", GOOD)
    bad = put(tmp_path, name, content)
    with pytest.raises(UnreadableFile) as caught:
        ingest_into(tmp_path / "state", config(good, bad))
    assert what in caught.value.what
    assert caught.value.file == str(bad)
    assert nothing_is_stored(tmp_path)


def test_a_parquet_file_cut_in_the_middle_is_refused(tmp_path):
    whole = parquet(tmp_path, {name: [value] * 5000 for name, value in row().items()})
    with pytest.raises(UnreadableFile, match=r"the end of the Parquet file is missing\. Deliver the file again"):
        take(tmp_path, whole[: len(whole) // 2], name="cut.parquet")


def test_a_file_of_another_kind_is_refused_by_its_columns(tmp_path):
    with pytest.raises(UnknownShape) as caught:
        take(tmp_path, "name,size\nx,1\n")
    assert str(caught.value) == (
        f"{tmp_path / 'bill.csv'}: has no column BilledCost or ChargePeriodStart, so it is no FOCUS export. "
        "Export FOCUS cost and usage, or set the kind of the source to what the file is."
    )


def test_of_the_columns_that_a_focus_file_needs_the_one_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UnknownShape, match="has no column BilledCost, so it is no FOCUS export"):
        take(tmp_path, "ChargePeriodStart,Cost\n2026-10-01T00:00:00Z,1\n")


def test_a_file_that_came_to_the_wrong_kind_is_told_where_it_belongs(tmp_path):
    with pytest.raises(UnknownShape, match='It looks like kind = "azure_usage": set that for the source') as caught:
        ingest_into(tmp_path / "state", config(DATA / "azure_ea_sample_focus_converters.csv"))
    assert caught.value.file == str(DATA / "azure_ea_sample_focus_converters.csv")


@pytest.mark.parametrize("column", ["BillingAccountId", "BillingCurrency"])
def test_a_file_without_account_or_currency_is_refused_unless_the_source_says_them(tmp_path, column):
    text = csv_text([row(**{column: None})])
    with pytest.raises(UnknownShape, match=f"nothing says {column}"):
        take(tmp_path, text)
    option = {"BillingAccountId": "billing_account_id", "BillingCurrency": "billing_currency"}[column]
    assert only(take(tmp_path, text, **{option: "CHF"}))[0][column] == "CHF"


def test_a_header_alone_is_a_problem(tmp_path):
    result = take(tmp_path, csv_text([row()]).splitlines()[0] + "\n")
    assert (result.published, said(result)) == ((), [("no_rows", "", "all", "")])
    assert result.problems[0].what == "The file has a header and no rows."


def test_no_bill_at_all_is_an_error_that_says_what_was_left_out(tmp_path):
    put(tmp_path, "bills/readme.md", "x")
    with pytest.raises(UnreadableFile, match=r"no file was found there: 1 files were left out, such as .*readme\.md"):
        ingest_into(tmp_path / "state", config(tmp_path / "bills"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_common_way_to_write_csv_gives_the_same_charges(tmp_path, delimiter, end, mark):
    text = mark + csv_text([row(), row(BilledCost="2", ServiceName='a "b", c\nd')], delimiter=delimiter, end=end)
    result = take(tmp_path, text)
    first, second = only(result)
    assert (first["x_RowNo"], second["x_RowNo"]) == (2, 3)
    assert (second["BilledCost"], second["ServiceName"]) == (Decimal(2), 'a "b", c\nd')
    assert not result.problems


def test_a_gzip_file_is_known_by_its_content(tmp_path):
    assert billed(take(tmp_path, gzip.compress(GOOD.encode()), name="bill.csv")) == Decimal("3.25")


def test_a_last_record_with_an_open_quote_is_kept_though_duckdb_may_drop_it(tmp_path):
    text = csv_text([row(Tags=""), row(Tags="", BilledCost="2"), row(Tags="", BilledCost="4")]).replace("\n2,", '\n"2,')
    assert said(take(tmp_path, text)) == [("bad_quotes", "", "3", "")]


def test_duckdb_alone_may_drop_the_last_record(tmp_path):
    path = put(tmp_path, "x.csv", 'a,b\n1,\n"2,x\n')
    read = "SELECT * FROM read_csv($path, columns = {'a': 'VARCHAR', 'b': 'VARCHAR'}, delim = ',', auto_detect = false"
    rejecting = ", quote = '\"', header = true, store_rejects = true, parallel = false)"
    with duck.session() as db:
        assert len(db.rows(read + rejecting, {"path": str(path)})) == 1
        assert db.rows("SELECT * FROM reject_errors") == []


@pytest.mark.parametrize("packed", [False, True])
def test_a_quote_that_is_not_closed_costs_its_own_line_only(tmp_path, packed):
    rows = [row(BilledCost=str(n), Tags="") for n in range(1, 2001)]
    lines = csv_text(rows).splitlines()
    for place in (10, 700, 1999):
        lines[place] = f'"{lines[place]}'
    content = ("\n".join(lines) + "\n").encode()
    result = take(tmp_path, gzip.compress(content) if packed else content)
    assert said(result) == [("bad_quotes", "", "11, 701, 2000", "")]
    assert [reject["x_Raw"] for reject in table(result.published[0].rejects)] == [lines[10], lines[700], lines[1999]]
    assert billed(result) == sum(range(1, 2001)) - 10 - 700 - 1999
    assert {charge["x_RowNo"] - charge["BilledCost"] for charge in only(result)} == {1}


def test_a_file_full_of_open_quotes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_copy, "PASSES", 2)
    lines = csv_text([row(Tags="")] * 9).splitlines()
    text = "\n".join([lines[0], *(f'"{line}' for line in lines[1:])]) + "\n"
    with pytest.raises(UnreadableFile, match="has quotes that are not closed in more places than can be mended"):
        take(tmp_path, text)


def test_a_record_longer_than_duckdb_takes_is_kept_whole(tmp_path):
    long = row(ServiceName="x" * 2_100_000)
    result = take(tmp_path, csv_text([row(), long, row(BilledCost="2")]))
    assert said(result) == [("record_too_long", "", "3", "")]
    assert long["ServiceName"] in table(result.published[0].rejects)[0]["x_Raw"]
    assert billed(result) == Decimal("3.25")


def test_records_that_are_neither_read_nor_rejected_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_records, "by_quotes", lambda _path, **_: csv_records.Records(5, ()))
    monkeypatch.setattr(csv_records, "by_grammar", lambda _path, **_: csv_records.Records(4, ()))
    with pytest.raises(UnreadableFile, match="has 3 records, but 2 could be read"):
        take(tmp_path, GOOD)


def test_a_quote_inside_a_bare_field_is_text(tmp_path):
    text = csv_text([row(Tags="", ServiceName="disk"), row(Tags="")]).replace("disk", '3.5" disk')
    result = take(tmp_path, text)
    assert [charge["ServiceName"] for charge in only(result)] == ['3.5" disk', "Amazon EC2"]
    assert not result.problems


LINES = st.lists(st.sampled_from(["good", "two lines", "blank", "short", "long", "open"]), min_size=1, max_size=30)


@settings(max_examples=25, deadline=None)
@given(LINES)
def test_row_numbers_are_those_of_a_spreadsheet(kinds):
    header, good = csv_text([row()]).splitlines()
    written = {
        "good": good,
        "two lines": good.replace("Amazon EC2", '"a\n\nb"'),
        "blank": "",
        "short": "1,2",
        "long": good + ",x",
        "open": '"' + good,
    }
    text = "\n".join([header, *(written[kind] for kind in kinds)]) + "\n"
    numbered = list(enumerate(kinds, 2))
    charges = [number for number, kind in numbered if kind in {"good", "two lines"}]
    torn = [number for number, kind in numbered if kind in {"short", "long", "open"}]
    with TemporaryDirectory() as folder:
        result = take(Path(folder), text)
        if charges:
            assert [charge["x_RowNo"] for charge in only(result)] == charges
            kept = table(result.published[0].rejects) if torn else []
            assert [reject["x_RowNo"] for reject in kept] == torn
        assert sum(problem.row_count for problem in result.problems) == len(torn)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.text('ab ,"\n', max_size=5), min_size=2, max_size=3), max_size=8))
def test_two_ways_to_count_records_agree_where_quotes_pair(rows):
    text = "".join(",".join('"' + field.replace('"', '""') + '"' for field in fields) + "\n" for fields in rows) + "\n"
    with TemporaryDirectory() as folder:
        path = put(Path(folder), "x.csv", text)
        counted = csv_records.by_quotes(path, packed=False)
        assert counted == csv_records.by_grammar(path, packed=False, delimiter=",")
        assert (counted.count, counted.blank) == (len(rows) + 1, (len(rows) + 1,))


def test_the_same_file_twice_counts_once(tmp_path):
    first, second = put(tmp_path, "a.csv", GOOD), put(tmp_path, "b.csv", GOOD)
    result = ingest_into(tmp_path / "state", config(tmp_path / "*.csv"))
    assert billed(result) == Decimal("3.25")
    (problem,) = result.problems
    assert (problem.code, problem.file, problem.example) == ("duplicate_file", str(second), str(first))
    assert problem.what == f"The file has the same content as {first}; it was counted once."
    with open_store(tmp_path / "state") as store:
        assert [stored.code for stored in store.problems(source_id="cloud")] == ["duplicate_file"]


def test_parquet_columns_become_text_without_loss(tmp_path):
    columns = {name: [value, value] for name, value in row().items()} | {
        "BilledCost": pa.array([1.1764705882352942e-05, 0.1]),
        "ListCost": pa.array([Decimal("1.10"), None], pa.decimal128(20, 12)),
        "ChargePeriodStart": pa.array([datetime(2026, 10, 5, 10)] * 2, pa.timestamp("ms")),
        "BillingPeriodStart": pa.array([datetime(2026, 10, 1)] * 2, pa.timestamp("us", "UTC")),
        "Tags": pa.array([[("team", "search")], None], pa.map_(pa.string(), pa.string())),
        "x_Discounts": pa.array([[("EDP", 0.5)], []], pa.map_(pa.string(), pa.float64())),
        "x_Flag": [True, None],
    }
    result = take(tmp_path, parquet(tmp_path, columns), name="bill.parquet")
    first, second = only(result)
    assert (first["x_RowNo"], second["x_RowNo"]) == (1, 2)
    assert (first["BilledCost"], second["BilledCost"]) == (Decimal("0.000011764705882353"), Decimal("0.1"))
    assert (first["ListCost"], second["ListCost"]) == (Decimal("1.1"), None)
    assert first["ChargePeriodStart"] == datetime(2026, 10, 5, 10)
    assert (dict(first["Tags"]), dict(second["Tags"])) == ({"team": "search"}, {})
    assert [code for code, *_ in said(result)] == ["finer_than_quantum", "missing_value"]
    assert [(each["x_Discounts"], each["x_Flag"]) for each in table(result.published[0].extras)] == [
        ('{"EDP":0.5}', "true"),
        ("{}", None),
    ]


def test_an_empty_text_in_parquet_is_a_placeholder(tmp_path):
    columns = {name: [value] for name, value in row(ResourceId="").items()}
    result = take(tmp_path, parquet(tmp_path, columns), name="bill.parquet")
    assert said(result) == [("null_word", "ResourceId", "1", "")]


def test_json_lines_are_read_digit_by_digit(tmp_path):
    line = json.dumps(row(Tags={"team": "search"}, BilledCost=0)).replace(
        '"BilledCost": 0', '"BilledCost": 0.012264277499950943'
    )
    text = f"{line}\n\nno json\n{json.dumps(row(Tags=[{'key': 'team', 'value': 'ads'}], x_Extra=1.50))}\n"
    result = take(tmp_path, text, name="bill.jsonl")
    first, second = only(result)
    assert (first["BilledCost"], first["x_RowNo"], second["x_RowNo"]) == (Decimal("0.012264277499950943"), 1, 4)
    assert (dict(first["Tags"]), dict(second["Tags"])) == ({"team": "search"}, {"team": "ads"})
    assert said(result) == [("bad_json", "", "3", "")]
    assert [each["x_Extra"] for each in table(result.published[0].extras)] == [None, "1.5"]


def test_a_column_that_comes_twice_is_kept_beside_the_charge(tmp_path):
    text = csv_text([row() | {"x": "1"}]).replace(",x\n", ",servicename\n")
    result = take(tmp_path, text)
    assert only(result)[0]["ServiceName"] == "Amazon EC2"
    assert table(result.published[0].extras) == [{"x_ChargeNo": 1, "servicename_1": "1"}]


def test_one_bad_row_of_many_files_hurts_no_other(tmp_path):
    put(tmp_path, "bills/a.csv", csv_text([row(), row(BilledCost="x")]))
    put(tmp_path, "bills/b.csv", csv_text([row(ResourceId="i-2"), row(ResourceId="i-3")]))
    result = ingest_into(tmp_path / "state", config(tmp_path / "bills"))
    assert billed(result) == Decimal("3.75")
    assert [problem.file for problem in found(result, "cost_unreadable")] == [str(tmp_path / "bills/a.csv")]
