"""Whether rules and pools give their methods what those count by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.allocation.methods import SOCKET
from apportion.allocation.pool_rows import USAGE_KEYS
from apportion.allocation.weighing import Basis
from apportion.core import focus
from apportion.core.config import Condition, RowChoice
from apportion.core.config_condition import OWNER_FIELDS
from apportion.core.config_pools import CARRIED
from apportion.core.config_text import ConfigText
from apportion.core.measures import Measure

if TYPE_CHECKING:
    from apportion.core.config import Config, Pool
    from apportion.core.toml_lines import Path

_BY_WORD = (Basis.NOTHING, Basis.STATED)


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
    if pool.basis_when != Condition() and basis is not Basis.COST:
        return "basis_when", f"{pool.method} counts no cost.", "Leave basis_when out."
    return _wrong_receivers(pool, basis)


def _wrong_receivers(pool: Pool, basis: Basis) -> tuple[str, str, str] | None:
    """What cannot be asked of who takes part: key, what, fix."""
    if pool.receivers.charge != Condition() and basis not in (Basis.COST, Basis.NOTHING):
        return "receivers", "what was used has no charge to ask for.", f"Ask for {', '.join(OWNER_FIELDS)} only."
    return _wrong_table(pool) if pool.table else None


def _wrong_table(pool: Pool) -> tuple[str, str, str] | None:
    """What does not go with a table: key, what, fix."""
    if pool.receivers != RowChoice():
        return "receivers", "the table names who takes part.", "Leave receivers out."
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
        if strange := set(pool.within) - USAGE_KEYS.keys():
            fix = f"Known of usage: {', '.join(sorted(USAGE_KEYS))}."
            return "within", f"meters do not know the {', '.join(sorted(strange))} of what was used.", fix
    if pool.with_shared and (basis is not Basis.COST or pool.time != "month" or set(pool.within) - set(CARRIED)):
        fix = f"Use it with proportional_cost, in whole months, within {', '.join(CARRIED)} only."
        return "with_shared", "what earlier pools gave has no such basis.", fix
    return None
