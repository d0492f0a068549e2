"""Socket 2: one allocation method per file, each a `METHOD` that weighs receivers and never sees money."""

from apportion.core.plugins import Socket

SOCKET = Socket("apportion.allocation.methods", "METHOD", "allocation method")
