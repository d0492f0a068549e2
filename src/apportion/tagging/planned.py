"""A resource that a plan or manifest is about to make, and what a reader of plans is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.core.plugins import Socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from apportion.tagging.documents import Node

SOCKET = Socket("apportion.tagging.plans", "PLAN", "plan format")


@dataclass(frozen=True, slots=True)
class Planned:
    """One resource that can carry tags.

    `tags` holds what it will carry; None is a value that is known only when the plan is carried out. `whole` is False
    where there may be tags that the plan does not show: then none can be said to be missing. `line` is that of the tags
    or the resource, None where the file does not tell. `where` says where tags of this resource are written.
    """

    address: str
    kind: str
    tags: Mapping[str, str | None]
    where: str
    line: int | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class PlanFormat:
    """A reader: `recognises` a file's documents as a whole, and `reads` the resources that can carry tags."""

    name: str
    recognises: Callable[[list[Node]], bool]
    reads: Callable[[list[Node]], Iterable[Planned]]
