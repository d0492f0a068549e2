"""What the tests of meters share: reading one file, and a loopback server that answers from a function."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

from apportion.core.config import SourceConfig
from apportion.sources.readings.client import Client
from apportion.sources.readings.contract import Fault, RawFile, Sample

READ_AT = datetime(2026, 10, 2)


def read(source, file, *, read_at=READ_AT, options=None):
    """Samples and faults of one file, apart."""
    config = SourceConfig(id="meter", kind=source.name, paths=(), options=options or {})
    found = list(source.read(RawFile(Path(file), Path(file).name, read_at), config))
    return [one for one in found if isinstance(one, Sample)], [one for one in found if isinstance(one, Fault)]


def saved(folder, body, name="saved.json"):
    """A JSON document as a user saves it."""
    path = folder / name
    path.write_text(json.dumps(body))
    return path


def amounts(samples, *keys):
    """(measure, basis) -> sum of quantities."""
    total = {}
    for one in samples:
        key = (one.measure.value, one.basis.value)
        total[key] = total.get(key, Decimal(0)) + one.quantity
    return {key: total[key] for key in keys} if keys else total


@contextmanager
def served(answer):
    """A loopback server; `answer(path, params, headers)` gives (status, body). Yields (address, requests seen)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            params = dict(parse_qsl(parts.query))
            asked.append((parts.path, params))
            status, body = answer(parts.path, params, self.headers)
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args):
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def client(url, keep=None):
    """A client that keeps its answers in `keep` and waits for nothing."""
    return Client("meter", url, io.StringIO() if keep is None else keep, READ_AT, timeout=5, sleep=lambda _: None)
