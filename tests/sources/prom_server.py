"""A real Prometheus on a free port of the loopback, with back-filled blocks."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.ports import free_port
from tests.sources.prom_cluster import openmetrics

INSTALLED = Path(__file__).parents[2] / ".venv" / "servers" / "usr" / "bin"
PATIENCE = 60.0


def program(name):
    """Where a program of Prometheus is; a test without it fails and says so."""
    found = INSTALLED / name
    known = str(found) if found.exists() else shutil.which(name)
    if known is None:
        pytest.fail(f"{name} is neither in {INSTALLED} nor on PATH: run scripts/install_servers.sh first.")
    return known


@contextmanager
def prometheus_with(series, folder):
    """The address of a Prometheus that holds these series."""
    data = folder / "data"
    for day in range(2):
        text = folder / f"day{day}.om"
        with text.open("w") as stream:
            stream.writelines(openmetrics(series, {day}))
        subprocess.run(
            [
                program("promtool"),
                "tsdb",
                "create-blocks-from",
                "--quiet",
                "--max-block-duration=24h",
                "openmetrics",
                str(text),
                str(data),
            ],
            check=True,
            timeout=60,
            stdout=subprocess.DEVNULL,
        )
    (folder / "prometheus.yml").write_text("global: {}\n")
    address = f"127.0.0.1:{free_port()}"
    log = (folder / "prometheus.log").open("w")
    server = subprocess.Popen(
        [
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address={address}",
            "--log.level=warn",
        ],
        stdout=log,
        stderr=log,
    )
    try:
        _wait(f"http://{address}/-/ready", server)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(timeout=10)
        log.close()


def _wait(url, server):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - our own loopback address
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    pytest.fail("Prometheus did not become ready.")
