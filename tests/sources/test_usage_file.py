from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.samples import only_faults, only_samples, read_file, read_text

from apportion.core.measures import Basis, Measure, Rank, WorkloadKind
from apportion.errors import UnknownShape, UnreadableFile
from apportion.sources._usage_units import units_of
from apportion.sources.usage_file import COLUMNS, SOURCE, sample_of

ROW = {
    "start": "2026-10-01T08:00:00Z",
    "end": "2026-10-01T10:30:00Z",
    "workload": "job-1",
    "measure": "gpu_seconds",
    "quantity": "10",
    "unit": "gpu_hours",
}
FULL = ROW | {
    "workload_kind": "notebook",
    "basis": "requested",
    "coverage": "0.5",
    "resource_id": "i-1",
    "node": "n1",
    "cluster": "c",
    "provider": "aws",
    "account": "42",
    "region": "eu",
    "instance_type": "p4d",
    "name": "try",
    "namespace": "c/ns",
    "parent": "sweep",
    "experiment": "e",
    "model": "m",
    "model_version": "3",
    "team": "t",
    "project": "p",
    "environment": "dev",
    "user": "ada",
    "status": "FINISHED",
    "labels": '{"a": "b", "n": 1.50}',
    "links": "pod:1 slurm:c/2",
    "devices": "GPU-1 GPU-2",
    "key": "pod-1",
}


def ndjson(tmp_path, *rows, name="usage.ndjson"):
    return read_text(SOURCE, tmp_path, name, "".join(json.dumps(row) + "\n" for row in rows))


