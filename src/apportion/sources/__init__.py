"""Socket 1: one billing export per file, each a `SOURCE`: which files are current, what their columns mean."""

from apportion.core.plugins import Socket

SOCKET = Socket("apportion.sources", "SOURCE", "source kind")
