from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from tests.metering.meters import at, capacity, gpus, job, used

from apportion.sources.readings import columns
from apportion.sources.readings.columns import FileOfSamples, Subjects
from apportion.sources.readings.contract import Fault, Resource

# --- what cannot be used ----------------------------------------------------------------------------------------------


def faults(*found, read_at=None):
    taken = FileOfSamples(Subjects()).take(found, read_at=read_at)
    return [(each.code, each.row, each.column, each.example, each.what) for each in taken.faults], taken


def test_a_job_without_an_end_ends_when_it_was_read():
    found, taken = faults(used("a", at(0), None, 5, row=7), read_at=at(3))
    assert found == []
    assert taken.table["x_End"].to_pylist() == [at(3)]


def test_a_job_without_an_end_in_a_file_that_nobody_says_when_it_was_read_is_a_fault():
    found, taken = faults(used("a", at(0), None, 5, row=7))
    assert found == [("no_end", 7, "end", "", "It still ran when it was read, and nothing says when that was.")]
    assert taken.faults[0].fix == ("Set the option read_at of the source, or deliver the file again once it has ended.")
    assert (taken.rows, taken.table.num_rows) == (0, 0)


@pytest.mark.parametrize(("end", "read_at"), [(at(0), None), (at(-1), None), (None, at(1)), (None, at(0))])
def test_a_clock_that_goes_backwards_is_a_fault(end, read_at):
    start = at(1) if end is None else at(0)
    found, taken = faults(used("a", start, end, 5, row=7), read_at=read_at)
    assert found == [
        ("no_time", 7, "end", (end or read_at).isoformat(),
         "It ends before it starts, or lasts no time, so its quantity belongs to no hour."),
    ]  # fmt: skip
    assert taken.faults[0].fix == "Check the clock of the machine that wrote it."
    assert taken.table.num_rows == 0


def test_of_a_sample_that_reaches_beyond_its_reading_only_the_time_before_counts():
    _, taken = faults(gpus("a", at(0), at(4), 1), read_at=at(3))
    assert taken.table.select(["x_Start", "x_End", "x_Quantity"]).to_pylist() == [
        {"x_Start": at(0), "x_End": at(3), "x_Quantity": 3 * 3600}
    ]


def test_a_sample_that_lies_after_its_reading_is_a_fault():
    """The clock of the machine that wrote it is ahead."""
    found, taken = faults(gpus("a", at(3), at(4), 1, row=7), read_at=at(3))
    assert found == [
        ("not_yet", 7, "start", at(3).isoformat(), "It starts after it was read, so it has not happened yet."),
    ]  # fmt: skip
    assert taken.faults[0].fix == "Check the clock of the machine that wrote it, and the option read_at of the source."
    assert taken.table.num_rows == 0


@pytest.mark.parametrize("quantity", ["-1", "NaN", "Infinity", "1e27"])
def test_a_quantity_that_is_none_is_a_fault(quantity):
    found, taken = faults(used("a", at(0), at(1), quantity, row=7))
    assert found == [
        ("bad_quantity", 7, "gpu_seconds", str(Decimal(quantity)), "A quantity is a number from 0 up to 10^27.")
    ]
    assert taken.faults[0].fix == "Check the meter; the sample was left out."


@pytest.mark.parametrize("coverage", ["-0.1", "1.1"])
def test_a_coverage_that_is_no_part_is_a_fault(coverage):
    found, taken = faults(used("a", at(0), at(1), 1, row=7, coverage=Decimal(coverage)))
    assert found == [("bad_coverage", 7, "coverage", coverage, "A coverage is a number from 0 to 1.")]
    assert taken.faults[0].fix == "Check the meter; the sample was left out."


def test_the_largest_quantity_is_kept_to_the_last_digit():
    largest = Decimal("9" * 27 + "." + "9" * 9)
    found, taken = faults(used("a", at(0), at(1), largest))
    assert (found, taken.table["x_Quantity"].to_pylist()) == ([], [largest])


def test_faults_of_a_source_stay_beside_the_samples():
    fault = Fault(code="x", row=1, column="c", example="e", what="w", fix="f")
    taken = FileOfSamples(Subjects()).take([fault, gpus("a", at(0), at(1), 1)], read_at=None)
    assert (taken.faults, taken.rows) == ([fault], 1)


def test_many_samples_are_held_in_batches_and_each_subject_once(monkeypatch):
    monkeypatch.setattr(columns, "BATCH", 10)
    taken = FileOfSamples(Subjects()).take(
        (gpus(f"j{no % 3}", at(0), at(1), 1, row=no) for no in range(12)), read_at=None
    )
    assert (len(taken.batches), taken.table.num_rows, taken.subjects.table.num_rows) == (2, 12, 3)
    assert taken.table["x_RowNo"].to_pylist() == list(range(12))


