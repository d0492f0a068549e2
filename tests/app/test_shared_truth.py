"""The example company's shared costs against its planted truth: what is for all is given out, nothing else."""

from __future__ import annotations

from decimal import Decimal

import pytest

from apportion import app
from apportion.core.period import Period
from apportion.demo import write_company
from apportion.engine import duck
from apportion.ledger.lenses import Lens

# The rows of the bills of which some owner kept a part that no pool took, and those of which pools took all or a part.
KEPT = """
SELECT f.path AS file, c.x_RowNo AS row, a.x_Team AS team, a.x_Model AS model
FROM charges AS c
JOIN files AS f ON f.no = c.x_FileNo
JOIN allocations AS a ON a.x_AttributeNo = c.x_AttributeNo
{join} JOIN taken AS t ON t.x_SnapshotId = $snapshot AND t.x_AttributeNo = a.x_AttributeNo AND t.x_OwnerNo = a.x_OwnerNo
WHERE a.BilledCost <> 0 OR a.EffectiveCost <> 0
"""
LAST_DELIVERIES = """
SELECT * FROM truth WHERE month = '2026-10' QUALIFY delivery = max(delivery) OVER (PARTITION BY source, month)
"""
MONTH = Period.parse("2026-10")


@pytest.fixture(scope="module")
def acme(tmp_path_factory):
    """One month of acme under its pools: the folder, rows kept and rows taken."""
    folder = tmp_path_factory.mktemp("shared") / "acme"
    write_company(folder, months=1)
    kept, taken = [], []
    with app.open_project(folder) as project:
        app.ingest(project)
        app.run(project)
        assert app.verify(project).passed
        run = project.store.current_run()
        (sharing,) = run.sharings
        for part in run.parts:
            snapshot = project.store.snapshot(part.snapshot_id)
            with duck.session() as db:
                db.read_parquet("charges", [snapshot.charges])
                db.read_parquet("allocations", [part.allocations])
                db.read_parquet("taken", [sharing.folder / "taken.parquet"])
                names = ", ".join(f"({f.no}, '{f.path.removeprefix(str(folder) + '/')}')" for f in snapshot.files)
                db.run(f"CREATE TEMP TABLE files AS SELECT * FROM (VALUES {names}) AS t(no, path)")
                kept += db.rows(KEPT.format(join="ANTI"), {"snapshot": snapshot.id})
                taken += db.rows(KEPT.format(join="SEMI"), {"snapshot": snapshot.id})
    return folder, kept, taken


@pytest.fixture(scope="module")
def truth(acme):
    """(file, row) -> who and which pools caused it."""
    found = {}
    with duck.session() as db:
        db.read_parquet("truth", sorted((acme[0] / "truth" / "rows").glob("*.parquet")))
        for file, row, team, pool in db.rows("SELECT file, row, team, pool FROM truth"):
            found.setdefault((file, row), set()).add((team, pool))
    return found


def test_no_cost_that_is_for_all_is_left_with_nobody_or_the_platform(acme, truth):
    _, kept, _ = acme
    left = [row for row in kept if row[2] in {"unallocated", "idle"} or row[2:] == ("platform", "unallocated")]
    assert left
    shared = [row for row in left if any(pool for _, pool in truth[row[:2]])]
    assert not shared


def test_pools_take_only_what_is_for_all(acme, truth):
    _, _, taken = acme
    assert len({row[:2] for row in taken}) > 500
    given = [row for row in taken if row[2] not in {"platform", "idle"}]
    assert given
    assert not [row for row in given if not any(pool for _, pool in truth[row[:2]])]


def test_the_idle_that_pools_took_is_the_planted_idle(acme):
    folder, _, _ = acme
    with app.open_project(folder) as project:
        (sharing,) = project.store.current_run().sharings
        with duck.session() as db:
            db.read_parquet("shared", [sharing.folder / "shared.parquet"])
            ((ours,),) = db.rows("SELECT SUM(BilledCost) FROM shared WHERE x_OriginKind = 'idle'")
    ((planted,),) = asked_of_truth(folder, "SELECT SUM(CAST(billed AS DECIMAL(38,18))) FROM last WHERE pool = 'idle'")
    assert abs(ours - planted) <= Decimal("1e-9") * planted


def asked_of_truth(folder, sql):
    """The answer of the truth about each bill as it was delivered last."""
    with duck.session() as db:
        db.read_parquet("truth", sorted((folder / "truth" / "rows").glob("*.parquet")))
        db.run(f"CREATE TEMP VIEW last AS {LAST_DELIVERIES}")
        return db.rows(sql)


@pytest.mark.parametrize("by", ["team", "model", "project", "environment", "business-unit", "service"])
def test_the_report_foots_to_the_bills_by_both_lenses(acme, by):
    folder, _, _ = acme
    ((billed,),) = asked_of_truth(folder, "SELECT SUM(CAST(billed AS DECIMAL(38,18))) FROM last")
    with app.open_project(folder) as project:
        for lens in Lens:
            (section,) = app.report(project, by=by, period=MONTH, lens=lens).sections
            place = [column.key for column in section.columns].index("cost")
            assert section.total[place] == billed
            assert sum((row[place] for row in section.rows), Decimal(0)) == billed
