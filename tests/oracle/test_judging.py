"""What passes for a right figure, and what does not."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.judging import expected, flat, judged
from tests.oracle.plan import StrangeShape, number, only


def case_of(**figures):
    return {"id": "one", **figures}


def test_figures_are_met_within_what_their_source_rounds():
    assert not judged(
        case_of(expected={"a": "1.72"}, tolerance="0.006"), {"a": Decimal("1.714286")}, closed=True
    ).faults
    assert judged(case_of(expected={"a": "1.73"}, tolerance="0.006"), {"a": Decimal("1.714286")}, closed=True).faults
    rounded = case_of(exact={"a": "1.714286"})
    assert not judged(rounded, {"a": Fraction(12, 7)}, closed=True).faults
    assert judged(rounded, {"a": Decimal("1.714288")}, closed=True).faults == ("exact: a is 1.714288, not 1.714286",)
    assert not judged(case_of(expected_share={"a": "7/12"}), {"a": Fraction(7, 12)}, closed=True).faults


@given(value=st.decimals(-(10**6), 10**6, places=4), off=st.decimals(Decimal("0.002"), 10, places=4))
def test_a_figure_that_is_off_never_passes_and_an_equal_one_always_does(value, off):
    assert not judged(case_of(expected={"a": str(value)}), {"a": value}, closed=True).faults
    assert judged(case_of(expected={"a": str(value)}), {"a": value + off}, closed=True).faults


def test_words_are_compared_as_words():
    assert not judged(case_of(expected={"i-1": "Team1"}), {"i-1": "Team1"}, closed=True).faults
    wrong = judged(case_of(expected={"i-1": "Team1"}), {"i-1": "team1"}, closed=True)
    assert wrong.faults == ("expected: i-1 is team1, not Team1",)


def test_a_missing_key_and_one_too_many_are_faults():
    case = case_of(expected_exact={"a": 1}, expected_count=1, expected_total_exact=1)
    assert judged(case, {}, closed=True).faults == (
        "expected_exact has a, which did not come out",
        "0 keys came out, not 1",
        "expected_total_exact: sum is 0, not 1",
    )
    more = judged(case, {"a": Decimal(1), "b": Decimal(2)}, closed=True)
    assert more.faults[0] == "b is 2, which expected_exact lacks"
    assert not judged(case_of(expected={"a": 1}), {"a": Decimal(1), "b": Decimal(2)}, closed=False).faults


def test_a_wrong_figure_of_the_source_must_be_missed_and_the_right_one_met():
    case = case_of(expected={"a": "5"}, corrected_expected={"a": "4"})
    assert judged(case, {"a": Decimal(4)}, closed=True).remarks == (
        "differs from what the source says wrong, as it must",
    )
    assert judged(case, {"a": Decimal(5)}, closed=True).faults == (
        "corrected_expected: a is 5, not 4",
        "it is what the source says wrong",
    )
    marked = case_of(expected={"a": "5"}, exact={"a": "4"}, anti_oracle=True)
    assert not judged(marked, {"a": Decimal(4)}, closed=True).faults
    assert "it is what the source says wrong" in judged(marked, {"a": Decimal(5)}, closed=True).faults
    told = case_of(exact={"a": "4"}, anti_oracle={"a": "5"})
    assert not judged(told, {"a": Decimal(4)}, closed=True).faults


def test_a_frozen_ratio_that_comes_out_is_a_fault():
    case = {"id": "azure-frozen-percentages", "expected": {"month2_B": "75"}}
    assert judged(case, {"month2_B": Decimal(75)}, closed=False).faults == (
        "month2_B is what the source says wrong, or did not come out",
    )


def test_an_error_that_is_expected_must_come():
    case = case_of(expected_error="zero duration")
    assert not judged(case, {"error": "The end does not lie after the start."}, closed=True).faults
    assert judged(case, {"a": Decimal(1)}, closed=True).faults == ("no error, where one should be: zero duration",)


NOTHING_TO_COMPARE = "no figure was compared: the case expects none that is known here"


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ({}, NOTHING_TO_COMPARE),
        ({"anti_oracle": True}, NOTHING_TO_COMPARE),
        ({"expected": {}}, NOTHING_TO_COMPARE),
        ({"expected": {"method": "compute_time"}}, NOTHING_TO_COMPARE),
        ({"corrected_expected": {}, "expected_total_exact": 1}, NOTHING_TO_COMPARE),
        ({"anti_oracle": True, "expected": {"b": 1}}, NOTHING_TO_COMPARE),
        ({"id": "azure-frozen-percentages", "exact": {"a": 1}, "expected": {}}, NOTHING_TO_COMPARE),
        ({"expectd": {"a": 1}}, "nobody here knows the expectation expectd"),
        ({"expected": {"a": 1}, "expected_max": {"a": 0}}, "nobody here knows the expectation expected_max"),
        ({"expected_error": "zero", "expected_erorr": "one"}, "nobody here knows the expectation expected_erorr"),
    ],
)
def test_a_case_without_a_known_expectation_is_not_judged(figures, why):
    with pytest.raises(StrangeShape, match=f"^{why}$"):
        judged({"id": "one", **figures}, {"a": Decimal(1)}, closed=False)


@pytest.mark.parametrize(
    "figures",
    [{"expected_count": 1}, {"expected_total_exact": 1}, {"anti_oracle": {"a": 5}}, {"expected_upstream": {"a": 1}}],
)
def test_one_known_figure_is_enough_to_judge(figures):
    assert not judged(case_of(**figures), {"a": Decimal(1)}, closed=False).faults


def test_what_is_shown_as_expected_is_what_the_verdict_rests_on():
    assert expected(case_of(exact={"a": 1}, expected={"a": 2})) == {"a": 1}
    assert expected(case_of(expected_error="zero duration")) == {"error": "zero duration"}
    assert expected(case_of(anti_oracle={"a": 5})) == {"a": 5}
    assert expected(case_of()) == {}


def test_what_is_no_amount_is_passed_over_and_said_so():
    case = case_of(expected={"a": 1, "method": "compute_time"})
    assert judged(case, {"a": Decimal(1)}, closed=False).remarks == (
        "method is not compared: the name of one of OpenCost's methods",
    )


def test_figures_are_numbers_and_inputs_are_known():
    assert flat({"a": {"b": 1}, "c": 2}) == {"a.b": 1, "c": 2}
    assert flat(3) == {"value": 3}
    with pytest.raises(StrangeShape, match="'True' is no figure"):
        number(True)  # noqa: FBT003 - the very value
    with pytest.raises(StrangeShape, match="what to do with b, c"):
        only({"a": 1, "c": 2, "b": 3}, "a")
