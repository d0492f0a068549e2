"""AWS data exports: the manifests say what is current, whatever else lies around."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from tests.sources.focus_bills import billed, config, csv_text, ingest_into, put, row

from apportion.errors import UnreadableFile
from apportion.sources import _aws_exports
from apportion.sources.intake.place import Place

NOVEMBER = {"BillingPeriodStart": "2026-11-01T00:00:00Z", "BillingPeriodEnd": "2026-12-01T00:00:00Z"}


def manifest(tmp_path, period, files, *, run="", export="export"):
    names = [f"s3://bucket/some/prefix/export/data/{name}" for name in files]
    put(tmp_path, f"{export}/metadata/{period}/{run}{export}-Manifest.json", json.dumps({"dataFiles": names}))


def current(tmp_path):
    delivery = _aws_exports.current(Place.of(str(tmp_path), tmp_path))
    return [path.removeprefix(f"{tmp_path}/") for path in delivery.files], delivery.left_out


def test_only_files_of_the_manifests_are_read(tmp_path):
    put(tmp_path, "export/data/BILLING_PERIOD=2026-10/x-0.csv", csv_text([row()]))
    put(tmp_path, "export/data/BILLING_PERIOD=2026-10/x-1.parquet", b"")
    put(tmp_path, "export/data/billing_period=2026-11/x-0.csv", csv_text([row(**NOVEMBER)]))
    manifest(tmp_path, "BILLING_PERIOD=2026-10", ["BILLING_PERIOD=2026-10/x-0.csv"])
    manifest(tmp_path, "BILLING_PERIOD=2026-11", ["BILLING_PERIOD=2026-11/x-0.csv"])
    put(tmp_path, "export/metadata/BILLING_PERIOD=2026-10/export-Manifest-FOCUS.json", "{}")
    result = ingest_into(tmp_path / "state", config(tmp_path / "export"))
    assert billed(result) == Decimal("2.5")
    assert result.left_out == (
        (
            f"{tmp_path}/export/data/BILLING_PERIOD=2026-10/x-1.parquet",
            "no current manifest names it (superseded or overwritten)",
        ),
    )


def test_an_empty_file_that_a_manifest_names_is_an_error(tmp_path):
    put(tmp_path, "export/data/BILLING_PERIOD=2026-10/x-0.parquet", b"")
    manifest(tmp_path, "BILLING_PERIOD=2026-10", ["BILLING_PERIOD=2026-10/x-0.parquet"])
    with pytest.raises(UnreadableFile, match=r"x-0\.parquet: is empty\."):
        ingest_into(tmp_path / "state", config(tmp_path / "export"))


def test_of_several_executions_the_manifest_of_the_period_decides(tmp_path):
    for run in ("1", "2", "3"):
        put(tmp_path, f"export/data/BILLING_PERIOD=2026-10/{run}/x.csv", "")
        manifest(tmp_path, "BILLING_PERIOD=2026-10", [f"BILLING_PERIOD=2026-10/{run}/x.csv"], run=f"{run}/")
    assert current(tmp_path)[0] == ["export/data/BILLING_PERIOD=2026-10/3/x.csv"]
    manifest(tmp_path, "billing_period=2026-10", ["BILLING_PERIOD=2026-10/2/x.csv"])
    assert current(tmp_path)[0] == ["export/data/BILLING_PERIOD=2026-10/2/x.csv"]


def test_two_exports_in_one_place_do_not_mix(tmp_path):
    for export in ("export", "other"):
        put(tmp_path, f"{export}/data/BILLING_PERIOD=2026-10/x.csv", "")
        manifest(tmp_path, "BILLING_PERIOD=2026-10", ["BILLING_PERIOD=2026-10/x.csv"], export=export)
    assert current(tmp_path) == (
        ["export/data/BILLING_PERIOD=2026-10/x.csv", "other/data/BILLING_PERIOD=2026-10/x.csv"],
        (),
    )


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    manifest(tmp_path, "BILLING_PERIOD=2026-10", ["BILLING_PERIOD=2026-10/x.csv"])
    with pytest.raises(UnreadableFile) as caught:
        current(tmp_path)
    assert caught.value.what.endswith("export-Manifest.json: names x.csv, which is not there.")
    assert caught.value.fix.startswith("Copy the data folder of the export again")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"dataFiles": "x"}', '{"dataFiles": [1]}'])
def test_a_manifest_that_is_none_is_an_error(tmp_path, text):
    put(tmp_path, "export/metadata/BILLING_PERIOD=2026-10/export-Manifest.json", text)
    with pytest.raises(UnreadableFile, match="is not the manifest of an AWS data export: it names no dataFiles"):
        current(tmp_path)
