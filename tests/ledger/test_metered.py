"""Whole projects with meters: ingest, run and verify, as a user does."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.company import HEADER
from tests.metering.meters import Meter, at, gpus, session, usage_parts
from tests.tagging.bills import config

from apportion import app
from apportion.core import tables
from apportion.core.arrow import schema
from apportion.core.config import ComponentWeights, MeteringConfig
from apportion.core.period import Month
from apportion.errors import ConfigError, DamagedFile
from apportion.ledger.metered import months_of, open_usages
from apportion.metering import shares, weights
from apportion.metering.shares import settings_version

CONFIG = """
[project]
name = "metered"

[[sources]]
id = "cloud"
kind = "focus"
paths = ["bills"]

[[sources]]
id = "meter"
kind = "usage_file"
paths = ["meters"]
"""

HEAD = "start,end,workload,workload_kind,measure,quantity,basis,resource_id,team\n"
START = datetime(2026, 10, 1)


def stamp(hours):
    return f"{START + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


def charge(cost, low, high, *, resource="i-1", category="Usage", klass=""):
    """One line of the bill."""
    given = {
        "BilledCost": cost, "EffectiveCost": cost, "ListCost": cost, "ContractedCost": cost, "BillingAccountId": "A",
        "BillingAccountName": "A", "BillingCurrency": "USD", "BillingPeriodStart": stamp(0), "ChargeClass": klass,
        "BillingPeriodEnd": stamp(31 * 24), "ChargeCategory": category, "ChargeDescription": "p4d",
        "ChargeFrequency": "Usage-Based", "ChargePeriodStart": stamp(low), "ChargePeriodEnd": stamp(high),
        "ProviderName": "AWS", "PublisherName": "AWS", "InvoiceIssuerName": "AWS", "ServiceCategory": "Compute",
        "ServiceName": "EC2", "ResourceId": resource,
    }  # fmt: skip
    return ",".join(given.get(name, "") for name in HEADER.split(","))


def usage(work, low, high, gpus, *, basis="requested", team=""):
    kind = "training_job" if work else ""
    return f"{stamp(low)},{stamp(high)},{work},{kind},gpu_seconds,{gpus * 3600 * (high - low)},{basis},i-1,{team}\n"


ROWS = [usage("", 0, 800, 8, basis="capacity"), usage("a", 0, 5, 2, team="risk"), usage("b", 3, 790, 3)]


@pytest.fixture
def folder(tmp_path):
    for name in ("bills", "meters"):
        (tmp_path / name).mkdir()
    (tmp_path / "apportion.toml").write_text(CONFIG)
    return tmp_path


def deliver(folder, charges, rows):
    (folder / "bills" / "2026-10.csv").write_text("\n".join([HEADER, *charges]) + "\n")
    (folder / "meters" / "u.csv").write_text(HEAD + "".join(rows))


def posted(project):
    app.ingest(project)
    done = app.run(project)
    certificate = app.verify(project)
    assert certificate.passed, certificate.faults
    return done


def costs(run):
    """Holder -> billed cost."""
    found = {}
    for part in run.parts:
        for row in pq.read_table(part.folder / "allocations.parquet").to_pylist():
            name = row["x_WorkloadId"] or row["x_WorkloadKind"] or row["x_Team"]
            found[name] = found.get(name, 0) + row["BilledCost"]
    return found


def test_jobs_idle_and_unmetered_are_the_charges_exactly(folder):
    charges = [charge("32.77", hour, hour + 1) for hour in range(8)] + [
        charge("0.333333333333333333", 2, 9, category="Tax")
    ]
    deliver(folder, charges, ROWS)
    with app.open_project(folder) as project:
        found = costs(posted(project).run)
    assert sum(found.values()) == Decimal("32.77") * 8 + Decimal("0.333333333333333333")
    third = Decimal("0.333333333333333333")
    expected = Decimal("32.77") / 4 * 5 + third * (3 * 2) / (7 * 8)
    assert abs(found["a"] - expected) < Decimal("1e-9") * expected
    assert set(found) == {"a", "b", "idle"}


def test_a_credit_takes_back_what_a_charge_gave(folder):
    charges = [charge("10", 1, 2), charge("-10", 1, 2, category="Credit"), charge("-1", 4, 5, category="Credit")]
    deliver(folder, charges, ROWS)
    with app.open_project(folder) as project:
        done, again = posted(project), posted(project)
    assert (again.unchanged, again.fresh, again.run.id) == (True, 0, done.run.id)
    found = costs(done.run)
    assert found == {"a": Decimal("-0.25"), "b": Decimal("-0.375"), "idle": Decimal("-0.375")}


def test_a_late_sample_gives_another_run_and_the_same_money(folder):
    deliver(folder, [charge("8", 5, 6)], ROWS)
    with app.open_project(folder) as project:
        first = posted(project)
        deliver(folder, [charge("8", 5, 6)], [*ROWS, usage("late", 5, 6, 2)])
        second = posted(project)
    assert costs(first.run) == {"b": 3, "idle": 5}
    assert costs(second.run) == {"b": 3, "late": 2, "idle": 3}
    assert first.run.id != second.run.id


def test_usage_that_is_taken_back_leaves_the_charge_to_its_owner(folder):
    deliver(folder, [charge("8", 5, 6)], ROWS)
    with app.open_project(folder) as project:
        posted(project)
        deliver(folder, [charge("8", 5, 6)], [])
        assert costs(posted(project).run) == {"unallocated": 8}


def test_another_weight_of_metering_calculates_anew(folder):
    deliver(folder, [charge("8", 5, 6)], ROWS)
    with app.open_project(folder) as project:
        posted(project)
    (folder / "apportion.toml").write_text(CONFIG + '[metering]\nidle = "workloads"\n')
    with app.open_project(folder) as project:
        done = posted(project)
    assert (done.fresh, costs(done.run)) == (1, {"b": 8})


def test_a_new_rule_takes_over_what_was_measured_and_asks_anew_whose_it_is(folder, monkeypatch):
    deliver(folder, [charge("8", 5, 6)], ROWS)
    with app.open_project(folder) as project:
        (before,) = [part for part in posted(project).run.usages if part.period == Month(2026, 10)]
    (folder / "apportion.toml").write_text(CONFIG + RULE)
    monkeypatch.setattr("apportion.ledger.metered.usage_of", None)
    with app.open_project(folder) as project:
        done = posted(project)
    (after,) = [part for part in done.run.usages if part.period == Month(2026, 10)]
    assert before.id != after.id
    changed = {name for name, sha256 in _hashes(after).items() if _hashes(before)[name] != sha256}
    assert changed == {"held.parquet"}
    (part,) = done.run.parts
    teams = {row["x_WorkloadId"]: row["x_Team"] for row in pq.read_table(part.allocations).to_pylist()}
    assert teams == {"b": "new", None: "idle"}


def test_a_new_rule_with_a_new_node_or_late_samples_measures_anew(folder):
    deliver(folder, [charge("8", 5, 6)], ROWS)
    with app.open_project(folder) as project:
        posted(project)
    nodes = '[metering.nodes]\n"node-9" = "i-1"\n'
    by_node = usage("named", 5, 6, 2).replace(",i-1,", ",,").replace("\n", ",node-9\n")
    (folder / "meters" / "u.csv").write_text(
        HEAD.replace("\n", ",node\n") + "".join(row.replace("\n", ",\n") for row in ROWS) + by_node
    )
    (folder / "apportion.toml").write_text(CONFIG + RULE)
    with app.open_project(folder) as project:
        assert costs(posted(project).run) == {"b": 3, "idle": 5}
    (folder / "apportion.toml").write_text(CONFIG + RULE.replace("new", "newer") + nodes)
    with app.open_project(folder) as project:
        assert costs(posted(project).run) == {"b": 3, "named": 2, "idle": 3}


def test_a_file_that_is_said_to_be_complete_leaves_nothing_unmetered(folder):
    rows = [usage("a", 0, 2, 8), usage("a", 20, 22, 8)]
    deliver(folder, [charge("24", 0, 24)], rows)
    with app.open_project(folder) as project:
        found = costs(posted(project).run)
        assert {name: round(cost, 12) for name, cost in found.items()} == {"a": 4, "unmetered": 20}
    (folder / "apportion.toml").write_text(CONFIG + "options.complete = true\n")
    with app.open_project(folder) as project:
        found = costs(posted(project).run)
    # after its last row the file says no more
    assert {name: round(cost, 12) for name, cost in found.items()} == {"a": 22, "unmetered": 2}


def test_an_option_complete_that_is_no_truth_value_is_a_fault_of_the_configuration(folder):
    deliver(folder, [charge("24", 0, 24)], ROWS)
    (folder / "apportion.toml").write_text(CONFIG + 'options.complete = "yes"\n')
    with app.open_project(folder) as project:
        app.ingest(project)
        with pytest.raises(ConfigError, match=r"sources\.meter\.options\.complete"):
            app.run(project)


def test_usage_from_before_hours_were_kept_is_still_read(tmp_path):
    (part,) = usage_parts([Meter([gpus("a", at(0), at(3), 1)])], tmp_path, config())
    (part.folder / "hours.parquet").unlink()
    with session() as db:
        open_usages(db, [part])
        assert db.rows("SELECT count(*), count(DISTINCT x_Twin) FROM hours") == [(3, 3)]


def test_hours_of_two_months_are_of_one_resource(tmp_path):
    october, november = usage_parts([Meter([gpus("a", at(743), at(746), 1)])], tmp_path, config())
    with session() as db:
        open_usages(db, [october, november])
        found = "SELECT count(*), count(DISTINCT x_ResourceNo), count(DISTINCT x_Twin) FROM hours"
        assert db.rows(found) == [(3, 1, 2)]
        assert db.rows("SELECT count(*) FROM usage JOIN hours USING (x_ResourceNo, x_Hour)") == [(3,)]


RULE = """
[[rules]]
id = "jobs"
when = { resource_id = "b" }
set = { team = "new" }
"""


def _hashes(part):
    return {file.name: file.sha256 for file in part.stored}


def test_hours_that_are_divided_alike_have_one_validity(folder):
    deliver(folder, [charge("8", hour, hour + 1) for hour in range(12)], ROWS)
    with app.open_project(folder) as project:
        (part,) = posted(project).run.parts
    validities = sorted({row["x_ValidFrom"] for row in pq.read_table(part.shares).to_pylist()})
    assert validities == [datetime(1, 1, 1), START + timedelta(hours=3), START + timedelta(hours=5)]


def test_weights_of_no_set_are_a_fault_of_the_configuration(folder):
    (folder / "apportion.toml").write_text(CONFIG + '[metering]\nweights = "opencots"\n')
    with (
        pytest.raises(ConfigError, match=r"metering\.weights: 'opencots' is not known here") as caught,
        app.open_project(folder),
    ):
        pass
    assert "Did you mean 'opencost'?" in str(caught.value)


def test_a_bill_of_another_year_takes_no_usage_of_this_one(folder):
    deliver(folder, [charge("8", 5, 6)], [row.replace("2026-", "2031-") for row in ROWS])
    with app.open_project(folder) as project:
        done = posted(project)
    assert costs(done.run) == {"unallocated": 8}
    assert [str(part.period) for part in done.run.usages] == ["2031-10", "2031-11"]


def test_the_months_of_a_bill_are_those_its_charges_touch(folder):
    deliver(folder, [charge("8", 5, 6), charge("1", 700, 800)], ROWS)
    with app.open_project(folder) as project:
        app.ingest(project)
        (snapshot,) = project.store.current_snapshots()
        assert months_of(snapshot.charges) == {Month(2026, 10), Month(2026, 11)}


def test_a_file_without_charges_has_no_months(tmp_path):
    pq.write_table(pa.Table.from_pylist([], schema(tables.CHARGES)), tmp_path / "charges.parquet")
    assert months_of(tmp_path / "charges.parquet") == set()


def test_a_charge_of_years_reads_more_months_than_small_numbers_tell_apart(tmp_path):
    (part,) = usage_parts([Meter([gpus("a", at(0), at(1), 1)])], tmp_path, config())
    with session() as db:
        open_usages(db, [part] * 40)
        assert db.rows("SELECT count(DISTINCT x_WorkloadNo) FROM workloads") == [(40,)]
        found = "SELECT count(*) FROM held AS h JOIN workloads AS w ON w.x_WorkloadNo = h.x_AttributeNo"
        assert db.rows(found) == [(40,)]
        for name in ("resources", "meters"):
            assert db.rows(f"SELECT count(*) FROM {name}") == [(1,)]


def test_the_end_of_october_is_no_moment_of_november(tmp_path):
    rows = [{"x_ChargeNo": 1, "ChargePeriodStart": START, "ChargePeriodEnd": START + timedelta(days=31)}]
    pq.write_table(pa.Table.from_pylist(rows, schema(tables.CHARGES)), tmp_path / "charges.parquet")
    assert months_of(tmp_path / "charges.parquet") == {Month(2026, 10)}


def test_a_usage_file_that_was_changed_in_the_state_is_not_read(folder):
    deliver(folder, [charge("10", 0, 5)], ROWS)
    with app.open_project(folder) as project:
        app.ingest(project)
        usage_part = app.run(project).run.usages[0]
        path = usage_part.folder / "usage.parquet"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
    with app.open_project(folder) as project, pytest.raises(DamagedFile, match=r"usage\.parquet"):
        app.verify(project)
    with app.open_project(folder) as project, pytest.raises(DamagedFile, match=r"usage\.parquet"):
        app.run(project)


def test_a_new_table_of_machines_or_new_weights_are_other_settings(monkeypatch):
    before = settings_version(MeteringConfig())
    monkeypatch.setitem(weights.SHIPPED, "opencost", ComponentWeights(1, 1, 1, "other"))
    changed = settings_version(MeteringConfig())
    monkeypatch.setattr(shares, "VERSION", "another")
    assert len({before, changed, settings_version(MeteringConfig())}) == 3
