"""What a mapping makes of raw rows: its expressions, run by DuckDB over text columns, without the rest of intake."""

from __future__ import annotations

import pyarrow as pa

from apportion.core.tables import quoted
from apportion.engine import duck


def mapped(mapping, rows):
    """One dict per raw row: FOCUS column -> text, and `repairs` -> the codes whose condition holds, sorted."""
    names = list(rows[0])
    table = pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in names})
    shown = [f"CAST(({sql}) AS VARCHAR) AS {quoted(name)}" for name, sql in mapping.expressions.items()]
    checks = [f"coalesce(({each.when}), false) AS {quoted(f'r${n}')}" for n, each in enumerate(mapping.repairs)]
    with duck.session() as db:
        db.register("delivered", table)
        found = db.table(f"SELECT {', '.join([*shown, *checks])} FROM delivered").to_pylist()
    codes = [each.code for each in mapping.repairs]
    for row in found:
        row["repairs"] = sorted(code for n, code in enumerate(codes) if row.pop(f"r${n}"))
    return found
