"""Socket 3: one question per file, each a `REPORT` that reads the allocations of a run and never changes an amount."""

from apportion.core.plugins import Socket

SOCKET = Socket("apportion.reports", "REPORT", "report")
