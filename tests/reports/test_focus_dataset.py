from __future__ import annotations

import csv
import hashlib
import json
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reports.books import amounts, charge, owner, post

from apportion.core.focus import columns_of
from apportion.core.period import Period
from apportion.engine import duck
from apportion.errors import NoData, NotConserved, UnknownName, WouldOverwrite
from apportion.reports.focus_dataset import check_split, export_focus, snapshot_rows
from apportion.reports.focus_dataset.columns import OWN
from apportion.store import open_store

RULE = {"tier": "T3", "rule": "gpu-split@ab12cd34"}
ADS = owner("Growth", team="Ads", model="bid-optimizer", environment="production", **RULE)
RISK = owner("Finance", team="Risk", environment="production", **RULE)
REST = owner(environment="production", **RULE)
DIRECT = owner("Growth", team="Ads")
OCTOBER = Period.parse("2026-10")

NODE = {
    "ResourceId": "node-7",
    "ServiceName": "Compute",
    "Tags": [("env", "production"), ("apportion/model", "theirs")],
    **amounts(
        {
            "EffectiveCost": "-1.000000000000000001",
            "ListCost": "200",
            "ContractedCost": "0",
            "PricingQuantity": "10",
            "ListUnitPrice": "20",
        }
    ),
}


@pytest.fixture
def books(store):
    return post(
        store,
        [
            charge("2026-10", "100", (1, ADS), (1, RISK), (1, REST), **NODE),
            charge("2026-10", "7.50", (1, DIRECT), ServiceName="=cmd|' /C calc'!A1", ChargeDescription='a\nb, "c"'),
            charge("2026-11", "1", (1, DIRECT)),
        ],
    )


def export(store, run, to, **options):
    return export_focus(store, run, period=options.pop("period", OCTOBER), to=to, **options)


def rows(path):
    return pq.read_table(path).to_pylist()


def faults(store, run, written):
    origins = {}
    for part in run.parts:
        if any(file.month == part.period for file in written.files):
            origins[part.snapshot_id] = store.snapshot(part.snapshot_id).charges
    with duck.session() as db:
        return check_split(db, [file.path for file in written.files], origins=origins)


def test_a_split_charge_is_replaced_by_pieces_that_add_up(store, books, tmp_path):
    written = export(store, books, tmp_path / "out")
    ads, risk, rest, whole = rows(written.files[0].path)
    assert [row["BilledCost"] for row in (ads, risk, rest)] == [
        Decimal("33.333333333333333333"),
        Decimal("33.333333333333333333"),
        Decimal("33.333333333333333334"),
    ]
    assert [row["EffectiveCost"] for row in (ads, risk, rest)] == [
        Decimal("-0.333333333333333333"),
        Decimal("-0.333333333333333334"),
        Decimal("-0.333333333333333334"),
    ]
    assert {row["ListUnitPrice"] for row in (ads, risk, rest)} == {Decimal(20)}
    assert {row["ResourceId"] for row in (ads, risk, rest)} == {"node-7"}
    assert (whole["BilledCost"], whole["AllocatedMethodId"], whole["AllocatedTags"]) == (Decimal("7.5"), None, None)
    assert faults(store, books, written) == ()


def test_pieces_say_how_they_were_split_and_whose_they_are(store, books, tmp_path):
    ads, risk, rest, _ = rows(export(store, books, tmp_path / "out").files[0].path)
    assert {row["AllocatedMethodId"] for row in (ads, risk, rest)} == {"apportion/gpu-split@ab12cd34"}
    assert ads["AllocatedMethodDetails"] == (
        '{"Elements":[{"AllocatedRatio":0.333333333333333333,"UsageQuantity":1,"UsageUnit":"Shares"}]}'
    )
    assert ads["AllocatedResourceId"] == "apportion:environment=production;model=bid-optimizer;team=Ads"
    assert ads["AllocatedResourceName"] == "production / bid-optimizer / Ads"
    assert (rest["AllocatedResourceId"], rest["AllocatedResourceName"]) == (None, None)
    assert json.loads(risk["AllocatedTags"]) == {"apportion/environment": "production", "apportion/team": "Risk"}
    assert json.loads(rest["AllocatedTags"]) == {"apportion/environment": "production"}


