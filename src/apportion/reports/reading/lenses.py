"""Two lenses on a run, as reports know them; `ledger.lenses` makes them."""

from __future__ import annotations

from apportion.ledger.lenses import CostKind, Lens, open_lenses

__all__ = ["CostKind", "Lens", "open_lenses"]
