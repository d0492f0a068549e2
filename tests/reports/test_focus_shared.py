"""The FOCUS export of a run with pools: what they took is replaced by what they gave, exact in every metric."""

from __future__ import annotations

import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.reports.books import amounts, charge, owner
from tests.reports.shared_books import ADS, IDLE, NOBODY, PLATFORM, RISK, ask, october, posted
from tests.reports.test_use_cases import parameters, queries

from apportion.core import focus
from apportion.core.period import Period
from apportion.engine import duck
from apportion.ledger.lenses import Lens
from apportion.reports.focus_dataset import check_split, export_focus, pooled_rows
from apportion.reports.reading.opening import open_run
from apportion.store import open_store

OCTOBER = Period.parse("2026-10")


def export(store, run, to, **options):
    return export_focus(store, run, period=options.pop("period", OCTOBER), to=to, **options)


def rows(path, **wanted):
    found = pq.read_table(path).to_pylist()
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


def pooled(path):
    return [row for row in rows(path) if row["x_PoolId"] is not None]


def faults(store, run, written):
    months = {file.month for file in written.files}
    origins = {
        part.snapshot_id: store.snapshot(part.snapshot_id).charges for part in run.parts if part.period in months
    }
    with duck.session() as db:
        return check_split(
            db,
            [file.path for file in written.files],
            origins=origins,
            sharings=[part for part in run.sharings if part.period in months],
        )


def near(row):
    """The cost to the billionth: weights are parts of 2^49."""
    return round(row["BilledCost"], 9)


def ratio(row):
    (element,) = json.loads(row["AllocatedMethodDetails"], parse_float=Decimal, parse_int=Decimal)["Elements"]
    return element["AllocatedRatio"]


def test_what_pools_took_is_replaced_by_what_they_gave(store, tmp_path):
    run = posted(store, october())
    (file,) = export(store, run, tmp_path / "out").files
    assert [(row["x_Team"], row["BilledCost"]) for row in rows(file.path, x_PoolId=None)] == [
        ("Ads", 100),
        ("Ads", 20),
        ("Risk", 60),
        ("unallocated", 9),
    ]
    given_on = [(row["x_Path"], row["x_Team"], near(row), row["x_OriginTeam"]) for row in pooled(file.path)]
    assert sorted(given_on) == [
        ("idle", "Ads", 6, "idle"),
        ("idle", "Risk", 6, "idle"),
        ("net", "Ads", 12, "unallocated"),
        ("net", "Risk", 6, "unallocated"),
        ("net > platform", "Ads", 2, "unallocated"),
        ("net > platform", "Risk", 1, "unallocated"),
        ("platform", "Ads", 20, "platform"),
        ("platform", "Risk", 10, "platform"),
    ]
    assert faults(store, run, export(store, run, tmp_path / "again")) == ()


def test_a_row_of_a_pool_says_how_it_came_about_and_whose_it_is(store, tmp_path):
    run = posted(store, october())
    (file,) = export(store, run, tmp_path / "out").files
    (row,) = [row for row in pooled(file.path) if row["x_Path"] == "net > platform" and row["x_Team"] == "Risk"]
    with open_run(store, run, OCTOBER) as asked:
        versions = dict(asked.db.rows("SELECT x_PoolId, x_PoolVersion FROM pools"))
    assert row["AllocatedMethodId"] == f"apportion/pool:platform@{versions['platform']}"
    assert row["x_RuleId"] == f"pool:platform@{versions['platform']}"
    assert (row["x_Evidence"], row["x_BusinessUnit"], row["x_Model"]) == ("T4", "Finance", "graph-risk")
    assert (row["x_PoolId"], row["x_OriginTeam"], row["x_OriginChargeId"]) == ("net", "unallocated", None)
    assert row["AllocatedResourceId"] == "apportion:model=graph-risk;team=Risk"
    assert row["AllocatedResourceName"] == "graph-risk / Risk"
    assert json.loads(row["AllocatedTags"]) == {"apportion/model": "graph-risk", "apportion/team": "Risk"}
    assert round(ratio(row), 9) == round(Decimal(1) / 21, 9)
    assert row["AllocatedMethodDetails"] == f'{{"Elements":[{{"AllocatedRatio":{ratio(row)}}}]}}'
    assert (row["ServiceName"], row["ChargeCategory"], row["BillingAccountId"]) == ("Network", "Usage", "A-1")
    month = (row["BillingPeriodStart"], row["BillingPeriodEnd"])
    assert [str(moment.date()) for moment in month] == ["2026-10-01", "2026-11-01"]
    assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == month


