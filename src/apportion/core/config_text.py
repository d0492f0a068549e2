"""The text of a configuration and its name, to say where a fault is."""

from __future__ import annotations

from dataclasses import dataclass

from apportion.core.toml_lines import Path, line_of
from apportion.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ConfigText:
    """A configuration as it was written; `file` is what messages call it."""

    text: str
    file: str

    def fault(self, path: Path, what: str, fix: str) -> ConfigError:
        """The error of the key at that path, with its line."""
        return ConfigError(file=self.file, line=line_of(self.text, path), key=dotted(path), what=what, fix=fix)


def dotted(path: Path) -> str:
    """The path as messages write it, places counted from 1.

    >>> dotted(("rules", 0, "set"))
    'rules[1].set'
    """
    return "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
