"""Tables in narrow terminals."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from tests.cli.test_metered_commands import ready, said
from tests.metered_company import CHARGES, USES

from apportion.cli.fitting import SHORT_WORD, Strip, fitted
from apportion.cli.render import rendered
from apportion.cli.sheet import Column, Kind, Section, Sheet


@pytest.fixture(scope="module")
def metered(tmp_path_factory):
    return ready(tmp_path_factory.mktemp("narrow") / "metered", CHARGES, USES)


COLUMNS = (
    Column("job", "Job"),
    Column("team", "Team"),
    Column("gpu_hours", "GPU-hours", Kind.QUANTITY),
    Column("cost", "Cost", Kind.MONEY),
    Column("cost_per_hour", "A GPU-hour", Kind.MONEY),
    Column("why", "Why"),
)
WHY = "No meter looked then, so it belongs to whom tags and rules name."
ROW = ("i-0123456789abcdef0", "platform", Decimal("10549.92"), Decimal("1234567.89"), Decimal("117.02"), WHY)


def drawn(width, monkeypatch, rows=(ROW,), columns=COLUMNS):
    monkeypatch.setenv("COLUMNS", str(width))
    sheet = Sheet("report", "Title", (Section(columns, rows, total=("Total", *rows[0][1:])),))
    lines = rendered(sheet, "table").splitlines()
    return [line for line in lines if not line.startswith("Left out")], [x for x in lines if x.startswith("Left out")]


@pytest.mark.parametrize("width", range(48, 130))
def test_figures_and_ids_are_never_broken_and_lines_never_too_wide(width, monkeypatch):
    lines, _ = drawn(width, monkeypatch)
    words = [word for line in lines for word in line.split()]
    assert all(cell_len(line) <= width for line in lines)
    assert words.count("1,234,567.89") == 2
    assert "i-0123456789abcdef0" in words
    assert not [word for word in words if "…" in word]


def test_a_wide_terminal_leaves_nothing_out(monkeypatch):
    lines, left_out = drawn(160, monkeypatch)
    assert left_out == []
    assert any(WHY in line for line in lines)


def test_what_is_left_out_is_named_in_the_order_of_the_columns(monkeypatch):
    _, left_out = drawn(60, monkeypatch)
    assert left_out == ["Left out to fit 60 columns: GPU-hours, A GPU-hour; --json and --format csv have every column."]


def test_first_columns_from_the_right_go_then_sentences_never_name_and_cost():
    strips = [Strip(i, column, ("x" * 19 if i else "name", WHY if i == 5 else "y")) for i, column in enumerate(COLUMNS)]
    gone = [tuple(strip.column.key for strip in fitted(strips, width).left_out) for width in range(130, 10, -1)]
    assert list(dict.fromkeys(gone)) == [
        (),
        ("cost_per_hour",),
        ("gpu_hours", "cost_per_hour"),
        ("team", "gpu_hours", "cost_per_hour"),
        ("team", "gpu_hours", "cost_per_hour", "why"),
    ]


def test_figures_are_whole_even_where_nothing_fits(monkeypatch):
    lines, _ = drawn(10, monkeypatch)
    words = [word for line in lines for word in line.split()]
    assert words.count("1,234,567.89") == 2


def test_long_words_are_cut_rather_than_figures(monkeypatch):
    arn = "arn:aws:sagemaker:us-east-1:111122223333:training-job/tuning"
    lines, left_out = drawn(80, monkeypatch, [(arn, *ROW[1:])])
    assert any("…" in line for line in lines)
    assert any("10,549.92" in line or "1,234,567.89" in line for line in lines)
    assert all(cell_len(line) <= 80 for line in lines)
    assert left_out


words = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=50)


@given(st.lists(st.lists(words, min_size=1, max_size=8).map(" ".join), min_size=6, max_size=6), st.integers(1, 200))
def test_no_figure_gets_less_than_it_needs_and_what_fits_is_no_wider(cells, width):
    strips = [Strip(i, column, (cell,)) for i, (column, cell) in enumerate(zip(COLUMNS, cells, strict=True))]
    fit = fitted(strips, width)
    for strip, wide in fit.drawn:
        assert wide >= (min(strip.longest_word, SHORT_WORD) if strip.wraps else max(map(cell_len, strip.cells)))
    kept = [strip.column.key for strip, _ in fit.drawn]
    assert {"job", "cost"} <= set(kept)
    assert fit.width <= width or set(kept) == {"job", "cost"}
    assert sorted([*kept, *(strip.column.key for strip in fit.left_out)]) == sorted(c.key for c in COLUMNS)


@pytest.mark.parametrize("by", ["job", "endpoint", "idle", "metering-gaps", "model-stages", "team"])
def test_every_report_fits_eighty_columns(metered, by, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = said(metered, "report", "--by", by, "--format", "table")
    lines = [line for line in shown.splitlines() if "   " in line or "─" in line]
    assert lines
    assert all(cell_len(line) <= 80 for line in lines)


def test_a_real_terminal_of_eighty_columns_breaks_no_figure(metered):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    words = ["-c", "from apportion.cli import main; main()", "--project", str(metered), "report", "--by", "job"]
    env = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    env |= {"NO_COLOR": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.Popen([sys.executable, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    shown = read_all(ours)
    assert done.wait(timeout=60) == 0, shown
    assert re.search(r"idle +idle +– .* 125\.00", shown)
    assert "Left out to fit 80 columns: CPU-hours, GPU busy, A GPU-hour" in shown


def read_all(terminal):
    """All that is written to the terminal; Linux answers EIO once nobody has its other end."""
    found = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            break
        if not chunk:
            break
        found += chunk
    os.close(terminal)
    return found.decode()


def test_requests_have_no_digits_after_the_point_and_exact_ones_in_json(metered):
    shown = said(metered, "report", "--by", "endpoint", "--format", "md")
    assert "| ep-1 | growth | ranker | 10,000 | 60.00 |" in shown
    assert "| key-1 | growth | unallocated | 400 |" in shown
    assert '"requests": "400"' in said(metered, "report", "--by", "endpoint", "--json")
