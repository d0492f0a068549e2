"""A project: a folder with `apportion.toml` and the state beside it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING

from apportion.errors import ConfigError, NoProject, UnknownName, WouldOverwrite

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from apportion.core.config import Config, Pool
    from apportion.store import Store

CONFIG_FILE = "apportion.toml"


@dataclass(frozen=True, slots=True)
class Project:
    """An open project; `memory` is what the engine may use (environment variable `APPORTION_MEMORY`)."""

    folder: Path
    config: Config
    config_text: str
    store: Store

    @property
    def memory(self) -> str:
        """The memory limit of the engine, such as `2GB`."""
        return os.environ.get("APPORTION_MEMORY", "2GB")


def init(folder: Path, *, force: bool = False) -> Path:
    """Write a commented `apportion.toml` to start from, and an empty folder `bills`; returns the path of the file.

    Raises `WouldOverwrite` if there is one already, unless `force`.
    """
    target = folder / CONFIG_FILE
    if target.exists() and not force:
        raise WouldOverwrite(str(target))
    (folder / "bills").mkdir(parents=True, exist_ok=True)
    text = files("apportion.app").joinpath("starter.toml").read_text(encoding="utf-8")
    target.write_text(text, encoding="utf-8")
    return target


def read_config(folder: Path) -> tuple[Config, str]:
    """The configuration of the project in that folder, and its text; raises `NoProject` or `ConfigError`."""
    from apportion.core.config_file import parse_config

    path = folder / CONFIG_FILE
    if not path.is_file():
        raise NoProject(str(folder.resolve()))
    text = text_of(path)
    config = parse_config(text, file=str(path))
    refuse_unknown(config, text, str(path))
    return with_tables(config, folder), text


def text_of(path: Path) -> str:
    """The text of a configuration file; raises `ConfigError` where it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        what, fix = "is not written in UTF-8.", "Save the file as UTF-8."
        raise ConfigError(file=str(path), line=line, key="text", what=what, fix=fix) from error


def with_tables(config: Config, folder: Path) -> Config:
    """The configuration with the tables of weights that its pools name, read from the folder; raises `ConfigError`."""
    if not any(pool.table for pool in config.pools):
        return config
    return replace(config, pools=tuple(_with_table(pool, folder) if pool.table else pool for pool in config.pools))


def _with_table(pool: Pool, folder: Path) -> Pool:
    from apportion.core.config import version_of
    from apportion.core.config_table import table_rows

    path = folder / pool.table
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        what, fix = "cannot be read.", "Name a CSV file in UTF-8, beside apportion.toml."
        raise ConfigError(file=str(path), line=None, key=f"pools.{pool.id}.table", what=what, fix=fix) from error
    rows = table_rows(text, file=str(path))
    return replace(pool, table_rows=rows, version=version_of([pool.version, sorted(map(repr, rows))]))


def refuse_unknown(config: Config, text: str, file: str) -> None:
    """Raise `ConfigError` for a kind of source, an option, a method or a weight set that is not: `core` cannot know."""
    from apportion.allocation.methods import SOCKET as METHODS
    from apportion.metering.weights import SHIPPED
    from apportion.sources import SOCKET as SOURCES

    for place, source in enumerate(config.sources):
        _require(source.kind, SOURCES.names(), text=text, file=file, path=("sources", place, "kind"))
        if source.options:
            from apportion.sources import common_options

            loaded = SOURCES.load(source.kind)
            known = sorted(loaded.options | common_options(loaded))
            for option in source.options:
                _require(option, known, text=text, file=file, path=("sources", place, "options", option))
    for place, rule in enumerate(config.rules):
        _require(rule.method, METHODS.names(), text=text, file=file, path=("rules", place, "method"))
    for place, pool in enumerate(config.pools):
        _require(pool.method, METHODS.names(), text=text, file=file, path=("pools", place, "method"))
    if config.pools or any(rule.method != "fixed" for rule in config.rules):
        from apportion.app.methods_checked import refuse_wrong_methods

        refuse_wrong_methods(config, text, file)
    known = sorted({*SHIPPED, *config.metering.weight_sets})
    _require(config.metering.weights, known, text=text, file=file, path=("metering", "weights"))


def _require(name: str, known: Sequence[str], *, text: str, file: str, path: tuple[str | int, ...]) -> None:
    from apportion.core.config_text import dotted
    from apportion.core.toml_lines import line_of

    if name in known:
        return
    unknown = UnknownName("such name:", name, known)
    what = f"'{name}' is not known here."
    raise ConfigError(file=file, line=line_of(text, path), key=dotted(path), what=what, fix=unknown.fix)


@contextmanager
def open_project(folder: Path) -> Iterator[Project]:
    """The project in that folder with its store open; raises `NoProject`, `ConfigError` or what the store raises."""
    from apportion.store import open_store

    # the paths of bills stand in manifests and certificates: they must not depend on where the command was started
    folder = folder.absolute()
    config, text = read_config(folder)
    with open_store(folder / config.state) as store:
        yield Project(folder, config, text, store)
