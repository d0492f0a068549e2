"""Plug-ins: a plug-in is a frozen value in a file that is found by its name.

A *socket* is a package (`apportion.sources`, `apportion.reports`, …). Each module in it whose name has no leading
underscore is one plug-in, named like its file; the module holds the value under the socket's word (`SOURCE`, `REPORT`,
…). Other distributions add theirs through an entry point group named like the package. Nothing else is touched.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from apportion.errors import UnknownName


@dataclass(frozen=True, slots=True)
class Socket:
    """Where plug-ins live: `package`, the `word` each module holds its value under, the `noun` for messages."""

    package: str
    word: str
    noun: str

    def names(self) -> list[str]:
        """All plug-in names, sorted; imports no plug-in."""
        folder = import_module(self.package)
        own = {m.name for m in pkgutil.iter_modules(folder.__path__) if not m.ispkg and not m.name.startswith("_")}
        return sorted(own | {point.name for point in entry_points(group=self.package)})

    def load(self, name: str) -> Any:  # noqa: ANN401 - the value's type is the socket's, checked by its caller
        """The plug-in value of that name; raises `UnknownName` with the known ones."""
        if name not in self.names():
            raise UnknownName(self.noun, name, self.names())
        for point in entry_points(group=self.package, name=name):
            return point.load()
        return getattr(import_module(f"{self.package}.{name}"), self.word)
