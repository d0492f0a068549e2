"""The rules of the house that a tool can check: floors, sizes, plug-ins, locks, and nothing that names a registry."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from apportion import app, reports, sources
from apportion.core.plugins import Socket
from apportion.errors import UnknownName

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ROOT / "src" / "apportion"
REQUIREMENTS = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

MOST_LINES_OF_A_MODULE = 400
MOST_LINES_OF_A_FUNCTION = 60
NOT_OURS = {"__pycache__", "build", "dist", "node_modules"}
OUR_DOT_NAMES = {".ci", ".github", ".gitignore"}

# in two halves, so that this file does not name them
REGISTRIES = [
    f"{name}.{domain}"
    for name, domain in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("rubygems", "org"),
        ("anaconda", "org"),
        ("deb.debian", "org"),
        ("security.debian", "org"),
        ("archive.ubuntu", "com"),
        ("proxy.golang", "org"),
        ("maven", "org"),
    )
]


def our_files():
    """Every file of the checkout that is not made by a tool."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [n for n in folders if n not in NOT_OURS and (not n.startswith(".") or n in OUR_DOT_NAMES)]
        yield from (Path(folder, n) for n in names if not n.startswith(".") or n in OUR_DOT_NAMES)


def python_files():
    return [path for path in our_files() if path.suffix == ".py"]


def said(paths):
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def too_long(source: str) -> list[str]:
    functions = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return [f.name for f in functions if (f.end_lineno or 0) - f.lineno + 1 > MOST_LINES_OF_A_FUNCTION]


def pins(lock: str) -> dict[str, str]:
    """Name -> version of each pin of a lock file; fails where a pin has no hash."""
    text = (REQUIREMENTS / lock).read_text("utf-8")
    hashes = r"((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)"
    found = re.findall(rf"^([a-z0-9-]+)(?:\[[a-z0-9,-]+\])?==(\S+) \\\n{hashes}", text, re.MULTILINE)
    assert len(found) == len(re.findall(r"^[^\s#]", text, re.MULTILINE)), f"{lock} has a line that is no hashed pin"
    return {name: version for name, version, _ in found}


def asked(wish: str) -> set[str]:
    """The names that an .in file asks for, as lock files spell them."""
    lines = (line.split("#")[0].strip() for line in (REQUIREMENTS / wish).read_text("utf-8").splitlines())
    return {spelled(line) for line in lines if line and not line.startswith("-c ")}


