"""The verbs of Apportion as Python functions: one per command, and the only thing the doors may call.

    >>> from apportion import app
    >>> sorted(app.__all__)[:3]
    ['Project', 'Usage', 'amount_explained']

Names are looked up when first used, so that a verb imports only what it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apportion.app.asking import (
        amount_explained,
        charge_explained,
        kept_out,
        problems,
        report,
        reports,
        sensitivity,
    )
    from apportion.app.billing import ingest
    from apportion.app.checking import doctor, verify
    from apportion.app.demonstration import demo
    from apportion.app.exporting import export_focus
    from apportion.app.posting import run
    from apportion.app.project import Project, init, open_project
    from apportion.app.proposing import whatif
    from apportion.app.recording import Usage, record
    from apportion.app.starting import preset, presets
    from apportion.app.tagging import tags_check, tags_coverage, tags_policy, tags_variants, tags_worklist

_HOMES = {
    "amount_explained": "asking",
    "charge_explained": "asking",
    "problems": "asking",
    "report": "asking",
    "reports": "asking",
    "kept_out": "asking",
    "sensitivity": "asking",
    "ingest": "billing",
    "doctor": "checking",
    "verify": "checking",
    "demo": "demonstration",
    "export_focus": "exporting",
    "run": "posting",
    "Usage": "recording",
    "record": "recording",
    "preset": "starting",
    "presets": "starting",
    "Project": "project",
    "init": "project",
    "open_project": "project",
    "tags_check": "tagging",
    "tags_coverage": "tagging",
    "tags_policy": "tagging",
    "tags_variants": "tagging",
    "tags_worklist": "tagging",
    "whatif": "proposing",
}

__all__ = [
    "Project",
    "Usage",
    "amount_explained",
    "charge_explained",
    "demo",
    "doctor",
    "export_focus",
    "ingest",
    "init",
    "kept_out",
    "open_project",
    "preset",
    "presets",
    "problems",
    "record",
    "report",
    "reports",
    "run",
    "sensitivity",
    "tags_check",
    "tags_coverage",
    "tags_policy",
    "tags_variants",
    "tags_worklist",
    "verify",
    "whatif",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the verb's module holds
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"apportion.app.{_HOMES[name]}"), name)
