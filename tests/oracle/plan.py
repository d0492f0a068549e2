"""What a kind of case turns into: a scene to bill and meter, and the answer to read from what the run gave it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.oracle.book import Scene, Settings

if TYPE_CHECKING:
    from tests.oracle.seen import Seen

Case = Mapping[str, Any]
Answer = Mapping[str, Any]
"""Key of the case -> a Decimal, a Fraction or a text."""

KEEP, GIVEN, USED = Settings("max", "keep"), Settings("max", "workloads"), Settings("used", "keep")
"""Idle its own line; idle given to who used the machine; only what was used counts."""


class NotApplicable(Exception):
    """The case asks for something that is not ours to answer: its text says why."""


class StrangeShape(Exception):
    """The case is of a known kind, in a form that the harness does not know: it cannot be run."""


@dataclass(frozen=True)
class Plan:
    """`scenes` are run under each of `settings`; `answer` takes what was seen, by settings."""

    scene: Scene
    settings: tuple[Settings, ...]
    answer: Callable[[Mapping[Settings, Seen]], Answer]
    closed: bool = False
    """Whether the answer may hold no other keys than the case expects."""
    differs: str = ""
    """Why ours may answer otherwise: then the case is not ours, and what ours gives is shown beside."""


Planner = Callable[[Case, Scene], Plan]


def number(value: Any) -> Decimal:
    """A figure of a case, exactly."""
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise StrangeShape(f"'{value}' is no figure")
    return Decimal(value)


def only(given: Mapping[str, Any], *known: str) -> None:
    """Refuses inputs that nobody would look at."""
    strange = sorted(given.keys() - set(known))
    if strange:
        raise StrangeShape(f"nobody here knows what to do with {', '.join(strange)}")
