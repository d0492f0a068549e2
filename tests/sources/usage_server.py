"""A server on loopback that gives documented answers of usage APIs, page by page, and remembers what it was asked."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@contextmanager
def served(answers):
    """(address, what was asked): `answers` maps a path to its pages, given in turn; the last is given for ever."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            url = urlsplit(self.path)
            asked.append((url.path, parse_qs(url.query), dict(self.headers)))
            pages = answers.get(url.path)
            body = json.dumps(pages.pop(0) if len(pages) > 1 else pages[0]).encode() if pages else b"{}"
            self.send_response(200 if pages else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
