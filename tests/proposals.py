"""Proposed rules for the companies of the tests, and how they are tried."""

from __future__ import annotations

from apportion import app
from apportion.core.period import Period

BOTH = Period.parse("2026-09..2026-10")
HALVES = """
[[rules]]
id = "shared-endpoint"
when = { resource_name = "ranker" }
split = [{ weight = 50, team = "growth", model = "feed" }, { weight = 50, team = "risk", model = "search" }]

[[rules]]
id = "support"
when = { service = "Support" }
set = { team = "platform" }
"""
NETWORK = """
[[pools]]
id = "network"
when = { service = "Network" }
grain = "team"
"""
UNITS = """
[hierarchy.teams]
risk = "Sales"
growth = "Sales"
platform = "Technology"
"""
MAPS = """
[maps.accounts]
"111" = { environment = "dev" }
"333" = { team = "growth" }
"""
TAGS = """
[tags.keys]
team = ["owner"]
"""
BY_CORE = """
[metering]
weights = "cpu-only"
"""
ALL_WORK = """
[metering]
idle = "owner"
basis = "used"
"""


def asked(project, text, **said):
    """The answer to a file of proposed rules with that text."""
    file = project.folder / "new.toml"
    file.write_text(text)
    return app.whatif(project, file, **{"period": BOTH, **said})


def by_owner(found):
    return {each.owner: (each.before, each.after) for each in found.owners}


def moved(found):
    return {each.owner: each.change for each in found.owners if each.change}


def adopted(config, text):
    """The configuration with the tables of the text in place of its own, as a person would edit it."""
    new = [line for line in text.splitlines() if line.startswith("[")]
    kept, dropping = [], False
    for line in config.splitlines():
        dropping = line in new if line.startswith("[") else dropping
        kept += [] if dropping else [line]
    return "\n".join(kept) + text
