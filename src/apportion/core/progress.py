"""How long work tells how far it is: the doors show it, the rooms only call it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with what is being done in words, how many steps are done, and how many there are."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""
