"""Each write to the disk fails in turn; and the order of writes that survives a power cut."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.store import deliveries

from apportion.errors import NotStored
from apportion.store import durable, open_store

PRIMITIVES = ("make_folder", "write_file", "freeze", "sync", "move", "sha256")


class Faults:
    """Counts the calls of durable's primitives; the n-th fails, or all from the n-th on."""

    def __init__(self, monkeypatch, *, number=0, fails_with=errno.EIO, lasting=False):
        self.calls = []
        self.number = number
        for name in PRIMITIVES:
            monkeypatch.setattr(durable, name, self.wrapped(name, getattr(durable, name), fails_with, lasting=lasting))

    def wrapped(self, name, real, fails_with, *, lasting):
        def call(path, *more):
            self.calls.append((name, Path(path)))
            count = len(self.calls)
            if self.number and (count >= self.number if lasting else count == self.number):
                raise OSError(fails_with, os.strerror(fails_with), str(path))
            return real(path, *more)

        return call


def publish_snapshots(store, generation):
    store.publish_snapshots(deliveries.pair(store, generation))


def publish_run(store, generation):
    store.publish_run(*deliveries.run_of(store, generation))


def reported_by(publish):
    """The message of the clean error that publishing ended with; None where it ended well."""
    try:
        publish()
    except NotStored as error:
        return str(error)
    return None


def seen(store):
    run = store.current_run()
    return deliveries.generations(store), run and run.id


@pytest.mark.parametrize("publish", [publish_snapshots, publish_run])
@pytest.mark.parametrize(("fails_with", "lasting"), [(errno.EIO, False), (errno.ENOSPC, True)])
def test_whichever_write_fails_the_old_state_stands_and_the_next_try_works(
    tmp_path, monkeypatch, publish, fails_with, lasting
):
    base = tmp_path / "base"
    with open_store(base) as store:
        publish_snapshots(store, 1)
        publish_run(store, 1)
        old = seen(store)
    number = failures = 0
    while True:
        number += 1
        state = tmp_path / f"{number}"
        shutil.copytree(base, state)
        with open_store(state) as store:
            with monkeypatch.context() as patch:
                faults = Faults(patch, number=number, fails_with=fails_with, lasting=lasting)
                reported = reported_by(lambda: publish(store, 2))
                faults.number = 0
            if reported:
                failures += 1
                assert os.strerror(fails_with) in reported
                assert seen(store) == old
            deliveries.assert_whole(store)
            publish(store, 2)
            assert seen(store) != old
            deliveries.assert_whole(store)
        shutil.rmtree(state)
        if number > len(faults.calls):
            break
    assert failures == number - 1 > 25


def test_a_full_catalogue_rolls_back_all_of_a_publish(state, store):
    publish_snapshots(store, 1)
    old = seen(store)
    fault = deliveries.problem("x" * 100_000)
    with store._catalogue.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    store._catalogue.close()  # the limit belongs to a connection
    event.listen(store._catalogue._engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(NotStored) as caught:
        store.publish_snapshots([deliveries.draft(store, scope, 2, fault) for scope in deliveries.PAIR])
    assert str(caught.value) == (
        f"The state could not be written: {state}/catalogue.db: database or disk is full. "
        "Nothing new became visible and the previous result stands; put the disk right and try again."
    )
    assert seen(store) == old
    with open_store(state) as roomy:
        roomy.publish_snapshots([deliveries.draft(roomy, scope, 2, fault) for scope in deliveries.PAIR])
        assert deliveries.generations(roomy) == (2, 2)


def test_files_and_folders_are_synced_before_anything_points_to_them(store, monkeypatch):
    drafts = deliveries.pair(store, 1)
    faults = Faults(monkeypatch)
    real = store._catalogue.writing

    def transaction():
        faults.calls.append(("commit", Path()))
        return real()

    monkeypatch.setattr(store._catalogue, "writing", transaction)
    snapshots = store.publish_snapshots(drafts)
    calls = faults.calls
    assert [name for name, _ in calls].count("commit") == 1
    for draft, snapshot in zip(drafts, snapshots, strict=True):
        staged = draft.snapshot.folder
        moved = calls.index(("move", staged))
        names = [*(file.name for file in snapshot.stored), "manifest.json"]
        frozen = [calls.index(("freeze", staged / name)) for name in names]
        synced = [calls.index(("sync", staged / name)) for name in names]
        assert all(f < s for f, s in zip(frozen, synced, strict=True))
        assert max(synced) < calls.index(("sync", staged)) < moved
        after = calls[moved:]
        assert after.index(("sync", snapshot.folder.parent)) < after.index(("commit", Path()))
        assert after.index(("sync", staged.parent)) < after.index(("commit", Path()))


def test_a_sync_reaches_the_operating_system(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("x")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").readlink()))
    durable.sync(file)
    durable.sync(tmp_path)
    assert synced == [file, tmp_path]


def test_stored_files_are_read_only_and_the_state_is_private(state, store):
    (first, _) = store.publish_snapshots(deliveries.pair(store, 1))
    assert {oct(file.stat().st_mode & 0o777) for file in first.folder.iterdir()} == {"0o444"}
    assert oct(state.stat().st_mode & 0o777) == "0o700"


def test_a_state_folder_that_others_can_enter_is_made_private(state):
    state.mkdir(mode=0o755)
    with open_store(state):
        assert oct(state.stat().st_mode & 0o777) == "0o700"


def test_a_state_that_cannot_be_made_is_a_clean_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotStored, match="Not a directory"):
        open_store(tmp_path / "file" / "state")