def test_the_ratios_of_one_cost_add_up_to_one_through_any_number_of_pools(store, tmp_path):
    run = posted(store, october())
    (file,) = export(store, run, tmp_path / "out").files
    sums = {}
    for row in pooled(file.path):
        sums.setdefault(row["x_PooledCostId"], []).append(ratio(row))
    assert [sum(ratios) for ratios in sums.values()] == [1, 1, 1]
    assert sorted(len(ratios) for ratios in sums.values()) == [2, 2, 4]


def test_before_the_lens_nothing_is_shared(store, tmp_path):
    run = posted(store, october())
    written = export(store, run, tmp_path / "out", lens=Lens.BEFORE)
    assert [(row["x_Team"], row["BilledCost"]) for row in rows(written.files[0].path)] == [
        ("Ads", 100),
        ("Ads", 20),
        ("Risk", 60),
        ("platform", 30),
        ("unallocated", 21),
        ("idle", 12),
        ("unallocated", 9),
    ]
    assert pooled(written.files[0].path) == []
    told = json.loads(written.metadata.read_text())
    assert (told["x_Lens"], "x_PoolId" in str(told["x_Notes"])) == ("before", False)
    told = json.loads(export(store, run, tmp_path / "after").metadata.read_text())
    assert (told["x_Lens"], "x_PoolId" in str(told["x_Notes"])) == ("after", True)


def test_the_other_pieces_of_a_charge_say_what_a_pool_took_of_it(store, tmp_path):
    node = {"ResourceId": "node-1", "Tags": [("apportion/team", "theirs")]}
    run = posted(store, [*october(), charge("2026-10", "10", (3, ADS), (2, RISK), (5, IDLE), **node)])
    written = export(store, run, tmp_path / "out")
    ads, risk = rows(written.files[0].path, ResourceId="node-1", x_PoolId=None)
    assert ads["AllocatedMethodDetails"] == (
        '{"Elements":[{"AllocatedRatio":0.3,"UsageQuantity":3,"UsageUnit":"Shares"}],"x_PooledRatio":0.5}'
    )
    assert (ads["BilledCost"], risk["BilledCost"]) == (3, 2)
    assert faults(store, run, written) == ()
    # what all charges of a sum have in common is kept: here the idle pieces are of two, and not of one resource
    given_on = [row for row in pooled(written.files[0].path) if row["x_PoolId"] == "idle"]
    assert {(row["ResourceId"], row["Tags"]) for row in given_on} == {(None, None)}
    assert sum(row["BilledCost"] for row in given_on) == 17


def test_what_all_charges_have_in_common_is_kept(store, tmp_path):
    tags = {"Tags": [("apportion/team", "theirs"), ("env", "prod")], "ResourceId": "nat-1", "ResourceName": "nat"}
    days = [charge("2026-10", "7", (1, NOBODY), ServiceName="Network", **tags) for _ in range(3)]
    run = posted(store, [*october()[:3], *days])
    (file,) = export(store, run, tmp_path / "out").files
    for row in pooled(file.path):
        assert (row["ResourceId"], row["ResourceName"]) == ("nat-1", "nat")
        assert json.loads(row["Tags"]) == {"apportion/team": "theirs", "env": "prod"}
        assert set(json.loads(row["AllocatedTags"])) == {"apportion/model"}


