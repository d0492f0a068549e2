# ruff: noqa: RUF001, RUF002 - letters that look alike are what this file is about
"""Letters of other scripts that look like Latin ones: they make two names look the same on paper.

They are never merged by themselves, only listed (`variants`, `policy`): a look-alike may be a slip or a trick.
"""

from __future__ import annotations

import unicodedata

_LATIN = {
    "a": "аαɑ",
    "b": "ьЬβƄ",
    "c": "сϲⅽ",
    "d": "ԁⅾ",
    "e": "еҽєε℮",
    "f": "ϝƒ",
    "g": "ɡցƍ",
    "h": "һհн",
    "i": "іιıⅰӏ",
    "j": "јϳ",
    "k": "кκ",
    "l": "ⅼןІ|",
    "m": "мⅿ",
    "n": "ոռпη",
    "o": "оοσօ০०٥",
    "p": "рρ",
    "q": "ԛզ",
    "r": "гᴦ",
    "s": "ѕꜱ",
    "t": "тτ",
    "u": "υսц",
    "v": "ѵνⅴ",
    "w": "ԝѡω",
    "x": "хχⅹ×",
    "y": "уүγ",
    "z": "ᴢ",
}
_TABLE = {ord(odd): latin for latin, odds in _LATIN.items() for odd in odds.casefold() + odds}
_ASCII = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l"})


def skeleton(text: str) -> str:
    """The shape of a text: two texts with one skeleton look alike. For comparing only, never to be shown.

    >>> skeleton("sеarch") == skeleton("search"), skeleton("search") == skeleton("serach")
    (True, False)
    """
    # Before folding too: NFKD makes a sigma of the lunate sigma, which looks like a c.
    letters = unicodedata.normalize("NFKD", text.translate(_TABLE)).casefold()
    seen = (c for c in letters if unicodedata.category(c) not in {"Cf", "Mn", "Me"})
    shape = "".join(seen).translate(_TABLE).translate(_ASCII)
    return shape.replace("rn", "m").replace("vv", "w")