def test_allocated_tags_never_repeat_a_key_of_tags(store, books, tmp_path):
    ads, *_ = rows(export(store, books, tmp_path / "out").files[0].path)
    assert ads["Tags"] == '{"apportion/model":"theirs","env":"production"}'
    assert json.loads(ads["AllocatedTags"]) == {"apportion/environment": "production", "apportion/team": "Ads"}


def test_our_columns_follow_those_of_focus(store, books, tmp_path):
    for version in ("1.3", "1.4"):
        written = export(store, books, tmp_path / version, version=version)
        names = pq.read_schema(written.files[0].path).names
        assert names == [*(column.name for column in columns_of(version)), *OWN]
        assert list(OWN) == sorted(OWN)
    ads, risk, _, whole = rows(export(store, books, tmp_path / "out").files[0].path)
    snapshot = books.parts[0].snapshot_id
    assert [(row["x_Team"], row["x_OriginChargeId"]) for row in (ads, risk, whole)] == [
        ("Ads", f"{snapshot}:1"),
        ("Risk", f"{snapshot}:1"),
        ("Ads", f"{snapshot}:2"),
    ]
    assert (ads["x_Evidence"], ads["x_RuleId"]) == ("T3", "gpu-split@ab12cd34")
    assert (ads["x_BusinessUnit"], ads["x_Model"], ads["x_Environment"]) == ("Growth", "bid-optimizer", "production")


def test_a_charge_that_was_billed_for_a_resource_group_keeps_it(store, tmp_path):
    run = post(store, [charge("2026-10", "1", (1, DIRECT), x_ResourceGroup="rg-ml")])
    (row,) = rows(export(store, run, tmp_path / "out").files[0].path)
    assert row["x_ResourceGroupName"] == "rg-ml"


def test_the_csv_holds_plain_numbers_and_verbatim_texts(store, books, tmp_path):
    (file,) = export(store, books, tmp_path / "out", form="csv").files
    assert file.path.name == "focus-1.3-2026-10.csv"
    with file.path.open(newline="") as stream:
        ads, _, _, whole = csv.DictReader(stream)
    assert (ads["BilledCost"], ads["ContractedCost"], ads["PricingQuantity"]) == (
        "33.333333333333333333",
        "0",
        "3.333333333333333333",
    )
    assert (ads["ChargePeriodStart"], ads["BillingPeriodEnd"]) == ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
    assert (whole["BilledCost"], whole["EffectiveCost"]) == ("7.5", "")
    assert (whole["ServiceName"], whole["ChargeDescription"]) == ("=cmd|' /C calc'!A1", 'a\nb, "c"')


def test_a_fraction_of_a_second_is_kept(store, tmp_path):
    start = datetime(2026, 10, 1, 0, 0, 0, 250000)
    run = post(store, [charge("2026-10", "1", (1, DIRECT), ChargePeriodStart=start)])
    (file,) = export(store, run, tmp_path / "out", form="csv").files
    with file.path.open(newline="") as stream:
        assert next(csv.DictReader(stream))["ChargePeriodStart"] == "2026-10-01T00:00:00.250000Z"


def test_the_same_run_gives_the_same_bytes(store, books, tmp_path):
    for form in ("parquet", "csv"):
        digests = set()
        for folder in ("one", "two"):
            export(store, books, tmp_path / form / folder, form=form)
            files = sorted((tmp_path / form / folder).iterdir())
            digests.add(tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files))
        assert len(digests) == 1


