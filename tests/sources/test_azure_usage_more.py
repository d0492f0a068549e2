"""Azure cost details: rows in the documented shapes of MCA, EA and pay-as-you-go exports, and export folders."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.sources.azure_bills import (
    ACTUAL,
    AMORTIZED,
    COVERED,
    MCA,
    NOVEMBER,
    OCTOBER,
    PAY_AS_YOU_GO,
    SAMPLE,
    charge,
    found,
    run,
    sample,
    write,
)
from tests.sources.ingested import extras, ingested
from tests.sources.mapped import mapped

from apportion.core.focus import SERVICE_CATEGORIES
from apportion.core.problems import Severity
from apportion.errors import UnreadableFile
from apportion.sources import _azure_services
from apportion.sources.azure_usage import SOURCE
from apportion.sources.intake.tag_text import parse


def test_without_a_billing_period_it_is_the_month_of_the_date():
    found = charge(billingPeriodStartDate=None, billingPeriodEndDate=None, date="12/05/2026")
    assert found["BillingPeriodStart"] == "2026-12-01T00:00:00Z"
    assert found["BillingPeriodEnd"] == "2027-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("changes", "service", "category"),
    [
        ({"consumedService": "Microsoft.MachineLearningServices"}, "Azure Machine Learning", "AI and Machine Learning"),
        (
            {"meterCategory": "Cognitive Services", "meterSubCategory": "Azure OpenAI"},
            "Azure OpenAI",
            "AI and Machine Learning",
        ),
        ({"meterCategory": "Azure OpenAI Service"}, "Azure OpenAI Service", "AI and Machine Learning"),
        ({"meterCategory": "Storage"}, "Storage", "Storage"),
        ({"meterCategory": "Something new"}, "Something new", "Other"),
    ],
)
def test_a_service_is_the_one_the_user_knows(changes, service, category):
    found = charge(**changes)
    assert (found["ServiceName"], found["ServiceCategory"]) == (service, category)


def test_every_category_in_the_table_is_one_of_focus():
    assert set(_azure_services.CATEGORIES.values()) <= set(SERVICE_CATEGORIES)


def test_the_resource_group_comes_from_its_column_or_from_the_path():
    assert charge(resourceGroupName=None)["x_ResourceGroup"] == "rg-ml"
    assert charge(resourceGroupName=None, ResourceId=None)["x_ResourceGroup"] is None


def test_a_region_that_is_unassigned_is_none():
    found = charge(resourceLocation="Unassigned")
    assert (found["RegionId"], found["RegionName"]) == (None, None)


def test_the_old_pay_as_you_go_form_is_read():
    (found,) = mapped(SOURCE.mapping(tuple(PAY_AS_YOU_GO), ACTUAL), [PAY_AS_YOU_GO])
    assert (found["BilledCost"], found["BillingCurrency"]) == ("0.000000001", "USD")
    assert (found["BillingAccountId"], found["SubAccountId"]) == ("s-9", "s-9")
    assert (found["ChargeCategory"], found["ConsumedQuantity"], found["Tags"]) == ("Usage", "24", None)
    assert "ListCost" not in found
    assert SOURCE.control(tuple(PAY_AS_YOU_GO), ACTUAL) == "PreTaxCost"


def test_the_real_enterprise_sample_adds_up_to_the_last_digit():
    rows = sample()
    mapping = SOURCE.mapping(tuple(rows[0]), ACTUAL)
    found = mapped(mapping, rows)
    assert len(found) == 27
    assert sum(Decimal(row["BilledCost"]) for row in found) == Decimal("1.26136926505726")
    control = SOURCE.control(tuple(rows[0]), ACTUAL)
    assert sum(Decimal(row[control]) for row in rows) == Decimal("1.26136926505726")
    assert {row["BillingCurrency"] for row in found} == {"CAD"}
    assert {(row["BillingPeriodStart"], row["BillingPeriodEnd"]) for row in found} == {
        ("2023-09-01T00:00:00Z", "2023-10-01T00:00:00Z")
    }
    assert {row["ChargePeriodStart"] for row in found} == {"2023-09-02T00:00:00Z"}
    assert {row["x_ResourceGroup"] for row in found} == {"rg-example"}
    assert {parse(row["Tags"]).pairs for row in found} == {(("tagA", "valueA"), ("tagB", "valueB"), ("tagC", "valueC"))}


def test_the_newest_run_of_each_month_is_current(tmp_path):
    run(tmp_path, OCTOBER, "run-b", submitted="2026-10-30T06:00:00.1234567Z", parts=("part_0.csv", "part_1.csv"))
    newest = run(tmp_path, OCTOBER, "run-a", submitted="2026-11-03T06:00:00Z")
    run(tmp_path, NOVEMBER, "run-c", submitted="2026-11-03T06:10:00Z")
    files, left_out = found(tmp_path)
    base = "exports/daily"
    assert files == [f"{base}/{OCTOBER}/run-a/part_0_0001.csv", f"{base}/{NOVEMBER}/run-c/part_0_0001.csv"]
    reason = f"a newer run holds: {newest}"
    assert left_out == {f"{base}/{OCTOBER}/run-b/part_{n}.csv": reason for n in (0, 1)}


def test_runs_of_the_other_kind_of_cost_are_left_out(tmp_path):
    for kind in ("ActualCost", "AmortizedCost", "FocusCost", "PriceSheet"):
        run(tmp_path, OCTOBER, kind, kind=kind, submitted="2026-11-01T00:00:00Z")
    base = f"exports/daily/{OCTOBER}"
    files, left_out = found(tmp_path)
    assert files == [f"{base}/ActualCost/part_0_0001.csv"]
    assert left_out == {
        f"{base}/AmortizedCost/part_0_0001.csv": 'its export holds amortised cost (cost = "amortized")',
        f"{base}/FocusCost/part_0_0001.csv": 'its export holds FOCUS columns (kind = "focus")',
        f"{base}/PriceSheet/part_0_0001.csv": "its export holds PriceSheet, no charges",
    }
    files, left_out = found(tmp_path, AMORTIZED)
    assert files == [f"{base}/AmortizedCost/part_0_0001.csv"]
    assert left_out[f"{base}/ActualCost/part_0_0001.csv"] == 'its export holds actual cost (cost = "actual")'


def test_an_export_of_usage_only_is_actual_cost(tmp_path):
    run(tmp_path, OCTOBER, "run", kind="Usage", submitted="2026-11-01T00:00:00Z")
    assert found(tmp_path)[0] == [f"exports/daily/{OCTOBER}/run/part_0_0001.csv"]


def test_a_run_that_is_not_complete_does_not_replace_one_that_is(tmp_path):
    run(tmp_path, OCTOBER, "old", submitted="2026-10-30T00:00:00Z")
    run(tmp_path, OCTOBER, "new", submitted="2026-10-31T00:00:00Z", parts=("p0.csv", "p1.csv"), written=("p0.csv",))
    files, left_out = found(tmp_path)
    assert files == [f"exports/daily/{OCTOBER}/old/part_0_0001.csv"]
    assert left_out == {f"exports/daily/{OCTOBER}/new/p0.csv": "its run is not complete: p1.csv is not there"}


def test_a_month_without_any_complete_run_is_refused(tmp_path):
    folder = run(tmp_path, OCTOBER, "new", submitted="2026-10-31T00:00:00Z", written=())
    with pytest.raises(UnreadableFile) as caught:
        found(tmp_path)
    assert str(caught.value) == (
        f"{folder}/manifest.json: lists part_0_0001.csv, which is not there, and no other run of the month is "
        "complete. Copy the whole folder of the run."
    )


def test_a_file_that_no_manifest_lists_is_left_out(tmp_path):
    folder = run(tmp_path, OCTOBER, "run", submitted="2026-11-01T00:00:00Z")
    (folder / "stray.csv").write_text("x")
    assert found(tmp_path)[1] == {f"exports/daily/{OCTOBER}/run/stray.csv": "no manifest lists it"}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"blobs": [{"name": "x"}]}', '{"blobs": [{"blobName": 7}]}'])
def test_a_manifest_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(UnreadableFile) as caught:
        found(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/manifest.json: is not the manifest of an Azure export: it lists no blobs. "
        "Copy the export folder again, or name the bills themselves as paths."
    )


def test_a_manifest_outside_a_month_folder_goes_by_export_and_start(tmp_path):
    for name, day in (("one", "03"), ("two", "04")):
        run(tmp_path, "once", name, submitted=f"2026-11-{day}T00:00:00Z")
    assert found(tmp_path)[0] == ["exports/daily/once/two/part_0_0001.csv"]


def test_a_blob_name_cannot_reach_out_of_the_place(tmp_path):
    outside = tmp_path / "secret.csv"
    outside.write_text("x")
    inside = tmp_path / "bills"
    folder = run(inside, OCTOBER, "run", submitted="2026-11-01T00:00:00Z")
    said = json.loads((folder / "manifest.json").read_text())
    said["blobs"] = [{"blobName": "../../../../../secret.csv"}]
    (folder / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(UnreadableFile, match=r"lists secret\.csv, which is not there"):
        found(inside)


def test_without_manifests_all_bills_are_current(tmp_path):
    for name in ("b.csv", "a.csv.gz", "notes.md"):
        (tmp_path / name).write_text("x")
    assert found(tmp_path) == (["a.csv.gz", "b.csv"], {"notes.md": "its name is not that of a bill"})


def test_runs_in_a_heap_are_refused_because_each_holds_the_whole_month(tmp_path):
    folder = tmp_path / "daily" / OCTOBER
    folder.mkdir(parents=True)
    names = [f"daily_{n}0000000-0000-4000-8000-000000000000.csv" for n in (1, 2)]
    (folder / names[0]).write_text("x")
    assert found(tmp_path)[0] == [f"daily/{OCTOBER}/{names[0]}"]
    (folder / names[1]).write_text("x")
    with pytest.raises(UnreadableFile) as caught:
        found(tmp_path)
    assert str(caught.value) == (
        f"{folder}: holds several runs of one month ({names[0]}, {names[1]}) and no manifest, and each run holds the "
        "whole month. Keep the newest file only, or turn on file partitioning in the export: it writes a manifest."
    )


def test_the_real_enterprise_sample_comes_through_exactly(tmp_path):
    (tmp_path / "bills").mkdir()
    shutil.copyfile(SAMPLE, tmp_path / "bills/ea.csv")
    result, rows = ingested(ACTUAL, tmp_path, "BilledCost", "EffectiveCost", "Tags")
    (snapshot,) = result.published
    assert (snapshot.rows, snapshot.rejected, str(snapshot.scope.period)) == (27, 0, "2023-09")
    assert snapshot.totals["CAD"]["BilledCost"] == Decimal("1.26136926505726")
    assert sum(row[1] for row in rows) == Decimal("1.26136926505726")
    assert {tuple(row[2].items()) for row in rows} == {(("tagA", "valueA"), ("tagB", "valueB"), ("tagC", "valueC"))}
    assert {(problem.code, problem.column) for problem in result.problems} == {("missing_column", "ListCost")}


def test_a_superseded_run_does_not_count(tmp_path):
    old = run(tmp_path / "bills", OCTOBER, "old", submitted="2026-10-30T06:00:00Z")
    new = run(tmp_path / "bills", OCTOBER, "new", submitted="2026-10-31T06:00:00Z")
    write(old / "part_0_0001.csv", [MCA])
    write(new / "part_0_0001.csv", [MCA, {**MCA, "costInBillingCurrency": "-1.000000001", "chargeType": "Refund"}])
    result, rows = ingested(ACTUAL, tmp_path, "BilledCost", "ChargeCategory", "BillingPeriodEnd")
    end = datetime(2026, 11, 1)
    assert rows == [(Decimal("6.84"), "Usage", end), (Decimal("-1.000000001"), "Purchase", end)]
    assert result.left_out == ((f"{old}/part_0_0001.csv", f"a newer run holds: {new}"),)


def test_an_amortised_export_says_that_its_commitments_were_billed_elsewhere(tmp_path):
    unused = {**MCA, **COVERED, "chargeType": "UnusedReservation", "costInBillingCurrency": "2.16", "ResourceId": None}
    write(tmp_path / "bills/amortized.csv", [MCA, {**MCA, **COVERED}, unused])
    result, rows = ingested(AMORTIZED, tmp_path, "BilledCost", "EffectiveCost", "CommitmentDiscountStatus")
    assert rows == [
        (Decimal("6.84"), Decimal("6.84"), None),
        (Decimal(0), Decimal("6.84"), "Used"),
        (Decimal(0), Decimal("2.16"), "Unused"),
    ]
    found = {problem.code: problem for problem in result.problems}
    assert (found["amortized_only"].row_count, found["amortized_only"].severity) == (2, Severity.WARNING)
    assert found["amortized_only"].what == (
        "This cost was billed when the commitment was bought, which an amortised export does not show: it is in "
        "EffectiveCost, and BilledCost is 0."
    )
    assert found["amortized_only"].fix == (
        "Use the FOCUS export of Azure, which holds both costs, if BilledCost has to match the invoice."
    )


def test_a_reallocation_and_an_amortised_file_read_as_actual_are_told_in_words(tmp_path):
    write(tmp_path / "bills/a.csv", [{**MCA, "costAllocationRuleName": "hub"}, {**MCA, **COVERED}])
    result, _ = ingested(ACTUAL, tmp_path, "BilledCost")
    assert {(each.code, each.severity, each.what, each.fix) for each in result.problems if "azure" in each.code} == {
        (
            "azure_cost_allocation_rule",
            Severity.WARNING,
            "A cost allocation rule of Azure has already moved this cost; it was kept as it stands.",
            "Make sure that no rule here moves the same cost again.",
        )
    }
    (doubtful,) = (each for each in result.problems if each.code == "amortized_as_actual")
    assert (doubtful.what, doubtful.fix) == (
        "Usage that a commitment covers has a cost, as in an amortised export; it was taken as billed.",
        'Set cost = "amortized" in the options of the source if this is the amortised export.',
    )
    assert [each["costAllocationRuleName"] for each in extras(result.published[0])] == ["hub", None]


def test_a_purchase_in_an_amortised_export_is_told_in_words(tmp_path):
    write(tmp_path / "bills/a.csv", [{**MCA, **COVERED, "chargeType": "Purchase"}])
    result, _ = ingested(AMORTIZED, tmp_path, "BilledCost")
    (found,) = (each for each in result.problems if each.code == "commitment_purchase")
    assert (found.what, found.fix, found.severity) == (
        "The usage that this purchase covers carries its cost already; EffectiveCost was set to 0.",
        "Nothing to do.",
        Severity.REPAIRED,
    )


def test_a_parquet_export_gives_the_same_charges_as_csv(tmp_path):
    row = {**MCA, "costInBillingCurrency": Decimal("6.84"), "quantity": Decimal(2), "date": datetime(2026, 10, 5)}
    (tmp_path / "bills").mkdir()
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "bills/part_0_0001.parquet")
    names = ("BilledCost", "PricingQuantity", "ChargePeriodStart", "ServiceName", "x_ResourceGroup", "Tags")
    _, found = ingested(ACTUAL, tmp_path, *names)
    assert found == [
        (Decimal("6.84"), Decimal(2), datetime(2026, 10, 5), "Virtual Machines", "rg-ml", {"team": "vision"})
    ]
