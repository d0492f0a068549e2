"""A loopback server that answers with recorded or documented JSON, and remembers what it was asked."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass(frozen=True)
class Asked:
    path: str
    body: object
    authorization: str | None


class Api:
    """`answers`: path -> the bodies it gives, one after the other; a path it does not know is 404."""

    def __init__(self, answers):
        self.answers = {path: list(bodies) for path, bodies in answers.items()}
        self.asked = []
        self.url = ""


@contextmanager
def tracker_api(answers):
    """The running server, stopped at the end."""
    api = Api(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            api.asked.append(Asked(self.path, json.loads(sent or b"null"), self.headers.get("Authorization")))
            left = api.answers.get(self.path)
            body = json.dumps(left.pop(0)).encode() if left else b"{}"
            self.send_response(200 if left is not None else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