def test_every_month_of_the_period_has_its_file_and_the_metadata_says_so(store, books, tmp_path):
    told = []
    period = Period.parse("2026-10..2026-12")
    written = export(store, books, tmp_path / "out", period=period, progress=lambda *step: told.append(step))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "focus-1.3-2026-10.parquet",
        "focus-1.3-2026-11.parquet",
        "focus-metadata.json",
    ]
    assert told == [("exporting 2026-10 of hand", 0, 1), ("exporting 2026-11 of hand", 0, 1)]
    content = json.loads(written.metadata.read_text())
    assert content["DataGenerator"] == {"DataGenerator": "Apportion"}
    assert content["Schema"]["FocusVersion"] == "1.3"
    assert content["Schema"]["ColumnDefinition"][6] == {
        "ColumnName": "BilledCost",
        "DataType": "DECIMAL",
        "NumericPrecision": 38,
        "NumberScale": 18,
    }
    assert content["DatasetInstance"]["FocusDatasetId"] == "CostAndUsage"
    assert content["x_RunId"] == books.id
    assert [(file["Name"], file["Rows"]) for file in content["x_Files"]] == [
        ("focus-1.3-2026-10.parquet", 4),
        ("focus-1.3-2026-11.parquet", 1),
    ]
    assert content["x_TotalsIn"] == content["x_TotalsOut"]
    assert content["x_TotalsOut"]["USD"]["BilledCost"] == "108.5"
    assert (written.rows, written.totals["USD"]["BilledCost"]) == (5, Decimal("108.5"))


def test_what_a_bill_does_not_say_is_null_and_counted(store, books, tmp_path):
    written = export(store, books, tmp_path / "out")
    assert written.deviations["EffectiveCost"] == 1
    assert written.deviations["HostProviderName"] == 4
    assert "BilledCost" not in written.deviations
    assert json.loads(written.metadata.read_text())["x_Deviations"] == written.deviations


def test_nothing_is_overwritten_unless_forced(store, books, tmp_path):
    export(store, books, tmp_path)
    with pytest.raises(WouldOverwrite) as refused:
        export(store, books, tmp_path)
    path = tmp_path / "focus-1.3-2026-10.parquet"
    assert str(refused.value) == (
        f"{path} exists already. Nothing was written; give --force to replace it, or name another folder."
    )
    path.write_bytes(b"old")
    export(store, books, tmp_path, force=True)
    assert pq.read_table(path).num_rows == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": "1.2"}, "There is no FOCUS version to write '1.2'. Did you mean '1.4'? Known: 1.3, 1.4."),
        ({"form": "xlsx"}, "There is no form of the export 'xlsx'. Known: csv, parquet."),
    ],
)
def test_only_known_versions_and_forms_are_written(store, books, tmp_path, options, message):
    with pytest.raises(UnknownName) as refused:
        export(store, books, tmp_path, **options)
    assert str(refused.value) == message


def test_a_month_without_bill_is_refused(store, books, tmp_path):
    with pytest.raises(NoData, match=r"holds no bill of 2027-01\."):
        export(store, books, tmp_path, period=Period.parse("2027-01"))


SPLIT = {
    "AllocatedMethodId": "cloud-one/eks",
    "AllocatedMethodDetails": '{"Elements":[{"AllocatedRatio":0.5}]}',
    "AllocatedResourceId": "pod-1",
    "AllocatedResourceName": "pod-1",
    "AllocatedTags": '{"team":"Ads"}',
}


def test_what_a_provider_had_split_is_passed_on_as_it_came(store, tmp_path):
    run = post(store, [charge("2026-10", "4", (1, DIRECT), **SPLIT)])
    (row,) = rows(export(store, run, tmp_path / "out").files[0].path)
    assert {name: row[name] for name in SPLIT} == SPLIT


