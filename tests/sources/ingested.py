"""Bills taken in whole: delivered files to published snapshots, and what is read back from them."""

from __future__ import annotations

from apportion.core.tables import quoted
from apportion.engine import duck
from apportion.sources.intake.ingest import ingest
from apportion.store import open_store


def ingested(config, tmp_path, *columns):
    """The result of an import, and the named columns of all its charges, in the order of snapshots and charges."""
    with open_store(tmp_path / "state") as store:
        result = ingest(config, store=store, base=tmp_path, threads=1)
    with duck.session() as db:
        rows = [row for snapshot in result.published for row in _charges(db, snapshot, columns)]
    return result, rows


def _charges(db, snapshot, columns):
    db.read_parquet("charges", [snapshot.charges])
    db.read_parquet("attributes", [snapshot.attributes])
    shown = ", ".join(quoted(name) for name in columns)
    return db.rows(f'SELECT {shown} FROM charges JOIN attributes USING ("x_AttributeNo") ORDER BY "x_ChargeNo"')


def extras(snapshot):
    """The delivered columns that no FOCUS column carries: one dict per charge."""
    with duck.session() as db:
        db.read_parquet("extras", [snapshot.extras])
        return db.table('SELECT * FROM extras ORDER BY "x_ChargeNo"').to_pylist()
