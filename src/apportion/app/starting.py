"""Preset: pools and rules to start from."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from apportion.core.ready_made import ABOUT, READY_MADE
from apportion.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = "apportion.app.preset_files"


def presets() -> dict[str, str]:
    """Name -> what it is: the ready-made pools, then the rules of other systems."""
    return {**ABOUT, **{name: _first_line(name) for name in _others()}}


def preset(name: str) -> str:
    """The TOML of a preset, to paste into `apportion.toml`; raises `UnknownName`."""
    if name in READY_MADE:
        return f'[[pools]]\nid = "{name}"\n' + "".join(f"{k} = {_toml(v)}\n" for k, v in READY_MADE[name].items())
    if name not in _others():
        raise UnknownName("preset", name, presets())
    return _text(name)


def _others() -> list[str]:
    found = (entry.name.removesuffix(".toml") for entry in files(_FOLDER).iterdir() if entry.name.endswith(".toml"))
    return sorted(name.replace("_", "-") for name in found)


def _text(name: str) -> str:
    return files(_FOLDER).joinpath(f"{name.replace('-', '_')}.toml").read_text(encoding="utf-8")


def _first_line(name: str) -> str:
    return _text(name).partition("\n")[0].removeprefix("# ")


def _toml(value: Any) -> str:  # noqa: ANN401 - whatever a pool may hold
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    if isinstance(value, dict):
        return _table(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _table(value: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
