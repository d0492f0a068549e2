"""Socket 1: one billing export per file, each a `SOURCE` that says which files are current and what their columns mean."""

from apportion.core.plugins import Socket

SOCKET = Socket("apportion.sources", "SOURCE", "source kind")