def test_what_a_provider_had_split_is_never_split_again(store, tmp_path):
    run = post(store, [charge("2026-10", "4", (1, ADS), (1, RISK), **SPLIT)])
    with pytest.raises(NotConserved, match="was split by its provider and split again"):
        export(store, run, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_earlier_export_keeps_its_origin_and_its_evidence_while_the_owner_stays(store, tmp_path):
    names = {"x_BusinessUnit": "Growth", "x_Team": "Ads", "x_Project": "unallocated", "x_Model": "unallocated"}
    earlier = {
        **names,
        "x_Environment": "unallocated",
        "x_Evidence": "T3",
        "x_RuleId": "old@1",
        "x_OriginChargeId": "ffff:9",
    }
    run = post(
        store,
        [charge("2026-10", "4", (1, DIRECT), ResourceId=name) for name in ("same", "other", "foreign")],
        extras={0: earlier, 1: earlier | {"x_Team": "Risk"}, 2: {"x_Operation": "RunInstances"}},
    )
    same, other, foreign = rows(export(store, run, tmp_path / "out").files[0].path)
    assert (same["x_OriginChargeId"], same["x_Evidence"], same["x_RuleId"]) == ("ffff:9", "T3", "old@1")
    assert (other["x_OriginChargeId"], other["x_Evidence"], other["x_RuleId"]) == ("ffff:9", "T1", "tag:team@1")
    assert foreign["x_OriginChargeId"] == f"{run.parts[0].snapshot_id}:3"


def test_the_check_finds_what_is_not_exact(store, books, tmp_path):
    written = export(store, books, tmp_path / "out")
    path = written.files[0].path
    table = pq.read_table(path)
    origin = table["x_OriginChargeId"][0].as_py()

    def broken(column, value, place=0):
        values = table[column].to_pylist()
        values[place] = value
        index = table.schema.get_field_index(column)
        field = table.schema.field(column)
        pq.write_table(table.set_column(index, field, pa.array(values, field.type)), path)
        return faults(store, books, written)

    assert broken("BilledCost", Decimal("33.333333333333333332")) == (
        f"The rows of {origin} do not add up to the charge.",
    )
    ratio = '{"Elements":[{"AllocatedRatio":0.333333333333333334}]}'
    assert broken("AllocatedMethodDetails", ratio) == (
        f"The ratios of {origin} add up to 1.000000000000000001, not to 1.",
    )
    assert broken("ListUnitPrice", None) == (f"The pieces of {origin} differ in ListUnitPrice.",)
    assert broken("ResourceId", "node-8") == (f"The pieces of {origin} differ in ResourceId.",)
    assert broken("AllocatedTags", '{"env":"production"}') == (
        f"A row of {origin} repeats a key of Tags in AllocatedTags.",
    )
    assert broken("AllocatedResourceName", None) == (
        f"A row of {origin} has AllocatedResourceId or AllocatedResourceName without the other.",
    )
    whole = table["x_OriginChargeId"][3].as_py()
    assert broken("AllocatedTags", "{}", place=3) == (f"A row of {whole} is not split but says how it was.",)
    assert broken("AllocatedMethodDetails", None) == (
        f"The ratios of {origin} add up to 0.666666666666666667, not to 1.",
        f"A row of {origin} is split and does not say in which ratio.",
    )


def test_what_is_written_does_not_depend_on_how_many_charges_are_read_at_once(store, books, tmp_path, monkeypatch):
    (whole,) = export(store, books, tmp_path / "whole").files
    monkeypatch.setattr(snapshot_rows, "CHARGES_AT_ONCE", 1)
    (piecemeal,) = export(store, books, tmp_path / "piecemeal").files
    assert pq.read_table(whole.path) == pq.read_table(piecemeal.path)


money = st.decimals(min_value=-(10**12), max_value=10**12, places=18)
splits = st.lists(st.tuples(st.integers(1, 10**9), st.sampled_from([ADS, RISK, REST, DIRECT])), min_size=1, max_size=5)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(money, st.none() | money, splits), min_size=1, max_size=5))
def test_any_split_is_exact_in_every_metric_and_its_ratios_add_up_to_one(tmp_path_factory, found):
    charges = [
        charge("2026-10", str(billed), *shares, EffectiveCost=effective, ListUnitPrice=billed, ResourceId=str(place))
        for place, (billed, effective, shares) in enumerate(found)
    ]
    folder = tmp_path_factory.mktemp("any")
    with open_store(folder / "state") as store:
        run = post(store, charges)
        written = export(store, run, folder / "out")
        assert faults(store, run, written) == ()
        assert written.rows == sum(len(shares) for *_, shares in found)
