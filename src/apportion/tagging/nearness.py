"""Which words are nearly the same: by their shape, or by one slip of the keyboard."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING

from apportion.tagging.lookalikes import skeleton

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LONGEST = 64
"""Longer words are compared by shape only: what is near in so long a text is no slip."""
CROWD = 50
"""More words than this behind one key share it by accident (a numbering, a prefix) and are not compared."""

SHORT = 4
"""Letters of a short word: there another letter makes another word (`core`, `code`); below, so does one more."""

_DIGITS = re.compile(r"\d+")
_JOINTS = re.compile(r"[-.\s_]+")


def near_pairs(words: Iterable[str]) -> dict[tuple[str, str], str]:
    """Pairs of different words, each sorted, and why they are near: `joints`, `look-alike`, `slip`, in this order.

    A slip is one letter more, less, other or two swapped; digits never slip (`v1` and `v2` are two things), and words
    of fewer than five letters may only gain or lose one. Time grows with the number of words, not with its square.
    """
    distinct = sorted(set(words))
    found: dict[tuple[str, str], str] = {}
    for why, key in (("joints", _unjoined), ("look-alike", skeleton)):
        for pair in _sharing(distinct, lambda word, key=key: [key(word)]):  # type: ignore[misc]
            found.setdefault(pair, why)
    for one, other in _sharing([word for word in distinct if len(word) <= LONGEST], _shortened):
        if is_slip(one, other):
            found.setdefault((one, other), "slip")
    return found


def is_slip(one: str, other: str) -> bool:
    """Whether one slip makes one word of the other.

    >>> is_slip("search", "serach"), is_slip("team1", "team2"), is_slip("prod", "prd"), is_slip("core", "code")
    (True, False, True, False)
    """
    if one == other or _DIGITS.findall(one) != _DIGITS.findall(other):
        return False
    short, long = sorted((one, other), key=len)
    if len(long) < SHORT or len(long) - len(short) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    swapped = short[start : start + 2] == long[start : start + 2][::-1] and short[start + 2 :] == long[start + 2 :]
    return len(long) > SHORT and (swapped or short[start + 1 :] == long[start + 1 :])


def _unjoined(word: str) -> str:
    """The word without joints, but with those between digits: `v1.1` is not `v11`."""
    return re.sub(r"(?<!\d)[-.\s_]+|[-.\s_]+(?!\d)", "", _JOINTS.sub("-", word))


def _shortened(word: str) -> list[str]:
    """The word and every word it becomes by losing one letter: two words one slip apart share at least one of them."""
    return [word, *{word[:i] + word[i + 1 :] for i in range(len(word))}]


def _sharing(words: Iterable[str], keys: Callable[[str], Iterable[str]]) -> Iterator[tuple[str, str]]:
    """Pairs of words that share a key."""
    crowds: dict[str, list[str]] = {}
    for word in words:
        for key in keys(word):
            crowds.setdefault(key, []).append(word)
    for crowd in crowds.values():
        if len(crowd) <= CROWD:
            yield from combinations(sorted(crowd), 2)
