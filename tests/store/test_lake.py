"""Stored files are checked before they are read; what nobody knows is collected."""

from __future__ import annotations

import os
import random
import shutil
import time

import pytest
from pyarrow import parquet
from tests.store.deliveries import A, B, assert_whole, draft, generations, pair, run_of

from apportion.errors import DamagedFile
from apportion.store import durable, open_store

SEED = 7
RESTORE = "Restore it from a backup of the state folder, or import the month again into a fresh one."


@pytest.fixture
def snapshot(store):
    return store.publish_snapshots([draft(store, A, 1)])[0]


def damage(path, change):
    path.chmod(0o644)
    path.write_bytes(change(path.read_bytes()))


def flipped(chance):
    def change(content):
        at = chance.randrange(len(content))
        print(f"seed {SEED}: byte {at}")  # noqa: T201 - shown when the test fails
        return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]

    return change


@pytest.mark.parametrize("number", range(10))
def test_one_flipped_bit_is_found(state, snapshot, number):
    damage(snapshot.charges, flipped(random.Random(SEED + number)))  # noqa: S311 - repeatable on purpose
    with open_store(state) as store:
        with pytest.raises(DamagedFile) as caught:
            store.checked(snapshot.charges)
        assert str(caught.value) == f"{snapshot.charges} is not the file that was stored. {RESTORE}"
        with pytest.raises(DamagedFile):
            store.check(snapshot.folder, snapshot.stored)
        assert store.checked(snapshot.attributes) == snapshot.attributes


def test_some_flipped_bits_are_read_by_pyarrow_without_a_word(snapshot):
    content = snapshot.charges.read_bytes()
    silent = 0
    for at in range(len(content)):
        damage(snapshot.charges, lambda _, at=at: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            silent += parquet.read_table(snapshot.charges).column(0).to_pylist() != [1, 1, 1]
        except (OSError, ValueError, KeyError, RuntimeError):
            continue
    assert silent > 0


@pytest.mark.parametrize("name", ["charges.parquet", "manifest.json"])
@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b" ", lambda _: b""])
def test_truncated_and_grown_files_are_found(state, snapshot, name, change):
    damage(snapshot.folder / name, change)
    with open_store(state) as store, pytest.raises(DamagedFile, match=name):
        store.checked(snapshot.charges)


@pytest.mark.parametrize("name", ["charges.parquet", "manifest.json"])
def test_missing_files_are_found(state, snapshot, name):
    (snapshot.folder / name).unlink()
    with open_store(state) as store, pytest.raises(DamagedFile, match=name):
        store.checked(snapshot.charges)


def test_a_forged_manifest_does_not_vouch_for_a_forged_file(state, snapshot):
    old = durable.sha256(snapshot.charges)
    damage(snapshot.charges, lambda content: content[::-1])
    new = durable.sha256(snapshot.charges)
    damage(snapshot.folder / "manifest.json", lambda content: content.replace(old.encode(), new.encode()))
    with open_store(state) as store, pytest.raises(DamagedFile, match=r"manifest\.json"):
        store.checked(snapshot.charges)


def test_files_the_catalogue_does_not_know_are_not_vouched_for(state, store, snapshot):
    stranger = snapshot.folder.with_name("stranger")
    shutil.copytree(snapshot.folder, stranger)
    with pytest.raises(
        DamagedFile, match="The catalogue knows no such folder; name a file of a stored snapshot or part"
    ):
        store.checked(stranger / "charges.parquet")
    with pytest.raises(DamagedFile):
        store.checked(state / "catalogue.db")
    extra = snapshot.folder / "extra.parquet"
    shutil.copy(snapshot.charges, extra)
    with pytest.raises(DamagedFile, match=r"extra\.parquet"):
        store.checked(extra)


