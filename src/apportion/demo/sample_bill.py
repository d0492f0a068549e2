"""The FOCUS Foundation's anonymised sample of real bills (CC BY 4.0), as a project."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BILL = "focus10_sample_1000.csv"


def sample_configuration() -> str:
    """The text of the sample's `apportion.toml`."""
    return (files("apportion.demo") / "sample" / "apportion.toml").read_text(encoding="utf-8")


def write_sample(folder: Path) -> None:
    """Write the project folder: the bill, its licence notice, and a configuration for the tags it has."""
    kept = files("apportion.demo") / "sample"
    (folder / "bills").mkdir(parents=True, exist_ok=True)
    for name, target in ((BILL, folder / "bills" / BILL), ("LICENCE.md", folder / "LICENCE.md")):
        target.write_bytes((kept / name).read_bytes())
    (folder / "apportion.toml").write_text(sample_configuration(), encoding="utf-8")
