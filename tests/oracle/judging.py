"""Whether what came out is what a case expects, key by key, within what its source rounds."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any

from tests.oracle.applicable import NOT_SAID, WRONG_AT_THE_SOURCE
from tests.oracle.plan import StrangeShape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.oracle.plan import Answer, Case

ENGINE = Fraction(1, 10**9)
"""Of each amount: what the division of a charge into whole parts may be off."""
_MANY_DIGITS = 6
_CORRECTED = ("correct", "corrected_expected", "correct_exact")
_EXACT = ("exact", "expected_exact", "expected_share")
_UPSTREAM = Fraction(51, 10**4)
_TOTALS: dict[str, Fraction | None] = {"expected_total_exact": None, "expected_total_upstream": _UPSTREAM}
_KNOWN = {*_CORRECTED, *_EXACT, *_TOTALS, "expected", "expected_upstream", "expected_count", "expected_error"}


@dataclass(frozen=True)
class Relative:
    """How far off a figure may be, of itself."""

    part: Fraction


Tolerance = Fraction | Relative | None
"""None: by the figure's own last digit."""
Wanted = tuple[str, dict[str, Any], Tolerance]
"""What the figures are called, the figures, and how far off they may be."""


@dataclass(frozen=True)
class Verdict:
    """`faults` is empty where the case passed; `remarks` are told beside."""

    faults: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def flat(figures: Any, prefix: str = "") -> dict[str, Any]:
    """Nested figures by their keys with dots between; a figure alone has the key ``value``."""
    if not isinstance(figures, dict):
        return {prefix or "value": figures}
    found: dict[str, Any] = {}
    for key, value in figures.items():
        found |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return found


def expected(case: Case) -> dict[str, Any]:
    """The figures to show for a case: the right ones, exact where they are given; else the error, or what is wrong."""
    wanted = _right(case)
    if wanted:
        return dict(wanted[0][1])
    return {"error": case["expected_error"]} if "expected_error" in case else _wrong(case)


def judged(case: Case, got: Answer, *, closed: bool) -> Verdict:
    """Every figure that the case expects, against what came out.

    Raises `StrangeShape` for an expectation that nobody here knows, and where there is no figure to compare: a case
    like that proves nothing.
    """
    strange = sorted(name for name in case if name.startswith("expect") and name not in _KNOWN)
    if strange:
        raise StrangeShape(f"nobody here knows the expectation {', '.join(strange)}")
    if "expected_error" in case:
        return Verdict(() if got.get("error") else (f"no error, where one should be: {case['expected_error']}",))
    found = flat(dict(got))
    if not _compares(case, found):
        raise StrangeShape("no figure was compared: the case expects none that is known here")
    if case.get("id") in WRONG_AT_THE_SOURCE:
        return _must_differ(_wrong(case), found, WRONG_AT_THE_SOURCE[case["id"]])
    faults: list[str] = []
    remarks = [f"{key} is not compared: {NOT_SAID[key]}" for key in flat(case.get("expected", {})) if key in NOT_SAID]
    for name, figures, tolerance in _right(case):
        faults += _differences(name, figures, tolerance, found)
        if closed:
            faults += [f"{key} is {_shown(found[key])}, which {name} lacks" for key in sorted(found - figures.keys())]
    faults += _counted(case, found)
    wrong = _wrong(case)
    if wrong and not _differences("", wrong, None, found):
        faults.append("it is what the source says wrong")
    elif wrong:
        remarks.append("differs from what the source says wrong, as it must")
    return Verdict(tuple(faults), tuple(remarks))


def _right(case: Case) -> list[Wanted]:
    """All figures that must be met, the exact ones first."""
    if case.get("id") in WRONG_AT_THE_SOURCE:
        return []
    found: list[Wanted] = [(name, flat(case[name]), None) for name in _CORRECTED if name in case]
    if found:
        return found
    found += [(name, flat(case[name]), None) for name in _EXACT if name in case]
    if case.get("anti_oracle"):
        return found
    if "expected" in case:
        figures = {key: value for key, value in flat(case["expected"]).items() if key not in NOT_SAID}
        found.append(("expected", figures, _tolerance(case)))
    if "expected_upstream" in case:
        found.append(("expected_upstream", flat(case["expected_upstream"]), _UPSTREAM))
    return found