def test_a_file_is_hashed_once_in_a_process_until_it_changes(store, snapshot, monkeypatch):
    hashed = []
    real = durable.sha256
    monkeypatch.setattr(durable, "sha256", lambda path: hashed.append(path.name) or real(path))
    for _ in range(2):
        store.checked(snapshot.charges)
        store.check(snapshot.folder, snapshot.stored)
    assert hashed == ["charges.parquet", "attributes.parquet"]
    status = snapshot.charges.stat()
    os.utime(snapshot.charges, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    store.checked(snapshot.charges)
    assert hashed[2:] == ["charges.parquet"]


def aged(folder, seconds):
    os.utime(folder, (time.time() - seconds,) * 2)


def test_only_old_folders_that_nobody_knows_are_collected(state, store):
    store.publish_snapshots(pair(store, 1))
    store.publish_snapshots(pair(store, 2))
    store.publish_run(*run_of(store, 1))
    store.publish_run(*run_of(store, 2))
    lake = state / "lake"
    left, young, part = lake / "snapshots" / "left", lake / "snapshots" / "young", lake / "parts" / "left"
    for folder in (left, young, part):
        shutil.copytree(store.current_snapshots()[0].folder, folder)
    known = [folder for kind in ("snapshots", "parts") for folder in (lake / kind).iterdir()]
    for folder in known:
        aged(folder, 10_000)
    aged(young, 100)
    assert store.collect(grace=3600) == (left, part)
    assert sorted(f for kind in ("snapshots", "parts") for f in (lake / kind).iterdir()) == sorted(
        set(known) - {left, part}
    )
    assert_whole(store)
    assert store.collect() == ()
    assert store.collect(grace=0) == (young,)
    assert [p.name for p in (state / "tmp").iterdir() if p.is_dir() and list(p.glob("*.parquet"))] == []


def test_nothing_is_collected_from_an_empty_state(store):
    assert store.collect(grace=0) == ()


def leave_behind(state, store, monkeypatch):
    """Publish, but cut off before the transaction: the folder is in the lake and nobody knows it."""
    with monkeypatch.context() as patch:
        patch.setattr(store._catalogue, "writing", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.publish_snapshots([draft(store, A, 1)])
    (left,) = (state / "lake" / "snapshots").iterdir()
    assert store.current_snapshots() == ()
    return left


def test_a_whole_folder_left_by_a_cut_off_publish_is_used(state, store, monkeypatch):
    left = leave_behind(state, store, monkeypatch)
    before = (left / "charges.parquet").stat()
    store.publish_snapshots([draft(store, A, 1)])
    assert generations(store) == (1,)
    assert (left / "charges.parquet").stat().st_ino == before.st_ino


@pytest.mark.parametrize("name", ["charges.parquet", "manifest.json"])
def test_a_damaged_folder_left_by_a_cut_off_publish_is_replaced(state, store, monkeypatch, name):
    left = leave_behind(state, store, monkeypatch)
    damage(left / name, lambda content: content[:-1])
    store.publish_snapshots([draft(store, A, 1)])
    assert generations(store) == (1,)
    assert_whole(store)
    assert [p for p in (state / "tmp").rglob("*") if p.is_file() and p.suffix != ".lock"] == []


def test_optional_files_are_named_only_where_they_are_stored(store):
    one, two = draft(store, A, 1), draft(store, B, 1)
    for name in ("extras.parquet", "rejects.parquet"):
        shutil.copy(two.snapshot.charges, two.snapshot.folder / name)
    (two.snapshot.folder / "notes.txt").write_text("not a table")
    plain, full = store.publish_snapshots([one, two])
    assert (plain.extras, plain.rejects) == (None, None)
    assert (full.extras, full.rejects) == (full.folder / "extras.parquet", full.folder / "rejects.parquet")
    assert {file.name: file.rows for file in full.stored} == {
        "attributes.parquet": 3,
        "charges.parquet": 3,
        "extras.parquet": 3,
        "notes.txt": 0,
        "rejects.parquet": 3,
    }