def as_csv(tmp_path, *rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return read_text(SOURCE, tmp_path, "usage.csv", out.getvalue())


def parquet(tmp_path, table):
    pq.write_table(table, tmp_path / "usage.parquet")
    return read_file(SOURCE, tmp_path / "usage.parquet")


def fault(**cells):
    row = {key: value for key, value in (ROW | cells).items() if value is not None}
    return sample_of(7, row)


def test_every_column_of_the_form_reaches_the_sample(tmp_path):
    assert set(FULL) == COLUMNS
    (found,) = as_csv(tmp_path, FULL)
    assert (found.start, found.end) == (datetime(2026, 10, 1, 8), datetime(2026, 10, 1, 10, 30))
    assert (found.measure, found.basis, found.quantity) == (Measure.GPU_SECONDS, Basis.REQUESTED, 36000)
    assert (found.coverage, found.row, found.devices) == (Decimal("0.5"), 2, ("GPU-1", "GPU-2"))
    assert found.key == "pod-1"
    where = found.resource
    assert (where.id, where.node, where.cluster, where.provider) == ("i-1", "n1", "c", "aws")
    assert (where.account, where.region, where.instance_type) == ("42", "eu", "p4d")
    work = found.workload
    assert (work.id, work.kind, work.name, work.namespace) == ("job-1", WorkloadKind.NOTEBOOK, "try", "c/ns")
    assert (work.parent, work.experiment, work.model, work.model_version) == ("sweep", "e", "m", "3")
    assert (work.team, work.project, work.environment, work.user) == ("t", "p", "dev", "ada")
    assert (work.status, work.labels) == ("FINISHED", {"a": "b", "n": "1.50"})
    assert work.links == ("pod:1", "slurm:c/2")


def test_three_columns_and_a_workload_are_enough(tmp_path):
    (found,) = ndjson(tmp_path, {"start": "2026-10-01", "measure": "requests", "quantity": 5, "workload": "e"})
    assert (found.start, found.end, found.quantity) == (datetime(2026, 10, 1), None, 5)
    assert (found.basis, found.coverage) == (Basis.USED, 1)
    assert (found.workload.kind, found.workload.name) == (WorkloadKind.OTHER, "e")


def test_csv_ndjson_and_parquet_of_the_same_rows_are_the_same_samples(tmp_path):
    texts = {key: pa.array([value]) for key, value in FULL.items()}
    from_csv, from_json = as_csv(tmp_path, FULL), ndjson(tmp_path, FULL)
    from_parquet = parquet(tmp_path, pa.table(texts))
    strip = lambda found: {**{f: getattr(found, f) for f in found.__slots__}, "row": 0}  # noqa: E731
    assert strip(from_csv[0]) == strip(from_json[0]) == strip(from_parquet[0])
    assert (from_csv[0].row, from_json[0].row, from_parquet[0].row) == (2, 1, 1)


def test_parquet_keeps_its_own_types_exactly(tmp_path):
    columns = {
        "start": pa.array([datetime(2026, 10, 1, 8, tzinfo=UTC)], pa.timestamp("us", tz="Europe/Berlin")),
        "measure": pa.array(["tokens_output"]),
        "quantity": pa.array([Decimal("123456789.123456789")], pa.decimal128(38, 9)),
        "workload": pa.array(["w"]),
        "labels": pa.array([[("team", "fraud")]], pa.map_(pa.string(), pa.string())),
        "links": pa.array([["pod:1"]]),
    }
    (found,) = parquet(tmp_path, pa.table(columns))
    assert (found.start, found.quantity) == (datetime(2026, 10, 1, 8), Decimal("123456789.123456789"))
    assert (found.workload.labels, found.workload.links) == ({"team": "fraud"}, ("pod:1",))


def test_parquet_doubles_become_their_shortest_decimal_with_a_doubt(tmp_path):
    columns = {"start": ["2026-10-01"], "measure": ["requests"], "workload": ["w"], "quantity": [0.1]}
    found = parquet(tmp_path, pa.table(columns))
    (doubt,) = only_faults(found)
    assert (doubt.code, doubt.column, doubt.rejected) == ("usage_double", "quantity", False)
    assert doubt.what.startswith("The column quantity holds binary fractions; the shortest decimal")
    assert only_samples(found)[0].quantity == Decimal("0.1")


def test_capacity_is_a_row_without_a_workload(tmp_path):
    (found,) = ndjson(tmp_path, {key: v for key, v in ROW.items() if key != "workload"} | {"basis": "capacity"})
    assert (found.workload, found.basis) == (None, Basis.CAPACITY)


def test_a_time_with_a_zone_is_turned_to_utc_and_one_without_is_utc():
    offset = sample_of(1, ROW | {"start": "2026-10-01T10:00:00+03:00"})
    plain = sample_of(1, ROW | {"start": datetime(2026, 10, 1, 7)})
    aware = sample_of(1, ROW | {"start": datetime(2026, 10, 1, 9, tzinfo=timezone(timedelta(hours=2)))})
    assert {found.start for found in (offset, plain, aware)} == {datetime(2026, 10, 1, 7)}


@pytest.mark.parametrize(
    ("measure", "unit", "one"),
    [
        ("gpu_seconds", "", 1),
        ("gpu_seconds", "GPU_Hours", 3600),
        ("gpu_busy_seconds", "gpu_minutes", 60),
        ("cpu_core_seconds", "cpu_hours", 3600),
        ("run_seconds", "hours", 3600),
        ("compute_seconds", "s", 1),
        ("memory_byte_seconds", "gib_hours", 2**30 * 3600),
        ("gpu_memory_byte_seconds", "byte_seconds", 1),
        ("storage_byte_seconds", "tb_days", 10**12 * 86400),
        ("network_rx_bytes", "gib", 2**30),
        ("network_tx_bytes", "gb", 10**9),
        ("tokens_input", "million_tokens", 10**6),
        ("requests", "thousand_requests", 1000),
        ("energy_joules", "kwh", 3_600_000),
        ("billing_units", "billing_units", 1),
        ("reported_cost", "EUR", 1),
    ],
)
def test_units_are_turned_to_base_units_exactly(measure, unit, one):
    found = sample_of(1, ROW | {"measure": measure, "unit": unit, "quantity": "0.1"})
    assert found.quantity == Decimal("0.1") * one


@given(
    quantity=st.decimals(0, 10**9, places=9),
    measure=st.sampled_from([m for m in Measure if m is not Measure.REPORTED_COST]),
    choice=st.integers(0, 10**6),
)
def test_any_quantity_in_any_unit_is_its_product(quantity, measure, choice):
    units = sorted(units_of(measure).items())
    unit, one = units[choice % len(units)]
    found = sample_of(1, ROW | {"measure": measure.value, "unit": unit, "quantity": format(quantity, "f")})
    assert Fraction(found.quantity) == Fraction(quantity) * Fraction(one)


@pytest.mark.parametrize(
    ("cells", "code", "column", "what", "fix"),
    [
        ({"start": "soon"}, "usage_bad_time", "start", "The start is no time.", "Write ISO 8601"),
        ({"start": None}, "usage_bad_time", "start", "The start is missing.", "without a zone it is UTC"),
        ({"start": 17}, "usage_bad_time", "start", "The start is no time.", "Write ISO 8601"),
        ({"start": "0001-01-01T00:00:00+09:00"}, "usage_bad_time", "start", "The start is no time.", "Write"),
        (
            {"end": "2026-10-01T08:00:00Z"},
            "usage_ends_first",
            "end",
            "The end does not lie after the start.",
            "Correct",
        ),
        (
            {"measure": "gpu_second"},
            "usage_bad_measure",
            "measure",
            "There is no measure 'gpu_second'.",
            "Did you mean gpu_seconds?",
        ),
        ({"measure": None}, "usage_bad_measure", "measure", "The measure is missing.", "Known: billing_units"),
        ({"basis": "guess"}, "usage_bad_basis", "basis", "There is no basis 'guess'.", "Known: capacity"),
        (
            {"workload_kind": "idle"},
            "usage_bad_workload_kind",
            "workload_kind",
            "There is no workload_kind 'idle'.",
            "Known",
        ),
        (
            {"workload": None},
            "usage_no_workload",
            "workload",
            "Capacity belongs to no workload, and every other basis needs one.",
            "Give workload",
        ),
        (
            {"basis": "capacity"},
            "usage_no_workload",
            "workload",
            "Capacity belongs to no workload, and every other basis needs one.",
            "Give",
        ),
        (
            {"quantity": "1,5"},
            "usage_bad_number",
            "quantity",
            "The quantity is no number that is 0 or more.",
            "such as 1.5",
        ),
        ({"quantity": "-1"}, "usage_bad_number", "quantity", "The quantity is no number that is 0 or more.", "Write"),
        ({"quantity": True}, "usage_bad_number", "quantity", "The quantity is missing.", "Write"),
        (
            {"quantity": "1e30"},
            "usage_bad_number",
            "quantity",
            "The quantity has more than 29 digits before the point in base units.",
            "Check",
        ),
        (
            {"unit": "gpu_hour"},
            "usage_bad_unit",
            "unit",
            "'gpu_hour' is no unit of gpu_seconds.",
            "Did you mean gpu_hours?",
        ),
        (
            {"unit": "million_tokens"},
            "usage_bad_unit",
            "unit",
            "'million_tokens' is no unit of gpu_seconds.",
            "Known: days",
        ),
        (
            {"coverage": "1.1"},
            "usage_bad_coverage",
            "coverage",
            "The coverage is the part of the interval that was looked at",
            "Leave",
        ),
        ({"coverage": "0"}, "usage_bad_coverage", "coverage", "The coverage is the part of the interval", "Leave"),
        (
            {"labels": "[1]"},
            "usage_bad_labels",
            "labels",
            "The labels are no JSON object of texts.",
            '{"team": "fraud"}',
        ),
        ({"labels": "{"}, "usage_bad_labels", "labels", "The labels are no JSON object of texts.", "Write"),
        ({"labels": {"a": {}}}, "usage_bad_labels", "labels", "The labels are no JSON object of texts.", "Write"),
        ({"links": 5}, "usage_bad_list", "links", "The links are no list.", "Write a list"),
    ],
)
def test_what_cannot_be_read_says_what_to_write(cells, code, column, what, fix):
    found = fault(**cells)
    assert (found.code, found.column, found.row, found.rejected) == (code, column, 7, True)
    assert found.what.startswith(what)
    assert fix in found.fix


def test_long_quantities_lose_no_digit():
    found = sample_of(
        1, ROW | {"measure": "memory_byte_seconds", "unit": "gib_hours", "quantity": "12345678901234.123456789"}
    )
    assert Fraction(found.quantity) == Fraction("12345678901234123456789") * 2**30 * 3600 / 10**9


def test_a_bad_row_leaves_the_others_standing(tmp_path):
    found = ndjson(tmp_path, ROW, ROW | {"quantity": "x"}, ROW)
    assert [(type(one).__name__, one.row) for one in found] == [("Sample", 1), ("Fault", 2), ("Sample", 3)]


def test_a_line_that_is_no_object_and_a_row_of_another_width_are_faults(tmp_path):
    text = json.dumps(ROW) + '\n{"start": "20\n[1]\n\n'
    found = only_faults(read_text(SOURCE, tmp_path, "u.ndjson", text))
    assert [(one.code, one.row, one.what) for one in found] == [
        ("usage_no_object", 2, "The line is no JSON object."),
        ("usage_no_object", 3, "The line is no JSON object."),
    ]
    (wide,) = read_text(SOURCE, tmp_path, "u.csv", "start,measure,quantity\na,b,c,d\n\n")
    assert (wide.code, wide.what) == ("usage_row_width", "The row has 4 values where the header has 3.")


def test_an_unknown_column_is_a_doubt_once_with_the_nearest_name(tmp_path):
    found = only_faults(ndjson(tmp_path, ROW | {"quantitty": 1}, ROW | {"quantitty": 1, "zz": "red"}))
    assert [(one.code, one.column, one.row, one.rejected) for one in found] == [
        ("usage_unknown_column", "quantitty", 1, False),
        ("usage_unknown_column", "zz", 2, False),
    ]
    assert found[0].fix == "Did you mean quantity?"
    assert found[1].fix == "Put it into labels, where rules see it, or remove it."


def test_a_file_of_another_kind_is_refused_with_all_columns(tmp_path):
    with pytest.raises(UnknownShape, match=r"is no usage file: start, quantity is missing\. Give the columns start,"):
        ndjson(tmp_path, {"measure": "requests"})


def test_broken_formats_are_refused(tmp_path):
    with pytest.raises(UnreadableFile, match="is no Parquet file that can be read"):
        read_text(SOURCE, tmp_path, "u.parquet", "x")
    with pytest.raises(UnreadableFile, match="is no CSV file"):
        read_text(SOURCE, tmp_path, "u.csv", 'start,measure,quantity\n"a"b,c,d\n')


def test_names_of_columns_may_be_written_in_capitals(tmp_path):
    assert only_samples(ndjson(tmp_path, {key.upper(): value for key, value in ROW.items()}))


def test_a_file_may_be_partial_so_it_does_not_prove_idleness():
    assert (SOURCE.rank, SOURCE.complete) == (Rank.NESTED, False)