def test_devices_become_links_and_labels_are_sorted():
    work = job("a", links=("pod:1",), labels={"b": "1", "a": "2"})
    subjects = Subjects()
    assert subjects.number(gpus(work, at(0), at(1), 1, devices=("GPU-2", "GPU-1"))) == 1
    assert subjects.number(gpus(work, at(5), at(6), 1, devices=("GPU-1", "GPU-2"))) == 1
    assert subjects.number(capacity(at(0), at(1), 1)) == 2
    (first, second) = subjects.table.to_pylist()
    assert first["x_Links"] == ["gpu:GPU-1", "gpu:GPU-2", "pod:1"]
    assert first["x_Labels"] == [("a", "2"), ("b", "1")]
    assert (second["x_WorkloadId"], second["x_MeteredId"]) == (None, "i-0abc")


# --- times that no meter has seen -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "read_at", "plausible"),
    [
        (datetime(1, 1, 1), datetime(2026, 1, 1), None, False),
        (datetime(1999, 12, 31, 23, 59, 59), datetime(2000, 1, 1, 1), None, False),
        (datetime(2000, 1, 1), datetime(2000, 1, 1, 1), None, True),
        (datetime(2021, 3, 1), datetime(2026, 3, 1), None, True),
        (datetime(2020, 1, 1), datetime(2025, 1, 1, 0, 0, 1), None, False),
        (datetime(2026, 1, 1), datetime(9999, 1, 1), None, False),
        (datetime(2026, 1, 1), datetime(9999, 1, 1), datetime(2026, 2, 1), True),
        (datetime(2001, 1, 1), None, datetime(2026, 2, 1), False),
    ],
)
def test_a_time_that_no_meter_has_seen_is_a_fault(start, end, read_at, plausible):
    found, taken = faults(used("a", start, end, 5, row=7), read_at=read_at)
    assert taken.rows == plausible
    told = f"{start.isoformat()} to {(end or read_at).isoformat()}"
    what = "It starts before 2000 or lasts more than five years, which no meter has seen."
    assert found == ([] if plausible else [("implausible_time", 7, "start", told, what)])
    assert plausible or taken.faults[0].fix == (
        "Check the clock of the machine that wrote it, and the unit of its times."
    )


# --- texts that no file can hold --------------------------------------------------------------------------------------

ODD = "a\ud800"


def test_halves_of_characters_are_replaced_in_all_texts():
    work = job(ODD, name=ODD, links=(ODD,), labels={ODD: ODD, "b": "\U0001f600"}, parent=ODD, user=ODD, status=ODD)
    sample = replace(gpus(work, at(0), at(1), 1, devices=(ODD,)), key=ODD, resource=Resource(id=ODD, node=ODD))
    _, taken = faults(sample)
    (subject,) = taken.subjects.table.to_pylist()
    assert (subject["x_WorkloadId"], subject["x_MeteredId"], subject["x_Node"]) == ("a\ufffd",) * 3
    assert subject["x_Labels"] == [("a\ufffd", "a\ufffd"), ("b", "\U0001f600")]
    assert subject["x_Links"] == ["a\ufffd", "gpu:a\ufffd"]
    assert taken.table["x_Key"].to_pylist() == ["a\ufffd"]
    assert "\ud800" not in repr(subject)


def test_subjects_that_differ_in_nothing_that_is_kept_are_one():
    subjects = Subjects()
    numbers = [subjects.number(gpus(job(name), at(0), at(1), 1)) for name in (ODD, "a\udc00", "b", ODD, "a\ufffd")]
    assert numbers == [1, 1, 2, 1, 1]
    assert subjects.table["x_SubjectNo"].to_pylist() == [1, 2]


def test_a_fault_shows_its_value_without_halves_of_characters():
    _, taken = faults(Fault(code="c", row=1, column=ODD, example=ODD, what=f"{ODD} is odd.", fix="Mend it."))
    (fault,) = taken.faults
    assert (fault.column, fault.example, fault.what) == ("a\ufffd", "a\ufffd", "a\ufffd is odd.")


def test_labels_whose_keys_become_one_are_one_label():
    subjects = Subjects()
    labels = dict(zip(("k\ud800", "k\udc00"), "12", strict=True))
    subjects.number(gpus(job("a", labels=labels), at(0), at(1), 1))
    assert subjects.table["x_Labels"].to_pylist() == [[("k\ufffd", "2")]]
