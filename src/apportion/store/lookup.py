"""Ids as people write them: whole, or the first characters if that says which one is meant."""

from __future__ import annotations

from sqlalchemy import Connection, Table, func, select

from apportion.errors import NoData

_SHOWN = 5


def id_of(connection: Connection, table: Table, text: str, *, noun: str) -> str:
    """The one id that is `text` or begins with it; raises `NoData`, naming what could be meant."""
    ids = table.c.id
    if text and connection.scalar(select(ids).where(ids == text)):
        return text
    starts = func.substr(ids, 1, len(text)) == text
    found = list(connection.scalars(select(ids).where(starts).order_by(ids).limit(_SHOWN + 1))) if text else []
    if len(found) == 1:
        return str(found[0])
    if found:
        raise NoData(f"Several {noun}s begin with '{text}'.", f"Write more of the id: {_some(found)}.")
    newest = list(connection.scalars(select(ids).order_by(table.c.created_at.desc(), ids).limit(_SHOWN)))
    known = f"The newest are: {', '.join(newest)}." if newest else "None has been stored yet."
    raise NoData(f"There is no {noun} '{text}'.", known)


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (" …" if len(ids) > _SHOWN else "")
