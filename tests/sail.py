"""A real Spark-compatible server (Sail, PyPI `pysail`) on loopback, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from socket import create_connection

from tests.ports import free_port

_SERVE = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", int(sys.argv[1]))
server.start(background=False)
"""


@contextmanager
def sail_server():
    """Start the server, wait at most 30 seconds until it listens, yield its Spark Connect URL, stop it."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", _SERVE, str(port)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield f"sc://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(timeout=10)


def _wait_for(port: int, process: subprocess.Popen) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"the Sail server ended with {process.returncode}")
        try:
            create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the Sail server did not listen within 30 seconds")
