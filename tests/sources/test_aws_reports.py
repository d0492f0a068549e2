"""Cost and Usage Reports as AWS lays them out: the manifests say what is current, whatever else lies around."""

from __future__ import annotations

import json

import pytest

from apportion.errors import UnreadableFile
from apportion.sources import _aws_reports
from apportion.sources.intake.place import Place

OCTOBER, NOVEMBER = "20261001-20261101", "20261101-20261201"
SUPERSEDED = "no current manifest names it (superseded or overwritten)"


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def manifest(folder, name, keys):
    put(folder, name)
    (folder / name).write_text(json.dumps({"assemblyId": "a", "reportKeys": keys}))


def found(folder, text=""):
    """Names of the current files, and of those left out with the reason."""
    place = Place.of(text or str(folder), folder)
    delivery = _aws_reports.current(place)
    short = str(folder) + "/"
    left_out = {path.removeprefix(short): reason for path, reason in delivery.left_out}
    return [path.removeprefix(short) for path in delivery.files], left_out


def test_of_the_versions_of_a_month_only_the_one_of_the_manifest_is_current(tmp_path):
    put(tmp_path, f"r/{OCTOBER}/old/r-1.csv.gz", f"r/{OCTOBER}/new/r-1.csv.gz", f"r/{OCTOBER}/new/r-2.csv.gz")
    keys = [f"prefix//r/{OCTOBER}/new/r-{number}.csv.gz" for number in (1, 2)]
    manifest(tmp_path, f"r/{OCTOBER}/r-Manifest.json", keys)
    manifest(tmp_path, f"r/{OCTOBER}/new/r-Manifest.json", keys)
    manifest(tmp_path, f"r/{OCTOBER}/old/r-Manifest.json", [f"prefix/r/{OCTOBER}/old/r-1.csv.gz"])
    assert found(tmp_path) == (
        [f"r/{OCTOBER}/new/r-1.csv.gz", f"r/{OCTOBER}/new/r-2.csv.gz"],
        {f"r/{OCTOBER}/old/r-1.csv.gz": SUPERSEDED},
    )


def test_each_month_has_its_own_manifest_and_its_own_files_of_the_same_name(tmp_path):
    for month in (OCTOBER, NOVEMBER):
        put(tmp_path, f"r/{month}/r-1.csv.gz")
        manifest(tmp_path, f"r/{month}/r-Manifest.json", [f"p/r/{month}/r-1.csv.gz"])
    assert found(tmp_path)[0] == [f"r/{OCTOBER}/r-1.csv.gz", f"r/{NOVEMBER}/r-1.csv.gz"]


def test_a_missing_file_is_an_error_even_if_another_month_has_one_of_that_name(tmp_path):
    put(tmp_path, f"r/{NOVEMBER}/r-1.csv.gz")
    manifest(tmp_path, f"r/{OCTOBER}/r-Manifest.json", [f"p/r/{OCTOBER}/r-1.csv.gz"])
    with pytest.raises(UnreadableFile) as caught:
        found(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/r/{OCTOBER}/r-Manifest.json: names r-1.csv.gz, which is not there. "
        "Copy the files of the report again; AWS writes the manifest last, so the delivery was complete."
    )


def test_a_report_for_athena_lies_beside_its_manifests(tmp_path):
    for month, number in ((OCTOBER, 10), (NOVEMBER, 11)):
        name = f"year=2026/month={number}/r-1.snappy.parquet"
        put(tmp_path, f"r/r/{name}", f"r/r/year=2025/month={number}/r-1.snappy.parquet")
        manifest(tmp_path, f"r/{month}/r-Manifest.json", [f"p/r/r/{name}"])
    files, left_out = found(tmp_path)
    assert files == [f"r/r/year=2026/month={number}/r-1.snappy.parquet" for number in (10, 11)]
    assert set(left_out) == {f"r/r/year=2025/month={number}/r-1.snappy.parquet" for number in (10, 11)}


def test_files_that_were_copied_flat_or_unpacked_are_found_beside_their_manifest(tmp_path):
    put(tmp_path, f"{OCTOBER}/r-1.csv", f"{OCTOBER}/r-2.csv.gz")
    keys = [f"p/r/{OCTOBER}/version/r-1.csv.zip", f"p/r/{OCTOBER}/version/r-2.csv.gz"]
    manifest(tmp_path, f"{OCTOBER}/r-Manifest.json", keys)
    assert found(tmp_path)[0] == [f"{OCTOBER}/r-1.csv", f"{OCTOBER}/r-2.csv.gz"]