def _compares(case: Case, found: Mapping[str, Any]) -> bool:
    """Whether any figure of the case is held against what came out; one that is wrong has to have come out."""
    if any(figures for _, figures, _ in _right(case)):
        return True
    return "expected_count" in case or bool(_totals(case)) or bool(_wrong(case).keys() & found.keys())


def _wrong(case: Case) -> dict[str, Any]:
    """What the source says wrong, where the case says so or it is known here."""
    if case.get("id") in WRONG_AT_THE_SOURCE:
        return flat(case["expected"])
    if isinstance(case.get("anti_oracle"), dict):
        return flat(case["anti_oracle"])
    if case.get("anti_oracle") or any(name in case for name in _CORRECTED):
        return flat(case.get("expected", case.get("expected_exact", {})))
    return {}


def _tolerance(case: Case) -> Tolerance:
    if "tolerance" in case:
        return Fraction(str(case["tolerance"]))
    said = str(case.get("upstream_tolerance", "")).split() or [""]
    if said[0] == "relative":
        return Relative(Fraction(said[-1]))
    return Fraction(said[-1]) if said[0] == "absolute" else None


def _differences(name: str, wanted: Mapping[str, Any], tolerance: Tolerance, found: Mapping[str, Any]) -> list[str]:
    faults = []
    for key, value in wanted.items():
        if key not in found:
            faults.append(f"{name} has {key}, which did not come out")
        elif not _meets(value, found[key], tolerance):
            faults.append(f"{name}: {key} is {_shown(found[key])}, not {value}")
    return faults


def _meets(value: Any, got: Any, tolerance: Tolerance) -> bool:
    wanted, came = _figure(value), _figure(got)
    if wanted is None or came is None:
        return bool(str(value) == str(got))
    if isinstance(tolerance, Relative):
        return abs(wanted - came) <= tolerance.part * abs(wanted)
    return abs(wanted - came) <= (_last_digit(value) if tolerance is None else tolerance) + ENGINE * max(1, abs(wanted))


def _figure(value: Any) -> Fraction | None:
    """The exact figure: of a number, or of texts such as 0.5, 7/12 and 0.1/730/1024."""
    try:
        if isinstance(value, str) and "/" in value:
            first, *others = (Fraction(each) for each in value.split("/"))
            return first / prod(others)
        return None if isinstance(value, bool) else Fraction(value)
    except (ValueError, TypeError, ZeroDivisionError):
        return None


def _last_digit(value: Any) -> Fraction:
    """Half a unit of the last digit of a figure that was rounded to many; nothing for one that was written as it is."""
    try:
        digits = -int(Decimal(str(value)).as_tuple().exponent)
    except (InvalidOperation, ValueError):
        return Fraction(0)
    return Fraction(1, 2 * 10**digits) if digits >= _MANY_DIGITS else Fraction(0)


def _must_differ(wrong: Mapping[str, Any], found: Mapping[str, Any], why: str) -> Verdict:
    same = [key for key, value in wrong.items() if key not in found or _meets(value, found[key], None)]
    faults = tuple(f"{key} is what the source says wrong, or did not come out" for key in same)
    return Verdict(faults, (f"must differ, and does: {why}",) if not faults else ())


def _counted(case: Case, found: Mapping[str, Any]) -> list[str]:
    faults = []
    if "expected_count" in case and len(found) != case["expected_count"]:
        faults.append(f"{len(found)} keys came out, not {case['expected_count']}")
    for name in _totals(case):
        faults += _differences(name, {"sum": case[name]}, _TOTALS[name], {"sum": sum(found.values(), Decimal(0))})
    return faults


def _totals(case: Case) -> list[str]:
    """The sums that the case expects; beside corrected figures they are those of the wrong ones."""
    return [] if "corrected_expected" in case else [name for name in _TOTALS if name in case]


def shown(figures: Mapping[str, Any]) -> str:
    """Figures on one line."""
    return ", ".join(f"{key} {_shown(value)}" for key, value in figures.items()) or "nothing"


def _shown(value: Any) -> str:
    if isinstance(value, Decimal):
        rounded = round(value, 12).normalize()
        return f"{rounded:f}"
    return str(value)
