"""The command line: words in, tables, CSV or JSON out. It calls `apportion.app` and nothing else."""

from apportion.cli.main import main

__all__ = ["main"]
