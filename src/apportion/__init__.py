"""Apportion: ML cost attribution, exact to the last digit and explained row by row.

Scripts without a tracker say what they use with `apportion.track` and `apportion.stamp` (see `app.tracking`).
"""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class or a function
    """`track` and `stamp`, loaded when first used. Their module has another name: it would take the name's place."""
    if name in {"stamp", "track"}:
        from importlib import import_module

        return getattr(import_module("apportion.app.tracking"), name)
    raise AttributeError(f"module 'apportion' has no attribute '{name}'")
