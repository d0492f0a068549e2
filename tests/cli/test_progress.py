from __future__ import annotations

import pytest

from apportion.cli import telling


class Screen:
    """What stands for stderr: a terminal or not, and what was written to it."""

    def __init__(self, *, terminal: bool):
        self.terminal, self.text = terminal, ""

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves only when told."""
    now = [100.0]
    monkeypatch.setattr(telling.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_gets_one_line_after_a_second_and_it_is_wiped(monkeypatch, clock):
    screen = Screen(terminal=True)
    monkeypatch.setattr(telling.sys, "stderr", screen)
    with telling.progress(quiet=False) as tell:
        tell("reading", 0, 4)
        assert screen.text == ""
        clock[0] += 1.5
        tell("reading", 1, 4)
    assert screen.text == "\rreading  1/4\r" + " " * 12 + "\r"


def test_a_pipe_gets_a_line_every_ten_seconds(monkeypatch, clock):
    screen = Screen(terminal=False)
    monkeypatch.setattr(telling.sys, "stderr", screen)
    with telling.progress(quiet=False) as tell:
        tell("reading", 0, 4)
        clock[0] += 11
        tell("reading", 1, 4)
        tell("reading", 2, 4)
    assert screen.text == "reading: 1 of 4\n"


def test_quiet_is_silent(monkeypatch, clock):
    screen = Screen(terminal=True)
    monkeypatch.setattr(telling.sys, "stderr", screen)
    with telling.progress(quiet=True) as tell:
        clock[0] += 60
        tell("reading", 1, 4)
    assert screen.text == ""
