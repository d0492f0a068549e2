"""A fresh store per test, and processes that can be killed."""

from __future__ import annotations

import multiprocessing
import time

import pytest

from apportion.store import open_store


@pytest.fixture
def state(tmp_path):
    """The folder of a project's state; not made yet."""
    return tmp_path / "state"


@pytest.fixture
def store(state):
    with open_store(state) as opened:
        yield opened


@pytest.fixture(scope="session")
def processes():
    """A context whose processes start in milliseconds: the packages are imported once, in the fork server."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.store.deliveries"])
    return context


@pytest.fixture
def started(processes, state, tmp_path):
    """Start a function of `deliveries` in its own process; gives the process and the file of its acknowledgements."""
    running = []

    def start(target, name="acknowledged"):
        acknowledged = tmp_path / name
        process = processes.Process(target=target, args=(state, acknowledged), daemon=True)
        process.start()
        running.append(process)
        return process, acknowledged

    yield start
    for process in running:
        process.kill()
        process.join()
        process.close()


def lines_of(acknowledged):
    """The acknowledgements so far."""
    return acknowledged.read_text().split() if acknowledged.exists() else []


@pytest.fixture
def answered():
    """Wait until a process has acknowledged more than `beyond` things; fails after 30 seconds."""

    def wait(acknowledged, beyond=0):
        deadline = time.monotonic() + 30
        while len(lines_of(acknowledged)) <= beyond:
            assert time.monotonic() < deadline, "the process never answered"
            time.sleep(0.005)
        return lines_of(acknowledged)

    return wait