def test_quantities_keep_their_unit_and_costs_their_invoice(store, tmp_path):
    def used(cost, unit, quantity, invoice):
        told = {"ConsumedUnit": unit, "PricingUnit": unit, "InvoiceId": invoice, "InvoiceIssuerName": "One Inc."}
        metrics = amounts({"ConsumedQuantity": quantity, "PricingQuantity": quantity})
        return charge("2026-10", cost, (1, NOBODY), ServiceName="Network", **told, **metrics)

    charges = [used("10", "GB", "100", "I-1"), used("4", "Hours", "744", "I-1"), used("7", "GB", "50", "I-2")]
    run = posted(store, [*october(), *charges])
    written = export(store, run, tmp_path / "out")
    assert faults(store, run, written) == ()
    sums = {}
    for row in pooled(written.files[0].path):
        if row["InvoiceId"] is not None:
            found = sums.setdefault((row["InvoiceId"], row["ConsumedUnit"], row["PricingUnit"]), [0, 0])
            found[0] += row["BilledCost"]
            found[1] += row["ConsumedQuantity"]
            assert row["InvoiceIssuerName"] == "One Inc."
    assert sums == {("I-1", "GB", "GB"): [10, 100], ("I-1", "Hours", "Hours"): [4, 744], ("I-2", "GB", "GB"): [7, 50]}


def by(path, *keys, metric=""):
    sums = ", ".join(f"SUM({name})" for name in focus.METRICS if name == (metric or name))
    with duck.session() as db:
        db.read_parquet("dataset", [path])
        return db.rows(f"SELECT {', '.join(keys)}, {sums} FROM dataset GROUP BY ALL ORDER BY ALL")


def by_lens(store, run, *keys, lens=Lens.AFTER):
    sums = ", ".join(f"SUM({name})" for name in focus.METRICS)
    with open_run(store, run, OCTOBER, lens=lens) as asked:
        return asked.db.rows(f"SELECT {', '.join(keys)}, {sums} FROM allocations GROUP BY ALL ORDER BY ALL")


BILLED = ("BillingCurrency", "BillingAccountId", "ServiceName", "ChargeCategory")
OWNED = ("BillingCurrency", "x_BusinessUnit", "x_Team", "x_Project", "x_Model", "x_Environment")


def test_the_export_adds_up_to_the_bill_and_to_what_every_team_is_charged(store, tmp_path):
    run = posted(store, october())
    (file,) = export(store, run, tmp_path / "out").files
    assert by(file.path, *BILLED) == by_lens(store, run, *BILLED, lens=Lens.BEFORE)
    assert by(file.path, *OWNED) == by_lens(store, run, *OWNED)


def test_every_team_has_in_the_export_what_the_report_says(store, tmp_path):
    run = posted(store, october())
    (file,) = export(store, run, tmp_path / "out").files
    (section,) = ask(store, run, "cost_by_team").sections
    keys = [column.key for column in section.columns]
    reported = {row[keys.index("team")]: row[keys.index("cost")] for row in section.rows}
    assert dict(by(file.path, "x_Team", metric="BilledCost")) == {team: cost for team, cost in reported.items() if cost}


def test_the_check_finds_what_is_not_exact_in_the_rows_of_pools(store, tmp_path):
    run = posted(store, october())
    written = export(store, run, tmp_path / "out")
    path = written.files[0].path
    found = pq.read_table(path)
    place = found["x_PoolId"].to_pylist().index("net")
    cost = found["x_PooledCostId"][place].as_py()

    def broken(column, value):
        values = found[column].to_pylist()
        values[place] = value
        field = found.schema.field(column)
        index = found.schema.get_field_index(column)
        pq.write_table(found.set_column(index, field, pa.array(values, field.type)), path)
        return faults(store, run, written)

    amount = found["BilledCost"][place].as_py() + Decimal("1E-18")
    assert broken("BilledCost", amount) == ("The rows of pool net do not add up to what it took in 2026-10 in USD.",)
    assert broken("ServiceName", "Net") == (f"The pieces of {cost} differ in ServiceName.",)
    (fault,) = broken("AllocatedMethodDetails", '{"Elements":[{"AllocatedRatio":0}]}')
    assert fault.startswith(f"The ratios of {cost} add up to 0.4")


