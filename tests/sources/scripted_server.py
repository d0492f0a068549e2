"""A server on loopback that follows a script: what an API answers, or that it does not."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


class Scripted(BaseHTTPRequestHandler):
    """Answers with what the server's script says next: (status, headers, body), or a wait in seconds."""

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        parts = urlsplit(self.path)
        sent = self.rfile.read(length).decode()
        self.server.asked.append((self.command, parts.path, dict(parse_qsl(parts.query)), sent, dict(self.headers)))
        script = self.server.script
        step = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(step, float):
            time.sleep(step)
            return
        status, headers, body = step
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(text))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer  # noqa: N815 - the names of http.server

    def log_message(self, *args):
        """Nothing."""


@contextmanager
def serving(*script):
    """(address, what was asked) of a server on loopback that follows the script; the last step is for ever."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    server.script, server.asked, server.daemon_threads = list(script), [], True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def ok(body, **headers):
    return 200, headers, body
