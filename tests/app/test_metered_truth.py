"""The example company's metered resources against its planted truth, and the balance of its nodes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from apportion import app
from apportion.allocation.statements import PIECES
from apportion.demo import write_company
from apportion.engine import duck
from apportion.engine.dialect import DUCKDB, compile_sql

BILLIONTH = Decimal("1e-9")

OURS = """
SELECT $source AS source, p.x_RowNo AS row, f.path, a.ResourceId AS resource, p.x_Team AS team,
       nullif(p.x_Model, 'unallocated') AS model, p.x_Environment AS environment, p.x_WorkloadKind AS kind,
       SUM(p.BilledCost) AS billed, any_value(p.BilledCost_whole) AS charge
FROM pieces AS p
JOIN files AS f ON f.no = p.x_FileNo
JOIN attributes AS a ON a.x_AttributeNo = p.x_AttributeNo
WHERE p.x_ShareWhole > 1000000
GROUP BY ALL
"""
"""Every row of a metered resource by owner: a metered whole is 2^49."""

TRUE = """
SELECT file, row, coalesce(team, pool) AS team, coalesce(model, pool) AS model,
       SUM(CAST(billed AS DECIMAL(38,18))) AS billed
FROM truth
GROUP BY ALL
"""


@pytest.fixture(scope="module")
def acme_folder(tmp_path_factory):
    """One month of acme, ingested and allocated."""
    folder = tmp_path_factory.mktemp("truth") / "acme"
    write_company(folder, months=1)
    with app.open_project(folder) as project:
        app.ingest(project)
        app.run(project)
        assert app.verify(project).passed
    return folder


@pytest.fixture(scope="module")
def acme(acme_folder):
    """Every metered piece of the month, and the truth by (file, row, team, model)."""
    folder, pieces = acme_folder, []
    with app.open_project(folder) as project:
        run = project.store.current_run()
        for part in run.parts:
            snapshot = project.store.snapshot(part.snapshot_id)
            with duck.session() as db:
                db.read_parquet("charges", [snapshot.charges])
                db.read_parquet("attributes", [snapshot.attributes])
                db.read_parquet("shares", [part.shares])
                db.read_parquet("owners", [part.owners])
                names = ", ".join(f"({f.no}, '{f.path.removeprefix(str(folder) + '/')}')" for f in snapshot.files)
                db.run(f"CREATE TEMP TABLE files AS SELECT * FROM (VALUES {names}) AS t(no, path)")
                db.run(f"CREATE TEMP VIEW pieces AS {compile_sql(PIECES, DUCKDB)}")
                pieces += db.table(OURS, {"source": snapshot.scope.source_id}).to_pylist()
    with duck.session() as db:
        db.read_parquet("truth", sorted((folder / "truth" / "rows").glob("*.parquet")))
        truth = {tuple(key): billed for *key, billed in db.rows(TRUE)}
    return pieces, truth


def test_the_metered_split_is_the_planted_truth_to_a_billionth_of_each_amount(acme):
    pieces, truth = acme
    assert len(pieces) > 1000
    for piece in pieces:
        true = truth[piece["path"], piece["row"], piece["team"], piece["model"]]
        assert abs(piece["billed"] - true) <= BILLIONTH * abs(true), piece


@pytest.fixture(scope="module")
def known(acme_folder):
    """The resources of the month that the planted meters know, by their id in the bill."""
    with duck.session() as db:
        db.read_parquet("known", [acme_folder / "truth" / "workloads" / "2026-10.parquet"])
        return {resource for (resource,) in db.rows("SELECT DISTINCT resource_id FROM known")}


def test_every_resource_that_the_meters_know_is_divided_and_no_other(acme, known):
    pieces, _ = acme
    assert len(known) > 100
    assert {piece["resource"] for piece in pieces} == known


def test_every_charge_of_those_resources_is_divided_and_no_other(acme, acme_folder):
    pieces, _ = acme
    with duck.session() as db:
        db.read_parquet("known", [acme_folder / "truth" / "workloads" / "2026-10.parquet"])
        db.read_parquet("billed", sorted((acme_folder / "truth" / "rows").glob("2026-10*.parquet")))
        expected = set(db.rows("SELECT file, row FROM billed WHERE resource IN (SELECT resource FROM known)"))
    assert len(expected) > 1000
    assert {(piece["path"], piece["row"]) for piece in pieces} == expected


def test_nothing_of_a_node_is_unmetered_and_jobs_and_idle_are_its_charges_exactly(acme):
    pieces, _ = acme
    nodes = [piece for piece in pieces if piece["resource"].startswith("i-") and piece["kind"] != "notebook"]
    kinds = {piece["kind"] for piece in nodes}
    assert kinds >= {"training_job", "inference_endpoint", "idle"}
    assert "unmetered" not in kinds
    rows = {(piece["path"], piece["row"]): piece["charge"] for piece in nodes}
    for row, charge in rows.items():
        assert sum(piece["billed"] for piece in nodes if (piece["path"], piece["row"]) == row) == charge


def test_an_idle_day_is_idle_and_an_overused_one_is_not(acme):
    pieces, truth = acme
    idle = {(piece["path"], piece["row"]) for piece in pieces if piece["kind"] == "idle"}
    true = {(file, row) for file, row, team, _ in truth if team == "idle" and file.startswith("bills/")}
    assert idle == true


@pytest.fixture(scope="module")
def reported(acme_folder):
    with app.open_project(acme_folder) as project:
        return {by: app.report(project, by=by) for by in ("job", "endpoint")}


def rows(answer):
    (section,) = answer.sections
    keys = [column.key for column in section.columns]
    return [dict(zip(keys, row, strict=True)) for row in section.rows]


def test_every_job_has_gpu_hours_cpu_hours_storage_and_cost(reported):
    jobs = [row for row in rows(reported["job"]) if row["kind"] not in {"idle", "unmetered"}]
    assert len(jobs) > 200
    for name in ("gpu_hours", "cpu_hours", "storage_gib_months"):
        assert [row["job"] for row in jobs if row[name] is None] == [], name
    # the second delivery of a month brings some charges late; October has none
    assert [row["job"] for row in jobs if row["cost"] is None] == []


def test_every_endpoint_has_gpu_hours_cpu_hours_storage_requests_and_cost(reported):
    endpoints = [row for row in rows(reported["endpoint"]) if row["kind"] == "inference_endpoint"]
    assert len(endpoints) > 15
    for name in ("gpu_hours", "cpu_hours", "storage_gib_months", "cost"):
        assert [row["endpoint"] for row in endpoints if row[name] is None] == [], name
    assert all(row["cost"] is not None for row in rows(reported["endpoint"]))


def test_jobs_endpoints_idle_and_unmetered_are_what_was_metered(reported, acme):
    pieces, _ = acme
    told = sum(row["cost"] for answer in reported.values() for row in rows(answer))
    assert told >= sum(piece["billed"] for piece in pieces)