def test_what_is_written_does_not_depend_on_how_many_rows_are_read_at_once(store, tmp_path, monkeypatch):
    run = posted(store, october())
    (whole,) = export(store, run, tmp_path / "whole").files
    monkeypatch.setattr(pooled_rows, "ROWS_AT_ONCE", 1)
    (piecemeal,) = export(store, run, tmp_path / "piecemeal").files
    assert pq.read_table(whole.path) == pq.read_table(piecemeal.path)


def test_each_month_has_what_its_own_pools_gave(store, tmp_path):
    run = posted(store, [*october(), *october("2026-11")])
    written = export(store, run, tmp_path / "out", period=Period.parse("2026-10..2026-11"))
    assert faults(store, run, written) == ()
    assert [len(pooled(file.path)) for file in written.files] == [8, 8]
    ids = [{row["x_PooledCostId"] for row in pooled(file.path)} for file in written.files]
    assert ids[0].isdisjoint(ids[1])


@pytest.mark.parametrize("version", ["1.3", "1.4"])
def test_every_official_use_case_runs_on_shared_costs(store, tmp_path, version):
    run = posted(store, october())
    written = export(store, run, tmp_path / "out", version=version)
    with duck.session(memory="500MB") as db:
        db.read_parquet("focus_data_table", [file.path for file in written.files])
        for sql in queries(version).values():
            db.rows(sql, parameters(sql) or None)


STEPS = """
[[pools]]
id = "idle"
when = { kind = "idle" }
method = "even"

[[pools]]
id = "net"
stage = 2
when = { service = "Network" }
basis = "BilledCost"
within = "billing_account"
leftover = "wider"
to_pools = [{ pool = "platform" }]

[[pools]]
id = "platform"
stage = 3
when = { team = "platform" }
to_pools = [{ pool = "rest" }]

[[pools]]
id = "rest"
stage = 4
when = { team = "unallocated" }
method = "fixed"
split = [{ team = "Ads", weight = 2 }, { model = "graph-risk", weight = 5 }]
"""
CIRCLE = """
[[pools]]
id = "net"
when = { service = "Network" }
basis = "BilledCost"
reciprocal = true
to_pools = [{ pool = "platform" }]

[[pools]]
id = "platform"
when = { service = "Support" }
basis = "BilledCost"
reciprocal = true
to_pools = [{ pool = "net" }, { pool = "idle" }]

[[pools]]
id = "idle"
stage = 2
when = { kind = "idle" }
method = "even"
"""
TINY = owner("Growth", team="Tiny", environment="production")
ANYBODY = st.sampled_from([ADS, RISK, TINY, PLATFORM, IDLE, NOBODY])
MONEY = st.decimals(min_value=-(10**9), max_value=10**9, places=18)
CHARGES = st.lists(
    st.tuples(
        MONEY,
        st.none() | MONEY,
        st.lists(st.tuples(st.integers(1, 10**6), ANYBODY), min_size=1, max_size=3),
        st.sampled_from(["Network", "Compute", "Support"]),
        st.sampled_from([None, "GB", "Hours"]),
        st.sampled_from(["A-1", "A-2"]),
    ),
    min_size=1,
    max_size=8,
)


# Each example makes a store: to look for a smaller one takes minutes.
@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(CHARGES, st.sampled_from([STEPS, CIRCLE]))
def test_any_sharing_is_exact_for_the_bill_and_for_every_owner(tmp_path_factory, found, pools):
    charges = [
        charge(
            "2026-10",
            str(cost),
            *shares,
            EffectiveCost=cost,
            ConsumedQuantity=quantity,
            ServiceName=service,
            ConsumedUnit=unit,
            BillingAccountId=account,
        )
        for cost, quantity, shares, service, unit, account in found
    ]
    folder = tmp_path_factory.mktemp("any")
    with open_store(folder / "state") as store:
        run = posted(store, [*charges, charge("2026-10", "1000000000000", (1, ADS), (2, RISK))], pools)
        written = export(store, run, folder / "out")
        path = written.files[0].path
        assert faults(store, run, written) == ()
        assert by(path, *BILLED) == by_lens(store, run, *BILLED, lens=Lens.BEFORE)
        assert by(path, *OWNED) == by_lens(store, run, *OWNED)
