"""How people at acme tag: a few do it right, and the rest is what every bill looks like.

A habit turns the true owner of a resource into the tags somebody gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from apportion.demo.acme.company import TEAM_CODES, TEAMS, Owner

Tags = Mapping[str, str]

_LONG = {"prod": "production", "staging": "stage", "dev": "development"}
_SHORT = {"prod": "prd", "staging": "stg", "dev": "dev"}
_LOOK_ALIKES = {
    "risk": "riks",
    "lending": "landing",
    "payments": "payment",
    "merchant": "merchants",
    "assistant": "assistent",
    "platform": "plattform",
}
_PEOPLE = {"risk": "anna.berg", "lending": "dora.ek", "payments": "chen.li", "merchant": "mia.roth"}


def tags_of(owner: Owner, habit: str, *, name: str) -> dict[str, str]:
    """The tags on a resource of that owner and name; a tag nobody could fill is left out, an empty one stays."""
    return {key: value for key, value in _HABITS[habit](owner, name).items() if value is not None}


def _clean(owner: Owner, _name: str) -> dict[str, str | None]:
    return {"team": owner.team, "project": owner.project, "model": owner.model, "environment": owner.environment}


def _capital(owner: Owner, name: str) -> dict[str, str | None]:
    return {
        "Name": name,
        "Team": _team(owner).capitalize(),
        "Project": owner.project,
        "Model": owner.model,
        "Environment": _environment(owner).capitalize(),
    }


def _suffixed(owner: Owner, _name: str) -> dict[str, str | None]:
    return {"ml-team": f"{_team(owner)}-team", "model": owner.model, "env": _LONG[_environment(owner)]}


def _short(owner: Owner, _name: str) -> dict[str, str | None]:
    return {"owner": TEAM_CODES[_team(owner)], "stage": _SHORT[_environment(owner)], "cost-center": "4711"}


def _mailbox(owner: Owner, name: str) -> dict[str, str | None]:
    person = _PEOPLE.get(_team(owner), "team")
    return {"Name": name, "owner": f"{person}@acme.example", "environment": _environment(owner).upper()}


def _spaced(owner: Owner, _name: str) -> dict[str, str | None]:
    return {
        " org": TEAMS[_team(owner)],
        "team": f" {_team(owner)} ",
        "project": owner.project,
        "environment": f"{_environment(owner)} ",
    }


def _look_alike(owner: Owner, _name: str) -> dict[str, str | None]:
    return {"team": _LOOK_ALIKES[_team(owner)], "environment": _environment(owner)}


def _empty(owner: Owner, name: str) -> dict[str, str | None]:
    return {"Name": name, "team": "", "project": "", "environment": _environment(owner)}


def _cluster(_owner: Owner, name: str) -> dict[str, str | None]:
    return {
        "Name": f"acme-ml-{name}",
        "eks:cluster-name": "acme-ml",
        "eks:nodegroup-name": name.rsplit("-", 1)[0],
        "kubernetes.io/cluster/acme-ml": "owned",
    }


def _team(owner: Owner) -> str:
    return owner.team or "platform"


def _environment(owner: Owner) -> str:
    return owner.environment or "prod"


_HABITS: Mapping[str, Callable[[Owner, str], dict[str, str | None]]] = {
    "clean": _clean,
    "capital": _capital,
    "suffixed": _suffixed,
    "short": _short,
    "mailbox": _mailbox,
    "spaced": _spaced,
    "look-alike": _look_alike,
    "empty": _empty,
    "cluster": _cluster,
    "model": lambda owner, _name: {"model": owner.model},
    "project": lambda owner, _name: {"project": owner.project, "env": _SHORT[_environment(owner)]},
    "environment": lambda owner, _name: {"environment": owner.environment},
    "name": lambda _owner, name: {"Name": name},
    "none": lambda _owner, _name: {},
}
HABITS = tuple(_HABITS)
"""The names of all habits."""