def test_of_two_copies_of_a_report_each_manifest_means_its_own(tmp_path):
    for copy in ("a", "b"):
        put(tmp_path, f"{copy}/r/{OCTOBER}/v/r-1.csv.gz")
        manifest(tmp_path, f"{copy}/r/{OCTOBER}/r-Manifest.json", [f"p/r/{OCTOBER}/v/r-1.csv.gz"])
    assert found(tmp_path)[0] == [f"{copy}/r/{OCTOBER}/v/r-1.csv.gz" for copy in ("a", "b")]


def test_of_several_versions_without_manifest_of_the_month_none_is_guessed(tmp_path):
    for version in ("1", "2"):
        put(tmp_path, f"r/{OCTOBER}/{version}/r-1.csv.gz")
        manifest(tmp_path, f"r/{OCTOBER}/{version}/r-Manifest.json", [f"p/r/{OCTOBER}/{version}/r-1.csv.gz"])
    with pytest.raises(UnreadableFile) as caught:
        found(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/r/{OCTOBER}: holds 2 versions of the report and no manifest that says which one is current. "
        "Copy the manifest in the folder of the period too, or only the current version."
    )
    (tmp_path / f"r/{OCTOBER}/2/r-Manifest.json").unlink()
    assert found(tmp_path)[0] == [f"r/{OCTOBER}/1/r-1.csv.gz"]


@pytest.mark.parametrize("content", ["{}", "[1]", "{", '{"reportKeys": "x"}', '{"reportKeys": [1]}'])
def test_a_manifest_that_names_no_files_is_told(tmp_path, content):
    put(tmp_path, f"{OCTOBER}/r-Manifest.json")
    (tmp_path / f"{OCTOBER}/r-Manifest.json").write_text(content)
    with pytest.raises(UnreadableFile) as caught:
        found(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/{OCTOBER}/r-Manifest.json: is not the manifest of a Cost and Usage Report: "
        "it names no reportKeys. Copy the report again, or name the bills themselves as paths."
    )


def test_a_folder_without_manifest_is_told(tmp_path):
    put(tmp_path, "r-1.csv.gz")
    with pytest.raises(UnreadableFile) as caught:
        found(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: the folder holds no manifest (…-Manifest.json), "
        "so its current files cannot be told from old ones. "
        "Copy the manifests too, or name the current files themselves as paths."
    )


def test_a_file_or_a_pattern_is_taken_as_it_is_named(tmp_path):
    put(tmp_path, "a/r-1.csv.gz", "a/notes.md")
    manifest(tmp_path, f"a/{OCTOBER}/r-Manifest.json", [])
    assert found(tmp_path, "a/r-1.csv.gz") == (["a/r-1.csv.gz"], {})
    assert found(tmp_path, "a/**") == (
        ["a/r-1.csv.gz"],
        dict.fromkeys((f"a/{OCTOBER}/r-Manifest.json", "a/notes.md"), "its name is not that of a bill"),
    )


def test_a_manifest_cannot_reach_out_of_the_place(tmp_path):
    put(tmp_path, "secret.csv", f"bills/{OCTOBER}/r-1.csv")
    manifest(tmp_path / "bills", f"{OCTOBER}/r-Manifest.json", ["../../secret.csv"])
    with pytest.raises(UnreadableFile, match=r"names secret\.csv, which is not there"):
        found(tmp_path, "bills")


def test_data_exports_and_reports_may_share_a_folder(tmp_path):
    put(tmp_path, f"r/{OCTOBER}/r-1.csv.gz", "e/data/BILLING_PERIOD=2026-11/e-1.parquet")
    manifest(tmp_path, f"r/{OCTOBER}/r-Manifest.json", [f"p/r/{OCTOBER}/r-1.csv.gz"])
    export = tmp_path / "e/metadata/BILLING_PERIOD=2026-11/e-Manifest.json"
    export.parent.mkdir(parents=True)
    export.write_text(json.dumps({"dataFiles": ["s3://b/e/data/BILLING_PERIOD=2026-11/e-1.parquet"]}))
    assert found(tmp_path) == (["e/data/BILLING_PERIOD=2026-11/e-1.parquet", f"r/{OCTOBER}/r-1.csv.gz"], {})
