"""Patterns that cannot run away: RE2 only, which DuckDB runs too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import re2

from apportion.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apportion.core.config import Condition, Config

LONGEST = 1000
"""Characters a pattern may have."""


def check_pattern(pattern: str, *, file: str, line: int | None, key: str) -> None:
    """Nothing where RE2 takes the pattern; else raises `ConfigError` with RE2's own words.

    RE2 runs in time linear in the text, and so has no back-references and no look-around.
    """
    if len(pattern) > LONGEST:
        what = f"the pattern has {len(pattern)} characters, more than {LONGEST}."
        raise ConfigError(file=file, line=line, key=key, what=what, fix="Split it into several rules.")
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options=options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        what = f"RE2 cannot read the pattern '{pattern}' ({reason})."
        fix = "Write it in RE2 syntax: no look-around, no back-references, at most 1000 repetitions."
        raise ConfigError(file=file, line=line, key=key, what=what, fix=fix) from error


def check_patterns(config: Config, *, file: str = "apportion.toml") -> None:
    """Nothing where RE2 takes every pattern of every rule; else raises `ConfigError` for the first it refuses."""
    for rule in config.rules:
        for key, pattern in _patterns(rule.when):
            check_pattern(pattern, file=file, line=None, key=f"rules.{rule.id}.when.{key}")


def _patterns(when: Condition) -> Iterator[tuple[str, str]]:
    yield from ((f"matches.{field}", pattern) for field, pattern in when.matches.items())
    yield from ((f"tags_match.{key}", pattern) for key, pattern in when.tags_match.items())