def spelled(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


WISHES = sorted(path.name for path in REQUIREMENTS.glob("*.in"))


# -- what stands in files


def test_no_file_names_a_package_registry():
    names = re.compile("|".join(map(re.escape, REGISTRIES)).encode(), re.IGNORECASE)
    assert not said(path for path in our_files() if names.search(path.read_bytes()))


def test_the_walk_sees_the_files_that_matter():
    seen = set(said(our_files()))
    assert {"Makefile", "pyproject.toml", ".ci/run", "requirements/run.txt", "src/apportion/core/money.py"} <= seen
    assert not [path for path in seen if path.startswith((".venv", ".git/", "build/"))]


def test_no_module_is_longer_than_400_lines():
    assert not said(p for p in python_files() if len(p.read_text("utf-8").splitlines()) > MOST_LINES_OF_A_MODULE)


def test_no_function_is_longer_than_60_lines():
    assert not {str(p.relative_to(ROOT)): long for p in python_files() if (long := too_long(p.read_text("utf-8")))}


@pytest.mark.parametrize(("lines", "found"), [(60, []), (61, ["f"])])
def test_a_function_is_measured_with_its_signature(lines, found):
    assert too_long("def f():\n" + "    pass\n" * (lines - 1)) == found


# -- floors


def test_imports_go_down_the_floors():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def rooms():
    return {
        f"apportion.{path.stem}"
        for path in ROOMS.iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and not path.stem.startswith("__")
    }


def test_every_room_has_a_floor():
    (floors,) = (c["layers"] for c in PROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    assert sorted(room for floor in floors for room in floor.split(" | ")) == sorted(rooms())


@pytest.mark.parametrize(
    "contract",
    [c for c in PROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "forbidden"],
    ids=lambda contract: contract["name"],
)
def test_a_library_is_known_in_one_room_only(contract):
    assert len(rooms() - set(contract["source_modules"])) == 1


# -- plug-ins


@pytest.mark.parametrize(
    ("socket", "name"),
    [(s, name) for s in (sources.SOCKET, reports.SOCKET) for name in s.names()],
    ids=lambda value: value if isinstance(value, str) else value.noun,
)
def test_every_plug_in_is_named_like_its_file(socket, name):
    assert socket.load(name).name in {name, name.removeprefix("cost_by_")}
    assert import_module(f"{socket.package}.{name}").__doc__


@pytest.fixture
def contributed(tmp_path, monkeypatch):
    """The source and the report of CONTRIBUTING.md, each as the one new file that it says, in a room of its own."""
    for room, socket in ((sources, sources.SOCKET), (reports, reports.SOCKET)):
        told = rf"^```python\n# src/apportion/{room.__name__.split('.')[1]}/(\w+)\.py\n(.*?)^```"
        ((name, text),) = re.findall(told, (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
        folder = tmp_path / socket.word
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
        before = socket.names()
        monkeypatch.setattr(room, "__path__", [*room.__path__, str(folder)])
        assert socket.names() == sorted([*before, name])
    yield tmp_path
    for name in ("sources.toy_shop", "reports.charge_count"):
        sys.modules.pop(f"apportion.{name}", None)


TOY_PROJECT = """
[project]
name = "toys"
currency = "EUR"
[[sources]]
id = "shop"
kind = "toy_shop"
paths = ["toys.csv"]
"""


def test_a_source_and_a_report_are_one_new_file_each(contributed):
    (contributed / "apportion.toml").write_text(TOY_PROJECT)
    (contributed / "toys.csv").write_text(
        "day,toy,euros\n2026-10-01,ball,1.25\n2026-10-02,ball,-0.25\n2026-10-31,car,3\n"
    )
    with app.open_project(contributed) as project:
        app.ingest(project)
        assert app.run(project).run.totals_out["EUR"]["BilledCost"] == 4
        (section,) = app.report(project, by="charge-count").sections
    assert (section.currency, section.rows) == ("EUR", ((3,),))


def test_a_file_with_an_underscore_is_no_plug_in(tmp_path, monkeypatch):
    (tmp_path / "_part_of_it.py").write_text("")
    monkeypatch.setattr(reports, "__path__", [*reports.__path__, str(tmp_path)])
    assert not [name for name in reports.SOCKET.names() if "part_of_it" in name]


def test_another_distribution_adds_a_plug_in_by_an_entry_point(tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text('OURS = "from elsewhere"\n')
    told = tmp_path / "elsewhere-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1\n")
    (told / "entry_points.txt").write_text("[apportion.sources]\nelse_where = elsewhere:OURS\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "else_where" in sources.SOCKET.names()
    assert sources.SOCKET.load("else_where") == "from elsewhere"
    monkeypatch.delitem(sys.modules, "elsewhere")


def test_an_unknown_plug_in_is_told_with_the_known_ones():
    socket = Socket("apportion.sources", "SOURCE", "source kind")
    with pytest.raises(UnknownName) as told:
        socket.load("focsu")
    known = ", ".join(socket.names())
    assert str(told.value) == f"There is no source kind 'focsu'. Did you mean 'focus'? Known: {known}."


# -- locks


@pytest.mark.parametrize("wish", WISHES)
def test_every_wish_is_locked_with_hashes(wish):
    assert asked(wish) <= pins(wish.replace(".in", ".txt")).keys()


def test_every_lock_has_its_wish():
    assert sorted(path.with_suffix(".in").name for path in REQUIREMENTS.glob("*.txt")) == WISHES


APART = {"lock.in", "mlflow.in"}
"""Installed apart from the others, so they may disagree."""


def test_no_two_locks_disagree():
    locked = [pair for wish in WISHES if wish not in APART for pair in pins(wish.replace(".in", ".txt")).items()]
    assert len(set(locked)) == len(dict(locked))


def test_what_runs_is_locked_as_it_is_declared():
    lines = (REQUIREMENTS / "run.in").read_text("utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == PROJECT["project"]["dependencies"]
    assert {spelled(name) for name in PROJECT["build-system"]["requires"]} <= asked("build.in")


@pytest.mark.parametrize("lock", [wish.replace(".in", ".txt") for wish in WISHES])
def test_no_lock_says_where_packages_come_from(lock):
    text = (REQUIREMENTS / lock).read_text("utf-8")
    assert not re.findall(r"://|--(?:extra-)?index-url|--find-links|--trusted-host|/opt/", text)


@pytest.mark.parametrize("wish", [wish for wish in WISHES if wish != "lock.in"])
def test_every_dependency_says_why_it_is_here(wish):
    reasons = (ROOT / "docs" / "why" / "dependencies.md").read_text("utf-8")
    told = {spelled(name) for name in re.findall(r"^\| `([^`]+)` \|", reasons, re.MULTILINE)}
    assert asked(wish) <= told


def test_a_lock_keeps_the_extras_that_its_own_packages_ask_for():
    locked = (ROOT / "requirements" / "test.txt").read_text()
    assert "\ncoverage[toml]==" in locked
