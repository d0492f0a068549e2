"""Ways to read a meter's file, and to ask its API, directly."""

from __future__ import annotations

import tempfile
from pathlib import Path

from apportion.sources.readings.client import Client
from apportion.sources.readings.contract import RawFile


def read_of(source, path, config, read_at):
    """The samples and faults of one file."""
    return source.read(RawFile(path, path.name, read_at), config)


def read_text(source, text, config, read_at):
    """The samples and faults of JSON lines."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.jsonl"
        path.write_text(text)
        yield from read_of(source, path, config, read_at)


def client_of(url, keep, read_at):
    """A client of the source `tracker` that never waits."""
    return Client(source_id="tracker", url=url, keep=keep, read_at=read_at, timeout=60.0, sleep=lambda _: None)
