"""Letters of other scripts that look like Latin ones: they make two names look the same on paper.

They are never merged by themselves, only listed (`variants`, `policy`): a look-alike may be a slip or a trick.
"""

from __future__ import annotations

import unicodedata

_LATIN = {
    "a": "аαɑ",  # noqa: RUF001 - the look-alikes are the point
    "b": "ьЬβƄ",
    "c": "сϲⅽ",  # noqa: RUF001
    "d": "ԁⅾ",  # noqa: RUF001
    "e": "еҽєε℮",  # noqa: RUF001
    "f": "ϝƒ",
    "g": "ɡցƍ",  # noqa: RUF001
    "h": "һհн",
    "i": "іιıⅰӏ",  # noqa: RUF001
    "j": "јϳ",  # noqa: RUF001
    "k": "кκ",
    "l": "ⅼןІ|",  # noqa: RUF001
    "m": "мⅿ",
    "n": "ոռпη",
    "o": "оοσօ০०٥",  # noqa: RUF001
    "p": "рρ",  # noqa: RUF001
    "q": "ԛզ",  # noqa: RUF001
    "r": "гᴦ",  # noqa: RUF001
    "s": "ѕꜱ",  # noqa: RUF001
    "t": "тτ",
    "u": "υսц",
    "v": "ѵνⅴ",  # noqa: RUF001
    "w": "ԝѡω",
    "x": "хχⅹ×",
    "y": "уүγ",  # noqa: RUF001
    "z": "ᴢ",  # noqa: RUF001
}
_TABLE = {ord(odd): latin for latin, odds in _LATIN.items() for odd in odds.casefold() + odds}
_ASCII = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l"})


def skeleton(text: str) -> str:
    """The shape of a text: two texts with one skeleton look alike. For comparing only, never to be shown.

    >>> skeleton("sеarch") == skeleton("search"), skeleton("search") == skeleton("serach")
    (True, False)
    """
    letters = unicodedata.normalize("NFKD", text).casefold()
    seen = (c for c in letters if unicodedata.category(c) not in {"Cf", "Mn", "Me"})
    shape = "".join(seen).translate(_TABLE).translate(_ASCII)
    return shape.replace("rn", "m").replace("vv", "w")
