"""Whether rules and pools give their methods what those count by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.allocation.methods import SOCKET
from apportion.allocation.weighing import Basis
from apportion.core import focus
from apportion.core.config_text import ConfigText
from apportion.core.measures import Measure

if TYPE_CHECKING:
    from apportion.core.config import Config, Pool
    from apportion.core.toml_lines import Path

_BY_WORD = (Basis.NOTHING, Basis.STATED)
_OF_USAGE = {
    "provider",
    "account",
    "region",
    "resource",
    "cluster",
    "business_unit",
    "team",
    "project",
    "model",
    "environment",
}
_OF_SHARED = {"provider", "billing_account", "account", "service"}


def refuse_wrong_methods(config: Config, text: str, file: str) -> None:
    """Raise `ConfigError` for the first rule or pool whose method cannot weigh what is given."""
    source = ConfigText(text, file)
    for place, rule in enumerate(config.rules):
        if SOCKET.load(rule.method).basis not in _BY_WORD:
            fix = "Use fixed or even here, or a pool: pools divide by what is counted."
            raise source.fault(("rules", place, "method"), "a rule has nothing that can be counted.", fix)
    for place, pool in enumerate(config.pools):
        _refuse(source, ("pools", place), pool, SOCKET.load(pool.method).basis)


def _refuse(source: ConfigText, path: Path, pool: Pool, basis: Basis) -> None:
    found = _wrong_words(pool, basis) or _wrong_basis(pool, basis)
    if found:
        key, what, fix = found
        raise source.fault((*path, key), what, fix)


def _wrong_words(pool: Pool, basis: Basis) -> tuple[str, str, str] | None:
    """What stands in the pool that its method does not look at: key, what, fix."""
    if bool(pool.table) != (pool.method == "table"):
        return "table", "a table and the method table belong together.", 'Write method = "table", table = "a.csv".'
    if pool.split and basis not in _BY_WORD:
        return "split", f"{pool.method} finds its receivers itself.", "Say who takes part with receivers."
    if pool.split and (pool.within or pool.time != "month"):
        return "split", "named receivers are the same everywhere.", "Leave within and time out."
    if basis in _BY_WORD and pool.basis:
        return "basis", f"{pool.method} counts nothing.", "Leave the basis out."
    return _wrong_table(pool) if pool.table else None


def _wrong_table(pool: Pool) -> tuple[str, str, str] | None:
    """What does not go with a table: key, what, fix."""
    if pool.within:
        return "within", "the lines of a table are the same everywhere.", "Leave within out."
    if pool.to_pools:
        return "to_pools", "a table has no weight for another pool.", 'Use method = "fixed", or no to_pools.'
    return None


def _wrong_basis(pool: Pool, basis: Basis) -> tuple[str, str, str] | None:
    """What the method cannot count by: key, what, fix."""
    if basis is Basis.COST and pool.basis not in focus.COSTS:
        return "basis", f"'{pool.basis}' is no cost.", f"Known: {', '.join(focus.COSTS)}."
    if basis not in (*_BY_WORD, Basis.COST):
        if pool.basis not in set(Measure):
            return "basis", f"{pool.method} needs a measure.", f"Known: {', '.join(Measure)}."
        if strange := set(pool.within) - _OF_USAGE:
            fix = f"Known of usage: {', '.join(sorted(_OF_USAGE))}."
            return "within", f"meters do not know the {', '.join(sorted(strange))} of what was used.", fix
    if pool.with_shared and (basis is not Basis.COST or pool.time != "month" or set(pool.within) - _OF_SHARED):
        fix = f"Use it with proportional_cost, in whole months, within {', '.join(sorted(_OF_SHARED))} only."
        return "with_shared", "what earlier pools gave has no such basis.", fix
    return None
